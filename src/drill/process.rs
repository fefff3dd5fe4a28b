//! The shop under drill: a child process with its own data directory, and the signals sent to it.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::DrillPaths;
use super::output::{Held, Output};
use crate::data_dir::running_server;
use crate::telemetry::names::attribute::DRILL_ID;

/// A first start creates a database cluster, perhaps on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(180);
/// A stop commits running work and stops the database.
const STOP_LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const COPIED_WITHIN: Duration = Duration::from_millis(100);
/// Outside the operating system's ephemeral range: while the shop is dead, no outgoing connection or database can be given its
/// port.
const PORTS: Range<u16> = 20_000..32_000;

/// The shop's process. Dropping it kills the process.
pub struct ShopProcess {
    program: PathBuf,
    arguments: Vec<String>,
    data: PathBuf,
    environment: Vec<(String, String)>,
    output: PathBuf,
    http: u16,
    admin: u16,
    child: Option<Child>,
    said: Option<Output>,
    client: reqwest::Client,
}

/// All of a drill is traced, and its spans name it, so that a collector keeps them; what the caller or the plan sets counts
/// instead.
fn traced(folder: &Path) -> Vec<(String, String)> {
    const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
    const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let id: String = name.chars().filter(|it| it.is_ascii_alphanumeric() || "-_.".contains(*it)).collect();
    let given = std::env::var(ATTRIBUTES).unwrap_or_default();
    let attributes = if given.is_empty() { format!("{DRILL_ID}={id}") } else { format!("{given},{DRILL_ID}={id}") };
    let sampler = std::env::var_os(SAMPLER).is_none().then(|| (SAMPLER.to_owned(), "always_on".to_owned()));
    sampler.into_iter().chain([(ATTRIBUTES.to_owned(), attributes)]).collect()
}

