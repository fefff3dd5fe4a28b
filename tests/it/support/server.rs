//! The real binary as a child process: started on free ports with its own data directory, killed and restarted.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use kartshoppe::data_dir::{ServerInfo, running_server};
use serde_json::Value;

/// How long a start may take: a first start creates a database cluster, on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(180);

/// A server under test. Dropping it ends the process.
pub struct Server {
    child: Option<Child>,
    data: PathBuf,
    /// Its log; by default a file in its data directory.
    output: Option<OwnedFd>,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    pub info: ServerInfo,
    pub http: reqwest::Client,
    _folder: Option<tempfile::TempDir>,
}

/// Settings of a server, besides free ports and an empty data directory.
#[derive(Default, Clone)]
pub struct Options {
    pub environment: Vec<(String, String)>,
    pub arguments: Vec<String>,
    /// An existing folder for the data directory; not set: a new one.
    pub folder: Option<PathBuf>,
}

impl Options {
    /// Sets a configuration key in its environment form.
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.environment.push((key.to_owned(), value.to_string()));
        self
    }
}

impl Server {
    /// Starts the binary and waits until it is ready.
    pub async fn start(options: Options) -> Self {
        let mut server = Self::launch(options);
        server.wait_until_ready().await;
        server
    }

    /// Starts the binary and returns at once.
    pub fn launch(options: Options) -> Self {
        Self::launch_into(options, None)
    }

    /// The same, with its standard output and error at `output`.
    pub fn launch_into(options: Options, output: Option<OwnedFd>) -> Self {
        let mut server = Self::unstarted(options);
        server.output = output;
        server.spawn();
        server
    }

