//! `/metrics`: OpenMetrics, or Prometheus' text format for clients that prefer it; compressed if the client accepts gzip.

use std::future::{Ready, ready};
use std::io::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::api::encoding::{Encoding, accepted};
use crate::api::problem::Problem;
use crate::api::state::Operators;
use crate::telemetry::metrics::Format;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const VARY: HeaderValue = HeaderValue::from_static("accept, accept-encoding");

/// Every figure of this process.
#[utoipa::path(get, path = "/metrics", tag = "operators",
    responses((status = 200, content((String = "text/plain"), (String = "application/openmetrics-text")))))]
pub fn read(State(operators): State<Arc<Operators>>, headers: HeaderMap) -> Ready<Response> {
    let format = asked(&headers);
    let Ok(text) = operators.metrics.render(format) else {
        return ready(Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR, "").into_response());
    };
    let content_type = if format == Format::OpenMetrics { OPEN_METRICS } else { TEXT };
    let head = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type)), (header::VARY, VARY)];
    let packed = accepted(&headers).any(|one| one == Encoding::Gzip).then(|| gzip(text.as_bytes())).flatten();
    ready(match packed {
        Some(packed) => (head, [(header::CONTENT_ENCODING, Encoding::Gzip.name())], packed).into_response(),
        None => (head, text).into_response(),
    })
}

/// The text format only for a client that names it and prefers it.
fn asked(headers: &HeaderMap) -> Format {
    let (mut open, mut text) = (0.0_f32, 0.0_f32);
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        let mut words = range.split(';').map(str::trim);
        let media = words.next().unwrap_or_default().to_ascii_lowercase();
        let weight = words.find_map(|word| word.strip_prefix("q=")).map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        match media.as_str() {
            "application/openmetrics-text" => open = open.max(weight),
            "text/plain" | "text/*" => text = text.max(weight),
            _ => {}
        }
    }
    if text > open { Format::Text } else { Format::OpenMetrics }
}

/// The fastest level: a scrape is read once.
fn gzip(text: &[u8]) -> Option<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text).ok()?;
    packer.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_for_those_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("APPLICATION/OpenMetrics-Text; version=1.0.0", Format::OpenMetrics),
            ("application/openmetrics-text;q=0, text/plain", Format::Text),
            ("application/openmetrics-text;q=0.2, text/plain", Format::Text),
            ("text/plain", Format::Text),
            ("text/plain, */*;q=0.1", Format::Text),
            ("*/*", Format::OpenMetrics),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(asked(&headers), format, "{accept}");
        }
        assert_eq!(asked(&HeaderMap::new()), Format::OpenMetrics);
    }
}
