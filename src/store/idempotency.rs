//! Idempotency keys, which make a checkout safe to repeat: same key, session and body give the same order, for 24 hours.
//!
//! A key belongs to its session: sessions that choose the same key do not affect each other, so the stored key is prefixed with
//! the session id. Rows that older versions stored under the client's key alone are honoured for their 24 hours, if their order
//! belongs to this session.
//!
//! The key's row is written by the statement that writes the order ([`super::checkout`]), so both exist or neither does. A
//! checkout with a key that is being inserted waits for that statement to end.

use sha2::{Digest, Sha256};

use super::{Store, StoreError};
use crate::domain::ids::{InvalidValue, SessionId};

/// Longest key in characters; typical clients send UUIDs.
const MAX_CHARS: usize = 255;

/// Separates session and key; neither contains control characters.
const SEPARATOR: char = '\u{1f}';

/// A client's key with the fingerprint of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// As it is stored: session, separator, the client's key.
    stored: String,
    /// Where the client's key begins.
    own_at: usize,
    fingerprint: [u8; 32],
}

impl IdempotencyKey {
    /// A key as the client sent it, bound to its session and request body.
    ///
    /// # Errors
    /// [`InvalidValue`] if the key is empty, longer than 255 characters or holds other than printable ASCII.
    pub fn new(key: &str, session_id: &SessionId, body: &[u8]) -> Result<Self, InvalidValue> {
        const FIELD: &str = "Idempotency-Key";
        if key.is_empty() {
            return Err(InvalidValue::Empty { field: FIELD });
        }
        let chars = key.chars().count();
        if chars > MAX_CHARS {
            return Err(InvalidValue::TooLong { field: FIELD, chars, max: MAX_CHARS });
        }
        if !key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(InvalidValue::ControlCharacter { field: FIELD });
        }
        // The session's length makes the hash input unambiguous for any pair of session and body.
        let session = session_id.as_str().as_bytes();
        let fingerprint = Sha256::new()
            .chain_update(u64::try_from(session.len()).unwrap_or(u64::MAX).to_be_bytes())
            .chain_update(session)
            .chain_update(body)
            .finalize();
        let stored = format!("{session_id}{SEPARATOR}{key}");
        Ok(Self { own_at: stored.len() - key.len(), stored, fingerprint: fingerprint.into() })
    }

    /// As stored in the table.
    pub(super) fn stored(&self) -> &str {
        &self.stored
    }

    /// As the client sent it, which is also how older versions stored it.
    pub(super) fn own(&self) -> &str {
        &self.stored[self.own_at..]
    }

    pub(super) fn fingerprint(&self) -> &[u8] {
        &self.fingerprint
    }
}

impl Store {
    /// Deletes keys older than 24 hours, at most `at_most`.
    pub(super) async fn sweep_keys(&self, at_most: i64) -> Result<u64, StoreError> {
        let sweep = || async {
            sqlx::query!(
                "DELETE FROM idempotency_keys WHERE key IN (
                     SELECT key FROM idempotency_keys WHERE created_at < now() - interval '24 hours'
                     ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
                at_most
            )
            .execute(&self.pool)
            .await
        };
        Ok(self.run("delete old idempotency keys", sweep).await?.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_for_one_session_and_one_body() {
        let key = |session_id: &str, body: &[u8]| IdempotencyKey::new("k", &SessionId::new(session_id).unwrap(), body).unwrap();
        assert_eq!(key("s1", b"{}"), key("s1", b"{}"));
        assert_ne!(key("s1", b"{}"), key("s2", b"{}"));
        assert_ne!(key("s1", b"{}"), key("s1", b"{ }"));
        assert_ne!(key("s", b"1{}"), key("s1", b"{}"));
        assert_ne!(key("s1", b"{}").stored(), key("s2", b"{}").stored(), "a key is its session's");
        assert_eq!((key("s\u{e9}1", b"").own(), key("s1", b"").stored()), ("k", "s1\u{1f}k"));
    }

    #[test]
    fn keys_are_short_and_printable() {
        let session = SessionId::new("s1").unwrap();
        assert!(IdempotencyKey::new(&"x".repeat(255), &session, b"").is_ok());
        for bad in ["", "a\nb", "schlüssel", &"x".repeat(256)] {
            assert!(IdempotencyKey::new(bad, &session, b"").is_err(), "{bad}");
        }
    }
}
