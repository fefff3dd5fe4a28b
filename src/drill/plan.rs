//! A drill's plan: how much it buys, which faults it injects, for how long. A plan and its seed always give the same schedule.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::config::duration_text;

/// Built-in plans, by name.
const BUILT_IN: [(&str, &str); 7] = [
    ("short", include_str!("plans/short.toml")),
    ("default", include_str!("plans/default.toml")),
    ("long", include_str!("plans/long.toml")),
    ("disk", include_str!("plans/disk.toml")),
    ("wal", include_str!("plans/wal.toml")),
    ("kafka", include_str!("plans/kafka.toml")),
    ("kafka-long", include_str!("plans/kafka-long.toml")),
];

/// Stock of a product that no drill can sell out.
const PLENTY: i64 = 10_000_000;
/// One in this many products is scarce, so that some orders get less than requested or nothing.
const SCARCE_EVERY: u32 = 10;
const SCARCE_MAX: i64 = 60;

const ROLES: [&str; 3] = ["inventory", "cdc", "api"];
/// A stopped role stays stopped for at least this time.
pub const ROLE_PAUSE_MIN: Duration = Duration::from_millis(100);
/// Number of products of the opening catalogue that the merchant removes for good.
const RETIRED: u32 = 8;

/// Opening stock by product id.
pub type Catalogue = BTreeMap<String, i64>;

/// The plan of a drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Seed of everything random.
    pub seed: u64,
    /// The faults are spread over this time; longer recoveries extend it.
    #[serde(with = "duration_text")]
    pub duration: Duration,
    /// A shop that sells nothing for this long is sick: the drill stops injecting faults.
    #[serde(with = "duration_text")]
    pub sick_after: Duration,
    /// How long everything may take to settle after the last fault.
    #[serde(with = "duration_text", default = "settle_within")]
    pub settle_within: Duration,
    pub load: Load,
    pub faults: Faults,
    /// Settings of the shop, as environment variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// Buyers and watchers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Shoppers that buy one order after another.
    pub shoppers: u32,
    /// Shoppers that buy on a connected page and wait there until it is notified that the order is settled.
    #[serde(default)]
    pub buyers: u32,
    /// Pages that watch the whole shop.
    pub pages: u32,
    pub products: u32,
    /// An order has 1 to this many different products.
    pub items_per_order: u32,
    /// Share of the orders that are published through the WAL, 0 to 1.
    pub wal_share: f64,
    /// A shopper's wait between two orders.
    #[serde(with = "duration_text")]
    pub pause: Duration,
}

/// Which faults, and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Rounds of faults on actors: in each round every target gets every kind once.
    pub actor_rounds: u32,
    pub actor_targets: Vec<String>,
    pub actor_kinds: Vec<String>,
    /// Strikes of one fault on products, of which there are many: each strikes the product that handles the next message.
    pub product_strikes: u32,
    /// The same for other targets, if more than one.
    #[serde(default)]
    pub strikes: BTreeMap<String, u32>,
    /// Products, shards, committer and source killed repeatedly within a second, so that failures overlap.
    #[serde(default)]
    pub storms: u32,
    /// Roles stopped under load, and started again.
    pub role_stops: u32,
    /// Which roles, in turn.
    #[serde(default = "all_roles")]
    pub roles: Vec<String>,
    /// A stopped role is started again after at most this time.
    #[serde(with = "duration_text", default = "role_pause_max")]
    pub role_pause_max: Duration,
    /// SIGKILL.
    pub process_kills: u32,
    /// SIGTERM.
    pub process_stops: u32,
    /// SIGSTOP, and SIGCONT after a time between these two.
    pub freezes: u32,
    #[serde(with = "duration_text")]
    pub freeze_min: Duration,
    #[serde(with = "duration_text")]
    pub freeze_max: Duration,
    /// SIGKILL of the second inventory process, which exists only on Kafka.
    #[serde(default)]
    pub second_kills: u32,
    /// SIGSTOP and SIGCONT of it. On Kafka a freeze counts only if the process notices afterwards that it was fenced.
    #[serde(default)]
    pub second_freezes: u32,
    /// SIGKILL of the broker, and its restart.
    #[serde(default)]
    pub broker_kills: u32,
    /// SIGKILL of PostgreSQL.
    pub postgres_kills: u32,
    /// An orderly restart of PostgreSQL.
    pub postgres_restarts: u32,
    /// All connections to PostgreSQL ended.
    pub connection_cuts: u32,
    /// The embedded log's folder moved away, and back.
    #[serde(default)]
    pub moved_logs: u32,
    /// The file system of the drill's folder filled, and freed again; it must be a small one used by nothing else.
    #[serde(default)]
    pub full_disks: u32,
    /// The shop's output is not read, and its pipe is full.
    #[serde(default)]
    pub unread_outputs: u32,
    /// Twenty pages that read a few bytes a second.
    #[serde(default)]
    pub trickling_pages: u32,
    /// A foreign consumer in the inventory's group, on Kafka.
    #[serde(default)]
    pub foreign_members: u32,
    /// The topic of the states set to a policy that would lose them, and back, on Kafka.
    #[serde(default)]
    pub changed_policies: u32,
}

fn settle_within() -> Duration {
    Duration::from_secs(180)
}

fn all_roles() -> Vec<String> {
    ROLES.map(str::to_owned).to_vec()
}

fn role_pause_max() -> Duration {
    Duration::from_millis(1_500)
}

