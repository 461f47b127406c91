//! gRPC through the gateway: its streams, its trailers, its statuses and its deadlines.

use crate::protocols::BOTH;
use crate::services::upstream_error;
use crate::support::{
    Gateway, H2Client, Setup, StreamCall, StreamOrigin, eventually, framed, message, went, within,
};
use bytes::{Bytes, BytesMut};
use http::Request;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A service of gRPC with these endpoints, and whatever else is said of it.
async fn before(origins: &[&StreamOrigin], more: &str) -> Gateway {
    let endpoints: Vec<_> =
        origins.iter().map(|origin| format!("{{address: \"{origin}\"}}")).collect();
    let document = format!(
        "policies: {{auth: none}}\nservices:\n  app:\n    protocol: grpc\n    \
         endpoints: [{}]\n{more}routes:\n  - name: all\n    match: {{path: {{prefix: /}}}}\n    \
         service: app\n",
        endpoints.join(", ")
    );
    Setup::new(&document).listener(BOTH).start().await
}

fn call() -> http::request::Builder {
    Request::post("http://gateway.test/shop.Catalog/Get")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

/// How one call went: the status of HTTP, the status of gRPC, and the message.
struct Went {
    http: u16,
    grpc: Option<u8>,
    body: Vec<u8>,
}

async fn ask(client: &H2Client, request: http::request::Builder) -> Went {
    let response = client.request(request.body(()).unwrap(), framed("ask")).await.unwrap();
    let trailers = response.trailers.unwrap_or_default();
    let status = trailers.get("grpc-status").or(response.headers.get("grpc-status"));
    let grpc = status.map(|status| status.to_str().unwrap().parse().unwrap());
    Went { http: response.status, grpc, body: response.body }
}

async fn saying(text: &'static str) -> StreamOrigin {
    StreamOrigin::start(move |call| call.reply(text, 0)).await
}

/// An origin whose trailers say each time that a call went so.
async fn going(grpc_status: u8) -> StreamOrigin {
    StreamOrigin::start(move |call| call.reply("some", grpc_status)).await
}

#[tokio::test]
async fn a_unary_call_passes_with_its_trailers() {
    let origin = saying("hello").await;
    let gateway = before(&[&origin], "").await;
    let went = ask(&gateway.connect_h2().await, call().header("x-meta", "kept")).await;
    assert_eq!((went.http, went.grpc), (200, Some(0)));
    assert_eq!(went.body, framed("hello"));
    let seen = origin.requests().remove(0);
    assert_eq!(seen.uri().path(), "/shop.Catalog/Get");
    assert_eq!(seen.headers()["content-type"], "application/grpc");
    assert_eq!(seen.headers()["te"], "trailers");
    assert_eq!(seen.headers()["x-meta"], "kept");
}

#[tokio::test]
async fn each_message_of_a_server_stream_arrives_before_the_next_is_sent() {
    let read = Arc::new(Notify::new());
    let told = Arc::clone(&read);
    let origin = StreamOrigin::start(move |mut call: StreamCall| {
        let read = Arc::clone(&read);
        async move {
            let mut sending = call.begin();
            for text in ["one", "two", "three"] {
                sending.send_data(framed(text), false).unwrap();
                read.notified().await;
            }
            sending.send_trailers(went(0)).unwrap();
        }
    })
    .await;
    let gateway = before(&[&origin], "").await;
    let client = gateway.connect_h2().await;
    let (response, mut sending) = client.begin(call().body(()).unwrap()).await;
    sending.send_data(framed("ask"), true).unwrap();
    let mut incoming = within("the head", response).await.unwrap().into_body();
    let mut unread = BytesMut::new();
    for text in ["one", "two", "three"] {
        assert_eq!(message(&mut incoming, &mut unread).await.unwrap(), text);
        told.notify_one();
    }
    assert!(message(&mut incoming, &mut unread).await.is_none());
    let trailers = within("the trailers", incoming.trailers()).await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}

/// An origin that sends each message back as it comes, and ends when the client does.
async fn echoing() -> StreamOrigin {
    StreamOrigin::start(|mut call: StreamCall| async move {
        let mut sending = call.begin();
        while let Some(text) = call.message().await {
            let text = String::from_utf8(text.to_vec()).unwrap();
            if sending.send_data(framed(&text), false).is_err() {
                return;
            }
        }
        let _ = sending.send_trailers(went(0));
    })
    .await
}

#[tokio::test]
async fn messages_go_both_ways_at_once_and_may_pause_longer_than_a_write_takes() {
    let origin = echoing().await;
    let gateway = before(&[&origin], "    policies: {timeouts: {write: 100ms}}\n").await;
    let client = gateway.connect_h2().await;
    let (response, mut sending) = client.begin(call().body(()).unwrap()).await;
    sending.send_data(framed("first"), false).unwrap();
    let mut incoming = within("the head", response).await.unwrap().into_body();
    let mut unread = BytesMut::new();
    assert_eq!(message(&mut incoming, &mut unread).await.unwrap(), "first");
    // The claim is about time: nothing is sent for longer than the limit.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for number in 0..5 {
        let text = format!("message {number}");
        sending.send_data(framed(&text), false).unwrap();
        assert_eq!(message(&mut incoming, &mut unread).await.unwrap(), text);
    }
    sending.send_data(Bytes::new(), true).unwrap();
    assert!(message(&mut incoming, &mut unread).await.is_none());
    let trailers = within("the trailers", incoming.trailers()).await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test]
