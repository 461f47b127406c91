//! How requests are spread over endpoints.

use crate::services::service;
use crate::support::{Call, Client, Gateway, Origin, Port, Setup, eventually};
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::time::Duration;

/// Three endpoints that say who they are, behind a service of which this is said beside them.
async fn three(settings: &str) -> (Gateway, [Origin; 3]) {
    let origins =
        [Origin::saying("one").await, Origin::saying("two").await, Origin::saying("three").await];
    let endpoints = "endpoints: [{address: <one>}, {address: <two>}, {address: <three>}]";
    let [one, two, three] = &origins;
    let setup = service(&format!("{{{endpoints}, {settings}}}"));
    let gateway = setup.with("one", one).with("two", two).with("three", three).start().await;
    (gateway, origins)
}

/// Who answers so many requests of a client, in order.
pub async fn answers(client: &mut Client, count: usize) -> Vec<String> {
    let mut told = Vec::with_capacity(count);
    for _ in 0..count {
        let response = client.get("/").await;
        assert_eq!(response.status, 200, "{}", response.text());
        told.push(response.text().to_owned());
    }
    told
}

/// How many of these answers are whose.
pub fn counted(answers: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.as_str()).or_default() += 1;
    }
    counts
}

/// Starts an origin at an address that was reserved for it.
pub async fn at(port: &Port, says: &'static str) -> Origin {
    Origin::at(&port.address.to_string(), move |mut call: Call| async move {
        call.reply(200, "", says).await;
        call
    })
    .await
}

// By turns