    /// The command that [`Self::resume`] starts, on a data directory that does not exist yet.
    pub fn unstarted(options: Options) -> Self {
        let own = options.folder.is_none().then(|| tempfile::tempdir().unwrap());
        let folder = options.folder.unwrap_or_else(|| own.as_ref().unwrap().path().to_owned());
        let data = folder.join("data");
        Self {
            child: None,
            data,
            output: None,
            environment: options.environment,
            arguments: options.arguments,
            info: ServerInfo { pid: 0, http: None, admin: ([127, 0, 0, 1], 0).into(), roles: Vec::new(), started_at_ms: 0 },
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(30))
                .pool_idle_timeout(Duration::from_millis(300))
                .build()
                .unwrap(),
            _folder: own,
        }
    }

    /// Waits until the process reports that it is not ready, with these words among its reasons; returns all of them.
    pub async fn until_not_ready_because(&mut self, words: &str) -> String {
        let deadline = tokio::time::Instant::now() + START_LIMIT;
        let pid = self.child.as_ref().map(Child::id);
        loop {
            if let Some(info) = running_server(&self.data).filter(|info| Some(info.pid) == pid) {
                self.info = info;
                if let Ok(answer) = self.http.get(self.admin("/readyz")).send().await
                    && let Ok(told) = answer.text().await
                    && told.contains(words)
                {
                    return told;
                }
            }
            assert!(tokio::time::Instant::now() < deadline, "never not ready for {words}\n{}", self.log_tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts the binary and waits until its read model shows the whole shop.
    pub async fn start_filled(options: Options) -> Self {
        let server = Self::start(options).await;
        server.until_products(200).await;
        server
    }

    /// Starts the process on its data directory and waits until it is ready.
    pub async fn resume(&mut self) {
        self.spawn();
        self.wait_until_ready().await;
    }

    /// Starts the process and returns at once.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        std::fs::create_dir_all(&self.data).unwrap();
        let file = || File::options().create(true).append(true).open(self.log_path()).unwrap().into();
        let output: OwnedFd = self.output.as_ref().map_or_else(file, |output| output.try_clone().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_kartshoppe"));
        command.arg("serve").args(&self.arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        command
            .env("KARTSHOPPE__DATA_DIR", &self.data)
            .env("KARTSHOPPE__HTTP__LISTEN", "127.0.0.1:0")
            .env("KARTSHOPPE__ADMIN__LISTEN", "127.0.0.1:0");
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        self.child = Some(command.spawn().unwrap());
    }

    /// Waits until this process has announced its listeners and reports that it is ready.
    pub async fn wait_until_ready(&mut self) {
        let deadline = tokio::time::Instant::now() + START_LIMIT;
        let pid = self.child.as_ref().map(Child::id);
        loop {
            if let Some(info) = running_server(&self.data)
                && Some(info.pid) == pid
            {
                self.info = info;
                let ready = self.http.get(self.admin("/readyz")).send().await;
                if ready.is_ok_and(|answer| answer.status().is_success()) {
                    return;
                }
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "the server ended: {ended:?}\n{}", self.log_tail());
            assert!(tokio::time::Instant::now() < deadline, "not ready in time\n{}", self.log_tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end; the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap().code()
    }

    /// Sends a signal: stops the process (`STOP`), continues it (`CONT`), or any other.
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// The program with other arguments, on the same data directory and with the same settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kartshoppe"));
        command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env("KARTSHOPPE__DATA_DIR", &self.data);
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
    }

    /// A URL of the public listener.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.info.http.unwrap())
    }

    /// A WebSocket URL of the public listener.
    pub fn socket_url(&self, session: &str) -> String {
        format!("ws://{}/ecommerce/{session}/guest", self.info.http.unwrap())
    }

    /// A URL of the operators' listener.
    pub fn admin(&self, path: &str) -> String {
        format!("http://{}{path}", self.info.admin)
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where the process writes its log.
    pub fn log_path(&self) -> PathBuf {
        self.data.join("stderr.log")
    }

    /// The end of the process's log, for a failing test's message.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        let from = text.len().saturating_sub(6000);
        text.get(from..).unwrap_or(&text).to_owned()
    }

    /// Waits until the process has exited by itself; returns the exit code.
    pub async fn wait(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let deadline = tokio::time::Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            if tokio::time::Instant::now() > deadline {
                child.kill().unwrap();
                panic!("the server does not end\n{}", self.log_tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The database that this server uses.
    pub fn database_url(&self) -> String {
        let output = self.command(&["db", "url"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// GET as JSON; the answer must be a success.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(self.url(path)).send().await.unwrap();
        assert!(answer.status().is_success(), "GET {path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// Waits until the read model shows this many products.
    pub async fn until_products(&self, count: usize) {
        let deadline = tokio::time::Instant::now() + START_LIMIT;
        loop {
            let state = self.get("/api/ecommerce/inventory/state").await;
            if state["products"].as_array().map(Vec::len) == Some(count) {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "never {count} products: {}\n{}",
                state["totalProducts"],
                self.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the shop reports its inventory as `running`, `stopped` or another state; it queries the log once a second.
    pub async fn until_inventory(&self, wanted: &str) {
        let deadline = tokio::time::Instant::now() + START_LIMIT;
        while self.get("/api/ecommerce/status").await["inventory"] != wanted {
            assert!(tokio::time::Instant::now() < deadline, "the inventory is never {wanted}\n{}", self.log_tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// POST of JSON; status and body.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.http.post(self.url(path)).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// POST as an operator.
    pub async fn operate(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(self.admin(path)).header("x-kartshoppe-operator", "test");
        let answer = request.json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            // In order, so that a private database stops with it.
            self.terminate();
        }
        delete_with_us(&self.data);
    }
}

/// PostgreSQL's files that lie outside the data directory are deleted when the test binary ends, unless the directory still
/// exists.
fn delete_with_us(data_dir: &Path) {
    static SWEEPER: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let Ok(place) = std::fs::read_to_string(data_dir.join("postgres/location")) else { return };
    let script = r#"places=$(sort -u)
        for place in $places; do
            [ -e "$(head -n 1 "$place/home")" ] && continue
            pid=$(head -n 1 "$place/cluster/postmaster.pid") && kill -INT "$pid"
            while [ -e "$place/cluster/postmaster.pid" ] && kill -0 "$pid"; do sleep 0.1; done
            rm -rf "$place"
        done"#;
    let start = || {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Mutex::new(shell.spawn().unwrap().stdin.take().unwrap())
    };
    let mut sweeper = SWEEPER.get_or_init(start).lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(sweeper, "{}", place.trim()).unwrap();
}
