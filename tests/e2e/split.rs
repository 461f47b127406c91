//! Routes that several services share: a canary's few percent, two colours, and testers who choose.

use crate::support::{Gateway, Origin, Setup, check};
use std::collections::HashMap;

/// A stable service and its canary, each of which answers with its name.
struct Pair {
    stable: Origin,
    canary: Origin,
}

impl Pair {
    async fn start() -> Pair {
        Pair { stable: Origin::saying("stable").await, canary: Origin::saying("canary").await }
    }

    /// A gateway that parts everything between the two like this.
    async fn behind(&self, backends: &str, more: &str) -> Gateway {
        let setup = Setup::new(&parted(backends, more));
        setup.with("stable", &self.stable).with("canary", &self.canary).start().await
    }
}

/// One route with these backends, and whatever else is said of it.
fn parted(backends: &str, more: &str) -> String {
    format!(
        "policies: {{auth: none}}\n\
         services:\n  stable: {{url: \"http://<stable>\"}}\n  canary: {{url: \"http://<canary>\"}}\n\
         routes:\n  - name: orders\n    match: {{path: {{prefix: /}}}}\n    \
         backends: [{backends}]\n{more}"
    )
}

const BY_USER: &str = "    split_key: $(header.x-user)\n";

/// Which side each of some users is on, asked on one connection.
async fn sides(gateway: &Gateway, users: usize) -> HashMap<usize, String> {
    let mut client = gateway.connect().await;
    let mut sides = HashMap::new();
    for user in 0..users {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-User: user-{user}\r\n\r\n");
        sides.insert(user, client.request(&request).await.text().to_owned());
    }
    sides
}

async fn asked(gateway: &Gateway, target: &str, field: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
    gateway.request(&request).await.text().to_owned()
}

#[tokio::test]
async fn a_canary_gets_its_share_of_the_requests() {
    let pair = Pair::start().await;
    let backends = "{service: stable, weight: 75}, {service: canary, weight: 25}";
    let gateway = pair.behind(backends, "").await;
    let mut client = gateway.connect().await;
    for _ in 0..400 {
        client.get("/").await;
    }
    // 100 are expected, and six standard deviations are 52.
    let canary = pair.canary.requests().len();
    assert!((48..=152).contains(&canary), "{canary} of 400");
    assert_eq!(pair.stable.requests().len(), 400 - canary);
}

#[tokio::test]
async fn a_caller_stays_on_its_side_across_requests_connections_and_a_restart() {
    let pair = Pair::start().await;
    let backends = "{service: stable, weight: 50}, {service: canary, weight: 50}";
    let gateway = pair.behind(backends, BY_USER).await;
    let before = sides(&gateway, 40).await;
    assert_eq!(sides(&gateway, 40).await, before);
    drop(gateway);
    let gateway = pair.behind(backends, BY_USER).await;
    assert_eq!(sides(&gateway, 40).await, before);
    let canary = before.values().filter(|side| *side == "canary").count();
    assert!((5..=35).contains(&canary), "{canary} of 40");
}

#[tokio::test]
async fn a_canary_that_grows_keeps_the_callers_that_it_has() {
    let pair = Pair::start().await;
    let backends = "{service: stable, weight: 80}, {service: canary, weight: 20}";
    let few = sides(&pair.behind(backends, BY_USER).await, 60).await;
    let backends = "{service: stable, weight: 50}, {service: canary, weight: 50}";
    let many = sides(&pair.behind(backends, BY_USER).await, 60).await;
    let on_canary = |sides: &HashMap<usize, String>, user| sides[&user] == "canary";
    assert!((0..60).all(|user| !on_canary(&few, user) || on_canary(&many, user)));
    let count = |sides| (0..60).filter(|user| on_canary(sides, *user)).count();
    assert!(count(&few) < count(&many), "{} and {}", count(&few), count(&many));
}

#[tokio::test]
async fn a_caller_that_the_key_does_not_know_is_on_no_side() {
    let pair = Pair::start().await;
    let backends = "{service: stable, weight: 50}, {service: canary, weight: 50}";
    let gateway = pair.behind(backends, BY_USER).await;
    let mut client = gateway.connect().await;
    for _ in 0..60 {
        client.get("/").await;
    }
    assert!(!pair.stable.requests().is_empty() && !pair.canary.requests().is_empty());
}

#[tokio::test]
async fn the_colour_of_weight_0_gets_nothing() {
    let pair = Pair::start().await;
    let backends = "{service: stable, weight: 100}, {service: canary, weight: 0}";
    let gateway = pair.behind(backends, BY_USER).await;
    assert!(sides(&gateway, 100).await.values().all(|side| side == "stable"));
    assert_eq!(gateway.get("/").await.text(), "stable");
    let backends = "{service: stable, weight: 0}, {service: canary, weight: 100}";
    let gateway = pair.behind(backends, BY_USER).await;
    assert!(sides(&gateway, 100).await.values().all(|side| side == "canary"));
}

