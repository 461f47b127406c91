//! Copies of requests for a second service, which no client ever feels.

use crate::support::{
    Call, Gateway, H2Origin, Origin, Port, Seen, Setup, WebSocketOrigin, eventually, open_websocket,
};
use std::fmt::Display;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A route whose requests are mirrored like this, with these policies.
fn mirrored(mirror: &str, policies: &str) -> Setup {
    Setup::new(&format!(
        "policies: {{auth: none}}\n\
         services:\n  app: {{url: \"http://<app>\"}}\n  shadow: {{url: \"http://<shadow>\"}}\n\
         routes:\n  - name: all\n    match: {{path: {{prefix: /}}}}\n    service: app\n    \
         mirror: {{service: shadow{mirror}}}\n    policies: {{{policies}}}\n"
    ))
}

async fn between(app: &impl Display, shadow: &impl Display, mirror: &str) -> Gateway {
    mirrored(mirror, "").with("app", app).with("shadow", shadow).start().await
}

/// Waits until so many requests that were to be mirrored came to this.
async fn copies(gateway: &Gateway, outcome: &str, count: usize) {
    let labels = [("route", "all"), ("outcome", outcome)];
    gateway.metric("gateway_mirror_requests_total", &labels, count as f64).await;
}

async fn comparisons(gateway: &Gateway, result: &str, count: usize) {
    let labels = [("route", "all"), ("result", result)];
    gateway.metric("gateway_mirror_comparisons_total", &labels, count as f64).await;
}

/// The first request that an origin has read to its end.
async fn whole(origin: &Origin, length: usize) -> Seen {
    eventually("a whole request at the mirror", async || {
        origin.requests().into_iter().next().filter(|seen| seen.body.len() == length)
    })
    .await
}

fn post(length: usize) -> String {
    let body = "x".repeat(length);
    format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
}

async fn json(body: &'static str) -> Origin {
    Origin::start(move |mut call| async move {
        call.reply(200, "Content-Type: application/json\r\n", body).await;
        call
    })
    .await
}

async fn hanging() -> Origin {
    Origin::start(|call: Call| async move {
        let _held = call;
        pending().await
    })
    .await
}

