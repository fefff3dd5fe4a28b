//! The storefront's calls beyond the existing client's: facets, the front page, prices before a drop, reasons, related products,
//! and a cart without a socket. Over real HTTP, against the real binary.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::raw::{PATIENCE, request};
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

async fn put(server: &Server, product: &Value) {
    let record = json!({"key": product["productId"], "value": product});
    let (status, said) = server.operate("/admin/topics/product-updates/records", &record).await;
    assert_eq!(status, 200, "{said}");
}

async fn remove(server: &Server, id: &str) {
    let (status, said) = server.operate("/admin/topics/product-updates/records", &json!({"key": id, "value": null})).await;
    assert_eq!(status, 200, "{said}");
    let path = server.url(&format!("/api/ecommerce/product/{}", id.replace('/', "%2F")));
    let deadline = Instant::now() + PATIENCE;
    while server.http.get(&path).send().await.unwrap().status() != 404 {
        assert!(Instant::now() < deadline, "{id} stays");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Repeats the request until the answer is as expected.
async fn until(server: &Server, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = server.http.get(server.url(path)).send().await.unwrap();
        let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap_or_default());
        if status == 200 && wanted(&body) {
            return body;
        }
        assert!(Instant::now() < deadline, "{path}: {status} {body}\n{}", server.log_tail());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn texts<'a>(products: &'a Value, field: &str) -> Vec<&'a str> {
    products.as_array().unwrap().iter().map(|product| product[field].as_str().unwrap()).collect()
}

fn ids(products: &Value) -> Vec<&str> {
    texts(products, "productId")
}

fn sold_out(product: &Value) -> bool {
    product["inventory"] == 0
}

#[tokio::test]
async fn lists_are_counted_interleaved_and_tagged() {
    let server = Server::start_filled(Options::default()).await;
    let first = server.http.get(server.url("/api/ecommerce/products?category=books&limit=5")).send().await.unwrap();
    assert_eq!(first.headers()["x-total-count"], "24");
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = server.http.get(server.url("/api/ecommerce/products?category=books&limit=5")).header("if-none-match", &tag);
    let again = again.send().await.unwrap();
    assert_eq!((again.status().as_u16(), &again.headers()["x-total-count"]), (304, &"24".parse().unwrap()));
    for (path, total) in
        [("?limit=0", "200"), ("?page=9999", "200"), ("?limit=3&page=2", "200"), ("?search=nothingofthiskind", "0")]
    {
        let answer = server.http.get(server.url(&format!("/api/ecommerce/products{path}"))).send().await.unwrap();
        assert_eq!(answer.headers()["x-total-count"], total, "{path}");
    }
    // One product of each category after the other, each category's best rated first.
    let all = server.get("/api/ecommerce/products?limit=1000").await;
    let all = all.as_array().unwrap();
    for round in all[..64].chunks(8) {
        let categories: std::collections::BTreeSet<_> = round.iter().map(|product| product["category"].as_str()).collect();
        assert_eq!(categories.len(), 8, "{round:?}");
    }
    assert!(all[..64].windows(2).all(|pair| pair[0]["category"] != pair[1]["category"]));
    let of_books: Vec<_> = all.iter().filter(|product| product["category"] == "Books" && !sold_out(product)).collect();
    assert!(of_books.windows(2).all(|pair| pair[0]["rating"].as_f64() >= pair[1]["rating"].as_f64()));
    assert!(all.windows(2).all(|pair| !sold_out(&pair[0]) || sold_out(&pair[1])), "what is sold out comes last");
    // The same page by page.
    let mut paged = Vec::new();
    for page in 1..=7 {
        paged.extend(server.get(&format!("/api/ecommerce/products?limit=30&page={page}")).await.as_array().unwrap().clone());
    }
    assert_eq!(ids(&Value::from(paged)), ids(&Value::from(all.clone())));

    let shopper = Shopper::new("tagged");
    let book = of_books[0]["productId"].as_str().unwrap();
    shopper.add(&server, book, 1).await;
    let (_, order) = shopper.checkout(&server, false).await;
    shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
    let changed = server.http.get(server.url("/api/ecommerce/products?category=books&limit=5")).header("if-none-match", &tag);
    assert_eq!(changed.send().await.unwrap().status(), 200, "a list of other stock is another list");
}

