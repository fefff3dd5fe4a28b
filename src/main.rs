//! Calls the library and returns the exit code; nothing else.

use std::process::ExitCode;

/// Actors come and go by the hundred thousand, each with a few KB in a dozen pieces: with the C library's allocator half of the time of
/// such a batch was spent in it (docs/adr/0007).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kartshoppe::cli::main()
}
