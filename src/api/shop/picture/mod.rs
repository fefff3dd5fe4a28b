//! Draws a product's picture: an SVG made of its category's colours and a motif for what it is, the same at every call.
//!
//! The catalogue has no photographs, and no outside host may be asked for one. Two products with the same motif still differ: the
//! product's id sets tint, tilt and the shapes behind. Drawn for 200 to 600 pixels.

mod motifs;

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use sha2::{Digest, Sha256};

use motifs::Motif;

/// Changes when the drawing does: part of the picture's entity tag.
pub const EDITION: u32 = 3;

/// What a picture is drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub category: &'a str,
    pub tags: &'a [String],
}

impl Subject<'_> {
    /// The same for the same picture.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.id, self.name, self.category, self.tags).hash(&mut hasher);
        hasher.finish()
    }
}

/// Colours of one category: two of the background, then accent, dark and light of the motif.
#[derive(Debug, Clone, Copy)]
struct Palette {
    /// Hue in degrees; the rest follows from it.
    hue: u16,
    accent: u16,
}

fn palette(category: &str, dice: &Dice) -> Palette {
    let (hue, accent) = match category {
        "Electronics" => (222, 28),
        "Fashion" => (332, 262),
        "Home & Garden" => (146, 32),
        "Sports" => (198, 16),
        "Books" => (28, 208),
        "Toys" => (46, 346),
        "Beauty" => (350, 172),
        "Food & Grocery" => (22, 98),
        _ => (dice.pick(0, 360), dice.pick(1, 360)),
    };
    // A few degrees apart, so that a shelf of one category is a family and not a row of twins.
    Palette { hue: (hue + 352 + dice.pick(2, 17)) % 360, accent: (accent + 350 + dice.pick(3, 21)) % 360 }
}

/// Numbers that follow from the product's id alone.
struct Dice([u8; 32]);

impl Dice {
    fn new(id: &str) -> Self {
        Self(Sha256::digest(id.as_bytes()).into())
    }

    /// A number from 0 to below `sides`.
    fn pick(&self, die: usize, sides: u16) -> u16 {
        let at = die * 2 % 32;
        u16::from_be_bytes([self.0[at], self.0[at + 1]]) % sides
    }
}

/// The picture as SVG text, 600 by 600.
#[must_use]
pub fn draw(subject: Subject<'_>) -> String {
    let dice = Dice::new(subject.id);
    let colours = palette(subject.category, &dice);
    let motif = Motif::of(subject.tags, subject.category);
    let mut svg = String::with_capacity(3000);
    // Writing to a String has nothing to fail on.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"600\" height=\"600\" viewBox=\"0 0 600 600\" role=\"img\"><title>{}</title>",
        Escaped(subject.name)
    );
    background(&mut svg, &dice, colours);
    let tilt = i32::from(dice.pick(9, 9)) - 4;
    let _ = write!(
        svg,
        "<ellipse cx=\"300\" cy=\"492\" rx=\"172\" ry=\"22\" fill=\"hsl({} 45% 22%)\" opacity=\".16\"/>\
         <g transform=\"rotate({tilt} 300 300) translate(300 300) scale(1.95) translate(-100 -100)\" \
         stroke-linecap=\"round\" stroke-linejoin=\"round\">",
        colours.hue
    );
    svg.push_str(&motif.paint(&inks(colours)));
    svg.push_str("</g></svg>");
    svg
}

