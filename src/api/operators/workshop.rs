//! The workshop as the console shows it: chapters, the learner's progress, and the checks that need no machine but this one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::audit::Change;
use super::turns::Turns;
use crate::api::body::OptionalJsonBody;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::state::Operators;
use crate::workshop::{
    self, Block, Chapter, Exercise, InvalidChapter, Judge, NoChapter, Progress, ProgressError, Report, Row, Stand, Text,
};

/// How long a check may be waited for.
const WAIT_MAX_MS: u64 = 30_000;

static CHECKS: Turns = Turns::new(2, "other checks are running");

/// A chapter, an exercise or another text as it is read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChapterView {
    /// `3`, `E3` for an exercise, or `troubleshooting`.
    place: String,
    title: String,
    /// Its file in the repository.
    file: String,
    state: Stand,
    /// When it was begun; null if it was not.
    begun_at_ms: Option<i64>,
    blocks: Vec<BlockView>,
}

/// A part of it, in its order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum BlockView {
    /// HTML that runs nothing, and loads nothing but the chapters' own pictures.
    Prose { html: String },
    Step {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// `run`, `refused`, `background` or `stop`.
        how: &'static str,
        text: String,
    },
    Check {
        name: String,
        /// What it asks: `shop`, `operators`, `topics`, `sql`, `page` or `command`.
        question: &'static str,
        /// Whether it was green when it was made last.
        passed: bool,
        /// Only the command line can judge it, on the learner's machine.
        local: bool,
        /// It may be green before the chapter's first step.
        always: bool,
    },
    /// For instructors; HTML as in prose.
    Notes { html: String },
    /// Of an exercise, to be hidden until it is asked for: 1 is the gentlest. HTML as in prose.
    Hint { number: usize, html: String },
}

/// How to check.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckOrder {
    /// How long to wait for what is not so yet, in milliseconds: 0 (if left out) to 30000.
    #[serde(default)]
    wait_ms: u64,
}

/// All chapters, then all exercises, and how far the learner is.
#[utoipa::path(get, path = "/admin/workshop", tag = "operators", responses((status = 200, body = [Row])))]
pub async fn list(State(operators): State<Arc<Operators>>) -> Result<Json<Vec<Row>>, Failure> {
    let (chapters, progress) = (workshop::chapters()?, progress(&operators).await?);
    let mut rows = workshop::rows(chapters, &progress);
    rows.extend(workshop::exercise_rows(workshop::exercises(), &progress));
    Ok(Json(rows))
}

/// One chapter, exercise or other text.
#[utoipa::path(get, path = "/admin/workshop/{place}", tag = "operators",
    params(("place" = String, Path, description = "the chapter's number; E and the exercise's; exercises, troubleshooting or agenda")),
    responses((status = 200, body = ChapterView)))]
pub async fn read(State(operators): State<Arc<Operators>>, Path(place): Path<String>) -> Result<Json<ChapterView>, Failure> {
    if let Some(exercise) = workshop::exercises().iter().find(|exercise| exercise.place == place) {
        return Ok(Json(exercise_view(exercise, &progress(&operators).await?)));
    }
    if let Some(text) = workshop::texts().iter().find(|text| text.place == place) {
        return Ok(Json(text_view(text)));
    }
    let chapter = chapter(&place)?;
    Ok(Json(view(chapter, &progress(&operators).await?)))
}

/// Begins a chapter: what its checks count begins now.
#[utoipa::path(post, path = "/admin/workshop/{place}/start", tag = "operators",
    params(("place" = String, Path, description = "the chapter's number")),
    responses((status = 200, body = ChapterView)))]
pub async fn start(
    State(operators): State<Arc<Operators>>,
    Path(place): Path<String>,
) -> Result<(Extension<Change>, Json<ChapterView>), Failure> {
    let chapter = chapter(&place)?;
    let now = workshop::moment_now(&operators.clock, Some(&*operators.log)).await;
    let key = chapter.number.to_string();
    let progress = change(&operators, move |progress| {
        progress.begin(&key, now);
        progress.clone()
    });
    let view = view(chapter, &progress.await?);
    Ok((Extension(Change(format!("began chapter {}", chapter.number))), Json(view)))
}

/// Judges a chapter's checks, those of the learner's machine excepted.
#[utoipa::path(post, path = "/admin/workshop/{place}/check", tag = "operators", request_body = CheckOrder,
    params(("place" = String, Path, description = "the chapter's number")),
    responses((status = 200, body = Report)))]
