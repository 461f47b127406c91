//! Requests that are tried again, and how long all of it may take.

use crate::services::service;
use crate::support::{
    Call, Client, Gateway, H2Client, H2Origin, Origin, Port, Setup, eventually, within,
};
use bytes::Bytes;
use h2::Reason;
use http::{Request, Response};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

/// Two endpoints that answer alike, by the number of a request among those of both.
async fn two<F>(answer: impl Fn(Call, usize) -> F + Clone + Send + Sync + 'static) -> [Origin; 2]
where
    F: Future<Output = Call> + Send + 'static,
{
    let count = Arc::new(AtomicUsize::new(0));
    let origin = || {
        let (count, answer) = (Arc::clone(&count), answer.clone());
        Origin::start(move |call| answer(call, count.fetch_add(1, SeqCst)))
    };
    [origin().await, origin().await]
}

/// Two endpoints, of which the one that is asked first answers with this, and then all is fine.
async fn failing_once(status: u16, fields: &'static str) -> [Origin; 2] {
    two(move |mut call, number| async move {
        match number {
            0 => call.reply(status, fields, "failed").await,
            _ => call.reply(200, "", "fine").await,
        }
        call
    })
    .await
}

/// Two endpoints that always answer with this status.
async fn failing(status: u16) -> [Origin; 2] {
    two(move |mut call, _| async move {
        call.reply(status, "", "failed").await;
        call
    })
    .await
}

/// A gateway before two endpoints, which retries like this.
fn retrying(retry: &str, origins: &[Origin; 2]) -> Setup {
    let policies = format!("policies: {{retry: {{{retry}}}}}");
    let endpoints = "endpoints: [{address: <one>}, {address: <two>}]";
    let setup = service(&format!("{{{endpoints}, {policies}}}"));
    setup.with("one", &origins[0]).with("two", &origins[1])
}

/// How many requests both saw.
fn seen(origins: &[Origin; 2]) -> usize {
    origins.iter().map(|origin| origin.requests().len()).sum()
}

/// Waits until a request was not tried again, so often, for this reason.
async fn not_retried(gateway: &Gateway, reason: &str, times: f64) {
    let labels = [("service", "app"), ("reason", reason)];
    gateway.metric("gateway_upstream_not_retried_total", &labels, times).await;
}

fn post(fields: &str, body: &str) -> String {
    let length = body.len();
    format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n{body}")
}

// What is tried again

#[tokio::test]
async fn a_503_is_tried_again_elsewhere_and_leaves_nothing_in_the_answer() {
    let fields = "X-Failed: yes\r\nSet-Cookie: failed=1\r\nRetry-After: 0\r\n";
    let origins = failing_once(503, fields).await;
    let gateway = retrying("retry_on: [503], backoff: 1ms..5ms", &origins).start().await;
    let response = gateway.get("/").await;
    assert_eq!((response.status, response.text()), (200, "fine"));
    for name in ["x-failed", "set-cookie", "retry-after"] {
        assert_eq!(response.get(name), None, "{name}");
    }
    assert_eq!(origins.each_ref().map(|origin| origin.requests().len()), [1, 1]);
    assert_eq!(gateway.access_log(1).await[0]["attempts"], 2);
    gateway.metric("gateway_upstream_retries_total", &[("service", "app")], 1.0).await;
}

#[tokio::test]
async fn the_number_of_attempts_is_that_of_all_tries_and_the_last_answer_is_the_clients() {
    let origins = failing(503).await;
    let retry = "attempts: 3, retry_on: [503], backoff: 1ms..2ms";
    let gateway = retrying(retry, &origins).start().await;
    let response = gateway.get("/").await;
    assert_eq!((response.status, response.text()), (503, "failed"));
    assert_eq!(seen(&origins), 3);
    assert_eq!(gateway.access_log(1).await[0]["attempts"], 3);
    not_retried(&gateway, "attempts", 1.0).await;
}

#[tokio::test]
async fn an_answer_that_nothing_is_said_of_is_not_tried_again() {
    let origins = failing(500).await;
    let gateway = retrying("retry_on: [503]", &origins).start().await;
    assert_eq!(gateway.get("/").await.status, 500);
    assert_eq!(seen(&origins), 1);
}

#[tokio::test]
async fn a_post_is_repeated_only_where_its_client_says_that_it_may_be() {
    let origins = failing_once(503, "").await;
    let retry = "retry_on: [503], backoff: 1ms..5ms";
    let gateway = retrying(retry, &origins).start().await;
    assert_eq!(gateway.request(&post("", "order")).await.status, 503);
    not_retried(&gateway, "method", 1.0).await;
    assert_eq!(seen(&origins), 1);

    let origins = failing_once(503, "").await;
    let gateway = retrying(retry, &origins).start().await;
    let response = gateway.request(&post("Idempotency-Key: \"one\"\r\n", "order")).await;
    assert_eq!(response.text(), "fine");
    for origin in &origins {
        assert_eq!(origin.last().body, b"order");
        assert_eq!(origin.last().get("idempotency-key"), Some("\"one\""));
    }
}

#[tokio::test]
async fn a_post_that_never_reached_an_endpoint_goes_to_another() {
    let (nobody, origin) = (Port::reserve(), Origin::saying("fine").await);
    let endpoints = "{endpoints: [{address: <nobody>}, {address: <origin>}]}";
    let setup = service(endpoints).with("nobody", nobody.address).with("origin", &origin);
    let gateway = setup.start().await;
    for number in 1..=4 {
        assert_eq!(gateway.request(&post("", "order")).await.text(), "fine");
        assert_eq!(origin.requests().len(), number);
        assert_eq!(origin.last().body, b"order");
    }
}

#[tokio::test]
async fn a_body_that_fits_the_buffer_is_repeated_to_the_byte_and_a_larger_one_is_not() {
    let body: String = (0..64 * 1024u32).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
    let retry = "retry_on: [503], backoff: 1ms..5ms";
    let length = "Content-Length: 65536\r\n\r\n";
    let chunks = format!("Transfer-Encoding: chunked\r\n\r\n8000\r\n{}\r\n", &body[..0x8000]);
    let chunks = format!("{chunks}8000\r\n{}\r\n0\r\n\r\n", &body[0x8000..]);
    for rest in [format!("{length}{body}"), chunks] {
        let origins = failing_once(503, "").await;
        let gateway = retrying(retry, &origins).start().await;
        let response = gateway.request(&format!("PUT / HTTP/1.1\r\nHost: a\r\n{rest}")).await;
        assert_eq!(response.text(), "fine");
        for origin in &origins {
            assert!(origin.last().body == body.as_bytes(), "{}", origin.last().body.len());
        }
    }
    let origins = failing_once(503, "").await;
    let gateway = retrying(retry, &origins).start().await;
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n";
    assert_eq!(gateway.request(&format!("{head}{body}!")).await.status, 503);
    not_retried(&gateway, "body", 1.0).await;
    assert_eq!(seen(&origins), 1);
}

#[tokio::test]
async fn a_wait_that_the_service_asks_for_is_kept_or_is_the_clients() {
    let origins = failing_once(503, "Retry-After: 1\r\n").await;
    let gateway = retrying("retry_on: [503], backoff: 1ms..1s", &origins).start().await;
    let begun = Instant::now();
    assert_eq!(gateway.get("/").await.text(), "fine");
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());

    let origins = failing_once(503, "Retry-After: 5\r\n").await;
    let gateway = retrying("retry_on: [503], backoff: 1ms..1s", &origins).start().await;
    let begun = Instant::now();
    let response = gateway.get("/").await;
    assert_eq!((response.status, response.get("retry-after")), (503, Some("5")));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    not_retried(&gateway, "retry_after", 1.0).await;
}

