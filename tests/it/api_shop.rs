//! REST as the existing web client uses it, sentence by sentence of the contract, against the real server.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::raw::request;
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn ids(products: &Value) -> Vec<&str> {
    products.as_array().unwrap().iter().map(|product| product["productId"].as_str().unwrap()).collect()
}

/// Money has two decimals at most.
fn is_money(value: &Value) -> bool {
    value.as_f64().is_some_and(|amount| (amount * 100.0 - (amount * 100.0).round()).abs() < 1e-6)
}

#[tokio::test]
async fn products_are_listed_searched_and_described() {
    let server = Server::start_filled(Options::default()).await;
    let all = server.get("/api/ecommerce/products?limit=1000").await;
    assert_eq!(all.as_array().unwrap().len(), 200);
    for product in all.as_array().unwrap() {
        let fields = "productId name description category brand price inventory imageUrl tags rating reviewCount";
        let ours = "life version detailsVersion timestamp";
        assert_eq!(keys(product), fields.split(' ').chain(ours.split(' ')).collect());
        assert!(product["price"].is_f64() && is_money(&product["price"]) && product["rating"].is_number(), "{product}");
        assert!(product["name"].is_string() && product["category"].is_string() && product["tags"].is_array());
        assert!(product["imageUrl"].as_str().unwrap().starts_with("/api/"));
    }
    assert_eq!(server.get("/api/ecommerce/products").await.as_array().unwrap().len(), 20);
    assert_eq!(server.get("/api/ecommerce/products?limit=0").await, json!([]));

    let books = server.get("/api/ecommerce/products?category=bOOKs&limit=1000").await;
    assert_eq!(books.as_array().unwrap().len(), 24);
    let laptops = server.get("/api/ecommerce/products?search=LAPTOP&limit=1000").await;
    assert!(ids(&laptops).contains(&"PROD_0001"), "found by tag, without case");
    let narrow =
        server.get("/api/ecommerce/products?search=laptop&category=electronics&minPrice=1800&maxPrice=1900&limit=1000").await;
    assert_eq!(ids(&narrow), ["PROD_0001"]);
    let cheap = server.get("/api/ecommerce/products?sort=price-low&limit=1000").await;
    let prices: Vec<f64> = cheap.as_array().unwrap().iter().map(|product| product["price"].as_f64().unwrap()).collect();
    assert!(prices.is_sorted());
    let second = server.get("/api/ecommerce/products?sort=price-low&limit=10&page=2").await;
    assert_eq!(ids(&second), ids(&cheap)[10..20]);

    let featured = server.get("/api/ecommerce/products/featured").await;
    assert!(featured.as_array().unwrap().iter().all(|product| product["rating"].as_f64().unwrap() >= 4.0));
    let trending = server.get("/api/ecommerce/products/trending").await;
    let reviews: Vec<i64> = trending.as_array().unwrap().iter().map(|product| product["reviewCount"].as_i64().unwrap()).collect();
    assert!(reviews.len() == 8 && reviews.iter().rev().is_sorted());

    let state = server.get("/api/ecommerce/inventory/state").await;
    assert_eq!((state["totalProducts"].as_i64(), state["products"].as_array().unwrap().len()), (Some(200), 200));
    assert_eq!(state["categories"].as_array().unwrap().len(), 8);
    assert!(state["timestamp"].as_i64().unwrap() > 1_700_000_000_000);
}

