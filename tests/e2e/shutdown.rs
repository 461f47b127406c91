//! How the gateway ends.

use crate::support::{Call, Client, Gateway, ONE_SERVICE, Origin, Setup, eventually};
use crate::support::{WebSocketOrigin, open_websocket, within};
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// An origin that answers when it is told to.
async fn holding() -> (Origin, Arc<Notify>) {
    let go = Arc::new(Notify::new());
    let told = Arc::clone(&go);
    let origin = Origin::start(move |mut call: Call| {
        let told = Arc::clone(&told);
        async move {
            if call.seen.target == "/slow" {
                told.notified().await;
            }
            call.reply(200, "", "finished").await;
            call
        }
    })
    .await;
    (origin, go)
}

async fn graceful(origin: &Origin, grace: &str) -> Gateway {
    let document = format!("{ONE_SERVICE}shutdown: {{grace: {grace}}}\n");
    Setup::new(&document).with("app", origin).start().await
}

async fn begin_slow(gateway: &Gateway, origin: &Origin) -> Client {
    let mut client = gateway.connect().await;
    client.send("GET /slow HTTP/1.1\r\nHost: gateway.test\r\n\r\n").await;
    origin.request(1).await;
    client
}

/// Waits until new connections are refused.
async fn refusing(gateway: &Gateway) {
    let address = gateway.address;
    eventually("refused connections", async || {
        TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn sigterm_lets_a_request_in_flight_finish() {
    let (origin, go) = holding().await;
    let mut gateway = graceful(&origin, "10s").await;
    let mut client = begin_slow(&gateway, &origin).await;
    gateway.signal(Signal::SIGTERM);
    refusing(&gateway).await;
    go.notify_one();
    let response = client.response().await;
    assert_eq!((response.status, response.text()), (200, "finished"));
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn sigterm_lets_a_download_finish() {
    let go = Arc::new(Notify::new());
    let told = Arc::clone(&go);
    let origin = Origin::start(move |mut call: Call| {
        let told = Arc::clone(&told);
        async move {
            call.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
            told.notified().await;
            call.send("4\r\nrest\r\n0\r\n\r\n").await;
            call
        }
    })
    .await;
    let mut gateway = graceful(&origin, "10s").await;
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.part().await.unwrap().unwrap(), "half");
    gateway.signal(Signal::SIGTERM);
    refusing(&gateway).await;
    go.notify_one();
    assert_eq!(client.part().await.unwrap().unwrap(), "rest");
    assert_eq!(client.part().await.unwrap(), None);
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn an_answer_given_while_draining_closes_its_connection() {
    let (origin, go) = holding().await;
    let mut gateway = graceful(&origin, "10s").await;
    let mut client = begin_slow(&gateway, &origin).await;
    gateway.signal(Signal::SIGTERM);
    refusing(&gateway).await;
    go.notify_one();
    let response = client.response().await;
    assert!(response.head.lists("connection", "close"), "{:?}", response.head);
    assert_eq!(client.closed().await, 0);
    gateway.ended().await;
}

#[tokio::test]
async fn sigterm_with_nothing_to_do_ends_at_once() {
    let origin = Origin::saying("hello").await;
    let mut gateway = graceful(&origin, "15s").await;
    let (status, took) = gateway.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn sigterm_closes_idle_keep_alive_connections() {
    let origin = Origin::saying("hello").await;
    let mut gateway = graceful(&origin, "15s").await;
    let mut idle = gateway.connect().await;
    assert_eq!(idle.get("/").await.status, 200);
    let (status, took) = gateway.terminate().await;
    assert_eq!(idle.closed().await, 0);
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "an idle connection held it up for {took:?}");
}

#[tokio::test]
async fn sigterm_closes_idle_http_2_connections() {
    let origin = Origin::saying("hello").await;
    let document = format!("{ONE_SERVICE}shutdown: {{grace: 15s}}\n");
    let setup = Setup::new(&document).with("app", &origin).listener("protocols: [h2c]");
    let mut gateway = setup.start().await;
    let client = gateway.connect_h2().await;
    assert_eq!(client.get("/").await.status, 200);
    let (status, took) = gateway.terminate().await;
    client.closed().await;
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "an idle connection held it up for {took:?}");
}

#[tokio::test]
async fn sigterm_lets_an_http_2_request_in_flight_finish() {
    let (origin, go) = holding().await;
    let document = format!("{ONE_SERVICE}shutdown: {{grace: 10s}}\n");
    let setup = Setup::new(&document).with("app", &origin).listener("protocols: [h2c]");
    let mut gateway = setup.start().await;
    let client = gateway.connect_h2().await;
    let finish = async {
        origin.request(1).await;
        gateway.signal(Signal::SIGTERM);
        refusing(&gateway).await;
        go.notify_one();
    };
    let (response, ()) = tokio::join!(client.get("/slow"), finish);
    assert_eq!((response.status, &*response.body), (200, &b"finished"[..]));
    client.closed().await;
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_request_that_outlasts_the_grace_time_is_cut() {
    let (origin, _never) = holding().await;
    let mut gateway = graceful(&origin, "500ms").await;
    let mut client = begin_slow(&gateway, &origin).await;
    let (_, took) = gateway.terminate().await;
    assert!(took >= Duration::from_millis(400), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    client.closed().await;
}

#[tokio::test]
async fn a_websocket_may_go_on_for_the_grace_time_and_no_longer() {
    let origin = WebSocketOrigin::start().await;
    let mut gateway = graceful(&origin, "500ms").await;
    let _socket = open_websocket(gateway.connect().await, "/").await;
    let (_, took) = gateway.terminate().await;
    assert!(took >= Duration::from_millis(400), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn readiness_ends_with_sigterm() {
    let (origin, go) = holding().await;
    let mut gateway = graceful(&origin, "10s").await;
    let mut client = begin_slow(&gateway, &origin).await;
    assert_eq!(gateway.readiness().await, Some(200));
    gateway.signal(Signal::SIGTERM);
    eventually("readiness to end", async || {
        matches!(gateway.readiness().await, Some(503) | None).then_some(())
    })
    .await;
    go.notify_one();
    client.response().await;
    gateway.ended().await;
}

#[tokio::test]
async fn what_was_served_before_the_end_is_in_the_access_log() {
    let origin = Origin::saying("hello").await;
    let mut gateway = Gateway::before(&origin).await;
    for _ in 0..20 {
        gateway.get("/").await;
    }
    gateway.terminate().await;
    gateway.access_log(20).await;
}

#[tokio::test]
async fn sigint_ends_at_once_even_with_a_request_in_flight() {
    let (origin, _never) = holding().await;
    let mut gateway = graceful(&origin, "60s").await;
    let mut client = begin_slow(&gateway, &origin).await;
    gateway.signal(Signal::SIGINT);
    let asked = std::time::Instant::now();
    within("the gateway's end", gateway.ended()).await;
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    client.closed().await;
}

#[tokio::test]
async fn sigint_after_sigterm_ends_the_draining() {
    let (origin, _never) = holding().await;
    let mut gateway = graceful(&origin, "60s").await;
    let _client = begin_slow(&gateway, &origin).await;
    gateway.signal(Signal::SIGTERM);
    refusing(&gateway).await;
    gateway.signal(Signal::SIGINT);
    let asked = std::time::Instant::now();
    gateway.ended().await;
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}
