//! A long text made of products, such as the whole catalogue: it holds the products, not their bytes, so that all such texts
//! share them. A reader renders piece by piece what it takes, and holds one piece however slowly it reads.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::entry::Entry;
use crate::actors::waiting::{HeldText, WaitingOutput};

/// A piece ends after the product with which it reaches this many bytes: about what a socket takes at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Products between a beginning and an end, with commas between them.
#[derive(Debug)]
pub struct SharedText {
    head: Bytes,
    products: Vec<Arc<Entry>>,
    tail: Bytes,
    len: usize,
    _held: HeldText,
}

impl SharedText {
    /// Puts products into a text. `around` gets their count and the bytes between beginning and end, and returns those.
    pub(super) fn new(
        products: impl Iterator<Item = Arc<Entry>>,
        waiting: &WaitingOutput,
        around: impl FnOnce(usize, usize) -> (Bytes, Bytes),
    ) -> Self {
        // Before the products are taken: what is replaced from here on may be theirs alone.
        let made = waiting.replaced();
        // A product that was removed this moment may have lost its text.
        let products: Vec<_> = products.filter(|entry| !entry.body().is_empty()).collect();
        let inner = products.iter().map(|entry| entry.body().len() + 1).sum::<usize>().saturating_sub(1);
        let (head, tail) = around(products.len(), inner);
        let len = head.len() + inner + tail.len();
        let held = waiting.hold_text(made, products.len(), inner);
        Self { head, products, tail, len, _held: held }
    }

    /// Begins to read it.
    #[must_use]
    pub fn pieces(self: &Arc<Self>) -> Pieces {
        Pieces { text: self.clone(), next: 0, left: self.len }
    }
}

/// A reader's place in a text.
#[derive(Debug, Clone)]
pub struct Pieces {
    text: Arc<SharedText>,
    /// The next product to be rendered.
    next: usize,
    left: usize,
}

impl Pieces {
    /// Bytes that were not given yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let text = &*self.text;
        let mut piece = BytesMut::with_capacity(self.left.min(PIECE_BYTES + 4096));
        if self.left == text.len {
            piece.extend_from_slice(&text.head);
        }
        while let Some(entry) = text.products.get(self.next).filter(|_| piece.len() < PIECE_BYTES) {
            if self.next > 0 {
                piece.extend_from_slice(b",");
            }
            piece.extend_from_slice(entry.body());
            self.next += 1;
        }
        if self.next == text.products.len() {
            piece.extend_from_slice(&text.tail);
        }
        self.left -= piece.len();
        Some(piece.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::TestCatalogue;
    use super::*;

    fn array(products: impl Iterator<Item = Arc<Entry>>) -> Arc<SharedText> {
        Arc::new(SharedText::new(products, &WaitingOutput::default(), |_, _| {
            (Bytes::from_static(b"["), Bytes::from_static(b"]"))
        }))
    }

    #[test]
    fn pieces_are_small_and_make_the_whole() {
        for products in [0, 1, 2, 2_000] {
            let shop = TestCatalogue::restored(products);
            let text = array(shop.catalog.all());
            let pieces: Vec<Bytes> = text.pieces().collect();
            assert!(pieces.iter().all(|piece| piece.len() < PIECE_BYTES + 4096));
            let whole = pieces.concat();
            assert_eq!(whole.len(), text.pieces().left());
            let read: Vec<serde_json::Value> = serde_json::from_slice(&whole).unwrap();
            assert_eq!(read.len(), products as usize);
        }
    }

    #[test]
    fn texts_share_their_products() {
        let shop = TestCatalogue::restored(100);
        let texts: Vec<_> = (0..50).map(|_| array(shop.catalog.all())).collect();
        let entry = shop.catalog.entry("P0").unwrap();
        let body = entry.body().as_ptr();
        assert!(texts.iter().all(|text| text.products.iter().any(|product| product.body().as_ptr() == body)));
    }
}
