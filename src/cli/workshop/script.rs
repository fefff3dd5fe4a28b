//! `script`: what `make workshop` executes.

use serde_json::{Value, json};

use super::output;
use crate::workshop::{self, Chapter, Step, StepKind};

pub(super) fn print() -> anyhow::Result<()> {
    let chapters: Vec<Value> = workshop::chapters()?.iter().map(chapter).collect();
    output::json(&chapters)
}

fn chapter(chapter: &Chapter) -> Value {
    let checks: Vec<Value> = chapter.checks().map(|check| json!({"name": check.name, "always": check.always})).collect();
    json!({
        "number": chapter.number, "title": chapter.title, "file": chapter.file(), "needs": chapter.facts.needs,
        "ci": chapter.facts.ci.unwrap_or(true), "steps": chapter.steps().map(step).collect::<Vec<_>>(), "checks": checks,
    })
}

fn step(step: &Step) -> Value {
    let stop = if let StepKind::Stop(name) = &step.kind { Some(name) } else { None };
    json!({"name": step.name, "kind": step.kind.name(), "stop": stop, "text": step.text})
}
