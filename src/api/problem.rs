//! Problems as `application/problem+json` (RFC 9457), with a `code` for programs and a `traceId` for people who look
//! further.
//!
//! The listener's front renders a problem, because only it knows the trace. No text shows SQL, paths or the insides of the
//! process.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// How long a client should wait before a retry, in seconds.
pub const RETRY_AFTER_S: u32 = 1;

/// A problem, without the trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub detail: String,
    /// What is wrong with which field.
    pub fields: Vec<(String, String)>,
    pub retry_after_s: Option<u32>,
    /// Further members of this problem.
    pub extra: Option<Box<Map<String, Value>>>,
    /// The connection cannot be used again.
    pub closes: bool,
    /// The cause: for the log, never for the answer.
    pub cause: Option<Box<str>>,
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let (detail, fields) = (detail.into(), Vec::new());
        Self { status, code, detail, fields, retry_after_s: None, extra: None, closes: false, cause: None }
    }

    /// 404 for a resource that does not exist.
    #[must_use]
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", what)
    }

    /// 400 about one field.
    #[must_use]
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::fields(vec![(field.to_owned(), message.into())])
    }

    /// 400 about several fields.
    #[must_use]
    pub fn fields(fields: Vec<(String, String)>) -> Self {
        let names: Vec<&str> = fields.iter().map(|(field, _)| field.as_str()).collect();
        let detail = format!("not accepted: {}", names.join(", "));
        Self { fields, ..Self::new(StatusCode::BAD_REQUEST, "invalid_fields", detail) }
    }

    /// 503 for a temporary condition.
    #[must_use]
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self { retry_after_s: Some(RETRY_AFTER_S), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail) }
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.extra.get_or_insert_default().insert(name.to_owned(), value);
        self
    }

    /// Closes the connection after the answer.
    #[must_use]
    pub fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    /// A refusal of the framework, which is only a status.
    #[must_use]
    pub fn of_status(status: StatusCode, detail: &str) -> Self {
        let code = match status.as_u16() {
            404 => "not_found",
            405 => "method_not_allowed",
            413 => "body_too_large",
            415 => "unsupported_media_type",
            400..=499 => "bad_request",
            _ => "internal",
        };
        let reason = status.canonical_reason().unwrap_or("error");
        Self::new(status, code, if detail.is_empty() || status.is_server_error() { reason } else { detail })
    }

    /// The JSON document.
    #[must_use]
    pub fn body(&self, trace_id: &str) -> Vec<u8> {
        let mut document = Map::new();
        document.insert("type".to_owned(), json!("about:blank"));
        document.insert("title".to_owned(), json!(self.status.canonical_reason().unwrap_or("Error")));
        document.insert("status".to_owned(), json!(self.status.as_u16()));
        document.insert("code".to_owned(), json!(self.code));
        document.insert("detail".to_owned(), json!(self.detail));
        document.insert("traceId".to_owned(), json!(trace_id));
        if !self.fields.is_empty() {
            let errors = self.fields.iter().map(|(field, message)| json!({"field": field, "message": message}));
            document.insert("errors".to_owned(), errors.collect());
        }
        document.extend(self.extra.iter().flat_map(|extra| (**extra).clone()));
        // Serialising a map of strings and values to memory cannot fail.
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// The headers that belong to it.
    pub fn put_headers(&self, headers: &mut axum::http::HeaderMap) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"operators\""));
        }
        if self.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl IntoResponse for Problem {
    /// Status and the problem itself as an extension: the front writes the body.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_status_code_fields_and_trace() {
        let problem = Problem::field("quantity", "is 0, expected 1 to 1000").with("cart", json!({"items": []}));
        let body: Value = serde_json::from_slice(&problem.body("4bf9")).unwrap();
        assert_eq!(
            body,
            json!({
                "type": "about:blank", "title": "Bad Request", "status": 400, "code": "invalid_fields",
                "detail": "not accepted: quantity", "traceId": "4bf9", "cart": {"items": []},
                "errors": [{"field": "quantity", "message": "is 0, expected 1 to 1000"}],
            })
        );
        let response = Problem::unavailable("database_unavailable", "no").into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let mut headers = axum::http::HeaderMap::new();
        response.extensions().get::<Problem>().unwrap().put_headers(&mut headers);
        assert_eq!(headers[header::RETRY_AFTER], "1");
        assert_eq!(Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR, "SELECT secret").detail, "Internal Server Error");
    }
}
