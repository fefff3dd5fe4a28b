//! A product's colours: those its words name, and otherwise one of a wheel, the same at every call.

use std::fmt;

use super::words::{singular, tokens};
use super::{Dice, Subject};

/// A colour as hue in degrees, saturation and lightness in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour(pub u16, pub u8, pub u8);

impl Colour {
    /// The same, lighter (or darker) by so many per cent.
    pub fn lit(self, by: i8) -> Self {
        Self(self.0, self.1, self.2.saturating_add_signed(by).clamp(4, 97))
    }

    fn channel(self, n: u16) -> u8 {
        let (saturation, light) = (f64::from(self.1) / 100.0, f64::from(self.2) / 100.0);
        let k = (f64::from(n) + f64::from(self.0) / 30.0) % 12.0;
        let value = light - saturation * light.min(1.0 - light) * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 255")]
        {
            (value * 255.0).round().clamp(0.0, 255.0) as u8
        }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.channel(0), self.channel(8), self.channel(4))
    }
}

/// What a colour word colours: the thing, or only what is made of this material where the drawing has such parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Thing,
    Wood,
    Metal,
}

/// Words for colours, and for materials that have one.
const NAMED: &[(&str, u16, u8, u8)] = &[
    ("red", 4, 66, 50),
    ("crimson", 348, 70, 44),
    ("scarlet", 8, 80, 50),
    ("vermilion", 10, 76, 50),
    ("burgundy", 346, 54, 30),
    ("bordeaux", 346, 54, 30),
    ("maroon", 350, 52, 28),
    ("garnet", 350, 66, 36),
    ("ruby", 344, 72, 42),
    ("cherry", 352, 66, 42),
    ("rose", 344, 52, 64),
    ("pink", 338, 62, 68),
    ("blush", 352, 52, 76),
    ("skin", 24, 48, 72),
    ("coral", 12, 78, 64),
    ("salmon", 10, 70, 68),
    ("peach", 24, 82, 74),
    ("apricot", 28, 82, 68),
    ("orange", 26, 84, 54),
    ("tangerine", 22, 86, 54),
    ("amber", 38, 84, 52),
    ("rust", 16, 58, 40),
    ("terracotta", 16, 52, 52),
    ("brick", 12, 48, 44),
    ("brown", 24, 40, 34),
    ("chocolate", 20, 44, 26),
    ("caramel", 30, 60, 46),
    ("tan", 30, 46, 56),
    ("camel", 32, 46, 56),
    ("beige", 36, 36, 76),
    ("cream", 42, 54, 86),
    ("ivory", 46, 48, 88),
    ("sand", 38, 42, 70),
    ("khaki", 52, 28, 48),
    ("mustard", 44, 72, 46),
    ("honey", 38, 78, 50),
    ("yellow", 48, 86, 56),
    ("lemon", 52, 84, 60),
    ("marigold", 38, 88, 54),
    ("saffron", 34, 88, 52),
    ("olive", 68, 36, 36),
    ("lime", 82, 58, 50),
    ("matcha", 88, 38, 46),
    ("moss", 82, 28, 38),
    ("sage", 110, 16, 58),
    ("green", 136, 40, 40),
    ("emerald", 154, 58, 34),
    ("forest", 148, 40, 26),
    ("mint", 158, 40, 68),
    ("jade", 158, 40, 44),
    ("teal", 182, 56, 34),
    ("petrol", 192, 52, 30),
    ("turquoise", 176, 56, 48),
    ("aqua", 184, 58, 56),
    ("cyan", 188, 68, 48),
    ("sky", 202, 62, 66),
    ("azure", 208, 66, 56),
    ("blue", 214, 58, 48),
    ("bleu", 216, 60, 44),
    ("cobalt", 220, 64, 42),
    ("denim", 216, 40, 38),
    ("navy", 222, 52, 26),
    ("midnight", 230, 44, 22),
    ("indigo", 244, 42, 40),
    ("lavender", 256, 42, 74),
    ("lilac", 278, 36, 72),
    ("violet", 266, 46, 52),
    ("purple", 280, 42, 44),
    ("plum", 310, 36, 34),
    ("aubergine", 300, 34, 24),
    ("mauve", 306, 24, 58),
    ("magenta", 318, 62, 50),
    ("fuchsia", 322, 66, 52),
    ("grey", 216, 8, 56),
    ("gray", 216, 8, 56),
    ("slate", 214, 16, 40),
    ("graphite", 220, 10, 30),
    ("charcoal", 220, 10, 26),
    ("anthracite", 220, 12, 24),
    ("carbon", 220, 10, 24),
    ("black", 226, 12, 18),
    ("onyx", 226, 12, 16),
    ("white", 40, 18, 94),
    ("snow", 210, 24, 95),
    ("pearl", 36, 26, 88),
    ("ice", 200, 60, 84),
    ("leather", 24, 46, 38),
    ("suede", 28, 36, 48),
    ("linen", 40, 30, 78),
    ("cork", 32, 42, 58),
];