#[tokio::test]
async fn one_product_its_tag_its_picture_and_its_changes() {
    let server = Server::start_filled(Options::default()).await;
    let path = "/api/ecommerce/product/PROD_0001";
    let first = server.http.get(server.url(path)).send().await.unwrap();
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "a strong tag: {tag}");
    assert_eq!(first.headers()["cache-control"], "no-cache");
    assert_eq!(first.json::<Value>().await.unwrap()["name"], "FutureTech UltraBook Pro 15");
    // Once handled before the router and once by it: the same answer.
    for origin in [None, Some("http://localhost:3000")] {
        let mut asked = server.http.get(server.url(path)).header("if-none-match", &tag);
        if let Some(origin) = origin {
            asked = asked.header("origin", origin);
        }
        let unchanged = asked.send().await.unwrap();
        assert_eq!((unchanged.status().as_u16(), unchanged.headers()["etag"].to_str().unwrap()), (304, tag.as_str()));
        assert_eq!(unchanged.bytes().await.unwrap().len(), 0);
    }
    let forged = server.http.get(server.url(path)).header("if-none-match", "\"forged\"").send().await.unwrap();
    assert_eq!(forged.status(), 200);

    let image = server.http.get(server.url(&format!("{path}/image"))).send().await.unwrap();
    assert_eq!((image.status().as_u16(), image.headers()["content-type"].to_str().unwrap()), (200, "image/svg+xml"));
    let image_tag = image.headers()["etag"].to_str().unwrap().to_owned();
    let again = server.http.get(server.url(&format!("{path}/image"))).header("if-none-match", &image_tag).send().await.unwrap();
    assert_eq!(again.status(), 304);

    let shopper = Shopper::new("history");
    shopper.add(&server, "PROD_0001", 2).await;
    let (_, order) = shopper.checkout(&server, false).await;
    let order_id = order["orderId"].as_str().unwrap();
    shopper.settled(&server, order_id).await;
    let sold = server.get(path).await;
    assert_eq!(sold["inventory"], 15);
    let changed = server.http.get(server.url(path)).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(changed.status(), 200, "another revision has another tag");
    let history = server.get(&format!("{path}/history?minutes=60")).await;
    let last = history.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["type"], &last["previousInventory"], &last["currentInventory"], &last["orderId"]),
        (&json!("INVENTORY_DECREASED"), &json!(17), &json!(15), &json!(order_id))
    );
    let same_picture =
        server.http.get(server.url(&format!("{path}/image"))).header("if-none-match", &image_tag).send().await.unwrap();
    assert_eq!(same_picture.status(), 304, "a picture does not change with stock");
}

