//! Roles of this process: their state, starting and stopping them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Serialize;

use super::audit::operator_of;
use crate::actors::supervision::{ChildReport, ChildState};
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::state::Operators;
use crate::config::RoleName;

const PATIENCE: Duration = Duration::from_secs(5);

/// A role with its children.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleReport {
    name: String,
    #[schema(value_type = String)]
    state: ChildState,
    failing: bool,
    /// The operator who stopped it; null if it runs, was never started here, or its operator gave no name.
    stopped_by: Option<String>,
    #[schema(value_type = Vec<Object>)]
    children: Vec<ChildReport>,
}

/// The roles of this process and their children.
#[utoipa::path(get, path = "/admin/roles", tag = "operators", responses((status = 200, body = [RoleReport])))]
pub async fn list(State(operators): State<Arc<Operators>>) -> Result<Json<Vec<RoleReport>>, Failure> {
    let mut reports = Vec::new();
    for role in operators.roles.report(PATIENCE).await? {
        reports.push(report(&operators, role).await);
    }
    Ok(Json(reports))
}

/// Starts a role, if it is stopped.
#[utoipa::path(post, path = "/admin/roles/{role}/start", tag = "operators", params(("role" = String, Path)),
    responses((status = 200, body = RoleReport)))]
pub async fn start(State(operators): State<Arc<Operators>>, Path(role): Path<String>) -> Result<Json<RoleReport>, Failure> {
    let role = known(&role)?;
    operators.roles.start(role.as_str()).await?;
    one(&operators, role).await
}

/// Stops a role and waits until its last child has stopped.
#[utoipa::path(post, path = "/admin/roles/{role}/stop", tag = "operators", params(("role" = String, Path)),
    responses((status = 200, body = RoleReport)))]
pub async fn stop(
    State(operators): State<Arc<Operators>>,
    Path(role): Path<String>,
    headers: HeaderMap,
) -> Result<Json<RoleReport>, Failure> {
    let role = known(&role)?;
    if let Some(entry) = operators.directory.role(role) {
        entry.will_be_stopped_by(&operator_of(&headers));
    }
    operators.roles.stop(role.as_str()).await?;
    one(&operators, role).await
}

fn known(name: &str) -> Result<RoleName, Problem> {
    RoleName::parse(name).ok_or_else(|| Problem::not_found("the roles are api, inventory and cdc"))
}

async fn one(operators: &Operators, role: RoleName) -> Result<Json<RoleReport>, Failure> {
    let id = format!("role/{}", role.as_str());
    let found = operators.roles.report(PATIENCE).await?.into_iter().find(|report| report.id == id);
    let role = found.ok_or_else(|| Problem::not_found("this process has no such role"))?;
    Ok(Json(report(operators, role).await))
}

async fn report(operators: &Operators, role: ChildReport) -> RoleReport {
    let name = role.id.strip_prefix("role/").unwrap_or(&role.id).to_owned();
    let children = match operators.roles.role(&name) {
        // A role that is stopped or being restarted has no children to list.
        Some(handle) if role.state == ChildState::Running => handle.report(PATIENCE).await.unwrap_or_default(),
        _ => Vec::new(),
    };
    let stopped_by = operators.directory.find(&role.id).and_then(|entry| entry.stopped_by());
    RoleReport { name, state: role.state, failing: role.failing, stopped_by, children }
}
