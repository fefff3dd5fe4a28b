//! The read side without HTTP: product reads, restore and memory per product, frames to a thousand pages.
//!
//! `cargo bench --bench read_side [-- PRODUCTS]` restores PRODUCTS (default 100,000; a million works) beside the shop's 200. CPU
//! is that of the thread that does the work: one runtime thread serves view, fan-out and all pages over real sockets; the log's
//! own threads, the load and the readers of the sockets are others.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kartshoppe::actors::catalog_view::{CatalogHandle, CatalogState, CatalogView, FrontQuery, Needle, Query, Sort};
use kartshoppe::actors::fanout::{FanoutHandle, FanoutSettings, PageInfo, WebSocketFanout};
use kartshoppe::actors::faults::FaultBoard;
use kartshoppe::actors::role::SupervisionContext;
use kartshoppe::actors::root::{RoleSpec, RootHandle};
use kartshoppe::actors::stats::Directory;
use kartshoppe::actors::supervision::{ChildSpec, RestartPolicy};
use kartshoppe::clock::Clock;
use kartshoppe::domain::ids::{OrderId, ProductId, Quantity, Stock};
use kartshoppe::domain::inventory::{
    Cause, Command, Effect, Input, InputPosition, InputTopic, OrderItem, ProductState, Rules, apply,
};
use kartshoppe::domain::money::Cents;
use kartshoppe::domain::product::{Details, Product};
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::log::partitioner::partition_of;
use kartshoppe::log::{Batch, EventLog, NewRecord, Session, SessionConfig};
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::{inventory_event, product_record};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

const PARTITIONS: i32 = 4;
const PAGES: usize = 1_000;
const READS: u32 = 2_000_000;
/// Repetitions of what looks through the whole catalogue.
const LOOKS: u32 = 20;
const STORM: Duration = Duration::from_secs(5);

fn main() -> anyhow::Result<()> {
    if let Some(folder) = std::env::var_os(FILL) {
        return fill(Path::new(&folder), std::env::args().next_back().unwrap_or_default().parse()?);
    }
    let products = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    for products in [200, products] {
        read_products(products)?;
    }
    for changes_per_second in [100, 1_000] {
        push_frames(changes_per_second)?;
    }
    Ok(())
}

/// Set for a child that only writes a log: what it needed for that is gone with it.
const FILL: &str = "READ_SIDE_FILL";

fn fill(folder: &Path, products: u32) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let log = open_log(folder).await?;
        log.create_topics(&Topic::ALL).await?;
        Inventory::open(&log).await?.fill(products).await?;
        log.close().await;
        Ok(())
    })
}

async fn open_log(folder: &Path) -> anyhow::Result<EmbeddedLog> {
    let config = EmbeddedConfig { fsync: false, ..EmbeddedConfig::new(folder, PARTITIONS) };
    Ok(EmbeddedLog::open(config, Clock::system()).await?)
}

/// A log with its view and fan-out on a runtime of one thread.
struct Shop {
    runtime: tokio::runtime::Runtime,
    log: Arc<dyn EventLog>,
    catalog: CatalogHandle,
    fanout: FanoutHandle,
    _root: RootHandle,
    _folder: tempfile::TempDir,
}

