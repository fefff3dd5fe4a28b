//! Real actors below a real root: every way in which one can go, and the order of starts and stops.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::mpsc;

use super::*;
use crate::actors::faults::{Fault, FaultBoard, Target};
use crate::actors::kit::{Answer, CallError, Mailbox};
use crate::actors::role::{NotReplaced, SupervisionContext};
use crate::actors::root::{RoleError, RoleSpec, RootHandle};
use crate::actors::stats::{ActorState, Directory, Vitals};

const PATIENCE: Duration = Duration::from_secs(20);

struct Worker {
    vitals: Vitals,
    mailbox: Mailbox<WorkerMsg>,
    news: mpsc::Sender<String>,
}

enum WorkerMsg {
    Echo(u32, Answer<u32>),
    Panic,
}

impl Actor for Worker {
    type Msg = WorkerMsg;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<WorkerMsg>, (): ()) -> Result<(), ActorProcessingErr> {
        self.vitals.starting()?;
        self.mailbox.open(&myself, &self.vitals);
        self.news.send(format!("+{}", self.mailbox.actor())).await?;
        Ok(())
    }

    async fn handle(&self, myself: ActorRef<WorkerMsg>, message: WorkerMsg, (): &mut ()) -> Result<(), ActorProcessingErr> {
        let _handling = self.vitals.begin(&myself).await?;
        match message {
            WorkerMsg::Echo(value, answer) => answer.give(value),
            WorkerMsg::Panic => panic!("asked to"),
        }
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<WorkerMsg>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        self.news.send(format!("-{}", self.mailbox.actor())).await?;
        Ok(())
    }
}

struct TestTree {
    root: RootHandle,
    context: SupervisionContext,
    workers: Vec<Mailbox<WorkerMsg>>,
    news: mpsc::Receiver<String>,
}

impl TestTree {
    async fn open(workers: u32) -> Self {
        let context = SupervisionContext {
            alarms: crate::telemetry::alarms::Alarms::default(),
            directory: Directory::default(),
            faults: FaultBoard::default(),
            restart: RestartPolicy::default(),
            hang_after: Duration::from_millis(200),
        };
        let (sender, news) = mpsc::channel(1000);
        let workers: Vec<_> = (0..workers).map(|n| Mailbox::new(&format!("worker/{n}"))).collect();
        let (owned, mailboxes) = (context.clone(), workers.clone());
        let children = move || {
            let child = |mailbox: &Mailbox<WorkerMsg>| {
                let vitals = owned.vitals(ActorKind::AlertDesk, mailbox.actor());
                let (mailbox, news) = (mailbox.clone(), sender.clone());
                let id = mailbox.actor().to_owned();
                let make = move || (Worker { vitals: vitals.clone(), mailbox: mailbox.clone(), news: news.clone() }, ());
                ChildSpec::new(ActorKind::AlertDesk, id, owned.restart, make)
            };
            mailboxes.iter().map(child).collect()
        };
        let role = RoleSpec { name: "shop", children: Arc::new(children) };
        let root = RootHandle::spawn(&context, vec![role]).await.unwrap();
        Self { root, context, workers, news }
    }

    async fn news(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.news.recv()).await.expect("news in time").expect("a worker")
    }

    async fn echo(&self, worker: usize) -> Result<u32, CallError> {
        self.workers[worker].ask(PATIENCE, |answer| WorkerMsg::Echo(7, answer)).await
    }

    /// Waits until the role has done what it was at.
    async fn settle(&self) {
        self.root.role("shop").unwrap().report(PATIENCE).await.unwrap();
    }

    fn ends(&self, id: &str, cause: EndCause) -> u64 {
        self.context.directory.find(id).unwrap().ends(cause)
    }
}

