//! One exercise as it lies below `exercises/`: `exercise.toml`, hints, patches, and the run of its test.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::repository::Repository;
use crate::cli::output;
use crate::workshop;

/// Where exercises lie in a clone.
pub(super) const FOLDER: &str = "exercises";

/// An exercise.
#[derive(Debug)]
pub(super) struct Exercise {
    number: u8,
    /// From the clone's root, with `/`.
    pub folder: String,
    pub title: String,
    /// What to look at once it is done.
    pub page: String,
    /// The chapter after which it can be done.
    pub after: Option<u8>,
    /// All files that its patches touch, from the clone's root.
    pub files: Vec<String>,
    /// Arguments of `tools/cargo.sh test`.
    test: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    title: String,
    page: String,
    after: Option<u8>,
    files: Vec<String>,
    test: Vec<String>,
}

impl fmt::Display for Exercise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{}", self.number)
    }
}

impl Exercise {
    /// Reads the exercise of this number.
    pub fn read(repository: &Repository, number: u8) -> anyhow::Result<Self> {
        let all = folders(&repository.root)?;
        let found = all.iter().find(|(known, _)| *known == number);
        let known = || all.iter().map(|(number, _)| format!("E{number}")).collect::<Vec<_>>().join(", ");
        let (_, name) = found.with_context(|| format!("there is no exercise E{number}; there are {}", known()))?;
        let folder = format!("{FOLDER}/{name}");
        let path = repository.root.join(&folder).join("exercise.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let Manifest { title, page, after, files, test } =
            toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
        ensure!(!files.is_empty() && !test.is_empty(), "{}: it names no files or no test", path.display());
        Ok(Self { number, folder, title, page, after, files, test })
    }

    /// The hints, the gentlest first: the parts below `## 1`, `## 2` and so on.
    pub fn hints(&self, repository: &Repository) -> anyhow::Result<Vec<String>> {
        let path = repository.root.join(&self.folder).join("hints.md");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(workshop::split_hints(&text))
    }

    /// Where comments say what to write, once it is open: file and line.
    pub fn marks(&self, repository: &Repository) -> Vec<String> {
        let mark = format!("Exercise {}:", self.number);
        let of = |file: &String| {
            let text = fs::read_to_string(repository.root.join(file)).unwrap_or_default();
            let marked = (1..).zip(text.lines()).filter(|(_, line)| line.contains(&mark));
            marked.map(|(number, _): (usize, _)| format!("{file}:{number}")).collect::<Vec<_>>()
        };
        self.files.iter().flat_map(of).collect()
    }

    /// The name of its test.
    pub fn test_name(&self) -> &str {
        self.test.last().map_or("", String::as_str)
    }

    /// Builds and runs its test, whose output goes to standard error. It counts as passed only if exactly this one ran.
    pub fn test(&self, repository: &Repository) -> anyhow::Result<bool> {
        let mut command = Command::new(repository.root.join("tools/cargo.sh"));
        // The test is the learner's guide, the frames of the test's own support are not.
        command.env("RUST_BACKTRACE", "0");
        command.args(["test", "--locked"]).args(&self.test).current_dir(&repository.root).stdout(Stdio::piped());
        let mut child = command.spawn().context("starting tools/cargo.sh")?;
        let mut said = String::new();
        if let Some(mut out) = child.stdout.take() {
            out.read_to_string(&mut said).context("reading what the test says")?;
        }
        let status = child.wait().context("waiting for the test")?;
        output::progress(said.trim_end());
        Ok(status.success() && said.contains("test result: ok. 1 passed;"))
    }
}

/// The numbers of all exercises.
pub(super) fn numbers(repository: &Repository) -> anyhow::Result<Vec<u8>> {
    Ok(folders(&repository.root)?.into_iter().map(|(number, _)| number).collect())
}

/// All exercises of a clone that can be read, in order; none where there are none.
pub(super) fn all(repository: &Repository) -> impl Iterator<Item = Exercise> {
    numbers(repository).unwrap_or_default().into_iter().filter_map(|number| Exercise::read(repository, number).ok())
}

/// Number and name of every exercise's folder.
fn folders(root: &Path) -> anyhow::Result<Vec<(u8, String)>> {
    let folder = root.join(FOLDER);
    let entries = fs::read_dir(&folder)
        .with_context(|| format!("there is no {}: exercises need a clone of KartShoppe", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.with_context(|| format!("reading {}", folder.display()))?.file_name().to_string_lossy().into_owned();
        if let Some(number) = name.split_once('-').and_then(|(number, _)| number.parse().ok()) {
            found.push((number, name));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exercise_can_be_read_and_has_three_hints() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let repository = Repository { root: root.to_owned(), records: root.join("target") };
        let all = folders(root).unwrap();
        let numbers: Vec<u8> = all.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
        for number in numbers {
            let exercise = Exercise::read(&repository, number).unwrap();
            let hints = exercise.hints(&repository).unwrap();
            assert!(hints.len() == 3 && hints.iter().all(|hint| !hint.is_empty()), "{exercise}");
            assert!(exercise.test.iter().any(|word| word == "--exact"), "{exercise}: one test, by its full name");
            let text = fs::read_to_string(root.join(&exercise.folder).join("README.md")).unwrap();
            assert_eq!(text.lines().next(), Some(&*format!("# {exercise}: {}", exercise.title)), "one title everywhere");
            let hole = fs::read_to_string(root.join(&exercise.folder).join("hole.patch")).unwrap();
            assert!(hole.contains(&format!("Exercise {number}:")), "{exercise}: its hole marks no place to begin at");
            for heading in ["## What you see", "## Task", "## Where to look", "## Done when", "## What it is called elsewhere"] {
                assert!(text.contains(heading), "{exercise}: {heading}");
            }
        }
    }
}
