//! What counts, and for how much.

use super::{let_through, limited, over, started, statuses, with};
use crate::support::{Call, Gateway, Origin, Setup, eventually};
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;

/// A service that answers with the status that the path names, and says what that has cost.
async fn saying_statuses() -> Origin {
    Origin::start(|mut call: Call| async move {
        let (status, cost) = call.seen.target[1..].split_once('/').unwrap_or(("200", "1"));
        let (status, cost) = (status.parse().unwrap_or(200), format!("X-Tokens-Used: {cost}\r\n"));
        call.reply(status, &cost, "hello").await;
        call
    })
    .await
}

/// How many units are left, in the words of the admin listener.
async fn left(gateway: &Gateway, limit: &str, key: &str) -> u64 {
    let told = gateway.ask(&format!("/rate-limits/{limit}?key={key}")).await;
    assert_eq!(told.status, 200, "{}", told.text());
    told.json()["remaining"].as_u64().unwrap()
}

/// Waits until so many units are left: what a request has cost is settled when it is over.
async fn leaves(gateway: &Gateway, expected: u64) {
    eventually("the units that are left", async || {
        (left(gateway, "own", "a").await == expected).then_some(())
    })
    .await;
}

const LOGIN: &str = r#"
policies: {auth: none}
services: {users: {url: "http://<users>"}}
routes:
  - name: login
    match: {path: {exact: /api/auth/login}, methods: [POST]}
    policies:
      rate_limit:
        - {name: login, key: $(client.ip), algorithm: fixed_window, limit: 5/15d, count: failures}
    login:
      service: users
      path: /users/validate
      token:
        algorithm: HS256
        secret: 0123456789abcdef0123456789abcdef
        issuer: "https://id.test"
        audience: api
        ttl: 1h
        claims: {sub: $(answer.body.id)}
"#;

/// A gateway with a login, and the users service, which knows one password and thinks it over.
async fn login() -> (Gateway, Origin) {
    let users = Origin::start(|mut call: Call| async move {
        let body: serde_json::Value = serde_json::from_slice(&call.body().await).unwrap();
        let json = "Content-Type: application/json\r\n";
        match body["password"] == "right" {
            true => call.reply(200, json, "{\"id\": 42}").await,
            false => {
                // So that guesses that are sent at once are all on their way before one is answered.
                tokio::time::sleep(Duration::from_millis(50)).await;
                call.reply(401, json, "{}").await;
            }
        }
        call
    })
    .await;
    let setup = Setup::new(LOGIN).with("users", &users).threads(2);
    (setup.start().await, users)
}

fn guess(password: &str) -> String {
    let body = json!({"email": "ann@example.com", "password": password}).to_string();
    format!(
        "POST /api/auth/login HTTP/1.1\r\nHost: gateway.test\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_login_that_succeeds_does_not_count() {
    let (gateway, users) = login().await;
    let mut client = gateway.connect().await;
    for number in 0..8 {
        let response = client.request(&guess("right")).await;
        assert_eq!(response.status, 200, "{number}: {}", response.text());
        // A place that was taken is given back when the answer is out.
        eventually("all places to be there", async || {
            (left(&gateway, "login", "127.0.0.1").await == 5).then_some(())
        })
        .await;
    }
    for _ in 0..5 {
        client.request(&guess("wrong")).await.problem(401);
    }
    over(&client.request(&guess("wrong")).await, "login");
    // Nor does the right one help now: it would tell which it is.
    over(&client.request(&guess("right")).await, "login");
    assert_eq!(users.requests().len(), 13);
}

#[tokio::test]
async fn of_twenty_guesses_at_once_five_reach_the_users_service() {
    let (gateway, users) = login().await;
    let guesses = (0..20).map(|_| async { gateway.request(&guess("wrong")).await.status });
    let mut statuses = join_all(guesses).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[401; 5].as_slice(), &[429; 15]].concat());
    assert_eq!(users.requests().len(), 5);
}

#[tokio::test]
async fn what_the_service_fails_at_is_no_failure_of_the_client() {
    let origin = saying_statuses().await;
    let limit = "name: own, key: a, limit: 2/d, algorithm: fixed_window, count: failures";
    let gateway = limited(limit).with("app", &origin).start().await;
    for target in ["/200/1", "/302/1", "/500/1", "/503/1"] {
        gateway.get(target).await;
        leaves(&gateway, 2).await;
    }
    for (target, still) in [("/404/1", 1), ("/422/1", 0)] {
        gateway.get(target).await;
        leaves(&gateway, still).await;
    }
    over(&gateway.get("/200/1").await, "own");
}

#[tokio::test]
async fn successes_alone_can_count() {
    let origin = saying_statuses().await;
    let limit = "name: own, key: a, limit: 2/d, algorithm: fixed_window, count: successes";
    let gateway = limited(limit).with("app", &origin).start().await;
    for (target, still) in [("/404/1", 2), ("/500/1", 2), ("/200/1", 1), ("/304/1", 0)] {
        gateway.get(target).await;
        leaves(&gateway, still).await;
    }
    over(&gateway.get("/404/1").await, "own");
}

#[tokio::test]
async fn a_request_can_cost_more_than_one() {
    let (gateway, _origin) = started("name: own, key: a, limit: 100/h, cost: 40").await;
    let first = gateway.get("/").await;
    assert!(first.get("ratelimit").unwrap().starts_with("\"own\";r=60;"), "{first:?}");
    assert_eq!(gateway.get("/").await.status, 200);
    over(&gateway.get("/").await, "own");
}

#[tokio::test]
async fn what_a_request_has_cost_by_its_answer_is_charged_afterwards() {
    let origin = saying_statuses().await;
    let limit = "name: own, key: a, limit: 100/d, algorithm: fixed_window, \
                 cost_header: x-tokens-used";
    let gateway = limited(limit).with("app", &origin).start().await;
    assert_eq!(gateway.get("/200/60").await.status, 200);
    leaves(&gateway, 40).await;
    // What it costs is not known before, so that it may take more than is left; the next waits.
    assert_eq!(gateway.get("/200/70").await.status, 200);
    leaves(&gateway, 0).await;
    over(&gateway.get("/200/1").await, "own");
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn a_request_that_has_cost_less_than_was_taken_gets_the_rest_back() {
    let origin = saying_statuses().await;
    let limit = "name: own, key: a, limit: 100/d, algorithm: fixed_window, cost: 50, \
                 cost_header: x-tokens-used";
    let gateway = limited(limit).with("app", &origin).start().await;
    for (target, still) in [("/200/10", 90), ("/200/0", 90), ("/200/many", 40)] {
        assert_eq!(gateway.get(target).await.status, 200);
        leaves(&gateway, still).await;
    }
}

#[tokio::test]
async fn a_limit_that_observes_counts_and_refuses_nothing() {
    let (gateway, _origin) = started("name: own, key: a, limit: 2/h, observe: true").await;
    let mut client = gateway.connect().await;
    let_through(&statuses(&mut client, 5, &with("/", "")).await, 5);
    let told = client.get("/").await;
    assert_eq!((told.get("ratelimit"), told.get("retry-after")), (None, None));
    let labels = |outcome| [("limit", "routes.all:own"), ("outcome", outcome)];
    let name = "gateway_rate_limit_decisions_total";
    gateway.metric(name, &labels("observed"), 4.0).await;
    gateway.metric(name, &labels("refused"), 0.0).await;
    gateway.metric("gateway_rate_limited_requests_total", &[], 0.0).await;
}
