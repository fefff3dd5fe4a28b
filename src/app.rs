//! The only wiring: the parts of this process and the order in which they start; they stop in reverse.
//!
//! ```text
//!  data directory ─► telemetry ─► event log ─► PostgreSQL ─► root ─► operators' listener ─► roles: inventory, cdc, api
//!  SIGTERM, or another process of the same name: readyz 503 ─► roles in reverse (pages closed, work committed)
//!      ─► operators ─► PostgreSQL ─► event log ─► telemetry
//! ```

mod api;
pub mod backup;
mod database;
mod door;
mod event_log;
mod figures;
mod known_log;
mod progress;
mod signals;
pub mod stage_marks;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio_util::task::AbortOnDropHandle;

use self::api::Api;
pub use self::database::{Database, bin_dir, options as store_options, place_of};
pub use self::event_log::{Log, folder as event_log_folder};
pub use self::signals::{Second, StopSignals};
use crate::actors::faults::FaultBoard;
use crate::actors::inventory::{Inventory, InventoryConfig};
use crate::actors::role::SupervisionContext;
use crate::actors::root::{RoleSpec, RootHandle};
use crate::actors::stats::Directory;
use crate::actors::supervision::RestartPolicy;
use crate::api::server::Server;
use crate::clock::Clock;
use crate::config::{Admin, Config, RoleName, ShownKey, Supervision};
use crate::data_dir::{DataDir, ServerInfo, operator_token};
use crate::sources::log_source::feed_from_log;
use crate::sources::wal::{Wal, WalConfig};
use crate::telemetry::alarms::Alarms;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::setup;

/// How long exporting the last spans and log lines may take.
const TELEMETRY_PATIENCE: Duration = Duration::from_secs(4);

/// What every part of this process is built from.
struct Parts {
    config: Arc<Config>,
    /// Every key as operators see it.
    settings: Arc<Vec<ShownKey>>,
    clock: Clock,
    metrics: Metrics,
    supervision: SupervisionContext,
    tracing: bool,
    operator_token: Option<String>,
    /// Says something on the terminal that the log must not hold.
    tell: fn(&str),
}

/// Runs the shop until it is asked to stop; returns whether it ended well. Errors are in its log then. `settings` is the
/// configuration as operators see it. `tell` prints what must reach the terminal only: the console's address with the token.
///
/// # Errors
/// If the data directory, the operators' token or the log cannot be opened: there is no log yet to report it.
pub async fn serve(config: Config, settings: Vec<ShownKey>, tell: fn(&str)) -> anyhow::Result<bool> {
    let data = DataDir::open(&config.data_dir, &config.instance)?;
    let operator_token = operator_token(&config.admin, data.root())?;
    let telemetry = setup::start(&config, Some(&data.root().join("logs")), data.instance())?;
    let parts = Parts {
        clock: if config.faults.enabled { Clock::steppable() } else { Clock::system() },
        metrics: Metrics::default(),
        supervision: supervision(&config.supervision),
        config: Arc::new(config),
        settings: Arc::new(settings),
        tracing: telemetry.is_tracing(),
        operator_token,
        tell,
    };
    let result = run(&parts, &data, &telemetry).await;
    if let Err(error) = &result {
        tracing::error!("the shop cannot go on: {error:#}");
    }
    let _ = tokio::time::timeout(TELEMETRY_PATIENCE, telemetry.shutdown()).await;
    Ok(result.is_ok())
}

/// The operators' token; `None` if the listener is for this machine alone and no token was created.
fn operator_token(admin: &Admin, root: &Path) -> anyhow::Result<Option<String>> {
    let token = operator_token::prepare(root, admin.create_token)?;
    if token.is_none() && !admin.listen.ip().to_canonical().is_loopback() {
        anyhow::bail!(
            "admin.listen is {}, where others than this machine reach the operators' listener, and there is no token: set \
             admin.create_token to true (KARTSHOPPE__ADMIN__CREATE_TOKEN=true), or write one to {} with mode 0600",
            admin.listen,
            root.join(operator_token::FILE).display()
        );
    }
    Ok(token)
}

