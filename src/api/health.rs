//! Whether this process lives, and whether it is ready for work: `/livez` and `/readyz` of both listeners.
//!
//! Ready is about this process's own roles: one that runs elsewhere, or was stopped on purpose, never makes it 503.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::actors::catalog_view::{CatalogHandle, CatalogState};
use crate::actors::root::RootHandle;
use crate::actors::supervision::{ChildReport, ChildState};
use crate::config::RoleName;
use crate::log::LogFuture;
use crate::store::Store;

/// The problem's code while a role of this process is not ready.
pub(super) const NOT_READY: &str = "not_ready";

/// Whoever is asked answers by then or counts as not ready.
const PATIENCE: Duration = Duration::from_secs(1);

/// Says whether the process is ready, and if not, why. Cheap to clone.
#[derive(Clone)]
pub struct Readiness(Arc<Inner>);

struct Inner {
    roles: RootHandle,
    store: Store,
    catalog: CatalogHandle,
    started: AtomicBool,
    draining: AtomicBool,
    /// Whether the log answers; the same question for every implementation.
    log: Box<dyn Fn() -> LogFuture<'static, ()> + Send + Sync>,
}

impl Readiness {
    /// Not ready before [`Readiness::set_started`]. `log` asks the event log for a sign of life.
    #[must_use]
    pub fn new(
        roles: RootHandle,
        store: Store,
        catalog: CatalogHandle,
        log: Box<dyn Fn() -> LogFuture<'static, ()> + Send + Sync>,
    ) -> Self {
        let (started, draining) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(Inner { roles, store, catalog, started, draining, log }))
    }

    /// The configured roles were told to start.
    pub fn set_started(&self) {
        self.0.started.store(true, Ordering::Release);
    }

    /// The process is about to stop: whoever balances load sends nobody here any more.
    pub fn set_draining(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// What keeps the process from being ready; empty if it is.
    pub async fn reasons(&self) -> Vec<String> {
        let inner = &self.0;
        if inner.draining.load(Ordering::Acquire) {
            return vec!["the process is stopping".to_owned()];
        }
        if !inner.started.load(Ordering::Acquire) {
            return vec!["the process is starting".to_owned()];
        }
        let mut reasons = Vec::new();
        match tokio::time::timeout(PATIENCE, (inner.log)()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => reasons.push(error.to_string()),
            Err(_) => reasons.push("event log: no answer".to_owned()),
        }
        let roles = match inner.roles.report(PATIENCE).await {
            Ok(roles) => roles,
            Err(error) => {
                reasons.push(error.to_string());
                return reasons;
            }
        };
        for role in roles.iter().filter(|role| role.state != ChildState::Stopped) {
            reasons.extend(self.reasons_of_role(role).await);
        }
        let runs_api =
            roles.iter().any(|role| role.id == format!("role/{}", RoleName::Api.as_str()) && role.state == ChildState::Running);
        if runs_api {
            reasons.extend(self.reasons_of_api().await);
        }
        reasons
    }

    async fn reasons_of_role(&self, role: &ChildReport) -> Vec<String> {
        let name = role.id.strip_prefix("role/").unwrap_or(&role.id);
        if role.state != ChildState::Running {
            return vec![format!("role {name} is being restarted")];
        }
        let Some(handle) = self.0.roles.role(name) else { return Vec::new() };
        match handle.report(PATIENCE).await {
            Ok(children) => children
                .iter()
                .filter(|child| child.state != ChildState::Running || child.failing)
                .map(|child| {
                    format!("{} of role {name} {}", child.id, if child.failing { "keeps failing" } else { "is not running" })
                })
                .collect(),
            Err(error) => vec![format!("role {name}: {error}")],
        }
    }

    async fn reasons_of_api(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let progress = self.0.catalog.progress();
        if progress.state == CatalogState::Restoring {
            let (read, all) = (progress.records_read, progress.records_to_read);
            reasons.push(format!("the catalogue is being read: {read} of {all} records"));
        }
        match tokio::time::timeout(PATIENCE, self.0.store.now_ms()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => reasons.push(format!("database: {error}")),
            Err(_) => reasons.push("database: no answer".to_owned()),
        }
        reasons
    }
}

/// The process lives; asks nobody.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Object)))]
pub fn livez() -> Ready<Response> {
    ready(Json(json!({"status": "live"})).into_response())
}

/// Whether the process is ready, and if not, why.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Object), (status = 503, body = Object)))]
pub async fn readyz(State(readiness): State<Readiness>) -> Response {
    let reasons = readiness.reasons().await;
    if reasons.is_empty() {
        return Json(json!({"status": "ready"})).into_response();
    }
    let problem = super::problem::Problem::unavailable(NOT_READY, reasons.join("; "));
    problem.with("reasons", json!(reasons)).into_response()
}
