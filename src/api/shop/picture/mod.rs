//! Draws a product's picture: an SVG of the thing that its words name, in the colours that they name, the same at every call.
//!
//! The catalogue has no photographs, and no outside host may be asked for one. What nothing names is drawn as a parcel: never as
//! another thing. Two products with the same motif still differ: the product's id sets colours, angle and what stands behind.
//!
//! ```text
//!  name, tags, category ─► words ─► motif, book cover or parcel ─┐
//!  id ─► dice ─► colours, angle, backdrop ───────────────────────┴─► paint ─► SVG, 600 by 600
//! ```

mod backdrop;
mod colours;
mod cover;
mod motifs;
mod paint;
mod words;

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use sha2::{Digest, Sha256};

use colours::Inks;
use motifs::Motif;
use words::Depicted;

/// Changes when the drawing does: part of the picture's entity tag.
pub const EDITION: u32 = 4;

/// What a picture is drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub brand: &'a str,
    pub category: &'a str,
    pub tags: &'a [String],
}

impl Subject<'_> {
    /// The same for the same picture.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.id, self.name, self.brand, self.category, self.tags).hash(&mut hasher);
        hasher.finish()
    }
}

/// Numbers that follow from the product's id alone.
struct Dice {
    /// Of the whole id.
    own: [u8; 32],
    /// Of the id without the digits at its end, and those digits: ids that are counted through get looks that are, too.
    family: [u8; 32],
    number: u16,
}

impl Dice {
    fn new(id: &str) -> Self {
        let stem = id.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = id.get(stem.len()..).unwrap_or_default();
        let tail = digits.get(digits.len().saturating_sub(4)..).unwrap_or_default();
        Self {
            own: Sha256::digest(id.as_bytes()).into(),
            family: Sha256::digest(stem.as_bytes()).into(),
            number: tail.parse().unwrap_or_default(),
        }
    }

    /// A number from 0 to below `sides`, of this product.
    fn roll(&self, die: usize, sides: u16) -> u16 {
        of_bytes(&self.own, die) % sides
    }

    /// A number from 0 to below `sides`, the same for all products whose ids differ only in the number at their end.
    fn family(&self, die: usize, sides: u16) -> u16 {
        of_bytes(&self.family, die) % sides
    }

    /// The number at the id's end.
    fn number(&self) -> u16 {
        self.number
    }
}

fn of_bytes(bytes: &[u8; 32], die: usize) -> u16 {
    let at = die * 2 % 32;
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// What distinguishes one picture from another, before it is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    shown: Depicted,
    inks: Inks,
    backdrop: backdrop::Backdrop,
    /// Degrees.
    tilt: i16,
    copies: usize,
}

impl Look {
    fn of(subject: &Subject<'_>) -> Self {
        let dice = Dice::new(subject.id);
        let shown = words::shown(subject);
        let (usual, drawing) = match shown {
            Depicted::Thing(motif) => (motif.usual, motif.drawing),
            Depicted::Book | Depicted::Parcel => ("", ""),
        };
        let inks = Inks::choose(subject, usual, drawing, &dice);
        let copies = if let Depicted::Thing(Motif { several: true, .. }) = shown { words::pieces(subject) } else { 1 };
        let tilt = [-3, 2, 0, -2, 3, -1, 1][usize::from((dice.family(3, 7) + dice.number() % 7 * 3) % 7)];
        Self { shown, inks, backdrop: backdrop::Backdrop::behind(&inks, &dice), tilt, copies }
    }
}

/// The picture as SVG text, 600 by 600.
#[must_use]
pub fn draw(subject: Subject<'_>) -> String {
    let look = Look::of(&subject);
    let mut svg = String::with_capacity(4096);
    // Writing to a String has nothing to fail on.
    let _ = write!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="600" height="600" viewBox="0 0 600 600" role="img"><title>{}</title>"#,
        Escaped(subject.name)
    );
    look.backdrop.paint(&mut svg);
    match look.shown {
        Depicted::Thing(motif) => thing(&mut svg, motif, &look),
        Depicted::Book => cover::book(&mut svg, &subject, &look),
        Depicted::Parcel => cover::parcel(&mut svg, &subject, &look),
    }
    svg.push_str("</svg>");
    svg
}

/// Where up to three pieces of one thing stand, the rearmost first: across, down, size in per cent.
const PLACES: [&[(i16, i16, i16)]; 3] =
    [&[(0, 0, 228)], &[(72, -34, 178), (-70, 30, 182)], &[(124, -34, 146), (0, -8, 152), (-122, 26, 150)]];

fn thing(svg: &mut String, motif: &Motif, look: &Look) {
    let places = PLACES[look.copies.clamp(1, 3) - 1];
    for (index, (across, down, size)) in places.iter().enumerate() {
        let (x, y, scale) = (300 + across, 300 + down, f32::from(*size) / 100.0);
        let _ =
            write!(svg, r#"<g transform="rotate({} 300 300) translate({x} {y}) scale({scale}) translate(-100 -100)""#, look.tilt);
        svg.push_str(r#" stroke-linecap="round" stroke-linejoin="round">"#);
        paint::paint(svg, motif.drawing, &look.inks.of_piece(index));
        svg.push_str("</g>");
    }
}

/// Text for an XML element.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                // XML 1.0 has no way to write the other control characters, nor these two (production 2, Char).
                '\u{fffe}' | '\u{ffff}' => {}
                other if other.is_control() => {}
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
