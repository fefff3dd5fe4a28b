//! Reads the layers (defaults, files, environment, flags) and reports all problems at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Config;

/// The compiled-in list of keys and defaults.
const DEFAULTS: &str = include_str!("../../config/default.toml");
/// Keys below this one are not checked: any librdkafka property.
pub(super) const OPEN_SECTION: &str = "kafka.properties.";
const ENV_PREFIX: &str = "KARTSHOPPE__";

/// Where to read from.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Folder of `default.toml` and `{profile}.toml`; the folder may be missing, a named profile may not.
    pub folder: PathBuf,
    pub profile: Option<String>,
    /// The process environment.
    pub environment: Vec<(String, String)>,
    /// `key = value` from the command line, by dotted key.
    pub flags: Vec<(&'static str, String)>,
}

/// A configuration with the origin of each key.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// Dotted key → value as text and its origin.
    pub origins: BTreeMap<String, (Value, String)>,
}

/// Every problem of the configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has a problem:")?,
            problems => write!(f, "the configuration has {problems} problems:")?,
        }
        self.0.iter().try_for_each(|line| write!(f, "\n  - {line}"))
    }
}

impl std::error::Error for ConfigError {}

/// A value that a layer sets.
struct Setting {
    key: String,
    value: Value,
    origin: String,
}

pub(super) fn load(options: &LoadOptions) -> Result<Loaded, ConfigError> {
    let mut problems = Vec::new();
    let defaults: Table = DEFAULTS.parse().map_err(|error| ConfigError(vec![format!("built-in defaults: {error}")]))?;
    let known = flatten(&defaults);
    let mut settings = file_layers(options, &mut problems);
    settings.extend(environment_layer(&options.environment, &mut problems));
    settings.extend(options.flags.iter().map(|(key, value)| text_setting(key, value, format!("flag for {key}"))));

    let mut origins: BTreeMap<_, _> =
        known.iter().map(|(key, value)| (key.clone(), (value.clone(), "default".to_owned()))).collect();
    let mut effective = defaults.clone();
    for setting in settings {
        match accept(&setting, &known, &defaults) {
            Ok(value) => {
                insert(&mut effective, &setting.key, value.clone());
                origins.insert(setting.key, (value, setting.origin));
            }
            Err(problem) => problems.push(format!("{} ({}): {problem}", setting.key, setting.origin)),
        }
    }
    if !problems.is_empty() {
        return Err(ConfigError(problems));
    }
    let config: Config = effective.try_into().map_err(|error: toml::de::Error| ConfigError(vec![error.message().to_owned()]))?;
    let problems = config.problems();
    if problems.is_empty() {
        return Ok(Loaded { config, origins });
    }
    let line = |(key, text): (&str, String)| {
        let origin = origins.get(key).map_or("default", |(_, origin)| origin.as_str());
        format!("{key} ({origin}): {text}")
    };
    Err(ConfigError(problems.into_iter().map(line).collect()))
}

/// Validates one setting alone against the defaults, so that one bad value does not hide another.
fn accept(setting: &Setting, known: &BTreeMap<String, Value>, defaults: &Table) -> Result<Value, String> {
    let open = setting.key.starts_with(OPEN_SECTION);
    let Some(example) = known.get(&setting.key).or(open.then_some(&EMPTY_TEXT)) else {
        return Err(unknown_key(&setting.key, known));
    };
    let value = coerce(&setting.value, example).ok_or_else(|| format!("expected {}", expected(example)))?;
    let mut trial = defaults.clone();
    insert(&mut trial, &setting.key, value.clone());
    match trial.try_into::<Config>() {
        Ok(_) => Ok(value),
        Err(error) => Err(error.message().to_owned()),
    }
}

static EMPTY_TEXT: Value = Value::String(String::new());

fn unknown_key(key: &str, known: &BTreeMap<String, Value>) -> String {
    let last = key.rsplit('.').next().unwrap_or(key);
    let near = known.keys().find(|candidate| candidate.rsplit('.').next() == Some(last));
    near.map_or_else(|| "unknown key".to_owned(), |near| format!("unknown key; did you mean {near}?"))
}

