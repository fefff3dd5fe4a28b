//! The products of the first start: a file, then the log, with no gap and no repeat.
//!
//! A partition takes its products from the file only while the inventory has no committed position there, and only those that are
//! not in the states; its first position is committed with the last of them. From then on the file is never read again: sold
//! stock and removed products do not come back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::actors::inventory::batch::{IncomingCommand, Part, ProductCommands};
use crate::domain::EpochMs;
use crate::domain::inventory::{Cause, Command, Input};
use crate::domain::product::Product;
use crate::log::PartitionId;
use crate::log::partitioner::partition_of;
use crate::telemetry::alarms::{About, Alarm, Alarms, Cause as AlarmCause};
use crate::wire::topics::product_updates::decode_list;

const ABOUT: About = About::cause(AlarmCause::BootstrapFile);
/// Wait between two attempts to read a file that cannot be used.
const AGAIN_AFTER: Duration = Duration::from_secs(3);

/// Why the file cannot be used. Nothing of it is taken then: a shop with half a catalogue would seem complete.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootstrapError {
    #[error("cannot read the bootstrap file {path} (KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE)")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the bootstrap file {path} is not a JSON array: {reason}")]
    Malformed { path: PathBuf, reason: String },
    #[error("product {index} of the bootstrap file {path} (counted from 0) cannot be used: {reason}")]
    Product { path: PathBuf, index: usize, reason: String },
    #[error("the bootstrap file {path} names {product_id} twice")]
    Twice { path: PathBuf, product_id: String },
    #[error("the task that reads the bootstrap file {path} has ended")]
    Ended { path: PathBuf },
}

/// The alarm is cleared when the task that reads the file ends, also when it is stopped.
struct Raised<'a>(&'a Alarms);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.clear(&ABOUT);
    }
}

/// What is wrong without the path, which is for operators.
fn alarm(error: &BootstrapError) -> Alarm {
    let what = match error {
        BootstrapError::Read { .. } | BootstrapError::Ended { .. } => "it cannot be read".to_owned(),
        BootstrapError::Malformed { .. } => "it is not a JSON array of products".to_owned(),
        BootstrapError::Product { index, .. } => format!("its product {index} (counted from 0) cannot be used"),
        BootstrapError::Twice { product_id, .. } => format!("it names {product_id} twice"),
    };
    let text = format!(
        "the shop cannot open without its first products, and the file that KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE names cannot \
         be used: {what}. Correct the file, which is read again every few seconds; or set the key to an empty text to open \
         without products"
    );
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Alarm::blocks(text).with_detail(format_args!("{error}{cause}"))
}

/// The file's products by partition, each with its place in the file.
#[derive(Debug, Default)]
pub(crate) struct BootstrapFile(BTreeMap<PartitionId, Vec<(u32, Product)>>);