#[tokio::test]
async fn the_cart_adds_up_and_its_prices_are_the_catalogues() {
    let server = Server::start_filled(Options::default()).await;
    let unknown = server.get("/api/ecommerce/cart/nobody-was-here").await;
    let fields = "cartId sessionId userId items totalAmount createdAt updatedAt status quote";
    assert_eq!(keys(&unknown), fields.split(' ').collect());
    assert_eq!(
        (&unknown["items"], &unknown["status"], unknown["totalAmount"].as_f64()),
        (&json!([]), &json!("ACTIVE"), Some(0.0))
    );

    let path = "/api/ecommerce/cart/session-cart/add";
    let asked = json!({"productId": "PROD_0001", "userId": "anna", "quantity": 2, "price": 0.01, "name": "free"});
    let (status, cart) = server.post(path, &asked).await;
    assert_eq!(status, 200, "{cart}");
    let (_, cart) = server.post(path, &json!({"productId": "PROD_0001", "userId": "anna"})).await;
    let items = cart["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "one line per product");
    let line = "productId productName price quantity subtotal imageUrl addedAt available";
    assert_eq!(keys(&items[0]), line.split(' ').collect());
    assert_eq!(
        (&items[0]["quantity"], items[0]["price"].as_f64(), items[0]["subtotal"].as_f64()),
        (&json!(3), Some(1899.99), Some(5699.97))
    );
    assert_eq!(
        (cart["totalAmount"].as_f64(), &cart["userId"], &cart["sessionId"]),
        (Some(5699.97), &json!("anna"), &json!("session-cart"))
    );
    assert_eq!(cart["quote"]["subtotal"], 5699.97);
    assert_eq!(
        (cart["quote"]["tax"].as_f64(), cart["quote"]["shipping"].as_f64(), cart["quote"]["totalAmount"].as_f64()),
        (Some(456.0), Some(0.0), Some(6155.97))
    );
    assert!(cart["createdAt"].as_i64().unwrap() > 1_700_000_000_000 && cart["updatedAt"].as_i64() >= cart["createdAt"].as_i64());
    assert_eq!(server.get("/api/ecommerce/cart/session-cart").await, cart);
    let (status, problem) = server.post(path, &json!({"productId": "NOTHING", "userId": "anna", "quantity": 1})).await;
    assert_eq!((status, &problem["code"]), (404, &json!("unknown_product")));
    // Stock is not checked here: the order is allocated later.
    let (status, _) = server.post(path, &json!({"productId": "PROD_0084", "userId": "anna", "quantity": 1000})).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn checkout_places_one_order_and_says_so_again() {
    let server = Server::start_filled(Options::default()).await;
    let shopper = Shopper::new("checkout");
    let (status, problem) = shopper.checkout(&server, false).await;
    assert_eq!((status, &problem["code"]), (400, &json!("cart_empty")));

    shopper.add(&server, "PROD_0003", 1).await;
    let body = shopper.checkout_body(false);
    let ask = async |key: &str, body: &Value| {
        let asked = server.http.post(server.url("/api/ecommerce/checkout")).header("Idempotency-Key", key).json(body);
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let mut expecting = body.clone();
    expecting["expectedTotal"] = json!(1.0);
    let (status, problem) = ask("other-key", &expecting).await;
    assert_eq!((status, &problem["code"]), (409, &json!("total_changed")));
    assert_eq!(problem["cart"]["items"][0]["productId"], "PROD_0003", "with the cart as it is");

    let answers = tokio::join!(ask("\"key-1\"", &body), ask("key-1", &body), ask("key-1", &body), ask("key-1", &body));
    let (status, order) = &answers.0;
    assert_eq!(*status, 200, "{order}");
    let fields = "orderId userId sessionId items subtotal tax shipping totalAmount status shippingAddress paymentInfo createdAt updatedAt timestamp";
    assert!(fields.split(' ').all(|field| keys(order).contains(field)), "{order}");
    assert_eq!((&order["status"], &order["userId"]), (&json!("PENDING"), &json!("guest")));
    assert_eq!(order["shippingAddress"]["zipCode"], "12345");
    let (subtotal, tax, shipping) =
        (order["subtotal"].as_f64().unwrap(), order["tax"].as_f64().unwrap(), order["shipping"].as_f64().unwrap());
    assert!((order["totalAmount"].as_f64().unwrap() - subtotal - tax - shipping).abs() < 0.001);
    assert!((tax - (subtotal * 8.0).round() / 100.0).abs() < 0.001);
    for (status, other) in [&answers.1, &answers.2, &answers.3] {
        assert_eq!((*status, &other["orderId"]), (200, &order["orderId"]), "one key, one order");
    }
    let (status, problem) = ask("key-1", &expecting).await;
    assert_eq!(status, 422, "{problem}");
    assert_eq!(shopper.checkout(&server, false).await.0, 400, "the cart went with the order");
    assert_eq!(server.get(&format!("/api/ecommerce/cart/{}", shopper.session)).await["items"], json!([]));

    let order_id = order["orderId"].as_str().unwrap();
    let settled = shopper.settled(&server, order_id).await;
    assert_eq!(
        (&settled["status"], &settled["items"][0]["allocated"], &settled["items"][0]["shortfall"]),
        (&json!("CONFIRMED"), &json!(1), &json!(0))
    );
    assert_eq!(ask("key-1", &body).await.1["status"], "PENDING", "the same answer as before");
    let orders = server.get(&format!("/api/ecommerce/orders?sessionId={}", shopper.session)).await;
    assert_eq!((orders.as_array().unwrap().len(), &orders[0]["orderId"]), (1, &order["orderId"]));
    let stranger =
        server.http.get(server.url(&format!("/api/ecommerce/orders/{order_id}?sessionId=stranger"))).send().await.unwrap();
    assert_eq!(stranger.status(), 404);

    let guest = Shopper::new("nulls");
    guest.add(&server, "PROD_0004", 1).await;
    let nulls = json!({"sessionId": guest.session, "userId": null, "shippingAddress": null, "paymentMethod": null});
    let (status, order) = server.post("/api/ecommerce/checkout", &nulls).await;
    assert_eq!((status, &order["userId"], &order["shippingAddress"]), (200, &json!("guest"), &Value::Null), "{order}");
}

#[tokio::test]
async fn a_removed_product_cannot_be_bought() {
    let server = Server::start_filled(Options::default()).await;
    let shopper = Shopper::new("gone");
    shopper.add(&server, "PROD_0005", 1).await;
    shopper.add(&server, "PROD_0006", 1).await;
    let (status, _) = server.operate("/admin/topics/product-updates/records", &json!({"key": "PROD_0005", "value": null})).await;
    assert_eq!(status, 200);
    let deadline = tokio::time::Instant::now() + crate::support::raw::PATIENCE;
    while server.http.get(server.url("/api/ecommerce/product/PROD_0005")).send().await.unwrap().status() != 404 {
        assert!(tokio::time::Instant::now() < deadline, "the product stays\n{}", server.log_tail());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let (status, problem) = shopper.checkout(&server, false).await;
    assert_eq!((status, &problem["code"], &problem["productIds"]), (409, &json!("product_gone"), &json!(["PROD_0005"])));
    assert_eq!(problem["productId"], "PROD_0005");
    assert_eq!(problem["cart"]["items"].as_array().unwrap().len(), 2, "nothing was ordered");
}

#[tokio::test]
async fn events_recommendations_and_status() {
    let server = Server::start_filled(Options::default()).await;
    for batch in [
        json!({"events": [], "sessionId": "s", "userId": "u"}),
        json!({"events": [{"eventId": "e", "sessionId": "s", "userId": "u", "eventType": "NEVER_HEARD_OF", "timestamp": 1, "new": [1]}], "more": 1}),
        json!({"events": [{"eventType": "PAGE_VIEW", "metadata": {"userAgent": "x", "referrer": "", "url": "/", "screenResolution": "1x1"}}]}),
    ] {
        let (status, _) = server.post("/api/ecommerce/events", &batch).await;
        assert!((200..300).contains(&status), "{batch}: {status}");
    }
    let deadline = tokio::time::Instant::now() + crate::support::raw::PATIENCE;
    loop {
        let tracked: Value =
            server.http.get(server.admin("/admin/topics/ecommerce_events/records")).send().await.unwrap().json().await.unwrap();
        let records = tracked["records"].as_array().unwrap();
        if records.len() == 2 {
            let envelope = &records.iter().find(|record| record["key"] == "s").unwrap()["value"];
            assert_eq!(keys(envelope), "uuid timestamp key toUserId eventType payload".split(' ').collect());
            assert_eq!(
                (&envelope["eventType"], &envelope["payload"]["eventType"]),
                (&json!("ECOMMERCE_EVENT"), &json!("NEVER_HEARD_OF"))
            );
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{tracked}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    let recommendation = server.get("/api/ecommerce/recommendations/anna").await;
    let fields = "recommendationId userId sessionId productIds recommendationType confidence reason timestamp";
    assert_eq!(keys(&recommendation), fields.split(' ').collect());
    assert_eq!(
        (&recommendation["recommendationType"], recommendation["productIds"].as_array().unwrap().len()),
        (&json!("TRENDING_NOW"), 8)
    );
    let shopper = Shopper::new("fitting");
    shopper.add(&server, "PROD_0001", 1).await;
    let fitting = server.get(&format!("/api/ecommerce/recommendations/guest?sessionId={}", shopper.session)).await;
    assert_eq!(fitting["recommendationType"], "SIMILAR_ITEMS", "{fitting}");
    assert!(!fitting["productIds"].as_array().unwrap().contains(&json!("PROD_0001")));

    server.until_inventory("running").await;
    let status = server.get("/api/ecommerce/status").await;
    assert_eq!(
        (&status["inventory"], &status["catalog"], &status["tracing"]),
        (&json!("running"), &json!("live"), &json!(false)),
        "{status}"
    );
}

#[tokio::test]
async fn origins_preflights_probes_and_documents() {
    let server = Server::start_filled(Options::default()).await;
    let shop = server.info.http.unwrap();
    let products = "/api/ecommerce/products?limit=1";
    for origin in ["http://localhost:3000", "http://localhost:5173", "http://localhost:8081", &format!("http://{shop}")] {
        let answer = request(shop, "GET", products, &[("Origin", origin)], b"").await;
        assert_eq!(answer.status, 200, "{origin}: {answer:?}");
        assert!(answer.head.contains(&format!("access-control-allow-origin: {origin}")), "{answer:?}");
    }
    for origin in ["http://evil.example", "null", "http://localhost:3000.evil.example", "https://localhost:3000"] {
        let answer = request(shop, "GET", products, &[("Origin", origin)], b"").await;
        assert_eq!(answer.status, 403, "{origin}");
        assert!(!answer.head.contains("access-control-allow-origin"), "{answer:?}");
    }
    let asks = [("Origin", "http://localhost:5173"), ("Access-Control-Request-Method", "POST")];
    let preflight = request(shop, "OPTIONS", "/api/ecommerce/checkout", &asks, b"").await;
    assert!((200..300).contains(&preflight.status), "{preflight:?}");
    assert!(preflight.head.contains("access-control-allow-methods: get, post, put, delete, options"), "{preflight:?}");
    let headers = "accept, authorization, content-type, x-requested-with, idempotency-key, if-none-match, traceparent";
    assert!(preflight.head.contains(&format!("access-control-allow-headers: {headers}")), "{preflight:?}");

    let trace = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let problem = request(shop, "GET", "/api/ecommerce/product/nothing", &[trace], b"").await;
    let problem: Value = serde_json::from_str(&problem.body).unwrap();
    assert_eq!((&problem["code"], &problem["traceId"]), (&json!("unknown_product"), &json!("4bf92f3577b34da6a3ce929d0e0e4736")));

    for url in [server.url("/livez"), server.url("/readyz"), server.admin("/livez"), server.admin("/readyz")] {
        assert_eq!(server.http.get(&url).send().await.unwrap().status(), 200, "{url}");
    }
    let answer = server.http.get(server.url("/openapi.json")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let document: Value = answer.json().await.unwrap();
    assert!(document["paths"]["/api/ecommerce/checkout"]["post"].is_object() && document["paths"]["/admin/roles"].is_null());
    let browser = server.http.get(server.url("/docs/")).send().await.unwrap();
    assert!(browser.status().is_success() && browser.text().await.unwrap().contains("swagger"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_that_has_just_started_reports_no_product_as_missing() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut server = Server::start_filled(Options::default().set("KARTSHOPPE__HTTP__LISTEN", free)).await;
    let (cart, product) = (server.url("/api/ecommerce/cart/restart/add"), server.url("/api/ecommerce/product/PROD_0200"));
    let body = json!({"productId": "PROD_0200", "quantity": 1});
    let mut refused = 0;
    for _ in 0..5 {
        server.kill();
        server.spawn();
        let served = async {
            loop {
                let (added, shown) = tokio::join!(server.http.post(&cart).json(&body).send(), server.http.get(&product).send());
                let (Ok(added), Ok(shown)) = (added, shown) else { continue };
                let statuses = (added.status().as_u16(), shown.status().as_u16());
                assert!(matches!(statuses, (200 | 503, 200 | 503)), "{statuses:?}: {:?}", added.text().await);
                if statuses == (200, 200) {
                    return;
                }
                refused += 1;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), served).await.unwrap();
        server.wait_until_ready().await;
    }
    println!("asked to come again: {refused} times");
}
