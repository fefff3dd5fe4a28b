//! Whether this process lives, and whether it is ready for work: `/livez` and `/readyz` of both listeners.
//!
//! Readiness covers this process's own roles: one that runs elsewhere, or was stopped on purpose, never makes it 503. Every
//! reason clears by itself when its cause is gone. Shoppers read what is wrong; paths, hosts and errors are for operators only.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::problem::Problem;
use super::state::{Operators, Shop};
use crate::actors::catalog_view::{CatalogHandle, CatalogState};
use crate::actors::kit::CallError;
use crate::actors::root::RootHandle;
use crate::actors::supervision::{ChildReport, ChildState};
use crate::config::RoleName;
use crate::log::LogError;
use crate::store::{DatabaseState, Store, StoreError};
use crate::telemetry::alarms::{About, Alarm, Alarms, Cause};

/// The problem's code while a role of this process is not ready.
pub(super) const NOT_READY: &str = "not_ready";

/// The id of the actor that holds the shop's listener.
pub const LISTENER_ID: &str = "http-listener";

/// A part that does not answer by then counts as not ready.
const PATIENCE: Duration = Duration::from_secs(3);

/// An error of the log: the public text, and the full one.
#[must_use]
pub fn alarm_of_log(error: &LogError) -> Alarm {
    let text = match error {
        LogError::Full { .. } => "no space left for the event log: free some space, and writing resumes by itself",
        LogError::Refused(_) | LogError::Unusable { .. } | LogError::InUse { .. } | LogError::UnknownTopic(_) => {
            "the event log cannot be used as it is: the operators' /readyz says why"
        }
        LogError::Unavailable(_)
        | LogError::Aborted(_)
        | LogError::Fenced { .. }
        | LogError::Deadline { .. }
        | LogError::OutOfRange { .. }
        | LogError::Closed => "the event log is not available: check its storage or brokers; the shop resumes by itself",
    };
    Alarm::blocks(text).with_detail(error)
}

/// Checks besides the roles' own reports, given the roles that run; returns the alarms that keep the process from being ready.
pub type SignOfLife = Box<dyn Fn(BTreeSet<RoleName>) -> Pin<Box<dyn Future<Output = Vec<(Cause, Alarm)>> + Send>> + Send + Sync>;

/// The causes of [`Readiness::check`]; other parts raise and clear all others.
const CHECKED: [Cause; 10] = [
    Cause::EventLog,
    Cause::Inventory,
    Cause::ShopFilling,
    Cause::CatalogueRestoring,
    Cause::RoleStarting,
    Cause::RoleFailing,
    Cause::WalReaderStarting,
    Cause::Database,
    Cause::DatabaseReadOnly,
    Cause::DatabaseBehind,
];

/// Whether the process is ready, and if not, why. Cheap to clone.
#[derive(Clone)]
pub struct Readiness(Arc<ReadinessState>);

struct ReadinessState {
    roles: RootHandle,
    store: Store,
    catalog: CatalogHandle,
    alarms: Alarms,
    /// Whether the log answers; the same question for every implementation.
    log: SignOfLife,
    /// When the last check began. Only one runs at a time, however many requests wait for it.
    last_check: Mutex<Option<Instant>>,
}

impl Readiness {
    /// Not ready before [`Readiness::set_started`]. `log` checks that the event log answers.
    #[must_use]
    pub fn new(roles: RootHandle, store: Store, catalog: CatalogHandle, alarms: Alarms, log: SignOfLife) -> Self {
        alarms.raise(About::cause(Cause::ProcessStarting), Alarm::blocks("the process is starting"));
        Self(Arc::new(ReadinessState { roles, store, catalog, alarms, log, last_check: Mutex::default() }))
    }

    /// The configured roles have been started.
    pub fn set_started(&self) {
        self.0.alarms.clear(&About::cause(Cause::ProcessStarting));
    }

    /// The process is about to stop: load balancers stop sending requests.
    pub fn set_draining(&self) {
        self.0.alarms.raise(About::cause(Cause::ProcessStopping), Alarm::blocks("the process is stopping"));
    }

