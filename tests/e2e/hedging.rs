//! A second attempt beside a slow first one, and when there is none.
//!
//! Which endpoint is asked first is left to chance, so that origins behave by the order in which
//! requests come to both.

use crate::protocols::BOTH;
use crate::support::{Call, Gateway, H2Client, H2Origin, Origin, Setup, within};
use http::Request;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What two origins have seen together.
#[derive(Clone, Default)]
struct Seen(Arc<Counts>);

#[derive(Default)]
struct Counts {
    came: watch::Sender<usize>,
    given_up: watch::Sender<usize>,
}

impl Seen {
    /// How many requests came.
    fn came(&self) -> usize {
        *self.0.came.borrow()
    }

    /// Counts a request, and gives its number.
    fn comes(&self) -> usize {
        let mut number = 0;
        self.0.came.send_modify(|came| number = std::mem::replace(came, *came + 1));
        number
    }

    /// Waits until so many came.
    async fn wait(&self, count: usize) {
        let mut came = self.0.came.subscribe();
        within("requests at the origins", came.wait_for(move |came| *came >= count)).await.unwrap();
    }

    /// Waits until the gateway has given up so many.
    async fn given_up(&self, count: usize) {
        let mut given_up = self.0.given_up.subscribe();
        let all = given_up.wait_for(move |given_up| *given_up == count);
        within("requests that are given up", all).await.unwrap();
    }

    /// Does not answer.
    async fn hang(&self, mut call: Call) -> Call {
        call.until_closed().await;
        self.0.given_up.send_modify(|given_up| *given_up += 1);
        call.close()
    }
}

/// Two origins, which do with the request of a number, the first of which is 0, as they are told.
async fn pair<F>(
    answer: impl Fn(Call, usize, Seen) -> F + Clone + Send + Sync + 'static,
) -> (Seen, [Origin; 2])
where
    F: Future<Output = Call> + Send + 'static,
{
    let seen = Seen::default();
    let start = || {
        let (seen, answer) = (seen.clone(), answer.clone());
        Origin::start(move |call| answer(call, seen.comes(), seen.clone()))
    };
    let origins = [start().await, start().await];
    (seen, origins)
}

/// Two origins of which the one that is asked first never answers; the other says this.
async fn first_hangs(body: Vec<u8>) -> (Seen, [Origin; 2]) {
    let body = Arc::new(body);
    pair(move |mut call, number, seen| {
        let body = Arc::clone(&body);
        async move {
            if number == 0 {
                return seen.hang(call).await;
            }
            call.reply(200, "X-Origin: second\r\n", &*body).await;
            call
        }
    })
    .await
}

/// Two origins that take their time.
async fn slow() -> (Seen, [Origin; 2]) {
    pair(|mut call, _, _| async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        call.reply(200, "", "slow").await;
        call
    })
    .await
}

fn setup(origins: &[impl std::fmt::Display; 2], service: &str, policies: &str) -> Setup {
    Setup::new(&format!(
        "policies: {{auth: none}}
services:
  app: {{endpoints: [{{address: <one>}}, {{address: <two>}}]{service}}}
routes:
  - {{name: all, match: {{path: {{prefix: /}}}}, service: app, policies: {{{policies}}}}}
"
    ))
    .with("one", &origins[0])
    .with("two", &origins[1])
}

const SOON: &str = "retry: {hedge: {after: 20ms}}";

async fn before(origins: &[Origin; 2], policies: &str) -> Gateway {
    setup(origins, "", policies).start().await
}

async fn hedged(gateway: &Gateway, outcome: &str) {
    let labels = [("service", "app"), ("outcome", outcome)];
    gateway.metric("gateway_upstream_hedges_total", &labels, 1.0).await;
}

async fn not_hedged(gateway: &Gateway) {
    let metrics = gateway.metrics().await;
    for outcome in ["first", "second", "neither"] {
        let labels = [("service", "app"), ("outcome", outcome)];
        assert_eq!(metrics.value("gateway_upstream_hedges_total", &labels), None);
    }
}

