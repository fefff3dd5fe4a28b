//! A file system that a test may fill.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A tmpfs for one test, unmounted at the end.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, with a message, where this process may not mount.
    pub fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(folder.path());
        if !mount.output().is_ok_and(|output| output.status.success()) {
            println!("SKIPPED: a small file system to fill needs root (mount -t tmpfs)");
            return None;
        }
        Some(Self(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it to the last byte; returns the file to remove.
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut filler = File::create(&path).unwrap();
        let block = vec![0; 1 << 20];
        for size in [1 << 20, 4096, 1] {
            while filler.write_all(&block[..size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
