//! `kartshoppe workshop` on a clone with an exercise of its own: patches come and go, and nothing that was written is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BEFORE: &str = "one\ntwo\nthree\nfour\nfive\n";
const HOLED: &str = "one\n// Exercise 1: put it back\nfour\nfive\n";
const HOLE: &str =
    "--- a/src/part.rs\n+++ b/src/part.rs\n@@ -1,5 +1,4 @@\n one\n-two\n-three\n+// Exercise 1: put it back\n four\n five\n";
const SOLUTION: &str =
    "--- a/src/part.rs\n+++ b/src/part.rs\n@@ -1,4 +1,5 @@\n one\n-// Exercise 1: put it back\n+two\n+three\n four\n five\n";
const NEW_TEST: &str = "--- /dev/null\n+++ b/tests/new.rs\n@@ -0,0 +1 @@\n+a test\n";
const NEW_ACTOR: &str = "--- /dev/null\n+++ b/src/new.rs\n@@ -0,0 +1 @@\n+an actor\n";
const HINTS: &str = "# Hints\n\n## 1\n\nfirst\n\n## 2\n\nsecond\n\n## 3\n\nthird\n";
/// Passes once the part is there again; says so as cargo does.
const CARGO: &str = "#!/bin/sh\necho \"$@\" >>asked\nif grep -q two src/part.rs; then echo 'test result: ok. 1 passed; 0 failed'; \
                     else echo 'test result: FAILED. 0 passed; 1 failed'; exit 101; fi\n";

struct Clone {
    folder: tempfile::TempDir,
}