#[tokio::test]
async fn a_slow_endpoint_costs_a_request_no_more_than_the_wait_for_the_second() {
    let (seen, origins) = first_hangs(b"here".to_vec()).await;
    let gateway = before(&origins, "retry: {hedge: {after: 100ms}}").await;
    let begun = Instant::now();
    let response = gateway.get("/").await;
    let took = begun.elapsed();
    assert_eq!((response.status, response.text()), (200, "here"));
    assert!(took >= Duration::from_millis(95) && took < Duration::from_secs(5), "{took:?}");
    hedged(&gateway, "second").await;
    // What lost is not kept: its connection closes.
    seen.given_up(1).await;
    assert_eq!(seen.came(), 2);
    let line = &gateway.access_log(1).await[0];
    assert_eq!((&line["attempts"], &line["status"]), (&2.into(), &200.into()), "{line}");
    gateway.metric("gateway_requests_total", &[("status_code", "200")], 1.0).await;
}

#[tokio::test]
async fn a_quick_endpoint_is_the_only_one_that_is_asked() {
    let (seen, origins) = pair(|mut call, _, _| async move {
        call.reply(200, "", "quick").await;
        call
    })
    .await;
    let gateway = before(&origins, "retry: {hedge: {after: 10s}}").await;
    let mut client = gateway.connect().await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.text(), "quick");
    }
    assert_eq!(seen.came(), 3);
    // Each endpoint has its turn, and its connection is kept.
    assert_eq!(origins.each_ref().map(Origin::connections_made), [1, 1]);
    not_hedged(&gateway).await;
    assert_eq!(gateway.access_log(3).await[2]["attempts"], 1);
}

#[tokio::test]
async fn the_first_may_still_win() {
    let (seen, origins) = pair(|mut call, number, seen| async move {
        if number == 1 {
            return seen.hang(call).await;
        }
        seen.wait(2).await;
        call.reply(200, "", "first").await;
        call
    })
    .await;
    let gateway = before(&origins, SOON).await;
    assert_eq!(gateway.get("/").await.text(), "first");
    hedged(&gateway, "first").await;
    seen.given_up(1).await;
}

#[tokio::test]
async fn what_may_not_be_sent_twice_or_has_a_body_is_not() {
    let (seen, origins) = slow().await;
    let gateway = before(&origins, SOON).await;
    let mut client = gateway.connect().await;
    let requests = [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    ];
    for request in requests {
        assert_eq!(client.request(request).await.text(), "slow");
    }
    assert_eq!(seen.came(), requests.len());
    not_hedged(&gateway).await;
}

#[tokio::test]
async fn without_budget_there_is_no_second_attempt() {
    let (seen, origins) = slow().await;
    let budget = "budget: {share: 1%, min_per_second: 0}";
    let gateway = before(&origins, &format!("retry: {{hedge: {{after: 20ms}}, {budget}}}")).await;
    assert_eq!(gateway.get("/").await.text(), "slow");
    assert_eq!(seen.came(), 1);
    not_hedged(&gateway).await;
}

#[tokio::test]
async fn without_a_place_for_it_there_is_no_second_attempt() {
    let (seen, origins) = slow().await;
    let gateway = setup(&origins, ", limits: {connections: 1}", SOON).start().await;
    assert_eq!(gateway.get("/").await.text(), "slow");
    assert_eq!(seen.came(), 1);
    not_hedged(&gateway).await;
}

#[tokio::test]
async fn a_large_answer_comes_whole_and_its_connection_goes_on() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let (_, origins) = first_hangs(body.clone()).await;
    let gateway = before(&origins, SOON).await;
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        let response = client.get("/").await;
        assert_eq!(response.get("content-length"), Some("3000000"));
        assert!(response.body == body, "the bytes differ");
    }
}

