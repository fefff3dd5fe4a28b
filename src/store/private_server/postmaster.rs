//! The server's process: started by us, or found running and adopted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::PrivateServerError;
use super::cluster::{Cluster, in_file, last_words};
use super::process::{self, OsProcess};
use super::runtime;

/// Recovery from a crash replays at most `max_wal_size`; if it takes longer than this, something else is wrong.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// A fast shutdown closes connections and writes a checkpoint.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);
/// An immediate shutdown writes nothing; the next start recovers. Nothing committed is lost. PostgreSQL itself kills hanging
/// children after 5 s.
const ENDED_WITHIN: Duration = Duration::from_secs(10);
/// A killed process ends as soon as the system lets it.
const KILLED_WITHIN: Duration = Duration::from_secs(5);
/// How long a drop may block its thread waiting for a server that was not stopped in order.
const DROPPED_WITHIN: Duration = Duration::from_secs(5);
/// How often the pid file is read while a server starts.
const POLL: Duration = Duration::from_millis(5);
/// The processes of a killed server need a moment to end.
const START_ATTEMPTS: u32 = 5;
const START_AGAIN_AFTER: Duration = Duration::from_millis(300);

/// A running server process. Dropping the value stops the server if it still runs.
#[derive(Debug)]
pub(super) struct Postmaster {
    process: OsProcess,
    /// `None` if it was adopted.
    child: Option<Child>,
    over: bool,
}

/// Content of `postmaster.pid`. Source: PostgreSQL, `miscadmin.h`, the lock file's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PidFile {
    pub pid: Pid,
    /// Its data directory when it started.
    pub directory: String,
    /// In epoch seconds.
    pub started: String,
    pub port: u16,
    /// The socket's folder; empty if it has none, as with servers of previous versions.
    pub socket: PathBuf,
    /// Whether it accepts connections: not during recovery, and no longer once it stops.
    pub ready: bool,
}

/// A server that was found running.
#[derive(Debug)]
pub(super) struct Running {
    pub process: OsProcess,
    pub file: PidFile,
}

/// The server that runs on this directory, if any.
pub(super) fn running(directory: &Path) -> Result<Option<Running>, PrivateServerError> {
    let Some(file) = PidFile::read(directory)? else { return Ok(None) };
    let process = OsProcess::find(file.pid).filter(|process| process.runs_on(directory) != Some(false));
    Ok(process.map(|process| Running { process, file }))
}

impl Postmaster {
    /// Wraps a process that was found running.
    pub fn of(process: OsProcess) -> Self {
        Self::new(process, None)
    }

    fn new(process: OsProcess, child: Option<Child>) -> Self {
        process::is_ours(process.pid);
        Self { process, child, over: false }
    }

