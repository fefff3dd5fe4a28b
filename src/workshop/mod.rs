//! The workshop: its chapters as the program holds them, how far the learner is, and whether what a chapter asks for is so.
//!
//! `docs/workshop/AUTHORS.md` says how a chapter is written. The command line and the operators' routes use this; neither knows
//! Markdown, and nothing here knows an actor: checks look at the shop from outside.

mod ask;
mod board;
mod chapter;
mod exercises;
mod judge;
mod markup;
mod opening;
mod page;
mod pictures;
mod progress;
mod report;
mod texts;

use std::sync::OnceLock;

use rust_embed::Embed;

pub use board::{Board, Joining, NAME_MAX_CHARS, Posted, Refused, checked_name};
pub use chapter::{Block, Chapter, Check, InvalidChapter, Listener, Question, Step, StepKind};
pub use exercises::{Exercise, exercises, split_hints};
pub use judge::{Judge, Local, State, Verdict, reachable};
pub use opening::{Opening, shop_after};
pub use page::search_path;
pub use pictures::picture;
pub use progress::{Joined, LogEnds, Moment, Progress, ProgressError, Standing, moment_now, update};
pub use report::{CheckReport, Report, Row, Stand, exercise_rows, rows};
pub use texts::{Text, texts};

#[derive(Embed)]
#[folder = "docs/workshop"]
struct Files;

/// All chapters, in their order.
///
/// # Errors
/// The first thing that is wrong in the texts; a test holds that there is none.
pub fn chapters() -> Result<&'static [Chapter], InvalidChapter> {
    static CHAPTERS: OnceLock<Result<Vec<Chapter>, InvalidChapter>> = OnceLock::new();
    CHAPTERS.get_or_init(read_all).as_deref().map_err(Clone::clone)
}

/// One chapter.
///
/// # Errors
/// If the texts are invalid, or there is no such chapter.
pub fn chapter(number: u8) -> Result<&'static Chapter, NoChapter> {
    let all = chapters()?;
    let last = all.last().map_or(0, |chapter| chapter.number);
    all.iter().find(|chapter| chapter.number == number).ok_or(NoChapter::Unknown { number, last })
}

/// Why a chapter cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NoChapter {
    #[error("there is no chapter {number}: there are 0 to {last}")]
    Unknown { number: u8, last: u8 },
    #[error(transparent)]
    Invalid(#[from] InvalidChapter),
}

fn read_all() -> Result<Vec<Chapter>, InvalidChapter> {
    let mut names: Vec<String> = Files::iter().map(|name| name.to_string()).filter(|name| is_chapter(name)).collect();
    names.sort();
    names.iter().map(|name| Chapter::read(name, &text(name))).collect()
}

fn is_chapter(name: &str) -> bool {
    name.strip_suffix(".md").is_some_and(|stem| stem.starts_with(|first: char| first.is_ascii_digit()))
}

fn text(name: &str) -> String {
    Files::get(name).map_or_else(String::new, |file| String::from_utf8_lossy(&file.data).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn every_chapter_can_be_read_and_none_is_missing() {
        let all = chapters().unwrap_or_else(|error| panic!("{error}"));
        let numbers: Vec<usize> = all.iter().map(|chapter| usize::from(chapter.number)).collect();
        assert_eq!(numbers, (0..all.len()).collect::<Vec<_>>(), "numbered from 0 without gaps");
        for chapter in all {
            let checks: Vec<&str> = chapter.checks().map(|check| check.name.as_str()).collect();
            assert!(!checks.is_empty(), "{}: a chapter has a check", chapter.file());
            assert!(chapter.steps().next().is_some(), "{}: a chapter has a step", chapter.file());
            let mut unique = checks.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), checks.len(), "{}: two checks have one name", chapter.file());
        }
    }

    #[test]
    fn every_link_leads_to_a_file_that_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let in_folder = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let exercises = in_folder(root.join("exercises"));
        let folders = exercises.filter(|path| path.is_dir()).chain([root.join("exercises"), root.join("docs/workshop")]);
        let files: Vec<PathBuf> =
            folders.flat_map(in_folder).filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
        assert!(files.len() > 30, "{files:?}");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
                let is_there = link.is_empty() || link.starts_with("http") || file.with_file_name(link).exists();
                assert!(is_there, "{}: {link}", file.display());
            }
        }
    }
}
