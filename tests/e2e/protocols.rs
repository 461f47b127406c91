//! What is spoken on a connection: HTTP/1.1, HTTP/2 and WebSocket.

use crate::services::upstream_error;
use crate::support::{Authority, Client, Gateway, H2Client, H2Origin, ONE_SERVICE, Origin, Setup};
use crate::support::{WebSocketOrigin, open_websocket, within};
use futures_util::{SinkExt, StreamExt};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

/// A listener that speaks HTTP/1.1 and HTTP/2 in plain text.
pub const BOTH: &str = "protocols: [h2c, http/1.1]";
/// A gateway with these settings of its listener that hands everything to one origin.
pub async fn before(origin: &Origin, listener: &str) -> Gateway {
    Setup::new(ONE_SERVICE).with("app", origin).listener(listener).start().await
}

// WebSocket

/// A request for one.
const WEBSOCKET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn a_websocket_echoes_through_the_gateway() {
    let origin = WebSocketOrigin::start().await;
    let gateway = Gateway::before(&origin).await;
    let mut socket = open_websocket(gateway.connect().await, "/live").await;
    let large = "x".repeat(1024 * 1024);
    for text in ["hello", &large] {
        socket.send(Message::text(text)).await.unwrap();
        let echo = within("an echo", socket.next()).await.unwrap().unwrap();
        assert!(echo == Message::text(text));
    }
}

#[tokio::test]
async fn a_websocket_stays_open_past_the_times_of_a_request() {
    let origin = WebSocketOrigin::start().await;
    let setup = Setup::one_route("timeouts: {request: 400ms, read: 300ms}").with("app", &origin);
    let listener = "timeouts: {head: 300ms, body: 300ms, keep_alive: 300ms}";
    let gateway = setup.listener(listener).start().await;
    let mut socket = open_websocket(gateway.connect().await, "/live").await;
    // The claim is about time: nothing happens for longer than each of the limits.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    socket.send(Message::text("still there")).await.unwrap();
    let echo = within("an echo", socket.next()).await.unwrap().unwrap();
    assert_eq!(echo, Message::text("still there"));
}

#[tokio::test]
async fn a_closed_websocket_is_closed_on_the_other_side() {
    let origin = WebSocketOrigin::start().await;
    let gateway = Gateway::before(&origin).await;
    let mut socket = open_websocket(gateway.connect().await, "/live").await;
    socket.close(None).await.unwrap();
    let answer = within("the close frame", socket.next()).await.unwrap().unwrap();
    assert!(answer.is_close(), "{answer:?}");
    gateway.metric("gateway_connections_open", &[], 0.0).await;
}

