//! The files of `docs/reference/`: written by `make wire`, and held current by the tests that generate them.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// Set by `make wire`: the folder that is written instead of compared.
const INTO: &str = "REFERENCE_DIR";

/// Compares a document with the committed file, or writes the file where [`INTO`] says so.
pub(super) fn is_current(name: &str, document: &Value) {
    if let Some(folder) = std::env::var_os(INTO) {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(Path::new(&folder).join(name), serde_json::to_string_pretty(document).unwrap() + "\n").unwrap();
        return;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    let committed = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    assert!(committed.as_ref() == Some(document), "docs/reference/{name} is stale: run `make wire`, and commit what changed");
}

/// Checks that every `$ref` of a document leads somewhere in it, and counts them.
pub(super) fn all_resolve(document: &Value) -> usize {
    let mut found = BTreeSet::new();
    references(document, &mut found);
    for reference in &found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }
    found.len()
}

/// Every reference, wherever it is.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    if let Some(reference) = value["$ref"].as_str() {
        found.insert(reference);
    }
    value.as_object().into_iter().flat_map(|object| object.values()).for_each(|inner| references(inner, found));
    value.as_array().into_iter().flatten().for_each(|inner| references(inner, found));
}
