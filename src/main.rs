//! Removes environment variables that would change PostgreSQL clients' behaviour, calls the library and returns the exit code.

use std::process::ExitCode;

/// Actors are created and ended by the hundred thousand, each with a few KB in a dozen allocations: with the C library's
/// allocator half of the time of such a batch was spent in it (docs/adr/0007).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    drop_variables_of_postgres();
    kartshoppe::cli::main()
}

/// PostgreSQL clients obey environment variables, each client different ones, and so do its own programs, which we start. A
/// forgotten PGOPTIONS made the private server unusable.
#[expect(
    unsafe_code,
    reason = "the environment can be changed in no other way, and the libraries that read it cannot be told not to"
)]
fn drop_variables_of_postgres() {
    let names = kartshoppe::config::postgres_url::unshared_variables();
    for name in &names {
        // SAFETY: the process has only one thread at this point, so no other thread reads the environment.
        unsafe { std::env::remove_var(name) };
    }
    kartshoppe::config::postgres_url::note_dropped(names);
}
