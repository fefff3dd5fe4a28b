//! Every product that the inventory accepts works on every route; every other record is a dead letter with its reason.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::support::hostile::{accepted, refused};
use crate::support::raw::{Answer, PATIENCE, request};
use crate::support::server::{Options, Server};

/// As `encodeURIComponent` writes it.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

async fn get(server: &Server, path: &str) -> Answer {
    request(server.info.http.unwrap(), "GET", path, &[], b"").await
}

async fn list(server: &Server, query: &str) -> Vec<Value> {
    let answer = get(server, &format!("/api/ecommerce/products?limit=1000&{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

/// What XML 1.0 requires of this document, as far as a picture uses XML: legal characters, closed elements, no bare `<` or `&`,
/// no external reference. Chromium reads the same pictures with its XML parser in `ui/e2e/pictures.spec.ts`.
fn well_formed(svg: &str) -> Result<(), String> {
    let legal = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if let Some(bad) = svg.chars().find(|c| !legal(*c)) {
        return Err(format!("{bad:?} cannot stand in XML"));
    }
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some((text, after)) = rest.split_once('<') {
        for entity in text.split('&').skip(1) {
            let name = entity.split_once(';').map_or("", |(name, _)| name);
            if !["lt", "gt", "amp", "quot", "apos"].contains(&name) {
                return Err(format!("a bare & before {entity:.20}"));
            }
        }
        let (tag, next) = after.split_once('>').ok_or("a tag that never ends")?;
        rest = next;
        if tag.contains('<') {
            return Err(format!("a bare < in {tag}"));
        }
        match (tag.strip_prefix('/'), tag.ends_with('/')) {
            (Some(name), _) if open.pop() == Some(name) => {}
            (Some(name), _) => return Err(format!("{name} closes nothing")),
            (None, true) => {}
            (None, false) => open.push(tag.split(' ').next().unwrap_or_default()),
        }
    }
    for banned in [" style=", "<style", "<script", "<foreignObject", " on", "javascript:", "url(http", "<!", "<?"] {
        if svg
            .split('<')
            .filter(|tag| !tag.starts_with("text") && !tag.starts_with("title"))
            .any(|tag| format!("<{tag}").contains(banned))
        {
            return Err(format!("{banned} stands in it"));
        }
    }
    if open.is_empty() && rest.trim().is_empty() { Ok(()) } else { Err(format!("left open: {open:?}")) }
}

#[tokio::test]
async fn every_accepted_product_is_answered_by_every_route() {
    let server = Server::start_filled(Options::default()).await;
    let products = accepted();
    let records: Vec<Value> = products.iter().map(|product| json!({"key": product["productId"], "value": product})).collect();
    let (status, said) = server.operate("/admin/topics/product-updates/records", &json!({"records": records})).await;
    assert_eq!(status, 200, "{said}");
    server.until_products(200 + products.len()).await;

    let everything: BTreeSet<String> = list(&server, "").await.iter().map(|product| product["productId"].to_string()).collect();
    for product in &products {
        let id = product["productId"].as_str().unwrap();
        let path = format!("/api/ecommerce/product/{}", encoded(id));
        let answer = get(&server, &path).await;
        assert_eq!(answer.status, 200, "{id:?}: {answer:?}");
        let shown: Value = serde_json::from_str(&answer.body).unwrap();
        for field in ["productId", "name", "inventory"] {
            assert_eq!(shown[field], product[field], "{id:?}");
        }
        let url = shown["imageUrl"].as_str().unwrap();
        assert!(url.is_empty() || url.starts_with("/api/") || url.starts_with("data:"), "{id:?}: {url}");
        assert!(everything.contains(&product["productId"].to_string()), "{id:?} is not listed");

        let history = get(&server, &format!("{path}/history")).await;
        assert!(history.status == 200 && serde_json::from_str::<Value>(&history.body).unwrap().is_array(), "{id:?}: {history:?}");

        let image = get(&server, &format!("{path}/image")).await;
        assert!(image.status == 200 && image.head.contains("image/svg+xml"), "{id:?}: {image:?}");
        assert!(image.body.len() <= 6144, "{id:?}: {} bytes", image.body.len());
        if let Err(reason) = well_formed(&image.body) {
            panic!("{id:?}: {reason}\n{}", image.body);
        }

        if let Some(category) = product["category"].as_str().filter(|category| !category.is_empty()) {
            let listed = list(&server, &format!("category={}", encoded(category))).await;
            assert!(listed.iter().any(|other| other["productId"] == *id), "{id:?} is missing in category {category:?}");
        }
    }
}

#[tokio::test]
async fn whatever_is_not_accepted_is_a_dead_letter_with_its_reason() {
    let server = Server::start_filled(Options::default()).await;
    let cases = refused();
    let draft = |key: &str, value: &[u8]| json!({"key": key, "valueBase64": BASE64_STANDARD.encode(value)});
    let records: Vec<Value> = cases.iter().map(|case| draft(&case.key, &case.value)).collect();
    let (status, said) = server.operate("/admin/topics/product-updates/records", &json!({"records": records})).await;
    assert_eq!(status, 200, "{said}");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let letters = loop {
        let answer = server.http.get(server.admin("/admin/dead-letters?limit=1000")).send().await.unwrap();
        let letters: Value = answer.json().await.unwrap();
        let letters: Vec<String> = letters["records"].as_array().unwrap().iter().map(Value::to_string).collect();
        if letters.len() >= cases.len() || tokio::time::Instant::now() > deadline {
            break letters;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    for case in &cases {
        let letter = letters.iter().find(|letter| letter.contains(&format!("\"{}\"", case.key)));
        let letter =
            letter.unwrap_or_else(|| panic!("{} is no dead letter: {:.300}", case.key, String::from_utf8_lossy(&case.value)));
        assert!(letter.contains(case.reason), "{}: expected {:?} in {letter:.600}", case.key, case.reason);
    }
    server.until_products(200).await;
}

/// The file for bootstraps and browsers equals the generator's output. `KARTSHOPPE_WRITE_HOSTILE=1` rewrites it.
#[test]
fn the_hostile_catalogue_on_disk_is_the_generators() {
    let mut text = String::from("[\n");
    let products = accepted();
    for (number, product) in products.iter().enumerate() {
        let comma = if number + 1 < products.len() { "," } else { "" };
        writeln!(text, "  {product}{comma}").unwrap();
    }
    text.push_str("]\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/e2e/hostile-catalogue.json");
    if std::env::var_os("KARTSHOPPE_WRITE_HOSTILE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == text,
        "{} is stale: KARTSHOPPE_WRITE_HOSTILE=1",
        path.display()
    );
}