impl ShopProcess {
    /// Chooses ports; nothing runs yet. `name` names its data directory and its output.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn new(place: &DrillPaths, name: &str, mut environment: Vec<(String, String)>) -> anyhow::Result<Self> {
        let (http, admin) = two_free_ports().context("looking for free ports")?;
        let data = place.folder.join(name);
        environment.splice(0..0, traced(&place.folder));
        environment.extend([
            ("KARTSHOPPE__DATA_DIR".to_owned(), data.display().to_string()),
            ("KARTSHOPPE__HTTP__LISTEN".to_owned(), format!("127.0.0.1:{http}")),
            ("KARTSHOPPE__ADMIN__LISTEN".to_owned(), format!("127.0.0.1:{admin}")),
        ]);
        Ok(Self {
            program: place.program.clone(),
            arguments: place.arguments.clone(),
            data,
            environment,
            output: place.folder.join(format!("{name}.log")),
            http,
            admin,
            child: None,
            said: None,
            client: reqwest::Client::new(),
        })
    }

    /// The shop's URL for shoppers.
    #[must_use]
    pub fn shop_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// The shop's address for raw connections.
    #[must_use]
    pub fn shop_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.http).into()
    }

    /// The shop's URL for pages.
    #[must_use]
    pub fn pages_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.http)
    }

    /// The shop's URL for operators.
    #[must_use]
    pub fn operators_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin)
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// Starts it and waits until it reports that it is ready.
    ///
    /// # Errors
    /// If it ends instead, or takes too long: with the end of its output.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.data).with_context(|| format!("making {}", self.data.display()))?;
        let output = Output::into(File::options().create(true).append(true).open(&self.output)?)?;
        let mut command = self.command("serve");
        // Its own process group: Ctrl-C in the terminal, and what `timeout` sends, reach only the drill.
        command.stdin(Stdio::null()).stdout(output.end()?).stderr(output.end()?).kill_on_drop(true).process_group(0);
        let mut child = command.spawn().with_context(|| format!("starting {}", self.program.display()))?;
        let deadline = Instant::now() + START_LIMIT;
        while !self.is_ready(child.id()).await {
            if let Some(status) = child.try_wait()? {
                bail!("the shop ended while it started ({status}):\n{}", self.last_words());
            }
            ensure!(Instant::now() < deadline, "the shop was not ready within {START_LIMIT:?}:\n{}", self.last_words());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.child = Some(child);
        self.said = Some(output);
        Ok(())
    }

    /// Stops reading its output until the result is dropped.
    ///
    /// # Errors
    /// If it is not running.
    pub fn stop_reading(&self) -> anyhow::Result<Held> {
        Ok(self.said.as_ref().context("the shop does not run")?.hold()?)
    }

    async fn is_ready(&self, pid: Option<u32>) -> bool {
        if running_server(&self.data).map(|info| info.pid) != pid {
            return false;
        }
        let ready = self.client.get(format!("{}/readyz", self.operators_url())).timeout(Duration::from_secs(2)).send().await;
        ready.is_ok_and(|answer| answer.status().is_success())
    }

    /// SIGKILL, and waits for its end.
    ///
    /// # Errors
    /// If it is not running.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the shop does not run")?;
        child.kill().await.context("killing the shop")
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// If it is not running, exits with an error, or takes too long; it is killed then.
    pub async fn terminate(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let mut child = self.child.take().context("the shop does not run")?;
        let Ok(ended) = tokio::time::timeout(STOP_LIMIT, child.wait()).await else {
            child.kill().await?;
            bail!("the shop did not stop within {STOP_LIMIT:?} after SIGTERM");
        };
        let status = ended?;
        ensure!(status.success(), "the shop ended with {status} after SIGTERM:\n{}", self.last_words());
        Ok(())
    }

    /// SIGSTOP, a wait, SIGCONT.
    ///
    /// # Errors
    /// If it is not running.
    pub async fn freeze(&mut self, time: Duration) -> anyhow::Result<()> {
        self.signal(Signal::STOP)?;
        tokio::time::sleep(time).await;
        self.signal(Signal::CONT)
    }

    /// Starts it if it is not running.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        let runs = match &mut self.child {
            Some(child) => child.try_wait()?.is_none(),
            None => false,
        };
        if runs { Ok(()) } else { self.start().await }
    }

    /// How it ended, if it exited by itself: with the end of its output.
    ///
    /// # Errors
    /// If the operating system reports an error.
    pub fn died(&mut self) -> anyhow::Result<Option<String>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        Ok(child.try_wait()?.map(|status| format!("ended by itself ({status}):\n{}", self.last_words())))
    }

    /// Ends it at the end of the drill, in order, so that its database stops with it.
    pub async fn stop(&mut self) {
        if self.child.is_some() {
            let _ = self.terminate().await;
        }
    }

    /// The ledger checker's report about this shop.
    ///
    /// # Errors
    /// If the checker cannot be run.
    pub async fn check(&self) -> anyhow::Result<Value> {
        let output = self.command("check").arg("--json").output().await.context("starting the ledger checker")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).with_context(|| format!("the ledger checker gave no report: {said}"))
    }

    /// The length of its output so far, for [`ShopProcess::said_since`].
    #[must_use]
    pub fn said(&self) -> u64 {
        std::fs::metadata(&self.output).map_or(0, |file| file.len())
    }

    /// Whether its output since then contains one of these words, in any case.
    #[must_use]
    pub fn said_since(&self, place: u64, words: &[&str]) -> bool {
        let output = std::fs::read(&self.output).unwrap_or_default();
        let place = usize::try_from(place).unwrap_or_default().min(output.len());
        let said = String::from_utf8_lossy(&output[place..]).to_lowercase();
        words.iter().any(|word| said.contains(word))
    }

    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(what);
        // The shop starts its own database: orders in another one would not belong to the drill.
        command
            .env_remove("DATABASE_URL")
            .env_remove("KARTSHOPPE__POSTGRES__DATABASE_URL")
            .env_remove("KARTSHOPPE__CDC__DATABASE_URL");
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.child.as_ref().and_then(Child::id).and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(pid.context("the shop does not run")?, signal).context("signalling the shop")
    }

    fn last_words(&self) -> String {
        // Its latest output may not have reached the file yet.
        std::thread::park_timeout(COPIED_WITHIN);
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().filter(|line| !line.is_empty()).take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// Two ports that are free now; the shop keeps them across restarts, so that shoppers and pages reconnect.
fn two_free_ports() -> std::io::Result<(u16, u16)> {
    let mut last = None;
    for _ in 0..100 {
        let one = rand::random_range(PORTS);
        match (TcpListener::bind(("127.0.0.1", one)), TcpListener::bind(("127.0.0.1", one + 1))) {
            (Ok(_), Ok(_)) => return Ok((one, one + 1)),
            (Err(error), _) | (_, Err(error)) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| ErrorKind::AddrInUse.into()))
}
