//! An open exercise: its files as they were before, and as they were left by us last. Both are copies in git's directory.
//!
//! ```text
//!  .git/kartshoppe-workshop/E3/before/src/…   what `reset` puts back
//!                              ours/src/…     after the hole, or the solution: what differs from it was written by the learner
//!  .git/kartshoppe-workshop/E3.hints          how many hints were given
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::exercise::{self, Exercise};
use super::repository::Repository;
use crate::clock::Clock;

/// An exercise that is open in a clone.
#[derive(Debug)]
pub(super) struct Record<'a> {
    repository: &'a Repository,
    exercise: &'a Exercise,
    folder: PathBuf,
}

impl<'a> Record<'a> {
    /// The record of an exercise, if it is open.
    pub fn of(repository: &'a Repository, exercise: &'a Exercise) -> anyhow::Result<Option<Self>> {
        let folder = repository.records.join(exercise.to_string());
        let there = folder.try_exists().with_context(|| format!("finding {}", folder.display()))?;
        Ok(there.then_some(Self { repository, exercise, folder }))
    }

    /// Keeps the files as they are, and cuts the hole. Refuses if any of them has changes that are not committed.
    pub fn open(repository: &'a Repository, exercise: &'a Exercise) -> anyhow::Result<Self> {
        let changed = repository.uncommitted(&exercise.files)?;
        ensure!(
            changed.is_empty(),
            "{exercise} changes files that have changes of yours which are not committed: {}. {}; nothing was touched",
            changed.join(", "),
            way_out(repository, exercise, &changed)
        );
        let record = Self { repository, exercise, folder: repository.records.join(exercise.to_string()) };
        // Complete before it has its name: a record that is there can be undone.
        let draft = repository.records.join(format!("{exercise}.new"));
        remove(&draft)?;
        copy_all(&exercise.files, &repository.root, &draft.join("before"))?;
        copy_all(&exercise.files, &repository.root, &draft.join("ours"))?;
        fs::rename(&draft, &record.folder).with_context(|| format!("keeping {}", record.folder.display()))?;
        record.apply("hole").context("nothing was touched").inspect_err(|_| drop(remove(&record.folder)))?;
        record.note_ours()?;
        Ok(record)
    }

    /// Writes what the learner wrote since `open` or `solve` to a patch beside the exercise, if there is anything; its path from
    /// the clone's root.
    pub fn keep_yours(&self) -> anyhow::Result<Option<String>> {
        let patch = self.repository.difference(&self.ours(), &self.exercise.files)?;
        if patch.is_empty() {
            return Ok(None);
        }
        let exercise = self.exercise;
        let head = format!(
            "Written for {exercise}, on top of its hole: `kartshoppe workshop open {exercise}`, then `git apply` of this.\n\n"
        );
        let now =
            jiff::Timestamp::from_millisecond(Clock::system().now_ms()).context("reading the clock")?.strftime("%Y%m%d-%H%M%S");
        for number in 1.. {
            let again = if number == 1 { String::new() } else { format!("-{number}") };
            let name = format!("{}/yours-{now}{again}.patch", exercise.folder);
            let path = self.repository.root.join(&name);
            match fs::File::create_new(&path)
                .and_then(|mut file| io::Write::write_all(&mut file, format!("{head}{patch}").as_bytes()))
            {
                Ok(()) => return Ok(Some(name)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("writing {}, so nothing was put back", path.display())),
            }
        }
        Ok(None)
    }

    /// Puts the solution in place of what is there, which [`Self::keep_yours`] has kept.
    pub fn solve(&self) -> anyhow::Result<()> {
        self.put_back("before")?;
        let solved = ["hole", "solution"].into_iter().try_for_each(|patch| self.apply(patch));
        if solved.is_err() {
            self.put_back("before")?;
        }
        self.note_ours()?;
        solved.context("its files are as they were before `open`")
    }

