//! The shop's page (`ui/index.html`).

use rust_embed::Embed;

use super::Page;

#[derive(Embed)]
#[folder = "ui/dist"]
#[allow_missing = true]
struct ShopFiles;

/// What shoppers see.
pub static SHOP: Page = Page {
    file: ShopFiles::get,
    index: "index.html",
    has_route,
    program_paths: &["/api", "/ecommerce", "/chat", "/ws", "/admin", "/metrics", "/docs", "/openapi.json"],
    headers: &[("content-security-policy", POLICY), ("referrer-policy", "same-origin")],
    preloads: Some(PRELOADS),
    not_built: NOT_BUILT,
};

/// Nothing from elsewhere: no script, style, picture or connection. To 'self' belong WebSockets to the page's own host and port.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self'; connect-src 'self'; \
     object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What `askAhead` of ui/src/main.tsx asks for, letter by letter.
const PRELOADS: &str = "</api/ecommerce/products?limit=24&sort=featured>; rel=preload; as=fetch; crossorigin, \
     </api/ecommerce/front>; rel=preload; as=fetch; crossorigin";

const NOT_BUILT: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>KartShoppe: the page is not built</title>
<h1>The page is not built</h1><p>The shop is running, but this binary holds no page. Run <code>make ui</code>, then build and start again
(<code>make run</code> does all of it).</p><p>Meanwhile: <a href="/docs/">the API</a>, <a href="/api/ecommerce/products">the products</a>.</p></html>
"#;

/// The routes of ui/src/shell/App.tsx.
fn has_route(path: &str) -> bool {
    let below = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| !rest.is_empty());
    matches!(path, "" | "/cart" | "/checkout" | "/orders") || below("/product/") || below("/orders/")
}