impl BootstrapFile {
    /// Repeats [`BootstrapFile::load`] until the file can be used; an alarm says what is wrong with it meanwhile.
    pub(crate) async fn load_patiently(path: &Path, partitions: PartitionId, alarms: &Alarms) -> Self {
        let raised = Raised(alarms);
        loop {
            match Self::load(path, partitions).await {
                Ok(file) => return file,
                Err(error) => raised.0.raise(ABOUT, alarm(&error)),
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Reads and checks the whole file. Logs its hash, so that the file can be identified later.
    ///
    /// # Errors
    /// [`BootstrapError`] names the first thing that is wrong.
    pub(crate) async fn load(path: &Path, partitions: PartitionId) -> Result<Self, BootstrapError> {
        let owned = path.to_owned();
        let read = tokio::task::spawn_blocking(move || Self::read(&owned, partitions));
        read.await.map_err(|_| BootstrapError::Ended { path: path.to_owned() })?
    }

    fn read(path: &Path, partitions: PartitionId) -> Result<Self, BootstrapError> {
        let json = std::fs::read(path).map_err(|source| BootstrapError::Read { path: path.to_owned(), source })?;
        let file = Self::parse(path, &json, partitions)?;
        let products = file.0.values().map(Vec::len).sum::<usize>();
        let sha256: String = Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect();
        tracing::info!(path = %path.display(), products, sha256, "the shop opens with the products of the bootstrap file");
        Ok(file)
    }

    fn parse(path: &Path, json: &[u8], partitions: PartitionId) -> Result<Self, BootstrapError> {
        let malformed = |reason: String| BootstrapError::Malformed { path: path.to_owned(), reason };
        let list = decode_list(json).map_err(|invalid| malformed(invalid.to_string()))?;
        let (mut file, mut seen) = (Self::default(), BTreeSet::new());
        for (index, product) in list.into_iter().enumerate() {
            let broken = |reason: String| BootstrapError::Product { path: path.to_owned(), index, reason };
            let product = product.map_err(|invalid| broken(invalid.to_string()))?;
            if !seen.insert(product.id.clone()) {
                return Err(BootstrapError::Twice { path: path.to_owned(), product_id: product.id.to_string() });
            }
            let place = u32::try_from(index).map_err(|_| broken("there are too many products".to_owned()))?;
            let partition = partition_of(product.id.as_str().as_bytes(), partitions);
            file.0.entry(partition).or_default().push((place, product));
        }
        Ok(file)
    }

    /// How many products a partition has.
    #[must_use]
    pub(crate) fn len(&self, partition: PartitionId) -> usize {
        self.0.get(&partition).map_or(0, Vec::len)
    }

    /// At most `limit` products of a partition from the `from`th on.
    #[must_use]
    pub(crate) fn part(&self, partition: PartitionId, from: usize, limit: usize, now_ms: EpochMs) -> Part {
        let products = self.0.get(&partition).into_iter().flatten().skip(from).take(limit);
        let group = |(place, product): &(u32, Product)| {
            let product_id = product.id.clone();
            let (command, cause) = (Command::Upsert(product.clone()), Cause::File { index: *place });
            let input = Input { product_id: product_id.clone(), command, cause, at_ms: now_ms };
            ProductCommands { product_id, items: vec![IncomingCommand { input, expiry: None, origin: None }] }
        };
        Part { groups: products.map(group).collect(), bootstrap: true, ..Part::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<BootstrapFile, BootstrapError> {
        BootstrapFile::parse(Path::new("products.json"), json.as_bytes(), 4)
    }

    fn product(id: &str) -> String {
        format!(r#"{{"productId":"{id}","name":"n","price":1,"inventory":2}}"#)
    }

    #[test]
    fn every_product_is_in_the_part_of_its_partition_once() {
        let products: Vec<_> = (0..50).map(|n| product(&format!("P{n}"))).collect();
        let file = parse(&format!("[{}]", products.join(","))).unwrap();
        let mut places = BTreeSet::new();
        for partition in 0..4 {
            for from in (0..file.len(partition)).step_by(3) {
                for group in file.part(partition, from, 3, 7).groups {
                    assert_eq!(partition_of(group.product_id.as_str().as_bytes(), 4), partition);
                    let Cause::File { index } = group.items[0].input.cause else { panic!("another cause") };
                    assert!(places.insert(index));
                }
            }
        }
        assert_eq!(places, (0..50).collect());
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_names_the_key_until_the_file_is_mended_or_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, alarms) = (folder.path().join("products.json"), Alarms::default());
        let bad = [None, Some("{}".to_owned()), Some(format!("[{},{}]", product("A"), product("A")))];
        for json in bad {
            json.into_iter().for_each(|json| std::fs::write(&path, json).unwrap());
            let waits = tokio::time::timeout(AGAIN_AFTER / 2, BootstrapFile::load_patiently(&path, 4, &alarms));
            let looks = async {
                tokio::time::sleep(AGAIN_AFTER / 4).await;
                alarms.list().pop().expect("an alarm").1
            };
            let (waited, alarm) = tokio::join!(waits, looks);
            assert!(waited.is_err() && alarm.blocks && alarms.list().is_empty(), "{alarm:?}");
            assert!(alarm.text.contains("KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE"), "{alarm:?}");
            let shown = path.display().to_string();
            assert!(!alarm.text.contains(&shown) && alarm.in_full().contains(&shown), "{alarm:?}");
        }
        let mended = async {
            tokio::time::sleep(AGAIN_AFTER / 4).await;
            std::fs::write(&path, format!("[{}]", product("A"))).unwrap();
        };
        let (file, ()) = tokio::join!(BootstrapFile::load_patiently(&path, 4, &alarms), mended);
        assert_eq!((file.0.len(), alarms.list()), (1, Vec::new()));
    }

    #[test]
    fn a_broken_file_is_refused_whole_and_says_where() {
        let twice = format!("[{},{}]", product("A"), product("A"));
        let negative = format!("[{},{}]", product("A"), product("B").replace(":2", ":-2"));
        for (json, text) in [
            ("{}", "the bootstrap file products.json is not a JSON array"),
            (twice.as_str(), "the bootstrap file products.json names A twice"),
            (negative.as_str(), "product 1 of the bootstrap file products.json (counted from 0) cannot be used: inventory is -2"),
        ] {
            let error = parse(json).unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        }
    }
}
