//! The clone whose sources are changed, by way of git.

use std::ffi::OsStr;
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

    /// Applies a patch whole, or not at all.
    pub fn apply(&self, patch: &Path) -> anyhow::Result<()> {
        self.run(git(&self.root).args(["apply", "--whitespace=nowarn"]).arg(patch)).map(drop)
    }

    /// How these files differ from the copies of them below `base`; a file that `base` does not have is new. Leaves index and
    /// files alone: the comparison is made with an index of its own.
    pub fn difference(&self, base: &Path, files: &[String]) -> anyhow::Result<String> {
        let index = self.records.join("index");
        let with_index = |arguments: &[&str]| {
            let mut command = git(&self.root);
            command.env("GIT_INDEX_FILE", &index).args(arguments);
            command
        };
        let _ = std::fs::remove_file(&index);
        self.run(&mut with_index(&["read-tree", "--empty"]))?;
        for file in files {
            if base.join(file).is_file() {
                let blob = self.run(git(&self.root).args(["hash-object", "-w", "--no-filters", "--"]).arg(base.join(file)))?;
                self.run(&mut with_index(&["update-index", "--add", "--cacheinfo", &format!("100644,{},{file}", blob.trim())]))?;
            } else if self.root.join(file).is_file() {
                self.run(&mut with_index(&["add", "--intent-to-add", "--force", "--", file]))?;
            }
        }
        let said = self.run(
            with_index(&["-c", "core.filemode=false", "diff", "--no-ext-diff", "--no-color", "--full-index", "--binary", "--"])
                .args(files),
        );
        let _ = std::fs::remove_file(&index);
        said
    }

    fn run(&self, command: &mut Command) -> anyhow::Result<String> {
        let answer = command.output().context("starting git")?;
        if !answer.status.success() {
            let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
            bail!("git {}: {}", words.join(" "), String::from_utf8_lossy(&answer.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
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
