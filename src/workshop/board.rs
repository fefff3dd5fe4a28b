//! The board of a class: which learner is at which step. It holds names and results, no more; it is gone with its process.
//!
//! Two secrets: one in the address that learners get, which takes names and results, and one in the instructor's, which shows
//! them. What comes in is bounded in size, number and rate, and names are text wherever they are shown.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// Learners of one class, and the characters of a name.
const LEARNERS_MAX: usize = 200;
pub const NAME_MAX_CHARS: usize = 40;
/// Posts of one learner, and of all together, within [`WINDOW`].
const POSTS_OF_ONE: usize = 30;
const POSTS_OF_ALL: usize = 600;
const WINDOW: Duration = Duration::from_secs(30);
const BODY_MAX_BYTES: usize = 1_024;
const CHECKS_MAX: u16 = 99;
/// Nothing inline, nothing from elsewhere, no frame around it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);

/// A class.
pub struct Board {
    join: String,
    lead: String,
    chapters: Vec<String>,
    class: Mutex<Class>,
}

#[derive(Default)]
struct Class {
    learners: BTreeMap<String, Learner>,
    posts: VecDeque<Instant>,
}

struct Learner {
    results: BTreeMap<String, Found>,
    /// The step that was checked last.
    last: Option<String>,
    /// When something was green that had not been, or the learner came.
    moved: Instant,
    posts: VecDeque<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Found {
    passed: u16,
    of: u16,
    done: bool,
}

/// What a learner's program sends when it joins.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joining {
    pub name: String,
}

/// What it sends after a check.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posted {
    pub name: String,
    /// `3` or `E3`.
    pub step: String,
    pub passed: u16,
    pub of: u16,
    pub done: bool,
}

/// Why something is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("a name has 1 to {NAME_MAX_CHARS} characters, none of them a control character")]
    Name,
    #[error("a step is 3 or E3, and its result at most {CHECKS_MAX} of {CHECKS_MAX}")]
    Result,
    #[error("the board is full: it holds {LEARNERS_MAX} names")]
    Full,
    #[error("too many results at once: wait half a minute")]
    Often,
}

