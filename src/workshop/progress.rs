//! How far the learner is: `workshop.json` in the data directory. Command line and server both write it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::report::Report;
use crate::clock::Clock;
use crate::data_dir;
use crate::log::{EventLog, LogError, Offset};

/// The file's name in the data directory.
pub const FILE: &str = data_dir::WORKSHOP_FILE;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// By `3` or `E3`.
    pub places: BTreeMap<String, Standing>,
    /// The board that results go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<Joined>,
}

/// How one chapter or exercise stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Standing {
    pub begun: Option<Moment>,
    /// The checks that were true when they were made last, by name.
    pub passed: BTreeSet<String>,
    /// When all of them were true for the first time.
    pub done: Option<Moment>,
}

/// A moment, and where the log stood then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Moment {
    pub at_ms: i64,
    /// `None` if the log was not there, or did not answer.
    #[serde(default)]
    pub log: Option<LogEnds>,
}

/// The ends of a log's partitions, by `topic/partition`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEnds {
    /// Which log: a reset makes another one.
    pub id: String,
    pub ends: BTreeMap<String, Offset>,
}

/// A board of `workshop lead`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    pub url: String,
    pub name: String,
}

/// Why the progress cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    #[error("cannot use {path}")]
    Unusable {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{path} is damaged ({reason}): delete it to begin the workshop again")]
    Damaged { path: String, reason: String },
}

impl Progress {
    /// Reads it; a learner who has not begun has an empty one.
    ///
    /// # Errors
    /// [`ProgressError`].
    pub fn load(data_dir: &Path) -> Result<Self, ProgressError> {
        let path = data_dir.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(unusable(&path, source)),
        };
        let damaged =
            |error: serde_json::Error| ProgressError::Damaged { path: path.display().to_string(), reason: error.to_string() };
        serde_json::from_slice(&text).map_err(damaged)
    }

    /// Since when the records of a chapter count: since it was opened; else since the chapter that was done last; else all.
    #[must_use]
    pub fn since(&self, place: &str) -> Option<&Moment> {
        let own = self.places.get(place).and_then(|standing| standing.begun.as_ref());
        let others =
            || self.places.iter().filter(|(other, _)| *other != place).filter_map(|(_, standing)| standing.done.as_ref());
        own.or_else(|| others().max_by_key(|moment| moment.at_ms))
    }

    /// Begins a chapter, again if it was begun before.
    pub fn begin(&mut self, place: &str, now: Moment) {
        self.places.insert(place.to_owned(), Standing { begun: Some(now), ..Standing::default() });
    }

    /// The checks of a chapter that were true when they were made last.
    #[must_use]
    pub fn passed(&self, place: &str) -> BTreeSet<String> {
        self.places.get(place).map_or_else(BTreeSet::new, |standing| standing.passed.clone())
    }

    /// Keeps what a report found, and completes it: a check that could not be made this time stands as it stood before. Returns
    /// how many checks stand.
    pub fn reported(&mut self, report: &mut Report, now: Moment) -> usize {
        let passed = report.standing(&self.passed(&report.place));
        let count = passed.len();
        report.done = count == report.checks.len();
        self.checked(&report.place, passed, report.done, now);
        count
    }

    /// Keeps what a check found. What was done once stays done.
    pub fn checked(&mut self, place: &str, passed: BTreeSet<String>, is_done: bool, now: Moment) {
        let since = self.since(place).cloned();
        let standing = self.places.entry(place.to_owned()).or_default();
        standing.begun = standing.begun.take().or(since);
        standing.passed = passed;
        if is_done && standing.done.is_none() {
            standing.done = Some(now);
        }
    }
}

/// Changes the progress: read, changed and written while no other process does.
///
/// # Errors
/// [`ProgressError`].
pub fn update<T>(data_dir: &Path, change: impl FnOnce(&mut Progress) -> T) -> Result<T, ProgressError> {
    let path = data_dir.join(FILE);
    let locked = || {
        data_dir::own_folder(data_dir)?;
        // The folder itself: no file is left behind. A writer needs microseconds.
        let folder = File::open(data_dir)?;
        flock(&folder, FlockOperation::LockExclusive)?;
        Ok(folder)
    };
    let _lock = locked().map_err(|source| unusable(data_dir, source))?;
    let mut progress = Progress::load(data_dir)?;
    let result = change(&mut progress);
    let write = || {
        let draft = path.with_extension("json.new");
        fs::write(&draft, serde_json::to_vec_pretty(&progress)?)?;
        fs::rename(&draft, &path)
    };
    write().map_err(|source| unusable(&path, source))?;
    Ok(result)
}

