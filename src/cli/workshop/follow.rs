//! `follow`: what `make workshop` runs. Follows the guide in an empty data directory, and holds that every check is false before its chapter and
//! true after it.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::time::Instant;

use super::shell::Shell;
use super::{begin, check, output};
use crate::app::{Second, StopSignals};
use crate::config::Config;
use crate::workshop::{self, Chapter, CheckReport, State};

const GREEN_WAIT: Duration = Duration::from_secs(60);

pub(super) fn run(config: &Config, selection: Option<&str>) -> anyhow::Result<ExitCode> {
    let all = workshop::chapters()?;
    let wanted = selection.filter(|text| !text.is_empty()).map(numbers).transpose()?;
    let last = wanted.iter().flatten().max().copied().unwrap_or(u8::MAX);
    ensure!(
        wanted.iter().flatten().all(|number| usize::from(*number) < all.len()),
        "there are the chapters 0 to {}",
        all.len() - 1
    );
    super::super::block_on(async {
        let signals = StopSignals::listen(Second::IsIgnored)?;
        let mut shell = Shell::new(config, &std::env::current_dir().context("the current folder")?)?;
        let (since, mut rows) = (Instant::now(), Vec::new());
        let asked = Asked { wanted, is_ci: std::env::var_os("CI").is_some_and(|value| value == "true") };
        let all = all.iter().take_while(|chapter| chapter.number <= last);
        let followed = signals.unless_requested(follow(config, all, &asked, &mut shell, &mut rows)).await;
        let ended = shell.end_all().await;
        output::print(table(&rows, since.elapsed()))?;
        let is_whole = followed?.unwrap_or(false);
        ended?;
        Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// The chapters of `3`, `1-7` or `0-4,9`.
fn numbers(text: &str) -> anyhow::Result<Vec<u8>> {
    let range = |part: &str| -> Option<std::ops::RangeInclusive<u8>> {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse().ok()?..=to.trim().parse().ok()?)
    };
    let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
    Ok(ranges.with_context(|| format!("{text}: name chapters as in 3, 1-7 or 0-4,9"))?.into_iter().flatten().collect())
}

struct Asked {
    /// `None`: all that any machine can do.
    wanted: Option<Vec<u8>>,
    is_ci: bool,
}

impl Asked {
    fn names(&self, chapter: &Chapter) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| wanted.contains(&chapter.number))
    }

    /// Why a chapter that is not asked for by its number is left out.
    fn leaves_out(&self, chapter: &Chapter) -> Option<String> {
        let is_long = chapter.facts.ci == Some(false) && (self.is_ci || self.wanted.is_some());
        let why = match chapter.facts.needs.as_slice() {
            [] if is_long => "long".to_owned(),
            [] => return None,
            needs => format!("needs {needs:?}").to_lowercase(),
        };
        (!self.names(chapter)).then(|| format!("left out: {why}; ARGS={}", chapter.number))
    }
}

struct Row<'a> {
    chapter: &'a Chapter,
    took: String,
    result: String,
}

/// Whether every chapter was as it must be.
async fn follow<'a>(
    config: &Config,
    all: impl Iterator<Item = &'a Chapter>,
    asked: &Asked,
    shell: &mut Shell,
    rows: &mut Vec<Row<'a>>,
) -> anyhow::Result<bool> {
    let mut is_whole = true;
    for chapter in all {
        let (since, left_out) = (Instant::now(), asked.leaves_out(chapter));
        let is_run = is_whole && left_out.is_none();
        let result = if let Some(why) = left_out.filter(|_| is_whole) {
            Ok(why)
        } else if !is_whole {
            Ok("not run".to_owned())
        } else if asked.wanted.is_some() && !asked.names(chapter) {
            shell.chapter(chapter).await.map(|()| "followed only".to_owned())
        } else {
            judged(config, chapter, shell).await.map(|()| "false before, true after".to_owned())
        };
        let result = result.unwrap_or_else(|error| {
            is_whole = false;
            output::tell(format_args!("chapter {}: {error:#}{}", chapter.number, shell.last_words()));
            "FAILED".to_owned()
        });
        let took = if is_run { format!("{:.1}", since.elapsed().as_secs_f64()) } else { String::new() };
        rows.push(Row { chapter, took, result });
    }
    Ok(is_whole)
}

async fn judged(config: &Config, chapter: &Chapter, shell: &mut Shell) -> anyhow::Result<()> {
    begin(config, chapter).await?;
    let before = check::check(config, chapter, Duration::ZERO).await?;
    let early = before.checks.iter().filter(|check| check.state == State::Green && !check.always);
    let early: Vec<&str> = early.map(|check| check.name.as_str()).collect();
    ensure!(early.is_empty(), "true before the first step: {}", early.join("; "));
    shell.chapter(chapter).await?;
    let after = check::check(config, chapter, GREEN_WAIT).await?;
    let missing = |check: &CheckReport| {
        let CheckReport { name, state, missing, detail, .. } = check;
        format!("\n  {state:?}: {name}. {} ({})", missing.as_deref().unwrap_or_default(), detail.as_deref().unwrap_or_default())
    };
    let open: String = after.checks.iter().filter(|check| check.state != State::Green).map(missing).collect();
    if open.is_empty() { Ok(()) } else { bail!("not true after the last step:{open}") }
}

fn table(rows: &[Row<'_>], took: Duration) -> String {
    let width = rows.iter().map(|row| row.chapter.title.chars().count()).max().unwrap_or(0);
    let mut text = format!("\n{:<w$} steps checks seconds  result\n", "chapter", w = width + 5);
    for Row { chapter, took, result } in rows {
        let (number, title, steps, checks) = (chapter.number, &chapter.title, chapter.steps().count(), chapter.checks().count());
        let _ = writeln!(text, "{number:>2} · {title:<width$} {steps:>5} {checks:>6} {took:>7}  {result}");
    }
    let _ = writeln!(text, "{:.1} minutes in all", took.as_secs_f64() / 60.0);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chapters_are_named_alone_and_as_ranges() {
        assert_eq!(numbers("0-2, 9").unwrap(), [0, 1, 2, 9]);
        for wrong in ["", "x", "1-", "-1", "1..3"] {
            assert!(numbers(wrong).is_err(), "{wrong}");
        }
        let asked = |wanted| Asked { wanted, is_ci: false };
        let kafka = workshop::chapter(13).unwrap();
        assert_eq!(asked(None).leaves_out(kafka).unwrap(), "left out: needs [kafka]; ARGS=13");
        assert_eq!(asked(Some(vec![13])).leaves_out(kafka), None);
    }
}
