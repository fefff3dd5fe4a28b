//! Pages: what React builds, compiled into the binary (a development build reads it from disk). The shop's is [`SHOP`], the operators'
//! [`CONSOLE`]; each listener serves its own and has nothing of the other's.
//!
//! Hashed assets may be kept for ever, the page itself is asked for again each time. A path that the page has a route for is
//! answered with the page; so is any other that is no file and no program's, but with 404. A name that looks like a file
//! (`/product/A.1`) is a route if who asks is a browser that opens a page. Without a build there is a page that says how to make
//! one.
//!
//! The build leaves smaller copies beside its files (`app.js.br`, `app.js.gz`): who takes one gets it, with an entity tag of its
//! own.

mod console;
mod shop;

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use rust_embed::EmbeddedFile;

use super::encoding::{self, Encoding};
use super::problem::Problem;
use super::waiting_body::IsCounted;

pub use console::CONSOLE;
pub use shop::SHOP;

/// File names below this folder hold a hash of their content.
const HASHED: &str = "assets/";
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// A page with its files.
pub struct Page {
    file: fn(&str) -> Option<EmbeddedFile>,
    index: &'static str,
    /// Whether the page has a route for this path, which has no slash at its end.
    has_route: fn(&str) -> bool,
    /// Paths of programs: what is not there is a 404 and never the page.
    program_paths: &'static [&'static str],
    /// Of the page itself: its policy among them.
    headers: &'static [(&'static str, &'static str)],
    /// `Link` of the front page without a query: answers that it asks for first, which are on their way before its script is.
    preloads: Option<&'static str>,
    not_built: &'static str,
}

impl Page {
    /// Answers whatever no route answers.
    pub fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
        let path = uri.path();
        if self.is_programs(path) {
            return Problem::not_found(format!("there is nothing at {path}")).into_response();
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Problem::of_status(StatusCode::METHOD_NOT_ALLOWED, "pages are only read").into_response();
        }
        let name = path.trim_start_matches('/');
        match (self.file)(name) {
            Some(file) => self.serve(name, &file, headers),
            // A file that is not there: an old page asks for an asset of its build.
            None if name.starts_with(HASHED) || is_file_name(name) && !opens_page(headers) => {
                Problem::not_found(format!("there is nothing at {path}")).into_response()
            }
            None => match (self.file)(self.index) {
                Some(file) if self.is_route(path) => self.opened(uri, &file, headers),
                Some(file) => self.unknown(&file, headers),
                None => not_built(self.not_built),
            },
        }
    }

    /// Whether programs ask there and no page.
    #[must_use]
    pub fn is_programs(&self, path: &str) -> bool {
        is_below(path, self.program_paths)
    }

    /// Whether the page has a route for this path.
    #[must_use]
    pub fn is_route(&self, path: &str) -> bool {
        (self.has_route)(path.strip_suffix('/').unwrap_or(path))
    }

    fn opened(&self, uri: &Uri, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
        let mut response = self.serve(self.index, file, headers);
        if let Some(preloads) = self.preloads.filter(|_| uri.path() == "/" && uri.query().is_none()) {
            response.headers_mut().insert(header::LINK, HeaderValue::from_static(preloads));
        }
        response
    }

    /// The page, which says that there is nothing here; never "unchanged", as that would say that there is.
    fn unknown(&self, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
        let mut asked = headers.clone();
        asked.remove(header::IF_NONE_MATCH);
        let mut response = self.serve(self.index, file, &asked);
        *response.status_mut() = StatusCode::NOT_FOUND;
        response.headers_mut().remove(header::ETAG);
        response
    }

    fn serve(&self, name: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
        let copy = |encoding: Encoding| (self.file)(&format!("{name}{}", encoding.extension()));
        let smaller = encoding::accepted(headers).find_map(|encoding| Some((copy(encoding)?, encoding)));
        let has_copies = smaller.is_some() || Encoding::ALL.into_iter().any(|encoding| copy(encoding).is_some());
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
        if name == self.index {
            let own = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
            answer.extend(self.headers.iter().map(own));
        }
        response
    }
}

