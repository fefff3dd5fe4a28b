//! Actors: one by one with their counters, and the products of a shard.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::actors::stats::ActorReport;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::shop::query::{Parameters, Parsed};
use crate::api::state::Operators;

/// Products of a shard that are listed unless more are asked for, and at most.
const LISTED: i64 = 1_000;
const LISTED_MAX: i64 = 100_000;

/// The actors of this process; with `shard`, that shard's products.
#[utoipa::path(get, path = "/admin/actors", tag = "operators",
    params(("shard" = Option<i32>, Query), ("limit" = Option<u32>, Query, description = "products listed; 1000 if left out")),
    responses((status = 200, body = [Object])))]
pub async fn list(State(operators): State<Arc<Operators>>, parameters: Parsed) -> Result<Response, Failure> {
    let parameters = Parameters::new(parameters)?;
    let Some(shard) = parameters.number("shard", 0, i64::from(i32::MAX))? else {
        let reports: Vec<ActorReport> = operators.directory.list().iter().map(|entry| entry.report()).collect();
        return Ok(Json(reports).into_response());
    };
    let limit = parameters.number("limit", 1, LISTED_MAX)?.unwrap_or(LISTED);
    let shard = usize::try_from(shard).ok().and_then(|shard| operators.shards.get(shard));
    let unknown = || Problem::not_found(format!("there are {} shards, numbered from 0", operators.shards.len()));
    let products = shard.ok_or_else(unknown)?.list(usize::try_from(limit).unwrap_or_default()).await?;
    Ok(Json(products).into_response())
}

/// One actor by its id, for example `committer`, `shard/3` or `product/PROD_0001`.
#[utoipa::path(get, path = "/admin/actors/{id}", tag = "operators", params(("id" = String, Path)),
    responses((status = 200, body = Object)))]
pub async fn one(State(operators): State<Arc<Operators>>, Path(id): Path<String>) -> Result<Response, Failure> {
    if let Some(entry) = operators.directory.find(&id) {
        return Ok(Json(entry.report()).into_response());
    }
    let unknown = || Problem::not_found(format!("there is no actor {}", id.chars().take(60).collect::<String>()));
    let product = id.strip_prefix("product/").ok_or_else(unknown)?;
    let shard = operators.shard_of(product).ok_or_else(unknown)?;
    // A shard has no index for operators: it lists what it has.
    let products = shard.list(usize::MAX).await?;
    let report = products.into_iter().find(|report| report.id == product).ok_or_else(unknown)?;
    Ok(Json(json!({"shard": shard.partition, "product": report})).into_response())
}
