//! Dead letters by reason, one in full, and their replay.
//!
//! ```text
//!  check the value ─► has its order item an outcome? ─► claim in PostgreSQL ─► append the copy ─► write down where it is
//! ```
//! A claim is made once and never given back. One without a place was cut off between claim and mark: the letter is *unclear*
//! until its copy is found on the log by its header; nothing is ever appended a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::audit::{Change, operator_of};
use super::turns::Turns;
use crate::api::body::OptionalJsonBody;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::state::Operators;
use crate::domain::EpochMs;
use crate::domain::inventory::InputTopic;
use crate::log::{LogError, NewRecord};
use crate::records::letters::{self, Letter, NamedItem};
use crate::store::{Claim, Replay, ReplayPlace};
use crate::wire::topics::Topic;

/// Dead letters of each partition that are grouped: the newest.
const NEWEST: i64 = 500;
/// Letters of a group that are shown, and bytes of their values.
const SHOWN: usize = 20;
const SHOWN_BYTES: usize = 2_000;
/// How long the log is searched for an outcome, or for a copy.
const SEARCH_TIME: Duration = Duration::from_secs(10);
const APPEND_DEADLINE: Duration = Duration::from_secs(10);
/// Each may hold some megabytes of every partition.
static LISTS: Turns = Turns::new(2, "too many requests are reading the dead letters: try again");

/// Dead letters by reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct LetterGroups {
    /// The largest first.
    groups: Vec<LetterGroup>,
    /// Older ones of a partition that holds more than were read are left out.
    read: usize,
}

/// Dead letters of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct LetterGroup {
    kind: String,
    /// The input that they came from.
    topic: Option<&'static str>,
    count: usize,
    /// The newest of them.
    letters: Vec<ShownLetter>,
}

/// One dead letter.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownLetter {
    partition: i32,
    offset: i64,
    time: EpochMs,
    message: String,
    /// Where it came from: topic/partition/offset.
    source: String,
    key: Option<String>,
    /// The value as its bytes have it, or its beginning: as text, or else in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    /// Bytes of the whole value; null for a tombstone.
    bytes: Option<usize>,
    /// The order and the product that an order event names, as far as they can be made out.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<String>,
    /// Where the outcome of its order item is, if it was looked for and found: topic/partition/offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    replay: ReplayState,
    /// Why it cannot be replayed, as far as that is known: in the list, `already_answered` is what PostgreSQL knows of the item;
    /// the log is searched for one letter, and before a replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'static str>,
}

/// Whether a dead letter was replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplayState {
    state: Replayed,
    /// Who claimed it, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_at: Option<EpochMs>,
    /// Where the copy is: topic/partition/offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    copy: Option<String>,
}

/// Whether a dead letter was replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Replayed {
    No,
    Yes,
    /// It was claimed, but whether the copy was appended was not recorded: only the log shows it.
    Unclear,
}

/// A corrected value; none of them: the letter's own.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayOrder {
    /// Any JSON, appended as it is written here.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    value: Option<Box<RawValue>>,
    #[serde(default)]
    value_base64: Option<String>,
}

