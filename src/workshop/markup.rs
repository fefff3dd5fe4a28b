//! Markdown of a chapter: which blocks it has, and HTML of the rest that cannot run anything.
//!
//! HTML in the text is shown as text. Links lead to what the console shows, to files of this repository by their path, or to
//! `http` and `https`. Pictures are those that lie beside the chapters; there are no others, no styles and no scripts, which the
//! console's policy would refuse.

use pulldown_cmark::{Alignment, CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use super::pictures::Picture;
use super::texts;

/// A file in parts.
pub(super) struct Read {
    /// The text of the first line, if it is a heading.
    pub title: Option<String>,
    /// Each with the line where it begins.
    pub pieces: Vec<(usize, Piece)>,
}

/// A part of the file.
pub(super) enum Piece {
    Prose(String),
    Notes(String),
    Step { info: String, text: String },
    Check(String),
    Facts(String),
}

const NOTES: &str = "<!-- notes:";
/// Where the chapters are in the repository: links begin there.
const CHAPTERS: &str = "docs/workshop/";

/// Splits a text into its parts.
///
/// # Errors
/// A line, and what is wrong there.
pub(super) fn read(text: &str) -> Result<Read, (usize, String)> {
    let mut reading =
        Reading { text, depth: 0, block: None, prose: Vec::new(), prose_line: 1, read: Read { title: None, pieces: Vec::new() } };
    for (event, range) in parser(text).into_offset_iter() {
        reading.take(event, range.start)?;
    }
    reading.end_prose();
    Ok(reading.read)
}

/// A text that is prose alone; `file` is its place in the repository.
pub(super) fn article(text: &str, file: &str) -> String {
    harmless(parser(text), folder(file))
}

fn parser(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
}

struct Reading<'a> {
    text: &'a str,
    /// How many tags are open.
    depth: usize,
    /// A block that is not prose, and its text so far.
    block: Option<(usize, Special, String)>,
    prose: Vec<Event<'a>>,
    prose_line: usize,
    read: Read,
}

#[derive(Clone)]
enum Special {
    Title,
    Step(String),
    Check,
    Facts,
    Html,
}

impl<'a> Reading<'a> {
    fn take(&mut self, event: Event<'a>, offset: usize) -> Result<(), (usize, String)> {
        let line = self.line(offset);
        if let Event::Start(tag) = &event {
            self.depth += 1;
            if let Some(special) = self.special(tag, line)? {
                if self.depth > 1 {
                    return Err((line, "a step or check stands on its own, not inside a list or quotation".to_owned()));
                }
                self.block = Some((line, special, String::new()));
                return Ok(());
            }
        } else if let Event::End(_) = &event {
            self.depth -= 1;
            if self.depth == 0
                && let Some((line, special, text)) = self.block.take()
            {
                self.end_block(line, special, text);
                return Ok(());
            }
        }
        match (&mut self.block, event) {
            (Some((_, _, text)), Event::Text(part) | Event::Code(part) | Event::Html(part) | Event::InlineHtml(part)) => {
                text.push_str(&part);
            }
            (Some(_), _) => {}
            (None, event) => {
                if self.prose.is_empty() {
                    self.prose_line = line;
                }
                self.prose.push(event);
            }
        }
        Ok(())
    }

    /// What a block is, if it is not prose.
    fn special(&self, tag: &Tag<'_>, line: usize) -> Result<Option<Special>, (usize, String)> {
        if self.depth == 1 && matches!(tag, Tag::HtmlBlock) {
            return Ok(Some(Special::Html));
        }
        if self.depth == 1 && self.read.title.is_none() && matches!(tag, Tag::Heading { level: HeadingLevel::H1, .. }) {
            return Ok(Some(Special::Title));
        }
        let Tag::CodeBlock(CodeBlockKind::Fenced(info)) = tag else { return Ok(None) };
        let (language, rest) = info.trim().split_once(char::is_whitespace).unwrap_or((info.trim(), ""));
        match (language, rest.trim()) {
            ("toml", "check") => Ok(Some(Special::Check)),
            ("toml", "chapter") => Ok(Some(Special::Facts)),
            ("sh", "step") => Ok(Some(Special::Step(String::new()))),
            ("sh", rest) if rest.starts_with("step ") => Ok(Some(Special::Step(rest["step ".len()..].to_owned()))),
            (_, "") => Ok(None),
            (language, rest) => Err((line, format!("{rest:?} means nothing after ```{language}"))),
        }
    }

