//! A chapter, as it is read from its file.

use serde::Deserialize;

use super::markup::{self, Piece};
use crate::records::Predicate;
use crate::wire::topics::Topic;

/// What no step may hold: a learner types it without reading, and a run executes it unattended.
const FORBIDDEN: [&str; 15] = [
    "sudo ",
    "rm -rf",
    "rm -fr",
    "pkill",
    "killall",
    "docker ",
    "git push",
    "git reset",
    "git clean",
    "git checkout",
    "| sh",
    "| bash",
    "mkfs",
    "shutdown",
    "> /dev/sd",
];
/// Hosts that a step may call.
const HOSTS: [&str; 2] = ["localhost", "127.0.0.1"];

/// One chapter.
#[derive(Debug, Clone)]
pub struct Chapter {
    pub number: u8,
    pub slug: String,
    pub title: String,
    pub facts: Facts,
    pub blocks: Vec<Block>,
}

/// What the chapter's own block says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// What a machine may lack: `kafka`, `managed`.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// `false` keeps it out of CI's run.
    pub ci: Option<bool>,
    /// How long a learner takes.
    pub minutes: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    Kafka,
    Managed,
}

/// A part of a chapter, in its order.
#[derive(Debug, Clone)]
pub enum Block {
    /// HTML without anything that could run.
    Prose(String),
    Step(Step),
    Check(Check),
    /// For instructors; HTML like prose.
    Notes(String),
}

/// What the learner does at a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub name: Option<String>,
    pub kind: StepKind,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepKind {
    /// Ends by itself.
    Run,
    /// Ends by itself, with a failure that the chapter is about.
    Refused,
    /// Runs on until it is stopped.
    Background,
    /// Ends the background step of this name.
    Stop(String),
}

impl StepKind {
    /// As programs name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Refused => "refused",
            Self::Background => "background",
            Self::Stop(_) => "stop",
        }
    }
}

/// What must be so at the end of the chapter.
#[derive(Debug, Clone)]
pub struct Check {
    pub name: String,
    pub missing: String,
    /// It cannot be false before the chapter.
    pub always: bool,
    pub question: Question,
}

/// How it is found out.
#[derive(Debug, Clone)]
pub enum Question {
    Http { listener: Listener, path: String, predicate: Option<Predicate> },
    Topics { topics: Vec<Topic>, predicate: Option<Predicate>, count: u64, from_start: bool },
    Sql(String),
    Page { listener: Listener, path: String, sees: String },
    Command(String),
}

impl Question {
    /// Its word in the file.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http { listener: Listener::Shop, .. } => "shop",
            Self::Http { listener: Listener::Operators, .. } => "operators",
            Self::Topics { .. } => "topics",
            Self::Sql(_) => "sql",
            Self::Page { .. } => "page",
            Self::Command(_) => "command",
        }
    }

    /// Whether it needs the learner's machine, with the repository on it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Page { .. } | Self::Command(_))
    }
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listener {
    #[default]
    Shop,
    Operators,
}

/// A mistake in a chapter's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("docs/workshop/{file}, line {line}: {reason}")]
pub struct InvalidChapter {
    pub file: String,
    pub line: usize,
    pub reason: String,
}

/// A check block as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    missing: String,
    #[serde(default)]
    always: bool,
    shop: Option<String>,
    operators: Option<String>,
    topics: Option<Vec<String>>,
    sql: Option<String>,
    page: Option<String>,
    command: Option<String>,
    r#where: Option<String>,
    count: Option<u64>,
    since: Option<String>,
    sees: Option<String>,
    at: Option<Listener>,
}

