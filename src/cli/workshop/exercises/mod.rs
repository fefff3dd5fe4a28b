//! Exercises, in which the learner writes Rust: `open`, `check`, `hint`, `solve` and `reset` of `exercises/NN-*`.
//!
//! They change the sources of the clone that they are called in, and no change of the learner's is ever lost: what is not
//! committed is not patched over, what is committed around an exercise's place is merged with it or left alone, and what was written
//! since `open` is kept as a patch before a file is put back.

mod exercise;
mod record;
mod repository;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::ensure;
use serde::Serialize;

use self::exercise::Exercise;
use self::record::Record;
use self::repository::Repository;
use super::{board, output};
use crate::clock::Clock;
use crate::config::Config;
use crate::workshop::{self, Moment, Progress, Row, Stand};

/// What a check found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked<'a> {
    place: String,
    title: &'a str,
    test: &'a str,
    done: bool,
}

/// How the exercises of the clone around the current folder stand; none elsewhere.
pub(super) fn rows(progress: &Progress) -> Vec<Row> {
    let Ok(repository) = Repository::here() else { return Vec::new() };
    let row = |exercise: Exercise| {
        let place = exercise.to_string();
        let (state, passed) =
            (Stand::of(progress, &place), progress.places.get(&place).map_or(0, |standing| standing.passed.len()));
        Row { place, title: exercise.title, passed, checks: 1, state, minutes: None }
    };
    exercise::all(&repository).map(row).collect()
}

/// The exercises that fit the chapters that are done, and are not done themselves, by place and title; none outside of a clone.
pub(super) fn suggested(progress: &Progress) -> Vec<(String, String)> {
    let Ok(repository) = Repository::here() else { return Vec::new() };
    let is_done = |place: &str| Stand::of(progress, place) == Stand::Done;
    let fits = |exercise: &Exercise| {
        exercise.after.is_some_and(|chapter| is_done(&chapter.to_string())) && !is_done(&exercise.to_string())
    };
    exercise::all(&repository).filter(fits).map(|exercise| (exercise.to_string(), exercise.title)).collect()
}

/// Cuts the exercise's part out of the sources.
pub(super) fn open(config: &Config, number: u8) -> anyhow::Result<()> {
    let repository = Repository::here()?;
    let exercise = Exercise::read(&repository, number)?;
    ensure!(
        Record::of(&repository, &exercise)?.is_none(),
        "{exercise} is open already: `kartshoppe workshop reset {exercise}` begins it again, and keeps what you wrote"
    );
    Record::open(&repository, &exercise)?;
    workshop::update(&config.data_dir, |progress| progress.begin(&exercise.to_string(), now()))?;
    output::print(format_args!(
        "{exercise} · {}\nread {}/README.md{}\nbegin at {}\nwhen it is written: `kartshoppe workshop check {exercise}`; a hint: `kartshoppe \
         workshop hint {exercise}`\n",
        exercise.title,
        exercise.folder,
        super::or_in_console(config, &exercise),
        exercise.marks(&repository).join(", ")
    ))?;
    Ok(())
}

/// Runs the exercise's test.
pub(super) fn check(config: &Config, number: u8, json: bool) -> anyhow::Result<ExitCode> {
    let repository = Repository::here()?;
    let exercise = Exercise::read(&repository, number)?;
    let done = exercise.test(&repository)?;
    let test = exercise.test_name().to_owned();
    let passed: BTreeSet<String> = done.then(|| test.clone()).into_iter().collect();
    workshop::update(&config.data_dir, |progress| progress.checked(&exercise.to_string(), passed, done, now()))?;
    crate::cli::block_on(async {
        board::post(config, &exercise.to_string(), usize::from(done), 1, done).await;
        Ok(())
    })?;
    if json {
        output::json(&Checked { place: exercise.to_string(), title: &exercise.title, test: &test, done })?;
    } else if done {
        output::line(format_args!("{exercise} · {}: done. Now look at {}", exercise.title, exercise.page))?;
    } else {
        let title = &exercise.title;
        output::line(format_args!("{exercise} · {title}: not done yet. A hint: `kartshoppe workshop hint {exercise}`"))?;
    }
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a hint: the next stage, or this one.
pub(super) fn hint(number: u8, stage: Option<u8>) -> anyhow::Result<()> {
    let repository = Repository::here()?;
    let exercise = Exercise::read(&repository, number)?;
    let hints = exercise.hints(&repository)?;
    let last = hints.len();
    let (stage, next) = match stage.map(usize::from) {
        Some(stage) => (stage, format!(" {}", stage + 1)),
        None => (Record::next_hint(&repository, &exercise, last)?, String::new()),
    };
    let text = stage.checked_sub(1).and_then(|place| hints.get(place));
    ensure!(text.is_some(), "{exercise} has the hints 1 to {last}");
    let further = match stage < last {
        true => format!("\n\nthe next one: `kartshoppe workshop hint {exercise}{next}`"),
        false => format!("\n\nthis was the last one; the solution: `kartshoppe workshop solve {exercise}`"),
    };
    output::line(format_args!("{exercise} · hint {stage} of {last}\n\n{}{further}", text.map_or("", String::as_str)))?;
    Ok(())
}

/// Puts the solution into the sources.
pub(super) fn solve(number: u8) -> anyhow::Result<()> {
    let repository = Repository::here()?;
    let exercise = Exercise::read(&repository, number)?;
    let record = match Record::of(&repository, &exercise)? {
        Some(record) => record,
        None => Record::open(&repository, &exercise)?,
    };
    say_kept(&exercise, record.keep_yours()?.as_deref())?;
    record.solve()?;
    output::line(format_args!(
        "{exercise} · {}: solved. `kartshoppe workshop check {exercise}` proves it; `kartshoppe workshop reset {exercise}` puts back what was there before",
        exercise.title
    ))?;
    Ok(())
}

/// Puts back what was there before `open`.
pub(super) fn reset(config: &Config, number: u8) -> anyhow::Result<()> {
    let repository = Repository::here()?;
    let exercise = Exercise::read(&repository, number)?;
    Record::forget_hints(&repository, &exercise)?;
    workshop::update(&config.data_dir, |progress| progress.places.remove(&exercise.to_string()))?;
    let Some(record) = Record::of(&repository, &exercise)? else {
        output::line(format_args!("{exercise} · {}: was not open, the sources are as they were", exercise.title))?;
        return Ok(());
    };
    say_kept(&exercise, record.keep_yours()?.as_deref())?;
    record.close()?;
    output::line(format_args!("{exercise} · {}: closed, its files are as they were before", exercise.title))?;
    Ok(())
}

fn say_kept(exercise: &Exercise, kept: Option<&str>) -> anyhow::Result<()> {
    let Some(patch) = kept else { return Ok(()) };
    Ok(output::line(format_args!("{exercise}: what you wrote is kept in {patch}"))?)
}

fn now() -> Moment {
    Moment { at_ms: Clock::system().now_ms(), log: None }
}
