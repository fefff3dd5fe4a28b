//! What the command line and the console show.

use std::collections::BTreeSet;

use serde::Serialize;

use super::chapter::{Chapter, Check, Step, StepKind};
use super::exercises::Exercise;
use super::judge::{State, Verdict};
use super::progress::Progress;

/// What the checks of one chapter found.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Report {
    /// `3`, or `E3` for an exercise.
    pub place: String,
    pub title: String,
    /// All checks are green, or were green before where they could not be made this time.
    pub done: bool,
    pub checks: Vec<CheckReport>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CheckReport {
    /// What is so if it is green.
    pub name: String,
    /// `shop`, `operators`, `topics`, `sql`, `page` or `command`.
    pub kind: &'static str,
    pub state: State,
    /// It may be green before the chapter's first step.
    pub always: bool,
    /// It is red since no shop is open, which `missing` says.
    #[serde(skip)]
    pub is_closed: bool,
    /// What is missing and what to do, if it is red.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// What was seen instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Report {
    /// What was found in a chapter.
    #[must_use]
    pub fn of(chapter: &Chapter, judged: Vec<(&Check, Verdict)>) -> Self {
        let checks: Vec<CheckReport> = judged
            .into_iter()
            .map(|(check, Verdict { state, detail, is_closed })| CheckReport {
                name: check.name.clone(),
                kind: check.question.kind(),
                state,
                always: check.always,
                is_closed,
                missing: match state {
                    State::Red if is_closed => Some(closed(chapter)),
                    State::Red => Some(check.missing.clone()),
                    State::Green | State::Unchecked => None,
                },
                detail,
            })
            .collect();
        let done = checks.iter().all(|check| check.state == State::Green);
        Self { place: chapter.number.to_string(), title: chapter.title.clone(), done, checks }
    }

    /// The names of the checks that are green, and of those that were green before and could not be made this time.
    #[must_use]
    pub fn standing(&self, before: &BTreeSet<String>) -> BTreeSet<String> {
        let unchecked = self.checks.iter().filter(|check| check.state == State::Unchecked).map(|check| &check.name);
        self.passed().into_iter().chain(unchecked.filter(|name| before.contains(*name)).cloned()).collect()
    }

    /// The names of the checks that are green.
    #[must_use]
    pub fn passed(&self) -> BTreeSet<String> {
        self.checks.iter().filter(|check| check.state == State::Green).map(|check| check.name.clone()).collect()
    }
}

/// Says how the shop is opened as the chapter needs it.
fn closed(chapter: &Chapter) -> String {
    let starts =
        |step: &&Step| step.kind == StepKind::Background && step.text.contains("make run") && step.text.lines().count() == 1;
    let start = chapter.steps().filter(starts).last().map_or("make run", |step| step.text.as_str());
    format!("The shop is not open: start it with `{start}`.")
}

/// How a chapter stands, on one line.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Row {
    /// `3`, or `E3` for an exercise.
    pub place: String,
    pub title: String,
    /// Checks that were green when it was checked last, and all.
    pub passed: usize,
    pub checks: usize,
    pub state: Stand,
    /// How long a learner takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stand {
    New,
    Begun,
    Done,
}

impl Stand {
    /// For a table.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "",
            Self::Begun => "begun",
            Self::Done => "done",
        }
    }

    /// How a place stands.
    #[must_use]
    pub fn of(progress: &Progress, place: &str) -> Self {
        match progress.places.get(place) {
            Some(standing) if standing.done.is_some() => Self::Done,
            Some(_) => Self::Begun,
            None => Self::New,
        }
    }
}

/// One line for each chapter.
#[must_use]
pub fn rows(chapters: &[Chapter], progress: &Progress) -> Vec<Row> {
    let row = |chapter: &Chapter| {
        let place = chapter.number.to_string();
        let passed = |check: &&Check| progress.places.get(&place).is_some_and(|standing| standing.passed.contains(&check.name));
        Row {
            passed: chapter.checks().filter(passed).count(),
            checks: chapter.checks().count(),
            state: Stand::of(progress, &place),
            title: chapter.title.clone(),
            minutes: chapter.facts.minutes,
            place,
        }
    };
    chapters.iter().map(row).collect()
}

/// One line for each exercise, which has one check: its test.
#[must_use]
pub fn exercise_rows(exercises: &[Exercise], progress: &Progress) -> Vec<Row> {
    let row = |Exercise { place, title, .. }: &Exercise| Row {
        passed: progress.places.get(place).map_or(0, |standing| standing.passed.len()),
        checks: 1,
        state: Stand::of(progress, place),
        title: title.clone(),
        minutes: None,
        place: place.clone(),
    };
    exercises.iter().map(row).collect()
}
