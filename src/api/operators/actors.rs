//! Actors: each with its counters, the products of a shard, and restarts on request.
//!
//! The counters are read where the actors stamp them: no actor is asked, however many there are. Products have no counters of
//! their own; their shard knows them.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::audit::Change;
use crate::actors::inventory::{ProductReport, ShardHandle};
use crate::actors::stats::{ActorEntry, ActorReport};
use crate::actors::supervision::ActorKind;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::shop::query::{Parameters, Parsed};
use crate::api::state::Operators;
use crate::domain::ids::ProductId;

/// Default and maximum number of a shard's products in an answer.
const LISTED: i64 = 1_000;
const LISTED_MAX: i64 = 100_000;
/// Default length of a top list.
const TOP: usize = 20;

/// The actors of this process; with `shard`, that shard's products; with `top`, sorted by that figure, the highest first.
#[utoipa::path(get, path = "/admin/actors", tag = "operators",
    params(
        ("shard" = Option<i32>, Query),
        ("top" = Option<String>, Query, description =
            "`depth` (of the mailbox), `age` (of the message being handled) or `restarts`"),
        ("limit" = Option<u32>, Query, description = "products or actors listed; by default 1000 products, or 20 of a top list"),
    ),
    responses((status = 200, body = [ActorReport])))]
pub async fn list(State(operators): State<Arc<Operators>>, parameters: Parsed) -> Result<Response, Failure> {
    let parameters = Parameters::new(parameters)?;
    let limit = parameters.number("limit", 1, LISTED_MAX)?;
    let Some(shard) = parameters.number("shard", 0, i64::from(i32::MAX))? else {
        let top = parameters.text("top").map(Top::parse).transpose()?;
        return Ok(Json(reports(&operators, top, limit.and_then(|limit| usize::try_from(limit).ok()))).into_response());
    };
    let shard = usize::try_from(shard).ok().and_then(|shard| operators.shards.get(shard));
    let unknown = || Problem::not_found(format!("there are {} shards, numbered from 0", operators.shards.len()));
    let products = shard.ok_or_else(unknown)?.list(usize::try_from(limit.unwrap_or(LISTED)).unwrap_or_default()).await?;
    Ok(Json(products).into_response())
}

/// The order of a top list.
#[derive(Debug, Clone, Copy)]
enum Top {
    Depth,
    Age,
    Restarts,
}

impl Top {
    fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "depth" => Ok(Self::Depth),
            "age" => Ok(Self::Age),
            "restarts" => Ok(Self::Restarts),
            _ => Err(Problem::field("top", "expected depth, age or restarts")),
        }
    }

    fn of(self, report: &ActorReport) -> u64 {
        match self {
            Self::Depth => report.mailbox_depth,
            Self::Age => report.handling_ms.unwrap_or(0),
            Self::Restarts => report.restarts,
        }
    }
}

fn reports(operators: &Operators, top: Option<Top>, limit: Option<usize>) -> Vec<ActorReport> {
    let mut reports: Vec<ActorReport> = operators.directory.list().iter().map(|entry| entry.report()).collect();
    if let Some(top) = top {
        reports.retain(|report| top.of(report) > 0);
        reports.sort_by_key(|report| Reverse(top.of(report)));
        reports.truncate(limit.unwrap_or(TOP));
    } else {
        reports.truncate(limit.unwrap_or(usize::MAX));
    }
    reports
}

/// One actor by its id, for example `committer`, `shard/3` or `product/PROD_0001`.
#[utoipa::path(get, path = "/admin/actors/{id}", tag = "operators", params(("id" = String, Path)),
    responses((status = 200, body = ActorReport)))]
pub async fn one(State(operators): State<Arc<Operators>>, Path(id): Path<String>) -> Result<Response, Failure> {
    if let Some(entry) = operators.directory.find(&id) {
        return Ok(Json(entry.report()).into_response());
    }
    let (shard, product) = product_of(&operators, &id)?;
    Ok(Json(shown(shard, &found(shard, &product).await?)).into_response())
}

/// Restarts an actor: it stops in order, and its supervisor starts its next incarnation. This does not count as a failure, nor
/// for the backoff. Answers when it is done. The root cannot be restarted: the process would end with it.
#[utoipa::path(post, path = "/admin/actors/{id}/restart", tag = "operators", params(("id" = String, Path)),
    responses((status = 200, body = ActorReport)))]
pub async fn restart(
    State(operators): State<Arc<Operators>>,
    Path(path): Path<String>,
) -> Result<(Extension<Change>, Response), Failure> {
    let nothing = || Problem::not_found("the only call here is POST /admin/actors/{id}/restart");
    let id = path.strip_suffix("/restart").ok_or_else(nothing)?;
    let Some(entry) = operators.directory.find(id) else { return restart_product(&operators, id).await };
    if entry.kind == ActorKind::Root {
        let detail = "the root cannot be restarted: the process would end with it";
        return Err(Problem::new(axum::http::StatusCode::CONFLICT, "root", detail).into());
    }
    let before = entry.incarnation();
    // In a task of its own, so that a client that disconnects does not leave the actor between two incarnations.
    let (roles, actor) = (operators.roles.clone(), entry.clone());
    let replacing = async move { roles.replace(&actor.id, actor.parent().unwrap_or_default()).await };
    operators
        .lifeline
        .tasks
        .spawn(replacing)
        .await
        .map_err(|_| Problem::unavailable("interrupted", "the restart was interrupted"))??;
    let change = Change(said(&entry, before));
    Ok((Extension(change), Json(entry.report()).into_response()))
}

fn said(entry: &ActorEntry, before: u64) -> String {
    format!("restarted {}: incarnation {before} was replaced by {}", entry.id, entry.incarnation())
}

async fn restart_product(operators: &Operators, id: &str) -> Result<(Extension<Change>, Response), Failure> {
    let (shard, product) = product_of(operators, id)?;
    let was_live = shard.replace_product(&product).await?;
    let report = found(shard, &product).await?;
    let change = if was_live { "restarted" } else { "had no actor to restart:" };
    let answer = shown(shard, &report);
    Ok((Extension(Change(format!("{change} {id}"))), Json(answer).into_response()))
}

fn product_of<'a>(operators: &'a Operators, id: &str) -> Result<(&'a ShardHandle, ProductId), Problem> {
    let unknown = || Problem::not_found(format!("there is no actor {}", id.chars().take(60).collect::<String>()));
    let product = id.strip_prefix("product/").and_then(|id| ProductId::new(id).ok()).ok_or_else(unknown)?;
    let shard = operators.shard_of(product.as_str()).ok_or_else(unknown)?;
    Ok((shard, product))
}

async fn found(shard: &ShardHandle, id: &ProductId) -> Result<ProductReport, Failure> {
    let unknown =
        || Problem::not_found(format!("there is no actor product/{}", id.as_str().chars().take(60).collect::<String>()));
    Ok(shard.find(id).await?.ok_or_else(unknown)?)
}

fn shown(shard: &ShardHandle, report: &ProductReport) -> Value {
    json!({"shard": shard.partition, "product": report})
}
