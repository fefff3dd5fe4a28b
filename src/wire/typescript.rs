//! The page's types, generated: `make wire` writes them to `ui/src/wire` by way of the variable `TS_RS_EXPORT_DIR`.
//! Without that variable the same test fails if what is there is not what would be written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ts_rs::{Config, TS};

use super::console::{actor, flow, live, logs};
use super::pages::{
    browser_spans, cart, frame, front, history, inventory_state, order, page_message, problem, recommendation, status,
    tracked_event,
};
use super::topics::alert_event;
use super::{envelope, product};

const INDEX: &str = "index.ts";

fn config(into: &Path) -> Config {
    // Everything that we write is below 2^53.
    Config::new().with_out_dir(into).with_large_int("number")
}

/// Writes every type and the index that names them all.
fn export(into: &Path) {
    export_all(&config(into)).unwrap();
    let types = files(into).into_keys().filter(|name| name != INDEX);
    let lines: Vec<String> = types.map(|name| format!("export type * from './{}'\n", name.trim_end_matches(".ts"))).collect();
    std::fs::write(into.join(INDEX), lines.concat()).unwrap();
}

fn export_all(config: &Config) -> Result<(), ts_rs::ExportError> {
    actor::ActorReport::export_all(config)?;
    alert_event::AlertEvent::export_all(config)?;
    browser_spans::BrowserSpans::export_all(config)?;
    cart::Cart::export_all(config)?;
    cart::CartAdd::export_all(config)?;
    cart::CartSet::export_all(config)?;
    page_message::CartUpdate::export_all(config)?;
    envelope::OpenEnvelope::export_all(config)?;
    flow::Flow::export_all(config)?;
    frame::Heartbeat::export_all(config)?;
    frame::ProductCacheSync::export_all(config)?;
    frame::ProductUpdate::export_all(config)?;
    front::Facets::export_all(config)?;
    front::Front::export_all(config)?;
    history::ProductChange::export_all(config)?;
    inventory_state::InventoryState::export_all(config)?;
    live::Live::export_all(config)?;
    logs::LogPage::export_all(config)?;
    order::CheckoutRequest::export_all(config)?;
    order::Order::export_all(config)?;
    problem::Problem::export_all(config)?;
    product::ProductBody::export_all(config)?;
    recommendation::Recommendation::export_all(config)?;
    recommendation::Related::export_all(config)?;
    status::Status::export_all(config)?;
    tracked_event::TrackedEvents::export_all(config)
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named =
        |path: PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap());
    entries.filter(|path| path.extension().is_some_and(|ext| ext == "ts")).map(named).collect()
}

#[test]
fn export_bindings() {
    if let Some(folder) = std::env::var_os("TS_RS_EXPORT_DIR") {
        export(Path::new(&folder));
        return;
    }
    let fresh = tempfile::tempdir().unwrap();
    export(fresh.path());
    let committed = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/src/wire"));
    for (name, wanted) in files(fresh.path()) {
        assert_eq!(committed.get(&name), Some(&wanted), "{name}: run `make wire`");
    }
}
