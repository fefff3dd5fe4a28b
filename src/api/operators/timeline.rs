//! Time travel: a product at any moment since the log began, its changes, and why each happened.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use tokio::time::Instant;

use super::turns::Turns;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::shop::query::{Parameters, Parsed};
use crate::api::state::Operators;
use crate::domain::EpochMs;
use crate::domain::ids::ProductId;
use crate::records::timeline::{self, ProductTimeline, TimelineCursor, TimelineQuery, parse_moment};

/// Default and maximum number of changes in an answer.
const LIMIT: i64 = 100;
const LIMIT_MAX: i64 = 2_000;
/// A reading that takes longer ends with what it has found.
const READING_TIME: Duration = Duration::from_secs(15);

/// Each may scan a partition.
static READINGS: Turns = Turns::new(3, "too many requests are reading the log: try again");

/// The state of a product at a moment, its cause, and its changes, newest first.
#[utoipa::path(get, path = "/admin/products/{id}/timeline", tag = "operators",
    params(("id" = String, Path),
        ("at" = Option<String>, Query, description = "epoch milliseconds or RFC 3339; default now"),
        ("from" = Option<String>, Query, description = "changes from then on; default from the beginning"),
        ("to" = Option<String>, Query, description = "changes up to then; default up to `at`"),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = ProductTimeline)))]
pub async fn read(
    State(operators): State<Arc<Operators>>,
    Path(id): Path<String>,
    parameters: Parsed,
) -> Result<Json<ProductTimeline>, Failure> {
    let query = query(&id, &Parameters::new(parameters)?)?;
    let until = Instant::now() + READING_TIME;
    let _turn = READINGS.wait(until).await?;
    Ok(Json(timeline::read(&*operators.log, &query, until).await?))
}

fn query(id: &str, parameters: &Parameters) -> Result<TimelineQuery, Failure> {
    let moment = |name: &str| -> Result<Option<EpochMs>, Problem> {
        let text = parameters.text(name).filter(|text| !text.is_empty());
        text.map(parse_moment).transpose().map_err(|reason| Problem::field(name, reason))
    };
    let cursor = parameters.text("cursor").filter(|text| !text.is_empty());
    let cursor = cursor.map(|text| {
        TimelineCursor::parse(text).ok_or_else(|| Problem::field("cursor", "expected the cursor of an earlier answer"))
    });
    let query = TimelineQuery {
        product_id: ProductId::new(id)?,
        at: moment("at")?,
        from: moment("from")?,
        to: moment("to")?,
        limit: usize::try_from(parameters.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT)).unwrap_or_default(),
        cursor: cursor.transpose()?,
    };
    if query.from.zip(query.to.or(query.at)).is_some_and(|(from, to)| from > to) {
        return Err(Problem::field("from", "is later than the end of the time range").into());
    }
    Ok(query)
}