    fn end_block(&mut self, line: usize, special: Special, text: String) {
        match special {
            Special::Title => {
                self.read.title = Some(text);
                return;
            }
            Special::Html => return self.end_html(line, &text),
            Special::Step(_) | Special::Check | Special::Facts => {}
        }
        self.end_prose();
        let piece = match special {
            Special::Step(info) => Piece::Step { info, text: text.trim_end().to_owned() },
            Special::Check => Piece::Check(text),
            Special::Facts | Special::Title | Special::Html => Piece::Facts(text),
        };
        self.read.pieces.push((line, piece));
    }

    /// Notes are kept, other comments dropped, and anything else is shown as it is written.
    fn end_html(&mut self, line: usize, text: &str) {
        let text = text.trim();
        if let Some(notes) = text.strip_prefix(NOTES).and_then(|rest| rest.strip_suffix("-->")) {
            self.end_prose();
            self.read.pieces.push((line, Piece::Notes(harmless(parser(notes.trim()), CHAPTERS))));
        } else if !(text.starts_with("<!--") && text.ends_with("-->")) {
            let paragraph =
                [Event::Start(Tag::Paragraph), Event::Text(CowStr::from(text.to_owned())), Event::End(TagEnd::Paragraph)];
            self.prose.extend(paragraph);
        }
    }

    fn end_prose(&mut self) {
        if !self.prose.is_empty() {
            let html = harmless(std::mem::take(&mut self.prose).into_iter(), CHAPTERS);
            self.read.pieces.push((self.prose_line, Piece::Prose(html)));
        }
    }

    fn line(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }
}

/// HTML that runs nothing, and loads nothing but the chapters' own pictures. Links begin in the folder.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not changed is written as it is")]
fn harmless<'a>(events: impl Iterator<Item = Event<'a>>, folder: &str) -> String {
    // What each open link is closed with.
    let mut links: Vec<Option<String>> = Vec::new();
    // Of the open ones `None` is an address that is not loaded.
    let (mut open, mut pictures): (Vec<Option<Picture>>, Vec<Picture>) = (Vec::new(), Vec::new());
    let mut shown: Vec<Event<'a>> = Vec::new();
    for event in events {
        match event {
            Event::Start(Tag::Link { link_type, dest_url, id, .. }) => match destination(&dest_url, folder) {
                Destination::Link(address) => {
                    links.push(None);
                    let title = CowStr::from("");
                    shown.push(Event::Start(Tag::Link { link_type, dest_url: CowStr::from(address), title, id }));
                }
                Destination::File(path) => links.push(Some(path)),
                Destination::Nowhere => links.push(Some(String::new())),
            },
            Event::End(TagEnd::Link) => match links.pop().flatten() {
                None => shown.push(Event::End(TagEnd::Link)),
                Some(path) if path.is_empty() => {}
                Some(path) => shown.extend([text(" ("), Event::Code(CowStr::from(path)), text(")")]),
            },
            Event::Start(Tag::Image { link_type, dest_url, id, .. }) => {
                let picture = Picture::at(&dest_url);
                match &picture {
                    Some(Picture { address, .. }) => {
                        let (dest_url, title) = (CowStr::from(address.clone()), CowStr::from(""));
                        shown.push(Event::Start(Tag::Image { link_type, dest_url, title, id }));
                    }
                    None => shown.extend([Event::Start(Tag::Emphasis), text("Picture: ")]),
                }
                open.push(picture);
            }
            Event::End(TagEnd::Image) => match open.pop().flatten() {
                Some(picture) => {
                    shown.push(Event::End(TagEnd::Image));
                    pictures.push(picture);
                }
                None => shown.push(Event::End(TagEnd::Emphasis)),
            },
            // A column's side would become a style.
            Event::Start(Tag::Table(columns)) => shown.push(Event::Start(Tag::Table(vec![Alignment::None; columns.len()]))),
            Event::Start(Tag::HtmlBlock) => shown.push(Event::Start(Tag::Paragraph)),
            Event::End(TagEnd::HtmlBlock) => shown.push(Event::End(TagEnd::Paragraph)),
            Event::Html(html) | Event::InlineHtml(html) => shown.push(Event::Text(html)),
            event => shown.push(event),
        }
    }
    let mut html = String::new();
    html::push_html(&mut html, shown.into_iter());
    // With its size beforehand, the text below a picture does not move when that is there.
    for Picture { address, width, height } in pictures {
        let source = format!("src=\"{address}\"");
        html = html.replace(&format!("<img {source}"), &format!("<img width=\"{width}\" height=\"{height}\" {source}"));
    }
    // What may be wider than the page scrolls, by keyboard too. A tag in the text has no bracket any more.
    html.replace("<pre>", "<pre tabindex=\"0\">").replace("<table>", "<table tabindex=\"0\">")
}