/// Converts text from the environment or a flag to the type of the default.
fn coerce(value: &Value, example: &Value) -> Option<Value> {
    if let (Value::Integer(number), Value::Float(_)) = (value, example) {
        return i32::try_from(*number).ok().map(|number| Value::Float(f64::from(number)));
    }
    let Value::String(text) = value else {
        return (value.same_type(example)).then(|| value.clone());
    };
    let text = text.trim();
    match example {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        Value::Float(_) => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float),
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

fn expected(example: &Value) -> &'static str {
    match example {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list",
        Value::Float(_) => "a number",
        Value::Datetime(_) | Value::Table(_) => "a section",
    }
}

fn file_layers(options: &LoadOptions, problems: &mut Vec<String>) -> Vec<Setting> {
    let mut settings = Vec::new();
    let base = options.folder.join("default.toml");
    if base.exists() {
        settings.extend(file_layer(&base, problems));
        // A copied default is no setting: only values that differ have that file as their origin.
        let known = DEFAULTS.parse::<Table>().map(|table| flatten(&table)).unwrap_or_default();
        settings.retain(|setting| known.get(&setting.key) != Some(&setting.value));
    }
    if let Some(profile) = &options.profile {
        let path = options.folder.join(format!("{profile}.toml"));
        if path.exists() {
            settings.extend(file_layer(&path, problems));
        } else {
            problems.push(format!("profile {profile}: there is no {}", path.display()));
        }
    }
    settings
}

fn file_layer(path: &Path, problems: &mut Vec<String>) -> Vec<Setting> {
    let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
    match read.and_then(|text| text.parse::<Table>().map_err(|error| told_without_text(&error, &text))) {
        Ok(table) => {
            let origin = path.display().to_string();
            flatten(&table).into_iter().map(|(key, value)| Setting { key, value, origin: origin.clone() }).collect()
        }
        Err(error) => {
            problems.push(format!("{}: {error}", path.display()));
            Vec::new()
        }
    }
}

/// The library's own words quote the line, and with it whatever secret stands there.
fn told_without_text(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, error.message())
}

fn environment_layer(environment: &[(String, String)], problems: &mut Vec<String>) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (name, value) in environment {
        if name == "DATABASE_URL" && !value.trim().is_empty() {
            settings.push(text_setting("postgres.database_url", value, name.clone()));
        } else if let Some(path) = name.strip_prefix(ENV_PREFIX) {
            if path.is_empty() || path.contains("____") {
                problems.push(format!("{name}: expected KARTSHOPPE__SECTION__KEY"));
                continue;
            }
            settings.push(text_setting(&dotted(path), value, name.clone()));
        }
    }
    // The environment has no order; a key that is set twice (DATABASE_URL and its long form) is sorted by variable name.
    settings.sort_by(|a, b| a.origin.cmp(&b.origin));
    settings
}

/// `KAFKA__PROPERTIES__SASL_USERNAME` → `kafka.properties.sasl.username`; other names are lower-cased and dotted.
fn dotted(path: &str) -> String {
    let key = path.to_ascii_lowercase().replace("__", ".");
    match key.strip_prefix(OPEN_SECTION) {
        Some(property) => format!("{OPEN_SECTION}{}", property.replace('_', ".")),
        None => key,
    }
}

fn text_setting(key: &str, value: &str, origin: String) -> Setting {
    Setting { key: key.to_owned(), value: Value::String(value.to_owned()), origin }
}

fn flatten(table: &Table) -> BTreeMap<String, Value> {
    fn walk(prefix: &str, table: &Table, into: &mut BTreeMap<String, Value>) {
        for (key, value) in table {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            if let Value::Table(inner) = value {
                walk(&path, inner, into);
            } else {
                into.insert(path, value.clone());
            }
        }
    }
    let mut flat = BTreeMap::new();
    walk("", table, &mut flat);
    flat
}

fn insert(table: &mut Table, key: &str, value: Value) {
    let (section, name) = match key.strip_prefix(OPEN_SECTION) {
        Some(property) => (OPEN_SECTION.trim_end_matches('.'), property),
        None => key.rsplit_once('.').unwrap_or(("", key)),
    };
    let mut place = table;
    for part in section.split('.').filter(|part| !part.is_empty()) {
        let next = place.entry(part).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = next else { return };
        place = inner;
    }
    place.insert(name.to_owned(), value);
}