#[tokio::test]
async fn an_answer_of_unknown_length_comes_in_chunks() {
    let (_, origins) = pair(|mut call, _, _| async move {
        call.send("HTTP/1.0 200 OK\r\n\r\nuntil the end").await;
        call.close()
    })
    .await;
    let gateway = before(&origins, "retry: {hedge: {after: 10s}}").await;
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        let response = client.get("/").await;
        assert_eq!(response.get("transfer-encoding"), Some("chunked"));
        assert_eq!(response.text(), "until the end");
    }
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_in_step() {
    let (_, origins) = pair(|mut call, _, _| async move {
        match call.seen.target.as_str() {
            "/204" => call.send("HTTP/1.1 204 No Content\r\n\r\n").await,
            "/304" => call.send("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n").await,
            _ => call.reply(200, "", "four").await,
        }
        call
    })
    .await;
    let gateway = before(&origins, "retry: {hedge: {after: 10s}}").await;
    let mut client = gateway.connect().await;
    for status in [204, 304] {
        let response = client.get(&format!("/{status}")).await;
        assert_eq!((response.status, response.get("transfer-encoding")), (status, None));
    }
    let response = client.request("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((response.status, response.get("content-length")), (200, Some("4")));
    assert_eq!(client.get("/").await.text(), "four");
}

#[tokio::test]
async fn a_head_request_is_hedged() {
    let (_, origins) = first_hangs(b"four".to_vec()).await;
    let gateway = before(&origins, SOON).await;
    let response = gateway.request("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((response.status, response.get("content-length")), (200, Some("4")));
    hedged(&gateway, "second").await;
}

#[tokio::test]
async fn a_winner_that_breaks_off_does_not_look_complete() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let (_, origins) = pair(move |mut call, number, seen| async move {
            if number == 0 {
                return seen.hang(call).await;
            }
            call.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n")).await;
            call.close()
        })
        .await;
        let gateway = before(&origins, SOON).await;
        let mut client = gateway.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.head().await.status, 200);
        while let Ok(part) = client.part().await {
            assert!(part.is_some(), "with {head} the answer looks complete");
        }
        let labels = [("service", "app"), ("cause", "closed")];
        gateway.metric("gateway_upstream_errors_total", &labels, 1.0).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_both_attempts() {
    let (seen, origins) = pair(|call, _, seen| async move { seen.hang(call).await }).await;
    let gateway = before(&origins, SOON).await;
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    seen.wait(2).await;
    drop(client);
    seen.given_up(2).await;
    hedged(&gateway, "neither").await;
    assert_eq!(gateway.access_log(1).await[0]["status"], 499);
}

#[tokio::test]
async fn a_client_of_http_2_that_leaves_ends_both_attempts() {
    let (seen, origins) = pair(|call, _, seen| async move { seen.hang(call).await }).await;
    let gateway = setup(&origins, "", SOON).listener(BOTH).start().await;
    let client = H2Client::over(gateway.connect().await.into_inner()).await;
    let request = Request::get("http://gateway.test/").body(()).unwrap();
    let answer = tokio::spawn(async move { client.request(request, "").await.map(drop) });
    seen.wait(2).await;
    answer.abort();
    seen.given_up(2).await;
}

#[tokio::test]
async fn a_client_of_http_2_gets_the_answer_of_the_second() {
    let body = vec![b'x'; 1_000_000];
    let (seen, origins) = first_hangs(body.clone()).await;
    let gateway = setup(&origins, "", SOON).listener(BOTH).start().await;
    let client = H2Client::over(gateway.connect().await.into_inner()).await;
    let response = client.get("/").await;
    assert_eq!((response.status, response.headers["x-origin"].as_bytes()), (200, &b"second"[..]));
    assert!(response.body == body, "the bytes differ");
    seen.given_up(1).await;
}

#[tokio::test]
async fn services_of_http_2_are_hedged_and_their_trailers_reach_the_client() {
    let origins = [H2Origin::start().await, H2Origin::start().await];
    let policies = "retry: {hedge: {after: 10s}}";
    let gateway = setup(&origins, ", protocol: h2c", policies).listener(BOTH).start().await;
    let client = H2Client::over(gateway.connect().await.into_inner()).await;
    let response = client.get("/path?q=1").await;
    assert_eq!(response.body, b"over h2");
    assert_eq!(response.trailers.expect("trailers")["x-checksum"], "42");
    let seen = origins.iter().flat_map(H2Origin::requests).next().expect("a request");
    assert_eq!(seen.uri().path_and_query().unwrap(), "/path?q=1");
    assert_eq!(gateway.get("/").await.text(), "over h2");
}

#[tokio::test]
async fn an_answer_that_is_retried_gives_way_to_the_other() {
    let (seen, origins) = pair(|mut call, number, seen| async move {
        seen.wait(2).await;
        if number == 1 {
            call.reply(503, "", "busy").await;
            return call;
        }
        // It takes longer than the answer that is not wanted.
        tokio::time::sleep(Duration::from_millis(100)).await;
        call.reply(200, "", "good").await;
        call
    })
    .await;
    let gateway = before(&origins, "retry: {hedge: {after: 20ms}, retry_on: [503]}").await;
    assert_eq!(gateway.get("/").await.text(), "good");
    hedged(&gateway, "first").await;
    assert_eq!(seen.came(), 2);
}

#[tokio::test]
async fn where_both_fail_the_ordinary_rules_decide() {
    let both_fail = |mut call: Call, number, seen: Seen| async move {
        seen.wait(2).await;
        if number < 2 {
            return call.close();
        }
        call.reply(200, "", "third").await;
        call
    };
    let (seen, origins) = pair(both_fail).await;
    let gateway = before(&origins, "retry: {hedge: {after: 20ms}, attempts: 3}").await;
    assert_eq!(gateway.get("/").await.text(), "third");
    hedged(&gateway, "neither").await;
    assert_eq!((seen.came(), &gateway.access_log(1).await[0]["attempts"]), (3, &3.into()));

    let (seen, origins) = pair(both_fail).await;
    let gateway = before(&origins, SOON).await;
    gateway.get("/").await.problem(502);
    assert_eq!(seen.came(), 2);
}

#[tokio::test]
async fn the_requests_time_and_that_of_each_try_are_kept() {
    for times in [
        "timeouts: {request: 200ms}, retry: {hedge: {after: 20ms}}",
        "retry: {hedge: {after: 20ms}, per_try_timeout: 200ms}",
    ] {
        let (seen, origins) = pair(|call, _, seen| async move { seen.hang(call).await }).await;
        let gateway = before(&origins, times).await;
        let begun = Instant::now();
        gateway.get("/").await.problem(504);
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(190) && took < Duration::from_secs(5), "{took:?}");
        seen.given_up(2).await;
        hedged(&gateway, "neither").await;
    }
}

#[tokio::test]
async fn what_belongs_to_the_clients_connection_goes_to_neither() {
    let (_, origins) = first_hangs(Vec::new()).await;
    let gateway = before(&origins, SOON).await;
    let request = "GET /a?b HTTP/1.1\r\nHost: a\r\nConnection: X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\n\
                   Keep-Alive: 5\r\nProxy-Authorization: secret\r\nX-Kept: 1\r\n\r\n";
    assert_eq!(gateway.request(request).await.status, 200);
    for origin in &origins {
        let seen = origin.request(1).await;
        assert_eq!((seen.target.as_str(), seen.get("x-kept")), ("/a?b", Some("1")));
        assert_eq!(seen.get("host"), Some(origin.address()));
        for name in ["x-hop", "te", "keep-alive", "proxy-authorization"] {
            assert_eq!(seen.get(name), None, "{name}");
        }
    }
}
