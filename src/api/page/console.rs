//! The operators' console (`ui/ops.html`): a build of its own, which the shop's listener does not have.

use rust_embed::{Embed, EmbeddedFile};

use super::Page;
use crate::workshop;

#[derive(Embed)]
#[folder = "ui/dist-ops"]
#[allow_missing = true]
struct ConsoleFiles;

/// What operators see.
pub static CONSOLE: Page = Page {
    file,
    index: "ops.html",
    has_route,
    program_paths: &["/admin", "/api", "/ecommerce", "/chat", "/ws", "/metrics", "/livez", "/readyz", "/docs", "/openapi.json"],
    headers: &[
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ],
    preloads: None,
    not_built: NOT_BUILT,
};

/// Its own files and this listener; nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; img-src 'self' data:; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The first parts of the routes in ui/src/ops/pages.ts.
const ROUTES: [&str; 13] =
    ["actors", "config", "flow", "inspect", "logs", "orders", "produce", "products", "r", "topics", "trouble", "wal", "workshop"];

const NOT_BUILT: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>KartShoppe: the console is not built</title>
<h1>The console is not built</h1><p>The shop is running, but this binary holds no pages. Run <code>make ui</code>, then build and start again
(<code>make run</code> does all of it).</p><p>Meanwhile: <a href="/docs/">the operators' API</a>, <a href="/readyz">is the shop ready?</a></p></html>
"#;

/// A file of the console, or a picture of the workshop's chapters. Pictures reveal nothing, and a page cannot send a token with
/// them.
fn file(name: &str) -> Option<EmbeddedFile> {
    match name.strip_prefix("workshop/") {
        Some(name) => workshop::picture(name),
        None => ConsoleFiles::get(name),
    }
}

fn has_route(path: &str) -> bool {
    path.is_empty() || path.strip_prefix('/').and_then(|rest| rest.split('/').next()).is_some_and(|first| ROUTES.contains(&first))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_address_of_the_console_has_a_page() {
        let pages = include_str!("../../../ui/src/ops/pages.ts");
        let paths = pages.split("{ path: '/").skip(1).filter_map(|rest| rest.split(['/', '\'']).next());
        let pages: BTreeSet<&str> = paths.filter(|path| !path.is_empty()).collect();
        assert_eq!(BTreeSet::from(ROUTES), pages);
        assert!(has_route("") && has_route("/orders/o-1") && !has_route("/drills") && !has_route("/dead-letters"));
    }
}
