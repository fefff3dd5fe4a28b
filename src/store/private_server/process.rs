//! A process of PostgreSQL: watched and signalled so that neither a zombie nor a later process with the same id is mistaken for
//! it.
//!
//! Linux provides a handle for a process (`pidfd`) that reports its end even if it is never reaped, as under a container's init
//! process that reaps none. Elsewhere, and where a sandbox refuses the handle, the process is polled.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::process::{Child, Command};

/// Poll interval for a process without a handle.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same where its end is near.
const LOOK_SOON: Duration = Duration::from_millis(5);
/// A first process that collects at all does so within seconds.
const COLLECTED_WITHIN: Duration = Duration::from_secs(3);

/// The servers that this process must stop, for exits without an orderly shutdown.
static OURS: Mutex<Ours> = Mutex::new(Ours { pids: Vec::new(), is_ending: false });

#[derive(Debug)]
struct Ours {
    pids: Vec<Pid>,
    /// This process ends at once: a server that it started now would be left running.
    is_ending: bool,
}

/// A living process.
#[derive(Debug)]
pub(super) struct OsProcess {
    pub pid: Pid,
    handle: Option<OwnedFd>,
}

impl OsProcess {
    /// The process with this id, unless it has ended.
    pub fn find(pid: Pid) -> Option<Self> {
        let handle = handle_of(pid);
        (!has_ended(pid)).then_some(Self { pid, handle })
    }

