//! What clients see when services fail, and what they do not.

use crate::services::{failed, service, upstream_error};
use crate::support::{Call, Client, Gateway, ONE_SERVICE, Origin, Port, Setup, eventually};
use std::future::pending;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

#[tokio::test]
async fn a_refused_connection_is_a_502_that_names_the_service_and_no_address() {
    let nobody = Port::reserve();
    let gateway = Gateway::before(&nobody.address).await;
    failed(&gateway.get("/").await, 502, &nobody.address.to_string());
    upstream_error(&gateway, "connect").await;
}

#[tokio::test]
async fn the_cause_of_a_502_is_in_the_gateways_log() {
    let nobody = Port::reserve();
    let gateway = Gateway::before(&nobody.address).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: find-me\r\n\r\n";
    gateway.request(request).await.problem(502);
    let line = gateway.access_log(1).await[0].to_string();
    assert!(line.contains("find-me") && line.contains("connect"), "{line}");
}

#[tokio::test]
async fn a_service_that_comes_back_is_served_again() {
    let port = Port::reserve();
    let gateway = Gateway::before(&port.address).await;
    gateway.get("/").await.problem(502);
    let origin = Origin::at(&port.address.to_string(), |mut call| async move {
        call.reply(200, "", "back").await;
        call
    })
    .await;
    assert_eq!(gateway.get("/").await.text(), "back");
    origin.stop().await;
    gateway.get("/").await.problem(502);
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_a_504() {
    // A listener that accepts nobody, whose queue is full: the system answers no further client.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) =
        timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        queue.push(stream);
    }
    let setup = service("{url: \"http://<app>\", policies: {timeouts: {connect: 300ms}}}");
    let gateway = setup.with("app", address).start().await;
    let begun = Instant::now();
    failed(&gateway.get("/").await, 504, &address.to_string());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    upstream_error(&gateway, "connect_timeout").await;
}

async fn silent() -> Origin {
    Origin::start(|call: Call| async move {
        let _held = call;
        pending().await
    })
    .await
}

#[tokio::test]
async fn a_service_that_does_not_answer_in_time_is_a_504() {
    let origin = silent().await;
    let setup = service("{url: \"http://<app>\", policies: {timeouts: {read: 200ms}}}");
    let gateway = setup.with("app", &origin).start().await;
    let begun = Instant::now();
    failed(&gateway.get("/").await, 504, origin.address());
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(190) && took < Duration::from_secs(5), "{took:?}");
    upstream_error(&gateway, "read_timeout").await;
    // It may have acted on the request: asking again is not for the gateway to decide.
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_stalls_is_cut_at_the_read_time() {
    let origin = Origin::start(|mut call: Call| async move {
        call.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
        pending().await
    })
    .await;
    let setup = service("{url: \"http://<app>\", policies: {timeouts: {read: 300ms}}}");
    let gateway = setup.with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    let begun = Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    while let Ok(part) = client.part().await {
        assert!(part.is_some(), "the answer looks complete");
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(290) && took < Duration::from_secs(5), "{took:?}");
    upstream_error(&gateway, "read_timeout").await;
}

#[tokio::test]
async fn a_service_that_takes_nothing_of_an_upload_in_time_is_a_504() {
    let origin = silent().await;
    // A service that stops reading may have answered, so its answer is waited for as well.
    let times = "{write: 300ms, read: 1s}";
    let setup = service(&format!("{{url: \"http://<app>\", policies: {{timeouts: {times}}}}}"));
    // While a body is coming, the longer of the times of both sides is waited.
    let listener = "timeouts: {body: 1s}";
    let gateway = setup.with("app", &origin).listener(listener).start().await;
    let mut client = gateway.connect().await;
    let length = 100 * 1024 * 1024;
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")).await;
    let begun = Instant::now();
    // More than the buffers on the way take; the answer may come, and the end, before all is sent.
    client.try_send(vec![b'x'; length]).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    upstream_error(&gateway, "write_timeout").await;
    gateway.metric("gateway_requests_total", &[("status_code", "504")], 1.0).await;
}