impl Refused {
    fn status(self) -> StatusCode {
        match self {
            Self::Name | Self::Result => StatusCode::BAD_REQUEST,
            Self::Full => StatusCode::CONFLICT,
            Self::Often => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}

/// The board as the page draws it.
#[derive(Debug, Serialize)]
struct Shown {
    steps: Vec<String>,
    learners: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// The step that is not done, if one was checked last.
    stuck: Option<String>,
    /// Since something was green for the first time.
    quiet_s: u64,
    results: BTreeMap<String, Found>,
}

impl Board {
    /// An empty class with these chapters and new secrets.
    #[must_use]
    pub fn new(chapters: Vec<String>) -> Arc<Self> {
        let secret = || uuid::Uuid::new_v4().simple().to_string();
        Arc::new(Self { join: secret(), lead: secret(), chapters, class: Mutex::default() })
    }

    /// The path that learners join with.
    #[must_use]
    pub fn join_path(&self) -> String {
        format!("/j/{}", self.join)
    }

    /// The path of the board.
    #[must_use]
    pub fn lead_path(&self) -> String {
        format!("/b/{}", self.lead)
    }

    /// Its routes.
    pub fn routes(self: Arc<Self>) -> Router {
        Router::new()
            .route("/j/{secret}", get(join_page))
            .route("/j/{secret}/join", post(join))
            .route("/j/{secret}/result", post(result))
            .route("/b/{secret}", get(board_page))
            .route("/b/{secret}/data", get(data))
            .route("/board.js", get(async || asset("text/javascript", include_str!("board/board.js"))))
            .route("/board.css", get(async || asset("text/css", include_str!("board/board.css"))))
            .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
            .layer(middleware::map_response(guarded))
            .with_state(self)
    }

    fn class(&self) -> MutexGuard<'_, Class> {
        self.class.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a name on the board; one that is there already stays, with its results.
    fn join(&self, name: &str) -> Result<(), Refused> {
        self.class().learner(name).map(|_| ())
    }

    fn take(&self, posted: &Posted) -> Result<(), Refused> {
        let Posted { name, step, passed, of, done } = posted;
        if !is_step(step) || *of > CHECKS_MAX || passed > of {
            return Err(Refused::Result);
        }
        let mut class = self.class();
        let learner = class.learner(name)?;
        let found = Found { passed: *passed, of: *of, done: *done };
        let before = learner.results.insert(step.clone(), found);
        if before.is_none_or(|before| found.passed > before.passed || found.done && !before.done) && *passed > 0 {
            learner.moved = Instant::now();
        }
        learner.last = Some(step.clone());
        Ok(())
    }

    /// Those who are stuck first, the longest first.
    fn shown(&self) -> Shown {
        let class = self.class();
        let now = Instant::now();
        let mut learners: Vec<Row> = class.learners.iter().map(|(name, learner)| learner.row(name, now)).collect();
        learners.sort_by(|one, other| {
            let key = |row: &Row| (row.stuck.is_none(), std::cmp::Reverse(row.quiet_s));
            key(one).cmp(&key(other)).then_with(|| one.name.cmp(&other.name))
        });
        let exercises = class.learners.values().flat_map(|learner| learner.results.keys()).filter(|step| step.starts_with('E'));
        let mut exercises: Vec<String> = exercises.collect::<BTreeSet<_>>().into_iter().cloned().collect();
        exercises.sort_by_key(|step| step[1..].parse::<u8>().unwrap_or(u8::MAX));
        Shown { steps: self.chapters.iter().cloned().chain(exercises).collect(), learners }
    }
}

impl Class {
    /// The learner of this name, new or not, if another post may come now.
    fn learner(&mut self, name: &str) -> Result<&mut Learner, Refused> {
        let name = checked_name(name).ok_or(Refused::Name)?;
        let now = Instant::now();
        admit(&mut self.posts, POSTS_OF_ALL, now)?;
        if self.learners.len() >= LEARNERS_MAX && !self.learners.contains_key(&name) {
            return Err(Refused::Full);
        }
        let new = || Learner { results: BTreeMap::new(), last: None, moved: now, posts: VecDeque::new() };
        let learner = self.learners.entry(name).or_insert_with(new);
        admit(&mut learner.posts, POSTS_OF_ONE, now)?;
        Ok(learner)
    }
}

impl Learner {
    fn row(&self, name: &str, now: Instant) -> Row {
        let is_open = |step: &&String| self.results.get(*step).is_some_and(|found| !found.done);
        Row {
            name: name.to_owned(),
            stuck: self.last.as_ref().filter(is_open).cloned(),
            quiet_s: now.duration_since(self.moved).as_secs(),
            results: self.results.clone(),
        }
    }
}

/// A name as the board shows it.
#[must_use]
pub fn checked_name(name: &str) -> Option<String> {
    let name = name.trim();
    let fits = !name.is_empty() && name.chars().count() <= NAME_MAX_CHARS;
    // Marks that turn the direction of writing would disturb the names beside it.
    let is_odd = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    (fits && !name.contains(is_odd)).then(|| name.to_owned())
}

fn is_step(step: &str) -> bool {
    let digits = step.strip_prefix('E').unwrap_or(step);
    matches!(digits.len(), 1 | 2)
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'))
}

/// Whether another post fits into the window.
fn admit(posts: &mut VecDeque<Instant>, most: usize, now: Instant) -> Result<(), Refused> {
    while posts.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
        posts.pop_front();
    }
    if posts.len() >= most {
        return Err(Refused::Often);
    }
    posts.push_back(now);
    Ok(())
}

/// Compared by digest, so that the time says nothing about how much was right.
fn same(given: &str, secret: &str) -> bool {
    Sha256::digest(given) == Sha256::digest(secret)
}

async fn join_page(State(board): State<Arc<Board>>, Path(secret): Path<String>) -> Response {
    if same(&secret, &board.join) { Html(include_str!("board/join.html")).into_response() } else { nothing() }
}

async fn board_page(State(board): State<Arc<Board>>, Path(secret): Path<String>) -> Response {
    if same(&secret, &board.lead) { Html(include_str!("board/board.html")).into_response() } else { nothing() }
}

async fn data(State(board): State<Arc<Board>>, Path(secret): Path<String>) -> Response {
    if same(&secret, &board.lead) { Json(board.shown()).into_response() } else { nothing() }
}

async fn join(State(board): State<Arc<Board>>, Path(secret): Path<String>, Json(joining): Json<Joining>) -> Response {
    if same(&secret, &board.join) { board.join(&joining.name).into_response() } else { nothing() }
}

async fn result(State(board): State<Arc<Board>>, Path(secret): Path<String>, Json(posted): Json<Posted>) -> Response {
    if same(&secret, &board.join) { board.take(&posted).into_response() } else { nothing() }
}

fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "there is nothing here: is the address complete?").into_response()
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posted(name: &str, step: &str, passed: u16, of: u16) -> Posted {
        Posted { name: name.to_owned(), step: step.to_owned(), passed, of, done: passed == of }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_are_stuck_longest_come_first() {
        let board = Board::new(vec!["0".to_owned(), "1".to_owned()]);
        board.take(&posted("anna", "0", 1, 3)).unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
        board.take(&posted("ben", "0", 1, 3)).unwrap();
        board.take(&posted("carla", "1", 2, 2)).unwrap();
        board.take(&posted("anna", "0", 1, 3)).unwrap();
        board.take(&posted("dora", "E2", 0, 1)).unwrap();
        let shown = board.shown();
        let names: Vec<&str> = shown.learners.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["anna", "ben", "dora", "carla"]);
        assert_eq!((shown.learners[0].stuck.as_deref(), shown.learners[0].quiet_s), (Some("0"), 60));
        assert_eq!(shown.steps, ["0", "1", "E2"]);
        board.take(&posted("anna", "0", 2, 3)).unwrap();
        assert_eq!(board.shown().learners.iter().find(|row| row.name == "anna").unwrap().quiet_s, 0, "she got further");
    }

    #[tokio::test(start_paused = true)]
    async fn names_results_and_rates_are_bounded() {
        let board = Board::new(Vec::new());
        for name in ["", "  ", "a\nb", "\u{202e}evil", &"x".repeat(41)] {
            assert_eq!(board.join(name), Err(Refused::Name), "{name:?}");
        }
        board.join("<script>alert(1)</script>").unwrap();
        board.join(&"ä".repeat(40)).unwrap();
        for (step, passed, of) in
            [("", 0, 1), ("100", 0, 1), ("E", 0, 1), ("<b>", 0, 1), ("3", 2, 1), ("3", 0, 100), ("03", 0, 1), ("é", 0, 1)]
        {
            assert_eq!(board.take(&posted("a", step, passed, of)), Err(Refused::Result), "{step}");
        }
        for _ in 0..30 {
            board.take(&posted("eager", "3", 0, 1)).unwrap();
        }
        assert_eq!(board.take(&posted("eager", "3", 0, 1)), Err(Refused::Often));
        tokio::time::advance(WINDOW).await;
        board.take(&posted("eager", "3", 1, 1)).unwrap();
        for number in 3..LEARNERS_MAX {
            board.join(&format!("learner {number}")).unwrap();
        }
        assert_eq!(board.join("one too many"), Err(Refused::Full));
        board.join("learner 7").unwrap();
        let refused = (0..POSTS_OF_ALL).find_map(|number| board.join(&format!("learner {}", 3 + number % 190)).err());
        assert_eq!(refused, Some(Refused::Often), "all together have a limit, too");
    }
}