fn text<'a>(text: &'static str) -> Event<'a> {
    Event::Text(CowStr::from(text))
}

enum Destination {
    Link(String),
    /// A file of this repository that the console does not have.
    File(String),
    Nowhere,
}

/// Where a link of a file in this folder leads in the console.
fn destination(address: &str, folder: &str) -> Destination {
    if address.starts_with("http://") || address.starts_with("https://") || address.starts_with('#') {
        return Destination::Link(address.to_owned());
    }
    let path = address.split(['#', '?']).next().unwrap_or_default();
    // A scheme has a colon before the first slash: `javascript:`, `data:`, and all others.
    if path.is_empty() || path.split('/').next().is_some_and(|first| first.contains(':')) || path.starts_with("//") {
        return Destination::Nowhere;
    }
    let path = from_root(folder, path);
    page(&path).map_or(Destination::File(path), Destination::Link)
}

/// The console's page of a file.
fn page(file: &str) -> Option<String> {
    if file == "docs/workshop/README.md" {
        return Some("/workshop".to_owned());
    }
    if let Some(place) = texts::place_of(file) {
        return Some(format!("/workshop/{place}"));
    }
    let number = |name: &str| name.split_once('-')?.0.parse::<u8>().ok();
    if let Some(chapter) = file.strip_prefix(CHAPTERS) {
        let chapter = chapter.strip_suffix(".md").filter(|name| !name.contains('/'))?;
        return number(chapter).map(|number| format!("/workshop/{number}"));
    }
    let exercise = file.strip_prefix("exercises/")?.strip_suffix("/README.md")?;
    number(exercise).map(|number| format!("/workshop/E{number}"))
}

/// The folder of a file, with its slash.
fn folder(file: &str) -> &str {
    &file[..file.rfind('/').map_or(0, |slash| slash + 1)]
}

