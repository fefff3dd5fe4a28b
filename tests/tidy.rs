//! The house's rules that no compiler checks: which floor may use which, and what some rooms never touch.
//!
//! Reads the sources below `src/` as text. Comments, the contents of strings and test modules don't count, except that SQL is
//! looked for in the strings. A new top-level module must be given its place in [`FLOORS`].

#![expect(clippy::panic, reason = "a test reports its finding by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The top-level modules, bottom floor first. Each may use those on lower floors only, and none of its own floor.
const FLOORS: &[&[&str]] = &[
    &["domain"],
    &["clock"],
    &["bugs"],
    &["config"],
    &["data_dir"],
    &["telemetry"],
    &["wire"],
    &["log", "store"],
    &["records"],
    &["actors"],
    &["sources"],
    &["workshop"],
    &["api", "check", "drill"],
    &["app"],
    &["cli"],
];

/// Those that may use less than their floor allows: what judges the engine must not share its decisions.
const NARROW: &[(&str, &[&str])] = &[
    ("check", &["clock", "config", "data_dir", "telemetry", "log", "store"]),
    ("drill", &["clock", "config", "data_dir", "telemetry", "store"]),
    ("workshop", &["clock", "config", "data_dir", "wire", "log", "store", "records"]),
];

/// Words that may stand only below some directories (`only`), or anywhere but below some (`never`).
struct Ban {
    words: &'static [&'static str],
    never: &'static [&'static str],
    only: &'static [&'static str],
    reason: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        words: &["tokio", "ractor", "serde_json", "rdkafka", "rusqlite", "sqlx", "axum", "tracing", "async fn", ".await"],
        never: &["domain/"],
        only: &[],
        reason: "the domain is pure: no runtime, no input or output, no logging",
    },
    Ban {
        words: &["SystemTime", "Instant::now", "rand", "new_v4", "now_v7", "thread_rng"],
        never: &["domain/"],
        only: &[],
        reason: "time and randomness come into the domain as arguments",
    },
    Ban {
        words: &["HashMap", "HashSet"],
        never: &["domain/"],
        only: &[],
        reason: "their order differs from run to run; use the BTree kind",
    },
    Ban {
        words: &["ActorRef", "rdkafka", "rusqlite", "sqlx::query", "sqlx::query_as", "sqlx::query_scalar"],
        never: &["api/"],
        only: &[],
        reason: "handlers call a handle, a view or the store",
    },
    Ban { words: &["rdkafka"], never: &[], only: &["log/kafka"], reason: "one place knows the Kafka client" },
    Ban { words: &["rusqlite"], never: &[], only: &["log/embedded"], reason: "one place knows the file of the embedded log" },
    Ban { words: &["pages"], never: &["wire/topics"], only: &[], reason: "what travels on topics knows no pages" },
    Ban { words: &["OutputPort"], never: &["actors/", "sources/", "api/"], only: &[], reason: "it loses events silently" },
];

/// Rooms in which no two files import each other, directly or around a corner: one can read them from one end to the other.
const WITHOUT_CIRCLES: &[&str] = &["actors/inventory", "sources/log_source"];

/// The longest file, test module not counted: beyond it a reader looks for the missing noun.
const LONGEST_FILE_LINES: usize = 400;

#[test]
fn every_file_keeps_to_its_floor() {
    report(&sources().iter().flat_map(|(path, text)| floor_findings(path, text)).collect::<Vec<_>>());
}

#[test]
fn the_code_map_and_the_crate_show_the_same_floors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let map = read("docs/ARCHITECTURE.md");
    let rows = map.lines().skip_while(|line| *line != "## Floors").skip(1).take_while(|line| !line.starts_with("## "));
    let cells = rows.filter(|line| line.starts_with('|')).skip(2).filter_map(|row| row.split('|').nth(2));
    let shown: Vec<Vec<&str>> =
        cells.flat_map(|cell| cell.split("then")).map(|floor| floor.split('`').skip(1).step_by(2).collect()).collect();
    assert_eq!(shown, FLOORS, "the table of docs/ARCHITECTURE.md");
    let module_of =
        |line| str::strip_prefix(line, "pub mod ").or_else(|| line.strip_prefix("pub(crate) mod "))?.strip_suffix(';');
    let crate_root = read("src/lib.rs");
    let modules: Vec<&str> = crate_root.lines().filter_map(module_of).collect();
    assert_eq!(modules, FLOORS.concat(), "the modules of src/lib.rs");
}

