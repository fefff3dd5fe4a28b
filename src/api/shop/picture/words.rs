//! From a product's words to its motif: what the name says it is, then the tags, then the category.
//!
//! English names its things at the end: a laptop stand is a stand, a table lamp a lamp. So what counts is the last word before a
//! comma or a preposition, and the longest phrase that ends there. A last word that no motif draws is not guessed at.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::Subject;
use super::motifs::{self, Motif};

/// Most words of one phrase.
const PHRASE_MAX: usize = 4;
/// As many tags say what a thing is; those behind say what it is for.
const USEFUL_TAGS: usize = 3;
/// Texts beyond this many words are cut: a name has 500 characters at most, of which the first say the most.
const WORDS_MAX: usize = 40;

/// What a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depicted {
    Thing(&'static Motif),
    /// A book: its cover with title and author.
    Book,
    /// Something of which nothing more is known.
    Parcel,
}

/// Every phrase that names a motif.
static PHRASES: LazyLock<BTreeMap<&'static str, &'static Motif>> =
    LazyLock::new(|| motifs::ALL.iter().flat_map(|motif| motif.words.iter().map(move |word| (*word, motif))).collect());

/// Tags of works, whose names say nothing of what they are: a game may be called The Long Watch.
const BOOKS: &[&str] = &[
    "book",
    "novel",
    "cookbook",
    "paperback",
    "hardback",
    "hardcover",
    "poetry",
    "fiction",
    "textbook",
    "ebook",
    "e book",
    "audiobook",
    "picture book",
    "short story",
    "comic",
    "manga",
    "graphic novel",
    "biography",
    "memoir",
    "atlas",
    "anthology",
    "encyclopedia",
    "dictionary",
];
const GAMES: &[&str] =
    &["board game", "card game", "word game", "party game", "jigsaw", "puzzle", "plush", "soft toy", "vinyl record"];

/// Last words of things that no motif draws, and that share a name with what they belong to: a bicycle bell is no bicycle.
const PARTS: &[&str] = &[
    "accessory",
    "bell",
    "blade",
    "bracket",
    "button",
    "case",
    "charm",
    "cleaner",
    "cover",
    "detergent",
    "filter",
    "handle",
    "hanger",
    "hinge",
    "holder",
    "hook",
    "insert",
    "kit",
    "liner",
    "lock",
    "mount",
    "patch",
    "pedal",
    "plug",
    "polish",
    "rack",
    "refill",
    "repellent",
    "sharpener",
    "sleeve",
    "spare",
    "stain",
    "sticker",
    "strap",
    "string",
    "tape",
    "tyre",
    "tire",
    "valve",
    "warmer",
    "wheel",
];

/// Words behind the thing that only count, measure or praise it.
const TRAILING: &[&str] = &[
    "bundle",
    "collection",
    "deluxe",
    "edition",
    "gift",
    "kg",
    "large",
    "litre",
    "max",
    "medium",
    "mini",
    "ml",
    "pack",
    "pair",
    "plus",
    "premium",
    "pro",
    "set",
    "small",
    "trio",
    "two",
    "ultra",
    "x",
    "xl",
];

/// Words after which a name says what a thing is for, of or with.
const PREPOSITIONS: &[&str] = &["at", "by", "for", "from", "in", "of", "on", "to", "with", "without"];
/// Measures: what follows their "of" is the thing.
const MEASURES: &[&str] = &[
    "bag",
    "bar",
    "basket",
    "bottle",
    "box",
    "bundle",
    "can",
    "case",
    "collection",
    "cup",
    "dozen",
    "glass",
    "jar",
    "loaf",
    "pack",
    "pair",
    "pot",
    "roll",
    "sack",
    "set",
    "slice",
    "tin",
    "tub",
];

/// What a product's picture shows.
pub(super) fn shown(subject: &Subject<'_>) -> Depicted {
    let tags = || subject.tags.iter().take(USEFUL_TAGS);
    let says = |tag: &String, words: &[&str]| last_phrase(&tokens(tag), |phrase| words.contains(&phrase).then_some(())).is_some();
    if is_books(subject.category) || tags().any(|tag| says(tag, BOOKS)) {
        return Depicted::Book;
    }
    let by_tags = || tags().find_map(|tag| motif(&tokens(tag)));
    // The animal of a soft toy stands in its name, and then the name is to be believed.
    let is_work = tags().any(|tag| says(tag, GAMES));
    let found = match by_name(subject.name) {
        NameMeaning::Motif(motif) if !is_work || is_toy_of_its_own(motif) => Some(motif),
        NameMeaning::Part => None,
        NameMeaning::Motif(_) | NameMeaning::Nothing => by_tags().or_else(|| motif(&tokens(subject.category))),
    };
    found.map_or(Depicted::Parcel, Depicted::Thing)
}

fn is_books(category: &str) -> bool {
    tokens(category).iter().any(|word| matches!(word.as_str(), "book" | "books" | "literature"))
}

/// Toys that a name distinguishes where tags say only "plush" or "board game".
fn is_toy_of_its_own(motif: &Motif) -> bool {
    matches!(motif.name, "whale" | "badger" | "teddy bear" | "hand puppets" | "chess" | "jigsaw" | "cards" | "dice" | "doll")
}