const WOODS: &[(&str, u16, u8, u8)] = &[
    ("oak", 34, 46, 58),
    ("walnut", 22, 38, 34),
    ("ash", 38, 40, 74),
    ("beech", 30, 48, 68),
    ("birch", 40, 46, 78),
    ("pine", 36, 58, 68),
    ("maple", 34, 52, 72),
    ("cedar", 18, 48, 50),
    ("larch", 26, 52, 58),
    ("mahogany", 12, 46, 30),
    ("teak", 26, 50, 44),
    ("ebony", 20, 18, 18),
    ("bamboo", 44, 48, 64),
    ("cane", 38, 46, 66),
    ("rattan", 34, 44, 60),
    ("wicker", 32, 44, 56),
];

const METALS: &[(&str, u16, u8, u8)] = &[
    ("steel", 212, 12, 68),
    ("silver", 214, 14, 76),
    ("titanium", 220, 8, 58),
    ("aluminium", 210, 10, 76),
    ("aluminum", 210, 10, 76),
    ("chrome", 208, 14, 78),
    ("iron", 222, 10, 34),
    ("pewter", 214, 8, 52),
    ("gold", 42, 68, 54),
    ("golden", 42, 68, 54),
    ("brass", 44, 52, 54),
    ("copper", 20, 58, 56),
    ("bronze", 32, 46, 42),
];

/// Colours for products that name none: muted where the eye is quick to find a hue loud.
const WHEEL: [Colour; 21] = [
    Colour(4, 60, 56),
    Colour(16, 66, 56),
    Colour(28, 72, 54),
    Colour(38, 76, 54),
    Colour(46, 70, 52),
    Colour(66, 40, 44),
    Colour(96, 32, 44),
    Colour(136, 34, 44),
    Colour(152, 38, 40),
    Colour(168, 44, 38),
    Colour(180, 48, 38),
    Colour(194, 54, 42),
    Colour(206, 56, 48),
    Colour(214, 58, 52),
    Colour(226, 48, 54),
    Colour(242, 42, 58),
    Colour(262, 40, 56),
    Colour(284, 36, 52),
    Colour(310, 36, 50),
    Colour(332, 50, 56),
    Colour(348, 56, 56),
];

/// What a word names.
fn named(word: &str) -> Option<(Colour, Of)> {
    let lists = [(NAMED, Of::Thing), (WOODS, Of::Wood), (METALS, Of::Metal)];
    lists.into_iter().find_map(|(list, of)| {
        let (_, hue, saturation, light) = list.iter().find(|(name, ..)| *name == word)?;
        Some((Colour(*hue, *saturation, *light), of))
    })
}

/// The colours that a text names, in its order: "pale blue and oak".
fn named_in(text: &str) -> Vec<(Colour, Of)> {
    let words = tokens(text);
    let before = |at: usize| at.checked_sub(1).and_then(|at| words.get(at)).map_or("", String::as_str);
    let colour = |(at, word): (usize, &String)| {
        let (colour, of) = named(word).or_else(|| singular(word).find_map(|word| named(&word)))?;
        let shade = match before(at) {
            "light" | "pale" | "soft" | "pastel" => 16,
            "dark" | "deep" => -14,
            _ => 0,
        };
        Some((colour.lit(shade), of))
    };
    words.iter().enumerate().filter_map(colour).collect()
}

