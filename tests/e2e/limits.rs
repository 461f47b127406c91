//! How much of a service may be in use at once, and what becomes of the rest.

use crate::services::service;
use crate::support::{Call, Client, Gateway, Origin, Response, Setup, eventually, within};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// For how long a client that is not refused shows that it is not. A busy machine may need as long
/// for a refusal, which these tests ask for again then.
const A_MOMENT: Duration = Duration::from_millis(200);

fn limited(limits: &str) -> Setup {
    service(&format!("{{url: \"http://<app>\", limits: {{{limits}}}}}"))
}

/// Asks, and does not wait for the answer.
async fn asking(gateway: &Gateway, target: &str) -> Client {
    let mut client = gateway.connect().await;
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    client
}

/// One is served, and one may wait.
const ONE_AND_ONE: &str = "requests: 1, pending: 1, pending_timeout: 30s";

/// A service of which all places but those in the queue are taken by one client.
struct Taken {
    origin: Origin,
    permits: Arc<Semaphore>,
    gateway: Gateway,
    first: Client,
}

/// Takes the one place that there is.
async fn taken(setup: Setup) -> Taken {
    let (origin, permits) = Origin::held().await;
    let gateway = setup.with("app", &origin).start().await;
    let first = asking(&gateway, "/").await;
    origin.request(1).await;
    Taken { origin, permits, gateway, first }
}

/// Asks until it is not answered at once, and gives who is not: it waits for its turn.
async fn queued(gateway: &Gateway) -> Client {
    eventually("a client in the queue", async || {
        let mut client = asking(gateway, "/").await;
        timeout(A_MOMENT, client.response()).await.is_err().then_some(client)
    })
    .await
}

#[track_caller]
fn refused(response: &Response) {
    let problem = response.problem(503);
    assert_eq!((&problem["service"], &problem["retryAfter"]), (&"app".into(), &1.into()));
    assert_eq!(response.get("retry-after"), Some("1"));
}

#[tokio::test]
async fn what_finds_no_place_is_refused_at_once_where_nobody_may_wait() {
    let (origin, permits) = Origin::held().await;
    let gateway = limited("requests: 2, pending: 0").with("app", &origin).start().await;
    let mut served = [asking(&gateway, "/").await, asking(&gateway, "/").await];
    origin.request(2).await;
    let begun = Instant::now();
    refused(&gateway.get("/").await);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    permits.add_permits(3);
    for client in &mut served {
        assert_eq!(client.response().await.text(), "done");
    }
    // An answer that is over gives its place back.
    assert_eq!(gateway.get("/").await.text(), "done");
    assert_eq!(origin.requests().len(), 3);
}

