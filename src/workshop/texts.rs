//! The texts beside chapters and exercises, as pages show them.

use std::sync::OnceLock;

use super::markup;

/// Place, file and text.
const TEXTS: [(&str, &str, &str); 3] = [
    ("exercises", "exercises/README.md", include_str!("../../exercises/README.md")),
    ("troubleshooting", "docs/workshop/troubleshooting.md", include_str!("../../docs/workshop/troubleshooting.md")),
    ("agenda", "docs/workshop/agenda.md", include_str!("../../docs/workshop/agenda.md")),
];

/// A text that is read, without steps and checks.
#[derive(Debug)]
pub struct Text {
    /// `troubleshooting`.
    pub place: &'static str,
    pub title: &'static str,
    /// Its place in the repository.
    pub file: &'static str,
    /// HTML without anything that could run.
    pub html: String,
}

/// All of them.
#[must_use]
pub fn texts() -> &'static [Text] {
    static ALL: OnceLock<Vec<Text>> = OnceLock::new();
    ALL.get_or_init(|| TEXTS.into_iter().filter_map(|(place, file, text)| read(place, file, text)).collect())
}

/// A text whose first line is `# Title`.
fn read(place: &'static str, file: &'static str, text: &'static str) -> Option<Text> {
    let (head, rest) = text.split_once('\n')?;
    Some(Text { place, title: head.strip_prefix("# ")?, file, html: markup::article(rest, file) })
}

/// The place of a file that is among them.
pub(super) fn place_of(file: &str) -> Option<&'static str> {
    TEXTS.iter().find(|text| text.1 == file).map(|text| text.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_read_and_leads_to_the_others() {
        assert_eq!(texts().len(), TEXTS.len());
        let html = |place: &str| &texts().iter().find(|text| text.place == place).unwrap().html;
        for text in texts() {
            assert!(text.html.contains("<h2>") && !text.html.contains("<h1>") && !text.html.contains("<!--"), "{}", text.file);
        }
        assert!(html("exercises").contains("<a href=\"/workshop/E8\">E8</a>"));
        assert!(
            html("agenda").contains("<a href=\"/workshop/exercises\">")
                && html("agenda").contains("<a href=\"/workshop/troubleshooting\">")
        );
    }
}
