//! Parses the arguments, calls the library, returns the exit code; nothing else.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    kartshoppe::cli::Cli::parse().run()
}
