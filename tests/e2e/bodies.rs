//! How bodies pass, and what becomes of the connections that they pass on.

use crate::support::{
    Call, Client, Gateway, H2Origin, ONE_SERVICE, Origin, Setup, eventually, within,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// More than any buffer on the way, and no two parts alike.
fn large_body() -> Vec<u8> {
    (0..20 * 1024 * 1024_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn in_chunks(body: &[u8]) -> Vec<u8> {
    let mut chunked = Vec::new();
    for part in body.chunks(50_000) {
        chunked.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        chunked.extend_from_slice(part);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    chunked
}

#[tokio::test]
async fn parts_of_an_answer_arrive_before_the_service_has_finished() {
    let go = Arc::new(Notify::new());
    let told = Arc::clone(&go);
    let origin = Origin::start(move |mut call: Call| {
        let told = Arc::clone(&told);
        async move {
            call.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
            told.notified().await;
            call.send("6\r\nsecond\r\n0\r\n\r\n").await;
            call
        }
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.head().await;
    assert_eq!(client.part().await.unwrap().unwrap(), "first");
    go.notify_one();
    assert_eq!(client.part().await.unwrap().unwrap(), "second");
    assert_eq!(client.part().await.unwrap(), None);
}

#[tokio::test]
async fn parts_of_an_upload_reach_the_service_before_the_client_has_finished() {
    let origin = Origin::saying("done").await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        .await;
    eventually("the first part", async || {
        origin.requests().pop().filter(|seen| seen.body == b"first")
    })
    .await;
    client.send("6\r\nsecond\r\n0\r\n\r\n").await;
    assert_eq!(client.response().await.text(), "done");
    assert_eq!(origin.last().body, b"firstsecond");
}

#[tokio::test]
async fn an_answer_may_begin_before_the_upload_has_ended() {
    let origin = Origin::start(|mut call: Call| async move {
        call.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        while let Some(part) = call.part().await {
            call.send(format!("{:x}\r\n", part.len())).await;
            call.send(part).await;
            call.send("\r\n").await;
        }
        call.send("0\r\n\r\n").await;
        call
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    for word in ["ping", "pong"] {
        client.send(format!("4\r\n{word}\r\n")).await;
        assert_eq!(client.part().await.unwrap().unwrap(), word);
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.part().await.unwrap(), None);
}

#[tokio::test]
async fn a_large_upload_with_a_length_arrives_whole() {
    let origin = Origin::saying("done").await;
    let gateway = Gateway::before(&origin).await;
    let body = large_body();
    let mut client = gateway.connect().await;
    client
        .send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()))
        .await;
    client.send(&body).await;
    assert_eq!(client.response().await.text(), "done");
    let seen = origin.last();
    assert_eq!(seen.get("content-length"), Some(&*body.len().to_string()));
    assert!(seen.body == body, "{} bytes arrived changed", seen.body.len());
}

#[tokio::test]
async fn a_large_upload_in_chunks_arrives_whole() {
    let origin = Origin::saying("done").await;
    let gateway = Gateway::before(&origin).await;
    let body = large_body();
    let mut client = gateway.connect().await;
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.send(in_chunks(&body)).await;
    assert_eq!(client.response().await.text(), "done");
    let seen = origin.last();
    assert!(seen.body == body, "{} bytes arrived changed", seen.body.len());
}

#[tokio::test]
async fn a_large_answer_with_a_length_arrives_whole() {
    let body = Arc::new(large_body());
    let sent = Arc::clone(&body);
    let origin = Origin::start(move |mut call: Call| {
        let sent = Arc::clone(&sent);
        async move {
            call.reply(200, "", &*sent).await;
            call
        }
    })
    .await;
    let response = Gateway::before(&origin).await.get("/").await;
    assert_eq!(response.get("content-length"), Some(&*body.len().to_string()));
    assert!(response.body == *body, "{} bytes arrived changed", response.body.len());
}

#[tokio::test]
async fn a_large_answer_in_chunks_arrives_whole() {
    let body = large_body();
    let sent = Arc::new(in_chunks(&body));
    let origin = Origin::start(move |mut call: Call| {
        let sent = Arc::clone(&sent);
        async move {
            call.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            call.send(&*sent).await;
            call
        }
    })
    .await;
    let response = Gateway::before(&origin).await.get("/").await;
    assert!(response.body == body, "{} bytes arrived changed", response.body.len());
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_arrives_whole() {
    let origin = Origin::start(|mut call: Call| async move {
        call.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end").await;
        call.close()
    })
    .await;
    assert_eq!(Gateway::before(&origin).await.get("/").await.text(), "until the end");
}

#[tokio::test]
async fn a_client_that_expects_100_gets_it_before_it_sends_its_body() {
    let origin = Origin::saying("done").await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .await;
    assert_eq!(client.head().await.status, 100);
    client.send("body").await;
    assert_eq!(client.response().await.text(), "done");
    assert_eq!(origin.last().body, b"body");
}

#[tokio::test]
async fn interim_answers_are_passed_on() {
    let origin = Origin::start(|mut call: Call| async move {
        call.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n").await;
        call.reply(200, "", "final").await;
        call
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let hints = client.head().await;
    assert_eq!((hints.status, hints.get("link")), (103, Some("</a.css>")));
    assert_eq!(client.response().await.text(), "final");
}

#[tokio::test]
async fn an_answer_to_head_has_its_fields_and_no_body() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    let response = client.request("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((response.status, response.get("content-length")), (200, Some("5")));
    // A body would be taken for the next head.
    assert_eq!(client.get("/").await.text(), "hello");
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_usable() {
    for status in ["204 No Content", "304 Not Modified"] {
        let origin = Origin::start(move |mut call: Call| async move {
            call.send(format!("HTTP/1.1 {status}\r\nETag: \"1\"\r\n\r\n")).await;
            call
        })
        .await;
        let gateway = Gateway::before(&origin).await;
        let mut client = gateway.connect().await;
        for _ in 0..2 {
            let response = client.get("/").await;
            assert!(status.starts_with(&response.status.to_string()));
            assert_eq!(response.get("etag"), Some("\"1\""));
        }
    }
}

#[tokio::test]
async fn requests_of_one_client_reuse_one_connection_to_the_service() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.text(), "hello");
    }
    assert_eq!(origin.connections_made(), 1);
}

#[tokio::test]
async fn requests_of_several_clients_reuse_one_connection_to_the_service() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    for _ in 0..10 {
        assert_eq!(gateway.get("/").await.text(), "hello");
    }
    assert_eq!(origin.connections_made(), 1);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_or_not_at_all() {
    let origin = Origin::start(|mut call: Call| async move {
        let target = call.seen.target.clone();
        call.reply(200, "", target).await;
        call
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client
        .send(
            "POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody\
             GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert_eq!(client.response().await.text(), "/first");
    let answered = 1 + client.closed().await;
    let seen = origin.requests();
    assert_eq!(seen.len(), answered);
    assert_eq!((seen[0].target.as_str(), &*seen[0].body), ("/first", &b"body"[..]));
    assert!(seen.get(1).is_none_or(|second| second.target == "/second"), "{seen:?}");
}

#[tokio::test]
async fn a_client_that_asks_to_close_gets_its_answer_and_the_end() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(client.request(request).await.text(), "hello");
    assert_eq!(client.closed().await, 0);
    // The service's connection is not the client's to close.
    gateway.get("/").await;
    assert_eq!(origin.connections_made(), 1);
}

#[tokio::test]
async fn an_http_1_0_client_is_served() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.response().await.text(), "hello");
    assert_eq!(client.closed().await, 0);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_keep_alive_time() {
    let origin = Origin::saying("hello").await;
    let setup = Setup::new(ONE_SERVICE).with("app", &origin);
    let gateway = setup.listener("timeouts: {keep_alive: 300ms}").start().await;
    let mut client = gateway.connect().await;
    assert_eq!(client.get("/").await.status, 200);
    let idle = Instant::now();
    assert_eq!(client.closed().await, 0);
    assert!(idle.elapsed() >= Duration::from_millis(200), "{:?}", idle.elapsed());
    assert!(idle.elapsed() < Duration::from_secs(5), "{:?}", idle.elapsed());
}

#[tokio::test]
async fn an_upload_that_breaks_off_does_not_look_complete() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let origin = Origin::start(move |mut call: Call| {
            let tell = tell.clone();
            async move {
                tell.send(call.body_is_whole().await).unwrap();
                call.close()
            }
        })
        .await;
        let gateway = Gateway::before(&origin).await;
        let mut client = gateway.connect().await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n5\r\nhello\r\n")).await;
        eventually("a part of the body", async || {
            origin.requests().pop().filter(|seen| !seen.body.is_empty())
        })
        .await;
        drop(client);
        let whole = within("the end of the body", told.recv()).await;
        assert_eq!(whole, Some(false), "with {head} the upload looks complete");
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let left = Arc::new(Notify::new());
    let told = Arc::clone(&left);
    let origin = Origin::start(move |mut call: Call| {
        let told = Arc::clone(&told);
        async move {
            call.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
            // Reads on until the gateway closes: there is no body.
            call.until_closed().await;
            told.notify_one();
            call.close()
        }
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client: Client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.head().await;
    drop(client);
    within("the end of the service's connection", left.notified()).await;
}

#[tokio::test]
async fn a_part_of_a_body_of_known_length_does_not_wait_for_the_rest() {
    let (go_on, gone_on) = tokio::sync::watch::channel(0);
    let origin = Origin::start(move |mut call: Call| {
        let mut gone_on = gone_on.clone();
        async move {
            call.send("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n").await;
            for part in 1..=3 {
                let _ = gone_on.wait_for(|said| *said >= part).await;
                call.send("hello").await;
            }
            call
        }
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    for part in 1..=3 {
        go_on.send_replace(part);
        assert_eq!(client.part().await.unwrap().as_deref(), Some(&b"hello"[..]));
    }
}

#[tokio::test]
async fn a_body_whose_end_could_be_read_in_two_ways_is_refused() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    for (framing, status) in [
        ("Content-Length: 2\r\nContent-Length: 2", 400),
        ("Content-Length: 2, 2", 400),
        ("Transfer-Encoding: gzip, chunked", 501),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\nok");
        let response = gateway.request(&request).await;
        response.problem(status);
        assert!(response.head.lists("connection", "close"), "{:?}", response.head);
    }
    assert!(origin.requests().is_empty());
}

#[tokio::test]
async fn a_chunk_that_is_none_is_a_400() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    gateway.request(&format!("{head}nonsense\r\n")).await.problem(400);
}

#[tokio::test]
async fn an_http_1_0_client_gets_neither_chunks_nor_interim_answers() {
    let origin = Origin::start(|mut call: Call| async move {
        call.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await;
        call.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        call.send("5\r\nhello\r\n0\r\n\r\n").await;
        call
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!((head.status, head.get("transfer-encoding")), (200, None));
    assert!(head.head.lists("connection", "close"), "{:?}", head.head);
    let mut body = Vec::new();
    while let Some(part) = client.part().await.unwrap() {
        body.extend_from_slice(&part);
    }
    assert_eq!(body, b"hello");
}

#[tokio::test]
async fn an_answer_of_http_1_0_goes_on_as_http_1_1() {
    let origin = Origin::start(|mut call: Call| async move {
        call.send(
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nTE: gzip\r\nTrailer: x-sum\r\n\r\nhello",
        )
        .await;
        call.close()
    })
    .await;
    let response = Gateway::before(&origin).await.get("/").await;
    assert!(response.head.start.starts_with("HTTP/1.1 "), "{:?}", response.head);
    assert_eq!(response.get("via"), Some("1.0 sluicegate"));
    assert_eq!((response.get("te"), response.get("trailer")), (None, None));
}

#[tokio::test]
async fn a_client_that_leaves_after_100_has_left_before_its_answer() {
    let origin = Origin::start(|mut call: Call| async move {
        call.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        call.body().await;
        call
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.head().await.status, 100);
    drop(client);
    gateway.metric("gateway_requests_total", &[("status_code", "499")], 1.0).await;
}

#[tokio::test]
async fn an_upload_to_an_http_2_service_may_take_longer_than_the_read_time() {
    let origin = H2Origin::start().await;
    let document = ONE_SERVICE.replace(
        "{url: \"http://<app>\"}",
        "{endpoints: [{address: <app>}], protocol: h2c, policies: {timeouts: {read: 200ms}}}",
    );
    let setup = Setup::new(&document).with("app", &origin).listener("timeouts: {body: 300ms}");
    let gateway = setup.start().await;
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n").await;
    for _ in 0..8 {
        client.send("x").await;
        // All of them together are longer than either time, each of them is not.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(client.response().await.text(), "over h2xxxxxxxx");
}
