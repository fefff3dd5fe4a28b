//! Whether what a check asks for is so. It looks at the shop from outside, and every question has a time limit.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::ask::{self, Sought};
use super::chapter::{Chapter, Check, Listener, Question};
use super::page;
use super::progress::Moment;
use crate::config::Config;
use crate::data_dir;
use crate::log::EventLog;
use crate::store::private_server;

/// How long the log may take to say where it ends.
pub(super) const LOG_PATIENCE: Duration = Duration::from_secs(5);
/// How long a page may take to show something.
const PAGE_LOAD_MS: u64 = 5_000;
/// Between two tries of what is not so yet.
const PAUSE: Duration = Duration::from_millis(500);

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub state: State,
    /// What was seen instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// No shop is open, and everything else follows from that.
    #[serde(skip)]
    pub is_closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Green,
    Red,
    /// It could not be found out, which is not green.
    Unchecked,
}

/// The learner's machine, for checks that need it.
#[derive(Debug, Clone)]
pub struct Local {
    /// The repository.
    pub root: PathBuf,
}

impl Local {
    /// The repository around a folder.
    #[must_use]
    pub fn around(folder: &Path) -> Option<Self> {
        let is_ours = |folder: &&Path| folder.join("docs/workshop/README.md").is_file() && folder.join("tools/run.sh").is_file();
        folder.ancestors().find(is_ours).map(|root| Self { root: root.to_owned() })
    }
}

/// Everything that checks ask.
pub struct Judge {
    /// The data directory, for people.
    pub place: String,
    pub shop: Option<SocketAddr>,
    pub operators: Option<SocketAddr>,
    pub token: Option<String>,
    /// Or why it cannot be read.
    pub log: Result<Arc<dyn EventLog>, String>,
    /// The database's URL, or why there is none.
    pub database: Result<String, String>,
    /// Since when records count.
    pub since: Option<Moment>,
    pub local: Option<Local>,
}

impl Judge {
    /// The shop of a configuration, running or not.
    #[must_use]
    pub fn of(config: &Config, log: Result<Arc<dyn EventLog>, String>) -> Self {
        let server = data_dir::running_server(&config.data_dir);
        let database = match config.postgres.database_url.as_str() {
            "" => match private_server::urls(&config.data_dir) {
                Ok(Some(urls)) => Ok(urls.database),
                Ok(None) => Err(format!("no shop has run on {} yet: there is no database", config.data_dir.display())),
                Err(error) => Err(error.to_string()),
            },
            url => Ok(url.to_owned()),
        };
        Self {
            place: config.data_dir.display().to_string(),
            shop: server.as_ref().and_then(|server| server.http),
            operators: server.as_ref().map(|server| server.admin),
            token: data_dir::operator_token::read(&config.data_dir).ok().flatten(),
            log,
            database,
            since: None,
            local: None,
        }
    }

    /// Judges all checks of a chapter, and those again that are not so, until they are or the time is over.
    pub async fn chapter<'a>(&self, chapter: &'a Chapter, wait: Duration) -> Vec<(&'a Check, Verdict)> {
        let until = Instant::now() + wait;
        let mut judged = Vec::new();
        for check in chapter.checks() {
            judged.push((check, self.check(check).await));
        }
        // What cannot be found out now cannot be found out in a moment.
        let is_open = |(_, verdict): &(&Check, Verdict)| verdict.state == State::Red;
        while judged.iter().any(is_open) && Instant::now() + PAUSE < until {
            tokio::time::sleep(PAUSE).await;
            for (check, verdict) in judged.iter_mut().filter(|judged| judged.1.state == State::Red) {
                *verdict = self.check(check).await;
            }
        }
        judged
    }

    /// Judges one check, once.
    pub async fn check(&self, check: &Check) -> Verdict {
        let needs_shop = matches!(check.question, Question::Http { .. } | Question::Page { .. } | Question::Sql(_));
        if needs_shop && self.shop.is_none() && self.operators.is_none() {
            return Verdict::closed(&self.place);
        }
        match &check.question {
            Question::Http { listener, path, predicate } => match self.address(*listener) {
                Ok(server) => ask::http(server, self.token_for(*listener), path, predicate.as_ref()).await,
                Err(reason) => Verdict::red(reason),
            },
            Question::Topics { topics, predicate, count, from_start } => {
                let since = self.since.as_ref().filter(|_| !from_start);
                let sought = Sought { topics, predicate: predicate.as_ref(), count: *count, since };
                match &self.log {
                    Ok(log) => ask::topics(log, &sought).await,
                    Err(reason) => Verdict::red(reason.clone()),
                }
            }
            Question::Sql(query) => match &self.database {
                Ok(url) => ask::sql(url, query).await,
                Err(reason) => Verdict::red(reason.clone()),
            },
            Question::Page { listener, path, sees } => {
                let Some(local) = &self.local else { return not_here() };
                match self.address(*listener) {
                    Ok(server) => page::page(local, &self.page_url(server, *listener, path), sees, PAGE_LOAD_MS).await,
                    Err(reason) => Verdict::red(reason),
                }
            }
            Question::Command(text) => match &self.local {
                Some(local) => page::command(local, text).await,
                None => not_here(),
            },
        }
    }

    fn address(&self, listener: Listener) -> Result<SocketAddr, String> {
        let address = match listener {
            Listener::Shop => self.shop,
            Listener::Operators => self.operators,
        };
        address.map(reachable).ok_or_else(|| match (listener, self.operators) {
            (Listener::Shop, Some(_)) => "the process that runs here has no role api, so no shop".to_owned(),
            _ => format!("no shop is running on {}", self.place),
        })
    }

    fn token_for(&self, listener: Listener) -> Option<&str> {
        self.token.as_deref().filter(|_| listener == Listener::Operators)
    }

    /// The console takes its token from the fragment.
    fn page_url(&self, server: SocketAddr, listener: Listener, path: &str) -> String {
        let token = self.token_for(listener).map_or_else(String::new, |token| format!("#token={token}"));
        format!("http://{server}{path}{token}")
    }
}

/// A listener on all addresses is asked on the loopback.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => ([127, 0, 0, 1], v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, v6.port()).into(),
        SocketAddr::V4(_) | SocketAddr::V6(_) => address,
    }
}

fn not_here() -> Verdict {
    Verdict::unchecked("needs your machine: run `kartshoppe workshop check` in the repository")
}
