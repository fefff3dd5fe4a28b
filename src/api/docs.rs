//! The OpenAPI document of each listener at `/openapi.json`, browsable at `/docs`: from the handlers' own descriptions.
//!
//! `docs/reference/` holds both, and an AsyncAPI document of topics and WebSocket, as `make wire` writes them.

#[cfg(test)]
mod asyncapi;
#[cfg(test)]
mod reference;

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::{health, operators, shop, socket};
use crate::wire;

#[derive(OpenApi)]
#[openapi(
    info(title = "KartShoppe", description = "The shop, for pages and programs. Errors are problem documents with a code and a traceId."),
    paths(
        shop::products::list, shop::products::facets, shop::products::featured, shop::products::trending, shop::products::one, shop::products::history,
        shop::products::image, shop::inventory_state::read, shop::recommendations::read,
        shop::recommendations::of_product, shop::front::read, shop::cart::read, shop::cart::add, shop::cart::set, shop::cart::remove,
        shop::checkout::place, shop::orders::list, shop::orders::one, shop::events::track, shop::traces::take, shop::status::read, socket::open,
        health::livez, health::readyz,
    ),
    components(schemas(wire::pages::problem::Problem)),
    modifiers(&Problems),
)]
struct ShopDocument;

#[derive(OpenApi)]
#[openapi(
    info(title = "KartShoppe, operators", description = "POST and DELETE need the header X-KartShoppe-Operator and a listed Host."),
    paths(
        operators::console::read, operators::roles::list, operators::roles::start, operators::roles::stop, operators::actors::list, operators::actors::one,
        operators::actors::restart, operators::flow::read, operators::flow::watch,
        operators::logs::read, operators::logs::tail, operators::settings::config, operators::settings::cdc,
        operators::faults::list, operators::faults::arm, operators::faults::step_clock, operators::faults::clear,
        operators::alerts::list, operators::rescue::read, operators::records::dead_letters, operators::letters::groups, operators::letters::one,
        operators::letters::replay, operators::orders::list, operators::order_way::read, operators::timeline::read, operators::topics::list, operators::topics::create, operators::records::read,
        operators::records::append, operators::metrics::read, health::livez, health::readyz_in_full,
        operators::records::one, operators::search::read, operators::tail::read,
        operators::workshop::list, operators::workshop::read, operators::workshop::start, operators::workshop::check,
    ),
    components(schemas(wire::pages::problem::Problem)),
    modifiers(&Problems),
)]
struct OperatorsDocument;

/// Swagger UI has its scripts and styles beside it; it sets style attributes and draws icons from data: URLs. It calls this
/// listener only.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Every call can end with a problem.
struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
        let problem = ResponseBuilder::new().description("a problem").content("application/problem+json", content).build();
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post, &mut item.put, &mut item.delete].into_iter().flatten() {
                operation.responses.responses.insert("default".to_owned(), RefOr::T(problem.clone()));
            }
        }
    }
}

/// The shop's document and its browser.
pub(super) fn shop<S: Clone + Send + Sync + 'static>() -> Router<S> {
    browser(ShopDocument::openapi())
}

/// The operators' document and its browser.
pub(super) fn operators<S: Clone + Send + Sync + 'static>() -> Router<S> {
    browser(OperatorsDocument::openapi())
}

#[expect(clippy::expect_used, reason = "a document with string keys, written to memory, has nothing to fail on")]
fn browser<S: Clone + Send + Sync + 'static>(document: utoipa::openapi::OpenApi) -> Router<S> {
    let document = Bytes::from(document.to_json().expect("a document with string keys"));
    Router::new()
        .route("/openapi.json", get(move || async move { ([(header::CONTENT_TYPE, "application/json")], document) }))
        .route("/docs", get(async || Redirect::to("/docs/")))
        .route("/docs/", get(async || file("index.html")))
        .route("/docs/{*name}", get(async |Path(name): Path<String>| file(&name)))
        .layer(axum::middleware::map_response(async |mut response: Response| {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
            response
        }))
}

