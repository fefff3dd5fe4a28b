//! Which data directory the workshop's commands mean: the same one in every folder of a clone, as `make run` uses it.

use std::path::{Path, PathBuf};

use crate::data_dir;

/// The data directory of commands in this folder. A relative one belongs to the clone around the folder: that of the nearest folder in
/// which a shop was opened, else that of the clone's top folder.
pub(super) fn data_dir(configured: &Path, here: &Path) -> PathBuf {
    let Some(clone) = here.ancestors().find(|folder| is_clone(folder)) else { return configured.to_owned() };
    let within = here.ancestors().take_while(|folder| folder.starts_with(clone));
    let opened = within.clone().find(|folder| data_dir::was_opened(&folder.join(configured)));
    match opened.unwrap_or(clone) {
        // As it is configured, which is shorter to read.
        folder if folder == here => configured.to_owned(),
        folder => folder.join(configured.strip_prefix(".").unwrap_or(configured)),
    }
}

fn is_clone(folder: &Path) -> bool {
    folder.join("exercises").is_dir() && folder.join("tools/cargo.sh").is_file()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_folder_of_a_clone_has_one_data_directory() {
        let folder = tempfile::tempdir().unwrap();
        let clone = folder.path().join("clone");
        for inner in ["exercises", "tools", "src/actors", "ui/src"] {
            fs::create_dir_all(clone.join(inner)).unwrap();
        }
        let configured = Path::new("./.kartshoppe");
        let from = |inner: &str| data_dir(configured, &clone.join(inner));
        assert_eq!(from("src/actors"), configured, "no clone");
        fs::write(clone.join("tools/cargo.sh"), "").unwrap();
        let top = clone.join(".kartshoppe");
        assert_eq!([from("src"), from("src/actors"), from("ui/src")], [top.clone(), top.clone(), top.clone()]);
        assert_eq!(data_dir(configured, &clone), configured);
        assert_eq!(data_dir(configured, folder.path()), configured, "outside of the clone");
        assert_eq!(data_dir(Path::new("/elsewhere"), &clone.join("src")), Path::new("/elsewhere"));
        // A folder that holds only progress is not a shop's; one that a shop was opened in is.
        fs::create_dir_all(clone.join("ui/.kartshoppe")).unwrap();
        fs::write(clone.join("ui/.kartshoppe/workshop.json"), "{}").unwrap();
        assert_eq!(from("ui/src"), top);
        drop(data_dir::DataDir::open(&clone.join("ui/.kartshoppe"), "").unwrap());
        assert_eq!([from("ui/src"), from("ui"), from("src")], [clone.join("ui/.kartshoppe"), configured.to_owned(), top]);
    }
}