    /// Adopts the server that runs on the cluster, or starts one; returns when it accepts connections.
    pub async fn adopt_or_start(cluster: &Cluster) -> Result<Self, PrivateServerError> {
        let mut attempt = 1;
        loop {
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

    /// [`Self::adopt_or_start`] without the retry.
    pub async fn adopt_or_start_once(cluster: &Cluster) -> Result<Self, PrivateServerError> {
        if let Some(found) = running(&cluster.directory)?
            && let Some(adopted) = Self::adopt(cluster, found).await?
        {
            return Ok(adopted);
        }
        Self::start(cluster).await
    }

    /// Ends the server as [`Postmaster::stop`] does, and waits until its process id is free, if its parent reaps it.
    pub async fn stop_for_good(self) -> Result<(), PrivateServerError> {
        let pid = self.process.pid;
        self.stop().await?;
        process::collected(pid).await;
        Ok(())
    }

    /// Ends the server: clients are disconnected at once, and everything committed is on disk.
    pub async fn stop(mut self) -> Result<(), PrivateServerError> {
        let ways = [(Signal::INT, STOPPED_WITHIN), (Signal::QUIT, ENDED_WITHIN), (Signal::KILL, KILLED_WITHIN)];
        for (signal, within) in ways {
            self.signal(signal).map_err(in_file("signal the private PostgreSQL in", Path::new("/proc")))?;
            if tokio::time::timeout(within, self.ended()).await.is_ok() {
                return Ok(());
            }
            tracing::warn!(pid = self.process.number(), ?signal, ?within, "the private PostgreSQL does not stop");
        }
        // SIGKILL was the last resort.
        self.over = true;
        let waited = STOPPED_WITHIN + ENDED_WITHIN + KILLED_WITHIN;
        Err(PrivateServerError::NotStopped { pid: self.process.number(), waited })
    }

    /// Waits until the process has ended. Cancel-safe.
    pub async fn ended(&mut self) {
        match &mut self.child {
            // An error means that the child was already waited for.
            Some(child) => drop(child.wait().await),
            None => self.process.ended().await,
        }
        self.over = true;
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        self.process.signal(signal)?;
        // A process stopped by SIGSTOP handles its signals only once it continues.
        self.process.signal(Signal::CONT).map(drop)
    }

    /// `None` if the server ended during the wait, or was stopped because its files were moved (it knows them by their old path)
    /// or because it does not listen where it should.
    async fn adopt(cluster: &Cluster, found: Running) -> Result<Option<Self>, PrivateServerError> {
        let pid = found.process.number();
        tracing::info!(pid, "found the private PostgreSQL running");
        let mut found = Some(found);
        let give_up = Instant::now() + READY_WITHIN;
        while let Some(Running { process, file }) = found.take() {
            if Path::new(&file.directory) != cluster.directory {
                tracing::info!(pid, "its files were moved: restarting it where they are now");
                Self::of(process).stop().await?;
                return Ok(None);
            }
            if file.ready {
                if (&file.socket, file.port) == (&cluster.credentials.socket, cluster.credentials.port)
                    && cluster.socket().exists()
                {
                    cluster.claim_socket()?;
                    return Ok(Some(Self::of(process)));
                }
                tracing::info!(pid, "it does not listen at {}: restarting it", cluster.socket().display());
                Self::of(process).stop().await?;
                return Ok(None);
            }
            if Instant::now() > give_up {
                return Err(not_ready(cluster));
            }
            sleep(POLL).await;
            found = running(&cluster.directory)?;
        }
        Ok(None)
    }

    async fn start(cluster: &Cluster) -> Result<Self, PrivateServerError> {
        remove_strangers_pid(&cluster.directory)?;
        cluster.claim_socket()?;
        runtime::clear(&cluster.credentials.socket, cluster.credentials.port)?;
        cluster.configure()?;
        let log = cluster.open_log()?;
        let said_before = log.metadata().map(|meta| meta.len()).unwrap_or_default();
        let mut command = cluster.command("postgres");
        command.arg("-D").arg(&cluster.directory).stdout(Stdio::null()).stderr(log);
        let started = process::start_ours(&mut Command::from(command));
        let child = started.map_err(in_file("run postgres in", &cluster.binaries.directory))?;
        let ended = || PrivateServerError::Program { program: "postgres", output: said_since(cluster, said_before) };
        let pid = process::pid_of(&child).ok_or_else(ended)?;
        let process = OsProcess::find(pid).ok_or_else(|| {
            process::is_over(pid);
            ended()
        })?;
        let mut postmaster = Self::new(process, Some(child));
        let give_up = Instant::now() + READY_WITHIN;
        while Instant::now() < give_up {
            if tokio::time::timeout(POLL, postmaster.ended()).await.is_ok() {
                return Err(ended());
            }
            let file = PidFile::read(&cluster.directory)?;
            if file.is_some_and(|file| file.ready && file.pid == postmaster.process.pid) {
                return Ok(postmaster);
            }
        }
        // A server that is not ready is not left running unwatched.
        postmaster.stop().await?;
        Err(not_ready(cluster))
    }
}

impl Drop for Postmaster {
    /// On an unforeseen exit, such as a panic, the server is stopped too.
    fn drop(&mut self) {
        process::is_over(self.process.pid);
        for signal in [Signal::INT, Signal::QUIT] {
            if self.over || self.signal(signal).is_err() {
                return;
            }
            self.over = self.process.ends_within(DROPPED_WITHIN);
        }
    }
}

fn not_ready(cluster: &Cluster) -> PrivateServerError {
    PrivateServerError::NotReady { waited: READY_WITHIN, log: cluster.log_file().display().to_string() }
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
    pub fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        Some(Self {
            // A server in single-user mode writes its process id as a negative number.
            pid: Pid::from_raw(lines.first()?.parse::<i32>().ok()?.checked_abs()?)?,
            directory: (*lines.get(1)?).to_owned(),
            started: lines.get(2).copied().unwrap_or_default().to_owned(),
            port: lines.get(3).and_then(|port| port.parse().ok()).unwrap_or_default(),
            socket: lines.get(4).map(PathBuf::from).unwrap_or_default(),
            ready: lines.get(7) == Some(&"ready"),
        })
    }
}

/// After a reboot, or in another container, the number in the file may be some other program's by now; and a zombie has no files
/// any more. PostgreSQL would refuse to start; it removes by itself what a process left that is not there. The file of a server
/// that lives here stays.
pub(super) fn remove_strangers_pid(directory: &Path) -> Result<(), PrivateServerError> {
    let Some(file) = PidFile::read(directory)? else { return Ok(()) };
    let process = OsProcess::find(file.pid);
    let lives_here = process.as_ref().is_some_and(|process| process.runs_on(directory) != Some(false));
    if let Some(original) = process.filter(|_| !lives_here).and_then(|process| original_of(&process, &file)) {
        let (cluster, pid) = (directory.display().to_string(), file.pid.as_raw_nonzero().get());
        return Err(PrivateServerError::CopiedRunning { cluster, pid, original });
    }
    if process::is_there(file.pid) && !lives_here {
        let path = directory.join("postmaster.pid");
        tracing::info!(path = %path.display(), "removing the pid file of a server that is gone");
        fs::remove_file(&path).map_err(in_file("remove", &path))?;
    }
    Ok(())
}

/// The directory of the running server whose pid file this one is a copy of.
fn original_of(process: &OsProcess, copy: &PidFile) -> Option<String> {
    let works_in = process.working_directory();
    let own = PidFile::read(&works_in).ok().flatten()?;
    let same = (own.pid, &own.started) == (copy.pid, &copy.started);
    same.then(|| fs::read_link(&works_in).unwrap_or(works_in).display().to_string())
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
        let whole = "4711\n/data/cluster\n1732500000\n54321\n/tmp/socket\n\n  1234 5678\nready   \n";
        let file = PidFile::parse(whole).unwrap();
        assert_eq!((file.pid.as_raw_nonzero().get(), file.port, file.ready), (4711, 54_321, true));
        assert_eq!(file.socket, Path::new("/tmp/socket"));
        let partial = PidFile::parse("4711\n/data/cluster\n").unwrap();
        assert_eq!((partial.directory.as_str(), partial.port, partial.ready), ("/data/cluster", 0, false));
        assert_eq!(PidFile::parse("4711\n"), None);
        assert_eq!(PidFile::parse(""), None);
        assert!(!PidFile::parse(&whole.replace("ready   ", "stopping")).unwrap().ready);
    }

    #[test]
    fn another_program_is_no_server_of_ours() {
        let directory = tempfile::tempdir().unwrap();
        let mine = rustix::process::getpid();
        fs::write(directory.path().join("postmaster.pid"), format!("{}\n/elsewhere\n", mine.as_raw_nonzero())).unwrap();
        assert!(running(directory.path()).unwrap().is_none());
        remove_strangers_pid(directory.path()).unwrap();
        assert!(!directory.path().join("postmaster.pid").exists());
    }
}
