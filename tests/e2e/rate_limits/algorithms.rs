//! Each way to count, as clients see it. How exact each is at the edges of its windows is shown
//! where it is written.

use super::{behind_a_proxy, let_through, over, started, statuses, with};
use crate::support::{Call, Gateway, Origin, Setup, eventually};
use futures_util::future::join_all;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const ALGORITHMS: [&str; 6] = [
    "fixed_window",
    "sliding_window_log",
    "sliding_window_counter",
    "token_bucket",
    "leaky_bucket",
    "adaptive",
];

/// A route for each algorithm, with this limit.
async fn all_of_them(limit: &str) -> (Gateway, Origin) {
    let mut document =
        "policies: {auth: none}\nservices: {app: {url: \"http://<app>\"}}\nroutes:\n".to_owned();
    for name in ALGORITHMS {
        writeln!(
            document,
            "  - {{name: {name}, match: {{path: {{prefix: /{name}}}}}, service: app, policies: \
             {{rate_limit: [{{name: own, key: $(client.ip), limit: {limit}, algorithm: {name}}}]}}}}"
        )
        .unwrap();
    }
    let origin = Origin::saying("hello").await;
    let setup = behind_a_proxy(Setup::new(&document)).with("app", &origin).threads(4);
    (setup.start().await, origin)
}

#[tokio::test]
async fn whatever_counts_lets_through_exactly_the_limit_of_what_comes_at_once() {
    let (gateway, _origin) = all_of_them("7/d").await;
    for name in ALGORITHMS {
        let asked = (0..24).map(|_| async { gateway.get(&format!("/{name}")).await.status });
        let mut statuses = join_all(asked).await;
        statuses.sort_unstable();
        let_through(&statuses, 7);
    }
}

#[tokio::test]
async fn who_asks_again_when_it_is_told_to_is_let_through() {
    let (gateway, _origin) = all_of_them("2/s").await;
    let asked = ALGORITHMS.map(|name| {
        let gateway = &gateway;
        async move {
            let mut client = gateway.connect().await;
            let target = format!("/{name}");
            // A window may begin meanwhile, and a bucket fill.
            for _ in 0..1_000 {
                let response = client.get(&target).await;
                if response.status == 429 {
                    let seconds = over(&response, "own");
                    // A counter that estimates remembers one window into the next.
                    assert!((1..=2).contains(&seconds), "{name}: {seconds}");
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    assert_eq!(client.get(&target).await.status, 200, "{name}");
                    return;
                }
            }
            panic!("{name} refuses nothing");
        }
    });
    join_all(asked).await;
}

#[tokio::test]
async fn a_token_bucket_has_a_burst_and_a_steady_rate() {
    let limit = "name: own, key: a, algorithm: token_bucket, limit: 10/s, burst: 50";
    let (gateway, _origin) = started(limit).await;
    let mut client = gateway.connect().await;
    let begun = Instant::now();
    let statuses = statuses(&mut client, 200, &with("/", "")).await;
    let most = 50.0 + 10.0 * begun.elapsed().as_secs_f64() + 1.0;
    assert!(statuses[..50].iter().all(|status| *status == 200), "{statuses:?}");
    let admitted = statuses.iter().filter(|status| **status == 200).count();
    assert!(admitted as f64 <= most, "{admitted} of {most}");
    let refused = eventually("a refusal", async || {
        let response = client.get("/").await;
        (response.status == 429).then_some(response)
    })
    .await;
    assert_eq!(over(&refused, "own"), 1);
    assert_eq!(refused.get("ratelimit-policy"), Some("\"own\";q=10;w=1"));
}

#[tokio::test]
async fn a_leaky_bucket_lets_requests_wait_in_their_turn_and_refuses_more() {
    let limit = "name: own, key: a, algorithm: leaky_bucket, limit: 1/s, burst: 1, \
                 queue: {length: 2, max_wait: 5s}";
    let (gateway, origin) = started(limit).await;
    let queued = [("limit", "routes.all:own"), ("outcome", "queued")];
    let begun = Instant::now();
    assert_eq!(gateway.get("/1").await.status, 200);
    let mut waiting = Vec::new();
    for number in 2..=3 {
        let mut client = gateway.connect().await;
        client.send(with(&format!("/{number}"), "")).await;
        gateway.metric("gateway_rate_limit_decisions_total", &queued, f64::from(number - 1)).await;
        waiting.push(client);
    }
    over(&gateway.get("/4").await, "own");
    for client in &mut waiting {
        assert_eq!(client.response().await.status, 200);
    }
    assert!(begun.elapsed() >= Duration::from_millis(1_900), "{:?}", begun.elapsed());
    let targets: Vec<String> = origin.requests().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/1", "/2", "/3"]);
}

#[tokio::test]
async fn nobody_waits_for_longer_than_is_said() {
    let limit = "name: own, key: a, algorithm: leaky_bucket, limit: 1/m, burst: 1, \
                 queue: {length: 9, max_wait: 2s}";
    let (gateway, _origin) = started(limit).await;
    let begun = Instant::now();
    assert_eq!(gateway.get("/").await.status, 200);
    let seconds = over(&gateway.get("/").await, "own");
    // A place in the queue is there again when the wait would be two seconds.
    assert!((50..=60).contains(&seconds), "{seconds}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_adaptive_limit_gives_less_while_the_service_fails_and_more_again_after() {
    let fails = Arc::new(AtomicBool::new(true));
    let is_failing = Arc::clone(&fails);
    let origin = Origin::start(move |mut call: Call| {
        let status = if is_failing.load(Relaxed) { 500 } else { 200 };
        async move {
            call.reply(status, "", "said").await;
            call
        }
    })
    .await;
    // A unit comes back each hour, so that how long all of them take to come back tells by what
    // share of that rate they do.
    let limit = "name: own, key: a, algorithm: adaptive, limit: 100000/100000h";
    let gateway = super::limited(limit).with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    let mut factor = async || {
        for _ in 0..10 {
            assert_ne!(client.get("/").await.status, 429);
        }
        let caller = gateway.ask("/rate-limits/own?key=a").await.json();
        let gone = 100_000.0 - caller["remaining"].as_f64().unwrap();
        gone * 3_600.0 / caller["reset"].as_f64().unwrap()
    };
    assert!(factor().await > 0.9);
    let low = eventually("less while the service fails", async || {
        let factor = factor().await;
        (factor < 0.6).then_some(factor)
    })
    .await;
    fails.store(false, Relaxed);
    eventually("more again", async || (factor().await > low + 0.03).then_some(())).await;
}
