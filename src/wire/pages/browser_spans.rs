//! What a page sends of its own part of a trace: `POST /api/ecommerce/traces`.

use serde::Deserialize;
use ts_rs::TS;
use utoipa::ToSchema;

use crate::domain::ids::ProductId;
use crate::telemetry::browser::{BrowserSpan, BrowserSpanName};
use crate::telemetry::context::TraceContext;

/// Spans of one page.
#[derive(Debug, Deserialize, TS, ToSchema)]
pub struct BrowserSpans {
    pub spans: Vec<PageSpan>,
}

/// Something that a page did: the name is one of a list, the ids are those of `traceparent`.
#[derive(Debug, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields)]
pub struct PageSpan {
    pub name: String,
    /// `traceparent` of the span itself.
    pub traceparent: String,
    /// Span id of the parent, if it has one.
    pub parent_span_id: Option<String>,
    /// In milliseconds since 1970, by the page's clock.
    pub start_ms: f64,
    pub end_ms: f64,
    pub product_id: Option<String>,
    pub failed: Option<bool>,
}

impl PageSpan {
    /// The span, if all of it is what a page may say.
    #[must_use]
    pub fn read(&self) -> Option<BrowserSpan> {
        let own = TraceContext::parse(&self.traceparent)?;
        // Read as a part of a traceparent: the same digits, and never only zeros.
        let parent = |id: &String| {
            let whole = format!("00-{}-{id}-01", own.trace_id_hex());
            TraceContext::parse(&whole).map(|parent| parent.span_id)
        };
        Some(BrowserSpan {
            name: BrowserSpanName::parse(&self.name)?,
            trace_id: own.trace_id,
            span_id: own.span_id,
            parent: self.parent_span_id.as_ref().map(|id| parent(id).ok_or(())).transpose().ok()?,
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            product_id: self.product_id.as_deref().map(ProductId::new).transpose().ok()?.map(|id| id.to_string()),
            failed: self.failed.unwrap_or(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_page_may_say_is_read() {
        let read = |name: &str, traceparent: &str, parent: Option<&str>, product: Option<&str>| {
            let span = serde_json::json!({
                "name": name, "traceparent": traceparent, "parentSpanId": parent, "startMs": 1.5, "endMs": 2, "productId": product,
                "secret": "x",
            });
            serde_json::from_value::<PageSpan>(span).unwrap().read()
        };
        const OWN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let span = read("repaint product", OWN, Some("00f067aa0ba902b8"), Some("PROD_0001")).unwrap();
        assert_eq!((span.parent.unwrap()[7], span.product_id.as_deref()), (0xb8, Some("PROD_0001")));
        for (name, own, parent, product) in [
            ("session-1 bought", OWN, None, None),
            ("repaint product", "00-4bf9-00f0-01", None, None),
            ("repaint product", OWN, Some("0000000000000000"), None),
            ("repaint product", OWN, Some("\r\n"), None),
            ("repaint product", OWN, None, Some("a\u{0}b")),
        ] {
            assert_eq!(read(name, own, parent, product), None, "{name} {own}");
        }
    }
}
