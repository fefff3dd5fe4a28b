//! PostgreSQL for this process: the configured one, or a private server that starts and stops with it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::config::{Config, RoleName};
use crate::store::private_server::PrivateServer;
use crate::store::{Store, StoreError, StoreOptions};
use crate::telemetry::alarms::{About, Alarm, Alarms, Cause};

/// Wait between two attempts to migrate a database that is down.
const MIGRATE_AGAIN: Duration = Duration::from_secs(1);

/// The same if an operator must act first.
const CURED_AGAIN: Duration = Duration::from_secs(5);
const MIGRATION: About = About::cause(Cause::DatabaseMigration);

/// Interval between two deletions of old carts and keys: often enough that each deletes few rows.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// The database, and the private server to stop after all its users.
pub struct Database {
    pub store: Store,
    /// The WAL reader's own credentials.
    pub cdc_url: String,
    private: Option<PrivateServer>,
}

impl Database {
    /// Starts or finds PostgreSQL. A private one is ready to use on return; a configured one may be down and come up later.
    ///
    /// # Errors
    /// If the private server cannot be started, or the configured URL is invalid.
    pub async fn start(config: &Config, data_dir: &Path) -> anyhow::Result<Self> {
        let configured = &config.postgres.database_url;
        let private = if configured.is_empty() {
            Some(PrivateServer::start(data_dir, bin_dir(config)).await.context("starting the private PostgreSQL")?)
        } else {
            None
        };
        match Self::over(config, private.as_ref()).await {
            Ok((store, cdc_url)) => Ok(Self { store, cdc_url, private }),
            Err(error) => {
                stop(private).await;
                Err(error)
            }
        }
    }

    /// The store on this server or on the configured one, and the WAL reader's URL.
    async fn over(config: &Config, private: Option<&PrivateServer>) -> anyhow::Result<(Store, String)> {
        let urls = private.map(PrivateServer::urls);
        let url = urls.map_or(&config.postgres.database_url, |urls| &urls.database);
        let cdc_url = match (config.cdc.database_url.as_str(), urls) {
            ("", Some(urls)) => urls.cdc.clone(),
            ("", None) => {
                if config.roles.contains(&RoleName::Cdc) {
                    tracing::warn!(
                        "the WAL reader uses the shop's own database role: give it one of its own with \
                         KARTSHOPPE__CDC__DATABASE_URL"
                    );
                }
                url.clone()
            }
            (own, _) => own.to_owned(),
        };
        let store = Store::new(url, options(config))?;
        if private.is_some() {
            let migrated = store.migrate().await;
            if migrated.is_err() {
                store.close().await;
            }
            migrated.context("migrating the private database")?;
        }
        Ok((store, cdc_url))
    }

    /// Migrates the database, waiting while it is down or another client's transaction holds a table. Errors that waiting cannot
    /// resolve are retried now and then, as an operator may resolve them.
    pub async fn migrate_when_up(store: Store, alarms: &Alarms) {
        let mut reported = false;
        while let Err(error) = store.migrate().await {
            let alarm = if let StoreError::Held { by } = &error {
                let text = "the database cannot be migrated: another session's open transaction locks its tables; end it";
                Some(Alarm::blocks(text).with_detail(by))
            } else if error.is_retryable() {
                None
            } else {
                Some(Alarm::blocks(incurable(&error)).with_detail(error.in_full()))
            };
            if alarm.is_none() && !reported {
                let (place, error) = (place_of(&store), error.in_full());
                tracing::warn!("cannot use PostgreSQL at {place} (DATABASE_URL) yet, trying again every second: {error}");
                reported = true;
            }
            alarms.set(MIGRATION, alarm);
            tokio::time::sleep(if error.is_retryable() { MIGRATE_AGAIN } else { CURED_AGAIN }).await;
        }
        alarms.clear(&MIGRATION);
        if reported {
            tracing::info!("the database is ready");
        }
    }

    /// Deletes old carts and keys, at once and every hour.
    pub async fn sweep_hourly(store: Store) {
        loop {
            match store.sweep().await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "deleted old carts and idempotency keys"),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "old carts and idempotency keys could not be deleted; trying again in an hour");
                }
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }

    /// Closes the connections, and stops the private server.
    pub async fn stop(self) {
        self.store.close().await;
        stop(self.private).await;
    }
}

/// The public text for errors that waiting cannot resolve.
fn incurable(error: &StoreError) -> String {
    if matches!(error, StoreError::TooOld { .. } | StoreError::Newer { .. } | StoreError::Pooled { .. }) {
        return error.to_string();
    }
    "the database could not be migrated, and waiting does not help: the operators' /readyz and the shop's log say why".to_owned()
}

async fn stop(private: Option<PrivateServer>) {
    if let Some(server) = private
        && let Err(error) = server.stop().await
    {
        tracing::warn!(%error, "the private PostgreSQL did not stop; the next start adopts it");
    }
}

/// The configured directory of the private server's programs, if any.
#[must_use]
pub fn bin_dir(config: &Config) -> Option<&Path> {
    Some(config.postgres.bin_dir.as_str()).filter(|directory| !directory.is_empty()).map(Path::new)
}

/// The store's server for messages: never the URL, which contains a password.
#[must_use]
pub fn place_of(store: &Store) -> String {
    let options = store.pool().connect_options();
    match options.get_socket() {
        Some(folder) => format!("{}:{}", folder.display(), options.get_port()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// The store's options according to the configuration.
#[must_use]
pub fn options(config: &Config) -> StoreOptions {
    StoreOptions {
        max_connections: config.postgres.max_connections,
        acquire_timeout: config.postgres.acquire_timeout,
        direct_expiry: config.orders.direct_expiry,
        probe_interval: config.orders.probe_interval,
        slot: config.cdc.slot.clone(),
    }
}
