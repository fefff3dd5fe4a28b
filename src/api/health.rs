//! Whether this process lives, and whether it is ready for work: `/livez` and `/readyz` of both listeners.
//!
//! Ready is about this process's own roles: one that runs elsewhere, or was stopped on purpose, never makes it 503. Every reason
//! goes away by itself when its cause is gone. Shoppers read what is wrong; paths, hosts and errors are for operators only.

use std::error::Error as _;
use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::problem::Problem;
use super::state::{Operators, Shop};
use crate::actors::catalog_view::{CatalogHandle, CatalogState};
use crate::actors::root::RootHandle;
use crate::actors::supervision::{ChildReport, ChildState};
use crate::config::RoleName;
use crate::log::LogError;
use crate::store::{DatabaseState, Store, StoreError};
use crate::telemetry::alarms::{Alarm, Alarms};

/// The problem's code while a role of this process is not ready.
pub(super) const NOT_READY: &str = "not_ready";

/// Whoever is asked answers by then or counts as not ready.
const PATIENCE: Duration = Duration::from_secs(1);

/// One reason why the process is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// For everybody: no path, no error of the system, no host.
    pub public: String,
    /// For operators.
    pub full: String,
}

impl Reason {
    /// Everybody may read all of it.
    #[must_use]
    pub fn open(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { public: text.clone(), full: text }
    }

    /// What is wrong for everybody, and the error behind it for operators.
    #[must_use]
    pub fn behind(public: &str, full: impl fmt::Display) -> Self {
        Self { public: public.to_owned(), full: full.to_string() }
    }

    /// An error of the log.
    #[must_use]
    pub fn of_log(error: &LogError) -> Self {
        let public = match error {
            LogError::Full { .. } => "no space left for the event log: free some, writing goes on by itself",
            LogError::Refused(_) | LogError::Unusable { .. } | LogError::InUse { .. } | LogError::UnknownTopic(_) => {
                "the event log cannot be used as it is: the operators' /readyz says why"
            }
            LogError::Unavailable(_)
            | LogError::Aborted(_)
            | LogError::Fenced { .. }
            | LogError::Deadline { .. }
            | LogError::OutOfRange { .. }
            | LogError::Closed => "the event log is not available",
        };
        Self::behind(public, error)
    }

    /// An error of PostgreSQL, with its cause for operators.
    #[must_use]
    pub fn of_store(error: &StoreError) -> Self {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        let public = if error.is_retryable() { "database: not available" } else { "database: it refuses what the shop asks" };
        Self::behind(public, format!("database: {error}{cause}"))
    }
}

impl From<Alarm> for Reason {
    fn from(alarm: Alarm) -> Self {
        Self { full: alarm.in_full(), public: alarm.text }
    }
}

/// What is asked besides the roles' own reports; `None` if nothing speaks against being ready.
pub type SignOfLife = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Option<Reason>> + Send>> + Send + Sync>;

/// Says whether the process is ready, and if not, why. Cheap to clone.
#[derive(Clone)]
pub struct Readiness(Arc<Inner>);

struct Inner {
    roles: RootHandle,
    store: Store,
    catalog: CatalogHandle,
    alarms: Alarms,
    started: AtomicBool,
    draining: AtomicBool,
    /// Whether the log answers; the same question for every implementation.
    log: SignOfLife,
}

