//! One limit that several gateways share in a Redis, and what becomes of requests without it.

use crate::support::{Gateway, Origin, Redis, Setup, eventually};
use futures_util::future::join_all;
use std::time::{Duration, Instant};

/// Services and routes, each path with a limit of its own.
fn setup(redis: &Redis, origin: &Origin, timeout: &str, limits: &[(&str, &str)]) -> Setup {
    let mut text = format!(
        "stores: {{shared: {{redis: \"redis://{redis}\", timeout: {timeout}}}}}\n\
         policies: {{auth: none}}\n\
         services: {{app: {{url: \"http://{origin}\"}}}}\n\
         routes:\n"
    );
    for (name, limit) in limits {
        text.push_str(&format!(
            "  - name: {name}\n    match: {{path: {{prefix: /{name}}}}}\n    service: app\n    \
             policies: {{rate_limit: [{{name: {name}, key: $(client.ip), store: shared, {limit}}}]}}\n"
        ));
    }
    Setup::new(&text)
}

/// Three gateways with one Redis and one origin.
struct Three {
    redis: Redis,
    gateways: [Gateway; 3],
    _origin: Origin,
}

impl Three {
    async fn start(limit: &str) -> Three {
        let redis = Redis::start().await;
        let origin = Origin::saying("served").await;
        let start = || setup(&redis, &origin, "2s", &[("api", limit)]).start();
        let (one, two, three) = tokio::join!(start(), start(), start());
        Three { redis, gateways: [one, two, three], _origin: origin }
    }

    /// Sends so many requests to each, on two connections, and says how many were served.
    async fn served(&self, each: u32) -> u32 {
        let clients = self.gateways.iter().flat_map(|gateway| [gateway, gateway]);
        let served = join_all(clients.map(async |gateway| {
            let mut client = gateway.connect().await;
            let mut served = 0;
            for _ in 0..each / 2 {
                served += is_served(client.get("/api").await.status);
            }
            served
        }));
        served.await.iter().sum()
    }
}

#[track_caller]
fn is_served(status: u16) -> u32 {
    assert!(matches!(status, 200 | 429), "{status}");
    u32::from(status == 200)
}

/// What the admin listener tells of the one store.
async fn store(gateway: &Gateway) -> serde_json::Value {
    gateway.ask("/stores").await.json()["stores"][0].clone()
}

async fn is_up(gateway: &Gateway, expected: bool) {
    eventually("the state of the store", async || {
        (store(gateway).await["up"] == expected).then_some(())
    })
    .await;
}

/// How often it has logged a message.
fn said(gateway: &Gateway, message: &str) -> usize {
    gateway.said().lines().filter(|line| line.contains(message)).count()
}

#[tokio::test]
async fn three_gateways_that_count_exactly_let_exactly_the_limit_through() {
    for algorithm in ["sliding_window_counter", "token_bucket"] {
        let limit = format!("limit: 40/30d, algorithm: {algorithm}, sharing: exact");
        let three = Three::start(&limit).await;
        assert_eq!(three.served(20).await, 40, "{algorithm}");
        for gateway in &three.gateways {
            let refused = gateway.get("/api").await.problem(429);
            assert!(refused["retryAfter"].as_u64().unwrap() > 0, "{refused}");
        }
    }
}

#[tokio::test]
async fn three_gateways_that_lease_let_no_more_than_the_limit_of_a_window_through() {
    for algorithm in ["fixed_window", "sliding_window_log"] {
        let three = Three::start(&format!("limit: 300/30d, algorithm: {algorithm}")).await;
        let mut served = three.served(150).await;
        // What one holds others may lack until it comes back.
        eventually("nine tenths of the limit", async || {
            if served < 270 {
                served += three.served(10).await;
            }
            (served >= 270).then_some(())
        })
        .await;
        served += three.served(100).await;
        assert!(served <= 300, "{served} by {algorithm}");
    }
}

#[tokio::test]
async fn three_gateways_that_lease_from_a_bucket_keep_its_pace() {
    const RATE: f64 = 100.0;
    let three = Three::start("limit: 100/s, algorithm: token_bucket").await;
    let began = Instant::now();
    let mut served = 0;
    while began.elapsed() < Duration::from_millis(1500) {
        served += three.served(20).await;
    }
    let (served, there) = (f64::from(served), RATE + RATE * began.elapsed().as_secs_f64());
    // A tenth is leased ahead by each and half of that more; they go back after two tenths of the
    // period at the latest: see the formulas in `src/limit/lease.rs`.
    let ahead = (3.0 * 15.0_f64).min(RATE + 2.0 * 0.2 * RATE);
    assert!(served <= there + ahead, "{served} of {there} and {ahead} ahead");
    assert!(served >= 0.9 * there - ahead, "{served} of {there}");
}

#[tokio::test]
async fn busy_callers_cost_the_store_less_than_a_call_for_ten_requests() {
    let three = Three::start("limit: 100000/30d").await;
    let each = 400;
    assert_eq!(three.served(each).await, 3 * each);
    let calls = three.redis.scripts_run().await;
    assert!(calls * 10 < u64::from(3 * each), "{calls} calls for {} requests", 3 * each);
}

