//! What a client never notices, and an operator gets to know.

use super::*;
use crate::answer::Backend;
use crate::answer::mirror::Compare;
use crate::exchange::sample::facts;
use crate::telemetry::exposition::render;
use crate::telemetry::metrics::Metrics;
use crate::upstream::scripted::{Scripted, read_request};
use crate::value::Percent;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

const MAX_BODY: usize = 32;

/// A route whose requests are mirrored, and what is counted of it.
struct Route {
    mirror: Arc<Mirror>,
    metrics: Metrics,
    handles: Arc<MirrorMetrics>,
    copies: Copies,
}

impl Route {
    fn new(compare: Option<Compare>, timeout: Duration, at_once: usize) -> Self {
        let mirror = Mirror {
            backend: Backend::sample("v2"),
            sample: Percent::new(100),
            timeout,
            max_body: MAX_BODY,
            compare,
            samples: Arc::default(),
        };
        let metrics = Metrics::new();
        Route {
            mirror: Arc::new(mirror),
            handles: Arc::new(metrics.mirror("r")),
            metrics,
            copies: Copies::new(Arc::new(Caller::new(4)), at_once),
        }
    }

    fn begin(&self, head: &request::Parts, peer: HttpPeer) -> Option<Box<Mirroring>> {
        let request = References { head, facts: &facts() };
        let host = Some(HeaderValue::from_static("v2.test"));
        let target = || Some(Target { peer, host });
        Mirroring::begin(&self.mirror, &self.handles, &self.copies, request, 0, target)
    }

    /// Mirrors a whole exchange in which the client gets these parts of a body.
    fn exchange(&self, peer: HttpPeer, parts: &[&str]) {
        let head = get("/a?b=c");
        let mut mirroring = self.begin(&head, peer).unwrap();
        mirroring.request_head(&head);
        mirroring.request_end();
        mirroring.response_head(&answer(200));
        parts.iter().for_each(|part| mirroring.response_part(&Bytes::from((*part).to_owned())));
        mirroring.end(true);
    }

    fn counts(&self, line: &str) -> bool {
        render([self.metrics.registry()].into_iter()).lines().any(|known| known == line)
    }

    /// Waits until something is counted.
    async fn counted(&self, line: &str) {
        let counted = async {
            while !self.counts(line) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), counted).await;
        waited.unwrap_or_else(|_| panic!("no {line}"));
    }
}