async fn the_streams_of_one_client_connection_are_balanced_one_by_one() {
    let (one, two) = (saying("one").await, saying("two").await);
    let gateway = before(&[&one, &two], "").await;
    let client = gateway.connect_h2().await;
    for _ in 0..6 {
        assert_eq!(ask(&client, call()).await.grpc, Some(0));
    }
    assert_eq!((one.requests().len(), two.requests().len()), (3, 3));
    let (one, two) = (one.connections_made(), two.connections_made());
    assert_eq!((one, two), (1, 1), "streams share a connection");
    gateway.metric("gateway_connections_total", &[("listener", "main")], 1.0).await;
}

#[tokio::test]
async fn open_streams_of_one_client_connection_are_spread_too() {
    let (one, two) = (echoing().await, echoing().await);
    let gateway = before(&[&one, &two], "    load_balancing: least_request\n").await;
    let client = gateway.connect_h2().await;
    let mut open = Vec::new();
    for number in 1..=8 {
        open.push(client.begin(call().body(()).unwrap()).await);
        // One after the other, so that each sees those before it in flight.
        eventually("the stream at a service", async || {
            (one.requests().len() + two.requests().len() == number).then_some(())
        })
        .await;
    }
    assert_eq!((one.requests().len(), two.requests().len()), (4, 4));
}

#[tokio::test]
async fn a_call_that_was_refused_at_once_is_tried_again() {
    let origin = StreamOrigin::start(|call: StreamCall| async move {
        if call.number < 2 { call.refuse(14) } else { call.reply("hello", 0).await }
    })
    .await;
    let retry = "retry: {attempts: 3, retry_on: [grpc_unavailable], methods: any, \
         backoff: 1ms..1ms}";
    let gateway = before(&[&origin], &format!("    policies: {{{retry}}}\n")).await;
    let went = ask(&gateway.connect_h2().await, call()).await;
    assert_eq!((went.grpc, origin.requests().len()), (Some(0), 3));
    assert_eq!(went.body, framed("hello"));
    gateway.metric("gateway_upstream_retries_total", &[("service", "app")], 2.0).await;
}

#[tokio::test]
async fn a_refusal_that_the_words_do_not_name_is_the_clients() {
    let origin = StreamOrigin::start(|call: StreamCall| async move { call.refuse(13) }).await;
    let retry = "retry: {attempts: 3, retry_on: [grpc_unavailable], methods: any}";
    let gateway = before(&[&origin], &format!("    policies: {{{retry}}}\n")).await;
    let went = ask(&gateway.connect_h2().await, call()).await;
    assert_eq!((went.http, went.grpc, origin.requests().len()), (200, Some(13), 1));
}

#[tokio::test]
async fn a_call_whose_messages_have_begun_is_not_tried_again() {
    let origin = going(14).await;
    let retry = "retry: {attempts: 3, retry_on: [grpc_unavailable], methods: any}";
    let gateway = before(&[&origin], &format!("    policies: {{{retry}}}\n")).await;
    let went = ask(&gateway.connect_h2().await, call()).await;
    assert_eq!((went.grpc, origin.requests().len()), (Some(14), 1));
    assert_eq!(went.body, framed("some"));
}