    /// Applies one of its patches, or says how to have the exercise where it fits.
    fn apply(&self, patch: &str) -> anyhow::Result<()> {
        let Self { repository, exercise, .. } = self;
        let name = format!("{}/{patch}.patch", exercise.folder);
        repository.apply(&repository.root.join(&name), &exercise.files).with_context(|| {
            let fitting = repository.last_commit(&[name]);
            let branch = fitting.map_or_else(String::new, |commit| {
                format!(
                    ". Your commits stay where they are if you have it on a branch of its own: `git switch --create exercise-{exercise} \
                     {commit}`, then `kartshoppe workshop open {exercise}`; `git switch -` leads back"
                )
            });
            format!("{exercise} does not fit the sources here, most likely because commits of yours changed the lines that its {patch} is about{branch}")
        })
    }

    /// Puts everything back as it was before `open`; what was written meanwhile has been kept by [`Self::keep_yours`].
    pub fn close(&self) -> anyhow::Result<()> {
        self.put_back("before")?;
        remove(&self.folder)
    }

    /// The number of the next hint, and notes that it was given. After the last comes the last.
    pub fn next_hint(repository: &Repository, exercise: &Exercise, last: usize) -> anyhow::Result<usize> {
        let path = hints_of(repository, exercise);
        let given = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(0);
        let next = (given + 1).min(last);
        fs::create_dir_all(&repository.records).and_then(|()| fs::write(&path, next.to_string())).context("noting the hint")?;
        Ok(next)
    }

    /// The next hint is the first again.
    pub fn forget_hints(repository: &Repository, exercise: &Exercise) -> anyhow::Result<()> {
        remove(&hints_of(repository, exercise))
    }

    fn ours(&self) -> PathBuf {
        self.folder.join("ours")
    }

    /// What is there now is ours.
    fn note_ours(&self) -> anyhow::Result<()> {
        remove(&self.ours())?;
        copy_all(&self.exercise.files, &self.repository.root, &self.ours())
    }

    fn put_back(&self, kept: &str) -> anyhow::Result<()> {
        let from = self.folder.join(kept);
        for file in &self.exercise.files {
            let (source, target) = (from.join(file), self.repository.root.join(file));
            if source.is_file() {
                // Not by a copy with its old time: cargo must see that the file changed.
                let text = fs::read(&source).with_context(|| format!("reading {}", source.display()))?;
                make_folder_of(&target)?;
                fs::write(&target, text).with_context(|| format!("writing {}", target.display()))?;
            } else {
                remove(&target)?;
            }
        }
        Ok(())
    }
}

/// What to do about changes that are not committed: they may be those of another exercise that is open.
fn way_out(repository: &Repository, exercise: &Exercise, changed: &[String]) -> String {
    let shares = |other: &Exercise| {
        other.to_string() != exercise.to_string()
            && other.files.iter().any(|file| changed.contains(file))
            && Record::of(repository, other).is_ok_and(|record| record.is_some())
    };
    match exercise::all(repository).find(shares) {
        Some(other) => format!(
            "{other} is open in them: `kartshoppe workshop reset {other}` closes it and keeps what you wrote. Commit them to have both"
        ),
        None => "Commit them, or put them away with `git stash`".to_owned(),
    }
}

fn hints_of(repository: &Repository, exercise: &Exercise) -> PathBuf {
    repository.records.join(format!("{exercise}.hints"))
}

/// Copies those of the files that exist.
fn copy_all(files: &[String], from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    for file in files.iter().filter(|file| from.join(file).is_file()) {
        let target = to.join(file);
        make_folder_of(&target)?;
        fs::copy(from.join(file), &target).with_context(|| format!("copying {file} to {}", target.display()))?;
    }
    Ok(())
}

fn make_folder_of(file: &Path) -> anyhow::Result<()> {
    file.parent().map_or(Ok(()), fs::create_dir_all).with_context(|| format!("making the folder of {}", file.display()))
}

/// Removes a file or folder, if it is there.
fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(error) = removed
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("removing {}", path.display()));
    }
    Ok(())
}
