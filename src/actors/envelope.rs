//! A message body with what travels beside it.

pub use super::kit::{Answer, CallError, Mailbox};

/// A message body in the mailbox.
#[derive(Debug)]
pub struct Envelope<T> {
    pub body: T,
}

impl<T> Envelope<T> {
    /// Wraps a body.
    #[must_use]
    pub fn new(body: T) -> Self {
        Self { body }
    }
}
