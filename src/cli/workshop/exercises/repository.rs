//! The clone whose sources are changed, by way of git.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use super::exercise::FOLDER;

/// A clone of KartShoppe.
#[derive(Debug)]
pub(super) struct Repository {
    pub root: PathBuf,
    /// Where open exercises are kept: in git's own directory, so they are no files of the clone.
    pub records: PathBuf,
}

impl Repository {
    /// The clone around the current folder.
    pub fn here() -> anyhow::Result<Self> {
        Self::around(&std::env::current_dir().context("finding the current folder")?)
    }

    fn around(folder: &Path) -> anyhow::Result<Self> {
        let asked = git(folder).args(["rev-parse", "--show-toplevel", "--absolute-git-dir"]).output();
        let answer = asked.context("exercises change the sources of a clone by git, which cannot be started: install it")?;
        ensure!(
            answer.status.success(),
            "{} is in no git clone: exercises change sources, and git makes that safe. Get the shop by `git clone`, and call this there. git \
             says: {}",
            folder.display(),
            String::from_utf8_lossy(&answer.stderr).trim()
        );
        let text = String::from_utf8(answer.stdout).context("the clone's path is not UTF-8")?;
        let mut lines = text.lines();
        let (Some(root), Some(git_dir)) = (lines.next(), lines.next()) else {
            bail!("git does not say where the clone is: {text:?}")
        };
        let root = PathBuf::from(root);
        ensure!(root.join(FOLDER).is_dir(), "{} has no folder {FOLDER}/: it is no clone of KartShoppe", root.display());
        Ok(Self { root, records: Path::new(git_dir).join("kartshoppe-workshop") })
    }

    /// The files among these with changes that are not committed.
    pub fn uncommitted(&self, files: &[String]) -> anyhow::Result<Vec<String>> {
        let said = self.run(
            git(&self.root).args(["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--"]).args(files),
        )?;
        Ok(said.split('\0').filter_map(|entry| entry.get(3..)).map(str::to_owned).collect())
    }

    /// Applies a patch to these files, whole or not at all. If it does not fit as it is, git merges it with what was changed since it was
    /// made, as it merges branches.
    pub fn apply(&self, patch: &Path, files: &[String]) -> anyhow::Result<()> {
        match self.run(git(&self.root).args(["apply", "--whitespace=nowarn"]).arg(patch)) {
            Ok(_) => Ok(()),
            Err(_) => self.merge(patch, files),
        }
    }

    /// Merges in an index of its own, and writes the files only after all of them could be merged.
    fn merge(&self, patch: &Path, files: &[String]) -> anyhow::Result<()> {
        let index = SeparateIndex::empty(self)?;
        for file in files.iter().filter(|file| self.root.join(file).is_file()) {
            index.add(file, &self.root.join(file))?;
        }
        // A conflict is solved by no memory of others, and leaves none.
        let merge = ["-c", "rerere.enabled=false", "apply", "--cached", "--3way", "--whitespace=nowarn"];
        self.run(index.git().args(merge).arg(patch))?;
        let merged: Vec<(&String, Option<Vec<u8>>)> =
            files.iter().map(|file| Ok((file, index.read(file)?))).collect::<anyhow::Result<_>>()?;
        for (file, contents) in merged {
            let path = self.root.join(file);
            let written = match contents {
                Some(contents) => path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, contents)),
                None if path.is_file() => fs::remove_file(&path),
                None => Ok(()),
            };
            written.with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    /// The last commit that changed one of these files, if there is one.
    pub fn last_commit(&self, files: &[String]) -> Option<String> {
        let said = self.run(git(&self.root).args(["log", "-1", "--format=%h", "--"]).args(files)).ok()?;
        Some(said.trim().to_owned()).filter(|commit| !commit.is_empty())
    }

    /// How these files differ from the copies of them below `base`; a file that `base` does not have is new. Leaves index and
    /// files alone: the comparison is made with an index of its own.
    pub fn difference(&self, base: &Path, files: &[String]) -> anyhow::Result<String> {
        let index = SeparateIndex::empty(self)?;
        for file in files {
            if base.join(file).is_file() {
                index.add(file, &base.join(file))?;
            } else if self.root.join(file).is_file() {
                self.run(index.git().args(["add", "--intent-to-add", "--force", "--", file]))?;
            }
        }
        let diff = ["-c", "core.filemode=false", "diff", "--no-ext-diff", "--no-color", "--full-index", "--binary", "--"];
        self.run(index.git().args(diff).args(files))
    }

    fn run(&self, command: &mut Command) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&self.output(command)?).into_owned())
    }

    fn output(&self, command: &mut Command) -> anyhow::Result<Vec<u8>> {
        let answer = command.output().context("starting git")?;
        if !answer.status.success() {
            let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
            bail!("git {}: {}", words.join(" "), String::from_utf8_lossy(&answer.stderr).trim());
        }
        Ok(answer.stdout)
    }
}

/// An index that is not the clone's own, so that comparing and merging leave that alone.
struct SeparateIndex<'a> {
    repository: &'a Repository,
    path: PathBuf,
}

impl<'a> SeparateIndex<'a> {
    fn empty(repository: &'a Repository) -> anyhow::Result<Self> {
        fs::create_dir_all(&repository.records).with_context(|| format!("making {}", repository.records.display()))?;
        let index = Self { repository, path: repository.records.join(format!("index.{}", std::process::id())) };
        repository.run(index.git().args(["read-tree", "--empty"]))?;
        Ok(index)
    }

    fn git(&self) -> Command {
        let mut command = git(&self.repository.root);
        command.env("GIT_INDEX_FILE", &self.path);
        command
    }

    /// Adds a file with the contents of another one, byte for byte.
    fn add(&self, name: &str, contents: &Path) -> anyhow::Result<()> {
        let blob = self.repository.run(self.git().args(["hash-object", "-w", "--no-filters", "--"]).arg(contents))?;
        let entry = format!("100644,{},{name}", blob.trim());
        self.repository.run(self.git().args(["update-index", "--add", "--cacheinfo", &entry])).map(drop)
    }

    /// The contents of a file, if it has it.
    fn read(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let known = self.repository.run(self.git().args(["ls-files", "--", name]))?;
        if known.is_empty() {
            return Ok(None);
        }
        self.repository.output(self.git().args(["cat-file", "blob", &format!(":{name}")])).map(Some)
    }
}

impl Drop for SeparateIndex<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// git in this folder, whatever repository the environment of a hook names.
fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(variable);
    }
    command
}
