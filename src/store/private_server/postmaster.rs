//! The server's process: started by us, or found running and adopted.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::PrivateServerError;
use super::cluster::{Cluster, in_file, last_words};

/// A server that recovers from a crash replays at most `max_wal_size`; longer than this and something else is wrong.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// A fast shutdown ends connections and writes a checkpoint.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);
/// An immediate shutdown writes nothing; the next start recovers. Nothing committed is lost.
const ENDED_WITHIN: Duration = Duration::from_secs(10);
/// How often files and processes are looked at while something is awaited.
const POLL: Duration = Duration::from_millis(5);
/// How often an adopted server, which is not our child, is looked at.
const WATCH_ADOPTED: Duration = Duration::from_millis(250);
/// A port that was free may be taken before the server has it, and the processes of a killed server need a moment to end.
const START_ATTEMPTS: u32 = 5;
const START_AGAIN_AFTER: Duration = Duration::from_millis(300);

/// A running server process.
#[derive(Debug)]
pub(super) struct Postmaster {
    pid: Pid,
    /// `None` if it was adopted.
    child: Option<Child>,
}

/// What `postmaster.pid` says. Source: PostgreSQL, `miscadmin.h`, the lock file's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PidFile {
    pub pid: Pid,
    pub port: u16,
    /// Whether it takes connections: not while it recovers, and no longer when it stops.
    pub ready: bool,
}

/// The server that runs on this directory, if one does.
pub(super) fn running(directory: &Path) -> Result<Option<PidFile>, PrivateServerError> {
    let file = PidFile::read(directory)?;
    Ok(file.filter(|file| is_alive(file.pid) && runs_on(file.pid, directory) != Some(false)))
}

impl Postmaster {
    /// A process that was found running.
    pub fn of(file: PidFile) -> Self {
        Self { pid: file.pid, child: None }
    }

    /// Adopts the server that runs on the cluster, or starts one; returns when it takes connections.
    pub async fn adopt_or_start(cluster: &mut Cluster) -> Result<Self, PrivateServerError> {
        let mut attempt = 1;
        loop {
            if running(&cluster.directory)?.is_none() {
                cluster.choose_port()?;
            }
            match Self::adopt_or_start_once(cluster).await {
                Err(error @ PrivateServerError::Program { .. }) if attempt < START_ATTEMPTS => {
                    tracing::info!(%error, "the private PostgreSQL did not start: trying again");
                }
                other => return other,
            }
            attempt += 1;
            sleep(START_AGAIN_AFTER).await;
        }
    }

    /// The same, on the port that everybody knows.
    pub async fn adopt_or_start_once(cluster: &mut Cluster) -> Result<Self, PrivateServerError> {
        if let Some(file) = running(&cluster.directory)?
            && let Some(adopted) = Self::adopt(cluster, file).await?
        {
            return Ok(adopted);
        }
        Self::start(cluster).await
    }

    /// Ends the server: at once as far as its clients are concerned, and with everything committed on disk.
    pub async fn stop(mut self) -> Result<(), PrivateServerError> {
        for (signal, within) in [(Signal::INT, STOPPED_WITHIN), (Signal::QUIT, ENDED_WITHIN)] {
            match kill_process(self.pid, signal) {
                Err(rustix::io::Errno::SRCH) => return Ok(()),
                Err(errno) => return Err(in_file("signal the private PostgreSQL in", Path::new("/proc"))(errno.into())),
                Ok(()) => {}
            }
            if tokio::time::timeout(within, self.ended()).await.is_ok() {
                return Ok(());
            }
            tracing::warn!(pid = self.pid.as_raw_nonzero().get(), ?within, "the private PostgreSQL does not stop");
        }
        Err(PrivateServerError::NotStopped { pid: self.pid.as_raw_nonzero().get(), waited: STOPPED_WITHIN + ENDED_WITHIN })
    }

    /// Waits until the process has ended. Cancel-safe.
    pub async fn ended(&mut self) {
        if let Some(child) = &mut self.child {
            // An error says that it was waited for already.
            let _ = child.wait().await;
            return;
        }
        while is_alive(self.pid) {
            sleep(WATCH_ADOPTED).await;
        }
    }

    /// `None` if the server went away while it was waited for.
    async fn adopt(cluster: &mut Cluster, file: PidFile) -> Result<Option<Self>, PrivateServerError> {
        let pid = file.pid.as_raw_nonzero().get();
        tracing::info!(pid, port = file.port, "found the private PostgreSQL running");
        let mut file = Some(file);
        let give_up = Instant::now() + READY_WITHIN;
        while let Some(seen) = file.take() {
            if seen.ready {
                cluster.take_port(seen.port)?;
                return Ok(Some(Self::of(seen)));
            }
            if Instant::now() > give_up {
                let log = cluster.log_file().display().to_string();
                return Err(PrivateServerError::NotReady { waited: READY_WITHIN, log });
            }
            sleep(POLL).await;
            file = running(&cluster.directory)?;
        }
        Ok(None)
    }