fn background(svg: &mut String, dice: &Dice, colours: Palette) {
    let Palette { hue, accent } = colours;
    let _ = write!(
        svg,
        "<defs><linearGradient id=\"g\" x1=\"0\" y1=\"0\" x2=\"{}\" y2=\"1\"><stop stop-color=\"hsl({hue} 62% 94%)\"/>\
         <stop offset=\"1\" stop-color=\"hsl({hue} 48% 82%)\"/></linearGradient></defs><rect width=\"600\" height=\"600\" fill=\"url(#g)\"/>",
        if dice.pick(4, 2) == 0 { "1" } else { ".3" },
    );
    let _ = write!(
        svg,
        "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"hsl({hue} 60% 97%)\" opacity=\".75\"/>",
        250 + dice.pick(5, 100),
        240 + dice.pick(6, 90),
        196 + dice.pick(7, 44),
    );
    let (x, y) = (i32::from(dice.pick(8, 600)), i32::from(dice.pick(10, 2) * 430 + 40 + dice.pick(11, 90)));
    match dice.pick(12, 3) {
        0 => {
            let _ = write!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"74\" fill=\"hsl({accent} 70% 74%)\" opacity=\".45\"/>");
        }
        1 => {
            let _ = write!(
                svg,
                "<path d=\"M-20 {} Q150 {} 300 {} T620 {}\" fill=\"none\" stroke=\"hsl({accent} 66% 76%)\" stroke-width=\"26\" opacity=\".5\"/>",
                y,
                y - 80,
                y,
                y + 10
            );
        }
        _ => {
            for step in 0..9 {
                let (dx, dy) = (step % 3 * 34, step / 3 * 34);
                let _ = write!(
                    svg,
                    "<circle cx=\"{}\" cy=\"{}\" r=\"7\" fill=\"hsl({accent} 62% 70%)\" opacity=\".55\"/>",
                    x + dx,
                    y + dy
                );
            }
        }
    }
}

/// Colours that motifs are painted with, by the letter that stands for each in them.
fn inks(colours: Palette) -> [(&'static str, String); 5] {
    let Palette { hue, accent } = colours;
    [
        ("$a", format!("hsl({accent} 72% 58%)")),
        ("$b", format!("hsl({accent} 58% 44%)")),
        ("$d", format!("hsl({hue} 38% 26%)")),
        ("$m", format!("hsl({hue} 42% 52%)")),
        ("$l", format!("hsl({hue} 55% 96%)")),
    ]
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
mod tests {
    use super::*;

    fn subject<'a>(id: &'a str, tags: &'a [String]) -> Subject<'a> {
        Subject { id, name: "A <b> & \u{1}c", category: "Electronics", tags }
    }

    #[test]
    fn a_product_always_looks_the_same_and_unlike_its_neighbour() {
        let tags = ["laptop".to_owned()];
        let first = draw(subject("PROD_0001", &tags));
        assert_eq!(first, draw(subject("PROD_0001", &tags)));
        assert_ne!(first, draw(subject("PROD_0002", &tags)));
        assert!(first.contains("<title>A &lt;b&gt; &amp; c</title>"), "{first}");
        assert!(first.contains("width=\"600\" height=\"600\""));
        assert!(!first.contains('$'), "every ink has its colour");
        assert!(!first.contains("http://") || first.matches("http").count() == 1, "only the namespace: nothing is fetched");
    }

    #[test]
    fn a_title_is_well_formed_whatever_the_name() {
        let every: String = (0..=0x2_ffff).filter_map(char::from_u32).collect();
        let svg = draw(Subject { name: &every, ..subject("PROD_0001", &[]) });
        let title = svg.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).unwrap().0;
        let is_char = |c: char| matches!(c, '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        assert_eq!(title.chars().find(|c| !is_char(*c) || matches!(c, '<' | '>')), None);
        assert!(title.contains('\u{fffd}') && title.contains('\u{1fffe}') && title.contains('\u{202e}'), "legal ones stay");
    }

    #[test]
    fn every_shape_behind_a_product_is_near_the_picture() {
        let mut above = 0;
        for number in 0..300 {
            let svg = draw(subject(&format!("PROD_{number:04}"), &[]));
            let wave = svg.split_once("d=\"M-20 ").and_then(|(_, path)| path.split_once('"')).map_or("", |(path, _)| path);
            for at in wave.split([' ', 'Q', 'T']).filter_map(|number| number.parse::<i32>().ok()) {
                assert!((-40..=640).contains(&at), "PROD_{number:04}: {wave}");
                above += usize::from(at < 0);
            }
        }
        assert!(above > 0, "a wave at the upper edge bends above it");
    }

    #[test]
    fn every_motif_is_balanced() {
        for motif in motifs::ALL {
            let svg = motif.paint(&inks(Palette { hue: 1, accent: 2 }));
            assert!(!svg.contains('$'), "{motif:?}: {svg}");
            assert_eq!(svg.matches("<g").count(), svg.matches("</g>").count(), "{motif:?}");
            let elements = svg.matches('<').count() - 2 * svg.matches("</g>").count();
            assert_eq!(elements, svg.matches("/>").count(), "{motif:?} leaves an element open: {svg}");
        }
    }
}