#[tokio::test]
async fn a_websocket_that_the_service_refuses_is_a_plain_answer() {
    let origin = Origin::start(|mut call| async move {
        assert_eq!(call.seen.get("upgrade"), Some("websocket"));
        call.reply(403, "", "not you").await;
        call
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let response = gateway
        .request(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    assert_eq!((response.status, response.text()), (403, "not you"));
}

#[tokio::test]
async fn an_upgrade_to_http_2_is_not_passed_on() {
    // A service that agreed would speak to the client past every rule of the gateway.
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client
        .send(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
             Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        )
        .await;
    client.response().await;
    for seen in origin.requests() {
        assert_eq!((seen.get("upgrade"), seen.get("http2-settings")), (None, None));
    }
}

#[tokio::test]
async fn a_request_that_only_names_an_upgrade_keeps_its_times() {
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, "timeouts: {body: 300ms}").await;
    let mut client = gateway.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhe")
        .await;
    client.response().await.problem(408);
    assert_eq!(origin.last().get("upgrade"), None);
}

#[tokio::test]
async fn an_answer_that_refuses_a_websocket_is_held_to_the_read_time() {
    let origin = Origin::start(|mut call| async move {
        call.send("HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nhello").await;
        std::future::pending().await
    })
    .await;
    let gateway = Setup::one_route("timeouts: {read: 300ms}").with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    client.send(WEBSOCKET).await;
    assert_eq!(client.head().await.status, 403);
    while let Ok(part) = client.part().await {
        assert!(part.is_some(), "the answer looks complete");
    }
    upstream_error(&gateway, "read_timeout").await;
}

#[tokio::test]
async fn a_websocket_that_the_service_resets_ends_without_a_document() {
    let origin = Origin::connections(|mut stream, _| async move {
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await;
        let accepted = "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let _ = stream.write_all(accepted.as_bytes()).await;
        // Closing with bytes that were not read is a reset.
        let _ = stream.readable().await;
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client.send(WEBSOCKET).await;
    assert_eq!(client.head().await.status, 101);
    client.send("frame").await;
    let mut rest = Vec::new();
    let _ = client.into_inner().read_to_end(&mut rest).await;
    assert_eq!(String::from_utf8_lossy(&rest), "");
}

#[tokio::test]
async fn a_switch_of_protocols_that_nobody_asked_for_is_a_502() {
    let origin = Origin::start(|mut call| async move {
        call.send("HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
        call.close()
    })
    .await;
    Gateway::before(&origin).await.get("/").await.problem(502);
}

// HTTP/2

#[tokio::test]
async fn http_2_is_spoken_with_prior_knowledge() {
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, BOTH).await;
    let client = gateway.connect_h2().await;
    let response = client.get("/over?h=2").await;
    assert_eq!((response.status, &*response.body), (200, &b"hello"[..]));
    let seen = origin.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/over?h=2"));
    assert_eq!(seen.get("x-forwarded-host"), Some("gateway.test"));
    assert_eq!(seen.get("via"), Some("2 sluicegate"));
    assert_eq!(Some(response.headers["x-request-id"].to_str().unwrap()), seen.get("x-request-id"));
}

#[tokio::test]
async fn http_2_carries_many_requests_on_one_connection() {
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, BOTH).await;
    let client = gateway.connect_h2().await;
    let (one, two, three) = tokio::join!(client.get("/1"), client.get("/2"), client.get("/3"));
    assert_eq!([one.status, two.status, three.status], [200, 200, 200]);
    gateway.metric("gateway_connections_total", &[("listener", "main")], 1.0).await;
}

#[tokio::test]
async fn http_2_uploads_reach_an_http_1_service() {
    let origin = Origin::saying("done").await;
    let gateway = before(&origin, BOTH).await;
    let client = gateway.connect_h2().await;
    let request = http::Request::post("http://gateway.test/").body(()).unwrap();
    assert_eq!(client.request(request, "a body").await.unwrap().body, b"done");
    assert_eq!(origin.last().body, b"a body");
}

#[tokio::test]
async fn http_2_uploads_that_are_too_large_are_refused() {
    let origin = Origin::saying("done").await;
    let gateway = Setup::one_route("request_size: {body: 5B}")
        .with("app", &origin)
        .listener(BOTH)
        .start()
        .await;
    let client = gateway.connect_h2().await;
    let request = http::Request::post("http://gateway.test/").body(()).unwrap();
    assert_eq!(client.request(request, "too large").await.unwrap().status, 413);
    assert_eq!(client.get("/").await.status, 200);
}

#[tokio::test]
async fn cookies_of_http_2_reach_an_http_1_service_as_one_field() {
    // RFC 9113 §8.2.3
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, BOTH).await;
    let request = http::Request::get("http://gateway.test/");
    let request = request.header("cookie", "a=1").header("cookie", "b=2").body(()).unwrap();
    gateway.connect_h2().await.request(request, "").await.unwrap();
    assert_eq!(origin.last().head.all("cookie"), ["a=1; b=2"]);
}

#[tokio::test]
async fn the_authority_of_http_2_is_a_preserved_host() {
    let origin = Origin::saying("hello").await;
    let document = ONE_SERVICE.replace("<app>\"", "<app>\", preserve_host: true");
    let gateway = Setup::new(&document).with("app", &origin).listener(BOTH).start().await;
    gateway.connect_h2().await.get("/").await;
    assert_eq!(origin.last().get("host"), Some("gateway.test"));
}

#[tokio::test]
async fn large_bodies_pass_between_http_2_and_http_1_whole() {
    let origin = Origin::start(|mut call| async move {
        let body = call.body().await;
        call.reply(200, "", body).await;
        call
    })
    .await;
    let gateway = before(&origin, BOTH).await;
    let body: Vec<u8> =
        (0..5_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let request = http::Request::post("http://gateway.test/").body(()).unwrap();
    let response = gateway.connect_h2().await.request(request, body.clone()).await.unwrap();
    assert!(response.body == body, "{} bytes came back changed", response.body.len());
}

#[tokio::test]
async fn an_http_2_connection_may_be_idle_for_its_keep_alive_time_and_no_longer() {
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, &format!("{BOTH}, timeouts: {{keep_alive: 500ms}}")).await;
    let client = gateway.connect_h2().await;
    client.get("/").await;
    let idle = Instant::now();
    client.closed().await;
    assert!(idle.elapsed() >= Duration::from_millis(400), "{:?}", idle.elapsed());
    assert!(idle.elapsed() < Duration::from_secs(5), "{:?}", idle.elapsed());
}

#[tokio::test]
async fn an_http_2_connection_without_a_request_is_closed() {
    let origin = Origin::saying("hello").await;
    let timeouts = "timeouts: {head: 500ms, keep_alive: 500ms}";
    let gateway = before(&origin, &format!("{BOTH}, {timeouts}")).await;
    gateway.connect_h2().await.closed().await;
}

/// Sends a byte of a body now and then, until the other side has had enough.
async fn drip(client: &H2Client, gap: Duration) -> Duration {
    let request = http::Request::post("http://gateway.test/").body(()).unwrap();
    let begun = Instant::now();
    let (response, mut sending) = client.begin(request).await;
    let mut response = std::pin::pin!(H2Client::read(response));
    loop {
        tokio::select! {
            _ = &mut response => return begun.elapsed(),
            () = tokio::time::sleep(gap) => {
                if sending.send_data("d".into(), false).is_err() {
                    return begun.elapsed();
                }
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "the upload still goes on");
    }
}

#[tokio::test]
async fn an_http_2_body_that_stops_coming_is_cut_at_the_body_deadline() {
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, &format!("{BOTH}, timeouts: {{body: 500ms}}")).await;
    let took = drip(&gateway.connect_h2().await, Duration::from_secs(20)).await;
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn an_http_2_upload_that_drips_is_cut_when_the_whole_time_is_over() {
    let origin = Origin::saying("hello").await;
    let gateway = Setup::one_route("timeouts: {request: 500ms}")
        .with("app", &origin)
        .listener(BOTH)
        .start()
        .await;
    let took = drip(&gateway.connect_h2().await, Duration::from_millis(50)).await;
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn an_http_2_request_that_is_not_answered_within_its_whole_time_is_a_504() {
    let origin = Origin::start(|call| async move {
        let _held = call;
        std::future::pending().await
    })
    .await;
    let gateway = Setup::one_route("timeouts: {request: 300ms}")
        .with("app", &origin)
        .listener(BOTH)
        .start()
        .await;
    let client = gateway.connect_h2().await;
    assert_eq!(client.get("/").await.status, 504);
}

#[tokio::test]
async fn http_2_problems_are_problems() {
    let origin = Origin::saying("hello").await;
    let document = ONE_SERVICE.replace("prefix: /", "exact: /only");
    let gateway = Setup::new(&document).with("app", &origin).listener(BOTH).start().await;
    let response = gateway.connect_h2().await.get("/other").await;
    assert_eq!(response.status, 404);
    assert_eq!(response.headers["content-type"], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(problem["path"], "/other");
}

#[tokio::test]
async fn http_1_works_on_the_same_port_as_http_2() {
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, BOTH).await;
    let mut client = gateway.connect().await;
    assert_eq!(client.get("/1").await.text(), "hello");
    assert_eq!(client.get("/2").await.text(), "hello");
}

#[tokio::test]
async fn a_request_shorter_than_the_http_2_preface_is_answered() {
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, BOTH).await;
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.response().await.text(), "hello");
}

#[tokio::test]
async fn a_head_in_small_pieces_is_answered_where_http_2_is_spoken_too() {
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, BOTH).await;
    let mut client = gateway.connect().await;
    // It begins like the preface of HTTP/2, byte by byte.
    for piece in ["P", "R", "I", "NT / HTTP/1.1\r\nHo", "st: a\r\n\r\n"] {
        client.send(piece).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.response().await.text(), "hello");
}

#[tokio::test]
async fn a_listener_without_h2c_does_not_speak_it() {
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, "protocols: [http/1.1]").await;
    let mut client = gateway.connect().await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.closed().await;
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn http_2_is_agreed_on_inside_tls() {
    let origin = Origin::saying("hello").await;
    let authority = Authority::new();
    let listener = format!("{}, protocols: [h2, http/1.1]", authority.listener());
    let gateway = before(&origin, &listener).await;
    let stream = authority.connect(gateway.address, &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let client = H2Client::over(stream).await;
    assert_eq!(client.get("/").await.body, b"hello");
    assert_eq!(origin.last().get("x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn http_1_is_agreed_on_inside_tls() {
    let origin = Origin::saying("hello").await;
    let authority = Authority::new();
    let listener = format!("{}, protocols: [h2, http/1.1]", authority.listener());
    let gateway = before(&origin, &listener).await;
    for offered in [&["http/1.1"][..], &[]] {
        let stream = authority.connect(gateway.address, offered).await;
        let mut client = Client::over(stream);
        assert_eq!(client.get("/1").await.text(), "hello");
        assert_eq!(client.get("/2").await.text(), "hello");
    }
    assert!(origin.last().get("forwarded").unwrap().contains("proto=https"));
}

#[tokio::test]
async fn a_tls_handshake_that_never_comes_is_cut() {
    let origin = Origin::saying("hello").await;
    let authority = Authority::new();
    let listener = format!("{}, timeouts: {{handshake: 300ms}}", authority.listener());
    let gateway = before(&origin, &listener).await;
    let mut client = gateway.connect().await;
    client.closed().await;
    let labels = [("listener", "main"), ("cause", "handshake_timeout")];
    gateway.metric("gateway_connections_refused_total", &labels, 1.0).await;
}

#[tokio::test]
async fn plain_text_to_a_tls_listener_is_a_failed_handshake() {
    let origin = Origin::saying("hello").await;
    let authority = Authority::new();
    let gateway = before(&origin, &authority.listener()).await;
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.closed().await;
    let labels = [("listener", "main"), ("cause", "handshake")];
    gateway.metric("gateway_connections_refused_total", &labels, 1.0).await;
}

#[tokio::test]
async fn trailers_of_an_http_2_service_reach_an_http_2_client() {
    let origin = H2Origin::start().await;
    let document = ONE_SERVICE.replace("<app>\"", "<app>\", protocol: h2c");
    let gateway = Setup::new(&document).with("app", &origin).listener(BOTH).start().await;
    let response = gateway.connect_h2().await.get("/").await;
    assert_eq!((response.status, &*response.body), (200, &b"over h2"[..]));
    assert_eq!(response.trailers.expect("trailers")["x-checksum"], "42");
}