impl Plan {
    /// A built-in plan, or one from a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(name: &str) -> anyhow::Result<Self> {
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        let text = match built_in {
            Some(text) => text,
            None if Path::new(name).exists() => std::fs::read_to_string(name).with_context(|| format!("reading {name}"))?,
            None => bail!("there is no plan {name}: name short, default, long, disk, wal, kafka or kafka-long, or a file"),
        };
        let plan: Self = toml::from_str(&text).with_context(|| format!("the plan {name} cannot be read"))?;
        Ok(plan)
    }

    /// Whether the plan can be run.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, has_broker: bool) -> anyhow::Result<()> {
        let (load, faults) = (&self.load, &self.faults);
        ensure!((1..=1_000).contains(&load.shoppers), "load.shoppers: 1 to 1000");
        ensure!(load.pages <= 1_000, "load.pages: at most 1000");
        ensure!(load.buyers <= 1_000, "load.buyers: at most 1000");
        ensure!((10..=5_000).contains(&load.products), "load.products: 10 to 5000, so that pages get the whole catalogue");
        ensure!(
            (1..=load.products.min(100)).contains(&load.items_per_order),
            "load.items_per_order: 1 to 100, and no more than products"
        );
        ensure!((0.0..=1.0).contains(&load.wal_share), "load.wal_share: 0 to 1");
        ensure!(self.sick_after >= Duration::from_secs(10), "sick_after: at least 10s, as a hung actor takes 5s to be found");
        ensure!(faults.freeze_min <= faults.freeze_max, "faults.freeze_min is longer than faults.freeze_max");
        ensure!(faults.product_strikes >= 1, "faults.product_strikes: at least 1");
        ensure!(faults.role_pause_max >= ROLE_PAUSE_MIN, "faults.role_pause_max: at least {ROLE_PAUSE_MIN:?}");
        ensure!(
            faults.role_stops == 0 || !faults.roles.is_empty(),
            "faults.roles: must not be empty if there are faults.role_stops"
        );
        for role in &faults.roles {
            ensure!(ROLES.contains(&role.as_str()), "faults.roles: {role} is not one of {}", ROLES.join(", "));
        }
        for target in faults.strikes.keys() {
            ensure!(faults.actor_targets.contains(target), "faults.strikes: {target} is not one of faults.actor_targets");
        }
        let kinds = ["kill", "panic", "error", "hang", "slow"];
        for kind in &faults.actor_kinds {
            ensure!(kinds.contains(&kind.as_str()), "faults.actor_kinds: {kind} is not one of {}", kinds.join(", "));
        }
        ensure!(
            faults.actor_rounds == 0 || !faults.actor_targets.is_empty(),
            "faults.actor_targets: must not be empty if there are faults.actor_rounds"
        );
        let on_kafka = faults.second_kills + faults.second_freezes + faults.broker_kills > 0;
        ensure!(has_broker || !on_kafka, "faults.second_kills, second_freezes, broker_kills: only on Kafka, with --broker");
        let on_kafka = faults.foreign_members + faults.changed_policies > 0;
        ensure!(has_broker || !on_kafka, "faults.foreign_members, changed_policies: only on Kafka, with --broker");
        let embedded = faults.moved_logs + faults.full_disks > 0;
        ensure!(!has_broker || !embedded, "faults.moved_logs, full_disks: only on the embedded log, without --broker");
        for key in self.environment.keys() {
            ensure!(key.starts_with("KARTSHOPPE__"), "environment: {key} is not a setting of the shop");
        }
        Ok(())
    }

    /// Products of the opening catalogue that are removed at once: no page may ever show them again.
    #[must_use]
    pub fn retired() -> Vec<String> {
        (1..=RETIRED).map(|number| format!("RETIRED_{number:02}")).collect()
    }

    /// The products of the drill's shop with their opening stock.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        let mut random = StdRng::seed_from_u64(self.seed);
        let stock = |number: u32, random: &mut StdRng| {
            if number.is_multiple_of(SCARCE_EVERY) { random.random_range(1..=SCARCE_MAX) } else { PLENTY }
        };
        (1..=self.load.products).map(|number| (format!("DRILL_{number:04}"), stock(number, &mut random))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_that_comes_with_the_program_is_good() {
        for (name, _) in BUILT_IN {
            let plan = Plan::read(name).unwrap();
            plan.check(name.starts_with("kafka")).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(plan.catalogue(), plan.catalogue());
            assert_eq!(plan.catalogue().len(), plan.load.products as usize);
        }
    }

    #[test]
    fn a_bad_plan_says_what_is_wrong() {
        let good = BUILT_IN[0].1;
        for (found, replaced, said) in [
            ("shoppers = ", "shopers = ", "unknown field `shopers`"),
            ("wal_share = ", "wal_share = 1", "load.wal_share"),
            ("product_strikes = ", "strikes = { nobody = 2 }\nproduct_strikes = ", "nobody is not one of"),
            ("freezes = ", "second_freezes = 1\nfreezes = ", "only on Kafka"),
            ("\"panic\"", "\"sulk\"", "sulk is not one of"),
            ("duration = \"", "duration = \"x", "is no duration"),
        ] {
            assert!(good.contains(found), "{found}");
            let read = toml::from_str::<Plan>(&good.replacen(found, replaced, 1)).map_err(anyhow::Error::from);
            let error = read.and_then(|plan| plan.check(false)).unwrap_err();
            assert!(format!("{error:#}").contains(said), "{found}: {error:#}");
        }
    }
}