#[tokio::test]
async fn calls_that_go_wrong_open_the_circuit_wherever_they_say_it() {
    for in_trailers in [true, false] {
        let origin = StreamOrigin::start(move |call: StreamCall| async move {
            if in_trailers { call.reply("some", 14).await } else { call.refuse(14) }
        })
        .await;
        let breaker = "    policies: {circuit_breaker: {failures: 2}}\n";
        let gateway = before(&[&origin], breaker).await;
        let client = gateway.connect_h2().await;
        for _ in 0..2 {
            assert_eq!(ask(&client, call()).await.grpc, Some(14));
        }
        // The client has its trailers at about the time at which they are counted.
        let refused = eventually("an open circuit", async || {
            Some(ask(&client, call()).await).filter(|went| went.http == 503)
        });
        refused.await;
        let asked = origin.requests().len();
        assert_eq!(asked, 2, "in trailers: {in_trailers}");
    }
}

#[tokio::test]
async fn calls_that_ask_for_what_is_not_there_open_no_circuit() {
    let origin = going(5).await;
    let breaker = "    policies: {circuit_breaker: {failures: 2}}\n";
    let gateway = before(&[&origin], breaker).await;
    let client = gateway.connect_h2().await;
    for _ in 0..6 {
        assert_eq!(ask(&client, call()).await.grpc, Some(5));
    }
}

#[tokio::test]
async fn an_endpoint_whose_calls_go_wrong_is_left_out() {
    let (well, ill) = (saying("well").await, going(14).await);
    let outliers = "    outlier_detection: {consecutive_5xx: 2, interval: 100ms}\n";
    let gateway = before(&[&well, &ill], outliers).await;
    let client = gateway.connect_h2().await;
    let mut well_in_a_row = 0;
    eventually("only calls that go well", async || {
        let went = ask(&client, call()).await;
        well_in_a_row = if went.grpc == Some(0) { well_in_a_row + 1 } else { 0 };
        (well_in_a_row >= 8).then_some(())
    })
    .await;
    assert!(ill.requests().len() <= 4, "{} calls", ill.requests().len());
}

#[tokio::test]
async fn the_time_that_a_client_gives_a_call_ends_it() {
    let origin = StreamOrigin::start(|call: StreamCall| async move {
        let _held = call;
        pending().await
    })
    .await;
    let gateway = before(&[&origin], "").await;
    let begun = Instant::now();
    let went = ask(&gateway.connect_h2().await, call().header("grpc-timeout", "300m")).await;
    let took = begun.elapsed();
    assert_eq!(went.http, 504);
    assert!(took >= Duration::from_millis(290) && took < Duration::from_secs(5), "{took:?}");
    upstream_error(&gateway, "deadline").await;
    // The service is told what is left of it, which is less.
    let said = origin.requests()[0].headers()["grpc-timeout"].to_str().unwrap().to_owned();
    let left: u64 = said.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    let unit = match said.chars().last().unwrap() {
        'n' => 1,
        'u' => 1_000,
        'm' => 1_000_000,
        other => panic!("{other} in {said}"),
    };
    assert!((1..300_000_000).contains(&(left * unit)), "{said}");
}

#[tokio::test]
async fn a_client_that_gives_its_calls_no_time_opens_no_circuit() {
    let origin = StreamOrigin::start(|call: StreamCall| async move {
        if call.head.headers.contains_key("x-hang") {
            let _held = call;
            return pending().await;
        }
        call.reply("hello", 0).await;
    })
    .await;
    let breaker = "    policies: {circuit_breaker: {failures: 2}}\n";
    let gateway = before(&[&origin], breaker).await;
    let hasty = gateway.connect_h2().await;
    for timeout in ["1n", "50m", "1n", "50m", "1n", "50m"] {
        let call = call().header("x-hang", "1").header("grpc-timeout", timeout);
        assert_eq!(ask(&hasty, call).await.http, 504);
    }
    assert_eq!(ask(&gateway.connect_h2().await, call()).await.grpc, Some(0));
}