impl Shop {
    fn open(products: u32) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let folder = tempfile::tempdir()?;
        let (catalog, clock) = (CatalogHandle::new(), Clock::system());
        let settings = FanoutSettings { cache_sync_max: 5000, heartbeat_interval: Duration::from_secs(5) };
        let fanout = FanoutHandle::new(catalog.clone(), settings, clock.clone());
        let mut child = std::process::Command::new(std::env::current_exe()?);
        anyhow::ensure!(child.env(FILL, folder.path()).arg(products.to_string()).status()?.success(), "cannot fill the log");
        let (log, root) = runtime.block_on(async {
            let log: Arc<dyn EventLog> = Arc::new(open_log(folder.path()).await?);
            let root = spawn(&log, &catalog, &fanout, &clock).await?;
            anyhow::Ok((log, root))
        })?;
        Ok(Self { runtime, log, catalog, fanout, _root: root, _folder: folder })
    }

    fn run_for(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    fn restore(&self) {
        self.runtime.block_on(async {
            while self.catalog.state() != CatalogState::Live {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
}

async fn spawn(
    log: &Arc<dyn EventLog>,
    catalog: &CatalogHandle,
    fanout: &FanoutHandle,
    clock: &Clock,
) -> anyhow::Result<RootHandle> {
    let context = SupervisionContext {
        alarms: kartshoppe::telemetry::alarms::Alarms::default(),
        directory: Directory::default(),
        faults: FaultBoard::default(),
        restart: RestartPolicy::default(),
        hang_after: Duration::from_secs(10),
    };
    let view = CatalogView::child(&context, log.clone(), catalog, clock.clone());
    let children = vec![view, WebSocketFanout::child(&context, log.clone(), fanout)];
    let make: Arc<dyn Fn() -> Vec<ChildSpec> + Send + Sync> = Arc::new(move || children.clone());
    let root = RootHandle::spawn(&context, vec![RoleSpec { name: "api", children: make }]).await?;
    root.start("api").await?;
    Ok(root)
}

/// Restore, memory and reads with so many products.
fn read_products(products: u32) -> anyhow::Result<()> {
    let shop = Shop::open(products)?;
    let before = rss_kib()?;
    let (began, cpu) = (Instant::now(), thread_cpu()?);
    shop.restore();
    let (took, cpu) = (began.elapsed(), thread_cpu()? - cpu);
    let after = rss_kib()?;
    let resident = after.saturating_sub(before) * 1024 / u64::from(products);
    println!("restore   {products:>9} products  {took:>8.3?} (CPU of the view {cpu:.3?})  {resident} B resident per product");
    let ids: Vec<String> = (0..1000).map(|n| format!("PROD_{:07}", n * products / 1000)).collect();
    let (mut bytes, cpu) = (0, thread_cpu()?);
    for number in 0..READS {
        let rendered = shop.catalog.get(&ids[number as usize % ids.len()]);
        bytes += rendered.map_or(0, |rendered| rendered.body.len() + rendered.etag.len());
    }
    let cpu = thread_cpu()? - cpu;
    println!(
        "read      {products:>9} products  {:>12.0} reads/CPU-s ({} B each)",
        f64::from(READS) / cpu.as_secs_f64(),
        bytes / READS as usize
    );
    look_through(&shop, products)
}

/// What a storefront asks of the whole catalogue, each beside one product read of the same catalogue.
fn look_through(shop: &Shop, products: u32) -> anyhow::Result<()> {
    let narrow = || Query { category: Some("Books".to_owned()), in_stock: Some(true), limit: 20, ..Query::default() };
    let search = || Query { search: Needle::new("lamp"), sort: Sort::Relevance, limit: 20, ..Query::default() };
    let asked = FrontQuery { low_stock: 9, now_ms: Clock::system().now_ms() };
    let time = |what: &str, ask: &dyn Fn() -> usize| {
        let began = Instant::now();
        let found = ask();
        let first = began.elapsed();
        let began = Instant::now();
        for _ in 0..LOOKS {
            std::hint::black_box(ask());
        }
        println!(
            "look      {products:>9} products  {what:<20} first {first:>9.3?}, then {:>9.3?}  ({found} found)",
            began.elapsed() / LOOKS
        );
    };
    let run = |query: Query| shop.runtime.block_on(shop.catalog.query(query)).total;
    time("first page", &|| run(Query { limit: 20, ..Query::default() }));
    time("page 2000", &|| run(Query { limit: 20, skip: 40_000, ..Query::default() }));
    time("category, in stock", &|| run(narrow()));
    time("search", &|| run(search()));
    time("facets", &|| shop.runtime.block_on(shop.catalog.facets(narrow())).total);
    time("facets of a search", &|| shop.runtime.block_on(shop.catalog.facets(search())).total);
    time("front", &|| shop.runtime.block_on(shop.catalog.front(asked)).trending.len());
    let one = shop.catalog.entry("PROD_0000000").ok_or_else(|| anyhow::anyhow!("there is no first product"))?;
    time("related", &|| shop.runtime.block_on(shop.catalog.like(one.clone(), 8)).len());
    Ok(())
}

/// A thousand pages on real sockets while products change.
fn push_frames(changes_per_second: u32) -> anyhow::Result<()> {
    let shop = Shop::open(200)?;
    shop.restore();
    let before = rss_kib()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut pages = Vec::new();
    for _ in 0..PAGES {
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        server.set_nonblocking(true)?;
        client.set_nonblocking(true)?;
        pages.push(client);
        let subscription = shop.fanout.register(PageInfo {
            session_id: format!("session-{}", pages.len()),
            user_id: "guest".to_owned(),
            v1: false,
            resume: None,
        });
        shop.runtime.spawn(serve(server, subscription));
    }
    let over = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let over = over.clone();
        move || drain(&mut pages, &over)
    });
    shop.run_for(Duration::from_secs(1));
    let per_page = rss_kib()?.saturating_sub(before) * 1024 / PAGES as u64;
    let load = std::thread::spawn({
        let log = shop.log.clone();
        move || storm(&*log, changes_per_second)
    });
    let (frames, cpu) = (shop.fanout.counts().frames.load(Ordering::Relaxed), thread_cpu()?);
    shop.run_for(STORM);
    let cpu = thread_cpu()? - cpu;
    let frames = shop.fanout.counts().frames.load(Ordering::Relaxed) - frames;
    println!(
        "push      {PAGES} pages, {changes_per_second:>5} changes/s  {:>9.0} frames/s  {:>9.0} frames/CPU-s  {per_page} B/page",
        frames as f64 / STORM.as_secs_f64(),
        frames as f64 / cpu.as_secs_f64(),
    );
    over.store(true, Ordering::Relaxed);
    load.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
    let _ = reader.join();
    Ok(())
}

async fn serve(stream: TcpStream, mut page: kartshoppe::actors::fanout::PageSubscription) -> anyhow::Result<()> {
    let mut stream = tokio::net::TcpStream::from_std(stream)?;
    while let Some(burst) = page.next_burst().await {
        stream.write_all(&burst).await?;
    }
    Ok(())
}

/// Reads whatever the pages get and throws it away.
fn drain(pages: &mut [TcpStream], over: &AtomicBool) {
    let mut buffer = vec![0; 256 * 1024];
    while !over.load(Ordering::Relaxed) {
        for page in &mut *pages {
            let _ = page.read(&mut buffer);
        }
    }
}

/// Changes products at this rate, ten commits a second at least.
fn storm(log: &dyn EventLog, changes_per_second: u32) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut inventory = Inventory::open(log).await?;
        inventory.adopt(200);
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        let (began, mut made) = (Instant::now(), 0);
        while began.elapsed() < STORM {
            tick.tick().await;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand")]
            let due = (began.elapsed().as_secs_f64() * f64::from(changes_per_second)) as u32;
            inventory.sell(made..due).await?;
            made = due;
        }
        anyhow::Ok(())
    })
}