async fn run(parts: &Parts, data: &DataDir, telemetry: &setup::Guard) -> anyhow::Result<()> {
    let stop = StopSignals::listen(Second::Ends)?;
    telemetry.register(&parts.metrics);
    let supervision = &parts.supervision;
    let opened = Log::open(&parts.config, data.root(), &parts.clock, &supervision.faults, &supervision.alarms);
    let Some(log) = stop.unless_requested(opened).await? else { return Ok(()) };
    let result = run_on(&log, parts, data, &stop).await;
    log.close().await;
    result
}

async fn run_on(log: &Log, parts: &Parts, data: &DataDir, stop: &StopSignals) -> anyhow::Result<()> {
    let Some(database) = stop.unless_requested(Database::start(&parts.config, data.root())).await? else { return Ok(()) };
    let result = match Shop::open(parts, log, &database, data.instance()).await {
        Ok(shop) => {
            let served = shop.serve(parts, data, stop).await;
            shop.close(parts).await;
            served
        }
        Err(error) => Err(error),
    };
    database.stop().await;
    result
}

/// The running parts above log and database.
struct Shop {
    root: RootHandle,
    api: Api,
    operators: Server,
    inventory: Inventory,
    watches: Vec<AbortOnDropHandle<()>>,
    _upkeep: AbortOnDropHandle<()>,
}

impl Shop {
    async fn open(parts: &Parts, log: &Log, database: &Database, instance: &str) -> anyhow::Result<Self> {
        known_log::prove(log, &database.store, &parts.supervision.alarms).await?;
        let settings = InventoryConfig::new(&parts.config.inventory, instance);
        let inventory = Inventory::new(log.log.clone(), &settings, parts.clock.clone(), &parts.supervision, feed_from_log);
        let reader = WalConfig::new(&database.cdc_url, &parts.config.cdc.slot);
        let wal = Wal::after_migrations(log.log.clone(), reader, &parts.supervision, &database.store);
        wal.register(&parts.metrics);
        let api = Api::prepare(parts, log.log.clone(), &database.store, settings.rules).await?;
        let roles = vec![
            RoleSpec { name: RoleName::Inventory.as_str(), children: inventory.children.clone() },
            RoleSpec { name: RoleName::Cdc.as_str(), children: wal.children.clone() },
            RoleSpec { name: RoleName::Api.as_str(), children: api.children(parts) },
        ];
        let root = RootHandle::spawn(&parts.supervision, roles).await.context("starting the root")?;
        parts.supervision.alarms.register(&parts.metrics);
        figures::register(&parts.metrics, &parts.supervision.directory, &inventory, log.log.clone());
        let operators = api.open_operators(parts, &root, &inventory, &wal, instance).await?;
        let (store, alarms) = (database.store.clone(), parts.supervision.alarms.clone());
        let upkeep = AbortOnDropHandle::new(tokio::spawn(async move {
            Database::migrate_when_up(store.clone(), &alarms).await;
            Database::sweep_hourly(store).await;
        }));
        let progress = api.progress(parts, &root, instance);
        progress.lags.register(&parts.metrics);
        progress.pending.register(&parts.metrics);
        figures::register_process(parts, &database.store);
        let watches = vec![
            AbortOnDropHandle::new(tokio::spawn(progress::watch(progress))),
            AbortOnDropHandle::new(tokio::spawn(api.watch_readiness(parts))),
            AbortOnDropHandle::new(tokio::spawn(wal.measure(parts.config.roles.contains(&RoleName::Cdc)))),
        ];
        Ok(Self { root, api, operators, inventory, watches, _upkeep: upkeep })
    }