    /// Whether it is about to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.alarms.stands(&About::cause(Cause::ProcessStopping))
    }

    /// What keeps the process from being ready; empty if it is.
    pub async fn reasons(&self) -> Vec<Alarm> {
        self.check().await;
        let mut standing = self.0.alarms.list();
        standing.retain(|(_, alarm)| alarm.blocks);
        // While it starts or stops, other alarms are only a consequence.
        if standing.iter().any(|(about, _)| is_start_or_stop(about)) {
            standing.retain(|(about, _)| is_start_or_stop(about));
        }
        standing.into_iter().map(|(_, alarm)| alarm).collect()
    }

    /// Warnings: what operators should look at although the process is ready.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let standing = self.0.alarms.list().into_iter().map(|(_, alarm)| alarm);
        standing.filter(|alarm| !alarm.blocks).map(|alarm| alarm.in_full()).collect()
    }

    /// Queries log, roles and database, and sets their alarms. A call during a running check waits for one that began after the
    /// call.
    pub async fn check(&self) {
        let asked = Instant::now();
        let mut last_check = self.0.last_check.lock().await;
        let rests = self.0.alarms.list().iter().any(|(about, _)| is_start_or_stop(about));
        if rests || last_check.is_some_and(|begun| begun >= asked) {
            return;
        }
        let begun = Instant::now();
        let mut found: BTreeMap<Cause, Vec<Alarm>> = BTreeMap::new();
        for (cause, alarm) in self.find().await {
            found.entry(cause).or_default().push(alarm);
        }
        for cause in CHECKED {
            self.0.alarms.set(About::cause(cause), found.remove(&cause).map(together));
        }
        *last_check = Some(begun);
    }

    async fn find(&self) -> Vec<(Cause, Alarm)> {
        let inner = &self.0;
        let roles = match inner.roles.report(PATIENCE).await {
            Ok(roles) => roles,
            Err(error) => return vec![(Cause::RoleFailing, Alarm::blocks("the roles do not answer").with_detail(error))],
        };
        let runs: Vec<_> = roles.into_iter().filter(|role| role.state != ChildState::Stopped).collect();
        let name = |role: &ChildReport| RoleName::parse(role.id.strip_prefix("role/")?);
        let names: BTreeSet<RoleName> = runs.iter().filter_map(name).collect();
        let is_api = |role: &ChildReport| name(role) == Some(RoleName::Api) && role.state == ChildState::Running;
        let runs_api = runs.iter().any(is_api);
        let silent = || vec![(Cause::EventLog, Alarm::blocks("event log: no answer; check its storage or brokers"))];
        let (of_log, of_roles, of_api) = tokio::join!(
            async { tokio::time::timeout(PATIENCE, (inner.log)(names)).await.unwrap_or_else(|_| silent()) },
            self.of_roles(&runs),
            async { if runs_api { self.of_api().await } else { Vec::new() } },
        );
        [of_log, of_roles, of_api].concat()
    }

    async fn of_roles(&self, roles: &[ChildReport]) -> Vec<(Cause, Alarm)> {
        let mut found = Vec::new();
        for role in roles {
            found.extend(self.of_role(role).await);
        }
        found
    }

    async fn of_role(&self, role: &ChildReport) -> Vec<(Cause, Alarm)> {
        let name = role.id.strip_prefix("role/").unwrap_or(&role.id);
        if role.state != ChildState::Running {
            return vec![(Cause::RoleFailing, Alarm::blocks(format!("role {name} is being restarted")))];
        }
        let Some(handle) = self.0.roles.role(name) else { return Vec::new() };
        let of_child = |child: &ChildReport| match (child.failing, child.state) {
            (true, _) => {
                let text = format!("a part of role {name} keeps failing: the operators' /readyz says which one");
                let detail = format!("{} of role {name} keeps failing: the log and /admin/actors say why", child.id);
                Some((Cause::RoleFailing, Alarm::blocks(text).with_detail(detail)))
            }
            (false, ChildState::Running) => None,
            (false, ChildState::Restarting | ChildState::Stopped) => {
                let alarm = Alarm::blocks(format!("role {name} is being started"));
                Some((Cause::RoleStarting, alarm.with_detail(format!("{} of role {name} is not running yet", child.id))))
            }
        };
        match handle.report(PATIENCE).await {
            Ok(children) => children.iter().filter_map(of_child).collect(),
            Err(CallError::NotRunning { .. }) => {
                vec![(Cause::RoleStarting, Alarm::blocks(format!("role {name} is being started")))]
            }
            Err(error) => vec![(Cause::RoleFailing, Alarm::blocks(format!("role {name} does not answer")).with_detail(error))],
        }
    }

    async fn of_api(&self) -> Vec<(Cause, Alarm)> {
        let progress = self.0.catalog.progress();
        let restoring = (progress.state == CatalogState::Restoring).then(|| {
            let (read, all) = (progress.records_read, progress.records_to_read);
            (Cause::CatalogueRestoring, Alarm::blocks(format!("the catalogue is being read: {read} of {all} records")))
        });
        let silent = || Some((Cause::Database, Alarm::blocks("database: no answer; check PostgreSQL and its machine")));
        let asked = tokio::time::timeout(PATIENCE, of_database(&self.0.store));
        restoring.into_iter().chain(asked.await.unwrap_or_else(|_| silent())).collect()
    }
}