impl Clone {
    fn new() -> Self {
        let clone = Self { folder: tempfile::tempdir().unwrap() };
        clone.write("src/part.rs", BEFORE);
        clone.write("src/other.rs", "other\n");
        clone.write("config/default.toml", "");
        clone.write(".gitignore", "/asked\n/.kartshoppe\n/exercises/*/yours-*.patch\n");
        clone.write("tools/cargo.sh", CARGO);
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(clone.path("tools/cargo.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        clone.exercise("01-part", "The part", r#"files = ["src/part.rs"]"#, [HOLE, SOLUTION]);
        clone.exercise("02-new", "Anew", "files = [\"src/new.rs\", \"tests/new.rs\"]\nadds = true", [NEW_TEST, NEW_ACTOR]);
        for arguments in [&["init", "-q"][..], &["add", "-A"], &["commit", "-qm", "begin"]] {
            let done = clone.git(arguments);
            assert!(done.status.success(), "{done:?}");
        }
        clone
    }

    fn exercise(&self, folder: &str, title: &str, files: &str, [hole, solution]: [&str; 2]) {
        let test = r#"test = ["--lib", "--", "--exact", "part::it_is_there"]"#;
        let facts = format!("title = \"{title}\"\n{test}\npage = \"the page\"\n{files}\n");
        let contents =
            [("exercise.toml", facts.as_str()), ("hole.patch", hole), ("solution.patch", solution), ("hints.md", HINTS)];
        for (name, text) in contents {
            self.write(&format!("exercises/{folder}/{name}"), text);
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn git(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=T", "-c", "user.email=t@localhost", "-c", "core.hooksPath=/dev/null"]);
        command.args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    /// The command at a place of the clone: whether it succeeded, and all that it said.
    fn workshop_at(&self, folder: &Path, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kartshoppe"));
        command.arg("workshop").args(arguments).current_dir(folder);
        // As a git hook would set it.
        command.env("GIT_DIR", "/nowhere").env("KARTSHOPPE__DATA_DIR", self.path(".kartshoppe"));
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }

    fn workshop(&self, arguments: &[&str]) -> String {
        let (done, said) = self.workshop_at(self.folder.path(), arguments);
        assert!(done, "{arguments:?}: {said}");
        said
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let (done, said) = self.workshop_at(self.folder.path(), arguments);
        assert!(!done, "{arguments:?}: {said}");
        said
    }

    /// Commits everything.
    fn commit(&self) {
        for arguments in [&["add", "-A"][..], &["commit", "-qm", "more"]] {
            let done = self.git(arguments);
            assert!(done.status.success(), "{done:?}");
        }
    }

    /// The patch between two states of `src/part.rs`, as `make exercises` has it written: git can merge it.
    fn patch(&self, from: &str, to: &str) -> String {
        let kept = self.read("src/part.rs");
        self.write("src/part.rs", from);
        self.git(&["add", "src/part.rs"]);
        self.write("src/part.rs", to);
        let patch = String::from_utf8(self.git(&["diff", "--full-index", "--", "src/part.rs"]).stdout).unwrap();
        self.write("src/part.rs", &kept);
        self.git(&["add", "src/part.rs"]);
        patch
    }

    /// The patches that were kept.
    fn kept(&self, folder: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path(folder)).unwrap().map(|entry| entry.unwrap().path());
        let mut kept: Vec<PathBuf> =
            entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("yours-")).collect();
        kept.sort();
        kept
    }

    fn status(&self) -> String {
        String::from_utf8(self.git(&["status", "--porcelain"]).stdout).unwrap()
    }
}

#[test]
fn an_exercise_is_opened_checked_solved_and_reset() {
    let clone = Clone::new();
    let said = clone.workshop(&["open", "E1"]);
    assert!(said.contains("E1 · The part") && said.contains("workshop check E1"), "{said}");
    assert!(said.contains("\nbegin at src/part.rs:2\n"), "{said}");
    assert_eq!(clone.read("src/part.rs"), HOLED);
    let said = clone.refused(&["check", "E1"]);
    assert!(said.contains("0 passed; 1 failed") && said.contains("workshop hint E1"), "{said}");
    assert_eq!(clone.read("asked"), "test --locked --lib -- --exact part::it_is_there\n");
    for hint in ["first", "second", "third", "third"] {
        assert!(clone.workshop(&["hint", "E1"]).contains(&format!("\n{hint}\n")), "{hint}");
    }
    // The learner's own way, which passes.
    clone.write("src/part.rs", "one\ntwo and three\nfour\nfive\n");
    let said = clone.workshop(&["check", "e1"]);
    assert!(said.contains("done") && said.contains("the page"), "{said}");
    let said = clone.workshop(&["solve", "E1"]);
    let kept = clone.kept("exercises/01-part");
    assert!(kept.len() == 1 && said.contains("kept in exercises/01-part/yours-"), "{said}");
    assert_eq!(
        (clone.read("src/part.rs").as_str(), clone.status().as_str()),
        (BEFORE, ""),
        "solved, and what is kept is ignored"
    );
    clone.workshop(&["reset", "E1"]);
    assert_eq!((clone.read("src/part.rs").as_str(), clone.kept("exercises/01-part").len()), (BEFORE, 1), "nothing to keep twice");
    // What was kept can be had again.
    clone.workshop(&["open", "E1"]);
    let applied = clone.git(&["apply", kept[0].to_str().unwrap()]);
    assert!(applied.status.success(), "{applied:?}");
    assert_eq!(clone.read("src/part.rs"), "one\ntwo and three\nfour\nfive\n");
    let said = clone.workshop(&["reset", "E1"]);
    assert!(said.contains("kept in") && clone.kept("exercises/01-part").len() == 2, "{said}");
    assert_eq!((clone.read("src/part.rs").as_str(), clone.status().as_str()), (BEFORE, ""));
    assert!(clone.workshop(&["hint", "E1"]).contains("\nfirst\n"), "hints begin again");
    let status = clone.workshop(&["status", "--json"]);
    assert!(status.contains(r#""place": "E1""#) && status.contains(r#""title": "Anew""#), "{status}");
    assert!(clone.workshop(&["reset", "E1"]).contains("was not open"));
}

#[test]
fn what_is_not_committed_is_never_patched_over() {
    let clone = Clone::new();
    clone.write("src/part.rs", "mine\n");
    clone.write("src/other.rs", "mine too\n");
    for command in ["open", "solve"] {
        let said = clone.refused(&[command, "E1"]);
        assert!(said.contains("src/part.rs") && said.contains("Commit") && !said.contains("src/other.rs"), "{said}");
        assert_eq!(clone.read("src/part.rs"), "mine\n");
    }
    // Committed, but no longer what the patch fits: refused as a whole.
    clone.git(&["commit", "-qam", "mine"]);
    let said = clone.refused(&["open", "E1"]);
    assert!(said.contains("does not fit"), "{said}");
    assert_eq!((clone.read("src/part.rs").as_str(), clone.status().as_str()), ("mine\n", ""));
    clone.workshop(&["reset", "E1"]);
    // Another exercise that is open in the same file is named.
    let clone = Clone::new();
    clone.exercise("03-same", "The same part", r#"files = ["src/part.rs"]"#, [HOLE, SOLUTION]);
    clone.commit();
    clone.workshop(&["open", "E1"]);
    let said = clone.refused(&["open", "E3"]);
    assert!(said.contains("E1 is open in them") && said.contains("workshop reset E1"), "{said}");
    assert_eq!(clone.read("src/part.rs"), HOLED);
    clone.workshop(&["reset", "E1"]);
    // A file that the exercise would make is there already.
    clone.write("src/new.rs", "mine\n");
    let said = clone.refused(&["open", "E2"]);
    assert!(said.contains("src/new.rs"), "{said}");
    assert_eq!(clone.read("src/new.rs"), "mine\n");
}

#[test]
fn what_is_committed_around_the_part_is_merged_or_left_alone() {
    let clone = Clone::new();
    let part = |above: &str, middle: &str, below: &str| format!("one\ntwo\n{above}\nfour\n{middle}\nsix\n{below}\neight\n");
    let (whole, holed) = (part("three", "five", "seven"), part("three", "// Exercise 1: put it back", "seven"));
    clone.write("src/part.rs", &whole);
    let patches = [clone.patch(&whole, &holed), clone.patch(&holed, &whole)];
    clone.exercise("01-part", "The part", r#"files = ["src/part.rs"]"#, [&patches[0], &patches[1]]);
    clone.commit();
    let fitting = String::from_utf8(clone.git(&["log", "-1", "--format=%h"]).stdout).unwrap();
    // Beside the lines that are cut out, so that the patch does not fit as it is.
    let mine = part("my three", "five", "my seven");
    clone.write("src/part.rs", &mine);
    clone.commit();
    clone.workshop(&["open", "E1"]);
    assert_eq!(clone.read("src/part.rs"), part("my three", "// Exercise 1: put it back", "my seven"));
    clone.write("src/part.rs", &part("my three", "my five", "my seven"));
    let said = clone.workshop(&["solve", "E1"]);
    assert!(said.contains("kept in exercises/01-part/yours-"), "{said}");
    assert_eq!(clone.read("src/part.rs"), mine);
    clone.workshop(&["reset", "E1"]);
    assert_eq!((clone.read("src/part.rs"), clone.status().as_str()), (mine, ""));
    // The very lines: nothing is touched, and it says where the exercise fits.
    let mine = part("three", "my five", "seven");
    clone.write("src/part.rs", &mine);
    clone.commit();
    for command in ["open", "solve"] {
        let said = clone.refused(&[command, "E1"]);
        let way = format!("git switch --create exercise-E1 {}`", fitting.trim());
        assert!(said.contains("E1 does not fit the sources here") && said.contains(&way), "{said}");
        assert_eq!((clone.read("src/part.rs"), clone.status().as_str()), (mine.clone(), ""), "{command}");
    }
    // What it says to do works, with other work that is not committed, and the commits are still there afterwards.
    clone.write("src/other.rs", "mine too\n");
    assert!(clone.git(&["switch", "-q", "--create", "exercise-E1", fitting.trim()]).status.success());
    clone.workshop(&["open", "E1"]);
    assert_eq!(clone.read("src/part.rs"), holed);
    clone.workshop(&["reset", "E1"]);
    assert!(clone.git(&["switch", "-q", "-"]).status.success());
    assert_eq!((clone.read("src/part.rs"), clone.read("src/other.rs").as_str()), (mine, "mine too\n"));
}

#[test]
fn a_solution_that_does_not_fit_leaves_everything_and_says_where_the_work_is() {
    let clone = Clone::new();
    clone.workshop(&["open", "E2"]);
    clone.write("src/new.rs", "an actor of mine\n");
    // A damaged clone, say.
    clone.write(
        "exercises/02-new/solution.patch",
        "--- a/src/new.rs\n+++ b/src/new.rs\n@@ -1 +1 @@\n-something else\n+an actor\n",
    );
    let said = clone.refused(&["solve", "E2"]);
    assert!(said.contains("kept in exercises/02-new/yours-") && said.contains("E2 does not fit"), "{said}");
    assert!(!clone.path("src/new.rs").exists() && !clone.path("tests/new.rs").exists(), "as before `open`");
    let kept = clone.kept("exercises/02-new");
    assert!(kept.len() == 1 && fs::read_to_string(&kept[0]).unwrap().contains("+an actor of mine"), "{kept:?}");
    clone.workshop(&["reset", "E2"]);
    assert_eq!(clone.kept("exercises/02-new").len(), 1, "nothing was written since");
}

#[test]
fn every_folder_of_the_clone_has_the_same_progress() {
    let clone = Clone::new();
    let at = |folder: &str, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kartshoppe"));
        command.arg("workshop").args(arguments).current_dir(clone.path(folder)).env_remove("KARTSHOPPE__DATA_DIR");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{folder} {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    at("src", &["open", "E1"]);
    at("tools", &["open", "3"]);
    at("", &["open", "4"]);
    let status = at("", &["status", "--json"]);
    assert_eq!(status.matches(r#""state": "begun""#).count(), 3, "{status}");
    for folder in ["src", "exercises/01-part", "tools"] {
        assert_eq!(at(folder, &["status", "--json"]), status, "{folder}");
        assert!(!clone.path(folder).join(".kartshoppe").exists(), "{folder}");
    }
    at("exercises", &["reset", "E1"]);
    at("src", &["reset", "3"]);
    assert_eq!(at("", &["status", "--json"]).matches(r#""state": "begun""#).count(), 1);
}

#[test]
fn opening_twice_keeps_what_was_written() {
    let clone = Clone::new();
    clone.workshop(&["open", "E1"]);
    clone.write("src/part.rs", "one\nhalf of it\n");
    let said = clone.refused(&["open", "E1"]);
    assert!(said.contains("is open already") && said.contains("reset E1"), "{said}");
    assert_eq!(clone.read("src/part.rs"), "one\nhalf of it\n");
    // Other work meanwhile, committed or not, is left alone.
    clone.write("src/other.rs", "more\n");
    clone.workshop(&["reset", "E1"]);
    assert_eq!((clone.read("src/part.rs").as_str(), clone.read("src/other.rs").as_str()), (BEFORE, "more\n"));
    assert_eq!(clone.kept("exercises/01-part").len(), 1);
    assert!(fs::read_to_string(&clone.kept("exercises/01-part")[0]).unwrap().contains("+half of it"));
}

#[test]
fn an_exercise_that_adds_something_takes_it_away_again() {
    let clone = Clone::new();
    clone.workshop(&["open", "E2"]);
    assert_eq!(clone.read("tests/new.rs"), "a test\n");
    clone.write("src/new.rs", "an actor of mine\n");
    clone.workshop(&["solve", "E2"]);
    assert_eq!(clone.read("src/new.rs"), "an actor\n");
    let kept = clone.kept("exercises/02-new");
    assert!(fs::read_to_string(&kept[0]).unwrap().contains("+an actor of mine"), "{kept:?}");
    clone.workshop(&["reset", "E2"]);
    assert!(!clone.path("src/new.rs").exists() && !clone.path("tests/new.rs").exists());
    assert_eq!(clone.status(), "");
    // A late learner begins with the solution.
    clone.workshop(&["solve", "E2"]);
    assert_eq!((clone.read("src/new.rs"), clone.read("tests/new.rs")), ("an actor\n".to_owned(), "a test\n".to_owned()));
    clone.workshop(&["reset", "E2"]);
    assert_eq!(clone.status(), "");
}

#[test]
fn without_a_clone_or_with_a_wrong_number_it_says_what_to_do() {
    let clone = Clone::new();
    let said = clone.refused(&["open", "E9"]);
    assert!(said.contains("there is no exercise E9; there are E1, E2"), "{said}");
    assert!(clone.refused(&["hint", "E1", "4"]).contains("has the hints 1 to 3"));
    let elsewhere = tempfile::tempdir().unwrap();
    let (done, said) = clone.workshop_at(elsewhere.path(), &["open", "E1"]);
    assert!(!done && said.contains("is in no git clone") && said.contains("git clone"), "{said}");
    // In a folder of the clone it finds the clone.
    let (done, said) = clone.workshop_at(&clone.path("src"), &["open", "E1"]);
    assert!(done && clone.read("src/part.rs") == HOLED, "{said}");
    // A clone of something else.
    let other = tempfile::tempdir().unwrap();
    assert!(Command::new("git").args(["init", "-q"]).current_dir(other.path()).status().unwrap().success());
    let (done, said) = clone.workshop_at(other.path(), &["open", "E1"]);
    assert!(!done && said.contains("no clone of KartShoppe"), "{said}");
}
