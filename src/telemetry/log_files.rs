//! The log on disk: a file a day, a new one when it is full, and only the newest are kept, so that no flood of lines fills the
//! disk.
//!
//! ```text
//!  kartshoppe.2026-11-29.log ─ full ─► kartshoppe.2026-11-29.1.log ─ midnight (UTC) ─► kartshoppe.2026-11-30.log
//!  kartshoppe.log ─► the one that is written
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::clock::Clock;

const PREFIX: &str = "kartshoppe.";
const SUFFIX: &str = "log";

/// Day and number of a file within its day, in the order in which they are written.
type Place = (jiff::civil::Date, u32);

/// Writes lines to the newest file.
#[derive(Debug)]
pub(super) struct LogFiles {
    folder: PathBuf,
    /// No file grows beyond this, but for a single line that is longer.
    max_bytes: u64,
    kept: usize,
    clock: Clock,
    at: Place,
    file: File,
    written: u64,
}

impl LogFiles {
    /// Goes on with the last file of today.
    ///
    /// # Errors
    /// If the folder or a file in it cannot be made.
    pub(super) fn open(folder: &Path, max_bytes: u64, kept: usize, clock: Clock) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let today = day(&clock);
        let last = places(folder)?.into_iter().rfind(|(day, _)| *day == today);
        let at = last.unwrap_or((today, 0));
        let (file, written) = open(folder, at)?;
        let files = Self { folder: folder.to_owned(), max_bytes, kept: kept.max(1), clock, at, file, written };
        files.tidy();
        Ok(files)
    }

    /// Begins the next file. The oldest goes first: the disk may be full.
    fn turn(&mut self, at: Place) -> io::Result<()> {
        let files = places(&self.folder)?;
        let surplus = files.len().saturating_sub(self.kept - 1);
        files.into_iter().take(surplus).filter(|old| *old != self.at).for_each(|old| self.remove(old));
        (self.file, self.written) = open(&self.folder, at)?;
        self.at = at;
        self.tidy();
        Ok(())
    }

    /// Removes what is beyond the number kept, and points `kartshoppe.log` to the newest. Best effort: lines are written all the
    /// same.
    fn tidy(&self) {
        let files = places(&self.folder).unwrap_or_default();
        let surplus = files.len().saturating_sub(self.kept);
        files.into_iter().take(surplus).for_each(|old| self.remove(old));
        let link = self.folder.join(format!("{PREFIX}{SUFFIX}"));
        let _ = fs::remove_file(&link);
        let _ = std::os::unix::fs::symlink(name_of(self.at), link);
    }

    fn remove(&self, old: Place) {
        let _ = fs::remove_file(self.folder.join(name_of(old)));
    }

    fn next_place(&self) -> Option<Place> {
        let today = day(&self.clock);
        // A clock that was put back does not reopen what was full.
        if today > self.at.0 {
            return Some((today, 0));
        }
        (self.written >= self.max_bytes).then_some((self.at.0, self.at.1 + 1))
    }

    /// Whole lines of these bytes that fit into the file, or the first if the file is empty.
    fn fitting<'a>(&self, lines: &'a [u8]) -> &'a [u8] {
        let room = usize::try_from(self.max_bytes.saturating_sub(self.written)).unwrap_or(usize::MAX);
        if lines.len() <= room {
            return lines;
        }
        let end_of = |line: usize| line + 1;
        let last = lines[..room].iter().rposition(|byte| *byte == b'\n').map(end_of);
        let first = || lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), end_of);
        &lines[..last.unwrap_or_else(|| if self.written == 0 { first() } else { 0 })]
    }
}

impl Write for LogFiles {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if let Some(next) = self.next_place() {
            self.turn(next)?;
        }
        if self.fitting(lines).is_empty() && !lines.is_empty() {
            self.turn((self.at.0, self.at.1 + 1))?;
        }
        let count = self.file.write(self.fitting(lines))?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn open(folder: &Path, at: Place) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(folder.join(name_of(at)))?;
    let written = file.metadata()?.len();
    Ok((file, written))
}

fn day(clock: &Clock) -> jiff::civil::Date {
    let now = jiff::Timestamp::from_millisecond(clock.now_ms()).unwrap_or_default();
    jiff::tz::TimeZone::UTC.to_datetime(now).date()
}

fn name_of((day, number): Place) -> String {
    if number == 0 { format!("{PREFIX}{day}.{SUFFIX}") } else { format!("{PREFIX}{day}.{number}.{SUFFIX}") }
}

fn place_of(name: &str) -> Option<Place> {
    let middle = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.strip_suffix('.')?;
    let (day, number) = middle.split_once('.').unwrap_or((middle, "0"));
    let place = (day.parse().ok()?, number.parse().ok()?);
    (name_of(place) == name).then_some(place)
}

/// Our files, the oldest first.
fn places(folder: &Path) -> io::Result<Vec<Place>> {
    let names = fs::read_dir(folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut places: Vec<Place> = names.filter_map(|name| place_of(&name)).collect();
    places.sort_unstable();
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_MS: i64 = 1_796_040_000_000;
    const DAY_MS: i64 = 86_400_000;

    fn sizes(folder: &Path) -> Vec<u64> {
        places(folder).unwrap().into_iter().map(|at| fs::metadata(folder.join(name_of(at))).unwrap().len()).collect()
    }

    #[test]
    fn a_flood_of_lines_is_bounded_in_size_and_number_and_the_newest_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = LogFiles::open(folder.path(), 1_000, 3, Clock::manual(NOON_MS)).unwrap();
        let lines: Vec<u8> = (0..1_000).flat_map(|number| format!("{number:09}\n").into_bytes()).collect();
        for burst in lines.chunks(370) {
            files.write_all(burst).unwrap();
        }
        assert_eq!(sizes(folder.path()), [1_000, 1_000, 1_000]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "three files and the link");
        let newest = fs::read_to_string(folder.path().join("kartshoppe.log")).unwrap();
        assert!(newest.starts_with("000000900\n") && newest.ends_with("000000999\n"), "{newest}");
    }

    #[test]
    fn lines_stay_whole_and_a_long_one_has_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = LogFiles::open(folder.path(), 100, 9, Clock::manual(NOON_MS)).unwrap();
        let long = format!("{}\n", "x".repeat(250));
        files.write_all(format!("short\n{long}short\n").as_bytes()).unwrap();
        assert_eq!(sizes(folder.path()), [6, 251, 6]);
    }

    #[test]
    fn a_day_begins_a_file_and_a_start_goes_on_with_the_last() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(NOON_MS));
        let open = || LogFiles::open(folder.path(), 100, 2, clock.clone()).unwrap();
        fs::write(folder.path().join("kartshoppe.2020-01-01.log"), "old").unwrap();
        fs::write(folder.path().join("notes.log"), "not ours").unwrap();
        open().write_all(&[b'x'; 60]).unwrap();
        open().write_all(&[b'y'; 60]).unwrap();
        open().write_all(&[b'z'; 30]).unwrap();
        assert_eq!(sizes(folder.path()), [60, 90]);
        let mut files = open();
        let noon = clock.now_ms();
        clock.set_ms(noon + DAY_MS);
        files.write_all(b"tomorrow\n").unwrap();
        clock.set_ms(noon);
        files.write_all(b"clock put back\n").unwrap();
        assert_eq!(sizes(folder.path()), [90, 24]);
        assert!(folder.path().join("notes.log").exists());
    }
}