#[tokio::test]
async fn as_many_as_may_wait_are_served_in_their_turn() {
    let Taken { origin, permits, gateway, mut first } = taken(limited(ONE_AND_ONE)).await;
    let mut second = queued(&gateway).await;
    refused(&gateway.get("/").await);
    assert_eq!(origin.requests().len(), 1);
    permits.add_permits(2);
    assert_eq!(first.response().await.text(), "done");
    assert_eq!(second.response().await.text(), "done");
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn nobody_waits_for_longer_than_is_said() {
    let taken = taken(limited("requests: 1, pending_timeout: 200ms")).await;
    let begun = Instant::now();
    refused(&taken.gateway.get("/").await);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(190) && took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_request_whose_own_time_ends_in_the_queue_is_a_504() {
    let (origin, _permits) = Origin::held().await;
    let setup = limited("requests: 1, pending_timeout: 30s").with("app", &origin);
    let setup = setup.route_policies("timeouts: {request: 300ms}");
    let gateway = setup.start().await;
    let _first = asking(&gateway, "/").await;
    origin.request(1).await;
    let mut second = asking(&gateway, "/").await;
    // The first is out of time first; the second gets its place, or is out of time itself.
    let response = second.response().await;
    assert_eq!(response.problem(504)["service"], "app");
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_frees_its_place() {
    let Taken { origin, permits, gateway, mut first } = taken(limited(ONE_AND_ONE)).await;
    let second = queued(&gateway).await;
    refused(&gateway.get("/").await);
    drop(second);
    let mut third = queued(&gateway).await;
    permits.add_permits(10);
    assert_eq!(first.response().await.text(), "done");
    assert_eq!(third.response().await.text(), "done");
    assert_eq!(origin.requests().len(), 2);
    // Nobody was told anything: 499, as for any client that leaves.
    gateway.metric("gateway_requests_total", &[("status_code", "499")], 1.0).await;
}

#[tokio::test]
async fn a_stream_of_http_2_that_is_reset_frees_its_place_in_the_queue() {
    let setup = limited(ONE_AND_ONE).listener("protocols: [h2c, http/1.1]");
    let Taken { origin, permits, gateway, mut first } = taken(setup).await;
    let client = gateway.connect_h2().await;
    eventually("a stream in the queue", async || {
        let asked = timeout(A_MOMENT, client.get("/"));
        // What is dropped here is reset.
        asked.await.is_err().then_some(())
    })
    .await;
    let mut third = queued(&gateway).await;
    permits.add_permits(10);
    assert_eq!(first.response().await.text(), "done");
    assert_eq!(third.response().await.text(), "done");
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_for_a_connection_frees_its_place() {
    let Taken { origin, permits, gateway, mut first } =
        taken(limited("connections: 1, pending: 1, pending_timeout: 30s")).await;
    drop(queued(&gateway).await);
    let mut third = queued(&gateway).await;
    permits.add_permits(10);
    assert_eq!(first.response().await.text(), "done");
    assert_eq!(third.response().await.text(), "done");
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn a_request_that_was_sent_ahead_waits_for_the_one_in_the_queue() {
    let Taken { origin, permits, gateway, mut first } = taken(limited(ONE_AND_ONE)).await;
    let mut second = queued(&gateway).await;
    second.send("GET /third HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // It is no reason to give the place up.
    refused(&gateway.get("/").await);
    permits.add_permits(3);
    assert_eq!(first.response().await.text(), "done");
    assert_eq!(second.response().await.text(), "done");
    assert_eq!(second.response().await.text(), "done");
    assert_eq!(origin.last().target, "/third");
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_served_frees_its_place() {
    let (origin, permits) = Origin::held().await;
    let gateway = limited("requests: 1, pending: 0").with("app", &origin).start().await;
    let first = asking(&gateway, "/").await;
    origin.request(1).await;
    refused(&gateway.get("/").await);
    drop(first);
    permits.add_permits(100);
    eventually("a place", async || (gateway.get("/").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn a_service_never_has_more_connections_than_it_may() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let origin = Origin::start(move |mut call| {
        let (open, most) = (Arc::clone(&open), Arc::clone(&most));
        async move {
            most.fetch_max(open.fetch_add(1, SeqCst) + 1, SeqCst);
            // Time enough for one too many to come.
            tokio::time::sleep(Duration::from_millis(20)).await;
            open.fetch_sub(1, SeqCst);
            call.reply(200, "", "served").await;
            call
        }
    })
    .await;
    let limits = "connections: 2, pending: 50, pending_timeout: 20s";
    let gateway = limited(limits).with("app", &origin).threads(2).start().await;
    let served = join_all((0..10).map(|_| gateway.get("/"))).await;
    assert!(served.iter().all(|response| response.text() == "served"));
    assert_eq!(seen.load(SeqCst), 2);
}

#[tokio::test]
async fn one_service_that_is_full_leaves_the_others_alone() {
    let ((origin, _permits), other) = (Origin::held().await, Origin::saying("other").await);
    let document = r#"
policies: {auth: none}
services:
  app: {url: "http://<app>", limits: {requests: 1, pending: 0}}
  other: {url: "http://<other>", limits: {requests: 1, pending: 0}}
routes:
  - {name: app, match: {path: {prefix: /app}}, service: app}
  - {name: other, match: {path: {prefix: /other}}, service: other}
"#;
    let setup = Setup::new(document).with("app", &origin).with("other", &other);
    let gateway = setup.start().await;
    let _first = asking(&gateway, "/app").await;
    origin.request(1).await;
    refused(&gateway.get("/app").await);
    for _ in 0..3 {
        assert_eq!(gateway.get("/other").await.text(), "other");
    }
}

// A limit that adapts

/// Routes of every priority to one service with a limit that adapts.
fn adaptive(settings: &str) -> Setup {
    let document = r#"
policies: {auth: none}
services:
  app: {url: "http://<app>", limits: {adaptive: {<settings>}}}
routes:
  - {name: low, match: {path: {prefix: /low}}, service: app, priority: low}
  - {name: normal, match: {path: {prefix: /normal}}, service: app}
  - {name: high, match: {path: {prefix: /high}}, service: app, priority: high}
"#;
    Setup::new(document).with("settings", settings)
}

#[tokio::test]
async fn where_there_is_too_much_the_less_important_gives_way_first() {
    let (origin, _permits) = Origin::held().await;
    let setup = adaptive("min: 20, max: 20, initial: 20").with("app", &origin);
    let gateway = setup.start().await;
    let mut clients = Vec::new();
    // Of 20, low gets 16, normal 19 and high all.
    for (target, until) in [("/low", 16), ("/normal", 19), ("/high", 20)] {
        while clients.len() < until {
            clients.push(asking(&gateway, target).await);
            origin.request(clients.len()).await;
        }
        refused(&gateway.get(target).await);
    }
    assert_eq!(origin.requests().len(), 20);
}

#[tokio::test]
async fn a_service_that_slows_down_gets_less_and_the_less_important_goes_first() {
    let wait = Arc::new(AtomicU64::new(5));
    let waits = Arc::clone(&wait);
    let origin = Origin::start(move |mut call: Call| {
        let wait = Duration::from_millis(waits.load(SeqCst));
        async move {
            tokio::time::sleep(wait).await;
            call.reply(200, "", "done").await;
            call
        }
    })
    .await;
    let settings = "min: 10, max: 40, initial: 40, tolerance: 100%";
    let gateway = adaptive(settings).with("app", &origin).start().await;
    let mut clients = JoinSet::new();
    // Fewer than the lowest limit: high never has to give way, and low does below a limit of 12.
    for _ in 0..9 {
        let mut client = gateway.connect().await;
        clients.spawn(async move {
            loop {
                assert_eq!(client.get("/high").await.status, 200);
            }
        });
    }
    let mut low = gateway.connect().await;
    let began = origin.requests().len();
    eventually("some windows", async || {
        assert_eq!(low.get("/low").await.status, 200);
        (origin.requests().len() > began + 300).then_some(())
    })
    .await;
    wait.store(60, SeqCst);
    eventually("low to give way", async || {
        let response = within("an answer", low.get("/low")).await;
        (response.status == 503).then(|| refused(&response))
    })
    .await;
    assert_eq!(clients.len(), 9);
    assert!(clients.try_join_next().is_none(), "high gave way");
}
