//! Which user the server runs as, and whether that user can reach a file. PostgreSQL refuses to run as root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::geteuid;

/// Users that a root process runs the server as; the first that exists.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];
/// The ids of `nobody` where the user list cannot be read.
const NOBODY: u32 = 65_534;

/// A user by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub uid: u32,
    pub gid: u32,
}

impl Owner {
    /// The user to switch to for this cluster; `None` to stay the current user.
    pub fn to_switch_to(cluster: &Path) -> Option<Self> {
        if !geteuid().is_root() {
            return None;
        }
        let made_by = fs::metadata(cluster).ok().map(|meta| Self { uid: meta.uid(), gid: meta.gid() });
        Some(made_by.filter(|owner| owner.uid != 0).unwrap_or_else(Self::unprivileged))
    }

    fn unprivileged() -> Self {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let known = UNPRIVILEGED.iter().find_map(|name| Self::in_list(&users, name));
        known.unwrap_or(Self { uid: NOBODY, gid: NOBODY })
    }

    /// Reads `name:password:uid:gid:…`; macOS writes `nobody` as -2.
    fn in_list(users: &str, name: &str) -> Option<Self> {
        let fields: Vec<&str> =
            users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields.first() == Some(&name))?;
        let number = |text: &str| text.parse().or_else(|_| text.parse::<i32>().map(i32::cast_unsigned)).ok();
        Some(Self { uid: number(fields.get(2)?)?, gid: number(fields.get(3)?)? })
    }

    /// Whether this user may traverse to `path` and enter it.
    pub fn reaches(self, path: &Path) -> bool {
        path.ancestors().all(|directory| {
            fs::metadata(directory).is_ok_and(|meta| {
                let mode = meta.permissions().mode();
                let class = if meta.uid() == self.uid {
                    0o100
                } else if meta.gid() == self.gid {
                    0o010
                } else {
                    0o001
                };
                mode & class != 0
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name() {
        let users =
            "root:x:0:0:root:/root:/bin/bash\nnobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\npostgres:x:101:104::/:";
        assert_eq!(Owner::in_list(users, "postgres"), Some(Owner { uid: 101, gid: 104 }));
        assert_eq!(Owner::in_list(users, "nobody").unwrap().uid, u32::MAX - 1);
        assert_eq!(Owner::in_list(users, "post"), None);
    }

    #[test]
    fn a_closed_directory_on_the_way_is_seen() {
        let top = tempfile::tempdir().unwrap();
        let inner = top.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let other_user = Owner { uid: 54_321, gid: 54_321 };
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert!(other_user.reaches(&inner));
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!other_user.reaches(&inner));
        let ours = fs::metadata(top.path()).unwrap();
        assert!(Owner { uid: ours.uid(), gid: ours.gid() }.reaches(&inner));
    }
}
