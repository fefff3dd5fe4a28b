//! The exercises as pages show them: task and hints. The command line reads them in the learner's clone instead, whose sources it
//! changes (`src/cli/workshop/exercises/`).

use std::sync::OnceLock;

use super::markup;

/// File, task and hints of these folders below `exercises/`. The whole folder would bring solutions, and what learners wrote.
macro_rules! texts {
    ($($folder:literal),+ $(,)?) => {
        [$((
            concat!("exercises/", $folder, "/README.md"),
            include_str!(concat!("../../exercises/", $folder, "/README.md")),
            include_str!(concat!("../../exercises/", $folder, "/hints.md")),
        )),+]
    };
}

const TEXTS: [(&str, &str, &str); 8] = texts![
    "01-hybrid-bootstrap",
    "02-one-state",
    "03-stale-timer",
    "04-price-drop",
    "05-dead-letters",
    "06-partial-updates",
    "07-find-the-bug",
    "08-best-sellers",
];

/// An exercise.
#[derive(Debug)]
pub struct Exercise {
    /// `E3`.
    pub place: String,
    pub title: String,
    /// Its text in the repository.
    pub file: &'static str,
    /// HTML without anything that could run.
    pub task: String,
    /// The gentlest first; HTML like the task.
    pub hints: Vec<String>,
}

/// All exercises, in their order.
#[must_use]
pub fn exercises() -> &'static [Exercise] {
    static ALL: OnceLock<Vec<Exercise>> = OnceLock::new();
    ALL.get_or_init(|| TEXTS.into_iter().filter_map(|(file, text, hints)| read(file, text, hints)).collect())
}

/// An exercise by its text, whose first line is `# E3: Title`.
fn read(file: &'static str, text: &str, hints: &str) -> Option<Exercise> {
    let (head, task) = text.split_once('\n')?;
    let (place, title) = head.strip_prefix("# ")?.split_once(": ")?;
    let hints = split_hints(hints).iter().map(|hint| markup::article(hint, file)).collect();
    Some(Exercise { place: place.to_owned(), title: title.to_owned(), file, task: markup::article(task, file), hints })
}

/// The hints in their file, the gentlest first: the parts below `## 1`, `## 2` and so on.
#[must_use]
pub fn split_hints(text: &str) -> Vec<String> {
    let mut hints: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.strip_prefix("## ").is_some_and(|rest| rest.parse::<u8>().is_ok()) {
            hints.push(String::new());
        } else if let Some(hint) = hints.last_mut() {
            hint.push_str(line);
            hint.push('\n');
        }
    }
    hints.iter().map(|hint| hint.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn hints_are_the_parts_below_numbered_headings() {
        let text = "before\n## 1\n\nfirst\n\n## 2\nsecond\n### 3\nmore\n## three\nand more\n";
        assert_eq!(split_hints(text), ["first", "second\n### 3\nmore\n## three\nand more"]);
    }

    #[test]
    fn every_folder_is_an_exercise_of_its_number() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut folders: Vec<String> = fs::read_dir(root.join("exercises"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
            .collect();
        folders.sort();
        assert_eq!(folders.len(), exercises().len());
        for ((number, folder), exercise) in (1..).zip(folders).zip(exercises()) {
            assert_eq!(
                (exercise.place.clone(), exercise.file),
                (format!("E{number}"), &*format!("exercises/{folder}/README.md"))
            );
            assert_eq!(exercise.hints.len(), 3, "{folder}");
            let facts = fs::read_to_string(root.join("exercises").join(&folder).join("exercise.toml")).unwrap();
            assert!(facts.contains(&format!("title = \"{}\"\n", exercise.title)), "{folder}: its title is another one there");
            assert!(exercise.task.contains("<h2>Task</h2>") && !exercise.task.contains("<h1>"), "{folder}");
        }
    }
}