/// A path in a folder, as seen from the repository's root.
fn from_root(folder: &str, path: &str) -> String {
    let mut parts = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prose(text: &str) -> String {
        let pieces = read(text).unwrap_or_else(|(line, reason)| panic!("{line}: {reason}")).pieces;
        pieces.into_iter().filter_map(|(_, piece)| if let Piece::Prose(html) = piece { Some(html) } else { None }).collect()
    }

    #[test]
    fn html_is_shown_as_text_and_comments_are_not_shown() {
        for hostile in [
            "<script>alert(1)</script>",
            "A <img src=x onerror=alert(1)> b",
            "<div style=\"x\">\n\n**b**\n\n</div>",
            "> <iframe src=//x></iframe>",
            "<svg/onload=alert(1)>",
            "<!-- a --><script>alert(1)</script>",
            "`<script>`",
            "    <script>indented</script>",
            "| a |\n| --- |\n| <b onclick=x>c</b> |",
        ] {
            let html = prose(hostile).to_lowercase();
            for tag in ["<script", "<img", "<div", "<iframe", "<svg", "<b "] {
                assert!(!html.contains(tag), "{hostile}: {html}");
            }
            assert!(html.contains("&lt;"), "{hostile}: {html}");
        }
        assert_eq!(prose("Before.\n\n<!-- hidden -->\n\nAfter."), "<p>Before.</p>\n<p>After.</p>\n");
    }

    #[test]
    fn nothing_that_the_policy_refuses_is_written() {
        for text in
            ["| a | b |\n| :-- | --: |\n| 1 | 2 |", "![alt](x.png \"t\")", "![a](javascript:x)", "# h\n\n1. a\n2. b\n\n~~c~~"]
        {
            let html = prose(text);
            assert!(!html.contains("style=") && !html.contains("<img") && !html.contains("javascript:"), "{text}: {html}");
        }
    }

    #[test]
    fn pictures_are_those_beside_the_chapters_only() {
        let shown = prose("![\"Empty\" <b onclick=x>](pictures/empty.webp \"t\") and ![again](pictures/empty.webp)");
        assert_eq!(
            shown,
            "<p><img width=\"1000\" height=\"520\" src=\"/workshop/pictures/empty.webp\" alt=\"&quot;Empty&quot; &lt;b onclick=x&gt;\" /> and \
             <img width=\"1000\" height=\"520\" src=\"/workshop/pictures/empty.webp\" alt=\"again\" /></p>\n"
        );
        for address in [
            "x.png",
            "https://example.com/pictures/empty.webp",
            "//example.com/pictures/empty.webp",
            "javascript:alert",
            "data:image/webp,x",
            "/workshop/pictures/empty.webp",
            "../pictures/empty.webp",
            "pictures/../pictures/empty.webp",
            "pictures/no-such.webp",
            "pictures/empty.webp?x",
            "README.md",
        ] {
            assert_eq!(prose(&format!("![The *flow*]({address})")), "<p><em>Picture: The <em>flow</em></em></p>\n", "{address}");
        }
        // Markdown lets a picture's text hold another picture.
        let nested = prose("![a ![b](pictures/empty.webp)](x.png)");
        assert!(nested.contains("Picture: a <img width="), "{nested}");
        assert_eq!(prose("![a ![b](x.png)](pictures/empty.webp)").matches('<').count(), 3);
    }

    #[test]
    fn links_lead_to_chapters_files_or_the_web() {
        for (link, shown) in [
            ("[a](04-trace.md)", "<a href=\"/workshop/4\">a</a>"),
            ("[a](04-trace.md#x)", "<a href=\"/workshop/4\">a</a>"),
            ("[a](../../exercises/03-stale-timer/README.md)", "<a href=\"/workshop/E3\">a</a>"),
            ("[a](../../exercises/README.md)", "<a href=\"/workshop/exercises\">a</a>"),
            ("[a](troubleshooting.md)", "<a href=\"/workshop/troubleshooting\">a</a>"),
            ("[a](AUTHORS.md)", "a (<code>docs/workshop/AUTHORS.md</code>)"),
            ("[a](pictures/01-a.md)", "a (<code>docs/workshop/pictures/01-a.md</code>)"),
            ("[a](README.md)", "<a href=\"/workshop\">a</a>"),
            ("[a](../console.md)", "a (<code>docs/console.md</code>)"),
            ("[a](../../src/lib.rs)", "a (<code>src/lib.rs</code>)"),
            ("[a](http://localhost:8081/)", "<a href=\"http://localhost:8081/\">a</a>"),
            ("[a](javascript:alert)", "<p>a</p>"),
            ("[a](JaVaScript:alert)", "<p>a</p>"),
            ("[a](data:text/html,x)", "<p>a</p>"),
            ("[a](vbscript:x/04-x.md)", "<p>a</p>"),
            ("[a](//evil/x)", "<p>a</p>"),
            ("[a](java&#10;script:x)", "<p>a</p>"),
            ("<javascript:x>", "<p>javascript:x</p>"),
        ] {
            let html = prose(link);
            assert!(html.contains(shown), "{link}: {html}");
        }
    }

    #[test]
    fn links_begin_where_their_file_is() {
        for (file, link, shown) in [
            ("exercises/README.md", "[a](03-stale-timer/README.md)", "<a href=\"/workshop/E3\">a</a>"),
            ("exercises/README.md", "[a](../docs/console.md)", "a (<code>docs/console.md</code>)"),
            ("exercises/01-a/hints.md", "[a](../03-b/README.md)", "<a href=\"/workshop/E3\">a</a>"),
            ("exercises/01-a/hints.md", "[a](../../docs/workshop/04-b.md)", "<a href=\"/workshop/4\">a</a>"),
            ("exercises/01-a/hints.md", "[a](solution.patch)", "a (<code>exercises/01-a/solution.patch</code>)"),
        ] {
            let html = article(link, file);
            assert!(html.contains(shown), "{file}, {link}: {html}");
        }
    }
}
