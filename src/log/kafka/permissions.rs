//! What the brokers do not permit this shop, and when they permit it again.
//!
//! The client that was refused reports it once. The missing permission stays listed until it is granted, as whatever needs it
//! does not work meanwhile. The overseer asks about topics; a group and a transactional id show by themselves, as the next try
//! succeeds.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::log::LogError;

/// What is done with the records of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    Read,
    Write,
}

/// A permission that the shop needs and does not have. Names are those in Kafka, with the shop's prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MissingPermission {
    Topic(Access, String),
    /// To be a member of this group, and to commit its positions.
    Group(String),
    /// To write transactions under ids that begin with this one.
    TransactionalId(String),
}

impl fmt::Display for MissingPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(Access::Read, name) => {
                write!(
                    f,
                    "Kafka does not let the shop read the topic {name}: {}",
                    how_to_grant("READ", &format!("--topic {name}"))
                )
            }
            Self::Topic(Access::Write, name) => {
                let how = how_to_grant("WRITE", &format!("--topic {name}"));
                write!(f, "Kafka does not let the shop write to the topic {name}: {how}")
            }
            Self::Group(name) => {
                write!(
                    f,
                    "Kafka does not let the shop join the group {name}: {}",
                    how_to_grant("READ", &format!("--group {name}"))
                )
            }
            Self::TransactionalId(id) => {
                let resource = format!("--transactional-id {id} --resource-pattern-type prefixed");
                write!(f, "Kafka does not let the shop use the transactional id {id}: {}", how_to_grant("WRITE", &resource))
            }
        }
    }
}

/// The command that grants an operation. READ and WRITE include DESCRIBE.
pub(super) fn how_to_grant(operation: &str, resource: &str) -> String {
    format!(
        "grant {operation} to the shop's principal, as with `kafka-acls --add --allow-principal User:NAME --operation \
         {operation} {resource}`; the shop then continues by itself"
    )
}

/// The permissions that are known to be missing.
#[derive(Debug, Default)]
pub(super) struct Permissions(Mutex<BTreeSet<MissingPermission>>);

impl Permissions {
    /// A client was refused for want of this permission; returns the error of its call.
    pub fn refused(&self, missing: MissingPermission) -> LogError {
        let text = missing.to_string();
        if self.missing().insert(missing) {
            tracing::error!(reason = text, "a permission is missing");
        }
        LogError::Refused(text)
    }

    /// What needed this permission works.
    pub fn granted(&self, permission: &MissingPermission) {
        if self.missing().remove(permission) {
            tracing::info!(before = %permission, "a permission was granted");
        }
    }

    /// All that are missing now.
    pub fn all(&self) -> BTreeSet<MissingPermission> {
        self.missing().clone()
    }

    /// All that are missing now, in words.
    pub fn summary(&self) -> Option<String> {
        let missing: Vec<String> = self.missing().iter().map(MissingPermission::to_string).collect();
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    fn missing(&self) -> MutexGuard<'_, BTreeSet<MissingPermission>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_names_the_operation_the_resource_and_the_command() {
        let cases = [
            (MissingPermission::Topic(Access::Read, "my-orders".to_owned()), "--operation READ --topic my-orders"),
            (MissingPermission::Topic(Access::Write, "my-products".to_owned()), "--operation WRITE --topic my-products"),
            (MissingPermission::Group("my-group".to_owned()), "--operation READ --group my-group"),
            (
                MissingPermission::TransactionalId("my-id".to_owned()),
                "WRITE --transactional-id my-id --resource-pattern-type prefixed",
            ),
        ];
        for (missing, command) in cases {
            assert!(missing.to_string().contains(command), "{missing}");
        }
    }

    #[test]
    fn one_is_listed_until_it_is_granted() {
        let permissions = Permissions::default();
        let missing = MissingPermission::Group("my-group".to_owned());
        permissions.refused(missing.clone());
        permissions.refused(missing.clone());
        assert_eq!(permissions.all().len(), 1);
        assert!(permissions.summary().is_some_and(|text| text.contains("--group my-group")));
        permissions.granted(&missing);
        assert_eq!(permissions.summary(), None);
    }
}
