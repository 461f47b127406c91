//! Endpoints that are not well: checked from outside, and by how requests fare.

use crate::balancing::{QUICK_CHECK, answers, at, counted, served_by};
use crate::services::service;
use crate::support::{Call, Gateway, Origin, Port, Setup, eventually};
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// An origin whose answers to everything, or to `/health` alone, a test changes as it goes.
struct Patient {
    origin: Origin,
    health: Arc<AtomicU16>,
    answer: Arc<AtomicU16>,
}

impl Patient {
    async fn named(name: &'static str) -> Patient {
        let (health, answer) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicU16::new(200)));
        let (asked, answering) = (Arc::clone(&health), Arc::clone(&answer));
        let origin = Origin::start(move |mut call: Call| {
            let (health, answer) = (asked.load(Relaxed), answering.load(Relaxed));
            async move {
                match call.seen.target.as_str() {
                    "/health" => call.reply(200, "", format!("status {health}\n")).await,
                    "/ready" => call.reply(health, "", "").await,
                    _ => call.reply(answer, "", name).await,
                }
                call
            }
        })
        .await;
        Patient { origin, health, answer }
    }

    fn is_well(&self, well: bool) {
        self.health.store(if well { 200 } else { 503 }, Relaxed);
    }

    fn answers_with(&self, status: u16) {
        self.answer.store(status, Relaxed);
    }
}

/// Two endpoints, behind a service of which this is said beside them.
async fn pair(settings: &str) -> (Gateway, Patient, Patient) {
    let (one, two) = (Patient::named("one").await, Patient::named("two").await);
    let setup = two_endpoints(settings).with("one", &one.origin).with("two", &two.origin);
    (setup.start().await, one, two)
}

fn two_endpoints(settings: &str) -> Setup {
    service(&format!("{{endpoints: [{{address: <one>}}, {{address: <two>}}], {settings}}}"))
}

/// Waits until the gateway has said something so many times.
async fn said(gateway: &Gateway, words: &str, times: usize) {
    eventually(words, async || (gateway.said().matches(words).count() >= times).then_some(()))
        .await;
}

// Checks

#[tokio::test]
async fn an_endpoint_whose_status_is_not_expected_gets_nothing_until_it_is_well() {
    let (gateway, one, _two) = pair("health_check: {path: /ready, interval: 50ms}").await;
    served_by(&gateway, &["one", "two"]).await;
    one.is_well(false);
    served_by(&gateway, &["two"]).await;
    let told = answers(&mut gateway.connect().await, 20).await;
    assert_eq!(counted(&told).get("one"), None);
    one.is_well(true);
    served_by(&gateway, &["one", "two"]).await;
}

#[tokio::test]
async fn an_endpoint_whose_body_is_not_expected_gets_nothing_until_it_is_well() {
    let check = "health_check: {path: /health, interval: 50ms, expect: {body: status (200|204)}}";
    let (gateway, one, _two) = pair(check).await;
    served_by(&gateway, &["one", "two"]).await;
    one.is_well(false);
    served_by(&gateway, &["two"]).await;
    one.is_well(true);
    served_by(&gateway, &["one", "two"]).await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_listen_gets_nothing_until_it_does() {
    let (port, two) = (Port::reserve(), Origin::saying("two").await);
    let setup = two_endpoints(QUICK_CHECK).with("one", port.address).with("two", &two);
    let gateway = setup.start().await;
    said(&gateway, "endpoint is unhealthy", 1).await;
    served_by(&gateway, &["two"]).await;
    let one = at(&port, "one").await;
    served_by(&gateway, &["one", "two"]).await;
    one.stop().await;
    served_by(&gateway, &["two"]).await;
}

/// An origin that speaks HTTP/2: it says `name`, or to gRPC's health checks its serving status.
async fn grpc_origin(name: &'static str, status: Arc<AtomicU8>) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let status = Arc::clone(&status);
            connections.spawn(async move {
                let mut connection = h2::server::handshake(stream).await?;
                while let Some(call) = connection.accept().await {
                    let (request, mut answer) = call?;
                    let is_check = request.uri().path() == "/grpc.health.v1.Health/Check";
                    let mut sending = answer.send_response(http::Response::new(()), false)?;
                    // Five bytes of gRPC's frame, then field 1 with the serving status.
                    let message = Bytes::from(vec![0, 0, 0, 0, 2, 8, status.load(Relaxed)]);
                    sending.send_data(if is_check { message } else { name.into() }, false)?;
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", "0".parse().unwrap());
                    sending.send_trailers(trailers)?;
                }
                Ok::<(), h2::Error>(())
            });
        }
    });
    (address, accepting)
}

