//! What the gateway refuses for its own sake.

use crate::support::{Client, Gateway, Origin, Response, Setup, eventually};
use nix::sys::signal::Signal;
use std::time::Duration;
use tokio::time::timeout;

/// For how long a client that is not served shows that it is not.
const A_MOMENT: Duration = Duration::from_millis(200);

/// Routes of every priority to one service, behind a gateway that bears so much.
fn bearing(overload: &str) -> Setup {
    let document = r#"
overload: {<overload>}
policies: {auth: none}
services:
  app: {url: "http://<app>"}
routes:
  - {name: low, match: {path: {prefix: /low}}, service: app, priority: low}
  - {name: normal, match: {path: {prefix: /normal}}, service: app}
  - {name: high, match: {path: {prefix: /high}}, service: app, priority: high}
"#;
    Setup::new(document).with("overload", overload)
}

/// Asks, and does not wait for the answer.
async fn asking(gateway: &Gateway, target: &str) -> Client {
    let mut client = gateway.connect().await;
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    client
}

#[track_caller]
fn shed(response: &Response) {
    let problem = response.problem(503);
    assert_eq!(problem["type"], "urn:x-sluicegate:problem:overloaded");
    assert_eq!(problem["retryAfter"], 1);
    assert_eq!(response.get("retry-after"), Some("1"));
}

async fn shed_so_far(gateway: &Gateway, priority: &str, reason: &str, count: f64) {
    let labels = [("priority", priority), ("reason", reason)];
    gateway.metric("gateway_shed_requests_total", &labels, count).await;
}

#[tokio::test]
async fn the_less_important_is_shed_first_and_what_is_in_flight_is_served() {
    let (origin, permits) = Origin::held().await;
    let setup = bearing("in_flight: 20, fail_readiness: true").with("app", &origin);
    let gateway = setup.threads(2).start().await;
    let mut clients = Vec::new();
    // Of 20, low gets 16, normal 19 and high all.
    for (priority, until) in [("low", 16), ("normal", 19), ("high", 20)] {
        let target = format!("/{priority}");
        while clients.len() < until {
            clients.push(asking(&gateway, &target).await);
            origin.request(clients.len()).await;
        }
        shed(&gateway.get(&target).await);
        shed_so_far(&gateway, priority, "in_flight", 1.0).await;
    }
    gateway.metric("gateway_in_flight", &[], 20.0).await;
    gateway.metric("gateway_in_flight_limit", &[], 20.0).await;
    let readiness = gateway.ask("/readyz").await;
    assert_eq!((readiness.status, readiness.text()), (503, "not ready, overloaded: in_flight\n"));
    assert_eq!(gateway.ask("/livez").await.status, 200);
    for line in gateway.access_log(3).await {
        assert_eq!(line["error"], "shed: as many requests are in flight as may be", "{line}");
    }

    permits.add_permits(21);
    for client in &mut clients {
        assert_eq!(client.response().await.text(), "done");
    }
    gateway.metric("gateway_in_flight", &[], 0.0).await;
    assert_eq!(gateway.get("/low").await.text(), "done");
    assert_eq!(gateway.ask("/readyz").await.text(), "ready\n");
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_place_back() {
    let (origin, _permits) = Origin::held().await;
    let gateway = bearing("in_flight: 1").with("app", &origin).start().await;
    let first = asking(&gateway, "/high").await;
    origin.request(1).await;
    shed(&gateway.get("/high").await);
    drop(first);
    gateway.metric("gateway_in_flight", &[], 0.0).await;
}

#[tokio::test]
async fn connections_beyond_the_mark_wait_and_are_served_when_others_close() {
    let origin = Origin::saying("served").await;
    let gateway = bearing("accept: {pause_at: 2}").with("app", &origin).start().await;
    let (mut first, mut second) = (gateway.connect().await, gateway.connect().await);
    assert_eq!(first.get("/low").await.text(), "served");
    assert_eq!(second.get("/low").await.text(), "served");
    gateway.metric("gateway_accepting", &[], 0.0).await;
    let mut third = asking(&gateway, "/low").await;
    assert!(timeout(A_MOMENT, third.response()).await.is_err(), "the third was served");
    assert_eq!(gateway.ask("/readyz").await.text(), "ready, overloaded: accept\n");
    // Those who are in are served as ever.
    assert_eq!(first.get("/low").await.text(), "served");
    drop(second);
    assert_eq!(third.response().await.text(), "served");
}

#[tokio::test]
async fn a_process_with_too_much_memory_sheds_and_accepts_nobody() {
    let origin = Origin::saying("served").await;
    let overload = "memory: {shed_at: 1MiB}, lag: {shed_at: 10s}";
    let gateway = bearing(overload).with("app", &origin).start().await;
    let response = eventually("a request that is shed", async || {
        let response = gateway.get("/high").await;
        (response.status == 503).then_some(response)
    })
    .await;
    shed(&response);
    shed_so_far(&gateway, "high", "memory", 1.0).await;
    assert_eq!(gateway.ask("/readyz").await.text(), "ready, overloaded: memory\n");
    let metrics = gateway.metrics().await;
    assert!(metrics.value("gateway_watched_memory_bytes", &[]).unwrap() > 1_048_576.0);
    assert!(metrics.value("gateway_worker_lag_seconds", &[]).is_some());

    let overload = "memory: {pause_accept_at: 1MiB}";
    let gateway = bearing(overload).with("app", &origin).start().await;
    gateway.metric("gateway_accepting", &[], 0.0).await;
}

#[tokio::test]
async fn a_gateway_of_which_nothing_is_said_sheds_nothing_and_has_no_such_figures() {
    let origin = Origin::saying("served").await;
    let gateway = Gateway::before(&origin).await;
    assert_eq!(gateway.get("/").await.text(), "served");
    let metrics = gateway.metrics().await;
    assert_eq!(metrics.value("gateway_in_flight", &[]), None);
    assert_eq!(gateway.ask("/readyz").await.text(), "ready\n");
}

#[tokio::test]
async fn a_gateway_that_does_not_come_round_in_time_sheds_and_recovers() {
    let origin = Origin::saying("served").await;
    let gateway = bearing("lag: {shed_at: 20ms}").with("app", &origin).start().await;
    let response = eventually("a request that is shed", async || {
        // Whoever is stopped again before its next timer is due wakes late each time.
        for _ in 0..6 {
            gateway.signal(Signal::SIGSTOP);
            tokio::time::sleep(Duration::from_millis(110)).await;
            gateway.signal(Signal::SIGCONT);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let response = gateway.get("/low").await;
        (response.status == 503).then_some(response)
    })
    .await;
    shed(&response);
    assert_eq!(gateway.get("/high").await.text(), "served");
    eventually("readiness without a word of overload", async || {
        (gateway.ask("/readyz").await.text() == "ready\n").then_some(())
    })
    .await;
    assert_eq!(gateway.get("/low").await.text(), "served");
}