#[tokio::test]
async fn facets_count_without_their_own_filter() {
    let server = Server::start_filled(Options::default()).await;
    let all = server.get("/api/ecommerce/products?limit=1000").await;
    let all = all.as_array().unwrap();
    let count = |wanted: &dyn Fn(&Value) -> bool| all.iter().filter(|product| wanted(product)).count();
    let facets = server.get("/api/ecommerce/products/facets").await;
    assert_eq!((facets["total"].as_u64(), facets["categories"].as_array().unwrap().len()), (Some(200), 8));
    let price = |product: &Value| product["price"].as_f64().unwrap();
    let prices: Vec<f64> = all.iter().map(price).collect();
    assert_eq!(facets["minPrice"].as_f64(), prices.iter().copied().reduce(f64::min));
    assert_eq!(facets["maxPrice"].as_f64(), prices.iter().copied().reduce(f64::max));
    let counts: Vec<u64> = facets["brands"].as_array().unwrap().iter().map(|brand| brand["count"].as_u64().unwrap()).collect();
    assert!(counts.iter().rev().is_sorted() && counts.len() <= 100 && counts.iter().sum::<u64>() <= 200);

    let brand = facets["brands"][0]["name"].as_str().unwrap();
    let category = all.iter().find(|product| product["brand"] == brand).unwrap()["category"].as_str().unwrap();
    let encoded = |text: &str| text.replace('&', "%26").replace(' ', "%20");
    let path = format!(
        "?category={}&brand={}&brand=nobody&maxPrice=100",
        encoded(&category.to_uppercase()),
        encoded(&brand.to_uppercase())
    );
    let narrow = server.get(&format!("/api/ecommerce/products/facets{path}")).await;
    let (is_brand, is_category, is_cheap) =
        (|p: &Value| p["brand"] == brand, |p: &Value| p["category"] == category, |p: &Value| price(p) <= 100.0);
    assert_eq!(narrow["total"].as_u64().unwrap() as usize, count(&|p| is_brand(p) && is_category(p) && is_cheap(p)));
    let of = |facet: &str, name: &str| {
        let kinds = narrow[facet].as_array().unwrap();
        kinds.iter().find(|kind| kind["name"] == name).map_or(0, |kind| kind["count"].as_u64().unwrap() as usize)
    };
    assert_eq!(of("categories", category), count(&|p| is_brand(p) && is_cheap(p) && is_category(p)));
    for other in facets["categories"].as_array().unwrap() {
        let name = other["name"].as_str().unwrap();
        assert_eq!(of("categories", name), count(&|p| is_brand(p) && is_cheap(p) && p["category"] == name), "{name}");
    }
    for other in facets["brands"].as_array().unwrap() {
        let name = other["name"].as_str().unwrap();
        assert_eq!(of("brands", name), count(&|p| is_category(p) && is_cheap(p) && p["brand"] == name), "{name}");
    }
    let both: Vec<f64> = all.iter().filter(|p| is_brand(p) && is_category(p)).map(price).collect();
    assert_eq!(narrow["maxPrice"].as_f64(), both.iter().copied().reduce(f64::max));
    let list = server.http.get(server.url(&format!("/api/ecommerce/products{path}&limit=1000"))).send().await.unwrap();
    assert_eq!(list.headers()["x-total-count"].to_str().unwrap(), narrow["total"].to_string());

    let nothing = server.get("/api/ecommerce/products/facets?search=nothingofthiskind").await;
    assert_eq!(nothing, json!({"total": 0, "categories": [], "brands": [], "minPrice": null, "maxPrice": null}));
    let bad = server.http.get(server.url("/api/ecommerce/products/facets?minPrice=-1")).send().await.unwrap();
    assert_eq!(bad.status(), 400);
}

