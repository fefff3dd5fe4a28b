//! Backup and restore: a data directory in one file, and back (docs/runbooks/backup-and-restore.md).
//!
//! Log and database are copied as of one moment: the log holds every outcome that the database knows, and the database every
//! order that the log knows. What either lacks of the other is what a `kill -9` could have left, and the next start settles it.

mod archive;
mod restore;
mod take;

pub use archive::Manifest;
pub use restore::restore;
pub use take::back_up;

/// Names in the archive: those in the data directory, except for the cluster, which may lie elsewhere.
const LOG: &str = "log/kartshoppe.log.sqlite";
const INSTANCE: &str = "instance";
const CREDENTIALS: &str = "postgres/credentials";
const CLUSTER: &str = "postgres/cluster";

const ARCHITECTURE: &str = std::env::consts::ARCH;