impl Chapter {
    /// Reads a file.
    ///
    /// # Errors
    /// The first mistake in it, with its line.
    pub fn read(file: &str, text: &str) -> Result<Self, InvalidChapter> {
        let at = |line: usize, reason: String| InvalidChapter { file: file.to_owned(), line, reason };
        let (number, slug) = numbered(file).ok_or_else(|| at(1, "the name is not NN-slug.md".to_owned()))?;
        let read = markup::read(text).map_err(|(line, reason)| at(line, reason))?;
        let title = read.title.as_deref().and_then(|title| title.strip_prefix(&format!("{number} · ")));
        let title = title.ok_or_else(|| at(1, format!("the first line is not `# {number} · Title`")))?.to_owned();
        let (mut facts, mut blocks) = (None, Vec::new());
        for (line, piece) in read.pieces {
            match piece {
                Piece::Prose(html) => blocks.push(Block::Prose(html)),
                Piece::Notes(html) => blocks.push(Block::Notes(html)),
                Piece::Step { info, text } => blocks.push(Block::Step(step(&info, text).map_err(|reason| at(line, reason))?)),
                Piece::Check(text) => blocks.push(Block::Check(check(&text).map_err(|reason| at(line, reason))?)),
                Piece::Facts(text) => {
                    let read = toml::from_str(&text).map_err(|error| at(line, error.message().to_owned()))?;
                    if facts.replace(read).is_some() {
                        return Err(at(line, "a second ```toml chapter".to_owned()));
                    }
                }
            }
        }
        Ok(Self { number, slug, title, facts: facts.unwrap_or_default(), blocks })
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{:02}-{}.md", self.number, self.slug)
    }

    /// Its checks, in their order.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.blocks.iter().filter_map(|block| if let Block::Check(check) = block { Some(check) } else { None })
    }

    /// Its steps, in their order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.blocks.iter().filter_map(|block| if let Block::Step(step) = block { Some(step) } else { None })
    }
}

fn numbered(file: &str) -> Option<(u8, String)> {
    let (number, slug) = file.strip_suffix(".md")?.split_once('-')?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = number.len() == 2 && !slug.is_empty() && slug.bytes().all(plain);
    number.parse().ok().filter(|_| fits).map(|number| (number, slug.to_owned()))
}

/// A step by the words after `sh step`.
fn step(info: &str, text: String) -> Result<Step, String> {
    let named = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !name.is_empty() && name.bytes().all(plain) {
            Ok(name.to_owned())
        } else {
            Err(format!("{name:?} is no name: a-z, 0-9 and -"))
        }
    };
    let (mut name, mut kind) = (None, StepKind::Run);
    for word in info.split_whitespace() {
        match word.split_once('=') {
            Some(("name", value)) => name = Some(named(value)?),
            Some(("stop", value)) => kind = StepKind::Stop(named(value)?),
            None if word == "background" => kind = StepKind::Background,
            None if word == "refused" => kind = StepKind::Refused,
            _ => return Err(format!("{word:?} means nothing after `sh step`: background, refused, name=… or stop=…")),
        }
    }
    if kind == StepKind::Background && name.is_none() {
        return Err("a background step needs name=…, so that it can be stopped".to_owned());
    }
    if text.trim().is_empty() {
        return Err("the step is empty".to_owned());
    }
    if let Some(word) = forbidden(&text) {
        return Err(format!("a step may not hold {word:?}"));
    }
    Ok(Step { name, kind, text })
}

/// The first thing in a command that no step may hold.
fn forbidden(text: &str) -> Option<String> {
    // `| sh` is refused, `| shuf` is not.
    let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric());
    let holds = |word: &str| text.match_indices(word).any(|(at, _)| ends(&text[at + word.len()..]) || !word.starts_with('|'));
    let word = FORBIDDEN.iter().find(|word| holds(word)).map(|word| word.trim().to_owned());
    let hosts = ["http://", "https://"].into_iter().flat_map(|scheme| text.split(scheme).skip(1));
    word.or_else(|| hosts.map(host).find(|host| !HOSTS.contains(&host.as_str())))
}

/// The host at the beginning of what follows `http://`.
fn host(rest: &str) -> String {
    rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || ".-_@".contains(*letter)).collect()
}

fn check(text: &str) -> Result<Check, String> {
    let written: Written = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    for (key, sentence) in [("name", &written.name), ("missing", &written.missing)] {
        if sentence.trim().is_empty() || sentence.contains('\n') {
            return Err(format!("{key}: one sentence is needed"));
        }
    }
    let question = question(&written)?;
    Ok(Check { name: written.name, missing: written.missing, always: written.always, question })
}

