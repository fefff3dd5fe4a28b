//! Who may call the operators' listener: a token where there is one, nothing but reading where it is read-only, and no start on an
//! address for others without a token.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::json;

use crate::support::raw::request;
use crate::support::server::{Options, Server};

#[tokio::test]
async fn where_there_is_a_token_calls_and_commands_bear_it() {
    let server = Server::start(Options::default().set("KARTSHOPPE__ADMIN__CREATE_TOKEN", true)).await;
    let admin = server.info.admin;
    let file = server.data().join("operator.token");
    let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let who = ("X-KartShoppe-Operator", "ann");
    let bearer = format!("Bearer {token}");
    let held = ("Authorization", bearer.as_str());
    for (method, path) in
        [("GET", "/admin/roles"), ("GET", "/admin/console"), ("POST", "/admin/topics"), ("DELETE", "/admin/faults")]
    {
        let refused = request(admin, method, path, &[who], b"").await;
        assert_eq!(refused.status, 401, "{method} {path}");
        assert!(refused.head.contains("www-authenticate: bearer realm=\"operators\""), "{method} {path}: {}", refused.head);
        assert_eq!(request(admin, method, path, &[who, ("Authorization", "Bearer another-one")], b"").await.status, 401);
        assert_ne!(request(admin, method, path, &[who, held], b"").await.status, 401, "{method} {path}");
    }
    for path in ["/livez", "/readyz", "/metrics", "/docs/", "/openapi.json"] {
        assert_eq!(request(admin, "GET", path, &[], b"").await.status, 200, "{path}");
    }
    let made = server.command(&["topics", "create", "--all"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let said = std::fs::read_to_string(server.log_path()).unwrap();
    assert!(said.contains(&format!("http://localhost:{}/#token={token}", admin.port())), "the terminal gets the link: {said}");
    for entry in std::fs::read_dir(server.data().join("logs")).unwrap() {
        let kept = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!kept.contains(&token), "the log keeps no token");
    }
}

#[tokio::test]
async fn an_address_for_others_is_refused_without_a_token() {
    let server = Server::unstarted(Options::default());
    let start = |listen: &str| {
        let mut command = server.command(&["serve"]);
        command.env("KARTSHOPPE__HTTP__LISTEN", "127.0.0.1:0").env("KARTSHOPPE__ADMIN__LISTEN", listen);
        command.stdin(Stdio::null()).output().unwrap()
    };
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let ended = start(listen);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success(), "{listen}: {said}");
        for words in ["admin.listen", "KARTSHOPPE__ADMIN__CREATE_TOKEN", "operator.token"] {
            assert!(said.contains(words), "{listen}: {said}");
        }
    }
    std::fs::write(server.data().join("operator.token"), "short").unwrap();
    let ended = start("127.0.0.1:0");
    assert!(
        !ended.status.success() && String::from_utf8_lossy(&ended.stderr).contains("operator.token"),
        "what is no token ends the start"
    );
}

#[tokio::test]
async fn a_read_only_listener_shows_everything_and_changes_nothing() {
    let server = Server::start(Options::default().set("KARTSHOPPE__ADMIN__WRITES", false)).await;
    let admin = server.info.admin;
    let console =
        server.http.get(server.admin("/admin/console")).send().await.unwrap().json::<serde_json::Value>().await.unwrap();
    assert_eq!(console["writes"]["allowed"], false);
    assert!(console["writes"]["reason"].as_str().unwrap().contains("admin.writes"));
    for path in ["/admin/roles", "/admin/topics?details=true", "/admin/actors", "/admin/alerts"] {
        assert_eq!(request(admin, "GET", path, &[], b"").await.status, 200, "{path}");
    }
    let (status, problem) = server.operate("/admin/roles/cdc/stop", &json!({})).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("read_only")), "{problem}");
    assert_eq!(server.operate("/admin/topics", &json!({"all": true})).await.0, 403);
    assert!(server.log_tail().contains("read_only"), "a refused change leaves a line too");
    let roles = server.http.get(server.admin("/admin/roles")).send().await.unwrap().json::<serde_json::Value>().await.unwrap();
    assert!(roles.as_array().unwrap().iter().all(|role| role["state"] == "running"), "{roles}");
}
