//! The shop's output: copied from a pipe into a file, so that a drill can stop reading like a stalled log collector.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// More than a pipe and one read of the copying thread can hold.
const FILLING: usize = 160 << 10;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The output pipe of one process of the shop.
pub struct Output {
    held: Arc<AtomicBool>,
    writer: PipeWriter,
}

impl Output {
    /// Appends to `file` until every writer has closed the pipe.
    ///
    /// # Errors
    /// If the system cannot create a pipe.
    pub fn into(file: File) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let held = Arc::new(AtomicBool::new(false));
        let holds = held.clone();
        thread::spawn(move || copy(reader, file, &holds));
        Ok(Self { held, writer })
    }

    /// The write end for the shop.
    ///
    /// # Errors
    /// If the system has no file descriptor left.
    pub fn end(&self) -> io::Result<Stdio> {
        Ok(self.writer.try_clone()?.into())
    }

    /// Stops reading until the result is dropped, and fills the pipe with empty lines, so that the next writer blocks.
    ///
    /// # Errors
    /// If the system has no file descriptor left.
    pub fn hold(&self) -> io::Result<Held> {
        let mut writer = self.writer.try_clone()?;
        self.held.store(true, Ordering::Release);
        // Blocks until reading continues.
        thread::spawn(move || writer.write_all(&vec![b'\n'; FILLING]));
        Ok(Held(self.held.clone()))
    }
}

/// The pipe is not read while this exists.
pub struct Held(Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn copy(mut from: PipeReader, mut into: File, held: &AtomicBool) {
    let mut piece = vec![0; 8192];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        while held.load(Ordering::Acquire) {
            thread::park_timeout(LOOK_EVERY);
        }
        // Output that a full disk cannot take is lost; the shop must not notice.
        let _ = into.write_all(&piece[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_reads_while_it_is_held_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let output = Output::into(File::create(&path).unwrap()).unwrap();
        let held = output.hold().unwrap();
        let mut writer = output.writer.try_clone().unwrap();
        let speaker = thread::spawn(move || writer.write_all(b"said"));
        thread::park_timeout(LOOK_EVERY * 5);
        assert!(std::fs::read(&path).unwrap().is_empty());
        drop(held);
        speaker.join().unwrap().unwrap();
        while !std::fs::read_to_string(&path).unwrap().contains("said") {
            thread::park_timeout(LOOK_EVERY);
        }
    }
}