fn outcome(outcome: &str) -> String {
    format!(r#"gateway_mirror_requests_total{{outcome="{outcome}",route="r"}} 1"#)
}

fn result(result: &str) -> String {
    format!(r#"gateway_mirror_comparisons_total{{result="{result}",route="r"}} 1"#)
}

fn get(target: &str) -> request::Parts {
    http::Request::get(target).header("host", "v1.test").body(()).unwrap().into_parts().0
}

fn answer(status: u16) -> response::Parts {
    http::Response::builder().status(status).body(()).unwrap().into_parts().0
}

fn comparing() -> Option<Compare> {
    Some(Compare { headers: Vec::new(), ignore: vec!["body.at".parse().unwrap()] })
}

async fn says(body: &str) -> Scripted {
    let length = body.len();
    Scripted::says(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")).await
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_copy_has_the_head_and_body_of_the_last_attempt_before_it_was_whole() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = Scripted::new(move |_, mut connection| {
        let tell = tell.clone();
        async move {
            tell.send(read_request(&mut connection).await.unwrap()).unwrap();
            connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let route = Route::new(None, LONG, 1);
    let mut head = http::Request::post("http://v1.test/a?b=c").body(()).unwrap().into_parts().0;
    for (name, value) in [
        ("host", "v1.test"),
        ("x-edited", "1"),
        ("transfer-encoding", "chunked"),
        ("connection", "keep-alive"),
        ("expect", "100-continue"),
    ] {
        head.headers.insert(name, HeaderValue::from_static(value));
    }
    let mut mirroring = route.begin(&head, service.peer()).unwrap();
    mirroring.request_head(&get("/first"));
    mirroring.request_part(&Bytes::from_static(b"of the first attempt"));
    mirroring.request_head(&head);
    mirroring.request_part(&Bytes::from_static(b"all "));
    mirroring.request_part(&Bytes::from_static(b"of it"));
    mirroring.request_end();
    // Another attempt repeats what was sent.
    mirroring.request_head(&head);
    mirroring.request_part(&Bytes::from_static(b"again"));
    mirroring.request_end();
    mirroring.end(true);
    let request = told.recv().await.unwrap().to_ascii_lowercase();
    assert!(request.starts_with("post /a?b=c http/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nall of it"), "{request}");
    for field in ["host: v2.test\r\n", "x-edited: 1\r\n", "content-length: 9\r\n"] {
        assert!(request.contains(field), "{request}");
    }
    for field in ["chunked", "expect", "keep-alive", "v1.test"] {
        assert!(!request.contains(field), "{request}");
    }
    route.counted(&outcome("answered")).await;
    assert_eq!(service.connections(), 1);
}

#[tokio::test]
async fn a_copy_goes_over_http2_too() {
    let service = Scripted::h2(|request| {
        let authority = request.uri().authority().unwrap().to_string();
        (http::Response::new(()), authority.into(), None)
    })
    .await;
    let route = Route::new(comparing(), LONG, 1);
    route.exchange(service.h2_peer(), &["v2.test"]);
    route.counted(&result("same")).await;
}

#[tokio::test]
async fn equal_answers_are_counted_and_different_ones_are_kept() {
    let service = says(r#"{"at":1,"id":1}"#).await;
    let route = Route::new(comparing(), LONG, 4);
    route.exchange(service.peer(), &[r#"{"at":"#, r#"2,"id":1}"#]);
    route.counted(&result("same")).await;
    assert!(route.mirror.samples.kept().is_empty());

    route.exchange(service.peer(), &[r#"{"id":2}"#]);
    route.counted(&result("different")).await;
    let samples = route.mirror.samples.kept();
    assert_eq!((samples.len(), &*samples[0].path, &*samples[0].method), (1, "/a", "GET"));
    let difference = &samples[0].differences[0];
    assert_eq!(difference.path, "body.id");
    assert_eq!(
        (difference.primary.as_deref(), difference.mirror.as_deref()),
        (Some("2"), Some("1"))
    );
}

#[tokio::test]
async fn a_long_answer_is_compared_by_its_head_before_it_ends() {
    let service = says(&"a".repeat(MAX_BODY + 1)).await;
    let route = Route::new(comparing(), LONG, 1);
    let head = get("/");
    let mut mirroring = route.begin(&head, service.peer()).unwrap();
    mirroring.request_head(&head);
    mirroring.request_end();
    mirroring.response_head(&answer(200));
    for _ in 0..=MAX_BODY {
        mirroring.response_part(&Bytes::from_static(b"a"));
    }
    route.counted(&result("skipped")).await;
    mirroring.end(true);
}

#[tokio::test]
async fn an_answer_that_was_none_is_not_compared() {
    let service = says("a").await;
    let route = Route::new(comparing(), LONG, 1);
    let head = get("/");
    for (status, complete) in [(Some(200), false), (Some(103), true), (None, true)] {
        let mut mirroring = route.begin(&head, service.peer()).unwrap();
        mirroring.request_head(&head);
        mirroring.request_end();
        if let Some(status) = status {
            mirroring.response_head(&answer(status));
        }
        mirroring.end(complete);
        // The room is free again once nothing is left of the copy.
        let _free = route.copies.room.acquire().await.unwrap();
    }
    assert!(route.counts(r#"gateway_mirror_requests_total{outcome="answered",route="r"} 3"#));
    let text = render([route.metrics.registry()].into_iter());
    assert!(!text.contains("gateway_mirror_comparisons_total{"), "{text}");
}

#[tokio::test]
async fn what_is_too_long_or_never_whole_or_a_tunnel_is_skipped() {
    let service = Scripted::silent().await;
    let route = Route::new(comparing(), LONG, 1);
    let mut announced = get("/");
    announced.headers.insert(CONTENT_LENGTH, HeaderValue::from(MAX_BODY + 1));
    assert!(route.begin(&announced, service.peer()).is_none());
    let mut tunnel = get("/");
    tunnel.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    assert!(route.begin(&tunnel, service.peer()).is_none());

    let head = get("/");
    let mut streamed = route.begin(&head, service.peer()).unwrap();
    streamed.request_head(&head);
    streamed.request_part(&Bytes::from(vec![b'a'; MAX_BODY]));
    streamed.request_part(&Bytes::from_static(b"a"));
    let mut left = route.begin(&head, service.peer()).expect("the room is another's at once");
    streamed.request_end();
    streamed.end(true);
    left.request_head(&head);
    left.end(false);
    assert!(route.counts(r#"gateway_mirror_requests_total{outcome="skipped",route="r"} 4"#));
    assert_eq!(service.connections(), 0);
}

#[tokio::test]
async fn a_slow_mirror_fails_in_time_and_more_copies_are_dropped_meanwhile() {
    let service = Scripted::silent().await;
    let route = Route::new(comparing(), Duration::from_millis(50), 1);
    route.exchange(service.peer(), &["a"]);
    assert!(route.begin(&get("/"), service.peer()).is_none());
    assert!(route.counts(&outcome("dropped")));
    route.counted(&outcome("failed")).await;
    let _free = route.copies.room.acquire().await.unwrap();
}

#[tokio::test]
async fn a_mirror_that_has_no_endpoint_or_refuses_is_failed() {
    let route = Route::new(None, LONG, 1);
    let request = References { head: &get("/"), facts: &facts() };
    let nowhere = || None;
    let begun = Mirroring::begin(&route.mirror, &route.handles, &route.copies, request, 0, nowhere);
    assert!(begun.is_none() && route.counts(&outcome("failed")));
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    route.exchange(HttpPeer::new(closed, false, String::new()), &[]);
    route.counted(r#"gateway_mirror_requests_total{outcome="failed",route="r"} 2"#).await;
}

#[tokio::test]
async fn a_clients_answer_that_never_ends_gives_the_room_back() {
    let service = says("a").await;
    let route = Route::new(comparing(), Duration::from_millis(200), 1);
    let head = get("/");
    let mut mirroring = route.begin(&head, service.peer()).unwrap();
    mirroring.request_head(&head);
    mirroring.request_end();
    mirroring.response_head(&answer(200));
    route.counted(&result("skipped")).await;
    let _free = route.copies.room.acquire().await.unwrap();
    mirroring.end(true);
}
