//! The shop's listener as an actor of the role `api`: it opens the listener when it starts and drains it when it stops.
//!
//! Each incarnation has routes and a lifeline of its own. A kill closes the listener and all connections in order; the
//! next incarnation listens on the same address again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;

use crate::actors::kit::Mailbox;
use crate::actors::role::SupervisionContext;
use crate::actors::stats::Vitals;
use crate::actors::supervision::{ActorKind, ChildSpec};
use crate::api::health::LISTENER_ID as ID;
use crate::api::server::{BindError, Lifeline, Server, bind};

/// The configuration key that a taken port names.
const KEY: &str = "KARTSHOPPE__HTTP__LISTEN";

/// Opens the shop on a listener, once per incarnation; its long-lived work is tied to the lifeline.
pub type OpenShop = Arc<dyn Fn(TcpListener, Lifeline) -> std::io::Result<Server> + Send + Sync>;

/// The shop's listener, open or closed. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    address: SocketAddr,
    /// Bound before the role first started, so that a taken port ends the start of the process.
    bound: Arc<Mutex<Option<TcpListener>>>,
    drain: Duration,
    open: OpenShop,
    vitals: Vitals,
    mailbox: Mailbox<()>,
}

impl Door {
    /// Binds the address; no connection is accepted before the actor starts.
    ///
    /// # Errors
    /// [`BindError`] names the process that holds the port, and the key that changes ours.
    pub async fn take(
        listen: SocketAddr,
        drain: Duration,
        open: OpenShop,
        context: &SupervisionContext,
    ) -> Result<Self, BindError> {
        let listener = bind(listen, KEY).await?;
        // Port 0 asks for any free port: from now on it is this one.
        let address = listener.local_addr().unwrap_or(listen);
        let vitals = context.vitals(ActorKind::HttpListener, ID);
        let bound = Arc::new(Mutex::new(Some(listener)));
        Ok(Self { address, bound, drain, open, vitals, mailbox: Mailbox::new(ID) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How its role starts it.
    #[must_use]
    pub fn child(&self, context: &SupervisionContext) -> ChildSpec {
        let door = self.clone();
        ChildSpec::new(ActorKind::HttpListener, ID, context.restart, move || (HttpListener(door.clone()), ()))
    }

    async fn listener(&self) -> Result<TcpListener, BindError> {
        let kept = self.bound.lock().unwrap_or_else(PoisonError::into_inner).take();
        match kept {
            Some(listener) => Ok(listener),
            None => bind(self.address, KEY).await,
        }
    }
}

/// The actor.
pub struct HttpListener(Door);

/// The open listener of one incarnation.
pub struct Open {
    server: Option<Server>,
    /// Dropped with a killed incarnation, which closes its connections.
    _stop: DropGuard,
}

impl Actor for HttpListener {
    type Msg = ();
    type State = Open;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<()>, (): ()) -> Result<Open, ActorProcessingErr> {
        self.0.vitals.starting()?;
        self.0.mailbox.open(&myself, &self.0.vitals);
        let listener = self.0.listener().await?;
        let lifeline = Lifeline::default();
        let stop = lifeline.stop.clone().drop_guard();
        let server = (self.0.open)(listener, lifeline)?;
        Ok(Open { server: Some(server), _stop: stop })
    }

    async fn handle(&self, myself: ActorRef<()>, (): (), _open: &mut Open) -> Result<(), ActorProcessingErr> {
        let _handling = self.0.vitals.begin(&myself).await?;
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<()>, open: &mut Open) -> Result<(), ActorProcessingErr> {
        if let Some(server) = open.server.take() {
            let left = server.drain(self.0.drain).await;
            if left > 0 {
                tracing::warn!(connections = left, "closing connections that did not end in time");
            }
        }
        Ok(())
    }
}
