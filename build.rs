//! Makes cargo notice a new migration: the macro that compiles them in sees only files it knew before.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
