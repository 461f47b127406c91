//! WebSockets through a service that retries, breaks circuits, limits and checks.

use crate::support::{
    Gateway, ONE_SERVICE, Origin, Setup, WebSocketOrigin, eventually, open_websocket, within,
};
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// A service of which everything is said that could be in a tunnel's way.
const GUARDED: &str = "<app>\", \
     health_check: {tcp: true, interval: 50ms}, limits: {requests: 1, connections: 1, pending: 0}, \
     outlier_detection: {consecutive_failures: 2}, policies: {\
     retry: {attempts: 3, per_try_timeout: 200ms, backoff: 1ms..1ms}, \
     circuit_breaker: {failures: 2}}";

async fn guarded(origin: &Origin) -> Gateway {
    let document = ONE_SERVICE.replace("<app>\"", GUARDED);
    let times = "timeouts: {request: 300ms, read: 200ms, write: 200ms}";
    let document = format!("{document}    policies: {{{times}}}\n");
    Setup::new(&document).with("app", origin).start().await
}

async fn echoes<S>(socket: &mut WebSocketStream<S>, text: &str)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    socket.send(Message::text(text)).await.unwrap();
    let echo = within("an echo", socket.next()).await.unwrap().unwrap();
    assert_eq!(echo, Message::text(text));
}

/// Waits until the service's one place is free, and says how the WebSocket of the next was.
async fn place(gateway: &Gateway) {
    eventually("a free place", async || {
        let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let mut client = gateway.connect().await;
        client.send(request).await;
        (client.head().await.status == 101).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_websocket_outlives_every_limit_of_time_and_counts_while_it_is_open() {
    let origin = WebSocketOrigin::start().await;
    let gateway = guarded(&origin).await;
    let mut socket = open_websocket(gateway.connect().await, "/live").await;
    echoes(&mut socket, "hello").await;
    // The claim is about time: nothing happens for longer than each of the limits.
    tokio::time::sleep(Duration::from_millis(900)).await;
    echoes(&mut socket, "still there").await;
    // It has the one place that there is.
    let refused = gateway.get("/").await;
    assert_eq!(refused.problem(503)["service"], "app");
    assert!(refused.get("retry-after").is_some());
    socket.close(None).await.unwrap();
    while within("the end", socket.next()).await.is_some_and(|message| message.is_ok()) {}
    drop(socket);
    place(&gateway).await;
}

#[tokio::test]
async fn a_websocket_whose_client_vanishes_gives_its_place_back() {
    let origin = WebSocketOrigin::start().await;
    let gateway = guarded(&origin).await;
    for _ in 0..5 {
        let mut socket = open_websocket(gateway.connect().await, "/live").await;
        echoes(&mut socket, "hello").await;
        drop(socket);
        // It is not counted as the service's failure either, or the circuit would be open.
        place(&gateway).await;
        gateway.metric("gateway_connections_open", &[("listener", "main")], 0.0).await;
    }
    let errors = gateway.metrics().await.value("gateway_upstream_errors_total", &[]);
    assert_eq!(errors.unwrap_or_default(), 0.0);
}
