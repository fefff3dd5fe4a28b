//! The text of a product: its fixed parts around the numbers that move.

use bytes::Bytes;
use serde::Serialize;

use crate::domain::EpochMs;
use crate::domain::ids::Stock;
use crate::domain::money::Cents;
use crate::domain::product::Revision;

/// A JSON object without its closing brace, ready for more fields.
pub(super) fn open_ended(object: &impl Serialize) -> Vec<u8> {
    // Structs of strings and finite numbers always serialise; an empty object would only lose a product's text.
    let mut text = serde_json::to_vec(object).unwrap_or_else(|_| b"{".to_vec());
    text.pop();
    text.push(b',');
    text
}

/// Everything a body is made of.
pub(super) struct BodyParts<'a> {
    pub(super) head: &'a [u8],
    pub(super) tail: &'a [u8],
    pub(super) revision: Revision,
    pub(super) details_version: u64,
    pub(super) price: Cents,
    pub(super) stock: Stock,
    pub(super) changed_at_ms: EpochMs,
    /// The price before the last drop, and when that was.
    pub(super) was: Option<(Cents, EpochMs)>,
}

/// Room for the numbers, with their names, at their longest.
const NUMBERS_MAX: usize = 256;

impl BodyParts<'_> {
    /// The body, with where head ends, tail starts and tail ends.
    pub(super) fn join(&self) -> (Bytes, [u32; 3]) {
        // Exactly as long as it is: an allocator that shrinks a block in place keeps its length, and there may be a million.
        let mut numbers = Vec::with_capacity(NUMBERS_MAX);
        let mut number = itoa::Buffer::new();
        numbers.extend_from_slice(b"\"price\":");
        push_cents(&mut numbers, self.price);
        numbers.extend_from_slice(b",\"inventory\":");
        numbers.extend_from_slice(number.format(self.stock.units()).as_bytes());
        numbers.push(b',');
        let level = numbers.len();
        numbers.extend_from_slice(b"\"life\":");
        numbers.extend_from_slice(number.format(self.revision.life).as_bytes());
        numbers.extend_from_slice(b",\"version\":");
        numbers.extend_from_slice(number.format(self.revision.version).as_bytes());
        numbers.extend_from_slice(b",\"detailsVersion\":");
        numbers.extend_from_slice(number.format(self.details_version).as_bytes());
        numbers.extend_from_slice(b",\"timestamp\":");
        numbers.extend_from_slice(number.format(self.changed_at_ms).as_bytes());
        if let Some((price, at_ms)) = self.was {
            numbers.extend_from_slice(b",\"wasPrice\":");
            push_cents(&mut numbers, price);
            numbers.extend_from_slice(b",\"wasAt\":");
            numbers.extend_from_slice(number.format(at_ms).as_bytes());
        }
        numbers.push(b'}');
        let body = [self.head, &numbers[..level], self.tail, &numbers[level..]].concat();
        let tail_start = self.head.len() + level;
        (Bytes::from(body), [self.head.len(), tail_start, tail_start + self.tail.len()].map(place))
    }
}

/// Records are far smaller than 4 GB: the log refuses them long before.
fn place(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Writes an amount as [`crate::wire::Money`] does: a JSON number with one or two decimals.
fn push_cents(into: &mut Vec<u8>, amount: Cents) {
    let cents = amount.cents() % 100;
    into.extend_from_slice(itoa::Buffer::new().format(amount.cents() / 100).as_bytes());
    into.push(b'.');
    into.push(digit(cents / 10));
    if cents % 10 > 0 {
        into.push(digit(cents % 10));
    }
}

/// `number` is from 0 to 9.
fn digit(number: i64) -> u8 {
    b'0' + u8::try_from(number).unwrap_or_default()
}