impl Readiness {
    /// Not ready before [`Readiness::set_started`]. `log` asks the event log for a sign of life.
    #[must_use]
    pub fn new(roles: RootHandle, store: Store, catalog: CatalogHandle, alarms: Alarms, log: SignOfLife) -> Self {
        let (started, draining) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(Inner { roles, store, catalog, alarms, started, draining, log }))
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
    pub async fn reasons(&self) -> Vec<Reason> {
        let inner = &self.0;
        if inner.draining.load(Ordering::Acquire) {
            return vec![Reason::open("the process is stopping")];
        }
        if !inner.started.load(Ordering::Acquire) {
            return vec![Reason::open("the process is starting")];
        }
        let standing = inner.alarms.list().into_iter().map(|(_, alarm)| alarm);
        let mut reasons: Vec<Reason> = standing.filter(|alarm| alarm.blocks).map(Reason::from).collect();
        let silent = || Some(Reason::open("event log: no answer"));
        reasons.extend(tokio::time::timeout(PATIENCE, (inner.log)()).await.unwrap_or_else(|_| silent()));
        let roles = match inner.roles.report(PATIENCE).await {
            Ok(roles) => roles,
            Err(error) => {
                reasons.push(Reason::open(error.to_string()));
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

    /// What an operator should look at though the process is ready.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let standing = self.0.alarms.list().into_iter().map(|(_, alarm)| alarm);
        standing.filter(|alarm| !alarm.blocks).map(|alarm| alarm.in_full()).collect()
    }

    async fn reasons_of_role(&self, role: &ChildReport) -> Vec<Reason> {
        let name = role.id.strip_prefix("role/").unwrap_or(&role.id);
        if role.state != ChildState::Running {
            return vec![Reason::open(format!("role {name} is being restarted"))];
        }
        let Some(handle) = self.0.roles.role(name) else { return Vec::new() };
        let stumbles = |child: &ChildReport| {
            let what = if child.failing { "keeps failing" } else { "is not running" };
            Reason::open(format!("{} of role {name} {what}", child.id))
        };
        match handle.report(PATIENCE).await {
            Ok(children) => {
                let stumbling = children.iter().filter(|child| child.state != ChildState::Running || child.failing);
                stumbling.map(stumbles).collect()
            }
            Err(error) => vec![Reason::open(format!("role {name}: {error}"))],
        }
    }

    async fn reasons_of_api(&self) -> Vec<Reason> {
        let progress = self.0.catalog.progress();
        let restoring = (progress.state == CatalogState::Restoring).then(|| {
            let (read, all) = (progress.records_read, progress.records_to_read);
            Reason::open(format!("the catalogue is being read: {read} of {all} records"))
        });
        let silent = || Some(Reason::open("database: no answer"));
        let asked = tokio::time::timeout(PATIENCE, reason_of_database(&self.0.store));
        restoring.into_iter().chain(asked.await.unwrap_or_else(|_| silent())).collect()
    }
}

/// Whether the tables are there and can be written to.
async fn reason_of_database(store: &Store) -> Option<Reason> {
    match store.state().await {
        Ok(DatabaseState::Writable) => None,
        Ok(DatabaseState::ReadOnly) => Some(Reason::open(
            "database: it is read-only, so no cart and no order can be written: lead the shop to the primary, or set \
             default_transaction_read_only to off",
        )),
        Ok(DatabaseState::NotMigrated) => Some(Reason::open(
            "database: its tables do not have this version's shape yet; if this lasts, `kartshoppe db migrate` says why",
        )),
        Err(error) => Some(Reason::of_store(&error)),
    }
}

/// The process lives; asks nobody.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Object)))]
pub fn livez() -> Ready<Response> {
    ready(Json(json!({"status": "live"})).into_response())
}

/// Whether the process is ready, and if not, why.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Object), (status = 503, body = Object)))]
pub async fn readyz(State(shop): State<Arc<Shop>>) -> Response {
    answer(shop.readiness.reasons().await.into_iter().map(|reason| reason.public), None)
}

/// The same in full, with `warnings`: what an operator should look at though the process is ready.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Object), (status = 503, body = Object)))]
pub async fn readyz_in_full(State(operators): State<Arc<Operators>>) -> Response {
    let readiness = &operators.readiness;
    let warnings = Some(readiness.warnings()).filter(|warnings| !warnings.is_empty());
    answer(readiness.reasons().await.into_iter().map(|reason| reason.full), warnings)
}

fn answer(reasons: impl Iterator<Item = String>, warnings: Option<Vec<String>>) -> Response {
    let mut told: Vec<String> = Vec::new();
    // Two errors may read alike once their details are left out.
    reasons.for_each(|reason| {
        if !told.contains(&reason) {
            told.push(reason)
        }
    });
    if told.is_empty() {
        let mut body = json!({"status": "ready"});
        warnings.into_iter().for_each(|warnings| body["warnings"] = json!(warnings));
        return Json(body).into_response();
    }
    let problem = Problem::unavailable(NOT_READY, told.join("; ")).with("reasons", json!(told));
    warnings.into_iter().fold(problem, |problem, warnings| problem.with("warnings", json!(warnings))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_text_of_an_error_shows_no_path_and_no_cause() {
        let path = "/srv/shop/log/kartshoppe.log.sqlite".to_owned();
        let errors = [
            LogError::Unavailable("ssl://broker-7.internal:9093/bootstrap: Connect failed".to_owned()),
            LogError::Full { path: path.clone() },
            LogError::InUse { path: path.clone(), pid: "4711".to_owned() },
            LogError::Unusable { path, reason: "Input/output error (os error 5)".to_owned() },
            LogError::Refused("grant it with kafka-acls --allow-principal User:shop, or move /srv/shop/log away".to_owned()),
        ];
        for error in errors {
            let reason = Reason::of_log(&error);
            for secret in ["/srv", "broker-7", "4711", "os error", "User:shop"] {
                assert!(!reason.public.contains(secret), "{}", reason.public);
            }
            assert_eq!(reason.full, error.to_string());
        }
        let alarm = Alarm::blocks("the log file was moved").with_detail("/srv/shop/log");
        let reason = Reason::from(alarm);
        assert_eq!(
            (reason.public.as_str(), reason.full.as_str()),
            ("the log file was moved", "the log file was moved (/srv/shop/log)")
        );
    }
}
