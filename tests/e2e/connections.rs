//! Connections that speak wrongly, slowly or not at all, and too many of them.

use crate::protocols::{BOTH, before};
use crate::support::{Gateway, Origin, eventually};
use std::time::{Duration, Instant};

const SHORT: &str = "timeouts: {head: 500ms}";

async fn refused(gateway: &Gateway, cause: &str) {
    let labels = [("listener", "main"), ("cause", cause)];
    gateway.metric("gateway_connections_refused_total", &labels, 1.0).await;
}

#[tokio::test]
async fn a_silent_connection_is_closed_at_the_head_deadline() {
    let origin = Origin::saying("hello").await;
    for listener in [SHORT, &format!("{SHORT}, {BOTH}")] {
        let gateway = before(&origin, listener).await;
        let mut client = gateway.connect().await;
        let begun = Instant::now();
        client.closed().await;
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(300), "{took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[tokio::test]
async fn a_head_that_trickles_is_cut_at_the_deadline_and_counted() {
    let origin = Origin::saying("hello").await;
    for listener in [SHORT, &format!("{SHORT}, {BOTH}")] {
        let gateway = before(&origin, listener).await;
        let mut client = gateway.connect().await;
        let begun = Instant::now();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
        eventually("the connection to be cut", async || {
            tokio::time::sleep(Duration::from_millis(50)).await;
            (!client.try_send("X-Slow: 1\r\n").await).then_some(())
        })
        .await;
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(400), "{took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        refused(&gateway, "head_timeout").await;
        assert_eq!(origin.requests().len(), 0);
    }
}

#[tokio::test]
async fn a_second_head_that_trickles_is_cut_at_the_deadline_as_well() {
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, SHORT).await;
    let mut client = gateway.connect().await;
    client.get("/first").await;
    client.send("GET /second HTTP/1.1\r\n").await;
    client.closed().await;
    refused(&gateway, "head_timeout").await;
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_connection_may_be_idle_for_longer_than_a_head_may_take() {
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, SHORT).await;
    let mut client = gateway.connect().await;
    client.get("/").await;
    // The claim is about time.
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(client.get("/").await.text(), "hello");
}

#[tokio::test]
async fn a_service_may_take_longer_than_a_head_may() {
    let origin = Origin::start(|mut call| async move {
        tokio::time::sleep(Duration::from_millis(900)).await;
        call.reply(200, "", "late").await;
        call
    })
    .await;
    let gateway = before(&origin, SHORT).await;
    assert_eq!(gateway.get("/").await.text(), "late");
}

#[tokio::test]
async fn a_malformed_head_gets_400_and_is_counted() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Nul: \0\r\n\r\n",
        "complete nonsense\r\n\r\n",
    ] {
        let origin = Origin::saying("hello").await;
        let gateway = before(&origin, "protocols: [http/1.1]").await;
        let mut client = gateway.connect().await;
        client.send(head).await;
        assert_eq!(client.response().await.status, 400, "{head:?}");
        client.closed().await;
        refused(&gateway, "malformed_head").await;
        assert_eq!(origin.requests().len(), 0);
    }
}

#[tokio::test]
async fn ambiguous_lengths_reach_no_service() {
    for fields in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, gzip",
    ] {
        let origin = Origin::saying("hello").await;
        let gateway = Gateway::before(&origin).await;
        let mut client = gateway.connect().await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\nhello!")).await;
        let status = client.response().await.status;
        assert!(matches!(status, 400 | 501), "{fields:?} got {status}");
        client.closed().await;
        assert_eq!(origin.requests().len(), 0, "{fields:?}");
    }
}

#[tokio::test]
async fn a_length_beside_chunks_hides_no_request() {
    // RFC 9112 §6.3: refused, or read by its chunks and the connection closed.
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client
        .send(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
             0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .await;
    client.closed().await;
    gateway.get("/second").await;
    assert!(origin.requests().iter().all(|seen| seen.target != "/hidden"));
}

#[tokio::test]
async fn chunks_that_are_none_make_no_whole_request() {
    for chunk in [
        "5x\r\nhello\r\n0\r\n\r\n",
        "-1\r\n\r\n0\r\n\r\n",
        "5\r\nhello!!0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
    ] {
        let origin = Origin::saying("hello").await;
        let gateway = Gateway::before(&origin).await;
        let mut client = gateway.connect().await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(format!("{head}{chunk}GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        client.closed().await;
        gateway.get("/second").await;
        let seen = origin.requests();
        assert!(seen.iter().all(|seen| seen.target != "/hidden"), "{chunk:?}");
        let labels = [("method", "POST"), ("status_code", "200")];
        assert_eq!(
            gateway.metrics().await.value("gateway_requests_total", &labels),
            None,
            "{chunk:?}"
        );
    }
}

#[tokio::test]
async fn trailers_of_a_chunked_request_are_not_taken_for_a_request() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n")).await;
    assert_eq!(client.response().await.text(), "hello");
    assert_eq!(client.get("/second").await.text(), "hello");
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn a_target_that_is_not_ascii_is_a_400_problem() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    gateway.request("GET /caf\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n").await.problem(400);
}

#[tokio::test]
async fn a_body_that_stops_coming_is_cut_at_the_body_deadline() {
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, "timeouts: {body: 300ms}").await;
    let mut client = gateway.connect().await;
    let begun = Instant::now();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    client.closed().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_cut_at_the_body_deadline() {
    let origin = Origin::start(|mut call| async move {
        call.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await;
        for _ in 0..1000 {
            call.send(vec![b'x'; 1_000_000]).await;
        }
        call
    })
    .await;
    let gateway = before(&origin, "timeouts: {body: 300ms}").await;
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.request(1).await;
    gateway.metric("gateway_connections_open", &[("listener", "main")], 0.0).await;
}

#[tokio::test]
async fn connections_beyond_the_most_are_closed_and_counted() {
    let origin = Origin::saying("hello").await;
    let gateway = before(&origin, "max_connections: 2").await;
    let (mut one, mut two) = (gateway.connect().await, gateway.connect().await);
    assert_eq!(one.get("/").await.status, 200);
    assert_eq!(two.get("/").await.status, 200);
    gateway.connect().await.closed().await;
    refused(&gateway, "limit").await;
    drop(one);
    eventually("room for another", async || {
        let mut client = gateway.connect().await;
        let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        (client.try_send(request).await && client.closed().await == 1).then_some(())
    })
    .await;
    assert_eq!(two.get("/").await.status, 200);
}

#[tokio::test]
async fn connect_is_refused() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client.send(format!("CONNECT {} HTTP/1.1\r\nHost: a\r\n\r\n", origin.address())).await;
    assert!(client.response().await.status >= 400);
    assert_eq!(origin.connections_made(), 0);
}