/// The newest dead letters, grouped by reason.
#[utoipa::path(get, path = "/admin/dead-letters/groups", tag = "operators", responses((status = 200, body = LetterGroups)))]
pub async fn groups(State(operators): State<Arc<Operators>>) -> Result<Json<LetterGroups>, Failure> {
    let _turn = LISTS.take()?;
    let letters = letters::newest(&*operators.log, NEWEST).await?;
    let replays = operators.store.replays(&operators.log.id().await?).await?;
    let replays: BTreeMap<(i32, i64), Replay> =
        replays.into_iter().map(|replay| ((replay.partition, replay.offset), replay)).collect();
    let read = letters.len();
    let mut groups = BTreeMap::new();
    for letter in letters {
        let group: &mut (usize, Vec<Letter>) = groups.entry((letter.kind.clone(), letter.source)).or_default();
        group.0 += 1;
        if group.1.len() < SHOWN {
            group.1.push(letter);
        }
    }
    let items = groups.values().flat_map(|(_, letters)| letters).filter_map(Letter::named_item);
    let items: Vec<String> = items.map(|item| item.order_item_id.to_string()).collect();
    let answered = if items.is_empty() { BTreeSet::new() } else { operators.store.answered_items(&items).await? };
    let listed = |letter: &Letter| {
        let is_answered = |item: NamedItem| answered.contains(&(item.order_id.to_string(), item.order_item_id.to_string()));
        let answer = letter.named_item().is_some_and(is_answered).then_some(KnownOutcome { outcome: None });
        shown(letter, replays.get(&(letter.record.partition, letter.record.offset)), answer, SHOWN_BYTES)
    };
    let group = |((kind, source), (count, letters)): ((String, Option<InputTopic>), (usize, Vec<Letter>))| LetterGroup {
        kind,
        topic: source.map(InputTopic::as_str),
        count,
        letters: letters.iter().map(listed).collect(),
    };
    let mut groups: Vec<LetterGroup> = groups.into_iter().map(group).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    Ok(Json(LetterGroups { groups, read }))
}

/// One dead letter in full. The log is searched for what is not known otherwise: the copy of one that is unclear, and the outcome
/// of the order item that it names.
#[utoipa::path(get, path = "/admin/dead-letters/{partition}/{offset}", tag = "operators",
    params(("partition" = i32, Path), ("offset" = i64, Path)), responses((status = 200, body = ShownLetter)))]
pub async fn one(
    State(operators): State<Arc<Operators>>,
    Path((partition, offset)): Path<(i32, i64)>,
) -> Result<Json<ShownLetter>, Failure> {
    let letter = existing(&operators, partition, offset).await?;
    let place = place(&operators, partition, offset).await?;
    let replay = operators.store.replay_of(&place).await?;
    let replay = match replay {
        Some(replay) if replay.copy.is_none() => Some(decided(&operators, &letter, &place, replay).await?),
        replay => replay,
    };
    let answer = match letter.named_item() {
        Some(item) => match answer_of(&operators, &letter, &item).await {
            // Not known yet; a replay is refused then.
            Err(Failure::Log(LogError::Deadline { .. })) => None,
            answer => answer?,
        },
        None => None,
    };
    Ok(Json(shown(&letter, replay.as_ref(), answer, usize::MAX)))
}

/// Appends a corrected copy of a dead letter to the topic that it came from: once.
#[utoipa::path(post, path = "/admin/dead-letters/{partition}/{offset}/replay", tag = "operators",
    params(("partition" = i32, Path), ("offset" = i64, Path)), request_body = ReplayOrder,
    responses((status = 200, body = ReplayState), (status = 409, description =
        "it was replayed already, its replay is unclear, or it must not be replayed")))]
pub async fn replay(
    State(operators): State<Arc<Operators>>,
    Path((partition, offset)): Path<(i32, i64)>,
    headers: HeaderMap,
    OptionalJsonBody(order): OptionalJsonBody<ReplayOrder>,
) -> Result<(Extension<Change>, Json<ReplayState>), Failure> {
    let letter = existing(&operators, partition, offset).await?;
    let place = place(&operators, partition, offset).await?;
    if let Some(before) = operators.store.replay_of(&place).await? {
        return Err(claimed_before(&operators, &letter, &place, before).await);
    }
    let (copy, item) = checked(&operators, &letter, order).await?;
    let operator = operator_of(&headers);
    // From the claim to its end also if the caller goes away, and the drain waits for it: a claim that is left alone is unclear.
    let tasks = operators.lifeline.tasks.clone();
    let task = tasks.spawn(async move {
        let item = item.as_ref().map(|item| item.order_item_id.as_str());
        match operators.store.claim_replay(&place, &operator, copy.topic.name(), item).await? {
            Claim::Before(before) => Err(claimed_before(&operators, &letter, &place, before).await),
            Claim::ItemTaken => Err(conflict("item_claimed", "another dead letter of the same order item was replayed").into()),
            Claim::Made => append(&operators, &letter, &place, copy).await,
        }
    });
    let unclear = |_| Problem::unavailable("unclear", "it is unknown whether the copy was appended: read the dead letter again");
    task.await.map_err(unclear)?
}

