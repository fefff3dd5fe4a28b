//! The role `api`: read model, fan-out, orders, and the two listeners.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;

use super::door::{Door, OpenShop};
use super::progress::{Lags, PendingOrders, WorkProgress};
use super::{Parts, figures};
use crate::actors::alert_desk::{AlertDesk, AlertHandle};
use crate::actors::catalog_view::{CatalogHandle, CatalogView};
use crate::actors::fanout::{FanoutHandle, FanoutSettings, WebSocketFanout};
use crate::actors::inventory::{INVENTORY_GROUP, Inventory};
use crate::actors::order_publisher::{OrderPublisher, PublisherHandle, PublisherSettings};
use crate::actors::order_tracker::{OrderTracker, TrackerHandle, TrackerParts};
use crate::actors::role::MakeChildren;
use crate::actors::root::RootHandle;
use crate::api::figures::{HttpFigures, ShopFigures};
use crate::api::health::{Readiness, SignOfLife, alarm_of_log};
use crate::api::operators::flow::{FlowSources, Watch};
use crate::api::packed::Packed;
use crate::api::recorder::Recorder;
use crate::api::server::{Lifeline, Limits, Seats, Server, bind, raise_file_limit};
use crate::api::shop::affinity::AffinityHandle;
use crate::api::shop::orders::{self, TracePages};
use crate::api::shop::status::{StatusBoard, StatusSources};
use crate::api::state::{Operators, Process, Shop};
use crate::api::tracked_budget::TrackedBudget;
use crate::config::{LogKind, RoleName};
use crate::domain::inventory::Rules;
use crate::log::{EventLog, LogError, Topic, TopicPartition};
use crate::sources::wal::Wal;
use crate::store::Store;
use crate::telemetry::alarms::{Alarm, Cause};

/// The log counts as unavailable if it does not answer within this time; shorter than the time-out of clients that query
/// readiness.
const LOG_PATIENCE: Duration = Duration::from_millis(2_900);
/// The configuration key to name if the operators' port is in use.
const ADMIN_KEY: &str = "KARTSHOPPE__ADMIN__LISTEN";

/// The api's parts. They outlive its actors, so that restarted actors find their state.
pub(super) struct Api {
    log: Arc<dyn EventLog>,
    store: Store,
    catalog: CatalogHandle,
    fanout: FanoutHandle,
    alerts: AlertHandle,
    publisher: PublisherHandle,
    tracker: TrackerHandle,
    http: HttpFigures,
    figures: ShopFigures,
    door: Door,
    late: Arc<OnceLock<Late>>,
}

/// What exists only when the root does.
struct Late {
    roots: RootHandle,
    readiness: Readiness,
}

impl Api {
    /// Builds the parts and binds the shop's address; nothing runs yet.
    pub(super) async fn prepare(parts: &Parts, log: Arc<dyn EventLog>, store: &Store, rules: Rules) -> anyhow::Result<Self> {
        let config = &parts.config;
        let catalog = CatalogHandle::new();
        let settings =
            FanoutSettings { cache_sync_max: config.ws.cache_sync_max, heartbeat_interval: config.ws.heartbeat_interval };
        let fanout = FanoutHandle::new(catalog.clone(), settings, parts.clock.clone());
        let settings = PublisherSettings {
            direct_expiry: config.orders.direct_expiry,
            publish_timeout: config.orders.publish_timeout,
            max_clock_skew: config.orders.max_clock_skew,
        };
        let publisher = PublisherHandle::new(settings, parts.clock.clone());
        let tracker = TrackerHandle::new(publisher.gate().clone());
        figures::register_orders(&parts.metrics, &publisher, &tracker);
        let late = Arc::new(OnceLock::new());
        let http = HttpFigures::register(&parts.metrics);
        let shop_figures = ShopFigures::register(&parts.metrics, &http, &fanout);
        let shop = ShopParts {
            config: config.clone(),
            clock: parts.clock.clone(),
            log: log.clone(),
            store: store.clone(),
            catalog: catalog.clone(),
            fanout: fanout.clone(),
            publisher: publisher.clone(),
            figures: shop_figures.clone(),
            budget: Arc::new(budget(parts)),
            tracing: parts.tracing,
            late: late.clone(),
        };
        let limits = Limits::new(&config.http, &config.ws, raise_file_limit());
        let open: OpenShop = Arc::new(move |listener, lifeline| shop.open(listener, lifeline, &limits));
        let door = Door::take(config.http.listen, config.http.drain_timeout, open, &parts.supervision).await?;
        let alerts = AlertHandle::new(catalog.clone(), rules);
        Ok(Self {
            log,
            store: store.clone(),
            catalog,
            fanout,
            alerts,
            publisher,
            tracker,
            http,
            figures: shop_figures,
            door,
            late,
        })
    }

