//! What products look like: drawings in a box of 200 by 200, with the ground at 172 and the light from above on the left.
//!
//! They lie in `motifs/`, a file for each group of things, an empty line between two. A drawing begins with the thing's name and
//! other words for it (plurals need no mention); a line with `>` says what is usual for its kind. Then come its shapes, one a
//! line: the ink's letter, the kind of shape, its numbers.
//!
//! ```text
//!  a r X Y WIDTH HEIGHT RADIUS     rectangle          a l WIDTH PATH    line along a path
//!  a c X Y RADIUS                  circle             a o WIDTH X Y R   ring
//!  a e X Y RX RY                   ellipse            . g TRANSFORM     opens a group
//!  a p PATH                        area               . /               closes it
//! ```
//! Inks: `a` the product's colour, `b` its shade, `c` its tint; `e` and `f` the second colour and its shade; `w` `x` wood, `n`
//! `q` metal; `d` dark, `m` grey, `l` white, `k` paper; `y` gold, `g` `j` leaves, `r` red, `o` orange, `t` brown, `u` water,
//! `v` skin; `s` shadow and `h` light upon whatever is below.

use std::sync::LazyLock;

/// A drawing of one kind of thing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Motif {
    pub name: &'static str,
    /// Its name and other words for it.
    pub words: Vec<&'static str>,
    /// The colour of its kind, as a colour word, for products that name none.
    pub usual: &'static str,
    /// A set of them is drawn as several.
    pub several: bool,
    pub drawing: &'static str,
}

const GROUPS: [&str; 12] = [
    include_str!("motifs/beauty.txt"),
    include_str!("motifs/clothes.txt"),
    include_str!("motifs/electronics.txt"),
    include_str!("motifs/food.txt"),
    include_str!("motifs/garden.txt"),
    include_str!("motifs/home.txt"),
    include_str!("motifs/jewellery.txt"),
    include_str!("motifs/kitchen.txt"),
    include_str!("motifs/outdoors.txt"),
    include_str!("motifs/sports.txt"),
    include_str!("motifs/toys.txt"),
    include_str!("motifs/works.txt"),
];

/// Every motif.
pub(super) static ALL: LazyLock<Vec<Motif>> = LazyLock::new(|| {
    let blocks = GROUPS.iter().flat_map(|group| group.split("\n\n"));
    blocks.filter(|block| !block.starts_with('#')).filter_map(read).collect()
});

/// Reads one drawing. Names go on in the next line after a comma.
fn read(block: &'static str) -> Option<Motif> {
    let mut rest = block.trim();
    let mut words = Vec::new();
    loop {
        let (line, after) = rest.split_once('\n')?;
        words.extend(line.split(',').map(str::trim).filter(|word| !word.is_empty()));
        rest = after;
        if !line.trim_end().ends_with(',') {
            break;
        }
    }
    let (traits, drawing) = match rest.strip_prefix("> ") {
        Some(rest) => rest.split_once('\n')?,
        None => ("", rest),
    };
    let usual = traits.split(", ").find_map(|text| text.strip_prefix("usually ")).unwrap_or_default();
    Some(Motif { name: words.first().copied()?, usual, several: traits.contains("several"), words, drawing })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_block_is_a_motif_and_no_word_names_two() {
        let blocks = GROUPS.iter().flat_map(|group| group.split("\n\n")).filter(|block| !block.starts_with('#'));
        assert_eq!(ALL.len(), blocks.count());
        assert!(ALL.len() >= 200, "{} motifs", ALL.len());
        let mut seen = BTreeSet::new();
        for word in ALL.iter().flat_map(|motif| &motif.words) {
            assert!(seen.insert(*word), "{word} names two motifs");
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == ' ';
            assert!(word.chars().all(plain) && !word.contains("  "), "{word} can never be found");
        }
    }
}