/// An inventory of a few lines.
struct Inventory {
    session: Box<dyn Session>,
    states: Vec<ProductState>,
}

impl Inventory {
    async fn open(log: &dyn EventLog) -> anyhow::Result<Self> {
        let config = SessionConfig { identity: "bench".to_owned(), group: None, topics: Vec::new(), writes: Vec::new() };
        Ok(Self { session: log.session(config).await?, states: Vec::new() })
    }

    async fn fill(mut self, products: u32) -> anyhow::Result<()> {
        self.adopt(products);
        for states in self.states.chunks(10_000) {
            let records = states.iter().map(|state| whole(state, &Cause::File { index: 0 })).collect();
            self.session.commit(Batch { records, ..Batch::default() }).await?;
        }
        Ok(())
    }

    fn adopt(&mut self, products: u32) {
        self.states = (0..products).map(first_state).collect();
    }

    async fn sell(&mut self, steps: std::ops::Range<u32>) -> anyhow::Result<()> {
        let mut records = Vec::new();
        for step in steps {
            let index = step as usize * 7 % self.states.len();
            let position = InputPosition { offset: i64::from(step) + 1, index: 0 };
            let cause = Cause::Record { topic: InputTopic::OrderEvents, partition: 0, position };
            let order_id = OrderId::new(&format!("order-{step}"))?;
            let item = OrderItem { order_id, order_item_id: None, quantity: Quantity::new(1)? };
            let state = &self.states[index];
            let input =
                Input { product_id: state.product.id.clone(), command: Command::Deduct(item), cause, at_ms: i64::from(step) };
            let transition = apply(&Rules::default(), Some(state), &input);
            records.extend(transition.effects.iter().filter_map(|effect| match effect {
                Effect::Publish(event) => Some(inventory_event::record(event, None)),
                Effect::Raise(_) => None,
            }));
            if let Some(next) = transition.next {
                records.push(whole(&next, &cause));
                self.states[index] = next;
            }
        }
        self.session.commit(Batch { records, ..Batch::default() }).await?;
        Ok(())
    }
}

fn whole(state: &ProductState, cause: &Cause) -> NewRecord {
    product_record::record(state, partition_of(state.product.id.as_str().as_bytes(), PARTITIONS), cause, None)
}

/// A product of about the shop's size: 550 bytes as JSON.
#[expect(clippy::unwrap_used, reason = "figures that are in range")]
fn first_state(number: u32) -> ProductState {
    let id = ProductId::new(&format!("PROD_{number:07}")).unwrap();
    let details = Details {
        name: format!("FutureTech UltraBook Pro 15 number {number}").into(),
        description:
            "A thin and light machine with a bright screen, a quiet fan and a battery that outlasts the longest flight. "
                .repeat(2)
                .into(),
        category: ["Electronics", "Books", "Home", "Sports"][number as usize % 4].into(),
        brand: "FutureTech".into(),
        image_url: format!("/api/ecommerce/product/PROD_{number:07}/image").into(),
        tags: ["laptop".into(), "ultrabook".into(), "new".into()].into(),
        rating: 4.5,
        review_count: i64::from(number % 900),
    };
    let product = Product {
        id: id.clone(),
        price: Cents::new(i64::from(number % 100_000) + 99).unwrap(),
        stock: Stock::new(1_000_000).unwrap(),
        details: Arc::new(details),
    };
    let input = Input { product_id: id, command: Command::Upsert(product), cause: Cause::File { index: number }, at_ms: 1 };
    apply(&Rules::default(), None, &input).next.unwrap()
}

/// CPU time of this thread.
fn thread_cpu() -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(Duration::from_nanos(nanos))
}

/// Resident memory of this process in KiB.
fn rss_kib() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    Ok(line.split_whitespace().nth(1).unwrap_or_default().parse()?)
}