fn conflict(code: &'static str, text: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, text)
}

async fn append(
    operators: &Operators,
    letter: &Letter,
    place: &ReplayPlace,
    copy: NewRecord,
) -> Result<(Extension<Change>, Json<ReplayState>), Failure> {
    let topic = copy.topic;
    let appended = operators.log.append(vec![copy], APPEND_DEADLINE).await?;
    let appended = appended
        .first()
        .ok_or_else(|| Problem::unavailable("log_unavailable", "the event log did not report where the copy is"))?;
    operators.store.mark_replayed(place, (appended.partition, appended.offset)).await?;
    let at = format!("{topic}/{}/{}", appended.partition, appended.offset);
    let replay = ReplayState { state: Replayed::Yes, operator: None, claimed_at: None, copy: Some(at.clone()) };
    Ok((Extension(Change(format!("replayed {} as {at}", letter.place()))), Json(replay)))
}

async fn existing(operators: &Operators, partition: i32, offset: i64) -> Result<Letter, Failure> {
    let letter = letters::letter(&*operators.log, partition, offset).await?;
    Ok(letter.ok_or_else(|| Problem::not_found("there is no such dead letter, or it is no longer kept"))?)
}

async fn place(operators: &Operators, partition: i32, offset: i64) -> Result<ReplayPlace, Failure> {
    Ok(ReplayPlace { log_id: operators.log.id().await?, partition, offset })
}

/// The copy, if it may be appended, with the order item that it names.
async fn checked(operators: &Operators, letter: &Letter, order: ReplayOrder) -> Result<(NewRecord, Option<NamedItem>), Failure> {
    if let Some(bytes) = &letter.cut_from {
        let text = format!("the value was truncated (it had {bytes} bytes) and cannot be replayed without the rest");
        return Err(conflict("value_cut", &text).into());
    }
    let Some(source) = letter.source else {
        return Err(conflict("no_source", "the dead letter does not name the input that it came from").into());
    };
    let value = match (order.value, order.value_base64) {
        (None, None) => letter.record.value.clone(),
        (Some(value), None) => Some(Bytes::from(value.get().to_owned())),
        (None, Some(text)) => {
            Some(Bytes::from(STANDARD.decode(text).map_err(|error| Problem::field("valueBase64", error.to_string()))?))
        }
        (Some(_), Some(_)) => return Err(Problem::field("valueBase64", "must not be given together with value").into()),
    };
    let named = letter.named_item();
    if let Some(item) = &named {
        refuse_answered(operators, letter, item).await?;
    }
    let (copy, corrected) = letter
        .copy(source, value)
        .map_err(|invalid| Problem::field("value", format!("it would become a dead letter again: {invalid}")))?;
    if let Some(item) = corrected.as_ref().filter(|item| named.as_ref() != Some(item)) {
        refuse_answered(operators, letter, item).await?;
    }
    // A copy that the log refuses after the claim could never be replayed again.
    let (size, limit) = (copy.size(), operators.log.record_limit());
    if size > limit {
        return Err(Problem::field("value", format!("the copy has {size} bytes; the limit is {limit}")).into());
    }
    Ok((copy, corrected))
}

/// An item has one outcome: its rejection, mostly, which came with the letter.
async fn refuse_answered(operators: &Operators, letter: &Letter, item: &NamedItem) -> Result<(), Failure> {
    let Some(KnownOutcome { outcome }) = answer_of(operators, letter, item).await? else { return Ok(()) };
    let text = "this order item already has its outcome, and a replay would give it a second one: the shopper has to order again";
    let problem = conflict("already_answered", text).with("offer", json!("order again")).with("outcome", json!(outcome));
    let (order_id, product_id) = (item.order_id.as_str(), item.product_id.as_str());
    Err(problem.with("orderId", json!(order_id)).with("productId", json!(product_id)).into())
}

/// The outcome that an item has.
struct KnownOutcome {
    /// Where its record is; `None` if only PostgreSQL has it.
    outcome: Option<String>,
}

