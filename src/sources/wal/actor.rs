//! The actor around the reader. The reader runs in a task of its own; every step of it passes through this mailbox, so that
//! the actor's supervision, its watchdog and its faults are the reader's too. When the actor ends, the task and its connections
//! end.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio_util::task::AbortOnDropHandle;

use super::report::Phase;
use super::{ReadError, Step, WalContext, reader};
use crate::actors::faults::Who;
use crate::actors::kit::{Answer, Mailbox};
use crate::actors::supervision::ActorKind;

/// What the actor's task reports.
#[derive(Debug)]
pub enum WalMsg {
    /// The reader has reached this step and waits for permission to continue.
    At(Step, Answer<()>),
    /// The reader has failed.
    Failed(ReadError),
}

/// The actor of the WAL reader.
pub struct WalReader(pub(super) Arc<WalContext>);

/// What an incarnation keeps.
pub struct WalState {
    /// Ends the task when the actor ends, in whatever way.
    _reading: AbortOnDropHandle<()>,
}

impl Actor for WalReader {
    type Msg = WalMsg;
    type State = WalState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<WalMsg>, (): ()) -> Result<WalState, ActorProcessingErr> {
        self.0.vitals.starting()?;
        let mailbox = Mailbox::of_incarnation(&myself, &self.0.vitals);
        self.0.report.starting();
        let context = WalContext { mailbox, ..WalContext::clone(&self.0) };
        let reading = tokio::spawn(async move {
            let error = reader::run(&context).await;
            // If the actor has ended, there is nothing to report.
            let _ = context.mailbox.tell(WalMsg::Failed(error));
        });
        Ok(WalState { _reading: AbortOnDropHandle::new(reading) })
    }

    async fn handle(&self, myself: ActorRef<WalMsg>, message: WalMsg, _state: &mut WalState) -> Result<(), ActorProcessingErr> {
        let _handling = self.0.vitals.begin(&myself).await?;
        match message {
            WalMsg::At(step, go_on) => {
                let faults = self.0.vitals.faults();
                if faults.is_armed() {
                    faults.strike(&Who { kind: ActorKind::WalReader, id: step.target() }, &myself).await?;
                }
                go_on.give(());
                Ok(())
            }
            WalMsg::Failed(error) => {
                self.0.report.failed(&error.to_string());
                Err(error.into())
            }
        }
    }

    async fn post_stop(&self, _myself: ActorRef<WalMsg>, _state: &mut WalState) -> Result<(), ActorProcessingErr> {
        self.0.report.phase(Phase::Stopped);
        Ok(())
    }
}
