//! A database whose defaults are not PostgreSQL's, and one whose tables other clients lock.

use kartshoppe::store::{Checkout, MigrationState, StoreError, StoreOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::support::postgres::{TestDatabase, count, database, empty_database, product, request, session, ten};
use crate::support::server::{Options, Server};

/// Sets a default of the test's database, which applies to new connections.
async fn set_default(db: &TestDatabase, setting: &str) {
    let mut admin = PgConnection::connect(&db.admin_url).await.unwrap();
    let name: String = sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut admin).await.unwrap();
    admin.execute(sqlx::raw_sql(AssertSqlSafe(format!("ALTER DATABASE {name} SET {setting}")))).await.unwrap();
}

#[tokio::test]
async fn calls_work_under_any_default_isolation() {
    for level in ["repeatable read", "serializable"] {
        let db = empty_database(StoreOptions::default()).await;
        set_default(&db, &format!("default_transaction_isolation = '{level}'")).await;
        db.store.migrate().await.unwrap();
        let adds = (0..20).map(|_| {
            let store = db.store.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    store.add_to_cart(&session("s"), None, &product("P"), 1).await.unwrap();
                }
            })
        });
        for add in adds.collect::<Vec<_>>() {
            add.await.unwrap();
        }
        assert_eq!(db.store.cart(&session("s")).await.unwrap().lines[0].quantity.units(), 200, "{level}");
        db.store.close().await;
    }
}

#[tokio::test]
async fn tables_are_found_whatever_the_search_path_of_the_database() {
    let db = empty_database(StoreOptions::default()).await;
    set_default(&db, "search_path = nowhere").await;
    db.store.migrate().await.unwrap();
    set_default(&db, "search_path = other, public").await;
    db.store
        .pool()
        .execute("CREATE SCHEMA other; CREATE TABLE other.orders (x int); CREATE TABLE other.carts (x int)")
        .await
        .unwrap();
    let store = kartshoppe::store::Store::new(&db.url, StoreOptions::default()).unwrap();
    store.migrate().await.unwrap();
    store.add_to_cart(&session("s"), None, &product("P"), 1).await.unwrap();
    assert!(matches!(store.checkout(&request("s"), ten).await.unwrap(), Checkout::Placed(..)));
    assert_eq!(count(&store, "SELECT count(*) FROM public.orders").await, 1);
    // A schema in the URL takes precedence.
    let joint = if db.url.contains('?') { '&' } else { '?' };
    let named =
        kartshoppe::store::Store::new(&format!("{}{joint}options=-csearch_path%3Dother", db.url), StoreOptions::default());
    assert_eq!(count(&named.unwrap(), "SELECT count(*) FROM orders").await, 0);
}

#[tokio::test]
async fn a_checkout_is_durable_under_any_default_of_the_database() {
    let db = empty_database(StoreOptions::default()).await;
    set_default(&db, "synchronous_commit = off").await;
    let found: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(db.store.pool()).await.unwrap();
    assert_eq!(found, "on");
}

#[tokio::test]
async fn a_call_rolled_back_by_a_conflict_is_retried() {
    let db = database().await;
    let undone = "CREATE SEQUENCE tries;
        CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('tries') % 3 <> 0 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER undo BEFORE INSERT ON carts FOR EACH ROW EXECUTE FUNCTION undo()";
    db.store.pool().execute(undone).await.unwrap();
    db.store.add_to_cart(&session("s"), None, &product("P"), 1).await.unwrap();
}

/// The platform's tables, and a client that has read them and left its transaction open.
#[tokio::test]
async fn a_blocked_migration_names_the_holder_and_blocks_no_reader() {
    let db = empty_database(StoreOptions::default()).await;
    let platform =
        "CREATE TABLE orders (order_id varchar(50) PRIMARY KEY, customer_id varchar(50) NOT NULL, order_date timestamp,
                    status varchar(50), subtotal numeric(10,2) NOT NULL, tax numeric(10,2), shipping numeric(10,2),
                    total numeric(10,2) NOT NULL, payment_method varchar(50), shipping_address text)";
    db.store.pool().execute(platform).await.unwrap();
    let mut idle = PgConnection::connect(&db.url).await.unwrap();
    idle.execute("SET application_name = 'lunch'; BEGIN; SELECT count(*) FROM orders").await.unwrap();
    let store = db.store.clone();
    let migrating = tokio::spawn(async move { store.migrate().await });
    let mut reader = PgConnection::connect(&db.url).await.unwrap();
    reader.execute("SET statement_timeout = '2s'").await.unwrap();
    while !migrating.is_finished() {
        reader.execute("SELECT count(*) FROM orders").await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let refusal = migrating.await.unwrap().unwrap_err();
    assert!(matches!(&refusal, StoreError::Held { by } if by.contains("lunch")), "{refusal}");
    assert!(refusal.is_retryable() && db.store.migration_state() == MigrationState::Pending);
    idle.execute("ROLLBACK").await.unwrap();
    db.store.migrate().await.unwrap();
    assert_eq!(db.store.migration_state(), MigrationState::Done);
}

#[tokio::test]
async fn a_migration_that_waiting_cannot_help_has_failed_until_the_cause_is_corrected() {
    let db = database().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'of tomorrow', true, '', 0)";
    db.store.pool().execute(newer).await.unwrap();
    let refusal = db.store.migrate().await.unwrap_err();
    assert!(!refusal.is_retryable(), "{refusal}");
    assert!(matches!(db.store.migration_state(), MigrationState::Failed(why) if why.contains("newer")), "{refusal}");
    db.store.pool().execute("DELETE FROM _sqlx_migrations WHERE version = 9999").await.unwrap();
    db.store.migrate().await.unwrap();
    assert_eq!(db.store.migration_state(), MigrationState::Done);
}

/// A forgotten environment variable; `check` uses both a private server and its clients.
#[tokio::test]
async fn environment_variables_of_postgresqls_clients_have_no_effect() {
    let mut options = Options::default();
    for (name, value) in [
        ("PGOPTIONS", "-c default_transaction_read_only=on -c search_path=app"),
        ("PGHOSTADDR", "192.0.2.1"),
        ("PGCHANNELBINDING", "require"),
        ("PGSERVICE", "nobody"),
        ("PGTARGETSESSIONATTRS", "standby"),
        ("PGGSSENCMODE", "require"),
    ] {
        options = options.set(name, value);
    }
    let server = Server::start(options).await;
    let printed = server.command(&["config", "print"]).env("PGOPTIONS", "-c role=x").output().unwrap();
    assert!(String::from_utf8_lossy(&printed.stdout).contains("PGOPTIONS"), "{printed:?}");
}

#[test]
fn a_url_that_one_of_the_clients_does_not_know_is_refused_at_the_start() {
    for (key, url, words) in [
        ("DATABASE_URL", "postgres://u:hush@h/d?schema=public", "schema"),
        ("KARTSHOPPE__CDC__DATABASE_URL", "postgres://u:hush@h/d?pgbouncer=true", "pgbouncer"),
        ("DATABASE_URL", "mysql://u:hush@h/d", "mysql"),
    ] {
        let checked = std::process::Command::new(env!("CARGO_BIN_EXE_kartshoppe"))
            .args(["config", "check"])
            .env(key, url)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(!checked.status.success() && said.contains("database_url") && said.contains(words), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
}
