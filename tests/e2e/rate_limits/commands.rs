//! How an operator looks at limits and lets a caller begin anew: over the admin listener, and from
//! the command line.

use super::{let_through, of, over, started, statuses};
use crate::support::{Client, Gateway, Port, Response, gateway_command};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const LIMIT: &str = "name: per-ip, key: $(client.ip), limit: 2/d, algorithm: fixed_window";

/// What a command says, and whether it succeeds.
struct Said {
    passed: bool,
    out: String,
    error: String,
}

/// Runs `sluicegate rate-limits` beside a configuration.
fn rate_limits(config: &Path, arguments: &[&str]) -> Said {
    let mut command = gateway_command();
    let output = command.args(["rate-limits", "-c"]).arg(config).args(arguments).output().unwrap();
    Said {
        passed: output.status.success(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

fn config(gateway: &Gateway) -> PathBuf {
    gateway.folder().join("gateway.yaml")
}

async fn delete(gateway: &Gateway, target: &str) -> Response {
    let request =
        format!("DELETE {target} HTTP/1.1\r\nHost: admin.test\r\nConnection: close\r\n\r\n");
    Client::connect(gateway.admin).await.request(&request).await
}

/// A gateway of which one caller has used up its limit, and its connection.
async fn used_up() -> (Gateway, Client) {
    let (gateway, origin) = started(LIMIT).await;
    let mut client = gateway.connect().await;
    let_through(&statuses(&mut client, 3, &of("203.0.113.1")).await, 2);
    drop(origin);
    (gateway, client)
}

#[tokio::test]
async fn the_admin_listener_lists_the_limits() {
    let (gateway, _client) = used_up().await;
    let told = gateway.ask("/rate-limits").await.json();
    let [limit] = &told["limits"].as_array().unwrap()[..] else { panic!("{told}") };
    assert_eq!(limit["id"], "routes.all:per-ip");
    assert_eq!(limit["rates"], json!({"*": "2/1d"}));
    assert_eq!((&limit["callers"], &limit["refused"]), (&json!(1), &json!(1)));
    assert_eq!((&limit["observe"], &limit["evicted"]), (&json!(false), &json!(0)));
    assert!(limit["bytes"].as_u64().unwrap() > 0, "{limit}");
}

#[tokio::test]
async fn the_admin_listener_says_how_a_caller_stands_and_lets_it_begin_anew() {
    let (gateway, mut client) = used_up().await;
    for id in ["per-ip", "routes.all:per-ip"] {
        let caller = gateway.ask(&format!("/rate-limits/{id}?key=203.0.113.1")).await.json();
        assert_eq!((&caller["limit"], &caller["remaining"]), (&json!(2), &json!(0)));
        let reset = caller["reset"].as_f64().unwrap();
        assert!(reset > 0.0 && reset <= 86_400.0, "{reset}");
    }
    let other = gateway.ask("/rate-limits/per-ip?key=203.0.113.2").await.json();
    assert_eq!((&other["remaining"], &other["reset"]), (&json!(2), &json!(0.0)));
    over(&client.request(&of("203.0.113.1")).await, "per-ip");
    let told = delete(&gateway, "/rate-limits/per-ip?key=203.0.113.1").await;
    assert_eq!(told.status, 204);
    assert_ne!(client.request(&of("203.0.113.1")).await.status, 429);
}

#[tokio::test]
async fn the_admin_listener_says_what_is_wrong_with_a_question() {
    let (gateway, _client) = used_up().await;
    for (target, status, words) in [
        ("/rate-limits/per-op?key=a", 404, "did you mean `per-ip`?"),
        ("/rate-limits/routes.al:per-ip?key=a", 404, "did you mean `routes.all:per-ip`?"),
        ("/rate-limits/per-ip", 400, "?key="),
        ("/rate-limits/per-ip?key=a&tier=gold", 400, "no tier `gold`"),
    ] {
        let told = gateway.ask(target).await;
        assert_eq!(told.status, status, "{target}: {}", told.text());
        assert!(told.text().contains(words), "{target}: {}", told.text());
    }
    assert_eq!(delete(&gateway, "/rate-limits/none?key=a").await.status, 404);
}

#[tokio::test]
async fn the_command_shows_limits_and_callers_and_lets_one_begin_anew() {
    let (gateway, mut client) = used_up().await;
    let config = config(&gateway);
    let all = rate_limits(&config, &[]);
    assert!(all.passed, "{}", all.error);
    let all: Value = serde_json::from_str(&all.out).unwrap();
    assert_eq!(all["limits"][0]["id"], "routes.all:per-ip");
    let caller = rate_limits(&config, &["per-ip", "--key", "203.0.113.1"]);
    let caller: Value = serde_json::from_str(&caller.out).unwrap();
    assert_eq!((&caller["limit"], &caller["remaining"]), (&json!(2), &json!(0)));
    let reset = rate_limits(&config, &["per-ip", "--key", "203.0.113.1", "--reset"]);
    assert!(reset.passed && reset.out.is_empty(), "{}{}", reset.out, reset.error);
    assert_ne!(client.request(&of("203.0.113.1")).await.status, 429);
}

#[tokio::test]
async fn the_command_says_what_it_cannot_answer() {
    let (gateway, _client) = used_up().await;
    let config = config(&gateway);
    for (arguments, words) in [
        (["per-pi", "--key", "a"].as_slice(), "did you mean `per-ip`?"),
        (&["per-ip", "--key", "a", "--tier", "gold"], "no tier `gold`"),
        (&["per-ip"], "--key"),
        (&["--reset"], "required"),
    ] {
        let said = rate_limits(&config, arguments);
        assert!(!said.passed && said.out.is_empty(), "{arguments:?}: {}", said.out);
        assert!(said.error.contains(words), "{arguments:?}: {}", said.error);
    }
}

#[test]
fn the_command_says_that_no_gateway_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    // Nobody listens where it is reserved.
    let port = Port::reserve();
    let document = |admin: &str| {
        format!(
            "version: 1\nlisteners: [{{name: main, address: \"127.0.0.1:18080\"}}]\n{admin}\
             services: {{app: {{url: \"http://127.0.0.1:18081\"}}}}\nroutes: [{{name: all, \
             match: {{path: {{prefix: /}}}}, service: app, policies: {{auth: none}}}}]\n"
        )
    };
    std::fs::write(&file, document(&format!("admin: {{address: \"{}\"}}\n", port.address)))
        .unwrap();
    let said = rate_limits(&file, &[]);
    assert!(!said.passed && said.error.contains(&port.address.to_string()), "{}", said.error);
    assert!(said.error.contains("cannot be asked"), "{}", said.error);
    std::fs::write(&file, document("")).unwrap();
    let said = rate_limits(&file, &[]);
    assert!(!said.passed && said.error.contains("no `admin` listener"), "{}", said.error);
    std::fs::write(&file, "version: 1\nlistners: []\n").unwrap();
    let said = rate_limits(&file, &[]);
    assert!(!said.passed && said.error.contains("listners"), "{}", said.error);
}
