//! Which other processes have the log's file open, for the operator who must end them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Names at most this many.
const NAMED: usize = 5;

/// The other processes that have this file open, as `sqlite3 (process 4711)`. Processes of other users may be invisible, and
/// without `/proc` all are.
pub(super) fn describe(path: &Path) -> String {
    let found = holders(path);
    if found.is_empty() { format!("no visible process has {} open", path.display()) } else { found.join(", ") }
}

fn holders(path: &Path) -> Vec<String> {
    let Ok(file) = fs::metadata(path) else { return Vec::new() };
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id().to_string();
    let is_open_in = |process: &Path| {
        let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        // Filtered by name first, which leaves out sockets and pipes.
        descriptors
            .filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.is_absolute()))
            .any(|fd| fs::metadata(fd.path()).is_ok_and(|open| (open.dev(), open.ino()) == (file.dev(), file.ino())))
    };
    let others = processes.flatten().filter(|entry| entry.file_name().to_string_lossy() != own);
    let others = others.filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()));
    others
        .filter(|entry| is_open_in(&entry.path()))
        .map(|entry| {
            let program = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            format!("{} (process {})", program.trim(), entry.file_name().to_string_lossy())
        })
        .take(NAMED)
        .collect()
}