#[tokio::test]
async fn an_endpoint_that_does_not_serve_by_grpc_gets_nothing_until_it_does() {
    let serving = Arc::new(AtomicU8::new(1));
    let (one, _one) = grpc_origin("one", Arc::clone(&serving)).await;
    let (two, _two) = grpc_origin("two", Arc::new(AtomicU8::new(1))).await;
    let setup = two_endpoints("protocol: h2c, health_check: {grpc: shop.Orders, interval: 50ms}");
    let gateway = setup.with("one", one).with("two", two).start().await;
    served_by(&gateway, &["one", "two"]).await;
    serving.store(2, Relaxed);
    served_by(&gateway, &["two"]).await;
    serving.store(1, Relaxed);
    served_by(&gateway, &["one", "two"]).await;
}

#[tokio::test]
async fn a_service_without_a_healthy_endpoint_is_a_503_that_says_when_to_come_back() {
    let (gateway, one, two) = pair("health_check: {path: /ready, interval: 50ms}").await;
    one.is_well(false);
    two.is_well(false);
    let response = eventually("nobody to serve", async || {
        Some(gateway.get("/").await).filter(|response| response.status != 200)
    })
    .await;
    let problem = response.problem(503);
    assert_eq!(problem["service"], "app");
    assert!(problem["retryAfter"].as_u64().is_some_and(|seconds| seconds > 0), "{problem}");
    assert_eq!(response.get("retry-after"), Some(&*problem["retryAfter"].to_string()));
    one.is_well(true);
    eventually("the service to be back", async || {
        (gateway.get("/").await.status == 200).then_some(())
    })
    .await;
}

// Outliers

#[tokio::test]
async fn an_endpoint_that_only_fails_is_ejected_for_a_while() {
    let (gateway, one, _two) =
        pair("outlier_detection: {consecutive_5xx: 3, eject_for: 300ms, interval: 100ms}").await;
    one.answers_with(500);
    let mut client = gateway.connect().await;
    eventually("the endpoint to be ejected", async || {
        client.get("/").await;
        gateway.said().contains("endpoint ejected").then_some(())
    })
    .await;
    one.answers_with(200);
    said(&gateway, "endpoint serves again", 1).await;
    served_by(&gateway, &["one", "two"]).await;
}