#[test]
fn no_room_touches_what_it_must_not() {
    report(&sources().iter().flat_map(|(path, text)| ban_findings(path, text)).collect::<Vec<_>>());
}

#[test]
fn no_two_files_of_a_room_import_each_other() {
    let files = sources();
    report(&WITHOUT_CIRCLES.iter().filter_map(|room| circle(&files, room)).collect::<Vec<_>>());
}

#[test]
fn no_file_grows_beyond_one_noun() {
    let long = |(path, text): &(String, String)| {
        let lines = above_tests(text).lines().count();
        (lines > LONGEST_FILE_LINES).then(|| format!("{path}: {lines} lines above its tests, at most {LONGEST_FILE_LINES}"))
    };
    report(&sources().iter().filter_map(long).collect::<Vec<_>>());
}

#[test]
fn the_rules_find_what_they_are_for() {
    let broken: &[(&str, &str)] = &[
        ("domain/order.rs", "use crate::wire::Product;"),
        ("domain/order.rs", "use crate::{ids::A, wire::{self, B}};"),
        ("log/mod.rs", "fn f() { crate::actors::root::start() }"),
        ("store/orders.rs", "use crate::log::Session;"),
        ("actors/root.rs", "use crate::{domain::X, sources::Wal};"),
        ("check/ledger.rs", "use crate::domain::inventory::apply;"),
        ("brand_new/mod.rs", "fn f() {}"),
        ("domain/ids.rs", "use tokio::time::sleep;"),
        ("domain/ids.rs", "pub async fn f() {}"),
        ("domain/ids.rs", "fn f() -> u64 { rand::random() }"),
        ("domain/state.rs", "use std::collections::HashMap;"),
        ("api/shop/cart.rs", "fn f(a: ActorRef<Msg>) {}"),
        ("api/shop/cart.rs", "fn f() { sqlx::query!(x) }"),
        ("api/shop/cart.rs", "const Q: &str = \"SELECT 1\";"),
        ("api/shop/cart.rs", "const Q: &str = r#\"\n  update carts set x = 1\"#;"),
        ("store/orders.rs", "use rusqlite::Connection;"),
        ("wire/topics/output.rs", "use crate::wire::pages::cart::Cart;"),
    ];
    for (path, text) in broken {
        assert!(findings(path, text) > 0, "{path} should be refused: {text}");
    }
    let fine: &[(&str, &str)] = &[
        ("domain/order.rs", "use crate::domain::{ids::OrderId, money};\n// not crate::wire, no tokio\nfn operand() {}"),
        ("domain/order.rs", "fn f() -> &'static str { \"tokio\" }\n/* crate::app /* nested */ rand */"),
        ("domain/order.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::wire::X;\n}"),
        ("api/shop/cart.rs", "fn f() -> &'static str { \"Selected items updated\" }"),
        ("log/kafka/session.rs", "use rdkafka::Message;"),
        ("app.rs", "use crate::{actors, api, config::Config, sources};"),
    ];
    for (path, text) in fine {
        assert_eq!(findings(path, text), 0, "{path} should pass: {text}");
    }
}

#[test]
fn a_circle_of_imports_is_found() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let mut files = vec![
        file("a/mod.rs", "mod b;\nmod c;\nmod d;\npub use b::B;"),
        file("a/b.rs", "use super::{c::{self, C}};"),
        file("a/c.rs", "use crate::a::d::D;"),
        file("a/d/mod.rs", "mod e;"),
        file("a/d/e.rs", "use super::super::x;"),
    ];
    assert_eq!(circle(&files, "a"), None);
    files[3].1.push_str("\nuse super::b::B;");
    assert_eq!(circle(&files, "a").unwrap(), "a/b.rs -> a/c.rs -> a/d/mod.rs -> a/b.rs");
    files[3].1 = "use super::B;".to_owned();
    assert_eq!(circle(&files, "a").unwrap(), "a/b.rs -> a/c.rs -> a/d/mod.rs -> a/mod.rs -> a/b.rs");
}

fn findings(path: &str, text: &str) -> usize {
    floor_findings(path, text).len() + ban_findings(path, text).len()
}

fn report(findings: &[String]) {
    assert!(findings.is_empty(), "the house's rules (docs/ARCHITECTURE.md, Floors) are broken:\n  {}", findings.join("\n  "));
}

