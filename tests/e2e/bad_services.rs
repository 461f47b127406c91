//! What bad services send, and that no client takes it for an answer: it sees a 502 or a transfer
//! that broke, never a short body that looks whole, and the gateway has nothing left of it.

use crate::protocols::BOTH;
use crate::services::{service, upstream_error};
use crate::support::{
    Call, Client, Gateway, ONE_SERVICE, Origin, Setup, StreamCall, StreamOrigin, eventually,
};
use bytes::Bytes;
use h2::Reason;
use std::fs;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What a service sends before it goes away, by the target that asks for it; and whether a head of
/// an answer is in it, after which nothing can be tried again.
const BAD: &[(&str, &str)] = &[
    ("/nothing", ""),
    ("/half-a-head", "HTTP/1.1 200 OK\r\nContent-Le"),
    ("/hints-alone", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    ("/short-length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"),
    ("/no-body-at-all", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"),
    ("/half-a-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
    ("/no-last-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    ("/half-a-last-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0"),
    ("/no-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"),
    ("/two-lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    ("/listed-lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!"),
    ("/negative-length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
    ("/signed-length", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
    ("/no-length", "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello"),
    ("/huge-length", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617\r\n\r\nhello"),
    ("/status-2000", "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("/status-20", "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("/status-000", "HTTP/1.1 000 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("/nul", "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 5\r\n\r\nhello"),
    ("/bare-return", "HTTP/1.1 200 OK\r\nX-A: a\rX-B: b\r\nContent-Length: 5\r\n\r\nhello"),
    ("/no-colon", "HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 5\r\n\r\nhello"),
    ("/version-3", "HTTP/3.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("/no-http", "<html>hello</html>\r\n\r\n"),
    ("/tls", "\x15\x03\x01\0\x02\x02\x28"),
    ("/http-2", "\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64"),
    ("/unasked-101", "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello"),
];

/// Sends what the target asks for, and ends the connection; a target that is not known gets a whole
/// answer.
async fn misbehave(mut call: Call) -> Call {
    let target = call.seen.target.split('?').next().unwrap_or_default();
    let Some((_, bytes)) = BAD.iter().find(|(known, _)| *known == target) else {
        call.reply(200, "", "whole").await;
        return call;
    };
    call.body().await;
    call.send(bytes).await;
    call.close()
}

/// A request that may be repeated, with a body.
fn put(target: &str) -> String {
    format!("PUT {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
}

/// Fails the test unless a request ends in a 502 or in an answer that broke off.
async fn is_no_answer(gateway: &Gateway, request: &str) {
    let mut client = gateway.connect().await;
    client.send(request).await;
    // An interim answer may come before.
    let mut answer = client.head().await;
    while answer.status == 103 {
        answer = client.head().await;
    }
    if answer.status == 502 {
        let document = read(&mut client).await.expect("a whole document");
        let problem: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!((&problem["status"], &problem["service"]), (&502.into(), &"app".into()));
        return;
    }
    assert_eq!(answer.status, 200, "{request}");
    let body = read(&mut client).await;
    assert!(body.is_err(), "{request}: {:?} looks whole", String::from_utf8_lossy(&body.unwrap()));
}

async fn read(client: &mut Client) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(part) = client.part().await? {
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// How many sockets a process has.
fn sockets(gateway: &Gateway) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", gateway.id())).unwrap();
    let targets = descriptors.filter_map(|one| fs::read_link(one.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// Waits until a gateway has no connection left but those that it began with.
async fn nothing_is_left(gateway: &Gateway, at_first: usize) {
    gateway.metric("gateway_connections_open", &[], 0.0).await;
    let mut open = 0;
    let left = eventually("the end of all connections", async || {
        open = sockets(gateway);
        (open <= at_first).then_some(())
    });
    left.await;
}

/// A gateway before an origin, by a service of which this is said.
async fn before(origin: &impl std::fmt::Display, settings: &str) -> Gateway {
    let document = ONE_SERVICE.replace("<app>\"", &format!("<app>\"{settings}"));
    Setup::new(&document).with("app", origin).listener(BOTH).start().await
}

// HTTP/1.1

#[tokio::test]
async fn what_is_no_answer_reaches_no_client_as_one_and_leaves_nothing_behind() {
    for resets in [false, true] {
        let origin = match resets {
            false => Origin::start(misbehave).await,
            true => Origin::resetting(misbehave).await,
        };
        let gateway = before(&origin, "").await;
        let at_first = sockets(&gateway);
        for (target, _) in BAD {
            is_no_answer(&gateway, &put(target)).await;
        }
        // The gateway lives on.
        assert_eq!(gateway.get("/").await.text(), "whole");
        let failures = gateway.metrics().await;
        let failures = failures.value("gateway_upstream_errors_total", &[("service", "app")]);
        assert_eq!(failures, Some(BAD.len() as f64), "resets: {resets}");
        drop(origin);
        nothing_is_left(&gateway, at_first).await;
    }
}

#[tokio::test]
async fn a_client_of_http_2_takes_none_of_it_for_an_answer_either() {
    let origin = Origin::start(misbehave).await;
    let gateway = before(&origin, "").await;
    let at_first = sockets(&gateway);
    let client = gateway.connect_h2().await;
    for (target, _) in BAD {
        let request = http::Request::get(format!("http://gateway.test{target}")).body(()).unwrap();
        match client.request(request, Bytes::new()).await {
            Ok(answer) => assert_eq!(answer.status, 502, "{target}: {answer:?}"),
            Err(broken) => assert!(broken.is_reset(), "{target}: {broken}"),
        }
    }
    assert_eq!(client.get("/").await.body, b"whole");
    drop((client, origin));
    nothing_is_left(&gateway, at_first).await;
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_not_whole_after_a_reset() {
    let until_it_ends = |mut call: Call| async move {
        call.body().await;
        call.send("HTTP/1.1 200 OK\r\n\r\nhello").await;
        // The answer has to have begun before its end is there.
        tokio::time::sleep(Duration::from_millis(50)).await;
        call.close()
    };
    let origin = Origin::resetting(until_it_ends).await;
    is_no_answer(&before(&origin, "").await, &put("/")).await;
    let origin = Origin::start(until_it_ends).await;
    assert_eq!(before(&origin, "").await.request(&put("/")).await.text(), "hello");
}

#[tokio::test]
async fn a_try_follows_where_no_head_came_and_none_where_an_answer_had_begun() {
    let origin = Origin::start(misbehave).await;
    let retry = "retry: {attempts: 3, retry_on: [reset, 5xx], backoff: 1ms..1ms, budget: 100%}";
    let gateway = before(&origin, &format!(", policies: {{{retry}}}")).await;
    for (target, tries) in [
        ("/nothing", 3),
        ("/half-a-head", 3),
        ("/hints-alone", 3),
        ("/short-length", 1),
        ("/no-body-at-all", 1),
        ("/half-a-chunk", 1),
        ("/no-last-chunk", 1),
        // Who speaks no HTTP does not learn it in between.
        ("/status-2000", 1),
        ("/no-http", 1),
        ("/two-lengths", 1),
    ] {
        is_no_answer(&gateway, &put(target)).await;
        let asked = origin.requests().iter().filter(|seen| seen.target == target).count();
        assert_eq!(asked, tries, "{target}");
        // What may not be repeated is not.
        let post = put(&format!("{target}?post")).replace("PUT", "POST");
        is_no_answer(&gateway, &post).await;
        let posted = format!("{target}?post");
        let asked = origin.requests().iter().filter(|seen| seen.target == posted).count();
        assert_eq!(asked, 1, "POST {target}");
    }
}

#[tokio::test]
async fn a_try_that_follows_a_bad_service_finds_a_good_one() {
    let (ill, well) = (Origin::start(misbehave).await, Origin::saying("whole").await);
    let settings = "{endpoints: [{address: <ill>}, {address: <well>}], \
         policies: {retry: {attempts: 2, backoff: 1ms..1ms, budget: 100%}}}";
    let setup = service(settings).with("ill", &ill).with("well", &well);
    let gateway = setup.start().await;
    let mut client = gateway.connect().await;
    for _ in 0..10 {
        assert_eq!(client.request(&put("/nothing")).await.text(), "whole");
    }
    assert!(!ill.requests().is_empty());
}

#[tokio::test]
async fn a_service_whose_answers_break_off_opens_its_circuit() {
    let origin = Origin::start(misbehave).await;
    let breaker = ", policies: {circuit_breaker: {failures: 2}}";
    let gateway = before(&origin, breaker).await;
    for _ in 0..2 {
        is_no_answer(&gateway, &put("/short-length")).await;
    }
    gateway.get("/").await.problem(503);
}

#[tokio::test]
async fn a_head_without_an_end_is_a_502() {
    let origin = Origin::start(|mut call: Call| async move {
        call.send("HTTP/1.1 200 OK\r\n").await;
        let line = format!("X-Long: {}\r\n", "x".repeat(8 * 1024));
        // Far more than any head has, and yet an end.
        for _ in 0..1024 {
            call.send(&line).await;
        }
        call.close()
    })
    .await;
    let gateway = before(&origin, "").await;
    gateway.get("/").await.problem(502);
    upstream_error(&gateway, "protocol").await;
}

#[tokio::test]
async fn trailers_of_an_http_1_service_leave_the_answer_whole_and_the_connection_usable() {
    let origin = Origin::start(|mut call: Call| async move {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
        call.send(format!("{head}5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")).await;
        call
    })
    .await;
    let gateway = before(&origin, "").await;
    let mut client = gateway.connect().await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.text(), "hello");
    }
}

#[tokio::test]
async fn many_interim_answers_come_before_the_one_that_counts() {
    let origin = Origin::start(|mut call: Call| async move {
        for number in 0..20 {
            call.send(format!("HTTP/1.1 103 Early Hints\r\nLink: </{number}>\r\n\r\n")).await;
        }
        call.reply(200, "", "whole").await;
        call
    })
    .await;
    let gateway = before(&origin, "").await;
    assert_eq!(gateway.get("/").await.text(), "whole");
}

// HTTP/2

/// An origin of HTTP/2 that ends each stream as its target asks, and answers others with `whole`.
async fn bad_streams() -> StreamOrigin {
    StreamOrigin::start(|mut call: StreamCall| async move {
        match call.head.uri.path() {
            "/reset" => return call.reset(Reason::INTERNAL_ERROR),
            "/cancel" => return call.reset(Reason::CANCEL),
            "/refused" => return call.reset(Reason::REFUSED_STREAM),
            "/calm" => return call.reset(Reason::ENHANCE_YOUR_CALM),
            _ => {}
        }
        let path = call.head.uri.path().to_owned();
        let length = if path.ends_with("length") { "100" } else { "5" };
        let name = if path == "/reset-bare" { "x-a" } else { "content-length" };
        let mut sending = call.begin_with(name, length);
        match &*path {
            "/short-length" => drop(sending.send_data(Bytes::from_static(b"hello"), true)),
            "/reset-length" | "/reset-bare" => {
                let _ = sending.send_data(Bytes::from_static(b"hello"), false);
                // A reset would overtake what has not left yet.
                tokio::time::sleep(Duration::from_millis(50)).await;
                sending.send_reset(Reason::INTERNAL_ERROR);
            }
            "/too-much" => drop(sending.send_data(Bytes::from_static(b"hello, world"), true)),
            _ => drop(sending.send_data(Bytes::from_static(b"whole"), true)),
        }
    })
    .await
}

const BAD_STREAMS: [&str; 8] = [
    "/reset",
    "/cancel",
    "/refused",
    "/calm",
    "/short-length",
    "/reset-length",
    "/reset-bare",
    "/too-much",
];

#[tokio::test]
async fn a_stream_that_is_no_answer_reaches_no_client_as_one_and_leaves_nothing_behind() {
    let origin = bad_streams().await;
    let gateway = before(&origin, ", protocol: h2c").await;
    let at_first = sockets(&gateway);
    let client = gateway.connect_h2().await;
    for target in BAD_STREAMS {
        is_no_answer(&gateway, &put(target)).await;
        let request = http::Request::get(format!("http://gateway.test{target}")).body(()).unwrap();
        match client.request(request, Bytes::new()).await {
            Ok(answer) => assert_eq!(answer.status, 502, "{target}: {answer:?}"),
            Err(broken) => assert!(broken.is_reset(), "{target}: {broken}"),
        }
    }
    assert_eq!(gateway.get("/").await.text(), "whole");
    assert_eq!(client.get("/").await.body, b"whole");
    let labels = [("service", "app")];
    let failures = gateway.metrics().await.value("gateway_upstream_errors_total", &labels);
    assert!(failures >= Some(2.0 * BAD_STREAMS.len() as f64), "{failures:?}");
    drop((client, origin));
    nothing_is_left(&gateway, at_first).await;
}

#[tokio::test]
async fn a_stream_is_tried_again_unless_its_answer_had_begun() {
    let origin = bad_streams().await;
    let retry = "retry: {attempts: 3, backoff: 1ms..1ms, budget: 100%}";
    let gateway = before(&origin, &format!(", protocol: h2c, policies: {{{retry}}}")).await;
    let tries = |path: &str, method: &str| {
        let requests = origin.requests();
        requests.iter().filter(|one| one.uri().path() == path && one.method() == method).count()
    };
    for (target, puts, posts) in [
        ("/reset", 3, 1),
        // The service says that it has not looked at it, so anything may be repeated.
        ("/refused", 3, 3),
        ("/short-length", 1, 1),
        ("/reset-length", 1, 1),
        ("/reset-bare", 1, 1),
    ] {
        is_no_answer(&gateway, &put(target)).await;
        is_no_answer(&gateway, &put(target).replace("PUT", "POST")).await;
        assert_eq!((tries(target, "PUT"), tries(target, "POST")), (puts, posts), "{target}");
    }
}

#[tokio::test]
async fn a_service_that_speaks_no_http_2_where_it_should_is_a_502() {
    for bytes in ["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "", "\0\0\0\0\0\0\0\0\0"]
    {
        let origin = Origin::connections(move |mut stream, _| async move {
            let mut preface = [0; 24];
            let _ = stream.read_exact(&mut preface).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
        })
        .await;
        let gateway = before(&origin, ", protocol: h2c").await;
        let at_first = sockets(&gateway);
        is_no_answer(&gateway, &put("/")).await;
        drop(origin);
        nothing_is_left(&gateway, at_first).await;
    }
}

#[tokio::test]
async fn a_connection_of_http_2_that_ends_takes_its_streams_with_it_and_no_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // The first connection ends in the middle of its answers, those after it serve.
    let serving = tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            let is_first = number == 0;
            number += 1;
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await?;
                while let Some(call) = connection.accept().await {
                    let (_, mut answer) = call?;
                    let mut sending = answer.send_response(http::Response::new(()), false)?;
                    sending.send_data(Bytes::from_static(b"whole"), !is_first)?;
                    if is_first {
                        // What was sent leaves with the next look at the connection.
                        let look = connection.accept();
                        let time = Duration::from_millis(100);
                        let _ = tokio::time::timeout(time, look).await;
                        return Ok(());
                    }
                }
                Ok::<(), h2::Error>(())
            });
        }
    });
    let gateway = before(&address, ", protocol: h2c").await;
    let client = gateway.connect_h2().await;
    let request = http::Request::get("http://gateway.test/").body(()).unwrap();
    let broken = client.request(request, Bytes::new()).await.unwrap_err();
    assert!(broken.is_reset(), "{broken}");
    for _ in 0..3 {
        assert_eq!(client.get("/").await.body, b"whole");
    }
    serving.abort();
}

#[tokio::test]
async fn a_service_of_http_2_may_answer_without_reading_the_upload() {
    let origin = StreamOrigin::start(|mut call: StreamCall| async move {
        let mut sending = call.begin_with("content-length", "5");
        let _ = sending.send_data(Bytes::from_static(b"large"), true);
    })
    .await;
    let gateway = before(&origin, ", protocol: h2c").await;
    let at_first = sockets(&gateway);
    let mut client = gateway.connect().await;
    let length = 8 * 1024 * 1024;
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")).await;
    // More than a stream's window takes.
    client.try_send(vec![b'x'; 128 * 1024]).await;
    assert_eq!(client.response().await.text(), "large");
    drop((client, origin));
    nothing_is_left(&gateway, at_first).await;
}

#[tokio::test]
async fn a_bad_day_leaves_no_place_of_a_limit_taken() {
    let origin = Origin::resetting(misbehave).await;
    let document = ONE_SERVICE
        .replace("<app>\"", "<app>\", limits: {requests: 1, connections: 1, pending: 0}");
    let gateway = Setup::new(&document).with("app", &origin).start().await;
    for (target, _) in BAD {
        is_no_answer(&gateway, &put(target)).await;
        // A place that was kept would be a 503 for good.
        eventually("a free place", async || (gateway.get("/").await.status == 200).then_some(()))
            .await;
    }
}