#[tokio::test]
async fn a_copy_has_the_head_after_the_policies_edits_and_the_whole_body() {
    let (app, shadow) = (Origin::saying("app").await, Origin::saying("shadow").await);
    let policies = "transform: {request: {path: {strip_prefix: /api}, \
         headers: {set: {x-source: gateway}, remove: [cookie]}}}";
    let gateway = mirrored("", policies).with("app", &app).with("shadow", &shadow).start().await;
    let mut client = gateway.connect().await;
    client
        .send(
            "PUT /api/orders?a=b HTTP/1.1\r\nHost: shop.test\r\nCookie: secret=1\r\n\
             Connection: X-Hop\r\nX-Hop: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        )
        .await;
    let part = "0123456789abcdef".repeat(256);
    for _ in 0..10 {
        client.send(format!("{:x}\r\n{part}\r\n", part.len())).await;
    }
    client.send("0\r\n\r\n").await;
    let answer = client.response().await;
    assert_eq!((answer.status, answer.text()), (200, "app"));
    let seen = whole(&shadow, 40_960).await;
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PUT", "/orders?a=b"));
    assert!(seen.body == part.repeat(10).as_bytes());
    assert_eq!(seen.get("x-source"), Some("gateway"));
    assert_eq!((seen.get("cookie"), seen.get("x-hop")), (None, None));
    assert_eq!(seen.get("host"), Some(shadow.address()));
    assert_eq!(seen.get("x-request-id"), answer.get("x-request-id"));
    assert_eq!(seen.get("x-forwarded-host"), Some("shop.test"));
    copies(&gateway, "answered", 1).await;
}

#[tokio::test]
async fn a_copy_reaches_a_service_of_http_2() {
    let (app, shadow) = (Origin::saying("app").await, H2Origin::start().await);
    let document = "policies: {auth: none}\nservices:\n  app: {url: \"http://<app>\"}\n  \
         shadow: {url: \"http://<shadow>\", protocol: h2c}\nroutes:\n  - name: all\n    \
         match: {path: {prefix: /}}\n    service: app\n    mirror: {service: shadow}\n";
    let setup = Setup::new(document).with("app", &app).with("shadow", &shadow);
    let gateway = setup.start().await;
    assert_eq!(gateway.request(&post(5)).await.text(), "app");
    copies(&gateway, "answered", 1).await;
    let seen = shadow.requests().remove(0);
    assert_eq!(seen.method(), "POST");
    assert_eq!(seen.uri().authority().unwrap().as_str(), shadow.to_string());
}

#[tokio::test]
async fn no_client_waits_for_a_mirror_that_hangs_and_what_is_too_much_is_dropped() {
    let (app, shadow) = (Origin::saying("app").await, hanging().await);
    let gateway = between(&app, &shadow, ", timeout: 60s, diff: {}").await;
    let begun = Instant::now();
    let mut client = gateway.connect().await;
    for _ in 0..80 {
        assert_eq!(client.get("/").await.text(), "app");
    }
    // Had one of them waited, it had been for a minute.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // 64 are under way at most.
    copies(&gateway, "dropped", 16).await;
    eventually("the copies that are under way", async || {
        (shadow.requests().len() == 64).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_mirror_that_hangs_gives_its_room_back_after_its_time() {
    let (app, shadow) = (Origin::saying("app").await, hanging().await);
    let gateway = between(&app, &shadow, ", timeout: 200ms").await;
    let mut client = gateway.connect().await;
    for _ in 0..64 {
        client.get("/").await;
    }
    copies(&gateway, "failed", 64).await;
    client.get("/").await;
    copies(&gateway, "failed", 65).await;
    copies(&gateway, "dropped", 0).await;
}

#[tokio::test]
async fn no_client_fails_with_a_mirror_that_does() {
    let app = Origin::saying("app").await;
    let dead = Port::reserve();
    let gateway = between(&app, &dead.address, "").await;
    for _ in 0..5 {
        assert_eq!(gateway.get("/").await.text(), "app");
    }
    copies(&gateway, "failed", 5).await;
    for bad in [
        "",
        "no HTTP at all\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let shadow = Origin::start(move |mut call: Call| async move {
            call.send(bad).await;
            call.close()
        })
        .await;
        let gateway = between(&app, &shadow, ", diff: {}").await;
        assert_eq!(gateway.request(&post(5)).await.text(), "app", "{bad}");
        copies(&gateway, "failed", 1).await;
    }
}

#[tokio::test]
async fn a_sample_of_none_copies_none_and_one_of_all_copies_all() {
    let (app, shadow) = (Origin::saying("app").await, Origin::saying("shadow").await);
    let gateway = between(&app, &shadow, ", sample: 100%").await;
    let mut client = gateway.connect().await;
    for _ in 0..20 {
        client.get("/").await;
    }
    copies(&gateway, "answered", 20).await;
    assert_eq!(shadow.requests().len(), 20);
    let gateway = between(&app, &shadow, ", sample: 0%").await;
    let mut client = gateway.connect().await;
    for _ in 0..20 {
        client.get("/").await;
    }
    gateway.metric("gateway_requests_total", &[("route", "all")], 20.0).await;
    let counted = gateway.metrics().await.value("gateway_mirror_requests_total", &[]);
    assert_eq!((counted.unwrap_or_default(), shadow.requests().len()), (0.0, 20));
}

#[tokio::test]
async fn too_long_a_body_is_skipped_and_its_client_served() {
    let (app, shadow) = (Origin::saying("app").await, Origin::saying("shadow").await);
    let gateway = between(&app, &shadow, ", max_body: 10, diff: {}").await;
    assert_eq!(gateway.request(&post(11)).await.text(), "app");
    copies(&gateway, "skipped", 1).await;
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n";
    assert_eq!(gateway.request(chunked).await.text(), "app");
    copies(&gateway, "skipped", 2).await;
    assert_eq!(app.last().body, b"hello world");
    assert_eq!(gateway.request(&post(10)).await.text(), "app");
    copies(&gateway, "answered", 1).await;
    assert_eq!(shadow.requests().len(), 1);
}

#[tokio::test]
async fn answers_that_differ_where_they_may_are_the_same() {
    let app = json(r#"{"total": 5, "generatedAt": "09:00"}"#).await;
    let shadow = json(r#"{"generatedAt": "09:01", "total": 5.0}"#).await;
    let diff = ", diff: {headers: [content-type], ignore: [body.generatedAt]}";
    let gateway = between(&app, &shadow, diff).await;
    gateway.get("/").await;
    comparisons(&gateway, "same", 1).await;
    comparisons(&gateway, "different", 0).await;
}

#[tokio::test]
async fn answers_that_differ_are_counted() {
    let app = json(r#"{"total": 5, "generatedAt": "09:00"}"#).await;
    let other = json(r#"{"total": 6, "generatedAt": "09:00"}"#).await;
    let gateway = between(&app, &other, ", diff: {ignore: [body.generatedAt]}").await;
    gateway.get("/").await;
    comparisons(&gateway, "different", 1).await;
    let text = Origin::saying(r#"{"total": 5, "generatedAt": "09:00"}"#).await;
    let gateway = between(&app, &text, ", diff: {headers: [content-type]}").await;
    gateway.get("/").await;
    comparisons(&gateway, "different", 1).await;
    let failing = Origin::start(|mut call| async move {
        call.reply(500, "", "").await;
        call
    })
    .await;
    let gateway = between(&app, &failing, ", diff: {ignore: [body]}").await;
    gateway.get("/").await;
    comparisons(&gateway, "different", 1).await;
}

#[tokio::test]
async fn a_request_that_is_tried_again_is_mirrored_once_and_its_last_answer_compared() {
    let count = AtomicUsize::new(0);
    let app = Origin::start(move |mut call: Call| {
        let status = if count.fetch_add(1, Ordering::Relaxed) < 2 { 503 } else { 200 };
        async move {
            call.reply(status, "", "app").await;
            call
        }
    })
    .await;
    let shadow = Origin::saying("app").await;
    let retry = "retry: {attempts: 3, retry_on: [503], methods: any, backoff: 1ms..1ms}";
    let setup = mirrored(", diff: {}", retry).with("app", &app).with("shadow", &shadow);
    let gateway = setup.start().await;
    let answer = gateway.request(&post(100)).await;
    assert_eq!((answer.status, app.requests().len()), (200, 3));
    comparisons(&gateway, "same", 1).await;
    copies(&gateway, "answered", 1).await;
    assert_eq!((shadow.requests().len(), shadow.last().body.len()), (1, 100));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_compared_with_nothing() {
    let app = Origin::start(|mut call: Call| async move {
        call.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort").await;
        call.close()
    })
    .await;
    let shadow = Origin::saying("short").await;
    let gateway = between(&app, &shadow, ", diff: {}").await;
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.head().await;
    client.closed().await;
    copies(&gateway, "answered", 1).await;
    gateway.metric("gateway_requests_total", &[("route", "all")], 1.0).await;
    let counted = gateway.metrics().await.value("gateway_mirror_comparisons_total", &[]);
    assert_eq!(counted.unwrap_or_default(), 0.0);
}

#[tokio::test]
async fn a_request_whose_client_leaves_is_not_mirrored() {
    let (app, shadow) = (Origin::saying("app").await, Origin::saying("shadow").await);
    let gateway = between(&app, &shadow, ", diff: {}").await;
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf").await;
    app.request(1).await;
    drop(client);
    copies(&gateway, "skipped", 1).await;
    assert_eq!(shadow.requests().len(), 0);
}

#[tokio::test]
async fn a_copy_whose_answer_came_before_the_request_was_whole_is_counted() {
    let app = Origin::start(|mut call: Call| async move {
        // The service answers before the request is whole: the copy is sent after that.
        call.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly").await;
        call.body().await;
        call
    })
    .await;
    let shadow = Origin::saying("early").await;
    let gateway = between(&app, &shadow, "").await;
    let mut client = gateway.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello").await;
    assert_eq!(client.response().await.text(), "early");
    client.try_send("hello").await;
    // Whole or not, what was to be mirrored comes to an end that is counted.
    let counted = eventually("the end of the copy", async || {
        gateway.metrics().await.value("gateway_mirror_requests_total", &[])
    });
    assert_eq!(counted.await, 1.0);
}

#[tokio::test]
async fn a_websocket_is_not_mirrored() {
    let (app, shadow) = (WebSocketOrigin::start().await, Origin::saying("shadow").await);
    let gateway = between(&app, &shadow, "").await;
    let socket = open_websocket(gateway.connect().await, "/live").await;
    copies(&gateway, "skipped", 1).await;
    drop(socket);
    assert_eq!(shadow.requests().len(), 0);
}