#[tokio::test]
async fn a_wait_between_tries_may_be_longer_than_the_service_may_be_silent() {
    let origins = failing_once(503, "Retry-After: 1\r\n").await;
    let setup = retrying("retry_on: [503], backoff: 1ms..2s", &origins);
    let gateway = setup.route_policies("timeouts: {read: 300ms}").start().await;
    let request = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\norder";
    assert_eq!(gateway.request(request).await.status, 200);
    assert_eq!(seen(&origins), 2);
}

#[tokio::test]
async fn retries_stop_where_their_budget_ends() {
    let origins = failing(503).await;
    // What is not used in a second is there for ten.
    let budget = "budget: {share: 0%, min_per_second: 1}";
    let retry = format!("retry_on: [503], backoff: 0ms..1ms, {budget}");
    let gateway = retrying(&retry, &origins).start().await;
    let mut client = gateway.connect().await;
    for _ in 0..14 {
        assert_eq!(client.get("/").await.status, 503);
    }
    not_retried(&gateway, "budget", 4.0).await;
    gateway.metric("gateway_upstream_retries_total", &[("service", "app")], 10.0).await;
    assert_eq!(seen(&origins), 24);
}

#[tokio::test]
async fn a_stream_that_was_refused_is_repeated_even_for_a_post() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let origin = Origin::connections(move |stream, _| {
        let count = Arc::clone(&count);
        async move {
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            while let Some(Ok((_, mut answer))) = connection.accept().await {
                if count.fetch_add(1, SeqCst) == 0 {
                    answer.send_reset(Reason::REFUSED_STREAM);
                    continue;
                }
                let mut sending = answer.send_response(Response::new(()), false).unwrap();
                sending.send_data(Bytes::from_static(b"fine"), true).unwrap();
            }
        }
    })
    .await;
    let gateway = service("{endpoints: [{address: <app>}], protocol: h2c}");
    let gateway = gateway.with("app", &origin).start().await;
    assert_eq!(gateway.request(&post("", "order")).await.text(), "fine");
    assert_eq!(seen.load(SeqCst), 2);
    assert_eq!(gateway.access_log(1).await[0]["attempts"], 2);
}