/// Whether a path is one of these or lies below it.
fn is_below(path: &str, folders: &[&str]) -> bool {
    folders.iter().any(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn is_file_name(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|last| last.contains('.'))
}

/// Browsers name this type when they open a page, and never for a picture, a script or a style.
fn opens_page(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| value.contains("text/html"))
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

fn not_built(page: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::SERVICE_UNAVAILABLE, headers, page).into_response()
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
        let get = |path: &'static str| SHOP.answer(&Method::GET, &Uri::from_static(path), &HeaderMap::new());
        for path in ["/api/nothing", "/api", "/chat/anna", "/ws/chat", "/admin/roles", "/assets/old-1234.js", "/favicon.png"] {
            assert_eq!(get(path).status(), StatusCode::NOT_FOUND, "{path}");
        }
        let browser =
            HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("text/html,application/xhtml+xml,*/*;q=0.8"))]);
        let open = |path: &'static str| SHOP.answer(&Method::GET, &Uri::from_static(path), &browser);
        assert_eq!(open("/assets/old-1234.js").status(), StatusCode::NOT_FOUND);
        for route in ["/", "/cart", "/cart/", "/checkout", "/orders", "/orders/0194", "/product/a%2Fb", "/product/A.1/"] {
            assert!(SHOP.is_route(route), "{route}");
        }
        for nowhere in ["/nothing", "/product", "/product/", "/carts", "/cart/1", "//", "/index.php", "/wp-login"] {
            assert!(!SHOP.is_route(nowhere), "{nowhere}");
        }
        for page in [get("/product/PROD_0001"), open("/product/PROD_0001"), open("/product/A.1")] {
            assert!(matches!(page.status(), StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE));
            assert!(page.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        }
    }

    #[test]
    fn only_the_plain_front_page_asks_ahead() {
        let link = |path: &'static str| {
            let response = SHOP.answer(&Method::GET, &Uri::from_static(path), &HeaderMap::new());
            (response.status() == StatusCode::OK).then(|| response.headers().contains_key(header::LINK))
        };
        for (path, asks) in
            [("/", true), ("/?category=Books", false), ("/cart", false), ("/product/A", false), ("/nothing", false)]
        {
            assert!(link(path).is_none_or(|found| found == asks), "{path}");
        }
    }

    #[test]
    fn the_consoles_routes_are_those_of_its_table() {
        let table = include_str!("../../ui/src/ops/pages.ts");
        let paths = table.lines().filter_map(|line| line.split_once("path: '")?.1.split('\'').next()).collect::<Vec<_>>();
        assert!(paths.contains(&"/"), "{paths:?}");
        for path in paths {
            let opened = path.replace([':', '?'], "").replace('*', "x");
            assert!(CONSOLE.is_route(&opened), "{path} is no route of src/api/page/console.rs");
        }
        for nowhere in ["/nothing", "/assets", "//", "/admin", "/metrics", "/docs", "/cart", "/index.html"] {
            assert!(!CONSOLE.is_route(nowhere), "{nowhere}");
        }
    }

    #[test]
    fn the_workshops_pictures_are_the_consoles_alone() {
        let path = Uri::from_static("/workshop/pictures/empty.webp");
        let picture = CONSOLE.answer(&Method::GET, &path, &HeaderMap::new());
        assert_eq!(picture.status(), StatusCode::OK);
        assert_eq!(picture.headers()[header::CONTENT_TYPE], "image/webp");
        assert_eq!(picture.headers()[header::CACHE_CONTROL], ASK_AGAIN);
        let known = HeaderMap::from_iter([(header::IF_NONE_MATCH, picture.headers()[header::ETAG].clone())]);
        assert_eq!(CONSOLE.answer(&Method::GET, &path, &known).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(SHOP.answer(&Method::GET, &path, &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
        for nowhere in ["/workshop/pictures/no-such.webp", "/workshop/01-the-page-is-empty.md", "/workshop/pictures/../README.md"]
        {
            let answer = CONSOLE.answer(&Method::GET, &Uri::from_static(nowhere), &HeaderMap::new());
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{nowhere}");
        }
    }

    #[test]
    fn each_listener_has_its_own_page_only() {
        assert!((SHOP.file)("ops.html").is_none(), "shoppers get no console");
        assert!((CONSOLE.file)("index.html").is_none());
        let get = |path: &'static str| CONSOLE.answer(&Method::GET, &Uri::from_static(path), &HeaderMap::new());
        for path in ["/admin/nothing", "/metrics/x", "/api/ecommerce/products", "/ecommerce/a/b", "/assets/old-1234.js", "/x.png"]
        {
            assert_eq!(get(path).status(), StatusCode::NOT_FOUND, "{path}");
        }
        let page = get("/topics");
        assert!(matches!(page.status(), StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE));
        if page.status() == StatusCode::OK {
            assert!(page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
            assert_eq!(get("/nothing").status(), StatusCode::NOT_FOUND);
        }
    }
}