    /// The role's children: dependencies start first, the shop's listener last.
    pub(super) fn children(&self, parts: &Parts) -> MakeChildren {
        let context = parts.supervision.clone();
        let (log, clock) = (self.log.clone(), parts.clock.clone());
        let (catalog, fanout, alerts) = (self.catalog.clone(), self.fanout.clone(), self.alerts.clone());
        let (publisher, tracker, door) = (self.publisher.clone(), self.tracker.clone(), self.door.clone());
        let (rendering, timing) = (catalog.clone(), clock.clone());
        let traces = trace_pages(&parts.config, parts.tracing);
        let tracking = TrackerParts {
            log: log.clone(),
            store: self.store.clone(),
            fanout: fanout.clone(),
            render: Arc::new(move |order| orders::view(order, &rendering, &timing, &traces)),
            clock: clock.clone(),
        };
        Arc::new(move || {
            vec![
                CatalogView::child(&context, log.clone(), &catalog, clock.clone()),
                WebSocketFanout::child(&context, log.clone(), &fanout),
                AlertDesk::child(&context, log.clone(), &alerts),
                OrderTracker::child(&context, tracking.clone(), &tracker),
                OrderPublisher::child(&context, log.clone(), &publisher),
                door.child(&context),
            ]
        })
    }

    /// Opens the operators' listener, which stays open while roles are started and stopped.
    pub(super) async fn open_operators(
        &self,
        parts: &Parts,
        root: &RootHandle,
        inventory: &Inventory,
        wal: &Wal,
        instance: &str,
    ) -> anyhow::Result<Server> {
        let config = &parts.config;
        let signs = SignsOfLife { log: self.log.clone(), wal: wal.clone(), inventory: inventory.clone() };
        let sign_of_life: SignOfLife = Box::new(move |roles| Box::pin(signs.clone().ask(roles)));
        let (store, catalog, alarms) = (self.store.clone(), self.catalog.clone(), parts.supervision.alarms.clone());
        let readiness = Readiness::new(root.clone(), store, catalog, alarms, sign_of_life);
        // Set once, right here; the role starts after this.
        let _ = self.late.set(Late { roots: root.clone(), readiness: readiness.clone() });
        let lifeline = Lifeline::default();
        let operators = Operators {
            config: config.clone(),
            clock: parts.clock.clone(),
            log: self.log.clone(),
            roles: root.clone(),
            faults: parts.supervision.faults.clone(),
            directory: parts.supervision.directory.clone(),
            shards: inventory.shards.clone(),
            alerts: self.alerts.clone(),
            store: self.store.clone(),
            metrics: parts.metrics.clone(),
            figures: self.http.of("operators"),
            readiness,
            process: Process {
                instance: instance.to_owned(),
                started_at_ms: parts.clock.now_ms(),
                shop: super::url(self.address()),
                tracing: parts.tracing,
                settings: parts.settings.clone(),
            },
            wal: wal.clone(),
            watch: Watch::new(self.flow_sources(parts, inventory, wal), &lifeline),
            lifeline: lifeline.clone(),
        };
        let listener = bind(config.admin.listen, ADMIN_KEY).await?;
        let limits = Limits::for_operators(&config.http);
        Ok(crate::api::serve_operators(listener, Arc::new(operators), parts.operator_token.clone(), limits, lifeline)?)
    }