#[tokio::test]
async fn starts_in_order_and_stops_in_reverse_order_as_often_as_asked() {
    let mut shop = TestTree::open(3).await;
    for _ in 0..2 {
        shop.root.start("shop").await.unwrap();
        for id in ["+worker/0", "+worker/1", "+worker/2"] {
            assert_eq!(shop.news().await, id);
        }
        assert_eq!(shop.echo(1).await, Ok(7));
        shop.root.stop("shop").await.unwrap();
        for id in ["-worker/2", "-worker/1", "-worker/0"] {
            assert_eq!(shop.news().await, id);
        }
        assert!(matches!(shop.echo(1).await, Err(CallError::NotRunning { .. })));
    }
    assert!(shop.root.start("nothing").await.is_err());
}

#[tokio::test]
async fn restarts_after_every_kind_of_end() {
    let mut shop = TestTree::open(2).await;
    shop.root.start("shop").await.unwrap();
    assert_eq!([shop.news().await, shop.news().await], ["+worker/0", "+worker/1"]);
    let worker = || Target::Actor("worker/1".to_owned());
    for (fault, cause) in [(Fault::Panic, EndCause::Panic), (Fault::Kill, EndCause::Killed), (Fault::Hang, EndCause::Hung)] {
        shop.context.faults.arm(worker(), fault, 1, PATIENCE);
        assert!(matches!(shop.echo(1).await, Err(CallError::Ended { .. })), "{fault:?}");
        assert_eq!(shop.news().await, "+worker/1", "{fault:?}");
        assert_eq!(shop.echo(1).await, Ok(7), "{fault:?}");
        assert_eq!(shop.ends("worker/1", cause), 1, "{fault:?}");
    }
    // An idle actor is killed as well, and a start that fails is tried again.
    shop.settle().await;
    shop.context.faults.arm(worker(), Fault::Start, 2, PATIENCE);
    let struck = shop.context.faults.inject(&shop.context.directory, worker(), Fault::Kill, 1, PATIENCE);
    assert_eq!((struck, shop.news().await.as_str()), (1, "+worker/1"));
    assert_eq!(shop.ends("worker/1", EndCause::Start), 2);
    assert_eq!(shop.echo(0).await, Ok(7), "its neighbour was left alone");
    assert_eq!(shop.context.directory.find("worker/0").unwrap().report().incarnation, 1);
}

#[tokio::test]
async fn a_killed_role_comes_back_with_its_children() {
    let mut shop = TestTree::open(2).await;
    shop.root.start("shop").await.unwrap();
    assert_eq!([shop.news().await, shop.news().await], ["+worker/0", "+worker/1"]);
    shop.settle().await;
    assert!(shop.context.directory.find("role/shop").unwrap().kill());
    assert_eq!([shop.news().await, shop.news().await], ["+worker/0", "+worker/1"]);
    assert_eq!(shop.echo(0).await, Ok(7));
}

#[tokio::test]
async fn mailbox_depth_counts_what_waits() {
    let mut shop = TestTree::open(1).await;
    shop.root.start("shop").await.unwrap();
    shop.news().await;
    let entry = shop.context.directory.find("worker/0").unwrap();
    shop.context.faults.arm(Target::Actor("worker/0".to_owned()), Fault::Hang, 1, PATIENCE);
    for _ in 0..5 {
        shop.workers[0].tell(WorkerMsg::Panic).unwrap();
    }
    assert_eq!(entry.depth(), 5);
    // The watchdog ends it; its mailbox is lost and the next one is empty.
    shop.news().await;
    assert_eq!(entry.depth(), 0);
    assert_eq!(shop.echo(0).await, Ok(7));
}

/// Its entry outlives it, and would show for ever what no longer waits.
#[tokio::test]
async fn what_waited_for_an_actor_that_was_stopped_is_not_counted() {
    let mut shop = TestTree::open(1).await;
    shop.root.start("shop").await.unwrap();
    shop.news().await;
    let entry = shop.context.directory.find("worker/0").unwrap();
    // It is stopped before the watchdog checks, and its mailbox goes with it.
    shop.workers[0].tell(WorkerMsg::Panic).unwrap();
    for _ in 0..5 {
        let _ = shop.workers[0].tell(WorkerMsg::Panic);
    }
    shop.root.stop("shop").await.unwrap();
    assert_eq!((entry.depth(), shop.echo(0).await.is_err()), (0, true));
    let root = shop.context.directory.find("root").unwrap();
    for _ in 0..20 {
        shop.root.report(PATIENCE).await.unwrap();
    }
    let report = root.report();
    assert!(report.mailbox_depth <= 1 && report.handled >= 20, "{report:?}");
}

