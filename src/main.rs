//! Drops what would steer PostgreSQL's clients behind our back, calls the library and returns the exit code; nothing else.

use std::process::ExitCode;

/// Actors come and go by the hundred thousand, each with a few KB in a dozen pieces: with the C library's allocator half of the
/// time of such a batch was spent in it (docs/adr/0007).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    drop_variables_of_postgres();
    kartshoppe::cli::main()
}

/// PostgreSQL's clients obey variables of the shell, each client others, and so do its own programs, which we start. A forgotten
/// PGOPTIONS kept the private server from being used at all.
#[expect(
    unsafe_code,
    reason = "the environment can be changed in no other way, and the libraries that read it cannot be told not to"
)]
fn drop_variables_of_postgres() {
    let names = kartshoppe::config::postgres_url::unshared_variables();
    for name in &names {
        // SAFETY: the process has one thread yet, so nobody reads the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
    kartshoppe::config::postgres_url::note_dropped(names);
}
