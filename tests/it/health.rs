//! Every reason for not being ready goes away by itself when its cause is gone.

use serde_json::json;

use crate::support::server::{Options, Server};

fn options() -> Options {
    Options::default()
        .set("KARTSHOPPE__FAULTS__ENABLED", true)
        .set("KARTSHOPPE__SUPERVISION__RESTART_WINDOW", "2s")
        .set("KARTSHOPPE__SUPERVISION__BACKOFF_MAX", "500ms")
        .set("KARTSHOPPE__HEALTH__STALLED_AFTER", "2s")
        .set("KARTSHOPPE__HEALTH__TRIAL_WRITE_AFTER", "1s")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_that_kept_ending_and_runs_again_is_forgiven() {
    let mut server = Server::start_filled(options()).await;
    for (target, role) in [("wal-reader", "cdc"), ("order-tracker", "api")] {
        let fault = json!({"target": target, "fault": "kill", "count": 14});
        let (status, answer) = server.operate("/admin/faults", &fault).await;
        assert_eq!(status, 200, "{answer}");
        server.until_not_ready_because(&format!("{target} of role {role} keeps failing")).await;
        server.wait_until_ready().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_became_read_only_is_named_until_it_is_writable_again() {
    let mut server = Server::start_filled(options()).await;
    let database = sqlx::PgPool::connect(&server.database_url()).await.unwrap();
    let end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kartshoppe'";
    for (setting, is_read_only) in [("on", true), ("off", false)] {
        let sql = format!("ALTER ROLE current_user SET default_transaction_read_only = {setting}");
        let mut connection = database.acquire().await.unwrap();
        sqlx::query("SET default_transaction_read_only = off").execute(&mut *connection).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *connection).await.unwrap();
        sqlx::query(end_all).execute(&mut *connection).await.unwrap();
        if is_read_only {
            server.until_not_ready_because("it is read-only").await;
        } else {
            server.wait_until_ready().await;
        }
    }
}