#[tokio::test]
async fn a_tester_chooses_by_a_field_a_cookie_or_the_query_whatever_the_weights() {
    let pair = Pair::start().await;
    let backends = "{service: stable, weight: 100}, \
         {service: canary, weight: 0, when: {headers: {x-canary: \"1\"}}}, \
         {service: canary, weight: 0, when: {cookies: {canary: {present: true}}}}, \
         {service: canary, weight: 0, when: {query: {preview: \"on\"}, headers: {x-staff: \"1\"}}}";
    let gateway = pair.behind(backends, BY_USER).await;
    for (target, field, side) in [
        ("/", "X-Canary: 1", "canary"),
        ("/", "X-Canary: 0", "stable"),
        ("/", "Cookie: a=b; canary=", "canary"),
        ("/", "Cookie: canaries=1", "stable"),
        ("/?preview=on", "X-Staff: 1", "canary"),
        ("/?preview=on", "X-Staff: 0", "stable"),
        ("/", "X-Staff: 1", "stable"),
    ] {
        assert_eq!(asked(&gateway, target, field).await, side, "{target} {field}");
    }
}

#[tokio::test]
async fn a_request_that_is_tried_again_stays_on_its_side() {
    let pair = Pair::start().await;
    let broken = Origin::start(|call| async move { call.close() }).await;
    let backends = "{service: stable, weight: 0, when: {headers: {x-none: \"1\"}}}, \
         {service: canary, weight: 100}";
    let more = "    policies: {retry: {attempts: 3, backoff: 1ms..1ms}}\n";
    let setup = Setup::new(&parted(backends, more));
    let gateway = setup.with("stable", &pair.stable).with("canary", &broken).start().await;
    let problem = gateway.get("/").await.problem(502);
    assert_eq!(problem["service"], "canary");
    assert_eq!((broken.requests().len(), pair.stable.requests().len()), (3, 0));
}

#[tokio::test]
async fn a_canary_whose_circuit_is_open_is_answered_for_by_the_stable_side() {
    let pair = Pair::start().await;
    let broken = Origin::start(|mut call| async move {
        call.reply(500, "", "broken").await;
        call
    })
    .await;
    let document = parted("{service: stable, weight: 0}, {service: canary, weight: 100}", "")
        .replace(
            "<canary>\"",
            "<canary>\", policies: {circuit_breaker: {failures: 2, fallback: {service: stable}}}",
        );
    let setup = Setup::new(&document).with("stable", &pair.stable).with("canary", &broken);
    let gateway = setup.start().await;
    let mut client = gateway.connect().await;
    let mut told = Vec::new();
    for _ in 0..5 {
        told.push(client.get("/").await.text().to_owned());
    }
    assert_eq!(told, ["broken", "broken", "stable", "stable", "stable"]);
}

#[tokio::test]
async fn the_access_log_says_which_side_answered() {
    let pair = Pair::start().await;
    let backends = "{service: stable}, {service: canary, weight: 0, when: {query: {c: \"1\"}}}";
    let gateway = pair.behind(backends, "").await;
    gateway.get("/").await;
    gateway.get("/?c=1").await;
    let mut services: Vec<_> =
        gateway.access_log(2).await.iter().map(|line| line["service"].to_string()).collect();
    services.sort();
    assert_eq!(services, ["\"canary\"", "\"stable\""]);
}

#[test]
fn a_split_that_could_not_be_meant_is_refused_where_it_stands() {
    let route = |answer: &str| {
        let document = parted("", "").replace("    backends: []\n", answer);
        let document = document.replace("<stable>", "127.0.0.1:1").replace("<canary>", "[::1]:2");
        format!("version: 1\nlisteners: [{{name: main, address: 127.0.0.1:18080}}]\n{document}")
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    for (answer, told) in [
        ("    backends: [{service: stable, weight: 0}]\n", "every weight is 0"),
        ("    backends: []\n", "no backend stands here"),
        ("    backends: [{service: stable}, {service: stable}]\n", "has a weight already"),
        ("    backends: [{service: stable}, {service: canry}]\n", "canary"),
        ("    backends: [{service: stable, when: {query: {a: b}}}]\n", "a `weight` is missing"),
        ("    backends: [{service: stable, weight: 1, when: {}}]\n", "nothing is asked here"),
        ("    backends: [{service: stable}]\n    split_key: all\n", "the same for every request"),
        ("    service: stable\n    split_key: $(client.ip)\n", "several `backends`"),
        ("    service: stable\n    backends: [{service: canary}]\n", "answered by `service`"),
        ("    respond: {status: 200}\n    mirror: {service: stable}\n", "is mirrored"),
        ("    service: stable\n    mirror: {service: canry}\n", "canary"),
        ("    service: stable\n    mirror: {service: canary, sample: 101%}\n", "101"),
        ("    service: stable\n    mirror: {service: canary, timeout: 0s}\n", "zero"),
        ("    service: stable\n    mirror: {service: canary, max_body: 2MiB}\n", "1MiB"),
    ] {
        std::fs::write(&file, route(answer)).unwrap();
        let (passed, said) = check(&file);
        assert!(!passed && said.contains(told), "{answer}{said}");
        // The route begins in line 7, and what is wrong stands there or below.
        let line = said.split(&format!("{}:", file.display())).nth(1).unwrap();
        let line: usize = line.split(':').next().unwrap().parse().unwrap();
        assert!((7..=11).contains(&line), "{said}");
    }
}
