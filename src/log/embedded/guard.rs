//! Whether the file we have open is still the log that others find at its path.
//!
//! SQLite goes on writing to a file that was moved, replaced or deleted, and nobody ever reads what it writes there. So the writer
//! compares device and inode before it writes, and a thread does every [`LOOK_EVERY`]. A copy that was written over the file in place
//! keeps the inode, but has another id, or partitions that end before what was seen in it already. While the file is not the log,
//! nothing is written anywhere; when it is there again the alarm goes, and work goes on.
//!
//! The database file is never opened but by SQLite: closing any other descriptor of it would drop the locks of this process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{schema, trouble};
use crate::log::{LogError, Offset};
use crate::telemetry::alarms::{About, Alarm, Alarms, Cause};

/// Half of the second within which it must be noticed: three calls of `stat`, far below 0.1 % of a core.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A look at contents may meet a checkpoint half-way; twice in a row and unchanged, it did not.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// What SQLite appends to the file's name for the files beside it.
const SIDES: [&str; 2] = ["-wal", "-shm"];

/// Decides whether the log may be written.
#[derive(Debug)]
pub(super) struct Guard {
    path: PathBuf,
    files: Vec<Watched>,
    alarms: Alarms,
    state: Mutex<State>,
    looked: Mutex<Looked>,
}

#[derive(Debug, Default)]
struct State {
    /// What happened to the file, so that it must not be written.
    moved: Option<&'static str>,
    /// Why the application does not want it written.
    withheld: Option<String>,
}

/// A file that must stay where it is.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

/// What is known of the file's contents.
#[derive(Debug, Default)]
struct Looked {
    /// Ids that the log has or had.
    ids: Vec<String>,
    /// What the file held at the last look.
    seen: Option<Contents>,
    /// Length and time of change of the file when it was last looked into.
    at: Option<(u64, i64, i64)>,
    /// What it held then was not ours.
    foreign: bool,
    /// A checkpoint failed half-way (the disk was full): the file makes sense again only once one has succeeded.
    half_moved: bool,
}

/// What a look into the file found, without its WAL.
#[derive(Debug)]
struct Contents {
    id: String,
    /// By the id of the partition's row, which a topic made again does not share.
    ends: BTreeMap<i64, Offset>,
}

const REPLACED: &str = "was moved, replaced or deleted under the running shop: nothing is written any more. Put the same files back \
     (work then goes on), or stop the shop and restore a backup";
const WITHOUT_WAL: &str = "has lost the files beside it (-wal, -shm): nothing is written any more, and what they held was saved into \
     the log itself. Put the same files back, or restart the shop";
const OVERWRITTEN: &str = "was written over by another or an older copy: nothing is written any more. Put the right file back, or \
     stop the shop and restore a backup";

impl Guard {
    /// Guards the file at this path, which SQLite has open with a WAL.
    ///
    /// # Errors
    /// [`LogError::Unusable`] if it is not there any more.
    pub(super) fn new(path: &Path, id: String, alarms: Alarms) -> Result<Self, LogError> {
        let all = [path.to_owned()].into_iter().chain(SIDES.map(|side| beside(path, side)));
        let watched = all.map(|path| {
            let identity = identity(&path).ok_or_else(|| trouble::unusable(&path, &"it went away while it was being opened"))?;
            Ok(Watched { path, identity })
        });
        let files = watched.collect::<Result<_, LogError>>()?;
        let looked = Looked { ids: vec![id], ..Looked::default() };
        Ok(Self { path: path.to_owned(), files, alarms, state: Mutex::default(), looked: Mutex::new(looked) })
    }

    /// # Errors
    /// [`LogError::Unusable`] while the log must not be written: nothing was written, and nothing will be.
    pub(super) fn check(&self) -> Result<(), LogError> {
        if let Some(what) = self.displaced() {
            self.set_moved(Some(what));
        }
        match self.refusal() {
            Some(reason) => Err(LogError::Unusable { path: "kartshoppe.log.sqlite".to_owned(), reason }),
            None => Ok(()),
        }
    }

    /// Why nothing is written; `None` while the log is well.
    fn refusal(&self) -> Option<String> {
        let state = self.state();
        state.moved.map(|what| format!("it {what}")).or_else(|| state.withheld.clone())
    }

    /// Keeps everybody from writing, or lets them again.
    pub(super) fn withhold(&self, reason: Option<String>) {
        self.state().withheld = reason;
    }

    /// Notes how a checkpoint ended.
    pub(super) fn checkpointed(&self, succeeded: bool) {
        self.looked().half_moved = !succeeded;
    }

