use super::*;
use crate::telemetry::metrics::UpstreamError;
use crate::upstream::scripted::{Scripted, read_request};
use http::Response;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const LIMITS: Limits = Limits { deadline: Duration::from_secs(10), body: 1 << 20 };
const SHORT: Limits = Limits { deadline: Duration::from_millis(60), body: 1 << 20 };

fn request(method: &str) -> RequestHeader {
    let mut head = RequestHeader::build(method, b"/items", None).unwrap();
    head.insert_header("host", "items.test").unwrap();
    head
}

async fn call(service: &Scripted, method: &str, limits: Limits) -> Result<Answer, CallError> {
    Caller::new(8).call(&service.peer(), request(method), Bytes::new(), limits).await
}

#[tokio::test]
async fn a_whole_answer_comes_back_and_its_connection_is_used_again() {
    let service = Scripted::says("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
    let caller = Caller::new(8);
    for _ in 0..3 {
        let answer =
            caller.call(&service.peer(), request("GET"), Bytes::new(), LIMITS).await.unwrap();
        assert_eq!((answer.head.status.as_u16(), &answer.body[..]), (200, &b"hello"[..]));
    }
    assert_eq!(service.connections(), 1);
}

#[tokio::test]
async fn a_body_is_framed_by_its_length() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let service = Scripted::new(move |_, mut connection| {
        let seen = Arc::clone(&seen);
        async move {
            while let Some(request) = read_request(&mut connection).await {
                seen.lock().unwrap().push(request.to_ascii_lowercase());
                connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            }
        }
    })
    .await;
    let caller = Caller::new(8);
    for (method, body) in [("POST", "a=b"), ("POST", ""), ("GET", "")] {
        let mut head = request(method);
        head.insert_header("transfer-encoding", "chunked").unwrap();
        caller.call(&service.peer(), head, body.into(), LIMITS).await.unwrap();
    }
    let asked = asked.lock().unwrap();
    assert!(asked[0].contains("content-length: 3\r\n") && asked[0].ends_with("\r\n\r\na=b"));
    assert!(asked[1].contains("content-length: 0\r\n"));
    assert!(!asked[2].contains("content-length"));
    assert!(!asked.concat().contains("transfer-encoding"));
    assert_eq!(service.connections(), 1);
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    let service = Scripted::says(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let answer = call(&service, "GET", LIMITS).await.unwrap();
    assert_eq!((answer.head.status.as_u16(), &answer.body[..]), (200, &b"ok"[..]));
    assert!(!answer.head.headers.contains_key("link"));
}

#[tokio::test]
async fn an_upgrade_that_nobody_asked_for_and_endless_interim_answers_are_refused() {
    let switching = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n".to_owned();
    for answer in [switching, "HTTP/1.1 102 Processing\r\n\r\n".repeat(40)] {
        let service = Scripted::says(answer).await;
        let error = call(&service, "GET", LIMITS).await.unwrap_err();
        assert_eq!(error.failure().0, UpstreamError::Protocol);
    }
}

#[tokio::test]
async fn head_204_and_304_have_no_body() {
    for (method, status) in [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Same")] {
        let service =
            Scripted::says(format!("HTTP/1.1 {status}\r\ncontent-length: 9\r\n\r\n")).await;
        let caller = Caller::new(8);
        for _ in 0..2 {
            let answer =
                caller.call(&service.peer(), request(method), Bytes::new(), LIMITS).await.unwrap();
            assert!(answer.body.is_empty());
        }
        assert_eq!(service.connections(), 1, "{method} {status}");
    }
}

#[tokio::test]
async fn chunked_and_close_delimited_bodies_are_read_to_their_end() {
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let service = Scripted::says(chunked).await;
    assert_eq!(&call(&service, "GET", LIMITS).await.unwrap().body[..], b"abcde");

    let service = Scripted::new(|_, mut connection| async move {
        read_request(&mut connection).await;
        connection.write_all(b"HTTP/1.1 200 OK\r\n\r\nto the end").await.unwrap();
    })
    .await;
    assert_eq!(&call(&service, "GET", LIMITS).await.unwrap().body[..], b"to the end");
}

#[tokio::test]
async fn a_body_that_is_too_large_or_too_short_is_no_answer() {
    let service = Scripted::says("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
    let error = call(&service, "GET", Limits { body: 4, ..LIMITS }).await.unwrap_err();
    assert_eq!(error.to_string(), "the body is larger than 4 bytes");

    let service = Scripted::new(|_, mut connection| async move {
        read_request(&mut connection).await;
        let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello";
        connection.write_all(cut).await.unwrap();
    })
    .await;
    let error = call(&service, "GET", LIMITS).await.unwrap_err();
    assert_eq!(error.to_string(), "connection closed");
}

#[tokio::test]
async fn silence_and_a_trickle_end_at_the_deadline() {
    let silent = Scripted::silent().await;
    let trickling = Scripted::new(|_, mut connection| async move {
        read_request(&mut connection).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
        connection.write_all(head).await.unwrap();
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while connection.write_all(b".").await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    for service in [&silent, &trickling] {
        let error = call(service, "GET", SHORT).await.unwrap_err();
        assert!(matches!(error, CallError::TimedOut), "{error}");
        assert_eq!(error.failure().0, UpstreamError::Deadline);
    }
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let peer = HttpPeer::new(address, false, String::new());
    let error =
        Caller::new(8).call(&peer, request("GET"), Bytes::new(), LIMITS).await.err().unwrap();
    assert_eq!(error.to_string(), "connection refused");
}

/// A service whose first connection is good for one answer, and closes upon the second request.
async fn closing_once() -> Scripted {
    Scripted::new(|number, mut connection| async move {
        while read_request(&mut connection).await.is_some() {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            connection.write_all(answer).await.unwrap();
            if number == 0 {
                read_request(&mut connection).await;
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_costs_an_idempotent_request_nothing() {
    let service = closing_once().await;
    let caller = Caller::new(8);
    for _ in 0..2 {
        caller.call(&service.peer(), request("GET"), Bytes::new(), LIMITS).await.unwrap();
    }
    assert_eq!(service.connections(), 2);
}

#[tokio::test]
async fn a_post_is_not_sent_twice() {
    let service = closing_once().await;
    let caller = Caller::new(8);
    caller.call(&service.peer(), request("POST"), Bytes::new(), LIMITS).await.unwrap();
    let error = caller.call(&service.peer(), request("POST"), Bytes::new(), LIMITS).await;
    assert_eq!(error.unwrap_err().to_string(), "connection closed");
    assert_eq!(service.connections(), 1);
}

#[tokio::test]
async fn a_fresh_connection_that_closes_is_no_reason_to_ask_again() {
    let service = Scripted::new(|_, mut connection| async move {
        read_request(&mut connection).await;
    })
    .await;
    assert!(call(&service, "GET", LIMITS).await.is_err());
    assert_eq!(service.connections(), 1);
}

#[tokio::test]
async fn a_dropped_call_closes_its_connection() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = Scripted::new(move |_, mut connection| {
        let tell = tell.clone();
        async move {
            read_request(&mut connection).await;
            tell.send("asked").unwrap();
            assert_eq!(connection.read(&mut [0; 8]).await.unwrap_or(0), 0);
            tell.send("closed").unwrap();
        }
    })
    .await;
    let caller = Caller::new(8);
    let peer = service.peer();
    let calling = caller.call(&peer, request("GET"), Bytes::new(), LIMITS);
    tokio::select! {
        _ = calling => panic!("nobody answered"),
        said = told.recv() => assert_eq!(said, Some("asked")),
    }
    assert_eq!(told.recv().await, Some("closed"));
}

#[tokio::test]
async fn an_answer_comes_in_parts() {
    let (more, may) = mpsc::channel::<()>(1);
    let may = Arc::new(tokio::sync::Mutex::new(may));
    let service = Scripted::new(move |_, mut connection| {
        let may = Arc::clone(&may);
        async move {
            while read_request(&mut connection).await.is_some() {
                let head = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\none";
                connection.write_all(head).await.unwrap();
                may.lock().await.recv().await;
                connection.write_all(b"two").await.unwrap();
            }
        }
    })
    .await;
    let caller = Caller::new(8);
    for _ in 0..2 {
        let mut answering =
            caller.open(&service.peer(), request("GET"), Bytes::new(), None).await.unwrap();
        assert_eq!(answering.head().status.as_u16(), 200);
        assert_eq!(answering.next_part().await.unwrap().unwrap(), "one");
        more.send(()).await.unwrap();
        assert_eq!(answering.next_part().await.unwrap().unwrap(), "two");
        assert_eq!(answering.next_part().await.unwrap(), None);
        answering.finish().await.unwrap();
    }
    assert_eq!(service.connections(), 1);
}

#[tokio::test]
async fn an_answer_that_was_broken_off_leaves_no_connection_to_the_pool() {
    let service = Scripted::says("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello").await;
    let caller = Caller::new(8);
    for _ in 0..2 {
        let answering =
            caller.open(&service.peer(), request("GET"), Bytes::new(), None).await.unwrap();
        answering.finish().await.unwrap();
    }
    assert_eq!(service.connections(), 2);
}

#[tokio::test]
async fn http2_shares_a_connection_and_brings_trailers() {
    let service = Scripted::h2(|request| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        let authority = request.uri().authority().unwrap().to_string();
        let body = format!("{} {authority} {}", request.method(), request.body().len());
        (Response::new(()), body.into(), Some(trailers))
    })
    .await;
    let caller = Caller::new(8);
    for _ in 0..3 {
        let answer =
            caller.call(&service.h2_peer(), request("POST"), "a=b".into(), LIMITS).await.unwrap();
        assert_eq!(&answer.body[..], b"POST items.test 3");
        assert_eq!(answer.trailers.unwrap()["x-sum"], "1");
    }
    assert_eq!(service.connections(), 1);
}

#[tokio::test]
async fn a_dropped_call_over_http2_resets_its_stream_and_keeps_the_connection() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = Scripted::new(move |_, connection| {
        let tell = tell.clone();
        async move {
            let mut connection = h2::server::handshake(connection).await.unwrap();
            let mut silent = true;
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let tell = tell.clone();
                if std::mem::replace(&mut silent, false) {
                    tokio::spawn(async move {
                        tell.send(None).unwrap();
                        let reset = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
                        tell.send(reset.ok()).unwrap();
                    });
                } else {
                    respond.send_response(Response::new(()), true).unwrap();
                }
            }
        }
    })
    .await;
    let caller = Caller::new(8);
    let peer = service.h2_peer();
    tokio::select! {
        _ = caller.call(&peer, request("GET"), Bytes::new(), LIMITS) => panic!("nobody answered"),
        said = told.recv() => assert_eq!(said, Some(None)),
    }
    assert_eq!(told.recv().await, Some(Some(h2::Reason::CANCEL)));
    caller.call(&peer, request("GET"), Bytes::new(), LIMITS).await.unwrap();
    assert_eq!(service.connections(), 1);
}

#[tokio::test]
async fn interim_answers_are_skipped_over_http2_too() {
    let service = Scripted::new(|_, connection| async move {
        let mut connection = h2::server::handshake(connection).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let hints = Response::builder().status(103).body(()).unwrap();
            respond.send_informational(hints).unwrap();
            respond.send_response(Response::new(()), true).unwrap();
        }
    })
    .await;
    let answer =
        Caller::new(8).call(&service.h2_peer(), request("GET"), Bytes::new(), LIMITS).await;
    assert_eq!(answer.unwrap().head.status.as_u16(), 200);
}

#[tokio::test]
async fn a_trickle_over_http2_ends_at_the_deadline() {
    let service = Scripted::new(|_, connection| async move {
        let mut connection = h2::server::handshake(connection).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            tokio::spawn(async move {
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                let mut tick = tokio::time::interval(Duration::from_millis(5));
                while stream.send_data(Bytes::from_static(b"."), false).is_ok() {
                    tick.tick().await;
                }
            });
        }
    })
    .await;
    let error = Caller::new(8).call(&service.h2_peer(), request("GET"), Bytes::new(), SHORT).await;
    assert!(matches!(error, Err(CallError::TimedOut)));
}

#[tokio::test]
async fn an_answer_that_comes_before_the_whole_body_was_taken_counts() {
    let service = Scripted::new(|_, mut connection| async move {
        // A body of which nothing is read, so that it cannot be written whole.
        let mut head = [0; 16];
        connection.read_exact(&mut head).await.unwrap();
        let answer = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n";
        connection.write_all(answer).await.unwrap();
        connection.shutdown().await.unwrap();
        // Closing with the body unread would reset the connection, and the answer with it.
        while connection.read(&mut [0; 65536]).await.is_ok_and(|length| length > 0) {}
    })
    .await;
    let body = Bytes::from(vec![b'x'; 8 << 20]);
    let caller = Caller::new(8);
    let answer = caller.call(&service.peer(), request("PUT"), body, LIMITS).await.unwrap();
    assert_eq!(answer.head.status.as_u16(), 413);
}

#[test]
fn what_belongs_to_an_exchange_may_move_between_its_hooks() {
    fn movable<T: Send + Sync>() {}
    movable::<Caller>();
    movable::<Answering>();
    movable::<CallError>();
}