/// The colours of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inks {
    pub main: Colour,
    pub second: Colour,
    wood: Colour,
    metal: Colour,
}

impl Inks {
    /// The colours that a product's name or tags give its drawing, then those usual for its kind, then some of the wheel.
    pub fn choose(subject: &Subject<'_>, usual: &str, drawing: &str, dice: &Dice) -> Self {
        let drawn_of = |letter: char| drawing.lines().any(|line| line.starts_with(letter));
        let spot = usize::from(dice.family(0, 21) + dice.number() % 21 * 13) % 21;
        let mut inks = Self {
            main: WHEEL[spot],
            second: WHEEL[(spot + [6, 8, 10, 13][usize::from(dice.roll(1, 4))]) % 21],
            wood: Colour(30, 44, [52, 60, 44, 56][usize::from(dice.roll(2, 4))]),
            metal: Colour(212, 12, 74),
        };
        let words = named_in(subject.name).into_iter().chain(subject.tags.iter().flat_map(|tag| named_in(tag)));
        let mut things = Vec::new();
        let (mut wood, mut metal) = (None, None);
        for (colour, of) in words {
            match of {
                Of::Wood if drawn_of('w') => wood = wood.or(Some(colour)),
                Of::Metal if drawn_of('n') => metal = metal.or(Some(colour)),
                Of::Thing | Of::Wood | Of::Metal => things.push(colour),
            }
        }
        inks.wood = wood.unwrap_or(inks.wood);
        inks.metal = metal.unwrap_or(inks.metal);
        if things.is_empty() {
            // A shade of its own, so that two bags of brown leather are still two.
            let shade = [0, 7, -5, 12][usize::from(dice.number() % 4)];
            things.extend(named_in(usual).into_iter().map(|(colour, _)| colour.lit(shade)));
        }
        let mut things = things.into_iter();
        inks.main = things.next().unwrap_or(inks.main);
        inks.second = things.find(|second| *second != inks.main).unwrap_or(inks.second);
        inks
    }

    /// Those of the next piece of a set: a little apart, so that the pieces stay two.
    pub fn of_piece(&self, index: usize) -> Self {
        let by = [0, if self.main.2 > 70 { -7 } else { 6 }, -5][index % 3];
        Self { main: self.main.lit(by), ..*self }
    }

    /// Some colours, for tests of shapes.
    #[cfg(test)]
    pub fn plain() -> Self {
        Self { main: WHEEL[0], second: WHEEL[12], wood: Colour(30, 44, 52), metal: Colour(212, 12, 74) }
    }

    /// The fill or stroke that a letter stands for.
    fn colour(&self, letter: char) -> Option<Colour> {
        Some(match letter {
            'a' => self.main,
            'b' => self.main.lit(-11),
            'c' => self.main.lit(if self.main.2 > 80 { -6 } else { 14 }),
            'e' => self.second,
            'f' => self.second.lit(-11),
            'w' => self.wood,
            'x' => self.wood.lit(-12),
            'n' => self.metal,
            'q' => self.metal.lit(-14),
            'd' => Colour(226, 18, 20),
            'm' => Colour(220, 10, 58),
            'l' => Colour(40, 20, 97),
            'k' => Colour(40, 52, 88),
            'y' => Colour(42, 72, 56),
            'g' => Colour(116, 32, 46),
            'j' => Colour(134, 36, 32),
            'r' => Colour(4, 62, 50),
            'o' => Colour(28, 78, 54),
            't' => Colour(22, 42, 28),
            'u' => Colour(202, 52, 70),
            'v' => Colour(12, 54, 76),
            _ => return None,
        })
    }

    /// The same as an attribute's value. Shadow and light are see-through.
    pub fn of(&self, letter: char) -> Option<String> {
        match letter {
            's' => Some("#1a1626\" opacity=\".16".to_owned()),
            'h' => Some("#fff\" opacity=\".34".to_owned()),
            _ => self.colour(letter).map(|colour| colour.to_string()),
        }
    }
}

/// Whether this word names a colour.
#[cfg(test)]
pub(super) fn is_named(word: &str) -> bool {
    named(word).is_some()
}