#[tokio::test]
async fn without_the_store_each_limit_does_as_it_says() {
    let mut redis = Redis::start().await;
    let origin = Origin::saying("served").await;
    let limits = [
        ("local", "limit: 2/30d, on_store_error: local"),
        ("allow", "limit: 2/30d, on_store_error: allow"),
        ("deny", "limit: 2/30d, on_store_error: deny"),
        ("exact", "limit: 2/30d, on_store_error: deny, sharing: exact"),
    ];
    let gateway = setup(&redis, &origin, "2s", &limits).start().await;
    for (name, _) in limits {
        assert_eq!(gateway.get(&format!("/{name}")).await.status, 200);
    }
    redis.stop();
    is_up(&gateway, false).await;
    let ask = async |path| gateway.get(path).await.status;
    // Here nothing was counted yet.
    assert_eq!([ask("/local").await, ask("/local").await, ask("/local").await], [200, 200, 429]);
    for _ in 0..5 {
        assert_eq!(ask("/allow").await, 200);
    }
    for path in ["/deny", "/exact"] {
        let refused = gateway.get(path).await;
        let problem = refused.problem(503);
        let after = problem["retryAfter"].as_u64().unwrap();
        assert!(after > 0, "{problem}");
        assert_eq!(refused.get("retry-after"), Some(&*after.to_string()));
    }
    // It is back by itself, and has forgotten everything.
    redis.restart().await;
    is_up(&gateway, true).await;
    assert_eq!([ask("/exact").await, ask("/exact").await, ask("/exact").await], [200, 200, 429]);
}

#[tokio::test]
async fn a_frozen_store_makes_no_request_wait_for_longer_than_its_timeout() {
    const MOST: Duration = Duration::from_millis(50 + 200);
    let redis = Redis::start().await;
    let origin = Origin::saying("served").await;
    let limits = [
        ("leased", "limit: 100000/30d"),
        ("exact", "limit: 100000/30d, sharing: exact"),
        ("denied", "limit: 100000/30d, sharing: exact, on_store_error: deny"),
    ];
    let gateway = setup(&redis, &origin, "50ms", &limits).start().await;
    let mut client = gateway.connect().await;
    for _ in 0..20 {
        assert_eq!(client.get("/leased").await.status, 200);
        assert_eq!(client.get("/exact").await.status, 200);
    }
    redis.freeze();
    for (path, expected) in [("/denied", 503), ("/leased", 200), ("/exact", 200)] {
        for _ in 0..20 {
            let asked = Instant::now();
            assert_eq!(client.get(path).await.status, expected, "{path}");
            assert!(asked.elapsed() < MOST, "{path} took {:?}", asked.elapsed());
        }
    }
    is_up(&gateway, false).await;
    redis.thaw();
    is_up(&gateway, true).await;
    assert_eq!(client.get("/denied").await.status, 200);
}

#[tokio::test]
async fn a_store_that_goes_and_comes_is_told_of_once_each() {
    let mut redis = Redis::start().await;
    let origin = Origin::saying("served").await;
    let limits = [("api", "limit: 100000/30d, sharing: exact")];
    let gateway = setup(&redis, &origin, "1s", &limits).threads(2).start().await;
    assert_eq!((said(&gateway, "a store is up"), said(&gateway, "a store is down")), (1, 0));
    gateway.metric("gateway_store_up", &[("store", "shared")], 1.0).await;
    assert_eq!(gateway.ask("/readyz").await.text(), "ready\n");
    for round in 1..=2 {
        // Several requests are on their way when it dies.
        redis.freeze();
        let mut clients = join_all((0..8).map(|_| gateway.connect())).await;
        for client in &mut clients {
            client.send("GET /api HTTP/1.1\r\nHost: a\r\n\r\n").await;
        }
        eventually("calls under way", async || {
            (store(&gateway).await["in_flight"] == 8).then_some(())
        })
        .await;
        redis.stop();
        for client in &mut clients {
            assert_eq!(client.response().await.status, 200, "it counts alone");
        }
        is_up(&gateway, false).await;
        gateway.metric("gateway_store_up", &[("store", "shared")], 0.0).await;
        let ready = gateway.ask("/readyz").await;
        assert_eq!((ready.status, ready.text()), (200, "ready\nstore shared is down\n"));
        assert!(store(&gateway).await["error"].is_string());
        redis.restart().await;
        is_up(&gateway, true).await;
        for client in &mut clients {
            assert_eq!(client.get("/api").await.status, 200);
        }
        gateway.metric("gateway_store_up", &[("store", "shared")], 1.0).await;
        assert_eq!(said(&gateway, "a store is up"), 1 + round, "{}", gateway.said());
        assert_eq!(said(&gateway, "a store is down"), round, "{}", gateway.said());
    }
}

#[tokio::test]
async fn a_gateway_serves_though_its_store_was_never_there() {
    let mut redis = Redis::start().await;
    redis.stop();
    let origin = Origin::saying("served").await;
    let limits = [("api", "limit: 2/30d")];
    let gateway = setup(&redis, &origin, "1s", &limits).start().await;
    assert_eq!(gateway.get("/api").await.status, 200);
    assert_eq!(gateway.ask("/readyz").await.text(), "ready\nstore shared is down\n");
    eventually("some attempts", async || {
        let error = store(&gateway).await["error"].clone();
        error.is_string().then_some(())
    })
    .await;
    assert_eq!(said(&gateway, "a store is down"), 1, "{}", gateway.said());
    redis.restart().await;
    is_up(&gateway, true).await;
}
