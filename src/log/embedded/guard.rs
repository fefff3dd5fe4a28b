//! Whether the file we have open is still the log that others find at its path.
//!
//! SQLite goes on writing to a file that was moved, replaced or deleted, and what it writes there is lost. So the writer compares
//! device and inode before it writes, and a thread does so every [`CHECK_EVERY`]. While the file is not the log, nothing is
//! written; when the log is there again the alarm is cleared, and work goes on.
//!
//! A copy that was written over the file in place keeps the inode. Only checkpoints of this process write to the file, so each
//! of them runs under the guard's lock and notes how it left the file. Any other change was made by another program, and the
//! contents decide: with another id, or with a partition that ends before an end that was seen earlier, it is not our log. After
//! a checkpoint that stopped half-way the file may be unreadable without its WAL, as its header counts pages that are still in
//! there: then that proves nothing.
//!
//! Only SQLite may open the database file: closing any other descriptor of it would drop the locks of this process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{errors, schema};
use crate::log::{LogError, Offset};
use crate::telemetry::alarms::{About, Alarm, Alarms, Cause};

/// A loss must be noticed within a second. A check is three calls of `stat`, far below 0.1 % of a core.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// What SQLite appends to the file's name for the files beside it.
const SIDES: [&str; 2] = ["-wal", "-shm"];

/// Decides whether the log may be written.
#[derive(Debug)]
pub(super) struct Guard {
    path: PathBuf,
    files: Vec<Watched>,
    alarms: Alarms,
    state: Mutex<State>,
    /// Held during a checkpoint.
    contents: Mutex<KnownContents>,
}

#[derive(Debug, Default)]
struct State {
    /// What happened to the file, so that it must not be written.
    moved: Option<&'static str>,
    /// Why the application refuses writes.
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
#[derive(Debug)]
struct KnownContents {
    /// Ids that the log has, or gets with its next change.
    ids: Vec<String>,
    /// What the file held when it was last readable without its WAL.
    seen: Option<Contents>,
    /// The file as we left it, or as it was when it was last judged to be ours.
    left: Option<Change>,
    /// Whether the last checkpoint moved everything, so that the file is readable without its WAL.
    whole: bool,
    /// The file holds another log, or an older copy of ours.
    foreign: bool,
}

/// Length and time of the last change of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    bytes: u64,
    at: (i64, i64),
}

/// Whether a checkpoint waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It does not, and stops at the oldest open read.
    Passive,
    /// It waits for readers, as long as the connection's busy timeout; the next commit then starts the WAL over.
    Restart,
}

/// What a checkpoint did, in pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    /// It gave up waiting for a reader.
    pub(super) busy: bool,
    pub(super) in_wal: u64,
    pub(super) moved: u64,
}

/// What the file holds, without its WAL.
#[derive(Debug)]
struct Contents {
    id: String,
    /// By the id of the partition's row, which a topic made again does not share.
    ends: BTreeMap<i64, Offset>,
}

const REPLACED: &str = "was moved, replaced or deleted while the shop was running, so the shop has stopped writing to it. Put \
                        the same files back (the shop then continues by itself), or stop the shop and restore a backup";
const WITHOUT_WAL: &str = "has lost the files beside it (-wal, -shm), so the shop has stopped writing to it; their contents were \
                           saved into the log itself. Put the same files back, or restart the shop";
const OVERWRITTEN: &str = "was overwritten by another file or an older copy, so the shop has stopped writing to it. Put the \
                           right file back, or stop the shop and restore a backup";

impl Guard {
    /// Guards the file at this path, which SQLite has open with a WAL.
    ///
    /// # Errors
    /// [`LogError::Unusable`] if it is not there any more.
    pub(super) fn new(path: &Path, id: String, alarms: Alarms) -> Result<Self, LogError> {
        let all = [path.to_owned()].into_iter().chain(SIDES.map(|side| beside(path, side)));
        let watched = all.map(|path| {
            let identity = identity(&path).ok_or_else(|| errors::unusable(&path, &"it disappeared while it was being opened"))?;
            Ok(Watched { path, identity })
        });
        let files = watched.collect::<Result<_, LogError>>()?;
        let contents = KnownContents { ids: vec![id], seen: None, left: Change::of(path), whole: false, foreign: false };
        Ok(Self { path: path.to_owned(), files, alarms, state: Mutex::default(), contents: Mutex::new(contents) })
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

    /// Why nothing is written; `None` while the log may be written.
    fn refusal(&self) -> Option<String> {
        let state = self.state();
        state.moved.map(|what| format!("it {what}")).or_else(|| state.withheld.clone())
    }

    /// Refuses every write for this reason, or allows them again.
    pub(super) fn withhold(&self, reason: Option<String>) {
        self.state().withheld = reason;
    }

    /// Moves the WAL into the file. `None` if the file is not ours, or another thread is busy with it and `mode` does not wait
    /// for that.
    ///
    /// # Errors
    /// SQLite's: a part may have been moved.
    pub(super) fn checkpoint(&self, connection: &Connection, mode: Mode) -> Result<Option<Moved>, rusqlite::Error> {
        let known = match mode {
            Mode::Passive => Some(self.known()),
            Mode::Restart => self.try_known(), // commits wait meanwhile
        };
        let Some(mut known) = known else { return Ok(None) };
        if !self.is_ours(&mut known) {
            return Ok(None);
        }
        let result = mode.run(connection);
        known.whole = result.as_ref().is_ok_and(|moved| !moved.busy && moved.moved == moved.in_wal);
        known.left = Change::of(&self.path);
        if known.whole
            && let Ok(contents) = contents(&self.path)
        {
            known.note(contents);
        }
        result.map(Some)
    }

    /// Whether the last checkpoint moved everything.
    pub(super) fn is_whole(&self) -> bool {
        self.known().whole
    }

    /// The log gets another id with its next change.
    pub(super) fn expect_id(&self, id: String) {
        self.known().ids.push(id);
    }

    /// Whether the file at the path is the one that is open. The files beside it may be gone, in which case a checkpoint saves
    /// the WAL.
    pub(super) fn has_its_file(&self) -> bool {
        self.is_ours(&mut self.known())
    }

    fn is_ours(&self, known: &mut KnownContents) -> bool {
        self.files.first().is_some_and(Watched::is_there) && !known.is_foreign(&self.path)
    }

    pub(super) fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks everything; returns what is wrong if that has changed.
    fn check_all(&self) -> Option<&'static str> {
        let found = match (self.displaced(), self.try_known()) {
            (Some(what), _) => Some(what),
            (None, Some(mut known)) => known.is_foreign(&self.path).then_some(OVERWRITTEN),
            // A checkpoint runs, and has looked before it began.
            (None, None) => return None,
        };
        let is_new = self.state().moved != found;
        if is_new {
            self.set_moved(found);
        }
        found.filter(|_| is_new)
    }

