//! What the brokers do not let this shop do, and who says when they do again.
//!
//! A refusal is told once, by whichever client met it; what it wanted stays on the board until it is granted, as nothing of it works
//! meanwhile. The overseer asks for rights on topics; a group and a transactional id show by themselves: the next try succeeds.

use std::fmt;

/// What is done with the records of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    Read,
    Write,
}

/// A right that is missing. Names are those in Kafka, with the shop's prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    Topic(Access, String),
    /// To be a member of this group, and to move its positions.
    Group(String),
    /// To write transactions under ids that begin so.
    TransactionalId(String),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(Access::Read, name) => {
                write!(f, "Kafka does not let the shop read the topic {name}: {}", grant("READ", &format!("--topic {name}")))
            }
            Self::Topic(Access::Write, name) => {
                write!(f, "Kafka does not let the shop write to the topic {name}: {}", grant("WRITE", &format!("--topic {name}")))
            }
            Self::Group(name) => {
                write!(f, "Kafka does not let the shop join the group {name}: {}", grant("READ", &format!("--group {name}")))
            }
            Self::TransactionalId(id) => {
                let resource = format!("--transactional-id {id} --resource-pattern-type prefixed");
                write!(f, "Kafka does not let the shop use the transactional id {id}: {}", grant("WRITE", &resource))
            }
        }
    }
}

/// What to do. Who may READ or WRITE may also DESCRIBE.
pub(super) fn grant(operation: &str, resource: &str) -> String {
    format!(
        "grant {operation} to the shop's principal, as by `kafka-acls --add --allow-principal User:NAME --operation {operation} \
         {resource}`; it goes on by itself then"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lack_names_the_right_the_resource_and_the_command() {
        let cases = [
            (Lack::Topic(Access::Read, "my-orders".to_owned()), "--operation READ --topic my-orders"),
            (Lack::Topic(Access::Write, "my-products".to_owned()), "--operation WRITE --topic my-products"),
            (Lack::Group("my-group".to_owned()), "--operation READ --group my-group"),
            (Lack::TransactionalId("my-id".to_owned()), "WRITE --transactional-id my-id --resource-pattern-type prefixed"),
        ];
        for (lack, command) in cases {
            assert!(lack.to_string().contains(command), "{lack}");
        }
    }
}
