//! Makes cargo notice a new migration, as the macro that compiles them in sees only files it knew before; and has the linker put
//! a function of ours before one of librdkafka's (docs/adr/0011).

/// What librdkafka calls while it reads which partitions have new leaders.
const WRAPPED: &str = "rd_kafkap_leader_discovery_set_topic";

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg=-Wl,--wrap={WRAPPED}");
}
