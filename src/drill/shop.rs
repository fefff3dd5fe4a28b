//! The shop under drill: one process on the embedded log. On Kafka two, of which the second runs the inventory alone, so that the
//! partitions of a killed or frozen process move to the other; and its own broker.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use super::DrillPaths;
use super::broker::Broker;
use super::plan::{Catalogue, Plan};
use super::process::ShopProcess;
use crate::store::private_server;

/// Opening stock of each product that is removed at once.
const RETIRED_STOCK: i64 = 3;

/// One of the shop's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// Everything that is needed to sell.
    Main,
    /// A second inventory.
    Second,
}

impl Seat {
    /// The name of its data directory and output.
    fn name(self) -> &'static str {
        match self {
            Self::Main => "shop",
            Self::Second => "second",
        }
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "shop",
            Self::Second => "second inventory",
        })
    }
}

/// All its processes.
pub struct DrilledShop {
    pub main: ShopProcess,
    second: Option<ShopProcess>,
    broker: Option<Broker>,
    program: DrillPaths,
    environment: Vec<(String, String)>,
}

impl DrilledShop {
    /// Starts all of it, and waits until it says that it is ready.
    ///
    /// # Errors
    /// If something does not start.
    pub async fn open(place: &DrillPaths, plan: &Plan, catalogue: &Catalogue) -> anyhow::Result<Self> {
        let file = place.folder.join("catalogue.json");
        std::fs::write(&file, serde_json::to_vec(&products(catalogue, &Plan::retired()))?)
            .with_context(|| format!("writing {}", file.display()))?;
        let mut environment = vec![
            ("KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE".to_owned(), file.display().to_string()),
            ("KARTSHOPPE__FAULTS__ENABLED".to_owned(), "true".to_owned()),
        ];
        environment.extend(plan.environment.clone());
        let broker = match &place.broker {
            Some(script) => Some(Broker::start(script, place.folder.join("kafka")).await.context("starting the broker")?),
            None => None,
        };
        if let Some(broker) = &broker {
            environment.push(("KARTSHOPPE__LOG__KIND".to_owned(), "kafka".to_owned()));
            environment.push(("KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS".to_owned(), broker.address().to_owned()));
        }
        let main = ShopProcess::new(place, Seat::Main.name(), environment.clone())?;
        let mut shop = Self { main, second: None, broker, program: place.clone(), environment };
        shop.main.start().await?;
        if shop.broker.is_some() {
            shop.second = Some(shop.seat_second()?);
            shop.resume().await?;
        }
        Ok(shop)
    }

    /// The second inventory: it needs the first one's database to start, and never queries it.
    fn seat_second(&self) -> anyhow::Result<ShopProcess> {
        let urls = private_server::urls(self.main.data_dir())?.context("the shop has no private PostgreSQL")?;
        let mut environment = self.environment.clone();
        environment.push(("KARTSHOPPE__ROLES".to_owned(), "inventory".to_owned()));
        environment.push(("KARTSHOPPE__POSTGRES__DATABASE_URL".to_owned(), urls.database));
        ShopProcess::new(&self.program, Seat::Second.name(), environment)
    }

    /// The process of this seat.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn at(&mut self, seat: Seat) -> anyhow::Result<&mut ShopProcess> {
        match seat {
            Seat::Main => Ok(&mut self.main),
            Seat::Second => self.second.as_mut().context("there is no second inventory: it needs a broker"),
        }
    }

    /// Which process exited without being asked to, and how: no fault here may end a whole process.
    ///
    /// # Errors
    /// If the operating system reports an error.
    pub fn died(&mut self) -> anyhow::Result<Option<String>> {
        for (seat, process) in [(Seat::Main, Some(&mut self.main)), (Seat::Second, self.second.as_mut())] {
            if let Some(how) = process.map_or(Ok(None), ShopProcess::died)? {
                return Ok(Some(format!("the {seat} {how}")));
            }
        }
        Ok(None)
    }

    /// The broker.
    ///
    /// # Errors
    /// If there is none.
    pub fn broker(&self) -> anyhow::Result<&Broker> {
        self.broker.as_ref().context("there is no broker: name its script")
    }

    /// The data directories of the processes.
    #[must_use]
    pub fn data_dirs(place: &DrillPaths) -> [PathBuf; 2] {
        [Seat::Main, Seat::Second].map(|seat| place.folder.join(seat.name()))
    }

    /// Starts every process that is not running.
    ///
    /// # Errors
    /// If one cannot be started.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        if let Some(broker) = &self.broker {
            broker.resume().await?;
        }
        self.main.resume().await?;
        match &mut self.second {
            Some(second) => second.resume().await,
            None => Ok(()),
        }
    }

    /// Ends the shop at the end of the drill, in order, so that its database stops with it.
    pub async fn close(&mut self) {
        if let Some(second) = &mut self.second {
            second.stop().await;
        }
        self.main.stop().await;
    }
}

fn products(catalogue: &Catalogue, retired: &[String]) -> Value {
    let product = |(id, stock): (&String, &i64)| json!({"productId": id, "name": format!("Drill product {id}"), "price": 9.99, "inventory": stock, "category": "Drill"});
    catalogue.iter().chain(retired.iter().map(|id| (id, &RETIRED_STOCK))).map(product).collect()
}