    fn flow_sources(&self, parts: &Parts, inventory: &Inventory, wal: &Wal) -> FlowSources {
        FlowSources {
            clock: parts.clock.clone(),
            log: self.log.clone(),
            is_embedded: parts.config.log.kind == LogKind::Embedded,
            store: self.store.clone(),
            catalog: self.catalog.clone(),
            fanout: self.fanout.clone(),
            publisher: self.publisher.clone(),
            tracker: self.tracker.clone(),
            alerts: self.alerts.clone(),
            inventory: inventory.clone(),
            wal: wal.clone(),
            shop: self.figures.clone(),
            alarms: parts.supervision.alarms.clone(),
            directory: parts.supervision.directory.clone(),
            roles: parts.config.roles.clone(),
        }
    }

    /// Evaluates readiness regularly, so that its alarms are current even if no client calls `/readyz`; ends with the process.
    pub(super) fn watch_readiness(&self, parts: &Parts) -> impl Future<Output = ()> + Send + 'static {
        let readiness = self.late.get().map(|late| late.readiness.clone());
        let every = parts.config.health.look_every();
        async move {
            while let Some(readiness) = &readiness {
                tokio::time::sleep(every).await;
                readiness.check().await;
            }
        }
    }

    /// The parts whose progress is watched.
    pub(super) fn progress(&self, parts: &Parts, roots: &RootHandle, instance: &str) -> WorkProgress {
        WorkProgress {
            log: self.log.clone(),
            store: self.store.clone(),
            roots: roots.clone(),
            catalog: self.catalog.clone(),
            fanout: self.fanout.clone(),
            alerts: self.alerts.clone(),
            lags: Lags::default(),
            pending: PendingOrders::default(),
            alarms: parts.supervision.alarms.clone(),
            instance: instance.to_owned(),
            settings: parts.config.health.clone(),
        }
    }

    /// The address of the shop's listener.
    pub(super) fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// Called once the configured roles have been started.
    pub(super) fn set_started(&self) {
        self.late.get().into_iter().for_each(|late| late.readiness.set_started());
    }

    /// Called when the process is about to stop.
    pub(super) fn set_draining(&self) {
        self.late.get().into_iter().for_each(|late| late.readiness.set_draining());
    }
}

/// Checked in addition to the roles' own reports before this process counts as ready.
#[derive(Clone)]
struct SignsOfLife {
    log: Arc<dyn EventLog>,
    wal: Wal,
    inventory: Inventory,
}

impl SignsOfLife {
    async fn ask(self, roles: BTreeSet<RoleName>) -> Vec<(Cause, Alarm)> {
        let runs = |role| roles.contains(&role);
        let mut found = Vec::new();
        found.extend(self.of_log(runs(RoleName::Inventory)).await);
        found.extend(self.of_inventory().filter(|_| runs(RoleName::Inventory)));
        found.extend(
            self.wal
                .preparation()
                .filter(|_| runs(RoleName::Cdc))
                .map(|doing| (Cause::WalReaderStarting, Alarm::blocks(format!("orders are not read from the WAL yet: {doing}")))),
        );
        found
    }

    async fn of_log(&self, fills: bool) -> Option<(Cause, Alarm)> {
        let asked = async {
            self.log.id().await?;
            if fills { partitions_to_fill(&*self.log).await } else { Ok(0) }
        };
        let answer = tokio::time::timeout(LOG_PATIENCE, asked).await;
        // A log that does not answer in time may already have reported why.
        let error = match (answer, self.log.trouble()) {
            (Ok(Err(LogError::Unavailable(_))) | Err(_), Some(trouble)) => LogError::Unavailable(trouble),
            (Ok(Ok(_)), Some(refused)) => LogError::Refused(refused),
            (Ok(Err(error)), _) => error,
            (Err(_), None) => LogError::Unavailable("no answer".to_owned()),
            (Ok(Ok(0)), None) => return None,
            (Ok(Ok(missing)), None) => {
                let text = format!("{missing} partitions wait for their first products");
                return Some((Cause::ShopFilling, Alarm::blocks(text)));
            }
        };
        Some((Cause::EventLog, alarm_of_log(&error)))
    }

