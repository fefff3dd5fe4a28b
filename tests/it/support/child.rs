//! Child processes: this test binary again, running one test that is meant for children only and ignored otherwise.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// The environment variable with a child's task.
const TASK: &str = "KARTSHOPPE_IT_TASK";

/// A running child.
pub struct Worker {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts the test `name` of this binary in a process of its own, with this task.
    pub fn start(name: &str, task: &str) -> Self {
        Self::run(Command::new(std::env::current_exe().unwrap()), name, task)
    }

    /// The same, but no file may grow beyond this many KiB, as on a full disk.
    pub fn start_limited(name: &str, task: &str, file_kib: u64) -> Self {
        let mut shell = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", file_kib * 2);
        shell.args(["-c", &script, "sh"]).arg(std::env::current_exe().unwrap());
        Self::run(shell, name, task)
    }

    fn run(mut command: Command, name: &str, task: &str) -> Self {
        command.args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"]).env(TASK, task);
        let mut process = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The rest of the next line that begins with `prefix`; `None` at the end of its output.
    pub fn next(&mut self, prefix: &str) -> Option<String> {
        // The test harness writes the test's name without a line end before the child's first output.
        self.lines.find_map(|line| line.ok()?.split_once(prefix).map(|(_, said)| said.trim().to_owned()))
    }

    /// Ends it like `kill -9`; returns the remaining lines after `prefix`.
    pub fn kill(mut self, prefix: &str) -> Vec<String> {
        self.process.kill().unwrap();
        let rest = std::iter::from_fn(|| self.next(prefix)).collect();
        self.process.wait().unwrap();
        rest
    }

    /// Waits for its end.
    pub fn wait(mut self) -> bool {
        self.process.wait().unwrap().success()
    }
}

/// The task of this process, if it is a child.
pub fn task() -> String {
    std::env::var(TASK).unwrap()
}

/// Total bytes of the files in a folder.
pub fn folder_bytes(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}
