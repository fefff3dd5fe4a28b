//! Executes the steps of chapters as `docs/workshop/AUTHORS.md` says: each in a shell and a process group of its own.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{self, Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::config::Config;
use crate::data_dir;
use crate::workshop::{self, Chapter, Step, StepKind};

/// How long a step may take, and a shop until it is ready.
const STEP_LIMIT: Duration = Duration::from_secs(300);
/// How long a process may take to end after Ctrl-C.
const END_LIMIT: Duration = Duration::from_secs(60);
/// When SIGTERM follows: a shell that was started in the background ignores Ctrl-C, and so does what it starts. A shop ends at
/// once with its second signal, so not before it has had time.
const IGNORED_AFTER: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// How long the output of an ended step may be held open by what it has left running.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(1);
/// How much of its output a failed step shows.
const SHOWN_LINES: usize = 15;
const SHOWN_CHARS: usize = 300;

/// A learner's terminals.
pub(super) struct Shell {
    root: PathBuf,
    data_dir: PathBuf,
    /// The guide's addresses, and those of this shop.
    addresses: [(&'static str, SocketAddr); 2],
    /// In the order of their start. The step that is being executed is among them, so that it can be ended after its future was
    /// dropped.
    running: Vec<Process>,
}

struct Process {
    /// `None`: a step that ends by itself.
    name: Option<String>,
    opens_shop: bool,
    group: Pid,
    child: Child,
    /// The last ones that it printed.
    lines: Arc<Mutex<VecDeque<String>>>,
    output: [JoinHandle<()>; 2],
}

impl Shell {
    /// Nothing runs in it yet.
    ///
    /// # Errors
    /// If the shop's addresses cannot be known.
    pub(super) fn new(config: &Config, root: &Path) -> anyhow::Result<Self> {
        let (shop, operators) = (config.http.listen, config.admin.listen);
        ensure!(shop.port() != 0 && operators.port() != 0, "http.listen and admin.listen must name a port: steps call them");
        let addresses = [("8081", workshop::reachable(shop)), ("9464", workshop::reachable(operators))];
        let data_dir = path::absolute(&config.data_dir).context("the data directory")?;
        Ok(Self { root: root.to_owned(), data_dir, addresses, running: Vec::new() })
    }

    /// Executes the steps of a chapter. What runs beside the shop ends before the next one: its checks may need it.
    pub(super) async fn chapter(&mut self, chapter: &Chapter) -> anyhow::Result<()> {
        while let Some(at) = self.running.iter().position(|process| !process.opens_shop) {
            self.end(at).await?;
        }
        let all = chapter.steps().count();
        for (number, step) in (1..).zip(chapter.steps()) {
            let named = || format!("step {number} of {all}, `{}`", step.text.lines().next().unwrap_or_default());
            self.step(step).await.with_context(named)?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        match &step.kind {
            StepKind::Run => self.run(&step.text).await,
            StepKind::Refused => match self.run_to_end(&step.text).await? {
                (status, words) if status.success() => bail!("it was not refused{words}"),
                _ => Ok(()),
            },
            StepKind::Background => {
                self.start(step.name.clone(), &step.text, step.opens_shop())?;
                if step.opens_shop() { self.until_ready().await } else { Ok(()) }
            }
            // One who comes back has closed it already.
            StepKind::Stop(name) => match self.named(name) {
                Some(at) => self.end(at).await,
                None => Ok(()),
            },
        }
    }

    /// Opens the shop, which is ready then.
    pub(super) async fn open(&mut self, opening: &workshop::Opening) -> anyhow::Result<()> {
        self.start(Some(opening.name.clone()), &opening.command, true)?;
        self.until_ready().await.with_context(|| format!("`{}`", opening.command))
    }

    /// Runs a command, which must succeed.
    pub(super) async fn run(&mut self, text: &str) -> anyhow::Result<()> {
        match self.run_to_end(text).await? {
            (status, _) if status.success() => Ok(()),
            (status, words) => bail!("it ended with {}{words}", code(status)),
        }
    }

    /// A command's status and last words.
    async fn run_to_end(&mut self, text: &str) -> anyhow::Result<(ExitStatus, String)> {
        self.start(None, text, false)?;
        let until = Instant::now() + STEP_LIMIT;
        loop {
            let process = self.running.last_mut().context("the step runs")?;
            if let Some(status) = process.child.try_wait()? {
                let words = process.last_words().await;
                self.running.pop();
                return Ok((status, words));
            }
            if Instant::now() >= until {
                bail!("it was not done after {STEP_LIMIT:?}{}", process.last_words().await);
            }
            self.helpers_run().await?;
            sleep(POLL).await;
        }
    }

    /// A step may wait for ever for what a background step of its chapter has failed to do.
    async fn helpers_run(&mut self) -> anyhow::Result<()> {
        for process in self.running.iter_mut().filter(|process| !process.opens_shop) {
            let Some(name) = process.name.clone() else { continue };
            if let Some(status) = process.child.try_wait()?.filter(|status| !status.success()) {
                bail!("the background step {name} ended with {}{}", code(status), process.last_words().await);
            }
        }
        Ok(())
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + STEP_LIMIT;
        loop {
            let process = self.running.last_mut().context("the shop runs")?;
            if let Some(status) = process.child.try_wait()? {
                bail!("it ended with {} before the shop was ready{}", code(status), process.last_words().await);
            }
            if Instant::now() >= until {
                bail!("the shop was not ready after {STEP_LIMIT:?}{}", process.last_words().await);
            }
            if let Some(server) = data_dir::running_server(&self.data_dir) {
                let url = format!("http://{}/readyz", workshop::reachable(server.admin));
                let asked = reqwest::Client::new().get(url).timeout(Duration::from_secs(5)).send().await;
                if asked.is_ok_and(|answer| answer.status().is_success()) {
                    return Ok(());
                }
            }
            sleep(POLL).await;
        }
    }

    fn start(&mut self, name: Option<String>, text: &str, opens_shop: bool) -> anyhow::Result<()> {
        if let Some(at) = name.as_deref().and_then(|name| self.named(name)) {
            let has_ended = self.running[at].child.try_wait()?.is_some();
            ensure!(has_ended, "the background step {} runs already", name.unwrap_or_default());
            self.running.remove(at);
        }
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &self.adapted(text)]).current_dir(&self.root).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("PATH", workshop::search_path()).env("KARTSHOPPE__DATA_DIR", &self.data_dir).env("BROWSER", "none");
        // `make run` opens the shop with this program, and builds nothing.
        if std::env::var_os("KARTSHOPPE_BIN").is_none() {
            command.env("KARTSHOPPE_BIN", std::env::current_exe().context("this program's file")?);
        }
        // What a make around this command has set is not meant for the make in a step.
        for inherited in ["ARGS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"] {
            command.env_remove(inherited);
        }
        let mut child = command.spawn().context("bash cannot be started")?;
        let group = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)).context("the step has no process")?;
        let lines = Arc::default();
        let output = [keep(child.stdout.take(), &lines), keep(child.stderr.take(), &lines)];
        self.running.push(Process { name, opens_shop, group, child, lines, output });
        Ok(())
    }

    /// The text with this shop's addresses and data directory, which the environment names.
    fn adapted(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (port, address) in &self.addresses {
            for host in ["localhost", "127.0.0.1"] {
                text = text.replace(&format!("{host}:{port}"), &address.to_string());
            }
        }
        let begins = |before: &str| before.is_empty() || before.ends_with([' ', '\n', '"', '=', '(']);
        let ends = |after: &str| after.is_empty() || after.starts_with([' ', '\n', '"', '/', ')', ';']);
        let mut adapted = String::new();
        let mut pieces = text.split(".kartshoppe").peekable();
        while let Some(piece) = pieces.next() {
            adapted.push_str(piece);
            match pieces.peek() {
                Some(next) if begins(piece) && ends(next) => adapted.push_str("\"$KARTSHOPPE__DATA_DIR\""),
                Some(_) => adapted.push_str(".kartshoppe"),
                None => {}
            }
        }
        adapted
    }

    /// What was printed last by the background steps that run.
    pub(super) fn last_words(&self) -> String {
        let of =
            |process: &Process| process.name.as_ref().map(|name| format!("\nthe last words of {name}:{}", process.last_lines()));
        self.running.iter().filter_map(of).collect()
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.running.iter().position(|process| process.name.as_deref() == Some(name))
    }

    /// Ends everything, the newest first.
    pub(super) async fn end_all(&mut self) -> anyhow::Result<()> {
        let mut result = Ok(());
        while let Some(last) = self.running.len().checked_sub(1) {
            result = self.end(last).await.and(result);
        }
        result
    }

    /// Ends a process group as Ctrl-C does, or with SIGTERM where that is ignored.
    async fn end(&mut self, at: usize) -> anyhow::Result<()> {
        let process = &mut self.running[at];
        let since = Instant::now();
        let mut signals = [(Duration::ZERO, Signal::INT), (IGNORED_AFTER, Signal::TERM)].into_iter().peekable();
        let mut result = Ok(());
        while process.child.try_wait()?.is_none() || test_kill_process_group(process.group).is_ok() {
            if let Some((_, signal)) = signals.next_if(|(after, _)| since.elapsed() >= *after) {
                let _ = kill_process_group(process.group, signal);
            }
            if since.elapsed() >= END_LIMIT {
                let _ = kill_process_group(process.group, Signal::KILL);
                let name = process.name.as_deref().unwrap_or("the step");
                result = Err(anyhow::anyhow!("{name} did not end within {END_LIMIT:?} and was killed"));
                break;
            }
            sleep(POLL).await;
        }
        self.running.remove(at);
        result
    }
}

