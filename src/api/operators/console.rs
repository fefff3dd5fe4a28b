//! Which process the console shows, and what it may do here.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::audit::READ_ONLY;
use crate::api::state::Operators;
use crate::config::LogKind;

/// The process that answers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsoleReport {
    instance: String,
    version: &'static str,
    pid: u32,
    /// Another one after each restart.
    started_at_ms: i64,
    now_ms: i64,
    /// `embedded` or `kafka`.
    #[schema(value_type = String)]
    log: LogKind,
    /// Where shoppers find the shop.
    shop: String,
    /// Whether spans leave this process.
    tracing: bool,
    /// Where a trace is shown, with `{trace_id}` in it; null where there is no such place, or no span leaves this process.
    trace_url: Option<String>,
    /// Whether changes are allowed here.
    writes: Allowed,
    /// Whether faults may be injected.
    faults: Allowed,
    /// Consoles of the shop's other processes.
    peers: Vec<String>,
}

/// Whether something is allowed, and if not, why.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Allowed {
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl Allowed {
    fn if_set(allowed: bool, reason: &'static str) -> Self {
        Self { allowed, reason: (!allowed).then_some(reason) }
    }
}

/// Which process this is, when it started, and what it allows.
#[utoipa::path(get, path = "/admin/console", tag = "operators", responses((status = 200, body = ConsoleReport)))]
pub fn read(State(operators): State<Arc<Operators>>) -> Ready<Json<ConsoleReport>> {
    let config = &operators.config;
    ready(Json(ConsoleReport {
        instance: operators.process.instance.clone(),
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        started_at_ms: operators.process.started_at_ms,
        now_ms: operators.clock.now_ms(),
        log: config.log.kind,
        shop: operators.process.shop.clone(),
        tracing: operators.process.tracing,
        trace_url: Some(&config.telemetry.trace_url)
            .filter(|template| operators.process.tracing && !template.is_empty())
            .cloned(),
        writes: Allowed::if_set(config.admin.writes, READ_ONLY),
        faults: Allowed::if_set(config.faults.enabled, "faults.enabled is false: faults can be injected only where it is true"),
        peers: config.admin.peers.clone(),
    }))
}