    /// Whether the last checkpoint failed.
    pub(super) fn is_half_moved(&self) -> bool {
        self.looked().half_moved
    }

    /// The log gets another id with its next change.
    pub(super) fn expect_id(&self, id: String) {
        self.looked().ids.push(id);
    }

    /// Whether the file at the path is the one that is open, though what lies beside it may be gone: a checkpoint does good then.
    pub(super) fn has_its_file(&self) -> bool {
        self.files.first().is_some_and(Watched::is_there) && self.look_inside().is_none()
    }

    pub(super) fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at everything; gives what is wrong if that is news.
    fn look(&self) -> Option<&'static str> {
        let found = self.displaced().or_else(|| self.look_inside());
        let is_news = self.state().moved != found;
        if is_news {
            self.set_moved(found);
        }
        found.filter(|_| is_news)
    }

    /// What of the log is not where it was.
    fn displaced(&self) -> Option<&'static str> {
        let first = self.files.iter().position(|file| !file.is_there())?;
        Some(if first == 0 { REPLACED } else { WITHOUT_WAL })
    }

    /// Compares the file with what was in it, if it has changed since.
    fn look_inside(&self) -> Option<&'static str> {
        let mut looked = self.looked();
        let standing = looked.foreign.then_some(OVERWRITTEN);
        let changed = change_of(&self.path);
        if changed == looked.at {
            return standing;
        }
        for _ in 0..2 {
            match contents(&self.path) {
                Ok(contents) if looked.goes_on(&contents) => {
                    looked.seen = Some(contents);
                    looked.at = changed;
                    looked.foreign = false;
                    return None;
                }
                // Before the first checkpoint the tables are in the WAL.
                Err(_) if looked.seen.is_none() || looked.half_moved => return None,
                _ => std::thread::park_timeout(LOOK_AGAIN),
            }
        }
        if change_of(&self.path) != changed {
            return standing; // it is being written: the next look tells
        }
        looked.at = changed;
        looked.foreign = true;
        Some(OVERWRITTEN)
    }

    fn set_moved(&self, moved: Option<&'static str>) {
        self.state().moved = moved;
        let alarm = moved.map(|what| Alarm::blocks(format!("the event log {what}")).with_detail(self.path.display()));
        self.alarms.set(About::cause(Cause::LogMoved), alarm);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn looked(&self) -> MutexGuard<'_, Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    fn is_there(&self) -> bool {
        identity(&self.path) == Some(self.identity)
    }
}

impl Looked {
    /// Whether these contents can have become of what was seen before. A topic may be deleted, but an end never moves back.
    fn goes_on(&self, now: &Contents) -> bool {
        let Some(seen) = self.seen.as_ref().filter(|seen| seen.id == now.id) else { return self.ids.contains(&now.id) };
        seen.ends.iter().all(|(row, end)| now.ends.get(row).is_none_or(|now| now >= end))
    }
}

/// The thread that looks while nobody writes.
#[derive(Debug)]
pub(super) struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Looks until [`Self::end`]; calls `save` once each time the WAL was lost.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if the system has no thread left.
    pub(super) fn start(guard: Arc<Guard>, save: impl Fn() + Send + 'static) -> Result<Self, LogError> {
        let (stop, stopped) = channel();
        let run = move || {
            while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                if guard.look() == Some(WITHOUT_WAL) {
                    save();
                }
            }
        };
        let thread = std::thread::Builder::new().name("log-guard".to_owned()).spawn(run);
        let thread = thread.map_err(|error| LogError::Unavailable(format!("cannot watch the event log: {error}")))?;
        Ok(Self { stop, thread })
    }

    /// Looks no more: the file is about to be closed, and its WAL goes with that.
    pub(super) fn end(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the event log's guard panicked");
        }
    }
}

/// What the file itself holds, as of the last checkpoint. `immutable` takes no lock and ignores the WAL.
fn contents(path: &Path) -> Result<Contents, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri(path), flags)?;
    let id = schema::stored_id(&connection)?;
    let ends = schema::load_partitions(&connection)?.into_iter().map(|row| (row.id, row.next)).collect();
    Ok(Contents { id, ends })
}

/// SQLite's URI of a path, whatever is in it.
fn uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

fn change_of(path: &Path) -> Option<(u64, i64, i64)> {
    std::fs::metadata(path).ok().map(|found| (found.len(), found.mtime(), found.mtime_nsec()))
}

fn beside(path: &Path, side: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(side);
    PathBuf::from(name)
}
