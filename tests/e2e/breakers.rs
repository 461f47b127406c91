//! Circuits that open when a service fails, and what answers meanwhile.

use crate::services::service;
use crate::support::{Call, Gateway, Origin, Port, Response, Setup, check, eventually, within};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// A service whose status is the test's to set.
async fn settable(status: u16) -> (Origin, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(status));
    let said = Arc::clone(&status);
    let origin = Origin::start(move |mut call: Call| {
        let status = said.load(SeqCst);
        async move {
            call.reply(status, "", "said").await;
            call
        }
    })
    .await;
    (origin, status)
}

/// A service `app` with this circuit breaker.
fn breaking(breaker: &str) -> Setup {
    service(&format!("{{url: \"http://<app>\", policies: {{circuit_breaker: {{{breaker}}}}}}}"))
}

/// Fails the test unless this is what an open circuit answers, and gives its `retryAfter`.
#[track_caller]
fn refused(response: &Response) -> u64 {
    let problem = response.problem(503);
    assert_eq!(problem["service"], "app");
    let seconds = problem["retryAfter"].as_u64().expect("retryAfter");
    assert_eq!(response.get("retry-after"), Some(&*seconds.to_string()));
    seconds
}

async fn statuses(gateway: &Gateway, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(gateway.get("/").await.status);
    }
    statuses
}

// Opening

#[tokio::test]
async fn after_enough_failures_a_service_is_not_asked_and_the_client_is_told_when_to_come_back() {
    let (origin, _) = settable(500).await;
    let setup = breaking("failures: 3, open_for: 30s").with("app", &origin);
    let gateway = setup.start().await;
    assert_eq!(statuses(&gateway, 3).await, [500, 500, 500]);
    let connections = origin.connections_made();
    for _ in 0..5 {
        let seconds = refused(&gateway.get("/").await);
        assert!((1..=30).contains(&seconds), "{seconds}");
    }
    assert_eq!((origin.requests().len(), origin.connections_made()), (3, connections));
    assert!(gateway.said().contains("circuit opened"), "{}", gateway.said());
    let log = gateway.access_log(8).await;
    assert_eq!((&log[7]["attempts"], &log[7]["status"]), (&0.into(), &503.into()), "{}", log[7]);
}

#[tokio::test]
async fn clients_own_mistakes_open_no_circuit() {
    let (origin, _) = settable(404).await;
    let gateway = breaking("failures: 2").with("app", &origin).start().await;
    assert_eq!(statuses(&gateway, 5).await, [404; 5]);
}

#[tokio::test]
async fn a_service_that_is_dead_is_a_502_until_its_circuit_opens_and_then_a_503_at_once() {
    let nobody = Port::reserve();
    let gateway = breaking("failures: 2").with("app", nobody.address).start().await;
    assert_eq!(statuses(&gateway, 2).await, [502, 502]);
    let begun = Instant::now();
    refused(&gateway.get("/").await);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let labels = [("service", "app"), ("cause", "connect")];
    gateway.metric("gateway_upstream_errors_total", &labels, 2.0).await;
}

