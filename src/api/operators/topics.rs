//! Topics: what there is, and making what is missing.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::audit::Change;
use crate::api::body::OptionalJsonBody;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::state::Operators;
use crate::log::{PartitionInfo, TopicInfo};
use crate::wire::topics::Topic;

/// A topic as it stands.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicReport {
    pub topic: String,
    pub partitions: Vec<PartitionReport>,
}

/// First retained offset and end of a partition.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartitionReport {
    pub start: i64,
    pub end: i64,
}

/// Which topics to make.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicsOrder {
    /// Also the platform's topics that the shop does not use.
    #[serde(default)]
    pub all: bool,
    /// These only.
    #[serde(default)]
    pub topics: Option<Vec<String>>,
}

/// What was made.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TopicsMade {
    pub created: Vec<String>,
}

/// The topics that exist.
#[utoipa::path(get, path = "/admin/topics", tag = "operators", responses((status = 200, body = [TopicReport])))]
pub async fn list(State(operators): State<Arc<Operators>>) -> Result<Json<Vec<TopicReport>>, Failure> {
    let mut topics = operators.log.topics().await?;
    topics.sort_by_key(|info| info.topic);
    Ok(Json(topics.iter().map(report).collect()))
}

/// Makes the topics that are missing.
#[utoipa::path(post, path = "/admin/topics", tag = "operators", request_body = TopicsOrder,
    responses((status = 200, body = TopicsMade)))]
pub async fn create(
    State(operators): State<Arc<Operators>>,
    OptionalJsonBody(order): OptionalJsonBody<TopicsOrder>,
) -> Result<(Extension<Change>, Json<TopicsMade>), Failure> {
    let created = operators.log.create_topics(&order.topics()?).await?;
    let created: Vec<String> = created.iter().map(ToString::to_string).collect();
    Ok((Extension(Change(format!("made the topics [{}]", created.join(", ")))), Json(TopicsMade { created })))
}

impl TopicsOrder {
    fn topics(&self) -> Result<Vec<Topic>, Problem> {
        match &self.topics {
            Some(names) => names.iter().map(|name| named(name)).collect(),
            None => Ok(Topic::ALL.into_iter().filter(|topic| self.all || topic.is_ours()).collect()),
        }
    }
}

/// A topic of the contract.
///
/// # Errors
/// 404 with the names that there are.
pub fn named(name: &str) -> Result<Topic, Problem> {
    Topic::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Topic::ALL.into_iter().map(Topic::name).collect();
        Problem::not_found(format!("there is no such topic; there are {}", names.join(", ")))
    })
}

/// A topic as it is shown.
#[must_use]
pub fn report(info: &TopicInfo) -> TopicReport {
    let partition = |partition: &PartitionInfo| PartitionReport { start: partition.start, end: partition.end };
    TopicReport { topic: info.topic.to_string(), partitions: info.partitions.iter().map(partition).collect() }
}
