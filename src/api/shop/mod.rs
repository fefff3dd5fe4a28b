//! What shoppers ask for over REST, one file per resource.

pub mod affinity;
pub mod cart;
pub mod checkout;
pub mod events;
pub mod inventory_state;
pub mod listed;
pub mod orders;
pub mod picture;
pub mod products;
pub mod query;
pub mod recommendations;
pub mod status;

use std::borrow::Borrow;

use crate::actors::catalog_view::Entry;

/// Appends rendered products as a JSON array; returns how many.
fn put_array(into: &mut Vec<u8>, entries: impl Iterator<Item = impl Borrow<Entry>>) -> usize {
    into.push(b'[');
    let mut count = 0;
    for entry in entries {
        // A product that was removed this moment may have lost its text.
        if entry.borrow().body().is_empty() {
            continue;
        }
        if count > 0 {
            into.push(b',');
        }
        into.extend_from_slice(entry.borrow().body());
        count += 1;
    }
    into.push(b']');
    count
}