/// Looks for an item's outcome in PostgreSQL and on the log: from its order's time on, or in all that is kept if there is no such
/// order here, as other programs' items may have been answered at any time.
async fn answer_of(operators: &Operators, letter: &Letter, item: &NamedItem) -> Result<Option<KnownOutcome>, Failure> {
    let order = operators.store.order(&item.order_id, None).await?;
    let since = order.as_ref().map_or(0, |order| order.created_at_ms.min(letter.record.append_time_ms));
    let row = order.as_ref().and_then(|order| order.items.iter().find(|row| row.order_item_id == item.order_item_id));
    let is_settled = row.is_some_and(|row| row.outcome.is_some());
    match letters::outcome_of(&*operators.log, item, since, Instant::now() + SEARCH_TIME).await {
        Ok(Some((at, offset))) => Ok(Some(KnownOutcome { outcome: Some(format!("{}/{}/{offset}", at.topic, at.partition)) })),
        // Its record may be gone, or not be reached in time.
        _ if is_settled => Ok(Some(KnownOutcome { outcome: None })),
        Ok(None) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The refusal of a letter that was claimed before.
async fn claimed_before(operators: &Operators, letter: &Letter, place: &ReplayPlace, before: Replay) -> Failure {
    let replay = if before.copy.is_some() { Ok(before) } else { decided(operators, letter, place, before).await };
    match replay {
        Err(failure) => failure,
        Ok(replay) => {
            let state = state_of(Some(&replay));
            let (code, text) = match state.state {
                Replayed::Yes => ("already_replayed", "it was replayed before"),
                Replayed::No | Replayed::Unclear => {
                    ("unclear", "it was claimed, but no copy is on the log; one may still arrive, so it is not replayed again")
                }
            };
            conflict(code, text).with("replay", json!(state)).into()
        }
    }
}

/// Searches for the copy of an unfinished claim.
async fn decided(operators: &Operators, letter: &Letter, place: &ReplayPlace, replay: Replay) -> Result<Replay, Failure> {
    let Some(topic) = Topic::from_name(&replay.copy_topic) else { return Ok(replay) };
    let until = Instant::now() + SEARCH_TIME;
    let copy = letters::copy_of(&*operators.log, &letter.place(), topic, replay.claimed_at_ms, until).await?;
    // Where nothing may be changed, only the answer says so.
    if let Some(copy) = copy.filter(|_| operators.config.admin.writes) {
        operators.store.mark_replayed(place, copy).await?;
    }
    Ok(Replay { copy, ..replay })
}

fn state_of(replay: Option<&Replay>) -> ReplayState {
    let state = match replay {
        None => Replayed::No,
        Some(Replay { copy: Some(_), .. }) => Replayed::Yes,
        Some(Replay { copy: None, .. }) => Replayed::Unclear,
    };
    let at = |replay: &Replay| replay.copy.map(|(partition, offset)| format!("{}/{partition}/{offset}", replay.copy_topic));
    ReplayState {
        state,
        operator: replay.map(|replay| replay.operator.clone()),
        claimed_at: replay.map(|replay| replay.claimed_at_ms),
        copy: replay.and_then(at),
    }
}

fn shown(letter: &Letter, replay: Option<&Replay>, answer: Option<KnownOutcome>, most: usize) -> ShownLetter {
    let named = letter.named_item();
    let refused = if letter.cut_from.is_some() {
        Some("value_cut")
    } else if letter.source.is_none() {
        Some("no_source")
    } else {
        answer.as_ref().map(|_| "already_answered")
    };
    let (text, base64) = letter.shown_value(most);
    ShownLetter {
        partition: letter.record.partition,
        offset: letter.record.offset,
        time: letter.record.append_time_ms,
        message: letter.message.clone(),
        source: letter.source_place.clone(),
        key: letter.record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()),
        text,
        base64,
        bytes: letter.record.value.as_ref().map(Bytes::len),
        order_id: named.as_ref().map(|item| item.order_id.to_string()),
        product_id: named.map(|item| item.product_id.to_string()),
        outcome: answer.and_then(|answer| answer.outcome),
        replay: state_of(replay),
        refused,
    }
}