/// A file of the page: ours, which makes Swagger UI readable for everyone, before Swagger UI's of the same name.
fn file(name: &str) -> Response {
    let ours = |kind: &'static str, text: &'static str| ([(header::CONTENT_TYPE, kind)], text).into_response();
    match name {
        "index.html" => return ours("text/html; charset=utf-8", include_str!("docs/page/index.html")),
        "page.css" => return ours("text/css; charset=utf-8", include_str!("docs/page/page.css")),
        "page.js" => return ours("text/javascript; charset=utf-8", include_str!("docs/page/page.js")),
        _ => {}
    }
    let Ok(Some(file)) = utoipa_swagger_ui::serve(name, Arc::default()) else { return StatusCode::NOT_FOUND.into_response() };
    let mut response = ([(header::CONTENT_TYPE, file.content_type)], file.bytes).into_response();
    if file.gzpipped {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::{OPERATORS_ROUTES, SHOP_ROUTES};

    fn described(document: &utoipa::openapi::OpenApi) -> BTreeSet<(&'static str, String)> {
        let mut found = BTreeSet::new();
        for (path, item) in &document.paths.paths {
            let methods = [("get", &item.get), ("post", &item.post), ("put", &item.put), ("delete", &item.delete)];
            found.extend(methods.into_iter().filter(|(_, there)| there.is_some()).map(|(method, _)| (method, path.clone())));
        }
        found
    }

    #[test]
    fn the_documents_describe_exactly_the_routes() {
        for (document, routes) in [(ShopDocument::openapi(), SHOP_ROUTES), (OperatorsDocument::openapi(), OPERATORS_ROUTES)] {
            // An id has slashes, so no route can name what follows it: the handler reads the end of the path.
            let path = |method, path: &str| match (method, path) {
                ("post", "/admin/actors/{*id}") => "/admin/actors/{id}/restart".to_owned(),
                _ => path.replace("{*", "{"),
            };
            let routed: BTreeSet<_> = routes.iter().map(|(method, template)| (*method, path(*method, template))).collect();
            assert_eq!(described(&document), routed);
            let text = document.to_json().unwrap();
            assert!(text.contains("application/problem+json"));
        }
    }

    #[test]
    fn the_openapi_reference_is_current() {
        for (name, document) in
            [("openapi.json", ShopDocument::openapi()), ("openapi-operators.json", OperatorsDocument::openapi())]
        {
            reference::is_current(name, &serde_json::to_value(&document).unwrap());
        }
    }

    #[test]
    fn a_program_can_be_written_from_the_documents_alone() {
        for document in [ShopDocument::openapi(), OperatorsDocument::openapi()] {
            let json = serde_json::to_value(&document).unwrap();
            assert!(reference::all_resolve(&json) > 3, "shapes are described");
            for (path, item) in json["paths"].as_object().unwrap() {
                for (method, operation) in item.as_object().unwrap() {
                    let named = |parameter: &serde_json::Value| parameter["name"].as_str().unwrap_or_default().to_owned();
                    let described: BTreeSet<_> = operation["parameters"].as_array().into_iter().flatten().map(named).collect();
                    for part in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                        assert!(described.contains(part), "{method} {path}: {part} is not described");
                    }
                    let answers = operation["responses"].as_object().unwrap();
                    let documented = |status: &String| status.starts_with(['1', '2']);
                    assert!(
                        answers.keys().any(documented) && answers.contains_key("default"),
                        "{method} {path}: {:?}",
                        answers.keys()
                    );
                    assert!(
                        method != "post"
                            || path.ends_with("/start")
                            || path.ends_with("/stop")
                            || path.ends_with("/restart")
                            || operation["requestBody"].is_object(),
                        "{method} {path}"
                    );
                }
            }
        }
    }
}
