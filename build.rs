//! Makes cargo notice a new migration or chapter, as the macros that compile them in see only files they knew before; and has the linker put
//! a function of ours before one of librdkafka's (docs/adr/0011).

/// What librdkafka calls while it reads which partitions have new leaders.
const WRAPPED: &str = "rd_kafkap_leader_discovery_set_topic";

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=docs/workshop");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg=-Wl,--wrap={WRAPPED}");
}