#[tokio::test]
async fn a_restart_on_request_is_no_failure_however_often_it_is_asked_for() {
    let mut shop = TestTree::open(2).await;
    let parent = |id: &str| shop.context.directory.find(id).unwrap().report().parent;
    assert_eq!((parent("worker/1").as_deref(), parent("role/shop").as_deref()), (Some("role/shop"), Some("root")));
    let refused = shop.root.replace("worker/1", "role/shop").await;
    assert!(matches!(refused, Err(RoleError::Call(CallError::NotRunning { .. }))), "{refused:?}");
    shop.root.start("shop").await.unwrap();
    assert_eq!([shop.news().await, shop.news().await], ["+worker/0", "+worker/1"]);
    let often = u64::from(RestartPolicy::default().intensity) * 3;
    for _ in 0..often {
        shop.root.replace("worker/1", "role/shop").await.unwrap();
        // It stopped in order, and its successor answers.
        assert_eq!([shop.news().await, shop.news().await], ["-worker/1", "+worker/1"]);
        assert_eq!(shop.echo(1).await, Ok(7));
    }
    let report = shop.context.directory.find("worker/1").unwrap().report();
    assert_eq!((report.incarnation, report.state, report.restarts), (often + 1, ActorState::Running, often));
    assert_eq!(report.ends, [("restarted", often)].into());
    assert!(report.last_ends.iter().all(|end| end.cause == "restarted" && end.recovery_us.is_some()), "{report:?}");
    let children = shop.root.role("shop").unwrap().report(PATIENCE).await.unwrap();
    assert!(children.iter().all(|child| !child.failing), "{children:?}");

    // A failure after it begins with the shortest wait, as after the first start.
    shop.workers[1].tell(WorkerMsg::Panic).unwrap();
    assert_eq!(shop.news().await, "+worker/1");
    assert_eq!(shop.ends("worker/1", EndCause::Panic), 1);
    shop.root.replace("role/shop", "root").await.unwrap();
    let news = [shop.news().await, shop.news().await, shop.news().await, shop.news().await];
    assert_eq!(news, ["-worker/1", "-worker/0", "+worker/0", "+worker/1"]);
    for unknown in [("worker/9", "role/shop"), ("worker/1", "role/other"), ("role/other", "root")] {
        let refused = shop.root.replace(unknown.0, unknown.1).await;
        assert!(matches!(refused, Err(RoleError::NotReplaced(NotReplaced::Unknown(_)))), "{refused:?}");
    }
    shop.root.stop("shop").await.unwrap();
    let refused = shop.root.replace("role/shop", "root").await;
    assert!(matches!(refused, Err(RoleError::NotReplaced(NotReplaced::Stopped(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_restart_on_request_does_not_come_on_top_of_one_that_waits() {
    let mut shop = TestTree::open(1).await;
    shop.root.start("shop").await.unwrap();
    assert_eq!(shop.news().await, "+worker/0");
    shop.settle().await;
    // It cannot start, so it waits for its next start, for longer each time.
    shop.context.faults.arm(Target::Actor("worker/0".to_owned()), Fault::Start, 9, PATIENCE);
    assert!(shop.context.directory.find("worker/0").unwrap().kill());
    while shop.ends("worker/0", EndCause::Start) < 9 {
        let _ = shop.root.replace("worker/0", "role/shop").await;
    }
    while shop.echo(0).await.is_err() {
        let _ = shop.root.replace("worker/0", "role/shop").await;
    }
    shop.settle().await;
    let entry = shop.context.directory.find("worker/0").unwrap();
    let before = entry.incarnation();
    // Every start that was scheduled meanwhile is void by now.
    tokio::time::sleep(RestartPolicy::default().backoff_min * 600).await;
    shop.settle().await;
    assert_eq!((entry.incarnation(), shop.echo(0).await), (before, Ok(7)));
}
