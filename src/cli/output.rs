//! Output of the commands. It all goes through this file: the standard library's macros panic when the pipe is closed.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// The shell's exit code for a program that a closed pipe has ended: 128 plus the number of SIGPIPE.
const PIPE_CLOSED: u8 = 141;

/// Standard output cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(super) struct OutputError(#[source] io::Error);

/// Prints a text unchanged.
///
/// # Errors
/// [`OutputError`] if it cannot be written in full.
pub(super) fn print(text: impl Display) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    write!(out, "{text}").and_then(|()| out.flush()).map_err(OutputError)
}

/// Prints a line.
///
/// # Errors
/// [`OutputError`] if it cannot be written in full.
pub(super) fn line(text: impl Display) -> Result<(), OutputError> {
    print(format_args!("{text}\n"))
}

/// Prints a document as JSON.
///
/// # Errors
/// [`OutputError`] if it cannot be written in full.
pub(super) fn json(document: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(line(serde_json::to_string_pretty(document)?)?)
}

/// Prints a message for the user to standard error; failures are ignored.
pub(super) fn tell(text: impl Display) {
    let _ = writeln!(io::stderr(), "kartshoppe: {text}");
}

/// Prints progress to standard error.
pub(super) fn progress(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// `1 item`, `2 items`.
pub(super) fn counted(number: impl Display + PartialEq + From<u8>, what: &str) -> String {
    if number == 1.into() { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Ends a failed command: prints the error on one line and returns the exit code. If the reader closed the pipe (`| head -1`),
/// nothing is printed.
pub(super) fn failed(error: &anyhow::Error) -> ExitCode {
    let broken = error.downcast_ref::<OutputError>().map(|OutputError(source)| source.kind());
    if broken == Some(io::ErrorKind::BrokenPipe) {
        return ExitCode::from(PIPE_CLOSED);
    }
    tell(format_args!("{error:#}"));
    ExitCode::FAILURE
}

/// Prints clap's message: help and version to standard output, a wrong argument to standard error.
pub(super) fn parsed_nothing(said: &clap::Error) -> ExitCode {
    let printed = said.print().and_then(|()| io::stdout().flush());
    match printed {
        Err(error) if !said.use_stderr() => failed(&OutputError(error).into()),
        _ => ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(1)),
    }
}
