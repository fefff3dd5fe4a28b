//! Pictures with letters: the cover of a book, and the parcel that stands for what is not known.

use std::fmt::Write as _;

use super::colours::Colour;
use super::words::Depicted;
use super::{Dice, Escaped, Look, Subject, words};

/// Where the text of a cover may stand, in pixels.
const MIDDLE: u16 = 314;
const WIDTH: u16 = 228;
/// Font sizes of a title, the largest first, each with the lines that it may take.
const SIZES: [(u16, usize); 6] = [(50, 3), (42, 4), (34, 5), (28, 6), (23, 7), (19, 8)];
const SERIF: &str = "Georgia,Times New Roman,serif";
const SANS: &str = "Arial,Helvetica,sans-serif";

/// A book, or several: title, author, and an ornament.
pub(super) fn book(svg: &mut String, subject: &Subject<'_>, look: &Look) {
    let dice = Dice::new(subject.id);
    let main = look.inks.main;
    let pale = main.2 > 62;
    let (letters, ornament) =
        if pale { (Colour(226, 30, 20), main.lit(-22)) } else { (Colour(42, 60, 94), look.inks.second.lit(10)) };
    let _ = write!(svg, r#"<g transform="rotate({} 300 300)">"#, look.tilt);
    for behind in (1..words::volumes(subject)).rev() {
        let (right, up) = (behind * 16, behind * 13);
        let cloth = look.inks.second.lit(if behind == 1 { -4 } else { -14 });
        let _ = write!(svg, r#"<g transform="translate({right} -{up})"><path d="M150 84H456V504H150Z" fill="{cloth}"/>"#);
        svg.push_str(r##"<path d="M446 92H456V504H446Z" fill="#f4ecd8"/></g>"##);
    }
    svg.push_str(r##"<path d="M164 94H456V510H164Z" fill="#f4ecd8"/><path d="M164 502H456V510H164Z" fill="#d8ccb0"/>"##);
    let _ =
        write!(svg, r#"<path d="M150 84H446V502H150Z" fill="{main}"/><path d="M150 84H174V502H150Z" fill="{}"/>"#, main.lit(-9));
    svg.push_str(r##"<path d="M180 84H183V502H180Z" fill="#fff" opacity=".25"/>"##);
    let layout = dice.number() % 3;
    let (title_top, title_height, ornament_at) = [(112, 196, 376), (226, 190, 158), (186, 196, 0)][usize::from(layout)];
    if layout == 2 {
        let frame = |svg: &mut String, path: &str, width: &str| {
            write!(svg, r#"<path d="{path}" fill="none" stroke="{ornament}" stroke-width="{width}"/>"#)
        };
        let _ = frame(svg, "M196 108H432V478H196Z", "4");
        let _ = frame(svg, "M206 118H422V468H206Z", "1.5");
        let _ = write!(svg, r#"<path d="M314 140l14 20-14 20-14-20ZM314 388l14 20-14 20-14-20Z" fill="{ornament}"/>"#);
    } else {
        emblem(svg, dice.roll(7, 6), ornament_at, ornament);
    }
    let inset = if layout == 2 { 26 } else { 0 };
    title(svg, words::title(subject.name), title_top, title_height, WIDTH - inset, letters);
    let author = fitted(&clean(subject.brand), 17, WIDTH - inset);
    let baseline = if layout == 2 { 456 } else { 480 };
    let at = format!(r#"x="{MIDDLE}" y="{baseline}" opacity=".85""#);
    letters_at(svg, &at, Letters { font: SANS, size: 17, bold: false, ink: letters }, &author);
    svg.push_str("</g>");
}

/// A small drawing around (314, `y`).
fn emblem(svg: &mut String, kind: u16, y: u16, ink: Colour) {
    let _ = write!(svg, r#"<g transform="translate(314 {y})" fill="{ink}">"#);
    svg.push_str(match kind {
        0 => r#"<circle r="44"/><path d="M-104 30Q-52 4 0 30T104 30V46Q52 72 0 46T-104 46Z" opacity=".7"/>"#,
        1 => r#"<path d="M0-56L56 0 0 56-56 0Z"/><path d="M-84-24L-60 0-84 24-108 0ZM84-24L108 0 84 24 60 0Z" opacity=".7"/>"#,
        2 => r#"<path d="M-96 50L-40-50 16 50Z" opacity=".7"/><path d="M-24 50L40-30 100 50Z"/>"#,
        3 => r#"<path d="M-70 52V0A70 70 0 0 1 70 0V52H42V0A42 42 0 0 0-42 0V52ZM-22 52V0A22 22 0 0 1 22 0V52Z"/>"#,
        4 => r#"<path d="M0-60L13-18 57-18 21 8 34 50 0 24-34 50-21 8-57-18-13-18Z"/>"#,
        _ => r#"<path d="M-96-36H96V-22H-96ZM-96-8H60V6H-96ZM-96 20H96V34H-96Z" opacity=".8"/><circle cx="82" cy="-1" r="14"/>"#,
    });
    svg.push_str("</g>");
}

/// A title in as large letters as its lines allow.
fn title(svg: &mut String, text: &str, top: u16, height: u16, width: u16, ink: Colour) {
    let text = clean(text);
    let fitting = SIZES.iter().find_map(|(size, most)| {
        let lines = wrapped(&text, *size, width, false)?;
        (lines.len() <= *most && lines.len() * usize::from(*size) * 6 / 5 <= usize::from(height)).then_some((*size, lines))
    });
    let (size, lines) = fitting.unwrap_or_else(|| {
        let (size, most) = SIZES[SIZES.len() - 1];
        let mut lines = wrapped(&text, size, width, true).unwrap_or_default();
        if lines.len() > most {
            lines.truncate(most);
            lines.iter_mut().skip(most - 1).for_each(|last| *last = fitted(&format!("{last}……"), size, width));
        }
        (size, lines)
    });
    let step = size * 6 / 5;
    let used = u16::try_from(lines.len()).unwrap_or(1) * step;
    let mut baseline = top + height.saturating_sub(used) / 2 + size;
    for line in lines {
        let at = format!(r#"x="{MIDDLE}" y="{baseline}""#);
        letters_at(svg, &at, Letters { font: SERIF, size, bold: true, ink }, &line);
        baseline += step;
    }
}

/// A parcel with the first letter of its category.
pub(super) fn parcel(svg: &mut String, subject: &Subject<'_>, look: &Look) {
    debug_assert!(look.shown == Depicted::Parcel);
    let letter = clean(subject.category).chars().find(|c| c.is_alphanumeric()).map(|c| c.to_uppercase().to_string());
    let band = look.inks.second;
    let _ = write!(svg, r#"<g transform="rotate({} 300 300)">"#, look.tilt);
    svg.push_str(r##"<path d="M120 222L300 140 480 222V440L300 522 120 440Z" fill="#c99a62"/>"##);
    svg.push_str(r##"<path d="M300 304L480 222V440L300 522Z" fill="#a87a46"/>"##);
    svg.push_str(r##"<path d="M120 222L300 140 480 222 300 304Z" fill="#ddb784"/>"##);
    let _ = write!(svg, r#"<path d="M188 191L368 273V345L418 322V250L238 168Z" fill="{band}"/>"#);
    let _ = write!(svg, r#"<path d="M368 273V345L418 322V250Z" fill="{}"/>"#, band.lit(-11));
    svg.push_str(r##"<path d="M146 300L262 353V444L146 391Z" fill="#fbf6ea"/>"##);
    if let Some(letter) = letter {
        let at = r#"transform="matrix(1 .456 0 1 204 0)" y="402""#;
        letters_at(svg, at, Letters { font: SERIF, size: 64, bold: true, ink: Colour(32, 40, 20) }, &letter);
    }
    svg.push_str("</g>");
}

/// How letters look.
struct Letters {
    font: &'static str,
    size: u16,
    bold: bool,
    ink: Colour,
}

/// A line of letters, centred; `at` are the attributes of its place.
fn letters_at(svg: &mut String, at: &str, letters: Letters, text: &str) {
    let Letters { font, size, bold, ink } = letters;
    let weight = if bold { r#" font-weight="700""# } else { "" };
    let _ = write!(svg, r#"<text {at} font-family="{font}" font-size="{size}"{weight} text-anchor="middle" fill="{ink}">"#);
    let _ = write!(svg, "{}</text>", Escaped(text));
}

/// A text without what turns, hides or stacks letters: no direction overrides, no joiners, at most two marks on a letter.
fn clean(text: &str) -> String {
    let mut marks = 0;
    let kept = |c: &char| {
        marks = if is_mark(*c) { marks + 1 } else { 0 };
        marks <= 2 && !is_hidden(*c)
    };
    text.chars().filter(kept).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_mark(c: char) -> bool {
    let marks = ['\u{300}'..='\u{36f}', '\u{483}'..='\u{489}', '\u{1ab0}'..='\u{1aff}', '\u{1dc0}'..='\u{1dff}'];
    let more = ['\u{20d0}'..='\u{20ff}', '\u{fe20}'..='\u{fe2f}'];
    marks.iter().chain(&more).any(|range| range.contains(&c))
}

/// Joiners, directions, noncharacters and what is private to a font.
fn is_hidden(c: char) -> bool {
    let invisible = matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}');
    let directions = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    let nothing = matches!(c, '\u{fdd0}'..='\u{fdef}' | '\u{fff9}'..='\u{ffff}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    invisible || directions || nothing
}

/// About how wide a letter is, in hundredths of the font size; rather too wide than too narrow.
fn breadth(c: char) -> u32 {
    match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | '\'' | '’' | ':' | ';' | '!' | '|' => 36,
        ' ' | 'f' | 't' | 'r' | '(' | ')' | '-' | '/' => 42,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '&' => 104,
        'A'..='Z' => 78,
        '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}' | '\u{fe0f}' => 0,
        '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{fffd}' | '\u{10000}'.. => 112,
        _ => 62,
    }
}

fn breadth_of(text: &str, size: u16) -> u32 {
    text.chars().map(breadth).sum::<u32>() * u32::from(size) / 100
}

/// A text cut to this width, with an ellipsis if something is missing.
fn fitted(text: &str, size: u16, width: u16) -> String {
    if breadth_of(text, size) <= u32::from(width) {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars().filter(|c| *c != '…') {
        if breadth_of(&short, size) + (breadth(c) + 100) * u32::from(size) / 100 > u32::from(width) {
            break;
        }
        short.push(c);
    }
    short.trim_end().to_owned() + "…"
}

/// A text in lines of this width. A word that is wider is broken, or nothing fits.
fn wrapped(text: &str, size: u16, width: u16, breaks: bool) -> Option<Vec<String>> {
    let fits = |line: &str| breadth_of(line, size) <= u32::from(width);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if fits(&longer) {
            line = longer;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        if !fits(word) && !breaks {
            return None;
        }
        for c in word.chars() {
            if !line.is_empty() && !fits(&format!("{line}{c}")) {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    Some(lines)
}
