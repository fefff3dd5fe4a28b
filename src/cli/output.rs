//! What commands print. Everything goes through here: the standard library's macros panic when nobody reads.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// What the shell says of a program that a closed pipe has ended: 128 and the number of SIGPIPE.
const PIPE_CLOSED: u8 = 141;

/// Standard output takes no more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(super) struct OutputError(#[source] io::Error);

/// Prints a text as it is.
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

/// Says something to the person at the terminal, on standard error; if nobody reads that, nothing is lost.
pub(super) fn tell(text: impl Display) {
    let _ = writeln!(io::stderr(), "kartshoppe: {text}");
}

/// Shows how far something is, on standard error.
pub(super) fn progress(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The end of a command that failed: a line that says why, and an exit code. Whoever closed the pipe (`| head -1`) has read
/// enough, and is told nothing.
pub(super) fn failed(error: &anyhow::Error) -> ExitCode {
    let broken = error.downcast_ref::<OutputError>().map(|OutputError(source)| source.kind());
    if broken == Some(io::ErrorKind::BrokenPipe) {
        return ExitCode::from(PIPE_CLOSED);
    }
    tell(format_args!("{error:#}"));
    ExitCode::FAILURE
}

/// Prints what clap has to say: help and version to standard output, a wrong argument to standard error.
pub(super) fn parsed_nothing(said: &clap::Error) -> ExitCode {
    let printed = said.print().and_then(|()| io::stdout().flush());
    match printed {
        Err(error) if !said.use_stderr() => failed(&OutputError(error).into()),
        _ => ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(1)),
    }
}