fn is_start_or_stop(about: &About) -> bool {
    matches!(about.cause, Cause::ProcessStarting | Cause::ProcessStopping)
}

/// Merges several alarms into one, with their texts in order.
fn together(alarms: Vec<Alarm>) -> Alarm {
    let joined = |texts: Vec<String>| texts.join("; ");
    let details: Vec<String> = alarms.iter().filter_map(|alarm| alarm.detail.clone()).collect();
    let alarm = Alarm::blocks(joined(alarms.into_iter().map(|alarm| alarm.text).collect()));
    if details.is_empty() { alarm } else { alarm.with_detail(joined(details)) }
}

/// Whether the tables exist and can be written to.
async fn of_database(store: &Store) -> Option<(Cause, Alarm)> {
    Some(match store.state().await {
        Ok(DatabaseState::Writable) => return None,
        Ok(DatabaseState::ReadOnly) => {
            let text = "database: it is read-only, so no cart and no order can be written: point the shop to the primary, or set \
                        default_transaction_read_only to off";
            (Cause::DatabaseReadOnly, Alarm::blocks(text))
        }
        Ok(DatabaseState::NotMigrated) => {
            let text =
                "database: its tables are not migrated to this version yet; if this lasts, `kartshoppe db migrate` says why";
            (Cause::DatabaseBehind, Alarm::blocks(text))
        }
        Err(error) => (Cause::Database, alarm_of_store(&error)),
    })
}

fn alarm_of_store(error: &StoreError) -> Alarm {
    let text = if error.is_retryable() {
        "database: not available; check PostgreSQL and its machine; the shop resumes by itself"
    } else {
        "database: it refuses the shop's queries; the operators' /readyz says why"
    };
    Alarm::blocks(text).with_detail(error.in_full())
}

/// The process lives; no part is queried.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Object)))]
pub fn livez() -> Ready<Response> {
    ready(Json(json!({"status": "live"})).into_response())
}

/// Whether the process is ready, and if not, why.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Object), (status = 503, body = Object)))]
pub async fn readyz(State(shop): State<Arc<Shop>>) -> Response {
    let reasons = shop.readiness.reasons().await;
    // Read after the reasons, so that an answer that names the stop never calls the listener open.
    let listener = if shop.readiness.is_stopping() { ListenerState::Closing } else { ListenerState::Open };
    answer(reasons.into_iter().map(|reason| reason.text), None, listener)
}

/// The same in full, with `warnings`: what an operator should look at though the process is ready.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Object), (status = 503, body = Object)))]
pub async fn readyz_in_full(State(operators): State<Arc<Operators>>) -> Response {
    let readiness = &operators.readiness;
    let warnings = Some(readiness.warnings()).filter(|warnings| !warnings.is_empty());
    let reasons = readiness.reasons().await;
    let listener = match operators.directory.find(LISTENER_ID).is_some_and(|entry| entry.is_running()) {
        false => ListenerState::Closed,
        true if readiness.is_stopping() => ListenerState::Closing,
        true => ListenerState::Open,
    };
    answer(reasons.iter().map(Alarm::in_full), warnings, listener)
}

/// The shop's own listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum ListenerState {
    Open,
    /// It still answers, but not for long: load balancers should send no more traffic.
    Closing,
    /// The role api does not run in this process, or is being started.
    Closed,
}

/// A ready process whose listener is open has nothing to add.
fn answer(reasons: impl Iterator<Item = String>, warnings: Option<Vec<String>>, listener: ListenerState) -> Response {
    let mut distinct: Vec<String> = Vec::new();
    // Two errors may read alike once their details are left out.
    reasons.for_each(|reason| {
        if !distinct.contains(&reason) {
            distinct.push(reason)
        }
    });
    if distinct.is_empty() {
        let mut body = json!({"status": "ready"});
        warnings.into_iter().for_each(|warnings| body["warnings"] = json!(warnings));
        if listener != ListenerState::Open {
            body["listener"] = json!(listener);
        }
        return Json(body).into_response();
    }
    let problem =
        Problem::unavailable(NOT_READY, distinct.join("; ")).with("reasons", json!(distinct)).with("listener", json!(listener));
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
            let alarm = alarm_of_log(&error);
            for secret in ["/srv", "broker-7", "4711", "os error", "User:shop"] {
                assert!(!alarm.text.contains(secret), "{}", alarm.text);
            }
            assert!(alarm.in_full().contains(&error.to_string()), "{alarm:?}");
        }
    }
}