impl Process {
    /// The end of its output, on lines of their own.
    async fn last_words(&mut self) -> String {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            for reading in &mut self.output {
                let _ = timeout(OUTPUT_PATIENCE, reading).await;
            }
        }
        self.last_lines()
    }

    fn last_lines(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("\n    {line}")).collect()
    }
}

fn code(status: ExitStatus) -> String {
    status.code().map_or_else(|| "a signal".to_owned(), |code| code.to_string())
}

/// Reads an output to its end, and keeps its last lines.
fn keep(output: Option<impl AsyncRead + Unpin + Send + 'static>, kept: &Arc<Mutex<VecDeque<String>>>) -> JoinHandle<()> {
    let kept = Arc::clone(kept);
    tokio::spawn(async move {
        let Some(output) = output else { return };
        let (mut reader, mut line) = (BufReader::new(output), Vec::new());
        while reader.read_until(b'\n', &mut line).await.is_ok_and(|bytes| bytes > 0) {
            let shown: String = String::from_utf8_lossy(&line).trim_end().chars().take(SHOWN_CHARS).collect();
            line.clear();
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_back(shown);
            if kept.len() > SHOWN_LINES {
                kept.pop_front();
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn steps_call_this_shop_and_failures_show_their_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::load(&crate::config::LoadOptions::default()).unwrap().config;
        config.data_dir = folder.path().join("a b");
        config.http.listen = "0.0.0.0:18081".parse().unwrap();
        let mut shell = Shell::new(&config, folder.path()).unwrap();
        let written = "KARTSHOPPE__DATA_DIR=.kartshoppe make; cat .kartshoppe/lock \"$(cat .kartshoppe/x)\" http://localhost:8081/a http://127.0.0.1:9464 x.kartshoppe";
        let meant = "KARTSHOPPE__DATA_DIR=\"$KARTSHOPPE__DATA_DIR\" make; cat \"$KARTSHOPPE__DATA_DIR\"/lock \"$(cat \"$KARTSHOPPE__DATA_DIR\"/x)\" \
                     http://127.0.0.1:18081/a http://127.0.0.1:9464 x.kartshoppe";
        assert_eq!(shell.adapted(written), meant);
        shell.run("mkdir .kartshoppe && command -v bash").await.unwrap();
        assert!(config.data_dir.is_dir());
        let failed = shell.run("echo out; echo err >&2; exit 7").await.unwrap_err().to_string();
        assert!(
            failed.starts_with("it ended with 7") && failed.contains("\n    out") && failed.contains("\n    err"),
            "{failed}"
        );
        shell.start(Some("helper".to_owned()), "echo taken; exit 3", false).unwrap();
        let failed = shell.run("sleep 60").await.unwrap_err().to_string();
        assert!(failed.contains("the background step helper ended with 3") && failed.contains("taken"), "{failed}");
        shell.end_all().await.unwrap();
        assert!(shell.running.is_empty());
    }

    #[tokio::test]
    async fn what_runs_beside_the_shop_ends_before_the_next_chapter() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::load(&crate::config::LoadOptions::default()).unwrap().config;
        config.data_dir = folder.path().to_owned();
        let mut shell = Shell::new(&config, folder.path()).unwrap();
        let chapter = |steps: &str| Chapter::read("01-a.md", &format!("# 1 · A\n\n{steps}")).unwrap();
        shell.chapter(&chapter("```sh step background name=helper\nsleep 60\n```\n")).await.unwrap();
        assert!(shell.named("helper").is_some(), "the checks of the chapter need it");
        shell.chapter(&chapter("```sh step\ntrue\n```\n")).await.unwrap();
        assert!(shell.named("helper").is_none());
    }
}