#[tokio::test]
async fn an_upload_may_take_longer_than_the_read_time() {
    let origin = Origin::saying("done").await;
    let setup = service("{url: \"http://<app>\", policies: {timeouts: {read: 500ms}}}");
    let gateway = setup.with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\n").await;
    for _ in 0..15 {
        client.send("x").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(client.response().await.text(), "done");
}

#[tokio::test]
async fn a_routes_times_win_over_its_services() {
    let origin = silent().await;
    let document = ONE_SERVICE.replace("<app>\"", "<app>\", policies: {timeouts: {read: 1h}}");
    let document = format!("{document}    policies: {{timeouts: {{read: 200ms}}}}\n");
    let gateway = Setup::new(&document).with("app", &origin).start().await;
    gateway.get("/").await.problem(504);
}

#[tokio::test]
async fn a_request_that_is_not_answered_within_its_whole_time_is_a_504() {
    let origin = silent().await;
    let gateway = Setup::one_route("timeouts: {request: 300ms}").with("app", &origin).start().await;
    let begun = Instant::now();
    failed(&gateway.get("/").await, 504, origin.address());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    upstream_error(&gateway, "deadline").await;
}

#[tokio::test]
async fn an_answer_that_drips_is_cut_when_the_whole_time_is_over() {
    let origin = Origin::start(|mut call: Call| async move {
        call.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        for _ in 0..200 {
            call.send("4\r\ndrip\r\n").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        call.close()
    })
    .await;
    let gateway = Setup::one_route("timeouts: {request: 500ms}").with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    let begun = Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    while let Ok(part) = client.part().await {
        assert!(part.is_some(), "the answer looks complete");
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn an_upload_that_drips_is_cut_when_the_whole_time_is_over() {
    let origin = Origin::saying("done").await;
    let gateway = Setup::one_route("timeouts: {request: 500ms}").with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    let begun = Instant::now();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n").await;
    eventually("the connection to be cut", async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        (!client.try_send("d").await).then_some(())
    })
    .await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_503_and_others_are_served() {
    let origin = Origin::saying("hello").await;
    let document = r#"
policies: {auth: none}
services:
  app: {url: "http://nowhere.invalid:8080"}
  here: {url: "http://<here>"}
routes:
  - {name: nowhere, match: {path: {prefix: /nowhere}}, service: app}
  - {name: here, match: {path: {prefix: /here}}, service: here}
"#;
    let gateway = Setup::new(document).with("here", &origin).start().await;
    let response = gateway.get("/nowhere").await;
    failed(&response, 503, "nowhere.invalid:8080");
    let seconds: u64 = response.get("retry-after").expect("retry-after").parse().unwrap();
    assert_eq!(response.json()["retryAfter"], seconds);
    assert_eq!(gateway.get("/here").await.text(), "hello");
    upstream_error(&gateway, "resolve").await;
}

#[tokio::test]
async fn a_service_that_closes_before_it_answers_is_a_502() {
    let origin = Origin::start(|call: Call| async move { call.close() }).await;
    let gateway = Gateway::before(&origin).await;
    failed(&gateway.get("/").await, 502, origin.address());
    upstream_error(&gateway, "closed").await;
}

#[tokio::test]
async fn a_service_that_resets_before_it_answers_is_a_502() {
    let origin = Origin::connections(|mut stream, _| async move {
        // Closing with bytes that were not read is a reset.
        let _ = stream.read_u8().await;
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    failed(&gateway.get("/").await, 502, origin.address());
    upstream_error(&gateway, "closed").await;
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_a_502() {
    for garbage in ["no HTTP at all\r\n\r\n", "\0\0\0\0\r\n\r\n", "HTTP/1.1 abc Huh\r\n\r\n"] {
        let origin = Origin::start(move |mut call: Call| async move {
            call.send(garbage).await;
            call.close()
        })
        .await;
        let gateway = Gateway::before(&origin).await;
        failed(&gateway.get("/").await, 502, origin.address());
        upstream_error(&gateway, "protocol").await;
    }
}

#[tokio::test]
async fn half_a_head_is_a_502() {
    let origin = Origin::start(|mut call: Call| async move {
        call.send("HTTP/1.1 200 OK\r\nContent-Le").await;
        call.close()
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    failed(&gateway.get("/").await, 502, origin.address());
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_complete() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let origin = Origin::start(move |mut call: Call| async move {
            call.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n")).await;
            call.close()
        })
        .await;
        let gateway = Gateway::before(&origin).await;
        let mut client = gateway.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.head().await.status, 200);
        while let Ok(part) = client.part().await {
            assert!(part.is_some(), "with {head} the answer looks complete");
        }
        upstream_error(&gateway, "closed").await;
    }
}

#[tokio::test]
async fn a_service_may_answer_without_reading_the_upload() {
    let origin = Origin::start(|mut call: Call| async move {
        call.send("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge")
            .await;
        // Reads on, so that its answer is not lost in a reset.
        call.until_closed().await;
        call.close()
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    let length = 1024 * 1024;
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")).await;
    client.send(vec![b'x'; length / 2]).await;
    let response = client.response().await;
    assert_eq!((response.status, response.text()), (413, "large"));
}

#[tokio::test]
async fn bytes_after_an_answer_are_nobodys_answer() {
    let origin = Origin::start(|mut call: Call| async move {
        let forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
        let target = call.seen.target.clone();
        let length = target.len();
        let extra = if target == "/first" { forged } else { "" };
        call.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{target}{extra}"))
            .await;
        call
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    assert_eq!(client.get("/first").await.text(), "/first");
    assert_eq!(gateway.get("/second").await.text(), "/second");
    assert_eq!(gateway.get("/third").await.text(), "/third");
}

#[tokio::test]
async fn an_answer_with_contradicting_lengths_is_a_502() {
    let origin = Origin::start(|mut call: Call| async move {
        call.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!").await;
        call.close()
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    failed(&gateway.get("/").await, 502, origin.address());
}

#[tokio::test]
async fn an_answer_with_a_length_beside_chunks_goes_on_with_one_of_them() {
    let origin = Origin::start(|mut call: Call| async move {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        call.send(format!("{head}5\r\nhello\r\n0\r\n\r\n")).await;
        call.close()
    })
    .await;
    let response = Gateway::before(&origin).await.get("/").await;
    if response.status == 200 {
        assert!(response.get("content-length").is_none(), "{:?}", response.head);
        assert_eq!(response.text(), "hello");
    } else {
        failed(&response, 502, origin.address());
    }
}

#[tokio::test]
async fn after_a_502_the_clients_connection_is_usable() {
    let origin = Origin::start(|mut call: Call| async move {
        if call.seen.target == "/broken" {
            return call.close();
        }
        call.reply(200, "", "fine").await;
        call
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    let broken = client.get("/broken").await;
    broken.problem(502);
    if !broken.head.lists("connection", "close") {
        assert_eq!(client.get("/").await.text(), "fine");
    }
}

// Pooled connections

/// An origin that closes its first connection when a second request comes on it.
async fn tired() -> Origin {
    Origin::connections(|mut stream, connection| async move {
        let mut client = vec![0; 16 * 1024];
        let mut answered = 0;
        while let Ok(read @ 1..) = stream.read(&mut client).await {
            if connection == 0 && answered == 1 {
                return;
            }
            assert!(client[..read].ends_with(b"\r\n\r\n"));
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{connection}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            answered += 1;
        }
    })
    .await
}

#[tokio::test]
async fn a_get_on_a_pooled_connection_that_closes_is_repeated_unseen() {
    let origin = tired().await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    assert_eq!(client.get("/").await.text(), "0");
    let response = client.get("/").await;
    assert_eq!((response.status, response.text()), (200, "1"));
}

#[tokio::test]
async fn a_post_on_a_pooled_connection_that_closes_is_not_repeated() {
    let origin = tired().await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    assert_eq!(client.get("/").await.text(), "0");
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    client.request(request).await.problem(502);
    assert_eq!(origin.connections_made(), 1);
}

#[tokio::test]
async fn a_pooled_connection_that_the_service_closed_while_idle_is_not_used() {
    let origin = Origin::start(|mut call: Call| async move {
        call.reply(200, "", "hello").await;
        call.close()
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client = gateway.connect().await;
    for _ in 0..20 {
        let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(client.request(request).await.status, 200);
        // The service's close has to arrive before the next request does.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_unused_connection_to_a_service_is_closed_after_its_idle_time() {
    let origin = Origin::connections(|mut stream, _| async move {
        let mut request = vec![0; 16 * 1024];
        let _ = stream.read(&mut request).await;
        let begun = Instant::now();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(stream.read(&mut request).await.unwrap_or(0), 0);
        CLOSED.send_replace(Some(begun.elapsed()));
    })
    .await;
    let setup = service("{url: \"http://<app>\", policies: {timeouts: {idle: 300ms}}}");
    let gateway = setup.with("app", &origin).start().await;
    let mut client: Client = gateway.connect().await;
    client.get("/").await;
    let after = eventually("the end of the connection", async || *CLOSED.borrow()).await;
    assert!(after >= Duration::from_millis(200) && after < Duration::from_secs(5), "{after:?}");
}

/// After which time the gateway closed the connection of the test above.
static CLOSED: std::sync::LazyLock<tokio::sync::watch::Sender<Option<Duration>>> =
    std::sync::LazyLock::new(|| tokio::sync::watch::Sender::new(None));

// Uploads

#[tokio::test]
async fn a_client_that_pauses_its_upload_is_not_cut_at_the_read_time() {
    let origin = Origin::saying("done").await;
    let setup = service("{url: \"http://<app>\", policies: {timeouts: {read: 200ms}}}");
    let gateway = setup.with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").await;
    // The claim is about time: the pause is longer than the limit.
    tokio::time::sleep(Duration::from_millis(600)).await;
    client.send("llo").await;
    assert_eq!(client.response().await.text(), "done");
}

#[tokio::test]
async fn a_client_that_stops_its_upload_is_a_408_that_the_service_is_not_charged_with() {
    let origin = Origin::saying("done").await;
    let setup = service("{url: \"http://<app>\", policies: {timeouts: {read: 200ms}}}");
    let gateway = setup.with("app", &origin).listener("timeouts: {body: 500ms}").start().await;
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").await;
    client.response().await.problem(408);
    gateway.metric("gateway_requests_total", &[("status_code", "408")], 1.0).await;
    let errors = gateway.metrics().await.value("gateway_upstream_errors_total", &[]);
    assert_eq!(errors.unwrap_or_default(), 0.0);
}

#[tokio::test]
async fn a_service_that_does_not_answer_an_upload_in_time_is_a_504() {
    let origin = silent().await;
    let setup = service("{url: \"http://<app>\", policies: {timeouts: {read: 300ms}}}");
    let gateway = setup.with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    let begun = Instant::now();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
    client.response().await.problem(504);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    upstream_error(&gateway, "read_timeout").await;
}

#[tokio::test]
async fn a_service_that_is_silent_after_an_expectation_is_a_504_that_counts() {
    let origin = silent().await;
    let gateway = service("{url: \"http://<app>\", policies: {timeouts: {read: 200ms}}}")
        .with("app", &origin)
        .start()
        .await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    gateway.request(request).await.problem(504);
    upstream_error(&gateway, "read_timeout").await;
}
