//! Which cluster belongs to which data directory: removed, copied, moved and half-deleted ones, below an open directory and, as
//! root, below a closed one, where the cluster lies outside.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kartshoppe::store::private_server::{self, PrivateServer, PrivateServerError, Status};
use tempfile::TempDir;

use crate::store_private_server::{hold, pid_of, store, until};
use crate::support::postgres::{bin_dir, cluster_of, open_folder, product, session};

/// Where PostgreSQL's user may go, and as root also where it may not.
fn parents() -> Vec<TempDir> {
    let closed = rustix::process::geteuid().is_root().then(closed_folder);
    [open_folder()].into_iter().chain(closed).collect()
}

fn closed_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    folder
}

async fn start(data_dir: &Path) -> PrivateServer {
    PrivateServer::start(data_dir, bin_dir().as_deref()).await.unwrap()
}

async fn refusal(data_dir: &Path) -> PrivateServerError {
    PrivateServer::start(data_dir, bin_dir().as_deref()).await.unwrap_err()
}

async fn units(server: &PrivateServer) -> Vec<i64> {
    let cart = store(server).await.cart(&session("s")).await.unwrap();
    cart.lines.iter().map(|line| line.quantity.units()).collect()
}

async fn add(server: &PrivateServer, quantity: i64) {
    store(server).await.add_to_cart(&session("s"), None, &product("P"), quantity).await.unwrap();
}

/// A data directory with a stopped server, in which three units are in a cart.
async fn filled(data_dir: &Path) {
    let server = start(data_dir).await;
    add(&server, 3).await;
    server.stop().await.unwrap();
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// What a test leaves behind outside its folder.
async fn clean(data_dirs: &[&PathBuf]) {
    for data_dir in data_dirs {
        private_server::delete(data_dir).await.unwrap();
    }
}

#[tokio::test]
async fn a_removed_directory_is_a_fresh_start_and_its_database_stays() {
    for parent in parents() {
        let data_dir = parent.path().join("data");
        filled(&data_dir).await;
        let left = cluster_of(&data_dir);
        std::fs::remove_dir_all(&data_dir).unwrap();
        assert_eq!(private_server::status(&data_dir).unwrap(), Status::Absent);
        let server = start(&data_dir).await;
        assert!(units(&server).await.is_empty());
        server.stop().await.unwrap();
        if !left.starts_with(parent.path()) {
            assert!(left.join("PG_VERSION").exists(), "nothing is deleted without a request");
            std::fs::remove_dir_all(left.parent().unwrap()).unwrap();
        }
        clean(&[&data_dir]).await;
    }
}

#[tokio::test]
async fn a_removed_directory_whose_server_was_left_running_is_a_fresh_start() {
    for parent in parents() {
        let data_dir = parent.path().join("data");
        std::fs::create_dir(&data_dir).unwrap();
        let mut holder = hold(&data_dir, Command::new(std::env::current_exe().unwrap()));
        until("the child has its server", || data_dir.join("held").exists()).await;
        let left = cluster_of(&data_dir);
        let pid = rustix::process::Pid::from_raw(pid_of(&data_dir)).unwrap();
        holder.kill().unwrap();
        holder.wait().unwrap();
        std::fs::remove_dir_all(&data_dir).unwrap();
        let server = start(&data_dir).await;
        assert_ne!(pid_of(&data_dir), pid.as_raw_nonzero().get());
        assert!(store(&server).await.cart(&session("held")).await.unwrap().lines.is_empty());
        server.stop().await.unwrap();
        if left.starts_with(parent.path()) {
            // PostgreSQL notices within a minute that its files are missing.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        } else {
            assert!(!left.join("postmaster.pid").exists(), "that server is no longer needed");
            std::fs::remove_dir_all(left.parent().unwrap()).unwrap();
        }
        clean(&[&data_dir]).await;
    }
}

#[tokio::test]
async fn a_copy_of_a_stopped_directory_never_meets_the_originals_database() {
    for parent in parents() {
        let (one, two) = (parent.path().join("one"), parent.path().join("two"));
        filled(&one).await;
        copy(&one, &two);
        let original = start(&one).await;
        let has_its_own = cluster_of(&two).starts_with(&two);
        if has_its_own {
            let own = start(&two).await;
            add(&own, 4).await;
            assert_ne!(pid_of(&one), pid_of(&two));
            assert_eq!((units(&original).await, units(&own).await), (vec![3], vec![7]));
            own.stop().await.unwrap();
        } else {
            let told = refusal(&two).await;
            assert!(
                matches!(&told, PrivateServerError::Copied { owner, .. } if Path::new(owner) == one.join("postgres")),
                "{told}"
            );
            assert!(told.to_string().contains("`kartshoppe db reset`"), "{told}");
            assert!(private_server::status(&two).is_err() && private_server::urls(&two).is_err());
            private_server::reset(&two, bin_dir().as_deref()).await.unwrap();
            let own = start(&two).await;
            assert!(units(&own).await.is_empty());
            own.stop().await.unwrap();
        }
        assert_eq!(units(&original).await, [3], "the original's server runs on");
        original.stop().await.unwrap();
        assert_eq!(units(&start(&one).await).await, [3]);
        until("it is stopped", || private_server::status(&one).unwrap() == Status::Stopped).await;
        clean(&[&one, &two]).await;
    }
}

#[tokio::test]
async fn a_copy_of_a_running_directory_is_refused_and_leaves_the_original_alone() {
    for parent in parents() {
        let (one, two) = (parent.path().join("one"), parent.path().join("two"));
        let original = start(&one).await;
        add(&original, 3).await;
        copy(&one, &two);
        let pid = pid_of(&one);
        let told = refusal(&two).await.to_string();
        assert!(told.contains(&two.display().to_string()) && told.contains(&one.display().to_string()), "{told}");
        assert!(told.contains("`kartshoppe db reset`"), "{told}");
        private_server::reset(&two, bin_dir().as_deref()).await.unwrap();
        let own = start(&two).await;
        assert!(units(&own).await.is_empty());
        own.stop().await.unwrap();
        assert_eq!((pid_of(&one), units(&original).await), (pid, vec![3]));
        original.stop().await.unwrap();
        clean(&[&one, &two]).await;
    }
}

#[tokio::test]
async fn a_moved_directory_keeps_its_database() {
    for parent in parents() {
        let (one, two) = (parent.path().join("one"), parent.path().join("two"));
        std::fs::create_dir(&one).unwrap();
        let mut holder = hold(&one, Command::new(std::env::current_exe().unwrap()));
        until("the child has its server", || one.join("held").exists()).await;
        holder.kill().unwrap();
        holder.wait().unwrap();
        let pid = pid_of(&one);
        std::fs::rename(&one, &two).unwrap();
        assert_eq!(pid_of(&two), pid, "the server that was left running is known at the new path");
        let server = start(&two).await;
        assert_eq!(store(&server).await.cart(&session("held")).await.unwrap().lines[0].quantity.units(), 1);
        server.stop().await.unwrap();
        std::fs::rename(&two, &one).unwrap();
        let server = start(&one).await;
        assert_eq!(store(&server).await.cart(&session("held")).await.unwrap().lines[0].quantity.units(), 1);
        server.stop().await.unwrap();
        clean(&[&one]).await;
    }
}

#[tokio::test]
async fn a_directory_that_is_closed_later_takes_its_database_along() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root has to switch users");
        return;
    }
    let (open, closed) = (open_folder(), closed_folder());
    let (one, two) = (open.path().join("data"), closed.path().join("data"));
    filled(&one).await;
    std::fs::rename(&one, &two).unwrap();
    let server = start(&two).await;
    assert_eq!(units(&server).await, [3]);
    server.stop().await.unwrap();
    clean(&[&two]).await;
}

