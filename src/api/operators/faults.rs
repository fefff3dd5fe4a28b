//! Faults on request, for drills: refused unless the configuration allows them.

use std::future::{Ready, ready};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::audit::Change;
use crate::actors::faults::{Armed, EVENT_LOG, Fault, Target};
use crate::actors::supervision::ActorKind;
use crate::api::body::JsonBody;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::state::Operators;
use crate::clock::whole_ms;
use crate::domain::ids::ProductId;
use crate::sources::wal::Step;

/// Most strikes, and the longest time, of one fault.
const COUNT_MAX: u64 = 1_000_000;
const TTL_MAX: Duration = Duration::from_secs(24 * 3600);
const TTL_DEFAULT: Duration = Duration::from_secs(60);
/// The furthest step of the clock.
const STEP_MAX_MS: i64 = 24 * 3600 * 1000;

/// A fault to be armed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultOrder {
    /// A kind (`product`, `shard`), an actor (`shard/3`, `product/PROD_0001`) or `order/<orderId>`.
    target: String,
    #[schema(value_type = String)]
    fault: Fault,
    /// Number of strikes; default 1.
    #[serde(default)]
    count: Option<u64>,
    /// How long it waits for its target: `30s`, or seconds as a number; default one minute.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    ttl: Value,
}

/// What was changed, for the log and for the caller.
type Changed = Result<(Extension<Change>, Json<Value>), Failure>;

/// Arms a fault.
#[utoipa::path(post, path = "/admin/faults", tag = "operators", request_body = FaultOrder, responses((status = 200, body = Object)))]
pub async fn arm(State(operators): State<Arc<Operators>>, JsonBody { value: order, .. }: JsonBody<FaultOrder>) -> Changed {
    check_enabled(&operators)?;
    let count = order.count.unwrap_or(1);
    if !(1..=COUNT_MAX).contains(&count) {
        return Err(Problem::field("count", format!("expected 1 to {COUNT_MAX}")).into());
    }
    let ttl = read_ttl(&order.ttl)?;
    let target = read_target(&operators, &order.target)?;
    let killed = match &target {
        Target::Product(id) if order.fault == Fault::Kill => kill_product(&operators, id).await?,
        Target::Kind(_) | Target::Actor(_) | Target::Product(_) | Target::Order(_) => 0,
    };
    let left = count - killed;
    let struck =
        killed + if left > 0 { operators.faults.inject(&operators.directory, target, order.fault, left, ttl) } else { 0 };
    let change = Change(format!("{:?} for {}, {count} times, {struck} at once", order.fault, order.target));
    let armed: Vec<Value> = operators.faults.list().iter().map(view).collect();
    Ok((Extension(change), Json(json!({"struck": struck, "armed": armed}))))
}

/// The faults that still wait for their target.
#[utoipa::path(get, path = "/admin/faults", tag = "operators", responses((status = 200, body = [Object])))]
pub fn list(State(operators): State<Arc<Operators>>) -> Ready<Json<Vec<Value>>> {
    ready(Json(operators.faults.list().iter().map(view).collect()))
}

/// By how much to step the shop's clock.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClockStep {
    /// Milliseconds ahead of the machine's clock; negative: behind it.
    ahead_ms: i64,
}

/// Steps the clock of this process, and so that of the embedded event log; the database's stays. Timers are not moved.
#[utoipa::path(post, path = "/admin/faults/clock", tag = "operators", request_body = ClockStep,
    responses((status = 200, body = Object)))]
pub fn step_clock(
    State(operators): State<Arc<Operators>>,
    JsonBody { value: ClockStep { ahead_ms }, .. }: JsonBody<ClockStep>,
) -> Ready<Changed> {
    let step = || {
        check_enabled(&operators)?;
        if !(-STEP_MAX_MS..=STEP_MAX_MS).contains(&ahead_ms) {
            return Err(Problem::field("aheadMs", format!("expected {} to {STEP_MAX_MS}", -STEP_MAX_MS)));
        }
        operators.clock.step(ahead_ms);
        Ok((Extension(Change(format!("the clock is {ahead_ms} ms ahead"))), Json(json!({"aheadMs": ahead_ms}))))
    };
    ready(step().map_err(Failure::from))
}

/// Removes all faults, and resets the clock.
#[utoipa::path(delete, path = "/admin/faults", tag = "operators", responses((status = 200, body = Object)))]
pub fn clear(State(operators): State<Arc<Operators>>) -> Ready<Result<Json<Value>, Failure>> {
    let clear = || {
        operators.clock.step(0);
        Json(json!({"cleared": operators.faults.clear()}))
    };
    ready(check_enabled(&operators).map(|()| clear()).map_err(Failure::from))
}

fn check_enabled(operators: &Operators) -> Result<(), Problem> {
    if operators.config.faults.enabled {
        return Ok(());
    }
    let detail = "faults are off: KARTSHOPPE__FAULTS__ENABLED=true allows them (for drills and tests only)";
    Err(Problem::new(StatusCode::FORBIDDEN, "faults_disabled", detail))
}

/// A product's actor dies even if it is idle; its shard knows it.
async fn kill_product(operators: &Operators, id: &str) -> Result<u64, Failure> {
    let id = ProductId::new(id)?;
    let Some(shard) = operators.shard_of(id.as_str()) else { return Ok(0) };
    Ok(u64::from(shard.kill_product(&id).await.unwrap_or(false)))
}

/// Checks that the target exists: an unknown actor is a mistake in the plan, and must not pass as a fault without effect.
fn read_target(operators: &Operators, text: &str) -> Result<Target, Problem> {
    let target = Target::from_str(text).unwrap_or_else(|never| match never {});
    if let Target::Actor(id) = &target
        && id != EVENT_LOG
        && Step::of_target(id).is_none()
        && operators.directory.find(id).is_none()
    {
        let kinds: Vec<&str> = ActorKind::ALL.into_iter().map(ActorKind::as_str).collect();
        let message = format!("no such actor; kinds are {}, ids are listed by GET /admin/actors", kinds.join(", "));
        return Err(Problem::field("target", message));
    }
    Ok(target)
}

fn read_ttl(ttl: &Value) -> Result<Duration, Problem> {
    let wrong = || Problem::field("ttl", "expected a duration such as \"30s\", or seconds, up to 24h");
    let ttl = match ttl {
        Value::Null => TTL_DEFAULT,
        Value::String(text) => humantime::parse_duration(text).map_err(|_| wrong())?,
        Value::Number(seconds) => {
            let seconds = seconds.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            seconds.ok_or_else(wrong)?
        }
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(wrong()),
    };
    if ttl > TTL_MAX { Err(wrong()) } else { Ok(ttl) }
}

fn view(armed: &Armed) -> Value {
    let left_ms = whole_ms(armed.until.saturating_duration_since(Instant::now()));
    json!({"target": armed.target.to_string(), "fault": armed.fault, "count": armed.count, "leftMs": left_ms})
}