    /// Starts the configured roles, announces the listeners, and waits for the signal to stop, or until another process takes the
    /// name of this one: then this one ends too, as the two would keep taking the partitions from each other.
    async fn serve(&self, parts: &Parts, data: &DataDir, stop: &StopSignals) -> anyhow::Result<()> {
        for role in RoleName::ALL.into_iter().filter(|role| parts.config.roles.contains(role)) {
            self.root.start(role.as_str()).await.with_context(|| format!("starting the role {}", role.as_str()))?;
        }
        self.api.set_started();
        let (http, admin) = (self.api.address(), self.operators.address());
        data.announce(&ServerInfo {
            pid: std::process::id(),
            http: Some(http),
            admin,
            roles: parts.config.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            started_at_ms: parts.clock.now_ms(),
        })?;
        tracing::info!(shop = %url(http), operators = %url(admin), data = %data.root().display(),
            "the listeners are open; /readyz says when the shop sells");
        if let Some(token) = &parts.operator_token {
            (parts.tell)(&format!("the operators' console (keep this link secret): {}", console_link(&url(admin), token)));
        }
        let result = tokio::select! {
            () = stop.wait() => Ok(()),
            why = self.inventory.fenced() => Err(anyhow::anyhow!(why)),
        };
        tracing::info!("stopping: pages are notified, work under way is committed; a second signal ends at once");
        result
    }

    /// Stops everything in reverse order.
    async fn close(self, parts: &Parts) {
        self.api.set_draining();
        let delay = parts.config.http.drain_delay;
        if !delay.is_zero() {
            tracing::info!(?delay, "/readyz says that the process stops; the listeners answer for this long");
            tokio::time::sleep(delay).await;
        }
        self.watches.iter().for_each(AbortOnDropHandle::abort);
        if let Err(error) = self.root.stop_all().await {
            tracing::warn!(%error, "the roles did not stop in order");
        }
        self.operators.drain(parts.config.http.drain_timeout).await;
    }
}

fn supervision(section: &Supervision) -> SupervisionContext {
    SupervisionContext {
        alarms: Alarms::default(),
        directory: Directory::default(),
        faults: FaultBoard::default(),
        restart: RestartPolicy {
            intensity: section.restart_intensity,
            window: section.restart_window,
            backoff_min: section.backoff_min,
            backoff_max: section.backoff_max,
        },
        hang_after: section.hang_after,
    }
}

/// The console's address with the token behind `#`, which a browser sends to no server.
fn console_link(url: &str, token: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    format!("{url}/#token={}", token.bytes().map(encoded).collect::<String>())
}

/// As a person would type it.
fn url(address: SocketAddr) -> String {
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        format!("http://localhost:{}", address.port())
    } else {
        format!("http://{address}")
    }
}

/// Refuses operations that must not run beside a server.
///
/// # Errors
/// If a server runs on this data directory.
pub fn refuse_while_running(data_dir: &Path) -> anyhow::Result<()> {
    if let Some(server) = crate::data_dir::running_server(data_dir) {
        anyhow::bail!("the shop is running on {} (process {}): stop it first", data_dir.display(), server.pid);
    }
    anyhow::ensure!(!crate::data_dir::is_locked(data_dir), "another process uses {}: stop it first", data_dir.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operators_address_for_others_needs_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let admin = |listen: &str, create_token| Admin {
            listen: listen.parse().unwrap(),
            allowed_hosts: Vec::new(),
            create_token,
            writes: true,
            peers: Vec::new(),
        };
        for alone in ["127.0.0.1:0", "127.8.8.8:1", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
            assert_eq!(operator_token(&admin(alone, false), folder.path()).unwrap(), None, "{alone}");
        }
        for others in ["0.0.0.0:9464", "[::]:0", "192.0.2.7:0", "[::ffff:192.0.2.7]:0"] {
            let refused = operator_token(&admin(others, false), folder.path()).unwrap_err().to_string();
            for said in ["admin.listen", "admin.create_token", "operator.token", "0600"] {
                assert!(refused.contains(said), "{others}: {refused}");
            }
        }
        let made = operator_token(&admin("0.0.0.0:9464", true), folder.path()).unwrap();
        assert_eq!(operator_token(&admin("127.0.0.1:0", false), folder.path()).unwrap(), made);
    }

    #[test]
    fn the_link_keeps_the_token_behind_the_hash() {
        assert_eq!(console_link("http://localhost:9464", "a+b/c=~"), "http://localhost:9464/#token=a%2Bb%2Fc%3D~");
    }
}