#[tokio::test]
async fn a_route_may_give_a_call_less_time_than_its_client() {
    let origin = StreamOrigin::start(|call: StreamCall| async move {
        let _held = call;
        pending().await
    })
    .await;
    let times = "policies: {timeouts: {request: 200ms}, circuit_breaker: {failures: 1}}";
    let document = "policies: {auth: none}\nservices:\n  app: {url: \"http://<app>\", protocol: grpc}\n\
         routes:\n  - name: all\n    match: {path: {prefix: /}}\n    service: app\n    ";
    let setup = Setup::new(&format!("{document}{times}\n")).with("app", &origin);
    let gateway = setup.listener(BOTH).start().await;
    let client = gateway.connect_h2().await;
    let begun = Instant::now();
    let slow = call().header("grpc-timeout", "1H");
    assert_eq!(ask(&client, slow).await.http, 504);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // The time is the operator's own, so that it does count.
    assert_eq!(ask(&client, call()).await.http, 503);
}

#[tokio::test]
async fn a_stream_whose_service_breaks_off_is_broken_and_counts() {
    let origin = StreamOrigin::start(|mut call: StreamCall| async move {
        let mut sending = call.begin();
        let _ = sending.send_data(framed("some"), false);
        // A reset would overtake what has not left yet.
        tokio::time::sleep(Duration::from_millis(50)).await;
        sending.send_reset(h2::Reason::INTERNAL_ERROR);
    })
    .await;
    let guards = "retry: {attempts: 3, methods: any}, circuit_breaker: {failures: 2}";
    let gateway = before(&[&origin], &format!("    policies: {{{guards}}}\n")).await;
    let client = gateway.connect_h2().await;
    for _ in 0..2 {
        let request = call().body(()).unwrap();
        assert!(client.request(request, framed("ask")).await.unwrap_err().is_reset());
    }
    assert_eq!(ask(&client, call()).await.http, 503);
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn a_stream_that_goes_on_for_longer_than_its_client_gave_it_is_cut() {
    let origin = StreamOrigin::start(|mut call: StreamCall| async move {
        let mut sending = call.begin();
        while sending.send_data(framed("more"), false).is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let gateway = before(&[&origin], "").await;
    let client = gateway.connect_h2().await;
    let request = call().header("grpc-timeout", "300m").body(()).unwrap();
    let begun = Instant::now();
    let broken = client.request(request, framed("ask")).await.unwrap_err();
    assert!(broken.is_reset(), "{broken}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_call_whose_client_leaves_is_cancelled_at_the_service() {
    let cancelled = Arc::new(Notify::new());
    let told = Arc::clone(&cancelled);
    let origin = StreamOrigin::start(move |mut call: StreamCall| {
        let told = Arc::clone(&told);
        async move {
            let mut sending = call.begin();
            let _ = std::future::poll_fn(|context| sending.poll_reset(context)).await;
            told.notify_one();
        }
    })
    .await;
    let gateway = before(&[&origin], "").await;
    let client = gateway.connect_h2().await;
    let (response, mut sending) = client.begin(call().body(()).unwrap()).await;
    let incoming = within("the head", response).await.unwrap().into_body();
    sending.send_reset(h2::Reason::CANCEL);
    drop(incoming);
    within("the cancellation at the service", cancelled.notified()).await;
}

#[tokio::test]
async fn a_service_that_is_gone_is_a_502_on_the_stream_alone() {
    let origin = saying("hello").await;
    let gateway = before(&[&origin], "").await;
    let client = gateway.connect_h2().await;
    assert_eq!(ask(&client, call()).await.grpc, Some(0));
    drop(origin);
    assert_eq!(ask(&client, call()).await.http, 502);
    assert_eq!(ask(&client, call()).await.http, 502);
}

#[tokio::test]
async fn a_stream_may_pause_for_longer_than_a_try_for_its_head() {
    let origin = StreamOrigin::start(|mut call: StreamCall| async move {
        call.message().await;
        let mut sending = call.begin();
        for text in ["one", "two"] {
            sending.send_data(framed(text), false).unwrap();
            // Longer than the time of a try, which is what this is about.
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        let _ = sending.send_trailers(went(0));
    })
    .await;
    let policies = "    policies: {retry: {attempts: 2, per_try_timeout: 150ms}}\n";
    let gateway = before(&[&origin], policies).await;
    let went = ask(&gateway.connect_h2().await, call()).await;
    assert_eq!((went.http, went.grpc), (200, Some(0)));
    assert_eq!(went.body, [framed("one"), framed("two")].concat());
}
