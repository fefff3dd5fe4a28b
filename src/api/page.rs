//! The page: React's build, compiled into the binary (a development build reads it from disk).
//!
//! Hashed assets may be kept for ever, the page itself is asked for again each time. A path that the page has a route for is
//! answered with the page; so is any other that is no file and no program's, but with 404. A name that looks like a file
//! (`/product/A.1`) is a route if who asks is a browser that opens a page. Without a build there is a page that says how to make
//! one.
//!
//! The build leaves smaller copies beside its files (`app.js.br`, `app.js.gz`): who takes one gets it, with an entity tag of its
//! own.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use rust_embed::{Embed, EmbeddedFile};

use super::encoding::{self, Encoding};
use super::problem::Problem;
use super::waiting_body::IsCounted;

#[derive(Embed)]
#[folder = "ui/dist"]
#[allow_missing = true]
struct Files;

/// File names below this folder hold a hash of their content.
const HASHED: &str = "assets/";
const INDEX: &str = "index.html";
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
/// Nothing from elsewhere: no script, style, picture or connection. To 'self' belong WebSockets to the page's own host and port.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; style-src 'self'; connect-src 'self'; \
     object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);
/// Paths of programs: what is not there is a 404 and never the page.
const PROGRAM_PATHS: [&str; 8] = ["/api", "/ecommerce", "/chat", "/ws", "/admin", "/metrics", "/docs", "/openapi.json"];

const NOT_BUILT: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>KartShoppe: the page is not built</title>
<h1>The page is not built</h1><p>The shop is running, but this binary holds no page. Run <code>make ui</code>, then build and start again
(<code>make run</code> does all of it).</p><p>Meanwhile: <a href="/docs/">the API</a>, <a href="/api/ecommerce/products">the products</a>.</p></html>
"#;

/// Answers whatever no route answers.
pub fn answer(method: &axum::http::Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let path = uri.path();
    if PROGRAM_PATHS.iter().any(|prefix| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))) {
        return Problem::not_found(format!("there is nothing at {path}")).into_response();
    }
    if !matches!(*method, axum::http::Method::GET | axum::http::Method::HEAD) {
        return Problem::of_status(StatusCode::METHOD_NOT_ALLOWED, "pages are only read").into_response();
    }
    let name = path.trim_start_matches('/');
    match Files::get(name) {
        Some(file) => serve(name, &file, headers),
        // A file that is not there: an old page asks for an asset of its build.
        None if name.starts_with(HASHED) || is_file_name(name) && !opens_page(headers) => {
            Problem::not_found(format!("there is nothing at {path}")).into_response()
        }
        None => match Files::get(INDEX) {
            Some(file) if is_route(path) => serve(INDEX, &file, headers),
            Some(file) => unknown(&file, headers),
            None => not_built(),
        },
    }
}

/// Whether the page has a route for this path (ui/src/shell/App.tsx).
fn is_route(path: &str) -> bool {
    let below = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| !rest.is_empty());
    matches!(path.strip_suffix('/').unwrap_or(path), "" | "/cart" | "/checkout" | "/orders")
        || below("/product/")
        || below("/orders/")
}

/// The page, which says that there is nothing here; never "unchanged", as that would say that there is.
fn unknown(file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let mut asked = headers.clone();
    asked.remove(header::IF_NONE_MATCH);
    let mut response = serve(INDEX, file, &asked);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().remove(header::ETAG);
    response
}

fn is_file_name(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|last| last.contains('.'))
}

/// Browsers name this type when they open a page, and never for a picture, a script or a style.
fn opens_page(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| value.contains("text/html"))
}

fn serve(name: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let smaller = encoding::accepted(headers).find_map(|encoding| {
        let copy = Files::get(&format!("{name}{}", encoding.extension()))?;
        Some((copy, encoding))
    });
    let has_copies =
        smaller.is_some() || Encoding::ALL.iter().any(|one| Files::get(&format!("{name}{}", one.extension())).is_some());
    let sent = smaller.as_ref().map_or(file, |(copy, _)| copy);
    let hash = sent.metadata.sha256_hash();
    let tag = format!("\"{}\"", hash[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let unchanged = matches(headers, &tag);
    let mut response = if unchanged { StatusCode::NOT_MODIFIED.into_response() } else { content(sent.data.clone()) };
    let answer = response.headers_mut();
    if !unchanged && let Ok(kind) = HeaderValue::from_str(file.metadata.mimetype()) {
        answer.insert(header::CONTENT_TYPE, kind);
        if let Some((_, encoding)) = &smaller {
            answer.insert(header::CONTENT_ENCODING, encoding.name());
        }
    }
    if has_copies {
        answer.insert(header::VARY, encoding::VARY);
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.insert(header::ETAG, tag);
    }
    answer.insert(header::CACHE_CONTROL, if name.starts_with(HASHED) { FOR_EVER } else { ASK_AGAIN });
    if name == INDEX {
        answer.insert(header::CONTENT_SECURITY_POLICY, POLICY);
        answer.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    }
    response
}

fn content(data: Cow<'static, [u8]>) -> Response {
    match data {
        Cow::Owned(bytes) => Response::new(Body::from(bytes)),
        Cow::Borrowed(bytes) => {
            let mut response = Response::new(Body::from(Bytes::from_static(bytes)));
            response.extensions_mut().insert(IsCounted);
            response
        }
    }
}

fn not_built() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, NOT_BUILT).into_response()
}

/// Whether `If-None-Match` names this entity tag.
#[must_use]
pub fn matches(headers: &HeaderMap, tag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        let same = |candidate: &str| candidate.trim().strip_prefix("W/").unwrap_or(candidate.trim()) == tag;
        value.trim() == "*" || value.split(',').any(same)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_compared_weakly() {
        let asked = |value: &str| matches(&HeaderMap::from_iter([(header::IF_NONE_MATCH, value.parse().unwrap())]), "\"a\"");
        assert!(asked("\"a\"") && asked("W/\"a\"") && asked("\"b\", \"a\"") && asked("*"));
        assert!(!asked("\"b\"") && !asked("a") && !asked("\"a") && !matches(&HeaderMap::new(), "\"a\""));
    }

    #[test]
    fn programs_get_problems_and_people_get_a_page() {
        let get = |path: &'static str| answer(&axum::http::Method::GET, &Uri::from_static(path), &HeaderMap::new());
        for path in ["/api/nothing", "/api", "/chat/anna", "/ws/chat", "/admin/roles", "/assets/old-1234.js", "/favicon.png"] {
            assert_eq!(get(path).status(), StatusCode::NOT_FOUND, "{path}");
        }
        let browser =
            HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("text/html,application/xhtml+xml,*/*;q=0.8"))]);
        let open = |path: &'static str| answer(&axum::http::Method::GET, &Uri::from_static(path), &browser);
        assert_eq!(open("/assets/old-1234.js").status(), StatusCode::NOT_FOUND);
        for route in ["/", "/cart", "/cart/", "/checkout", "/orders", "/orders/0194", "/product/a%2Fb", "/product/A.1/"] {
            assert!(is_route(route), "{route}");
        }
        for nowhere in ["/nothing", "/product", "/product/", "/carts", "/cart/1", "//", "/index.php", "/wp-login"] {
            assert!(!is_route(nowhere), "{nowhere}");
        }
        for page in [get("/product/PROD_0001"), open("/product/PROD_0001"), open("/product/A.1")] {
            assert!(matches!(page.status(), StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE));
            assert!(page.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        }
    }
}
