//! The operators' API as a drill uses it: arming faults, stopping and starting roles.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

/// A client of the operators' listener of the drill's shop. Cheap to clone.
#[derive(Clone)]
pub struct Operator {
    http: reqwest::Client,
    base: String,
}

impl Operator {
    /// A client for the listener at this URL.
    #[must_use]
    pub fn new(base: String) -> Self {
        Self { http: reqwest::Client::new(), base }
    }

    /// Arms a fault; returns how many targets it struck at once.
    ///
    /// # Errors
    /// If it is refused or not answered.
    pub async fn arm(&self, target: &str, kind: &str, count: u32, ttl: Duration) -> anyhow::Result<u64> {
        let ttl = format!("{}ms", ttl.as_millis());
        let order = json!({"target": target, "fault": kind, "count": count, "ttl": ttl});
        let answer = self.post("/admin/faults", &order).await?;
        answer["struck"].as_u64().context("the answer to a fault does not say how many it struck")
    }

    /// The number of armed faults that have not struck yet.
    ///
    /// # Errors
    /// If it is not answered.
    pub async fn left(&self) -> anyhow::Result<u64> {
        let answer = self.http.get(self.url("/admin/faults")).timeout(PATIENCE).send().await?.json::<Value>().await?;
        let armed = answer.as_array().context("the list of faults is no list")?;
        Ok(armed.iter().filter_map(|fault| fault["count"].as_u64()).sum())
    }

    /// Removes all armed faults.
    ///
    /// # Errors
    /// If it is not answered.
    pub async fn clear(&self) -> anyhow::Result<()> {
        let request = self.http.delete(self.url("/admin/faults")).header("x-kartshoppe-operator", "drill");
        request.timeout(PATIENCE).send().await?.error_for_status()?;
        Ok(())
    }

    /// Stops (`stop`) or starts (`start`) a role.
    ///
    /// # Errors
    /// If it is refused or not answered.
    pub async fn role(&self, role: &str, what: &str) -> anyhow::Result<()> {
        self.post(&format!("/admin/roles/{role}/{what}"), &json!({})).await.map(|_| ())
    }

    /// Appends a record to a topic; `None` is a tombstone.
    ///
    /// # Errors
    /// If it is refused or not answered: the record may have been written.
    pub async fn append(&self, topic: &str, key: &str, value: Option<&Value>) -> anyhow::Result<()> {
        let record = json!({"key": key, "value": value});
        self.post(&format!("/admin/topics/{topic}/records"), &record).await.map(|_| ())
    }

    /// Whether the process reports that it is ready; one that does not answer is not.
    pub async fn is_ready(&self) -> bool {
        let answer = self.http.get(self.url("/readyz")).timeout(PATIENCE).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Whether an alarm of this cause is raised; `false` if there is no answer.
    pub async fn has_alarm(&self, cause: &str) -> bool {
        let Ok(answer) = self.http.get(self.url("/metrics")).timeout(PATIENCE).send().await else { return false };
        answer.text().await.is_ok_and(|text| text.contains(&format!("kartshoppe_alarm{{cause=\"{cause}\"")))
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.http.post(self.url(path)).header("x-kartshoppe-operator", "drill").json(body);
        let answer = request.timeout(PATIENCE).send().await?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or(Value::Null);
        if !status.is_success() {
            bail!("{path}: {status} {body}");
        }
        Ok(body)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}