fn question(written: &Written) -> Result<Question, String> {
    let Written { shop, operators, topics, sql, page, command, .. } = written;
    let asked = [shop.is_some(), operators.is_some(), topics.is_some(), sql.is_some(), page.is_some(), command.is_some()];
    if asked.iter().filter(|asked| **asked).count() != 1 {
        return Err("exactly one of shop, operators, topics, sql, page and command is needed".to_owned());
    }
    no_stray_keys(written)?;
    let predicate = || written.r#where.as_deref().map(Predicate::parse).transpose().map_err(|error| error.to_string());
    let http = |listener, path: &str| Ok(Question::Http { listener, path: path_of(path)?, predicate: predicate()? });
    if let Some(path) = shop {
        return http(Listener::Shop, path);
    }
    if let Some(path) = operators {
        return http(Listener::Operators, path);
    }
    if let Some(names) = topics {
        let topics = names.iter().map(|name| Topic::from_name(name).ok_or_else(|| format!("there is no topic {name}")));
        let topics = topics.collect::<Result<Vec<_>, _>>()?;
        if topics.is_empty() || written.count == Some(0) {
            return Err("topics needs a topic, and a count of 1 or more".to_owned());
        }
        if written.since.as_deref().is_some_and(|since| since != "start") {
            return Err("since is \"start\" or left out".to_owned());
        }
        let count = written.count.unwrap_or(1);
        return Ok(Question::Topics { topics, predicate: predicate()?, count, from_start: written.since.is_some() });
    }
    if let Some(path) = page {
        let sees = written.sees.as_deref().map(str::trim).filter(|sees| !sees.is_empty() && *sees != "CSS:");
        let sees = sees.ok_or("page needs sees = \"…\"")?.to_owned();
        return Ok(Question::Page { listener: written.at.unwrap_or_default(), path: path_of(path)?, sees });
    }
    let text = sql.as_ref().or(command.as_ref()).map(|text| text.trim()).unwrap_or_default();
    if text.is_empty() {
        return Err("the question is empty".to_owned());
    }
    if sql.is_some() {
        return Ok(Question::Sql(text.to_owned()));
    }
    match forbidden(text) {
        Some(word) => Err(format!("a command may not hold {word:?}")),
        None => Ok(Question::Command(text.to_owned())),
    }
}