fn unusable(path: &Path, source: io::Error) -> ProgressError {
    ProgressError::Unusable { path: PathBuf::from(path).display().to_string(), source }
}

/// This moment. Without a log, or one that does not answer, the time alone is kept.
pub async fn moment_now(clock: &Clock, log: Option<&dyn EventLog>) -> Moment {
    let at_ms = clock.now_ms();
    let asked = match log {
        Some(log) => tokio::time::timeout(super::judge::LOG_PATIENCE, ends(log)).await.ok().and_then(Result::ok),
        None => None,
    };
    Moment { at_ms, log: asked }
}

async fn ends(log: &dyn EventLog) -> Result<LogEnds, LogError> {
    let (id, topics) = (log.id().await?, log.topics().await?);
    let of = |topic: &crate::log::TopicInfo| {
        let name = topic.topic.name();
        (0..)
            .zip(&topic.partitions)
            .map(move |(number, partition): (i32, _)| (format!("{name}/{number}"), partition.end))
            .collect::<Vec<_>>()
    };
    Ok(LogEnds { id, ends: topics.iter().flat_map(of).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::{Chapter, State, Verdict};

    fn at(at_ms: i64) -> Moment {
        Moment { at_ms, log: None }
    }

    #[test]
    fn records_count_since_the_chapter_was_opened_or_another_was_done() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        assert_eq!(Progress::load(&root).unwrap(), Progress::default());
        update(&root, |progress| {
            assert_eq!(progress.since("2"), None);
            progress.begin("1", at(10));
            progress.checked("1", BTreeSet::from(["a".to_owned()]), true, at(20));
            assert_eq!((progress.since("1"), progress.since("2")), (Some(&at(10)), Some(&at(20))));
            progress.checked("2", BTreeSet::new(), false, at(30));
            assert_eq!(progress.since("2"), Some(&at(20)));
            progress.checked("1", BTreeSet::new(), false, at(40));
        })
        .unwrap();
        let kept = Progress::load(&root).unwrap();
        assert_eq!(kept.places["1"], Standing { begun: Some(at(10)), passed: BTreeSet::new(), done: Some(at(20)) });
        update(&root, |progress| progress.begin("1", at(50))).unwrap();
        assert_eq!(Progress::load(&root).unwrap().places["1"].done, None, "beginning again forgets what was done");
    }

    #[test]
    fn a_check_that_cannot_be_made_stands_as_it_stood_before() {
        let chapter = Chapter::read(
            "03-test.md",
            "# 3 · Test\n\n```toml check\nname = \"page\"\nmissing = \"Look.\"\npage = \"/\"\nsees = \"x\"\n```\n\n```toml check\nname = \"sql\"\n\
             missing = \"Write.\"\nsql = \"SELECT true\"\n```\n",
        )
        .unwrap();
        let report = |states: [State; 2]| {
            let verdicts = states.map(|state| Verdict { state, detail: None, is_closed: false });
            Report::of(&chapter, chapter.checks().zip(verdicts).collect())
        };
        let mut progress = Progress::default();
        let names = |progress: &Progress| progress.passed("3").into_iter().collect::<Vec<_>>();
        progress.reported(&mut report([State::Unchecked, State::Green]), at(1));
        assert_eq!((names(&progress), progress.places["3"].done.is_some()), (vec!["sql".to_owned()], false));
        progress.reported(&mut report([State::Green, State::Red]), at(2));
        progress.reported(&mut report([State::Unchecked, State::Green]), at(3));
        assert_eq!((names(&progress), progress.places["3"].done.is_some()), (vec!["page".to_owned(), "sql".to_owned()], true));
        progress.reported(&mut report([State::Red, State::Green]), at(4));
        assert_eq!(names(&progress), ["sql"], "what was made and is false is not green");
        assert_eq!(report([State::Unchecked, State::Red]).checks[0].missing, None, "it is not known to be missing");
    }

    #[test]
    fn writers_wait_for_each_other_and_a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::thread::scope(|scope| {
            for number in 0..8 {
                scope.spawn(move || {
                    for chapter in 0..5 {
                        update(root, |progress| progress.begin(&format!("{number}-{chapter}"), at(1))).unwrap();
                    }
                });
            }
        });
        assert_eq!(Progress::load(root).unwrap().places.len(), 40);
        fs::write(root.join(FILE), "{\"places\":").unwrap();
        let told = Progress::load(root).unwrap_err().to_string();
        assert!(told.contains("workshop.json is damaged") && told.contains("delete it"), "{told}");
    }
}