/// What a name says.
enum NameMeaning {
    Motif(&'static Motif),
    /// A thing that is drawn nowhere: tags may well name what it belongs to.
    Part,
    Nothing,
}

fn by_name(name: &str) -> NameMeaning {
    let mut found: Option<&'static Motif> = None;
    let mut part = false;
    for segment in name.split([',', '(', ':', ';', '–', '—', '|']) {
        let words = tokens(segment);
        let cut = words.iter().position(|word| PREPOSITIONS.contains(&word.as_str())).unwrap_or(words.len());
        let (head, rest) = words.split_at(cut);
        // "A bottle of wine for two", but not "a ring of small hours".
        let is_measure =
            rest.first().is_some_and(|word| word == "of") && head.last().is_some_and(|word| is_one_of(word, MEASURES));
        let further = rest.iter().skip(1).position(|word| PREPOSITIONS.contains(&word.as_str()));
        let contents = if is_measure { motif(&words[..further.map_or(words.len(), |at| cut + 1 + at)]) } else { None };
        match found {
            // "Olive Oil, 3 Litre Tin": what it comes in may have a drawing of its own.
            Some(thing) => {
                found = last_phrase(head, |last| PHRASES.get(format!("{} {last}", thing.name).as_str()).copied()).or(found)
            }
            None => found = contents.or_else(|| motif(head)),
        }
        part |= head.last().is_some_and(|word| is_one_of(word, PARTS));
    }
    match found {
        Some(motif) => NameMeaning::Motif(motif),
        None if part => NameMeaning::Part,
        None => NameMeaning::Nothing,
    }
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.contains(&word) || singular(word).any(|word| list.contains(&word.as_str()))
}

/// The motif of the longest phrase at the end of these words; counts and sizes behind it don't matter.
fn motif(words: &[String]) -> Option<&'static Motif> {
    let is_trailing = |word: &String| word.chars().any(|c| c.is_ascii_digit()) || TRAILING.contains(&word.as_str());
    let mut words = words;
    loop {
        if let Some(motif) = last_phrase(words, |phrase| PHRASES.get(phrase).copied()) {
            return Some(motif);
        }
        match words.split_last() {
            Some((last, before)) if is_trailing(last) => words = before,
            _ => return None,
        }
    }
}

/// The first thing found under a phrase that ends with the last of these words: the longest first, as it stands and singular.
fn last_phrase<T>(words: &[String], find: impl Fn(&str) -> Option<T>) -> Option<T> {
    let last = words.last()?;
    (words.len().saturating_sub(PHRASE_MAX)..words.len()).find_map(|from| {
        let before: String = words[from..words.len() - 1].iter().map(|word| format!("{word} ")).collect();
        std::iter::once(last.clone()).chain(singular(last)).find_map(|last| find(&format!("{before}{last}")))
    })
}

/// How many of a thing are sold together, as far as a picture shows them: 1, 2 or 3.
pub(super) fn pieces(subject: &Subject<'_>) -> usize {
    let stated = subject.tags.iter().find_map(|tag| set_of(&tokens(tag)));
    let named = || subject.name.split(',').find_map(|segment| set_of(&tokens(segment)).or_else(|| counted(segment)));
    stated.or_else(named).unwrap_or(1)
}

/// How many volumes a work has: "Half Past Bedtime, Two Books".
pub(super) fn volumes(subject: &Subject<'_>) -> usize {
    let words = tokens(subject.name);
    let stated = words.windows(2).find_map(|pair| if is_one_of(&pair[1], &["book", "volume"]) { number(&pair[0]) } else { None });
    stated.or_else(|| subject.tags.iter().find_map(|tag| set_of(&tokens(tag)))).unwrap_or(1)
}

/// A work's title, without what says how many books it is.
pub(super) fn title(name: &str) -> &str {
    match name.rsplit_once(',') {
        Some((title, rest)) if tokens(rest).iter().any(|word| is_one_of(word, &["book", "volume", "set", "edition"])) => title,
        _ => name,
    }
}

fn set_of(words: &[String]) -> Option<usize> {
    let at = words.windows(2).position(|pair| pair[0] == "set" && pair[1] == "of")?;
    number(words.get(at + 2)?)
}

/// "Two Candles", "Pair", "Pan Trio"; but not "Two-Night Bag".
fn counted(segment: &str) -> Option<usize> {
    match tokens(segment).last()?.as_str() {
        "trio" => Some(3),
        "pair" => Some(2),
        _ => number(&segment.split_whitespace().next()?.to_lowercase()).filter(|_| segment.trim().contains(' ')),
    }
}

fn number(word: &str) -> Option<usize> {
    match word {
        "two" | "2" => Some(2),
        "three" | "four" | "five" | "six" | "seven" | "3" | "4" | "5" | "6" | "7" => Some(3),
        _ => None,
    }
}

/// A text's words in small letters, without marks: "Dolls' E-Reader" is "dolls", "e", "reader".
pub(super) fn tokens(text: &str) -> Vec<String> {
    let plain: String = text.chars().filter(|c| !matches!(c, '\'' | '’')).flat_map(char::to_lowercase).collect();
    plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(WORDS_MAX).map(str::to_owned).collect()
}

/// What the singular of a plural may be.
pub(super) fn singular(word: &str) -> impl Iterator<Item = String> {
    let ends = [("ies", "y"), ("ves", "fe"), ("ves", "f"), ("es", ""), ("s", "")];
    ends.into_iter().filter_map(move |(many, one)| {
        let stem = word.strip_suffix(many).filter(|stem| stem.len() > 1)?;
        Some(format!("{stem}{one}"))
    })
}
