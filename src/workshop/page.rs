//! Checks that need the learner's machine: a page in a browser, and commands of the repository.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::judge::{Local, Verdict};

/// Opens the page with the Playwright of `ui/`.
const SCRIPT: &str = include_str!("page.mjs");
const PAGE_PATIENCE: Duration = Duration::from_secs(45);
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);
/// The programs that Playwright can drive, as tools/lib.sh knows them.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// How much of a command's output a verdict shows.
const SHOWN_CHARS: usize = 300;

/// Whether the page shows a text, or has an element.
pub(super) async fn page(local: &Local, url: &str, sees: &str, wait_ms: u64) -> Verdict {
    let ui = local.root.join("ui");
    if !ui.join("node_modules/@playwright/test").is_dir() {
        return Verdict::unchecked("needs Playwright: run `tools/ui.sh deps` in the repository");
    }
    let Some(node) = program("node") else { return Verdict::unchecked("needs Node on the PATH") };
    let named = std::env::var_os("KARTSHOPPE_CHROMIUM").map(PathBuf::from).filter(|path| path.is_file());
    let Some(browser) = named.or_else(|| BROWSERS.into_iter().find_map(program)) else {
        return Verdict::unchecked("needs Chromium: install it, or name one in KARTSHOPPE_CHROMIUM");
    };
    let question = serde_json::json!({"url": url, "sees": sees, "waitMs": wait_ms, "browser": browser}).to_string();
    let mut command = Command::new(node);
    command.args(["--input-type=module", "-"]).current_dir(ui).env("KARTSHOPPE_PAGE_CHECK", question);
    match run(command, Some(SCRIPT), PAGE_PATIENCE).await {
        Ok(ended) => shown(&ended),
        Err(reason) => Verdict::unchecked(reason),
    }
}

/// What the script printed.
fn shown(ended: &Ended) -> Verdict {
    let last = ended.output.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    match last {
        Some(answer) if answer["sees"] == true => Verdict::of(true, String::new),
        Some(answer) => Verdict::red(answer["detail"].as_str().unwrap_or("the page does not show it")),
        None => Verdict::unchecked(format!("the browser could not be used: {}", tail(&ended.errors))),
    }
}

/// Whether a command ends with 0.
pub(super) async fn command(local: &Local, text: &str) -> Verdict {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", text]).current_dir(&local.root).env("PATH", search_path());
    match run(command, None, COMMAND_PATIENCE).await {
        Ok(ended) => Verdict::of(ended.code == Some(0), || {
            let said = if ended.errors.trim().is_empty() { &ended.output } else { &ended.errors };
            format!("`{text}` ended with {}: {}", ended.code.unwrap_or(-1), tail(said))
        }),
        Err(reason) => Verdict::red(format!("`{text}`: {reason}")),
    }
}

struct Ended {
    code: Option<i32>,
    output: String,
    errors: String,
}

/// Runs a program to its end. At the time limit it is killed.
async fn run(mut command: Command, input: Option<&str>, patience: Duration) -> Result<Ended, String> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input.as_bytes()).await.map_err(|error| error.to_string())?;
    }
    let ended = tokio::time::timeout(patience, child.wait_with_output()).await;
    let ended = ended.map_err(|_| format!("did not end within {patience:?}"))?.map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ended { code: ended.status.code(), output: text(&ended.stdout), errors: text(&ended.stderr) })
}

/// The `PATH` with this program first.
#[must_use]
pub fn search_path() -> OsString {
    let own = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let given = std::env::var_os("PATH").unwrap_or_default();
    let all = own.into_iter().chain(std::env::split_paths(&given));
    std::env::join_paths(all).unwrap_or(given.clone())
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The end of a text on one line.
fn tail(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let skipped = line.chars().count().saturating_sub(SHOWN_CHARS);
    line.chars().skip(skipped).collect()
}