    async fn start(cluster: &Cluster) -> Result<Self, PrivateServerError> {
        remove_strangers_pid(&cluster.directory)?;
        cluster.configure()?;
        let log = cluster.open_log()?;
        let said_before = log.metadata().map(|meta| meta.len()).unwrap_or_default();
        let mut command = cluster.command("postgres");
        command.arg("-D").arg(&cluster.directory).stdout(Stdio::null()).stderr(log);
        let mut child = Command::from(command).spawn().map_err(in_file("run postgres in", &cluster.binaries.directory))?;
        let give_up = Instant::now() + READY_WITHIN;
        while Instant::now() < give_up {
            if child.try_wait().map_err(in_file("wait for postgres in", &cluster.directory))?.is_some() {
                return Err(PrivateServerError::Program { program: "postgres", output: said_since(cluster, said_before) });
            }
            let file = PidFile::read(&cluster.directory)?;
            if let Some(file) =
                file.filter(|file| file.ready && child.id() == u32::try_from(file.pid.as_raw_nonzero().get()).ok())
            {
                return Ok(Self { pid: file.pid, child: Some(child) });
            }
            sleep(POLL).await;
        }
        // Better none than one that nobody knows of.
        let _ = child.kill().await;
        Err(PrivateServerError::NotReady { waited: READY_WITHIN, log: cluster.log_file().display().to_string() })
    }
}

impl PidFile {
    fn read(directory: &Path) -> Result<Option<Self>, PrivateServerError> {
        let path = directory.join("postmaster.pid");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(in_file("read", &path)(error)),
        }
    }

    /// Process, directory, start time, port, socket directory, address, shared memory, status. The file grows line by line while
    /// the server starts.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        Some(Self {
            // A server in single-user mode writes its number negative.
            pid: Pid::from_raw(lines.first()?.parse::<i32>().ok()?.checked_abs()?)?,
            port: lines.get(3).and_then(|port| port.parse().ok()).unwrap_or_default(),
            ready: lines.get(7) == Some(&"ready"),
        })
    }
}

fn is_alive(pid: Pid) -> bool {
    // No right to signal it means that it is there.
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

/// Whether this process is a PostgreSQL on that directory; `None` where that cannot be found out.
fn runs_on(pid: Pid, directory: &Path) -> Option<bool> {
    let pid = pid.as_raw_nonzero().get();
    let words = match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(words) => words,
        Err(_) if Path::new("/proc/self").exists() => return None,
        Err(_) => std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output().ok()?.stdout,
    };
    let words = String::from_utf8_lossy(&words).into_owned();
    Some(words.contains("postgres") && words.contains(&*directory.to_string_lossy()))
}

/// After a reboot, or in another container, the number in the file may be some other program's by now. PostgreSQL would then
/// refuse to start; it removes by itself what a dead process left.
fn remove_strangers_pid(directory: &Path) -> Result<(), PrivateServerError> {
    let Some(file) = PidFile::read(directory)? else { return Ok(()) };
    if is_alive(file.pid) && runs_on(file.pid, directory) == Some(false) {
        let path = directory.join("postmaster.pid");
        tracing::info!(path = %path.display(), "removing the mark of a server that is gone");
        fs::remove_file(&path).map_err(in_file("remove", &path))?;
    }
    Ok(())
}

fn said_since(cluster: &Cluster, before: u64) -> String {
    let log = fs::read(cluster.log_file()).unwrap_or_default();
    last_words(log.get(usize::try_from(before).unwrap_or_default()..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_file_is_read_while_it_grows() {
        let whole = "4711\n/data/cluster\n1732500000\n54321\n\n127.0.0.1\n  1234 5678\nready   \n";
        let file = PidFile::parse(whole).unwrap();
        assert_eq!((file.pid.as_raw_nonzero().get(), file.port, file.ready), (4711, 54_321, true));
        let partial = PidFile::parse("4711\n/data/cluster\n").unwrap();
        assert_eq!((partial.port, partial.ready), (0, false));
        assert_eq!(PidFile::parse(""), None);
        assert!(!PidFile::parse(&whole.replace("ready   ", "stopping")).unwrap().ready);
    }

    #[test]
    fn another_program_is_no_server_of_ours() {
        let directory = tempfile::tempdir().unwrap();
        let mine = rustix::process::getpid();
        fs::write(directory.path().join("postmaster.pid"), format!("{}\n", mine.as_raw_nonzero())).unwrap();
        assert!(is_alive(mine));
        assert_eq!(running(directory.path()).unwrap(), None);
        remove_strangers_pid(directory.path()).unwrap();
        assert!(!directory.path().join("postmaster.pid").exists());
    }
}