pub async fn check(
    State(operators): State<Arc<Operators>>,
    Path(place): Path<String>,
    OptionalJsonBody(order): OptionalJsonBody<CheckOrder>,
) -> Result<Json<Report>, Failure> {
    let chapter = chapter(&place)?;
    if order.wait_ms > WAIT_MAX_MS {
        return Err(Problem::field("waitMs", format!("0 to {WAIT_MAX_MS}")).into());
    }
    let _turn = CHECKS.take()?;
    let since = progress(&operators).await?.since(&chapter.number.to_string()).cloned();
    let (config, log) = (operators.config.clone(), operators.log.clone());
    let judge = blocking(move || Judge { since, ..Judge::of(&config, Ok(log)) }).await?;
    let mut report = Report::of(chapter, judge.chapter(chapter, Duration::from_millis(order.wait_ms)).await);
    let now = workshop::moment_now(&operators.clock, Some(&*operators.log)).await;
    let kept = change(&operators, move |progress| {
        progress.reported(&mut report, now);
        report
    });
    Ok(Json(kept.await?))
}

fn chapter(place: &str) -> Result<&'static Chapter, Failure> {
    let number = place.parse().map_err(|_| Problem::not_found("there is no such chapter: name its number"))?;
    Ok(workshop::chapter(number)?)
}

fn view(chapter: &Chapter, progress: &Progress) -> ChapterView {
    let place = chapter.number.to_string();
    let standing = progress.places.get(&place);
    let block = |block: &Block| match block {
        Block::Prose(html) => BlockView::Prose { html: html.clone() },
        Block::Notes(html) => BlockView::Notes { html: html.clone() },
        Block::Step(step) => BlockView::Step { name: step.name.clone(), how: step.kind.name(), text: step.text.clone() },
        Block::Check(check) => BlockView::Check {
            name: check.name.clone(),
            question: check.question.kind(),
            passed: standing.is_some_and(|standing| standing.passed.contains(&check.name)),
            local: check.question.is_local(),
            always: check.always,
        },
    };
    ChapterView {
        title: chapter.title.clone(),
        file: format!("docs/workshop/{}", chapter.file()),
        state: Stand::of(progress, &place),
        begun_at_ms: begun_at_ms(progress, &place),
        blocks: chapter.blocks.iter().map(block).collect(),
        place,
    }
}

fn begun_at_ms(progress: &Progress, place: &str) -> Option<i64> {
    Some(progress.places.get(place)?.begun.as_ref()?.at_ms)
}

fn exercise_view(exercise: &Exercise, progress: &Progress) -> ChapterView {
    let Exercise { place, title, file, task, hints } = exercise;
    let hints = (1..).zip(hints).map(|(number, html)| BlockView::Hint { number, html: html.clone() });
    ChapterView {
        place: place.clone(),
        title: title.clone(),
        file: (*file).to_owned(),
        state: Stand::of(progress, place),
        begun_at_ms: begun_at_ms(progress, place),
        blocks: std::iter::once(BlockView::Prose { html: task.clone() }).chain(hints).collect(),
    }
}

fn text_view(Text { place, title, file, html }: &Text) -> ChapterView {
    ChapterView {
        place: (*place).to_owned(),
        title: (*title).to_owned(),
        file: (*file).to_owned(),
        state: Stand::New,
        begun_at_ms: None,
        blocks: vec![BlockView::Prose { html: html.clone() }],
    }
}

async fn progress(operators: &Operators) -> Result<Progress, Failure> {
    let folder = operators.config.data_dir.clone();
    Ok(blocking(move || Progress::load(&folder)).await??)
}

async fn change<T: Send + 'static>(
    operators: &Operators,
    change: impl FnOnce(&mut Progress) -> T + Send + 'static,
) -> Result<T, Failure> {
    let folder = operators.config.data_dir.clone();
    Ok(blocking(move || workshop::update(&folder, change)).await??)
}

/// Work with files, off the asynchronous threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|_| Problem::unavailable("workshop", "the learner's progress could not be used").into())
}

impl From<NoChapter> for Failure {
    fn from(error: NoChapter) -> Self {
        Problem::not_found(error.to_string()).into()
    }
}

impl From<InvalidChapter> for Failure {
    fn from(error: InvalidChapter) -> Self {
        Problem::unavailable("workshop", error.to_string()).into()
    }
}

impl From<ProgressError> for Failure {
    fn from(error: ProgressError) -> Self {
        // Answers show no paths.
        let detail = match error {
            ProgressError::Unusable { .. } => {
                "the file of the learner's progress cannot be used: check its permissions and the space on the disk"
            }
            ProgressError::Damaged { .. } => {
                "workshop.json in the data directory is damaged: delete it to begin the workshop again"
            }
        };
        Problem::unavailable("workshop", detail).into()
    }
}
