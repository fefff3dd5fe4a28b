//! Search in the texts of products as they stand in their bodies: no second copy, no index.

use memchr::memchr2_iter;

/// The string literals of JSON text that we rendered, without quotes and still escaped, each with whether it is a key.
pub(super) fn literals(text: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = memchr::memchr(b'"', rest)? + 1;
        let mut end = start;
        loop {
            end += memchr::memchr2(b'"', b'\\', rest.get(end..)?)?;
            if rest[end] == b'"' {
                break;
            }
            end += 2;
        }
        let literal = &rest[start..end];
        let is_key = rest.get(end + 1) == Some(&b':');
        rest = &rest[end + 1..];
        Some((is_key, literal))
    })
}

/// The text of a JSON string literal's contents.
pub(super) fn unescaped(literal: &[u8]) -> String {
    if literal.contains(&b'\\') {
        return serde_json::from_slice(&[b"\"", literal, b"\""].concat()).unwrap_or_default();
    }
    String::from_utf8_lossy(literal).into_owned()
}

/// How well a product fits a search, the best first: where the text was found, and whether a word begins with it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match(u8);

/// How many kinds of match there are.
pub(super) const MATCHES: usize = 8;

/// Where in a text it was found; the better first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchPlace {
    WordStart,
    Inside,
}

impl Match {
    /// As good as any.
    pub(super) const BEST: Self = Self(0);

    pub(super) fn in_name(place: MatchPlace) -> Self {
        Self(place as u8)
    }

    pub(super) fn in_brand(place: MatchPlace) -> Self {
        Self(2 + place as u8)
    }

    pub(super) fn in_tags(place: MatchPlace) -> Self {
        Self(4 + place as u8)
    }

    pub(super) fn in_description(place: MatchPlace) -> Self {
        Self(6 + place as u8)
    }

    /// Its place among all kinds, the best being 0.
    #[must_use]
    pub fn rank(self) -> usize {
        usize::from(self.0)
    }
}

/// A text to search for, ignoring case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needle(String);

impl Needle {
    /// Prepares a search text; `None` if it is blank, which finds everything.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_lowercase()))
    }

    /// Where the contents of a JSON string literal contain it; `None` if they don't.
    pub(super) fn place_in(&self, literal: &[u8]) -> Option<MatchPlace> {
        if self.0.is_ascii() && !literal.contains(&b'\\') {
            return place_of_ascii(literal, self.0.as_bytes());
        }
        let text = unescaped(literal).to_lowercase();
        let mut found = text.match_indices(&self.0).map(|(at, _)| !text[..at].ends_with(char::is_alphanumeric)).peekable();
        found.peek()?;
        Some(if found.any(|starts| starts) { MatchPlace::WordStart } else { MatchPlace::Inside })
    }
}

/// `needle` is in lower case and not empty.
fn place_of_ascii(text: &[u8], needle: &[u8]) -> Option<MatchPlace> {
    let first = needle[0];
    let mut best = None;
    for at in memchr2_iter(first, first.to_ascii_uppercase(), text) {
        if !text.get(at..at + needle.len()).is_some_and(|window| window.eq_ignore_ascii_case(needle)) {
            continue;
        }
        if !ends_in_word(&text[..at]) {
            return Some(MatchPlace::WordStart);
        }
        best = Some(MatchPlace::Inside);
    }
    best
}

/// Whether the character before is part of a word.
fn ends_in_word(before: &[u8]) -> bool {
    match before.last() {
        None => false,
        Some(byte) if byte.is_ascii() => byte.is_ascii_alphanumeric(),
        Some(_) => {
            // The last character: at most four bytes of it, in text that is valid as a whole.
            let start = before.iter().rposition(|byte| !(0x80..0xc0).contains(byte)).unwrap_or_default();
            std::str::from_utf8(&before[start..]).is_ok_and(|last| last.ends_with(char::is_alphanumeric))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, needle: &str) -> Option<MatchPlace> {
        let literal = serde_json::to_string(text).unwrap();
        Needle::new(needle).unwrap().place_in(&literal.as_bytes()[1..literal.len() - 1])
    }

    #[test]
    fn a_word_that_begins_with_it_counts_more_than_one_that_holds_it() {
        for (text, needle, expected) in [
            ("Desk Lamp", "lamp", Some(MatchPlace::WordStart)),
            ("Clamp and lamp", "LAMP", Some(MatchPlace::WordStart)),
            ("Clamp", "lamp", Some(MatchPlace::Inside)),
            ("Anti-glare", "glare", Some(MatchPlace::WordStart)),
            ("Bügellampe", "lampe", Some(MatchPlace::Inside)),
            ("Grünlampe", "lampe", Some(MatchPlace::Inside)),
            ("Großélampe", "lampe", Some(MatchPlace::Inside)),
            ("ÜBERLAMPE", "überl", Some(MatchPlace::WordStart)),
            ("a \"lamp\"", "lamp", Some(MatchPlace::WordStart)),
            ("a \"clamp\"", "lamp", Some(MatchPlace::Inside)),
            ("“Lamp”", "lamp", Some(MatchPlace::WordStart)),
            ("lam", "lamp", None),
            ("", "lamp", None),
        ] {
            assert_eq!(place(text, needle), expected, "{needle} in {text}");
        }
    }
}