    fn of_inventory(&self) -> Option<(Cause, Alarm)> {
        let trouble = self.inventory.trouble()?;
        // The log's own report may have better advice.
        let advice = self.log.trouble().filter(|advice| !trouble.contains(advice));
        let detail = advice.map_or_else(|| trouble.clone(), |advice| format!("{trouble}; {advice}"));
        let text = "the inventory cannot use the event log: the operators' /readyz says why; it resumes by itself once it can";
        Some((Cause::Inventory, Alarm::blocks(text).with_detail(detail)))
    }
}

/// How many partitions have no committed position: their first products are still being written.
async fn partitions_to_fill(log: &dyn EventLog) -> Result<usize, LogError> {
    let positions = log.committed(INVENTORY_GROUP).await?;
    let is_missing = |partition: &i32| !positions.contains_key(&TopicPartition::new(Topic::ProductUpdates, *partition));
    Ok((0..log.partitions()).filter(is_missing).count())
}

/// How much anonymous clients may write. The disk to protect is the embedded log's; brokers protect their own.
fn budget(parts: &Parts) -> TrackedBudget {
    let log = &parts.config.log;
    let reserve = (log.kind == LogKind::Embedded).then(|| (parts.config.data_dir.clone(), log.disk_reserve_bytes));
    TrackedBudget::new(log.tracked_bytes_per_second, reserve, parts.supervision.alarms.clone())
}

/// What the shop's routes are built from, each time the listener opens.
struct ShopParts {
    config: Arc<crate::config::Config>,
    clock: crate::clock::Clock,
    log: Arc<dyn EventLog>,
    store: Store,
    catalog: CatalogHandle,
    fanout: FanoutHandle,
    publisher: PublisherHandle,
    figures: ShopFigures,
    budget: Arc<TrackedBudget>,
    tracing: bool,
    late: Arc<OnceLock<Late>>,
}

fn trace_pages(config: &crate::config::Config, are_exported: bool) -> TracePages {
    TracePages::new(&config.telemetry.trace_url, are_exported)
}

impl ShopParts {
    fn traces_pages(&self) -> bool {
        self.tracing && self.config.telemetry.browser_tracing
    }

    fn open(&self, listener: TcpListener, lifeline: Lifeline, limits: &Limits) -> std::io::Result<Server> {
        let ws = &self.config.ws;
        let late = self.late.get().ok_or_else(|| std::io::Error::other("the process is still starting"))?;
        let sources = StatusSources {
            log: self.log.clone(),
            inventory_group: INVENTORY_GROUP,
            roles: late.roots.clone(),
            catalog: self.catalog.clone(),
            fanout: self.fanout.clone(),
            clock: self.clock.clone(),
            tracing: self.tracing,
            browser_tracing: self.traces_pages(),
            low_stock: self.config.inventory.warning_max,
        };
        let shop = Shop {
            config: self.config.clone(),
            clock: self.clock.clone(),
            log: self.log.clone(),
            store: self.store.clone(),
            catalog: self.catalog.clone(),
            fanout: self.fanout.clone(),
            publisher: self.publisher.clone(),
            recorder: Recorder::start(
                self.log.clone(),
                self.fanout.clone(),
                self.clock.clone(),
                self.figures.recorder.clone(),
                self.budget.clone(),
                &lifeline,
            ),
            affinity: AffinityHandle::start(self.store.clone(), &lifeline),
            status: StatusBoard::start(sources, &lifeline),
            readiness: late.readiness.clone(),
            packed: Packed::new(self.catalog.waiting().clone()),
            figures: self.figures.clone(),
            tracing: self.tracing,
            browser_tracing: self.traces_pages(),
            traces: trace_pages(&self.config, self.tracing),
            lifeline,
            seats: Seats::of_pages(limits.max_pages, ws.min_rate, ws.heartbeat_interval, Arc::default()),
        };
        crate::api::serve_shop(listener, Arc::new(shop), limits.clone())
    }
}