// Time

/// Two endpoints, of which the one that is asked first says nothing.
async fn silent_once() -> [Origin; 2] {
    two(|mut call, number| async move {
        if number == 0 {
            call.until_closed().await;
            return call.close();
        }
        call.reply(200, "", "fine").await;
        call
    })
    .await
}

const PER_TRY: &str = "retry_on: [timeout], per_try_timeout: 200ms, backoff: 1ms..5ms";

#[tokio::test]
async fn a_try_that_stays_silent_is_ended_and_another_endpoint_answers() {
    let origins = silent_once().await;
    let gateway = retrying(PER_TRY, &origins).start().await;
    let begun = Instant::now();
    assert_eq!(gateway.get("/").await.text(), "fine");
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(190) && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(gateway.access_log(1).await[0]["attempts"], 2);
}

#[tokio::test]
async fn the_time_of_a_try_ends_with_the_answers_head() {
    let origins = two(|mut call, _| async move {
        call.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        call.send("slow").await;
        call
    })
    .await;
    let gateway = retrying(PER_TRY, &origins).start().await;
    assert_eq!(gateway.get("/").await.text(), "slow");
}

#[tokio::test]
async fn a_silent_try_is_ended_for_a_client_of_http_2_as_well() {
    let origins = silent_once().await;
    let setup = retrying(PER_TRY, &origins).listener("protocols: [h2c]");
    let gateway = setup.start().await;
    let client = gateway.connect_h2().await;
    let begun = Instant::now();
    let response = client.get("/").await;
    assert_eq!((response.status, &response.body[..]), (200, &b"fine"[..]));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(seen(&origins), 2);
}

#[tokio::test]
async fn a_silent_try_of_an_upload_is_ended_and_the_upload_repeated() {
    let origins = silent_once().await;
    let gateway = retrying(PER_TRY, &origins).start().await;
    let request = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\norder";
    assert_eq!(gateway.request(request).await.text(), "fine");
    assert_eq!(seen(&origins), 2);
    assert!(origins.iter().any(|origin| origin.last().body == b"order"));
}

