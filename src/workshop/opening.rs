//! How the shop is open between two chapters: what the guide's steps up to there have left running.

use super::chapter::{Chapter, Step, StepKind};

/// Those of `kartshoppe serve`, all of which run unless `--roles` names some.
const ROLES: [&str; 3] = ["api", "inventory", "cdc"];

/// The shop that a background step opened and no later step has closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The step's name.
    pub name: String,
    /// What opens it again, with the roles that later steps have started and stopped.
    pub command: String,
}

/// The shop that is open after a chapter, for a learner who closed it there and comes back.
#[must_use]
pub fn shop_after(chapters: &[Chapter], number: u8) -> Option<Opening> {
    let (mut shop, mut roles): (Option<(&str, &str)>, Vec<&str>) = (None, Vec::new());
    for step in chapters.iter().filter(|chapter| chapter.number <= number).flat_map(Chapter::steps) {
        match &step.kind {
            StepKind::Background if step.opens_shop() => {
                shop = step.name.as_deref().map(|name| (name, step.text.trim()));
                roles = named_roles(&step.text).unwrap_or(ROLES.to_vec());
            }
            StepKind::Stop(name) if shop.is_some_and(|(open, _)| open == name) => shop = None,
            StepKind::Run => change(&mut roles, &step.text),
            StepKind::Background | StepKind::Stop(_) | StepKind::Refused => {}
        }
    }
    shop.map(|(name, text)| Opening { name: name.to_owned(), command: with_roles(text, &roles) })
}

/// What `--roles` names in ` ARGS='--roles api,cdc'`.
fn named_roles(text: &str) -> Option<Vec<&str>> {
    let (_, rest) = text.split_once("--roles ")?;
    let end = rest.find(|next: char| !next.is_ascii_alphanumeric() && next != ',').unwrap_or(rest.len());
    Some(rest[..end].split(',').collect())
}

/// Roles that a step starts and stops by the operators' listener, in their order.
fn change<'a>(roles: &mut Vec<&'a str>, text: &'a str) {
    for call in text.split("/admin/roles/").skip(1) {
        let (role, rest) = call.split_once('/').unwrap_or_default();
        roles.retain(|running| *running != role);
        if rest.starts_with("start") {
            roles.push(role);
        }
    }
}

fn with_roles(text: &str, roles: &[&str]) -> String {
    let plain = text.split_once(" ARGS='--roles ").map_or(text, |(before, _)| before);
    let running: Vec<&str> = ROLES.into_iter().filter(|role| roles.contains(role)).collect();
    let all = running.len() == ROLES.len();
    if all { plain.to_owned() } else { format!("{plain} ARGS='--roles {}'", running.join(",")) }
}

impl Chapter {
    /// Whether its first steps close the shop or open it, so that it need not be open when the chapter begins.
    #[must_use]
    pub fn begins_closed(&self) -> bool {
        let before_commands = |step: &&Step| matches!(step.kind, StepKind::Background | StepKind::Stop(_));
        self.steps().take_while(before_commands).any(|step| step.opens_shop() || matches!(step.kind, StepKind::Stop(_)))
    }

    /// Whether it deletes what was sold before.
    #[must_use]
    pub fn empties_shop(&self) -> bool {
        self.steps().any(|step| step.kind == StepKind::Run && step.text.contains("make reset"))
    }
}

impl Step {
    /// Whether it opens the shop and keeps it open.
    #[must_use]
    pub fn opens_shop(&self) -> bool {
        let opens = ["make run", "tools/run.sh", "kartshoppe serve"];
        self.kind == StepKind::Background && opens.iter().any(|command| self.text.contains(command))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::workshop;

    #[test]
    fn the_shop_between_two_chapters_is_the_one_that_the_guide_has_left_open() {
        let all = workshop::chapters().unwrap();
        let open = |number| shop_after(all, number).map(|opening| opening.command);
        assert_eq!(open(0), None);
        for (number, command) in [
            (1, "make run ARGS='--roles api'"),
            (2, "make run ARGS='--roles api,inventory'"),
            (5, "make run ARGS='--roles api,inventory'"),
            (6, "make run"),
            (7, "make run"),
            (8, "KARTSHOPPE__INVENTORY__STALE_AFTER=20s make run"),
            (11, "KARTSHOPPE__FAULTS__ENABLED=true make run"),
            (12, "make run"),
            (13, "KARTSHOPPE__DATA_DIR=.kartshoppe make run-kafka"),
        ] {
            assert_eq!(open(number).as_deref(), Some(command), "after {number}");
        }
        assert_eq!(shop_after(all, 10).unwrap().name, "shop-again", "the first one was killed");
        let closed: Vec<u8> = all.iter().filter(|chapter| chapter.begins_closed()).map(|chapter| chapter.number).collect();
        assert_eq!(closed, [1, 9, 10, 13, 14]);
        let emptying: Vec<u8> = all.iter().filter(|chapter| chapter.empties_shop()).map(|chapter| chapter.number).collect();
        assert_eq!(emptying, [12, 13]);
    }

    #[test]
    fn every_stop_of_the_guide_ends_a_step_that_runs() {
        let mut running = BTreeSet::new();
        for chapter in workshop::chapters().unwrap() {
            let helpers: Vec<&str> =
                chapter.steps().filter(|step| !step.opens_shop()).filter_map(|step| step.name.as_deref()).collect();
            for step in chapter.steps() {
                match &step.kind {
                    StepKind::Background => drop(running.insert(step.name.as_deref().unwrap())),
                    StepKind::Stop(name) => assert!(running.remove(name.as_str()), "{}: {name} does not run", chapter.file()),
                    StepKind::Run | StepKind::Refused => {}
                }
            }
            running.retain(|name| !helpers.contains(name));
        }
    }
}