#[tokio::test]
async fn a_search_lists_the_best_match_first() {
    let server = Server::start_filled(Options::default()).await;
    for (id, name, brand, tag, description) in [
        ("Z1", "Quokkalight", "Acme", "x", "x"),
        ("Z2", "A Superquokka", "Acme", "x", "x"),
        ("Z3", "Plain A", "Quokka & Sons", "x", "x"),
        ("Z4", "Plain B", "Megaquokka", "x", "x"),
        ("Z5", "Plain C", "Acme", "the quokka", "x"),
        ("Z6", "Plain D", "Acme", "xquokka", "x"),
        ("Z7", "Plain E", "Acme", "x", "It holds a quokka."),
        ("Z8", "Plain F", "Acme", "x", "Subquokkatic quokk."),
    ] {
        let product = json!({"productId": id, "name": name, "brand": brand, "tags": [tag], "description": description,
            "category": "Zoo", "price": 5.0, "inventory": 20, "rating": 1.0 + f64::from(id.as_bytes()[1]) / 100.0});
        put(&server, &product).await;
    }
    let found = until(&server, "/api/ecommerce/products?search=QUOKKA", |found| found.as_array().unwrap().len() == 8).await;
    assert_eq!(ids(&found), ["Z1", "Z2", "Z3", "Z4", "Z5", "Z6", "Z7", "Z8"]);
    let same = server.get("/api/ecommerce/products?search=quokka&sort=relevance&limit=3&page=2").await;
    assert_eq!(ids(&same), ["Z4", "Z5", "Z6"]);
    let rated = server.get("/api/ecommerce/products?search=quokka&sort=rating").await;
    assert_eq!(ids(&rated), ["Z8", "Z7", "Z6", "Z5", "Z4", "Z3", "Z2", "Z1"]);
    let few = server.get("/api/ecommerce/products?search=quokka&brand=acme&brand=megaquokka&category=zoo").await;
    assert_eq!(ids(&few), ["Z1", "Z2", "Z4", "Z5", "Z6", "Z7", "Z8"]);
    assert_eq!(server.http.get(server.url("/api/ecommerce/products?sort=nothing")).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_price_that_dropped_shows_what_it_was_also_after_a_restart() {
    let mut server = Server::start_filled(Options::default().set("KARTSHOPPE__FAULTS__ENABLED", true)).await;
    let product = |price: f64, stock: i64| json!({"productId": "DROP", "name": "Drop", "price": price, "inventory": stock});
    let path = "/api/ecommerce/product/DROP";
    put(&server, &product(20.0, 50)).await;
    let before = until(&server, path, |_| true).await;
    assert!(before.get("wasPrice").is_none() && before.get("wasAt").is_none(), "{before}");
    put(&server, &product(15.0, 50)).await;
    let dropped = until(&server, path, |found| found["price"] == 15.0 && found["wasPrice"] == 20.0).await;
    assert!(dropped["wasAt"].as_i64().unwrap() > 1_700_000_000_000);
    put(&server, &product(18.0, 40)).await;
    let risen = until(&server, path, |found| found["price"] == 18.0 && found["inventory"] == 40).await;
    assert_eq!((&risen["wasPrice"], &risen["wasAt"]), (&dropped["wasPrice"], &dropped["wasAt"]), "still below what it was");
    let front = server.get("/api/ecommerce/front").await;
    assert_eq!(ids(&front["drops"]), ["DROP"]);
    let listed = server.get("/api/ecommerce/products?search=Drop").await;
    assert!(listed.as_array().unwrap().contains(&risen), "{listed}");
    let tag = server.http.get(server.url(path)).send().await.unwrap().headers()["etag"].clone();

    server.kill();
    server.resume().await;
    let restored = until(&server, path, |found| found["wasPrice"] == 20.0).await;
    assert_eq!(restored, risen, "the same after a restart");
    assert_eq!(server.http.get(server.url(path)).send().await.unwrap().headers()["etag"], tag);
    let topic = server.http.get(server.admin("/admin/topics/products/records?limit=1000")).send().await.unwrap();
    let topic = topic.text().await.unwrap();
    assert!(topic.contains("\"DROP\""));
    assert!(!topic.contains("wasPrice"), "the topic keeps its eleven fields");

    put(&server, &product(20.0, 40)).await;
    until(&server, path, |found| found["price"] == 20.0 && found.get("wasPrice").is_none()).await;
    put(&server, &product(10.0, 40)).await;
    until(&server, path, |found| found["wasPrice"] == 20.0).await;
    let (status, said) = server.operate("/admin/faults/clock", &json!({"aheadMs": 3_700_000})).await;
    assert_eq!(status, 200, "{said}");
    until(&server, path, |found| found["price"] == 10.0 && found.get("wasPrice").is_none()).await;
    assert_eq!(server.get("/api/ecommerce/front").await["drops"], json!([]));
}

#[tokio::test]
async fn the_front_page_and_the_history_say_what_moved_and_why() {
    let server = Server::start_filled(Options::default()).await;
    assert_eq!(server.get("/api/ecommerce/status").await["lowStock"], 9);
    let product = |id: &str, stock: i64| json!({"productId": id, "name": id, "price": 5.0, "inventory": stock});
    for id in ["F1", "F2"] {
        put(&server, &product(id, 3)).await;
        until(&server, &format!("/api/ecommerce/product/{id}"), |_| true).await;
    }
    let shopper = Shopper::new("front");
    shopper.add(&server, "F1", 2).await;
    let (_, order) = shopper.checkout(&server, false).await;
    shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
    put(&server, &product("F2", 2)).await;
    let front = until(&server, "/api/ecommerce/front", |front| front["moves"][0]["product"]["productId"] == "F2").await;
    let moved: Vec<_> =
        front["moves"].as_array().unwrap().iter().map(|one| one["product"]["productId"].as_str().unwrap()).collect();
    assert_eq!(moved, ["F2", "F1"], "a product that was only added has not moved");
    assert_eq!(
        (&front["moves"][1]["change"]["reason"], &front["moves"][1]["change"]["orderId"], &front["moves"][0]["change"]["reason"]),
        (&json!("order"), &order["orderId"], &json!("correction"))
    );
    let gone: Vec<i64> = front["almostGone"].as_array().unwrap().iter().map(|one| one["inventory"].as_i64().unwrap()).collect();
    assert!(gone.is_sorted() && gone.iter().all(|stock| (1..=9).contains(stock)) && gone.len() <= 12, "{gone:?}");
    assert_eq!(ids(&front["almostGone"])[0], "F1");
    assert_eq!((ids(&front["trending"])[0], ids(&front["trending"]).len()), ("F1", 12), "sold first, then the most reviewed");
    let reviews: Vec<i64> =
        front["trending"].as_array().unwrap()[1..].iter().map(|one| one["reviewCount"].as_i64().unwrap()).collect();
    assert!(reviews.iter().rev().is_sorted());

    put(&server, &product("F2", 7)).await;
    put(&server, &json!({"productId": "F2", "name": "F2", "price": 9.0, "inventory": 7})).await;
    put(&server, &json!({"productId": "F2", "name": "Renamed", "price": 9.0, "inventory": 7})).await;
    let history = until(&server, "/api/ecommerce/product/F2/history", |history| history.as_array().unwrap().len() >= 5).await;
    assert_eq!(texts(&history, "reason"), ["added", "correction", "restock", "price", "details"]);
}

#[tokio::test]
async fn related_products_are_like_it_and_never_itself() {
    let server = Server::start_filled(Options::default()).await;
    let related = server.get("/api/ecommerce/recommendations/product/PROD_0001").await;
    assert_eq!(related["recommendationType"], "SIMILAR_ITEMS");
    let products = related["products"].as_array().unwrap();
    assert_eq!(related["productIds"], json!(ids(&related["products"])));
    assert!(
        products.len() == 8 && products.iter().all(|one| one["category"] == "Electronics" && one["productId"] != "PROD_0001")
    );
    assert!(products.windows(2).all(|pair| !sold_out(&pair[0]) || sold_out(&pair[1])));
    let unknown = server.http.get(server.url("/api/ecommerce/recommendations/product/nothing")).send().await.unwrap();
    assert_eq!(unknown.status(), 404);
    put(&server, &json!({"productId": "a/b", "name": "Alone", "price": 1.0, "inventory": 1})).await;
    let alone = until(&server, "/api/ecommerce/recommendations/product/a%2Fb", |_| true).await;
    assert_eq!((&alone["productIds"], &alone["products"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn a_cart_is_changed_without_a_socket() {
    let server = Server::start_filled(Options::default()).await;
    let shopper = Shopper::new("rest");
    let line = |id: &str| server.url(&format!("/api/ecommerce/cart/{}/items/{id}", shopper.session));
    let set = async |id: &str, quantity: Value| {
        let answer = server.http.put(line(id)).json(&json!({"quantity": quantity})).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, cart) = set("PROD_0001", json!(3)).await;
    assert_eq!((status, &cart["items"][0]["quantity"], &cart["items"][0]["available"]), (200, &json!(3), &json!(true)), "{cart}");
    let (_, cart) = set("PROD_0001", json!(2)).await;
    assert_eq!(cart["items"][0]["quantity"], 2, "absolute");
    set("PROD_0002", json!(1)).await;
    for (quantity, expected) in [(json!(1.5), 400), (json!("1"), 400), (json!(null), 400), (json!(1_000_001), 400)] {
        assert_eq!(set("PROD_0001", quantity.clone()).await.0, expected, "{quantity}");
    }
    assert_eq!(set("NOTHING", json!(1)).await.0, 404);
    assert_eq!(set("NOTHING", json!(0)).await.0, 200, "nothing to take out");
    let (_, cart) = set("PROD_0002", json!(-5)).await;
    assert_eq!(ids(&cart["items"]), ["PROD_0001"]);
    let gone = server.http.delete(line("PROD_0001")).send().await.unwrap();
    assert_eq!((gone.status().as_u16(), gone.json::<Value>().await.unwrap()["items"].clone()), (200, json!([])));
    assert_eq!(server.http.delete(line("PROD_0001")).send().await.unwrap().status(), 200);
    assert_eq!(server.get(&format!("/api/ecommerce/cart/{}", shopper.session)).await["items"], json!([]));

    put(&server, &json!({"productId": "a/b", "name": "Slash", "price": 1.0, "inventory": 9})).await;
    until(&server, "/api/ecommerce/product/a%2Fb", |_| true).await;
    set("a%2Fb", json!(4)).await;
    let (_, cart) = set("PROD_0003", json!(1)).await;
    assert_eq!(ids(&cart["items"]), ["a/b", "PROD_0003"]);
    remove(&server, "a/b").await;
    let cart = server.get(&format!("/api/ecommerce/cart/{}", shopper.session)).await;
    assert_eq!((&cart["items"][0]["available"], &cart["items"][1]["available"]), (&json!(false), &json!(true)));
    let lost = &cart["items"][0];
    assert_eq!((&lost["productName"], &lost["price"], &lost["quantity"]), (&json!("Slash"), &json!(1.0), &json!(4)), "{cart}");
    assert_eq!(lost["imageUrl"], "/api/ecommerce/product/a%2Fb/image");
    assert_eq!(cart["quote"]["subtotal"], cart["items"][1]["subtotal"], "only what is sold counts");
    assert_eq!(cart["totalAmount"], cart["items"][1]["subtotal"]);
    let (status, problem) = shopper.checkout(&server, false).await;
    assert_eq!((status, &problem["code"], &problem["productIds"]), (409, &json!("product_gone"), &json!(["a/b"])));
    assert_eq!(problem["cart"]["items"][0]["productName"], "Slash");
    assert_eq!(set("a%2Fb", json!(2)).await.0, 404, "no longer sold");
    let left = server.http.delete(line("a%2Fb")).send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(ids(&left["items"]), ["PROD_0003"]);
}

#[tokio::test]
async fn an_order_shows_its_steps_and_each_item_its_outcome() {
    let server = Server::start_filled(Options::default()).await;
    put(&server, &json!({"productId": "FEW", "name": "Few", "price": 1.0, "inventory": 1})).await;
    until(&server, "/api/ecommerce/product/FEW", |_| true).await;
    for use_cdc in [false, true] {
        let shopper = Shopper::new(&format!("steps-{use_cdc}"));
        shopper.add(&server, "PROD_0001", 1).await;
        shopper.add(&server, "FEW", 2).await;
        let (_, placed) = shopper.checkout(&server, use_cdc).await;
        assert_eq!(placed["timeline"], json!([{"step": "placed", "at": placed["createdAt"], "clock": "database"}]));
        let order = shopper.settled(&server, placed["orderId"].as_str().unwrap()).await;
        let steps = order["timeline"].as_array().unwrap();
        let told: Vec<_> = steps.iter().map(|step| (step["step"].as_str().unwrap(), step["clock"].as_str().unwrap())).collect();
        assert_eq!(told, [("placed", "database"), ("published", "broker"), ("applied", "broker"), ("settled", "database")]);
        let times: Vec<i64> = steps.iter().map(|step| step["at"].as_i64().unwrap()).collect();
        assert!(times.is_sorted() && times[0] == order["createdAt"].as_i64().unwrap(), "{order}");
        for item in order["items"].as_array().unwrap() {
            assert_eq!(
                item["allocated"].as_i64().unwrap() + item["shortfall"].as_i64().unwrap(),
                item["quantity"].as_i64().unwrap()
            );
            assert!(item["settledAt"].as_i64().unwrap() >= times[0], "{item}");
        }
    }
}

#[tokio::test]
async fn lists_are_compressed_on_request_and_a_shoppers_own_data_never_is() {
    let server = Server::start_filled(Options::default()).await;
    let shop = server.info.http.unwrap();
    let head = async |path: &str, accepts: &str| request(shop, "GET", path, &[("Accept-Encoding", accepts)], b"").await.head;
    let value = |head: &str, name: &str| head.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
    for path in ["/api/ecommerce/products?limit=50", "/api/ecommerce/products/facets", "/api/ecommerce/front"] {
        let mut tags = std::collections::BTreeSet::new();
        let mut sizes = Vec::new();
        for (accepts, named) in [("br, gzip", Some("br")), ("gzip", Some("gzip")), ("identity", None)] {
            let head = head(path, accepts).await;
            assert_eq!(value(&head, "content-encoding:").as_deref(), named, "{path} {accepts}: {head}");
            assert_eq!(value(&head, "vary:").as_deref(), Some("accept-encoding"), "{head}");
            tags.insert(value(&head, "etag:").unwrap());
            sizes.push(value(&head, "content-length:").unwrap().parse::<usize>().unwrap());
        }
        assert_eq!(tags.len(), 3, "each form has its own tag");
        assert!(sizes[0] < sizes[2] / 2 && sizes[1] < sizes[2] / 2, "{sizes:?}");
    }
    for path in ["/api/ecommerce/product/PROD_0001", "/api/ecommerce/cart/anna", "/api/ecommerce/orders?sessionId=anna"] {
        assert_eq!(value(&head(path, "br, gzip").await, "content-encoding:"), None, "{path}");
    }
}
