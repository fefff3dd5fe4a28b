//! `check N`: what is done, and what is missing.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::{board, log, moment, output};
use crate::config::Config;
use crate::workshop::{self, Chapter, CheckReport, Judge, Local, Progress, Report, State};

pub(super) fn run(config: &Config, chapter: &Chapter, wait: Duration, json: bool) -> anyhow::Result<ExitCode> {
    let report = super::super::block_on(check(config, chapter, wait))?;
    if json {
        output::json(&report)?;
    } else {
        output::print(shown(&report))?;
    }
    Ok(if report.done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Judges a chapter and keeps what was found.
pub(super) async fn check(config: &Config, chapter: &Chapter, wait: Duration) -> anyhow::Result<Report> {
    let place = chapter.number.to_string();
    let judge = judge(config, chapter).await?;
    let mut report = Report::of(chapter, judge.chapter(chapter, wait).await);
    let now = moment(judge.log.as_ref().ok()).await;
    let passed = workshop::update(&config.data_dir, |progress| progress.reported(&mut report, now))?;
    board::post(config, &place, passed, report.checks.len(), report.done).await;
    Ok(report)
}

/// What judges a chapter: its checks count from the moment when it was begun.
pub(super) async fn judge(config: &Config, chapter: &Chapter) -> anyhow::Result<Judge> {
    let progress = Progress::load(&config.data_dir)?;
    let here = std::env::current_dir().context("the current folder")?;
    Ok(Judge {
        since: progress.since(&chapter.number.to_string()).cloned(),
        local: Local::around(&here),
        ..Judge::of(config, log(config).await.map_err(|error| format!("{error:#}")))
    })
}

fn shown(report: &Report) -> String {
    let mut text = format!("{} · {}\n", report.place, report.title);
    // Said once: the checks that need an open shop would each say it.
    if let Some(CheckReport { missing: Some(sentence), detail, .. }) = report.checks.iter().find(|check| check.is_closed) {
        let _ = writeln!(text, "  {sentence}\n      seen: {}", detail.as_deref().unwrap_or_default());
    }
    for check in &report.checks {
        let mark = match check.state {
            State::Green => '✓',
            State::Red => '✗',
            State::Unchecked => '?',
        };
        let always = if check.always { " (holds from the start)" } else { "" };
        let _ = writeln!(text, "  {mark} {}{always}", check.name);
        if check.is_closed {
            continue;
        }
        let seen = match check.state {
            State::Unchecked => "not checked: ",
            State::Green | State::Red => "seen: ",
        };
        let lines = check.missing.clone().into_iter().chain(check.detail.as_ref().map(|detail| format!("{seen}{detail}")));
        for line in lines {
            let _ = writeln!(text, "      {line}");
        }
    }
    let (passed, all) = (report.passed().len(), report.checks.len());
    let _ = writeln!(text, "{passed} of {all} {}", if report.done { "· done" } else { "· not done yet" });
    text
}
