//! What is measured, as a process: the shop's inventory, or the bare loop.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::bare;
use super::load::Load;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Shop,
    Bare,
}

/// A running process with its data directory.
pub struct Subject {
    kind: Kind,
    child: Child,
    folder: TempDir,
    instance: usize,
}

impl Subject {
    pub fn start(load: &Load, kind: Kind, instance: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = spawn(load, kind, instance, &folder);
        Self { kind, child, folder, instance }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and the same again.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn start_again(&mut self, load: &Load) {
        self.child = spawn(load, self.kind, self.instance, &self.folder);
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        self.child.wait().unwrap();
    }
}

fn spawn(load: &Load, kind: Kind, instance: usize, folder: &TempDir) -> Child {
    let out = std::fs::File::options().create(true).append(true).open(folder.path().join("out.log")).unwrap();
    let mut command = match kind {
        Kind::Bare => bare::command(load),
        Kind::Shop => {
            let mut shop = Command::new(env!("CARGO_BIN_EXE_kartshoppe"));
            shop.args(["serve", "--roles", "inventory"])
                .env("KARTSHOPPE__DATA_DIR", folder.path().join("data"))
                .env("KARTSHOPPE__LOG__KIND", "kafka")
                .env("KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS", &load.broker)
                .env("KARTSHOPPE__KAFKA__TOPIC_PREFIX", &load.prefix)
                .env("KARTSHOPPE__INSTANCE", format!("bench-{instance}"))
                .env("KARTSHOPPE__HTTP__LISTEN", "127.0.0.1:0")
                .env("KARTSHOPPE__ADMIN__LISTEN", "127.0.0.1:0")
                .env("KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE", "")
                // The inventory needs no database, and waits for none.
                .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
                .env("RUST_LOG", "warn");
            shop
        }
    };
    command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap()
}