#[tokio::test]
async fn a_service_that_says_nothing_opens_its_circuit_and_holds_nobody_up_after_that() {
    let origin = Origin::start(|mut call: Call| async move {
        call.until_closed().await;
        call.close()
    })
    .await;
    let times = "timeouts: {read: 100ms}, circuit_breaker: {failures: 2}";
    let setup = service(&format!("{{url: \"http://<app>\", policies: {{{times}}}}}"));
    let gateway = setup.with("app", &origin).start().await;
    assert_eq!(statuses(&gateway, 2).await, [504, 504]);
    refused(&gateway.get("/").await);
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn each_try_counts_and_an_open_circuit_ends_them() {
    let (origin, _) = settable(503).await;
    let retry = "retry: {attempts: 5, retry_on: [503], backoff: 0ms..1ms}";
    let policies = format!("policies: {{{retry}, circuit_breaker: {{failures: 3}}}}");
    let setup = service(&format!("{{url: \"http://<app>\", {policies}}}"));
    let gateway = setup.with("app", &origin).start().await;
    refused(&gateway.get("/").await);
    assert_eq!(origin.requests().len(), 3);
}

#[tokio::test]
async fn a_share_of_failures_counts_once_there_are_enough_requests() {
    let (origin, status) = settable(200).await;
    let breaker = "failure_rate: 50%, min_requests: 6, window: 60s";
    let gateway = breaking(breaker).with("app", &origin).start().await;
    assert_eq!(statuses(&gateway, 3).await, [200; 3]);
    status.store(500, SeqCst);
    // Two of five are less than half, and five too few; three of six are neither.
    assert_eq!(statuses(&gateway, 3).await, [500; 3]);
    refused(&gateway.get("/").await);
    assert_eq!(origin.requests().len(), 6);
}

#[tokio::test]
async fn answers_that_come_too_slowly_reach_the_client_and_open_the_circuit() {
    let origin = Origin::start(|mut call: Call| async move {
        tokio::time::sleep(Duration::from_millis(80)).await;
        call.reply(200, "", "late").await;
        call
    })
    .await;
    let breaker = "failures: 2, slow_after: 40ms";
    let gateway = breaking(breaker).with("app", &origin).start().await;
    assert_eq!(statuses(&gateway, 2).await, [200, 200]);
    refused(&gateway.get("/").await);
}

// Closing

#[tokio::test]
async fn a_service_that_is_back_is_found_out_by_probes_that_close_the_circuit() {
    let (origin, status) = settable(500).await;
    let breaker = "failures: 2, open_for: 150ms, successes: 2";
    let gateway = breaking(breaker).with("app", &origin).start().await;
    assert_eq!(statuses(&gateway, 2).await, [500, 500]);
    assert!(refused(&gateway.get("/").await) <= 1);
    // A probe that fails opens it again.
    eventually("a probe", async || (gateway.get("/").await.status == 500).then_some(())).await;
    refused(&gateway.get("/").await);
    assert_eq!(origin.requests().len(), 3);
    status.store(200, SeqCst);
    eventually("a probe", async || (gateway.get("/").await.status == 200).then_some(())).await;
    assert_eq!(statuses(&gateway, 4).await, [200; 4]);
    eventually("the log", async || gateway.said().contains("circuit closed").then_some(())).await;
    // It is as good as new: one failure is not too many.
    status.store(500, SeqCst);
    assert_eq!(statuses(&gateway, 2).await, [500, 500]);
    refused(&gateway.get("/").await);
}

#[tokio::test]
async fn a_half_open_circuit_lets_one_in_at_a_time() {
    let status = Arc::new(AtomicU16::new(500));
    let (said, gate) = (Arc::clone(&status), Arc::new(Semaphore::new(1)));
    let held = Arc::clone(&gate);
    let origin = Origin::start(move |mut call: Call| {
        let (status, gate) = (said.load(SeqCst), Arc::clone(&held));
        async move {
            gate.acquire().await.unwrap().forget();
            call.reply(status, "", "said").await;
            call
        }
    })
    .await;
    let breaker = "failures: 1, open_for: 100ms, successes: 2";
    let gateway = breaking(breaker).with("app", &origin).start().await;
    assert_eq!(gateway.get("/").await.status, 500);
    status.store(200, SeqCst);
    // Nobody is answered now, so that whoever is not refused at once is the probe.
    let mut probe = eventually("the probe", async || {
        let mut client = gateway.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        match tokio::time::timeout(Duration::from_millis(200), client.response()).await {
            Ok(response) => {
                refused(&response);
                None
            }
            Err(_) => Some(client),
        }
    })
    .await;
    for _ in 0..5 {
        assert!(refused(&gateway.get("/").await) <= 1);
    }
    assert_eq!(origin.requests().len(), 2);
    gate.add_permits(1);
    // What was read of its answer was nothing yet.
    assert_eq!(probe.response().await.status, 200);
    gate.add_permits(100);
    assert_eq!(statuses(&gateway, 3).await, [200; 3]);
}

#[tokio::test]
async fn a_probe_whose_client_leaves_gives_its_place_back() {
    let status = Arc::new(AtomicU16::new(500));
    let said = Arc::clone(&status);
    let origin = Origin::start(move |mut call: Call| {
        let status = said.load(SeqCst);
        async move {
            if call.seen.target == "/hold" {
                call.until_closed().await;
                return call.close();
            }
            call.reply(status, "", "said").await;
            call
        }
    })
    .await;
    let breaker = "failures: 1, open_for: 100ms, successes: 1";
    let gateway = breaking(breaker).with("app", &origin).start().await;
    assert_eq!(gateway.get("/").await.status, 500);
    status.store(200, SeqCst);
    eventually("the probe", async || {
        let mut client = gateway.connect().await;
        client.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let refused = tokio::time::timeout(Duration::from_millis(200), client.response()).await;
        // It leaves here, if it was let in.
        refused.is_err().then_some(())
    })
    .await;
    eventually("another", async || (gateway.get("/").await.status == 200).then_some(())).await;
}

// What answers meanwhile

#[tokio::test]
async fn an_open_circuit_may_have_a_fixed_answer() {
    let (origin, _) = settable(500).await;
    let fallback = "{status: 200, headers: {x-from: gateway}, body: 'none of $(header.x-what)'}";
    let setup = breaking(&format!("failures: 1, fallback: {fallback}"));
    let gateway = setup.with("app", &origin).start().await;
    assert_eq!(gateway.get("/").await.status, 500);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-What: them\r\n\r\n";
    let response = gateway.request(request).await;
    assert_eq!((response.status, response.text()), (200, "none of them"));
    assert_eq!(response.get("x-from"), Some("gateway"));
    assert_eq!(origin.requests().len(), 1);
}

const SPARE: &str = r#"
policies: {auth: none}
services:
  app:
    url: "http://<app>"
    policies: {circuit_breaker: {failures: 1, fallback: {service: spare}}}
  spare: {url: "http://<spare>"}
routes:
  - {name: all, match: {path: {prefix: /}}, service: app}
"#;

#[tokio::test]
async fn another_service_may_answer_for_one_whose_circuit_is_open() {
    let ((origin, _), spare) = (settable(500).await, Origin::saying("spare").await);
    let gateway = Setup::new(SPARE).with("app", &origin).with("spare", &spare).start().await;
    assert_eq!(gateway.get("/").await.status, 500);
    let put = "PUT /order?id=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\norder";
    let response = gateway.request(put).await;
    assert_eq!((response.status, response.text()), (200, "spare"));
    let seen = spare.last();
    assert_eq!((&*seen.method, &*seen.target, &*seen.body), ("PUT", "/order?id=1", &b"order"[..]));
    assert_eq!(seen.get("host"), Some(spare.address()));
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(gateway.access_log(2).await[1]["service"], "spare");
}

#[tokio::test]
async fn a_service_that_answers_for_another_fails_by_its_own_name() {
    let ((origin, _), nobody) = (settable(500).await, Port::reserve());
    let setup = Setup::new(SPARE).with("app", &origin).with("spare", nobody.address);
    let gateway = setup.start().await;
    assert_eq!(gateway.get("/").await.status, 500);
    assert_eq!(gateway.get("/").await.problem(502)["service"], "spare");
}

#[tokio::test]
async fn one_service_whose_circuit_is_open_leaves_the_others_alone() {
    let ((origin, _), other) = (settable(500).await, Origin::saying("other").await);
    let document = r#"
policies: {auth: none, circuit_breaker: {failures: 1}}
services:
  app: {url: "http://<app>"}
  other: {url: "http://<other>"}
routes:
  - {name: app, match: {path: {prefix: /app}}, service: app}
  - {name: other, match: {path: {prefix: /other}}, service: other}
"#;
    let setup = Setup::new(document).with("app", &origin).with("other", &other);
    let gateway = setup.start().await;
    assert_eq!(gateway.get("/app").await.status, 500);
    refused(&gateway.get("/app").await);
    assert_eq!(gateway.get("/other").await.text(), "other");
}

// Each endpoint its own

#[tokio::test]
async fn an_endpoint_whose_own_circuit_is_open_leaves_the_other_in_use() {
    let ((bad, _), good) = (settable(500).await, Origin::saying("good").await);
    let breaker = "circuit_breaker: {failures: 2, per_endpoint: true}";
    let endpoints = "endpoints: [{address: <bad>}, {address: <good>}]";
    let setup = service(&format!("{{{endpoints}, policies: {{{breaker}}}}}"));
    let gateway = setup.with("bad", &bad).with("good", &good).start().await;
    let mut told = statuses(&gateway, 4).await;
    told.sort_unstable();
    assert_eq!(told, [200, 200, 500, 500]);
    assert_eq!(statuses(&gateway, 6).await, [200; 6]);
    assert_eq!((bad.requests().len(), good.requests().len()), (2, 8));
}

#[tokio::test]
async fn where_every_endpoints_circuit_is_open_the_client_is_told_at_once() {
    let ((one, _), (two, _)) = (settable(500).await, settable(500).await);
    let breaker = "circuit_breaker: {failures: 1, per_endpoint: true}";
    let endpoints = "endpoints: [{address: <one>}, {address: <two>}]";
    let setup = service(&format!("{{{endpoints}, policies: {{{breaker}}}}}"));
    let gateway = setup.with("one", &one).with("two", &two).start().await;
    assert_eq!(statuses(&gateway, 2).await, [500, 500]);
    refused(&within("an answer", gateway.get("/")).await);
    assert_eq!((one.requests().len(), two.requests().len()), (1, 1));
}

// What the check refuses

/// What the check says of a document with these policies at the service and at the route.
fn checked(service: &str, route: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    let document = format!(
        "version: 1\nlisteners: [{{name: main, address: \"127.0.0.1:18080\"}}]\n\
         services:\n  app:\n    url: http://127.0.0.1:18081\n    policies: {{{service}}}\n\
         routes:\n  - name: all\n    match: {{path: {{prefix: /}}}}\n    service: app\n    \
         policies: {{auth: none, {route}}}\n"
    );
    std::fs::write(&file, document).unwrap();
    check(&file)
}

#[test]
fn a_breaker_that_could_not_work_does_not_pass_the_check() {
    let fallback = |name: &str| format!("circuit_breaker: {{fallback: {{service: {name}}}}}");
    let per_endpoint = "circuit_breaker: {per_endpoint: true}";
    for (service, route, said) in [
        (&*fallback("app"), "", "`app` cannot be asked in its own place"),
        (&fallback("nobody"), "", "nobody"),
        ("", &fallback("nobody"), "nobody"),
        ("", &fallback("app"), "`app` cannot be asked in its own place"),
        ("", per_endpoint, "only a service's own `policies` can give each"),
        ("circuit_breaker: {failures: 0}", "", "no failure at all would open the circuit"),
        ("circuit_breaker: {fallback: {}}", "", "what answers is missing"),
    ] {
        let (passed, told) = checked(service, route);
        assert!(!passed && told.contains(said), "{service} {route}: {told}");
        let line = if service.is_empty() { 11 } else { 6 };
        assert!(told.contains(&format!("gateway.yaml:{line}:")), "{service} {route}: {told}");
    }
    let (passed, told) = checked(per_endpoint, "");
    assert!(passed, "{told}");
}