/// Two endpoints, of which the one that is asked first brings its head byte by byte.
async fn trickling_once() -> [Origin; 2] {
    two(|mut call, number| async move {
        if number > 0 {
            call.reply(200, "", "fine").await;
            return call;
        }
        call.send("HTTP/1.1 200 OK\r\nX-Trickle: ").await;
        for _ in 0..100 {
            call.send("x").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        call.send("\r\nContent-Length: 4\r\n\r\nslow").await;
        call.close()
    })
    .await
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_does_not_lengthen_a_try() {
    let origins = trickling_once().await;
    let gateway = retrying(PER_TRY, &origins).start().await;
    let begun = Instant::now();
    assert_eq!(gateway.get("/").await.text(), "fine");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_does_not_lengthen_a_try_for_http_2_either() {
    let origins = trickling_once().await;
    let setup = retrying(PER_TRY, &origins).listener("protocols: [h2c]");
    let gateway = setup.start().await;
    let client = gateway.connect_h2().await;
    let begun = Instant::now();
    let response = client.get("/").await;
    assert_eq!((response.status, &response.body[..]), (200, &b"fine"[..]));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_client_of_http_2_may_take_longer_for_its_upload_than_a_try_for_its_answer() {
    let origins = two(|mut call, _| async move {
        call.reply(200, "", "taken").await;
        call
    })
    .await;
    let setup = retrying(PER_TRY, &origins).listener("protocols: [h2c]");
    let gateway = setup.start().await;
    let client = gateway.connect_h2().await;
    let request = http::Request::post("http://gateway.test/").body(()).unwrap();
    let (response, mut upload) = client.begin(request).await;
    // Longer than the time of a try, which is what this is about.
    tokio::time::sleep(Duration::from_millis(500)).await;
    upload.send_data("order".into(), true).unwrap();
    let response = H2Client::read(response).await.unwrap();
    assert_eq!((response.status, &response.body[..]), (200, &b"taken"[..]));
}

#[tokio::test]
async fn a_silent_try_of_an_upload_over_http_2_is_ended_and_the_upload_repeated() {
    let origins = two(|mut call, number| async move {
        call.body().await;
        if number == 0 {
            call.until_closed().await;
            return call.close();
        }
        call.reply(200, "", "fine").await;
        call
    })
    .await;
    let setup = retrying(PER_TRY, &origins).listener("protocols: [h2c]");
    let gateway = setup.start().await;
    let client = gateway.connect_h2().await;
    let request = http::Request::put("http://gateway.test/").body(()).unwrap();
    let response = client.request(request, "order").await.unwrap();
    assert_eq!((response.status, &response.body[..]), (200, &b"fine"[..]));
    assert!(origins.iter().all(|origin| origin.last().body == b"order"));
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_ends_with_the_deadline_of_an_http_2_request() {
    let origins = trickling_once().await;
    let setup = retrying("attempts: 1", &origins).listener("protocols: [h2c]");
    let gateway = setup.route_policies("timeouts: {request: 300ms}").start().await;
    let client = gateway.connect_h2().await;
    let begun = Instant::now();
    assert_eq!(client.get("/").await.status, 504);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(client.get("/").await.status, 200);
}

#[tokio::test]
async fn a_service_that_is_silent_at_every_try_is_a_504_within_the_deadline() {
    let origins = two(|call, _| async move {
        let _held = call;
        pending().await
    })
    .await;
    let document = "attempts: 10, retry_on: [timeout], per_try_timeout: 150ms, backoff: 1ms..5ms";
    let setup = retrying(document, &origins);
    let gateway = setup.route_policies("timeouts: {request: 400ms}").start().await;
    let begun = Instant::now();
    let response = gateway.get("/").await;
    let took = begun.elapsed();
    assert_eq!(response.problem(504)["service"], "app");
    assert!(took >= Duration::from_millis(380) && took < Duration::from_secs(4), "{took:?}");
    assert!((2..=3).contains(&seen(&origins)), "{}", seen(&origins));
}

#[tokio::test]
async fn a_retry_that_cannot_end_in_time_is_not_made() {
    let origins = failing_once(503, "Retry-After: 2\r\n").await;
    let setup = retrying("retry_on: [503], backoff: 1s..10s", &origins);
    let gateway = setup.route_policies("timeouts: {request: 1s}").start().await;
    let begun = Instant::now();
    assert_eq!(gateway.get("/").await.status, 503);
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    not_retried(&gateway, "deadline", 1.0).await;
    assert_eq!(seen(&origins), 1);
}

#[tokio::test]
async fn waits_between_tries_end_with_the_deadline() {
    let origins = failing(503).await;
    let setup = retrying("attempts: 10, retry_on: [503], backoff: 300ms..300ms", &origins);
    let gateway = setup.route_policies("timeouts: {request: 500ms}").start().await;
    let begun = Instant::now();
    let response = gateway.get("/").await;
    assert!(matches!(response.status, 503 | 504), "{}", response.status);
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_service_is_told_what_is_left_of_the_time_and_never_more() {
    let origins = two(|mut call, number| async move {
        tokio::time::sleep(Duration::from_millis(30)).await;
        call.reply(if number == 0 { 503 } else { 200 }, "", "").await;
        call
    })
    .await;
    let setup = retrying("retry_on: [503], backoff: 1ms..2ms", &origins);
    let times = "timeouts: {request: 5s, budget_header: x-time-left}";
    let gateway = setup.route_policies(times).start().await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Time-Left: 99999\r\n\r\n";
    assert_eq!(gateway.request(request).await.status, 200);
    let left = |origin: &Origin| origin.last().get("x-time-left").unwrap().parse::<u64>().unwrap();
    let mut left = origins.each_ref().map(left);
    left.sort_unstable();
    assert!(left[1] <= 5000 && left[0] <= left[1] - 30, "{left:?}");
}

#[tokio::test]
async fn a_field_for_the_time_left_is_no_clients_to_set() {
    let origin = Origin::saying("fine").await;
    let setup = Setup::one_route("timeouts: {budget_header: x-time-left}");
    let gateway = setup.with("app", &origin).start().await;
    gateway.request("GET / HTTP/1.1\r\nHost: a\r\nX-Time-Left: 99999\r\n\r\n").await;
    assert_eq!(origin.last().get("x-time-left"), None);
}

#[tokio::test]
async fn a_grpc_call_is_told_the_shorter_of_its_own_time_and_the_routes() {
    let origin = H2Origin::start().await;
    let setup = service("{url: \"http://<app>\", protocol: grpc}").with("app", &origin);
    let setup = setup.listener("protocols: [h2c]");
    let gateway = setup.route_policies("timeouts: {request: 5s}").start().await;
    let client = gateway.connect_h2().await;
    for (own, most) in [("2S", 2.0), ("1H", 5.0)] {
        let call = Request::post("http://gateway.test/shop.Orders/Get")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", own);
        client.request(call.body(()).unwrap(), &b"\0\0\0\0\0"[..]).await.unwrap();
        let told = origin.requests().pop().unwrap();
        let told = told.headers()["grpc-timeout"].to_str().unwrap();
        let (amount, unit) = told.split_at(told.len() - 1);
        let scale = match unit {
            "n" => 1e-9,
            "u" => 1e-6,
            "m" => 1e-3,
            _ => 1.0,
        };
        let seconds = amount.parse::<f64>().unwrap() * scale;
        assert!(seconds <= most && seconds > most - 1.5, "{own}: {told}");
    }
}

// Connections

/// A service that answers the first request of a connection and closes it when the second comes.
async fn closing_pooled() -> Origin {
    Origin::connections(|mut stream, _| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine").await;
        let _ = stream.read_u8().await;
    })
    .await
}

#[tokio::test]
async fn a_post_that_begins_a_connection_is_not_lost_with_a_pooled_one() {
    let origin = closing_pooled().await;
    let gateway = Gateway::before(&origin).await;
    for _ in 0..3 {
        // The connection of this one is pooled, and is closed when it is used.
        assert_eq!(gateway.get("/").await.text(), "fine");
        assert_eq!(gateway.request(&post("", "")).await.text(), "fine");
    }
}

#[tokio::test]
async fn a_get_whose_pooled_connection_closes_is_sent_once_more_whatever_is_said_of_retries() {
    for policies in ["", ", policies: {retry: {attempts: 1}}"] {
        let origin = closing_pooled().await;
        let setup = service(&format!("{{endpoints: [{{address: <app>}}]{policies}}}"));
        let gateway = setup.with("app", &origin).start().await;
        let mut client = gateway.connect().await;
        for _ in 0..4 {
            assert_eq!(client.get("/").await.text(), "fine", "{policies}");
        }
    }
}

#[tokio::test]
async fn where_connections_are_always_used_again_a_post_takes_a_pooled_one() {
    for (reuse, connections) in [("always", 1), ("safe", 2), ("never", 3)] {
        let origin = Origin::saying("fine").await;
        let settings = format!("{{url: \"http://<app>\", connection_reuse: {reuse}}}");
        let gateway = service(&settings).with("app", &origin).start().await;
        for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", &post("", "order")] {
            assert_eq!(gateway.request(request).await.text(), "fine");
        }
        assert_eq!(gateway.get("/").await.text(), "fine");
        assert_eq!(origin.connections_made(), connections, "{reuse}");
    }
}

// Under load

#[tokio::test]
async fn an_endpoint_that_dies_under_load_costs_no_client_an_error() {
    let origins = [Origin::saying("fine").await, Origin::saying("fine").await];
    let setup = retrying("attempts: 3, backoff: 1ms..10ms", &origins);
    let gateway = setup.threads(2).start().await;
    let [one, other] = origins;
    let over = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
        let mut client = Client::connect(gateway.address).await;
        clients.spawn(async move {
            let mut failed = Vec::new();
            while !over.load(SeqCst) {
                let response = client.get("/").await;
                if response.status != 200 {
                    failed.push(response.text().to_owned());
                }
                answered.fetch_add(1, SeqCst);
            }
            failed
        });
    }
    let reached = async |count: usize| {
        eventually("answers", async || (answered.load(SeqCst) >= count).then_some(())).await;
    };
    // The budget is a share of what was asked before.
    reached(1500).await;
    one.stop().await;
    reached(answered.load(SeqCst) + 1000).await;
    over.store(true, SeqCst);
    let failed = within("the clients' end", clients.join_all()).await.concat();
    assert!(failed.is_empty(), "{} of {answered:?}: {:?}", failed.len(), failed.first());
    assert!(other.requests().len() > 1000);
}
