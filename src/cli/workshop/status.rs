//! `status` and `next`.

use std::fmt::Write;

use super::{exercises, headed, output, step_text};
use crate::config::Config;
use crate::workshop::{self, Progress, Row, Stand};

pub(super) fn print(config: &Config, json: bool) -> anyhow::Result<()> {
    let progress = Progress::load(&config.data_dir)?;
    let mut rows = workshop::rows(workshop::chapters()?, &progress);
    rows.extend(exercises::rows(&progress));
    if json { output::json(&rows) } else { Ok(output::print(table(&rows))?) }
}

/// The first chapter that is not done, with its first step.
pub(super) fn next(config: &Config) -> anyhow::Result<()> {
    let (chapters, progress) = (workshop::chapters()?, Progress::load(&config.data_dir)?);
    let is_open = |number: u8| Stand::of(&progress, &number.to_string()) != Stand::Done;
    let Some(chapter) = chapters.iter().find(|chapter| is_open(chapter.number)) else {
        return Ok(output::print(format_args!("every chapter is done\n{}", fitting(&progress, "left are exercises")))?);
    };
    let number = chapter.number;
    let begin = match Stand::of(&progress, &number.to_string()) {
        Stand::New => format!("begin with `kartshoppe workshop open {number}`; "),
        Stand::Begun | Stand::Done => String::new(),
    };
    let step = chapter.steps().next().map_or_else(String::new, step_text);
    let (head, exercises) = (headed(config, chapter), fitting(&progress, "or an exercise"));
    let text = format!("{head}{step}\n{begin}when its steps are done: `kartshoppe workshop check {number}`\n{exercises}");
    Ok(output::print(text)?)
}

/// The exercises that fit what is done, in which the learner writes Rust.
fn fitting(progress: &Progress, begin: &str) -> String {
    let all = exercises::suggested(progress);
    let lines: Vec<String> = all.iter().map(|(place, title)| format!("    {place} · {title}\n")).collect();
    let Some((first, _)) = all.first() else { return String::new() };
    format!("\n{begin}, in which you write Rust: `kartshoppe workshop open {first}`\n{}", lines.concat())
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.title.chars().count()).max().unwrap_or(0);
    let mut text = format!("{:>4}  {:<width$}  {:>8}\n", "", "chapter", "checks");
    for Row { place, title, passed, checks, state, .. } in rows {
        let line = format!("{place:>4}  {title:<width$}  {:>8}  {}", format!("{passed} of {checks}"), state.word());
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