#[tokio::test]
async fn an_ejected_endpoint_gets_nothing() {
    let (gateway, one, two) = pair("outlier_detection: {consecutive_5xx: 3, eject_for: 1h}").await;
    one.answers_with(500);
    let mut client = gateway.connect().await;
    eventually("six good answers in a row", async || {
        for _ in 0..6 {
            if client.get("/").await.status != 200 {
                return None;
            }
        }
        Some(())
    })
    .await;
    let (before, others) = (one.origin.requests().len(), two.origin.requests().len());
    answers(&mut client, 20).await;
    assert_eq!(one.origin.requests().len(), before);
    assert_eq!(two.origin.requests().len(), others + 20);
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_connected_to_is_ejected() {
    let (nobody, two) = (Port::reserve(), Origin::saying("two").await);
    let outlier = "outlier_detection: {consecutive_failures: 2, eject_for: 1h}";
    let setup = two_endpoints(outlier).with("one", nobody.address).with("two", &two);
    let gateway = setup.start().await;
    let mut client = gateway.connect().await;
    let errors = async || {
        let labels = [("service", "app"), ("cause", "connect")];
        gateway.metrics().await.value("gateway_upstream_errors_total", &labels).unwrap_or(0.0)
    };
    // No client sees any of it: what was never sent is tried elsewhere.
    eventually("ten requests without a failure", async || {
        let before = errors().await;
        answers(&mut client, 10).await;
        (errors().await == before && before >= 2.0).then_some(())
    })
    .await;
    assert!(gateway.said().contains("endpoint ejected"));
}

#[tokio::test]
async fn the_last_endpoint_is_never_ejected() {
    let (gateway, one, two) =
        pair("outlier_detection: {consecutive_5xx: 1, eject_for: 1h, max_ejected: 100%}").await;
    one.answers_with(500);
    two.answers_with(500);
    let mut client = gateway.connect().await;
    eventually("one to be ejected", async || {
        assert_eq!(client.get("/").await.status, 500);
        gateway.said().contains("endpoint ejected").then_some(())
    })
    .await;
    for _ in 0..20 {
        assert_eq!(client.get("/").await.status, 500);
    }
    assert_eq!(gateway.said().matches("endpoint ejected").count(), 1, "{}", gateway.said());
}

// Under load

#[tokio::test]
async fn an_endpoint_that_dies_under_load_costs_no_client_an_error() {
    let port = Port::reserve();
    let dies = at(&port, "one").await;
    let two = Origin::saying("two").await;
    let settings = format!("{QUICK_CHECK}, policies: {{retry: {{attempts: 2}}}}");
    let setup = two_endpoints(&settings).with("one", port.address).with("two", &two);
    let gateway = Arc::new(setup.start().await);
    let (done, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut load = JoinSet::new();
    for _ in 0..8 {
        let (gateway, done, is_over) =
            (Arc::clone(&gateway), Arc::clone(&done), Arc::clone(&is_over));
        load.spawn(async move {
            let mut client = gateway.connect().await;
            while !is_over.load(Relaxed) {
                answers(&mut client, 1).await;
                done.fetch_add(1, Relaxed);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    let so_many = async |count: usize| {
        let until = done.load(Relaxed) + count;
        eventually("the load", async || (done.load(Relaxed) >= until).then_some(())).await;
    };
    so_many(200).await;
    dies.stop().await;
    said(&gateway, "endpoint is unhealthy", 1).await;
    so_many(200).await;
    let _back = at(&port, "one").await;
    said(&gateway, "endpoint is healthy again", 1).await;
    so_many(200).await;
    is_over.store(true, Relaxed);
    // A client that got anything but a 200 has panicked.
    while let Some(client) = load.join_next().await {
        client.unwrap();
    }
}

#[tokio::test]
async fn an_endpoint_whose_answers_break_off_is_ejected() {
    let broken = Origin::start(|mut call| async move {
        call.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
        call.close()
    })
    .await;
    let whole = Origin::saying("whole").await;
    let setup = service(
        "{endpoints: [{address: <broken>}, {address: <whole>}], \
         outlier_detection: {consecutive_failures: 3, eject_for: 1h, max_eject_for: 1h}}",
    );
    let gateway = setup.with("broken", &broken).with("whole", &whole).start().await;
    // What is cut short is not what is asked here.
    eventually("the ejection", async || {
        let mut client = gateway.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        client.head().await;
        while matches!(client.part().await, Ok(Some(_))) {}
        let metrics = gateway.metrics().await;
        let labels = [("service", "app"), ("state", "ejected")];
        (metrics.value("gateway_service_endpoints", &labels) == Some(1.0)).then_some(())
    })
    .await;
    for _ in 0..4 {
        assert_eq!(gateway.get("/").await.text(), "whole");
    }
}
