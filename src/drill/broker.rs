//! The drill's Kafka broker: started, killed and restarted by the repository's script.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A first start formats the storage, perhaps on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(180);

/// A running broker. It ends with its holder process, which waits on a pipe of ours and so ends even if the drill is killed.
pub struct Broker {
    script: PathBuf,
    folder: PathBuf,
    address: String,
    _holder: Child,
}

impl Broker {
    /// Starts a broker that keeps its data in this folder.
    ///
    /// # Errors
    /// If the script fails, with its output.
    pub async fn start(script: &Path, folder: PathBuf) -> anyhow::Result<Self> {
        let mut command = Command::new(script);
        command.arg("hold").arg(&folder).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut holder = command.spawn().with_context(|| format!("starting {}", script.display()))?;
        let output = holder.stdout.take().context("the broker's output")?;
        let mut address = String::new();
        let read = tokio::time::timeout(START_LIMIT, BufReader::new(output).read_line(&mut address)).await;
        read.context("the broker does not start in time")?.context("reading the broker's address")?;
        let address = address.trim().to_owned();
        ensure!(!address.is_empty(), "the broker did not start: see {}", folder.display());
        Ok(Self { script: script.to_owned(), folder, address, _holder: holder })
    }

    /// `host:port` for clients.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// SIGKILL, and waits until the port is closed.
    ///
    /// # Errors
    /// If the script fails.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.run("kill").await
    }

    /// Restarts it at the same address with its data on disk, and waits until it serves. Does nothing if it runs.
    ///
    /// # Errors
    /// If the script fails.
    pub async fn resume(&self) -> anyhow::Result<()> {
        self.run("start").await
    }

    /// Runs one of Kafka's command-line tools on it.
    ///
    /// # Errors
    /// If the tool fails.
    pub async fn tool(&self, class: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = self.tool_command(class, arguments);
        let status = tokio::time::timeout(START_LIMIT, command.status()).await.with_context(|| format!("{class} hangs"))??;
        ensure!(status.success(), "{class} {}: {status}", arguments.join(" "));
        Ok(())
    }

    /// Joins a group for a while as a consumer that commits what it reads; returns how many records it took.
    ///
    /// # Errors
    /// If the consumer cannot be started or ended.
    pub async fn consume(&self, topic: &str, group: &str, time: Duration) -> anyhow::Result<u64> {
        let arguments = ["--topic", topic, "--group", group];
        let mut command = self.tool_command("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments);
        let mut consumer = command.stdout(Stdio::piped()).spawn().context("starting a consumer")?;
        let output = consumer.stdout.take().context("the consumer's output")?;
        let counting = tokio::spawn(async move {
            let (mut lines, mut count) = (BufReader::new(output).lines(), 0);
            while let Ok(Some(_)) = lines.next_line().await {
                count += 1;
            }
            count
        });
        tokio::time::sleep(time).await;
        // The whole process group: the script's tool is its child.
        let pid = consumer.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).context("the consumer ended by itself")?;
        kill_process_group(pid, Signal::TERM).context("ending the consumer")?;
        tokio::time::timeout(START_LIMIT, consumer.wait()).await.context("the consumer does not end")??;
        counting.await.context("counting what the consumer took")
    }

    fn tool_command(&self, class: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.script);
        command.args(["tool", class, "--bootstrap-server", &self.address]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).kill_on_drop(true);
        command
    }

    async fn run(&self, what: &str) -> anyhow::Result<()> {
        let mut command = Command::new(&self.script);
        command.arg(what).arg(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        let status = tokio::time::timeout(START_LIMIT, command.status()).await.context("the broker's script hangs")??;
        ensure!(status.success(), "{} {what}: {status}", self.script.display());
        Ok(())
    }
}