/// Waits until the endpoints that answer are these, over a few turns; none may fail meanwhile.
pub async fn served_by(gateway: &Gateway, names: &[&str]) {
    let mut client = gateway.connect().await;
    eventually(&format!("{names:?} alone to serve"), async || {
        let told = answers(&mut client, 6).await;
        counted(&told).keys().eq(names.iter()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_endpoint_gets_exactly_its_weight() {
    let origins =
        [Origin::saying("five").await, Origin::saying("three").await, Origin::saying("one").await];
    let setup = service(
        "{endpoints: [{address: <five>, weight: 5}, {address: <three>, weight: 3}, \
         {address: <one>}]}",
    );
    let [five, three, one] = &origins;
    let gateway = setup.with("five", five).with("three", three).with("one", one).start().await;
    let told = answers(&mut gateway.connect().await, 270).await;
    assert_eq!(counted(&told), BTreeMap::from([("five", 150), ("three", 90), ("one", 30)]));
    for round in told.chunks(18) {
        let counts = counted(round);
        assert_eq!((counts["five"], counts["three"], counts["one"]), (10, 6, 2), "{told:?}");
    }
    // In turns that are spread: the heaviest never gets four in a row.
    let is_clumped = |window: &[String]| window.iter().all(|one| one == "five");
    assert!(!told.windows(4).any(is_clumped), "{told:?}");
}

// By load

#[tokio::test]
async fn an_endpoint_that_hangs_gets_no_more_than_its_first_requests_by_least_request() {
    let hangs = Origin::start(|call: Call| async move {
        let _held = call;
        pending().await
    })
    .await;
    let quick = Origin::saying("quick").await;
    let setup = service(
        "{endpoints: [{address: <hangs>}, {address: <quick>}], load_balancing: least_request}",
    );
    let gateway = setup.with("hangs", &hangs).with("quick", &quick).start().await;
    let mut waiting = Vec::new();
    for number in 1..=40 {
        let mut client = gateway.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let before = quick.requests().len();
        eventually("the request at an endpoint", async || {
            (hangs.requests().len() + quick.requests().len() == number).then_some(())
        })
        .await;
        match quick.requests().len() > before || number == quick.requests().len() {
            true => drop(client.response().await),
            false => waiting.push(client),
        }
    }
    assert!((1..=5).contains(&hangs.requests().len()), "{}", hangs.requests().len());
}

#[tokio::test]
async fn the_quicker_endpoint_gets_most_requests_by_peak_ewma() {
    let slow = Origin::start(|mut call: Call| async move {
        // Longer than the quick one needs on a busy machine, even to be connected to.
        tokio::time::sleep(Duration::from_millis(400)).await;
        call.reply(200, "", "slow").await;
        call
    })
    .await;
    let quick = Origin::saying("quick").await;
    let setup =
        service("{endpoints: [{address: <slow>}, {address: <quick>}], load_balancing: peak_ewma}");
    let gateway = setup.with("slow", &slow).with("quick", &quick).start().await;
    let told = answers(&mut gateway.connect().await, 100).await;
    let slow = counted(&told).get("slow").copied().unwrap_or(0);
    assert!(slow < 20, "{told:?}");
}

// By key

const BY_USER: &str =
    "load_balancing: {algorithm: consistent_hash, key: $(header.x-user), headroom: 100%}";

/// Who answers each of 30 users.
async fn homes(gateway: &Gateway) -> Vec<String> {
    let mut client = gateway.connect().await;
    let mut homes = Vec::new();
    for user in 0..30 {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-User: user-{user}\r\n\r\n");
        let response = client.request(&request).await;
        assert_eq!(response.status, 200, "{}", response.text());
        homes.push(response.text().to_owned());
    }
    homes
}

#[tokio::test]
async fn a_header_keeps_its_value_at_one_endpoint_and_values_at_all() {
    let (gateway, _origins) = three(BY_USER).await;
    let first = homes(&gateway).await;
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 3, "{first:?}");
    for _ in 0..3 {
        assert_eq!(homes(&gateway).await, first);
    }
}

#[tokio::test]
async fn only_the_keys_of_an_endpoint_that_died_move_and_no_client_sees_it() {
    let (gateway, [one, _two, _three]) = three(BY_USER).await;
    let before = homes(&gateway).await;
    one.stop().await;
    let after = homes(&gateway).await;
    for (before, after) in before.iter().zip(&after) {
        match before.as_str() {
            "one" => assert_ne!(after, "one"),
            alive => assert_eq!(after, alive),
        }
    }
    assert_eq!(homes(&gateway).await, after);
}

#[tokio::test]
async fn a_cookie_keeps_its_value_at_one_endpoint() {
    let (gateway, _origins) =
        three("load_balancing: {algorithm: consistent_hash, key: $(cookie.session)}").await;
    let mut homes = BTreeSet::new();
    for session in 0..20 {
        let request =
            format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b; session={session}\r\n\r\n");
        let home = gateway.request(&request).await.text().to_owned();
        for _ in 0..3 {
            assert_eq!(gateway.request(&request).await.text(), home);
        }
        homes.insert(home);
    }
    assert_eq!(homes.len(), 3);
}

#[tokio::test]
async fn a_client_stays_at_one_endpoint_by_its_address() {
    let (gateway, _origins) = three("load_balancing: consistent_hash").await;
    let mut homes = BTreeSet::new();
    for host in 1..=20 {
        let mut told = BTreeSet::new();
        for _ in 0..3 {
            let mut client = Client::connect_from([127, 0, 7, host], gateway.address).await;
            told.insert(client.get("/").await.text().to_owned());
        }
        assert_eq!(told.len(), 1, "127.0.7.{host} is at {told:?}");
        homes.append(&mut told);
    }
    assert_eq!(homes.len(), 3);
}

#[tokio::test]
async fn requests_without_the_key_are_spread() {
    let (gateway, _origins) = three(BY_USER).await;
    let told = answers(&mut gateway.connect().await, 150).await;
    let counts = counted(&told);
    assert!(counts.len() == 3 && counts.values().all(|count| *count >= 15), "{counts:?}");
}

// Who serves

/// A check that is quick to see what a test does.
pub const QUICK_CHECK: &str =
    "health_check: {tcp: true, interval: 50ms, unhealthy_after: 2, healthy_after: 1}";

fn first_and_second(first: &Port, second: &Origin, settings: &str) -> Setup {
    let endpoints = "endpoints: [{address: <first>}, {address: <second>, priority: 1}]";
    let setup = service(&format!("{{{endpoints}, {QUICK_CHECK}{settings}}}"));
    setup.with("first", first.address).with("second", second)
}

#[tokio::test]
async fn the_second_priority_serves_while_the_first_is_down_and_no_longer() {
    let (port, second) = (Port::reserve(), Origin::saying("second").await);
    let first = at(&port, "first").await;
    let gateway = first_and_second(&port, &second, "").start().await;
    let mut client = gateway.connect().await;
    assert_eq!(counted(&answers(&mut client, 20).await), BTreeMap::from([("first", 20)]));
    first.stop().await;
    eventually("the second to serve", async || {
        (answers(&mut client, 1).await[0] == "second").then_some(())
    })
    .await;
    let _first = at(&port, "first").await;
    eventually("the first to serve again", async || {
        (answers(&mut client, 1).await[0] == "first").then_some(())
    })
    .await;
    assert_eq!(counted(&answers(&mut client, 20).await), BTreeMap::from([("first", 20)]));
}

#[tokio::test]
async fn all_endpoints_serve_when_too_few_seem_well_to_believe_it() {
    let (gateway, _origins) = three(
        "load_balancing: {panic_below: 50%}, \
         health_check: {path: /, expect: {status: 204}, interval: 50ms}",
    )
    .await;
    eventually("all to be found unhealthy", async || {
        (gateway.said().matches("endpoint is unhealthy").count() == 3).then_some(())
    })
    .await;
    let told = answers(&mut gateway.connect().await, 30).await;
    assert_eq!(counted(&told), BTreeMap::from([("one", 10), ("two", 10), ("three", 10)]));
}

#[tokio::test]
async fn an_endpoint_that_comes_back_gets_less_at_first() {
    let (port, old) = (Port::reserve(), Origin::saying("old").await);
    let setup = service(&format!(
        "{{endpoints: [{{address: <new>}}, {{address: <old>}}], \
         load_balancing: {{slow_start: 10m}}, {QUICK_CHECK}}}"
    ));
    let gateway = setup.with("new", port.address).with("old", &old).start().await;
    eventually("the one that is not there to be found unhealthy", async || {
        gateway.said().contains("endpoint is unhealthy").then_some(())
    })
    .await;
    let _new = at(&port, "new").await;
    let mut client = gateway.connect().await;
    eventually("the newcomer to serve", async || {
        (answers(&mut client, 1).await[0] == "new").then_some(())
    })
    .await;
    // A tenth of a full share: one of eleven.
    assert_eq!(
        counted(&answers(&mut client, 110).await),
        BTreeMap::from([("new", 10), ("old", 100)])
    );
}