#[tokio::test]
async fn each_missing_file_is_created_again_or_reported_by_name() {
    for parent in parents() {
        let data_dir = parent.path().join("data");
        filled(&data_dir).await;
        let home = data_dir.join("postgres");
        for lost in ["credentials", "id"] {
            std::fs::remove_file(home.join(lost)).unwrap();
            let server = start(&data_dir).await;
            assert_eq!(units(&server).await, [3], "{lost}");
            server.stop().await.unwrap();
        }
        let cluster = cluster_of(&data_dir);
        let aside = parent.path().join("aside");
        assert!(Command::new("mv").args([&cluster, &aside]).status().unwrap().success());
        let told = refusal(&data_dir).await;
        assert!(matches!(told, PrivateServerError::Gone { .. }), "{told}");
        assert!(told.to_string().contains(&cluster.display().to_string()), "{told}");
        let other = parent.path().join("other");
        filled(&other).await;
        copy(&cluster_of(&other), &cluster);
        let told = refusal(&data_dir).await;
        assert!(matches!(told, PrivateServerError::Foreign { .. }), "{told}");
        std::fs::remove_dir_all(&cluster).unwrap();
        assert!(Command::new("mv").args([&aside, &cluster]).status().unwrap().success());
        let server = start(&data_dir).await;
        assert_eq!(units(&server).await, [3]);
        server.stop().await.unwrap();
        clean(&[&data_dir, &other]).await;
    }
}

/// What versions without ids left is adopted unchanged.
#[tokio::test]
async fn a_database_from_before_there_were_ids_is_this_directorys() {
    for parent in parents() {
        let data_dir = parent.path().join("data");
        filled(&data_dir).await;
        let cluster = cluster_of(&data_dir);
        if !cluster.starts_with(&data_dir) {
            // They named the place after the path.
            use sha2::Digest;
            let home = data_dir.join("postgres").canonicalize().unwrap();
            let hash = sha2::Sha256::digest(home.as_os_str().as_encoded_bytes());
            let name: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            let place = PathBuf::from(format!("/var/lib/kartshoppe-{name}"));
            std::fs::rename(cluster.parent().unwrap(), &place).unwrap();
            std::fs::remove_file(place.join("home")).unwrap();
            std::fs::write(home.join("location"), place.display().to_string()).unwrap();
        }
        std::fs::remove_file(data_dir.join("postgres/id")).unwrap();
        std::fs::remove_file(cluster_of(&data_dir).join("kartshoppe.id")).unwrap();
        let copied = parent.path().join("copied");
        copy(&data_dir, &copied);
        if !cluster.starts_with(&data_dir) {
            assert!(matches!(refusal(&copied).await, PrivateServerError::Copied { .. }));
        }
        for _ in 0..2 {
            let server = start(&data_dir).await;
            assert_eq!(units(&server).await, [3]);
            server.stop().await.unwrap();
        }
        clean(&[&data_dir, &copied]).await;
    }
}