/// `crate::other` where the file's own floor does not stand on `other`.
fn floor_findings(path: &str, text: &str) -> Vec<String> {
    let module = top_module(path);
    if matches!(module, "main" | "lib") {
        return Vec::new();
    }
    let Some(floor) = floor_of(module) else {
        return vec![format!("{path}: `{module}` has no floor yet: add it to FLOORS in tests/tidy.rs")];
    };
    let narrow = NARROW.iter().find(|(name, _)| *name == module);
    let may_use = |used: &str| match (floor_of(used), narrow) {
        _ if used == module => true,
        (None, _) => true, // a macro or a function of lib.rs
        (Some(_), Some((_, allowed))) => allowed.contains(&used),
        (Some(other), None) => other < floor,
    };
    let used = used_modules(&lex(above_tests(text)).code);
    used.iter().filter(|used| !may_use(used)).map(|used| format!("{path}: `{module}` may not use `{used}`")).collect()
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn ban_findings(path: &str, text: &str) -> Vec<String> {
    let lexed = lex(above_tests(text));
    let is_below = |dirs: &[&str]| dirs.iter().any(|dir| path.starts_with(dir));
    let mut findings = Vec::new();
    for ban in BANS.iter().filter(|ban| is_below(ban.never) || (!ban.only.is_empty() && !is_below(ban.only))) {
        for word in ban.words.iter().filter(|word| contains_word(&lexed.code, word)) {
            findings.push(format!("{path}: `{word}`: {}", ban.reason));
        }
    }
    if path.starts_with("api/") {
        findings.extend(lexed.strings.iter().filter(|text| is_sql(text)).map(|text| format!("{path}: SQL in a handler: {text}")));
    }
    findings
}

fn is_sql(text: &str) -> bool {
    let mut words = text.split_whitespace().map(str::to_ascii_uppercase);
    let (first, second) = (words.next().unwrap_or_default(), words.next());
    second.is_some() && ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "MERGE", "TRUNCATE"].contains(&first.as_str())
}

/// A circle of imports among the files of a room, if there is one.
fn circle(files: &[(String, String)], room: &str) -> Option<String> {
    let in_room: Vec<_> = files.iter().filter(|(path, _)| path.starts_with(&format!("{room}/"))).collect();
    let file_of: BTreeMap<String, &str> = in_room.iter().map(|(path, _)| (module_of(path), path.as_str())).collect();
    let imports = |path: &str, text: &str| {
        let module = module_of(path);
        let targets = imports(&lex(above_tests(text)).code).into_iter().filter_map(|import| resolve(&module, &import, &file_of));
        targets.filter(|target| *target != path).collect::<BTreeSet<&str>>()
    };
    let graph: BTreeMap<&str, BTreeSet<&str>> = in_room.iter().map(|(path, text)| (path.as_str(), imports(path, text))).collect();
    let (mut done, mut way) = (BTreeSet::new(), Vec::new());
    graph.keys().find_map(|start| walk(start, &graph, &mut done, &mut way))
}

/// Walks the imports from one file; the way back to a file that the walk has come through is a circle.
fn walk<'a>(
    file: &'a str,
    graph: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    done: &mut BTreeSet<&'a str>,
    way: &mut Vec<&'a str>,
) -> Option<String> {
    if let Some(start) = way.iter().position(|passed| *passed == file) {
        return Some([&way[start..], &[file]].concat().join(" -> "));
    }
    if !done.insert(file) {
        return None;
    }
    way.push(file);
    let found = graph[file].iter().find_map(|next| walk(next, graph, done, way));
    way.pop();
    found
}

/// `a/b.rs` and `a/b/mod.rs` are the module `a::b`.
fn module_of(path: &str) -> String {
    path.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::")
}

/// The file that an import of this module means: the one of the longest path that is a module of the room.
fn resolve<'a>(module: &str, import: &str, file_of: &BTreeMap<String, &'a str>) -> Option<&'a str> {
    let (mut base, mut rest) = (module.to_owned(), import);
    if let Some(absolute) = rest.strip_prefix("crate::") {
        (base, rest) = (String::new(), absolute);
    } else {
        rest = rest.strip_prefix("self::").unwrap_or(rest);
        while let Some(above) = rest.strip_prefix("super::") {
            (base, rest) = (base.rsplit_once("::").map_or(String::new(), |(parent, _)| parent.to_owned()), above);
        }
    }
    let full = format!("{base}::{rest}");
    let mut name = full.trim_start_matches("::");
    loop {
        if let Some(file) = file_of.get(name) {
            return Some(file);
        }
        name = name.rsplit_once("::")?.0;
    }
}