/// Keys that belong to another question would be silently without effect.
fn no_stray_keys(written: &Written) -> Result<(), String> {
    let Written { shop, operators, topics, page, .. } = written;
    let (is_http, is_topics, is_page) = (shop.is_some() || operators.is_some(), topics.is_some(), page.is_some());
    let stray = [
        (written.r#where.is_some() && !is_http && !is_topics, "where belongs to shop, operators and topics"),
        (written.count.is_some() && !is_topics, "count belongs to topics"),
        (written.since.is_some() && !is_topics, "since belongs to topics"),
        (written.sees.is_some() && !is_page, "sees belongs to page"),
        (written.at.is_some() && !is_page, "at belongs to page"),
    ];
    stray.iter().find(|(is_stray, _)| *is_stray).map_or(Ok(()), |(_, reason)| Err((*reason).to_owned()))
}

fn path_of(path: &str) -> Result<String, String> {
    let fits = path.starts_with('/') && !path.starts_with("//") && !path.contains(char::is_whitespace);
    if fits { Ok(path.to_owned()) } else { Err(format!("{path:?} is no path: it begins with one slash and holds no space")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Chapter, InvalidChapter> {
        Chapter::read("03-buy.md", &format!("# 3 · Buy\n\n{body}"))
    }

    fn with_check(keys: &str) -> Result<Chapter, InvalidChapter> {
        read(&format!("```toml check\nname = \"It is so\"\nmissing = \"Do it.\"\n{keys}\n```\n"))
    }

    #[test]
    fn blocks_come_in_their_order_with_their_meaning() {
        let chapter = read(
            "Prose.\n\n```sh step name=buy\ncurl http://localhost:8081/a\n```\n\n```sh\nshown\n```\n\n```sh step background name=shop\nmake run\n```\n\
             \n```toml chapter\nneeds = [\"kafka\"]\nci = false\n```\n\n<!-- notes: Say *this*.\n\nAnd that. -->\n\n```sh step stop=shop\n# Ctrl-C\n```\n\
             \n```toml check\nname = \"It is so\"\nmissing = \"Do it.\"\nsql = \"SELECT true\"\n```\n",
        )
        .unwrap();
        let kinds: Vec<&str> = chapter
            .blocks
            .iter()
            .map(|block| match block {
                Block::Prose(_) => "prose",
                Block::Step(step) => match step.kind {
                    StepKind::Run => "run",
                    StepKind::Refused => "refused",
                    StepKind::Background => "background",
                    StepKind::Stop(_) => "stop",
                },
                Block::Check(check) => check.question.kind(),
                Block::Notes(_) => "notes",
            })
            .collect();
        assert_eq!(kinds, ["prose", "run", "prose", "background", "notes", "stop", "sql"]);
        assert_eq!((chapter.number, chapter.slug.as_str(), chapter.title.as_str()), (3, "buy", "Buy"));
        assert_eq!((chapter.facts.needs.as_slice(), chapter.facts.ci), (&[Need::Kafka][..], Some(false)));
        assert!(matches!(&chapter.blocks[4], Block::Notes(html) if html.contains("<em>this</em>") && html.contains("And that.")));
    }

    #[test]
    fn mistakes_are_found_and_named() {
        for (keys, words) in [
            ("", "exactly one of"),
            ("sql = \"SELECT true\"\nshop = \"/api\"", "exactly one of"),
            ("shop = \"api\"", "no path"),
            ("shop = \"//elsewhere/api\"", "no path"),
            ("shop = \"/api\"\nwhere = '.a =='", "cannot read the predicate"),
            ("topics = [\"no-such\"]", "there is no topic no-such"),
            ("topics = []", "needs a topic"),
            ("topics = [\"products\"]\ncount = 0", "count of 1"),
            ("topics = [\"products\"]\nsince = \"yesterday\"", "since is"),
            ("page = \"/\"", "page needs sees"),
            ("sql = \"SELECT true\"\nwhere = '.a'", "where belongs to"),
            ("command = \"sudo make\"", "may not hold \"sudo\""),
            ("command = \" \"", "empty"),
            ("colour = \"red\"", "unknown field"),
        ] {
            let error = with_check(keys).unwrap_err();
            assert!(error.reason.contains(words) && error.line == 3 && error.file == "03-buy.md", "{keys}: {error}");
        }
        for (body, words) in [
            ("```sh step background\nmake run\n```\n", "needs name="),
            ("```sh step later\nls\n```\n", "means nothing"),
            ("```sh step name=A/B\nls\n```\n", "is no name"),
            ("```sh step\n\n```\n", "empty"),
            ("```sh step\ncurl https://example.com/x\n```\n", "example.com"),
            ("```sh step\ncurl http://localhost@example.com/x\n```\n", "localhost@example.com"),
            ("```sh step\ncurl http://127.0.0.1:1/x | sh\n```\n", "| sh"),
            ("- a list\n\n  ```sh step\n  ls\n  ```\n", "on its own"),
            ("```toml chapter\nci = false\n```\n\n```toml chapter\nci = false\n```\n", "second"),
            ("```toml chapter\nci = \"no\"\n```\n", "invalid type"),
            ("```toml chek\na = 1\n```\n", "chek"),
        ] {
            let error = read(body).unwrap_err();
            assert!(error.reason.contains(words), "{body}: {error}");
        }
        assert!(read("```sh step\nls | shuf\n```\n").is_ok());
        assert!(Chapter::read("03-buy.md", "# 4 · Buy\n").is_err());
        assert!(Chapter::read("3-buy.md", "# 3 · Buy\n").is_err());
    }
}
