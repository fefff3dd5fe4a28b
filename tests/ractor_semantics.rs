//! What ractor 0.16.5 does when actors fail: the basis of our supervision.
//!
//! These do not test KartShoppe but its pinned dependency: an upgrade that changes one of them must fail here and not in a drill.
//! docs/adr/0002 says which of our rules rests on which test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test crate: a panic is how it reports")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::sync::mpsc;

/// What a child has to do.
enum Order {
    Count,
    Panic,
    Fail,
    Hang,
}

#[derive(Clone, Default)]
struct Counters {
    handled: Arc<AtomicU32>,
    stopped: Arc<AtomicU32>,
}

struct Child(Counters);

impl Actor for Child {
    type Msg = Order;
    type State = u32;
    type Arguments = bool;

    async fn pre_start(&self, _: ActorRef<Order>, fail: bool) -> Result<u32, ActorProcessingErr> {
        assert!(!fail, "cannot start");
        Ok(0)
    }

    async fn handle(&self, _: ActorRef<Order>, order: Order, count: &mut u32) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Count => {
                *count += 1;
                self.0.handled.fetch_add(1, Ordering::SeqCst);
            }
            Order::Panic => panic!("told to panic"),
            Order::Fail => return Err("told to fail".into()),
            Order::Hang => {
                *count += 100;
                std::future::pending::<()>().await;
            }
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Order>, _: &mut u32) -> Result<(), ActorProcessingErr> {
        self.0.stopped.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A supervisor that only reports the events that it receives.
struct Parent;

/// Kind of event, and the child's state where the event carries one.
type Report = (String, Option<u32>);

impl Actor for Parent {
    type Msg = ();
    type State = mpsc::Sender<Report>;
    type Arguments = mpsc::Sender<Report>;

    async fn pre_start(&self, _: ActorRef<()>, reports: mpsc::Sender<Report>) -> Result<Self::State, ActorProcessingErr> {
        Ok(reports)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        reports: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let report = match event {
            SupervisionEvent::ActorFailed(_, error) => (format!("failed: {error}"), None),
            SupervisionEvent::ActorTerminated(_, state, reason) => {
                (format!("terminated: {}", reason.unwrap_or_default()), state.and_then(|mut state| state.take::<u32>().ok()))
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => return Ok(()),
        };
        reports.send(report).await.unwrap();
        Ok(())
    }
}

struct Family {
    parent: ActorRef<()>,
    reports: mpsc::Receiver<Report>,
    child: ActorRef<Order>,
    counters: Counters,
}

impl Family {
    async fn start() -> Self {
        let (sender, reports) = mpsc::channel(8);
        let (parent, _) = Actor::spawn(None, Parent, sender).await.unwrap();
        let counters = Counters::default();
        let (child, _) = spawn_child(&counters, false, parent.get_cell()).await.unwrap();
        Self { parent, reports, child, counters }
    }

    async fn report(&mut self) -> Report {
        tokio::time::timeout(Duration::from_secs(10), self.reports.recv()).await.unwrap().unwrap()
    }

    fn cast(&self, orders: impl IntoIterator<Item = Order>) {
        orders.into_iter().for_each(|order| self.child.cast(order).unwrap());
    }
}

async fn spawn_child(
    counters: &Counters,
    fail: bool,
    parent: ActorCell,
) -> Result<(ActorRef<Order>, ractor::concurrency::JoinHandle<()>), SpawnErr> {
    Actor::spawn_linked(None, Child(counters.clone()), fail, parent).await
}

#[tokio::test]
async fn a_panic_is_a_failure_without_state_and_the_old_reference_is_dead() {
    let mut family = Family::start().await;
    family.cast([Order::Count, Order::Panic, Order::Count]);
    let (what, state) = family.report().await;
    assert!(what.starts_with("failed") && what.contains("told to panic"), "{what}");
    assert_eq!(state, None);
    assert!(family.child.cast(Order::Count).is_err());
    assert_eq!(family.counters.handled.load(Ordering::SeqCst), 1, "the queue died with the actor");
}

#[tokio::test]
async fn an_error_is_a_failure_too() {
    let mut family = Family::start().await;
    family.cast([Order::Fail]);
    assert_eq!(family.report().await, ("failed: told to fail".to_owned(), None));
}

#[tokio::test]
async fn a_kill_is_a_termination_that_may_carry_half_applied_state() {
    let mut family = Family::start().await;
    family.cast([Order::Hang]);
    tokio::time::sleep(Duration::from_millis(20)).await;
    family.child.kill();
    assert_eq!(family.report().await, ("terminated: killed".to_owned(), Some(100)));
    assert_eq!(family.counters.stopped.load(Ordering::SeqCst), 0, "a kill skips post_stop");
}

#[tokio::test]
async fn a_drain_works_the_queue_off_and_hands_the_state_over() {
    let mut drained = Family::start().await;
    drained.cast((0..5).map(|_| Order::Count));
    drained.child.drain().unwrap();
    assert_eq!(drained.report().await.1, Some(5));
}

#[tokio::test]
async fn a_panic_at_the_start_is_an_error_of_the_spawn_and_no_event() {
    let mut family = Family::start().await;
    assert!(spawn_child(&family.counters, true, family.parent.get_cell()).await.is_err());
    family.cast([Order::Fail]);
    assert_eq!(family.report().await.0, "failed: told to fail", "the failed start was not reported");
}

#[tokio::test]
async fn a_parent_that_stops_kills_its_children_unless_it_stops_them_first() {
    let abrupt = Family::start().await;
    abrupt.parent.stop_and_wait(None, None).await.unwrap();
    assert_eq!(abrupt.counters.stopped.load(Ordering::SeqCst), 0);
    let orderly = Family::start().await;
    orderly.parent.stop_children_and_wait(None, None).await;
    assert_eq!(orderly.counters.stopped.load(Ordering::SeqCst), 1);
}