    /// Which file of the log is not where it was.
    fn displaced(&self) -> Option<&'static str> {
        let first = self.files.iter().position(|file| !file.is_there())?;
        Some(if first == 0 { REPLACED } else { WITHOUT_WAL })
    }

    fn set_moved(&self, moved: Option<&'static str>) {
        self.state().moved = moved;
        let alarm = moved.map(|what| Alarm::blocks(format!("the event log {what}")).with_detail(self.path.display()));
        self.alarms.set(About::cause(Cause::LogMoved), alarm);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` while another thread has it.
    fn try_known(&self) -> Option<MutexGuard<'_, KnownContents>> {
        match self.contents.try_lock() {
            Ok(known) => Some(known),
            Err(TryLockError::Poisoned(known)) => Some(known.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn known(&self) -> MutexGuard<'_, KnownContents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    fn is_there(&self) -> bool {
        identity(&self.path) == Some(self.identity)
    }
}

impl KnownContents {
    /// Whether the file holds something other than our log. It is read only after another program has changed it, and again as
    /// long as it is foreign.
    fn is_foreign(&mut self, path: &Path) -> bool {
        let now = Change::of(path);
        if now == self.left && !self.foreign {
            return false;
        }
        self.foreign = match contents(path) {
            Ok(contents) if self.goes_on(&contents) => {
                self.note(contents);
                false
            }
            Ok(_) => true,
            Err(error) if errors::is_not_opened(&error) => self.foreign,
            // Pages that are not moved yet are missing, but a log's file never gets shorter.
            Err(_) => self.whole || now.map(|now| now.bytes) < self.left.map(|left| left.bytes),
        };
        if !self.foreign {
            self.left = now;
        }
        self.foreign
    }

    /// Whether the earlier contents can have become these. A topic may be deleted, but an end never moves back.
    fn goes_on(&self, now: &Contents) -> bool {
        let Some(seen) = self.seen.as_ref().filter(|seen| seen.id == now.id) else { return self.ids.contains(&now.id) };
        seen.ends.iter().all(|(row, end)| now.ends.get(row).is_none_or(|now| now >= end))
    }

    /// Remembers contents that are ours. Ids from before do not come back.
    fn note(&mut self, contents: Contents) {
        if let Some(at) = self.ids.iter().position(|id| *id == contents.id) {
            self.ids.drain(..at);
        }
        self.seen = Some(contents);
    }
}

impl Change {
    fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        Some(Self { bytes: found.len(), at: (found.mtime(), found.mtime_nsec()) })
    }
}

impl Mode {
    fn run(self, connection: &Connection) -> Result<Moved, rusqlite::Error> {
        let pages = |number: i64| u64::try_from(number).unwrap_or(0);
        let sql = match self {
            Self::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
            Self::Restart => "PRAGMA wal_checkpoint(RESTART)",
        };
        connection
            .query_row(sql, [], |row| Ok(Moved { busy: row.get(0)?, in_wal: pages(row.get(1)?), moved: pages(row.get(2)?) }))
    }
}

/// The thread that checks while nothing is written.
#[derive(Debug)]
pub(super) struct GuardThread {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl GuardThread {
    /// Checks until [`Self::end`]; calls `save` once each time the WAL was lost.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if the system has no thread left.
    pub(super) fn start(guard: Arc<Guard>, save: impl Fn() + Send + 'static) -> Result<Self, LogError> {
        let (stop, stopped) = channel();
        let run = move || {
            while stopped.recv_timeout(CHECK_EVERY) == Err(RecvTimeoutError::Timeout) {
                if guard.check_all() == Some(WITHOUT_WAL) {
                    save();
                }
            }
        };
        let thread = std::thread::Builder::new().name("log-guard".to_owned()).spawn(run);
        let thread = thread.map_err(|error| LogError::Unavailable(format!("cannot watch the event log: {error}")))?;
        Ok(Self { stop, thread })
    }

    /// Ends the checks: the file is about to be closed, which deletes its WAL.
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

fn beside(path: &Path, side: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(side);
    PathBuf::from(name)
}