    /// Its id, for messages.
    pub fn number(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// `false` if it has already ended.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let sent = match &self.handle {
            #[cfg(target_os = "linux")]
            Some(handle) => rustix::process::pidfd_send_signal(handle, signal),
            _ => kill_process(self.pid, signal),
        };
        match sent {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits until it has ended. Cancel-safe.
    pub async fn ended(&self) {
        if let Some(handle) = &self.handle {
            #[expect(deprecated, reason = "its heir is unsafe for handles that end early; this one is borrowed from `self`")]
            let watched = tokio::io::unix::AsyncFd::new(handle.as_fd());
            if let Ok(handle) = watched
                && handle.readable().await.is_ok()
            {
                return;
            }
        }
        while !has_ended(self.pid) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Like [`OsProcess::ended`], but blocking, for at most this long; returns whether it has ended.
    pub fn ends_within(&self, time: Duration) -> bool {
        end_within(self.pid, time)
    }

    /// Whether it is a PostgreSQL on that directory; `None` if unknown. A server's working directory is its data directory, so a
    /// directory that was moved, or has several paths, is recognised by its inode.
    pub fn runs_on(&self, directory: &Path) -> Option<bool> {
        let number = self.number();
        if !Path::new("/proc/self").exists() {
            let words =
                std::process::Command::new("ps").args(["-o", "command=", "-p", &number.to_string()]).output().ok()?.stdout;
            let words = String::from_utf8_lossy(&words).into_owned();
            return Some(words.contains("postgres") && words.contains(&*directory.to_string_lossy()));
        }
        let name = fs::read_to_string(format!("/proc/{number}/comm")).unwrap_or_default();
        if name.trim() != "postgres" {
            return Some(false);
        }
        match (fs::metadata(self.working_directory()), fs::metadata(directory)) {
            (Ok(works_in), Ok(directory)) => Some(same_inode(&works_in, &directory)),
            // It has just ended.
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Some(false),
            _ => None,
        }
    }

    /// Whether it is a PostgreSQL, on any directory.
    pub fn is_postgres(&self) -> bool {
        fs::exists(self.working_directory().join("PG_VERSION")).unwrap_or(false)
    }

    /// Its working directory, as a path that is valid even if the directory was moved.
    pub fn working_directory(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/cwd", self.number()))
    }
}

impl Ours {
    fn start(&mut self, command: &mut Command) -> io::Result<Child> {
        if self.is_ending {
            return Err(io::Error::other("this process is ending"));
        }
        let child = command.spawn()?;
        self.pids.extend(pid_of(&child));
        Ok(child)
    }

    fn end(&mut self) -> Vec<Pid> {
        self.is_ending = true;
        self.pids.clone()
    }
}

fn ours() -> MutexGuard<'static, Ours> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a server that is among those that [`end_all`] ends, until [`is_over`].
///
/// # Errors
/// The system's; and after [`end_all`].
pub(super) fn start_ours(command: &mut Command) -> io::Result<Child> {
    ours().start(command)
}

/// The same for one that is adopted.
pub(super) fn is_ours(pid: Pid) {
    let mut ours = ours();
    if !ours.pids.contains(&pid) {
        ours.pids.push(pid);
    }
}

pub(super) fn is_over(pid: Pid) {
    ours().pids.retain(|ours| *ours != pid);
}

/// Whether [`end_all`] was called.
pub(super) fn is_ending() -> bool {
    ours().is_ending
}

pub(super) fn pid_of(child: &Child) -> Option<Pid> {
    child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw)
}

/// Ends every server of this process at once (PostgreSQL's immediate shutdown: nothing committed is lost, the next start
/// recovers), waits for at most `time`, and lets none start any more. Takes no lock that a stopping process may hold for long, and
/// logs nothing.
pub(super) fn end_all(time: Duration) {
    let pids = ours().end();
    for pid in &pids {
        // A process stopped by SIGSTOP handles its signals only once it continues.
        let _ = kill_process(*pid, Signal::QUIT).and_then(|()| kill_process(*pid, Signal::CONT));
    }
    for pid in pids {
        end_within(pid, time);
    }
}

/// Gives the parent of an ended process a moment to reap it.
pub(super) async fn collected(pid: Pid) {
    for _ in 0..COLLECTED_WITHIN.as_millis() / LOOK_SOON.as_millis() {
        if !is_there(pid) {
            return;
        }
        tokio::time::sleep(LOOK_SOON).await;
    }
}

pub(super) fn same_inode(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Whether any process has this id, a zombie included: PostgreSQL checks the same before it takes over a directory.
pub(super) fn is_there(pid: Pid) -> bool {
    // No permission to signal it means that it exists.
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

/// Whether no process with this id is running: it does not exist or is a zombie.
fn has_ended(pid: Pid) -> bool {
    if !is_there(pid) {
        return true;
    }
    // The state follows the name, which is in parentheses and may contain any character.
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| matches!(rest.trim_start().chars().next(), Some('Z' | 'X')))
}

#[expect(clippy::disallowed_methods, reason = "asked where nothing else runs any more, or where no runtime may be waited for")]
fn end_within(pid: Pid, time: Duration) -> bool {
    for _ in 0..time.as_millis() / LOOK_SOON.as_millis() {
        if has_ended(pid) {
            return true;
        }
        std::thread::sleep(LOOK_SOON);
    }
    has_ended(pid)
}

#[cfg(target_os = "linux")]
fn handle_of(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn handle_of(_: Pid) -> Option<OwnedFd> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that ends is started again by its watch, which may be faster than the exit of this process.
    #[tokio::test]
    async fn none_is_started_once_all_are_ended() {
        let mut ours = Ours { pids: Vec::new(), is_ending: false };
        let mut child = ours.start(Command::new("sleep").arg("1000")).unwrap();
        assert_eq!(ours.end(), [pid_of(&child).unwrap()]);
        assert!(ours.start(&mut Command::new("true")).is_err());
        child.kill().await.unwrap();
    }

    #[tokio::test]
    async fn a_zombie_has_ended() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let process = OsProcess::find(Pid::from_child(&child)).unwrap();
        assert!(!has_ended(process.pid));
        assert!(process.signal(Signal::KILL).unwrap());
        process.ended().await;
        assert!(process.ends_within(Duration::from_secs(60)));
        assert!(is_there(process.pid), "it has not been reaped");
        assert!(OsProcess::find(process.pid).is_none());
        child.wait().unwrap();
        assert!(!process.signal(Signal::KILL).unwrap());
    }

    #[test]
    fn another_program_is_no_server_wherever_it_works() {
        let me = OsProcess::find(rustix::process::getpid()).unwrap();
        assert_eq!(me.runs_on(&std::env::current_dir().unwrap()), Some(false));
    }
}
