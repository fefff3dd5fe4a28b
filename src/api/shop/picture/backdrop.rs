//! What stands behind a thing: a quiet ground in two tones, one shape, and the thing's shadow.

use std::fmt::Write as _;

use super::Dice;
use super::colours::{Colour, Inks};

/// Kinds of shape.
const KINDS: u16 = 8;

/// A picture's background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backdrop {
    ground: Colour,
    shape: Colour,
    kind: u16,
}

impl Backdrop {
    /// The background that goes with these colours: a quieter relative of the main one, or what stands across from it.
    pub fn behind(inks: &Inks, dice: &Dice) -> Self {
        let turn = [26, 160, 196, 332, 215, 48][usize::from((dice.family(4, 6) + dice.number() % 6 * 5) % 6)];
        let hue = (inks.main.0 + turn) % 360;
        let is_pale = inks.main.2 > 68;
        // Yellow-green looks sickly in large areas, and a pale thing wants a ground that it stands out from.
        let hue = match hue {
            20..100 if is_pale => 206,
            56..100 => 42,
            _ => hue,
        };
        let (saturation, light) = if is_pale { (36, 75) } else { (46, 88) };
        let ground = Colour(hue, saturation, light);
        let kind = (dice.family(5, KINDS) + dice.number() % KINDS * 3) % KINDS;
        Self { ground, shape: ground.lit(if dice.roll(6, 2) == 0 { 6 } else { -7 }), kind }
    }

    pub fn paint(&self, svg: &mut String) {
        let Self { ground, shape, kind } = self;
        let _ = write!(svg, r#"<path d="M0 0H600V600H0Z" fill="{ground}"/>"#);
        let _ = match kind {
            0 => write!(svg, r#"<circle cx="300" cy="292" r="238" fill="{shape}"/>"#),
            1 => write!(svg, r#"<path d="M0 430H600V600H0Z" fill="{shape}"/>"#),
            2 => write!(svg, r#"<path d="M0 600L600 0V600Z" fill="{shape}"/>"#),
            3 => write!(svg, r#"<path d="M96 600V300A204 204 0 0 1 504 300V600Z" fill="{shape}"/>"#),
            4 => write!(
                svg,
                r#"<circle cx="96" cy="120" r="190" fill="{shape}"/><circle cx="548" cy="486" r="150" fill="{shape}"/>"#
            ),
            5 => write!(svg, r#"<path d="M0 210Q150 130 300 210T600 210V600H0Z" fill="{shape}"/>"#),
            6 => write!(svg, r#"<path d="M70 70H530V530H70Z" fill="{shape}"/>"#),
            _ => write!(
                svg,
                r#"<path d="M0 0H150L0 150ZM300 0H450L0 450V300ZM600 0V150L150 600H0ZM600 300V450L450 600H300Z" fill="{shape}"/>"#
            ),
        };
        let _ = write!(svg, r##"<ellipse cx="300" cy="476" rx="190" ry="20" fill="#1a1626" opacity=".14"/>"##);
    }
}