/// The paths of all `use` declarations, each brace taken apart.
fn imports(code: &str) -> Vec<String> {
    let declarations = code.match_indices("use ").filter(|(at, _)| !code[..*at].chars().next_back().is_some_and(is_word));
    let trees = declarations.filter_map(|(at, word)| code[at + word.len()..].split(';').next());
    trees.flat_map(|tree| branches(&tree.split_whitespace().collect::<String>())).collect()
}

/// `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn branches(tree: &str) -> Vec<String> {
    let Some((stem, group)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let (mut depth, mut start, mut found) = (0_usize, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        depth = if letter == '{' { depth + 1 } else { depth };
        if depth == 0 && matches!(letter, ',' | '}') {
            found.extend(branches(&group[start..at]).into_iter().map(|branch| format!("{stem}{branch}")));
            start = at + 1;
        }
        depth = if letter == '}' { depth.saturating_sub(1) } else { depth };
    }
    found
}

/// The first names after every `crate::`, also inside braces: `crate::{a::B, c}` uses `a` and `c`.
fn used_modules(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = code[at + prefix.len()..].trim_start();
        let Some(group) = rest.strip_prefix('{') else {
            used.insert(first_name(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = 0;
        for (index, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    used.insert(first_name(group[start..index].trim_start()));
                    start = index + 1;
                    if letter == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    used
}

fn first_name(text: &str) -> String {
    text.chars().take_while(|letter| is_word(*letter)).collect()
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn contains_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(is_word);
        let after = code[at + word.len()..].chars().next().is_some_and(is_word);
        !after && (!before || !word.starts_with(is_word))
    })
}

/// The part of a file above its test module.
fn above_tests(text: &str) -> &str {
    let is_module = |at: &usize| {
        let rest = text[*at..].trim_start_matches("#[cfg(test)]").trim_start();
        rest.starts_with("mod ") && rest.lines().next().is_some_and(|line| line.ends_with('{'))
    };
    text.match_indices("#[cfg(test)]").map(|(at, _)| at).find(is_module).map_or(text, |at| &text[..at])
}

/// A source text taken apart: its code without comments and with empty strings, and what stood in the strings.
struct Lexed {
    code: String,
    strings: Vec<String>,
}

fn lex(text: &str) -> Lexed {
    let mut lexed = Lexed { code: String::with_capacity(text.len()), strings: Vec::new() };
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some((length, content)) = string(rest, &lexed.code) {
            lexed.strings.push(content.to_owned());
            lexed.code.push_str("\"\"");
            length
        } else if letter == '\'' {
            let length = char_literal(rest);
            lexed.code.push('\'');
            length
        } else {
            lexed.code.push(letter);
            letter.len_utf8()
        };
        rest = &rest[skip..];
    }
    lexed
}

/// Length of the block comment at the start; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// Length and content of the string literal at the start, plain or raw; `before` is the code so far.
fn string<'a>(text: &'a str, before: &str) -> Option<(usize, &'a str)> {
    if let Some(raw) = text.strip_prefix('r').filter(|_| !before.ends_with(|letter| is_word(letter) && letter != 'b')) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if let Some(content) = raw[hashes..].strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let length = content.find(&end).unwrap_or(content.len());
            return Some(((2 + hashes + length + end.len()).min(text.len()), &content[..length]));
        }
    }
    let content = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = content.find(|letter| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    });
    let length = end.unwrap_or(content.len());
    Some(((length + 2).min(text.len()), &content[..length]))
}

/// Length of the character literal at the start, or 1 for the quote of a lifetime.
fn char_literal(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    match letters.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(text.len(), |end| end + 4),
        Some(_) => letters.next().filter(|(_, letter)| *letter == '\'').map_or(1, |(at, _)| at + 1),
        None => 1,
    }
}

fn top_module(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// Path below `src/` and text of every source file that is not a test module's own file.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(!files.is_empty(), "no sources below {}", root.display());
    let read = |file: &PathBuf| {
        let name = file.strip_prefix(&root).unwrap_or(file).to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (name, text)
    };
    files.iter().map(read).filter(|(name, _)| !name.ends_with("tests.rs") && !name.contains("/tests/")).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
