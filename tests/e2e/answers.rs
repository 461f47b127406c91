//! Answers that the gateway gives by itself: `respond` and `redirect`.

use crate::support::{Client, Gateway, H2Client, Setup, check, eventually};
use http::Request;
use std::io::Write;

/// One route for `/a` with this answer and these policies.
fn document(answer: &str, policies: &str) -> String {
    format!(
        "policies: {{auth: none}}\n\
         routes:\n\
         - name: a\n  \
           match: {{path: {{prefix: /a}}}}\n  \
           {answer}\n  \
           policies: {{{policies}}}\n"
    )
}

async fn gateway(answer: &str) -> Gateway {
    Setup::new(&document(answer, "")).start().await
}

const GONE: &str =
    "respond: {status: 410, headers: {x-why: \"is gone\"}, body: moved to /api/v1/exports}";

// respond

#[tokio::test]
async fn a_fixed_answer_has_its_status_fields_and_body() {
    let gateway = gateway(GONE).await;
    let response = gateway.get("/a/b").await;
    assert_eq!((response.status, response.text()), (410, "moved to /api/v1/exports"));
    assert_eq!(response.get("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(response.get("content-length"), Some("24"));
    assert_eq!(response.get("x-why"), Some("is gone"));
    assert!(response.get("x-request-id").is_some());
}

#[tokio::test]
async fn head_gets_the_length_of_a_body_that_it_does_not_get() {
    let gateway = gateway(GONE).await;
    let mut client = gateway.connect().await;
    let response = client.request("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((response.status, response.get("content-length")), (410, Some("24")));
    // A body would be taken for the next head.
    assert_eq!(client.get("/a").await.status, 410);
}

#[tokio::test]
async fn an_answer_without_a_body_leaves_the_connection_usable() {
    for (status, length) in [(204, None), (304, None), (205, Some("0")), (200, Some("0"))] {
        let gateway = gateway(&format!("respond: {{status: {status}}}")).await;
        let mut client = gateway.connect().await;
        for _ in 0..2 {
            let response = client.get("/a").await;
            assert_eq!((response.status, response.get("content-length")), (status, length));
            assert_eq!(response.get("content-type"), None);
            assert_eq!(response.head.all("transfer-encoding").len(), 0);
        }
    }
}

#[tokio::test]
async fn values_are_put_into_fields_and_bodies() {
    let answer = r#"respond: {headers: {x-id: $(query.id), x-by: $(header.x-no)}, body: "<$(query.id)> by <$(header.x-no)>"}"#;
    let gateway = gateway(answer).await;
    let response = gateway.get("/a?id=7").await;
    assert_eq!((response.get("x-id"), response.get("x-by")), (Some("7"), None));
    assert_eq!(response.text(), "<7> by <>");
    let response = gateway.get("/a?id=a%0d%0aX-Forged:%201").await;
    assert_eq!((response.get("x-id"), response.get("x-forged")), (None, None));
}

#[tokio::test]
async fn a_value_stays_inside_its_string_of_json() {
    let answer =
        r#"respond: {headers: {content-type: application/json}, body: '{"id": "$(query.id)"}'}"#;
    let gateway = gateway(answer).await;
    let response = gateway.get("/a?id=%22,%22admin%22:true,%22x%22:%22").await;
    assert_eq!(response.json(), serde_json::json!({"id": "\",\"admin\":true,\"x\":\""}));
}

#[tokio::test]
async fn a_fixed_answer_passes_the_policies_of_its_route() {
    let policies = "request_size: {body: 10B}, \
                    transform: {response: {headers: {set: {x-frame-options: DENY}}}}";
    let gateway = Setup::new(&document(GONE, policies)).start().await;
    let response = gateway.get("/a").await;
    assert_eq!((response.status, response.get("x-frame-options")), (410, Some("DENY")));
    let large = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n01234567890";
    gateway.request(large).await.problem(413);
    let policies = "ip_filter: {deny: [127.0.0.1]}";
    let gateway = Setup::new(&document(GONE, policies)).start().await;
    gateway.get("/a").await.problem(403);
}

#[tokio::test]
async fn a_fixed_answer_is_counted_and_logged_with_its_route_and_without_a_service() {
    let gateway = gateway(GONE).await;
    gateway.get("/a").await;
    let line = &gateway.access_log(1).await[0];
    assert_eq!((line["route"].as_str(), line["status"].as_u64()), (Some("a"), Some(410)));
    assert_eq!((line.get("service"), line["attempts"].as_u64()), (None, Some(0)));
    let labels = [("route", "a"), ("status_code", "410"), ("method", "GET")];
    gateway.metric("gateway_requests_total", &labels, 1.0).await;
}

#[tokio::test]
async fn a_fixed_answer_is_given_over_http_2_whether_the_body_has_come_or_not() {
    let gateway =
        Setup::new(&document(GONE, "")).listener("protocols: [h2c, http/1.1]").start().await;
    let client = gateway.connect_h2().await;
    assert_eq!(client.get("/a").await.body, b"moved to /api/v1/exports");
    let post = || Request::post("http://gateway.test/a").body(()).unwrap();
    let response = client.request(post(), "small").await.unwrap();
    assert_eq!(response.status, 410);
    let (response, _body) = client.begin(post()).await;
    assert_eq!(H2Client::read(response).await.unwrap().status, 410);
    assert_eq!(client.get("/a").await.status, 410);
}

// Bodies that nobody waits for

#[tokio::test]
async fn a_small_body_leaves_the_connection_usable() {
    let gateway = gateway(GONE).await;
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = hidden.len();
    let mut client = gateway.connect().await;
    for request in [
        format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{hidden}"),
        format!(
            "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             {length:x}\r\n{hidden}\r\n0\r\n\r\n"
        ),
    ] {
        let response = client.request(&request).await;
        assert_eq!((response.status, response.head.lists("connection", "close")), (410, false));
    }
    assert_eq!(client.get("/a/next").await.status, 410);
    let targets: Vec<_> =
        gateway.access_log(3).await.iter().map(|line| line["path"].clone()).collect();
    assert_eq!(targets, ["/a", "/a", "/a/next"]);
}

#[tokio::test]
async fn an_answer_does_not_wait_for_the_body() {
    let gateway = gateway(GONE).await;
    let mut client = gateway.connect().await;
    client.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n").await;
    assert_eq!(client.response().await.status, 410);
    client.send("bodyGET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.response().await.status, 410);
    let lines = gateway.access_log(2).await;
    assert_eq!(lines[0]["bytes_in"], 4);
}

#[tokio::test]
async fn a_large_body_closes_the_connection_and_the_client_is_told() {
    let gateway = gateway(GONE).await;
    let mut client = gateway.connect().await;
    client.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!((response.status, response.head.lists("connection", "close")), (410, true));
    assert_eq!(client.closed().await, 0);
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_the_answer_and_the_end() {
    let gateway = gateway(GONE).await;
    let mut client = gateway.connect().await;
    client
        .send("POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .await;
    let response = client.head().await;
    assert_eq!((response.status, response.head.lists("connection", "close")), (410, true));
}

#[tokio::test]
async fn chunks_without_an_end_close_the_connection() {
    let gateway = gateway(GONE).await;
    let mut client: Client = gateway.connect().await;
    client.send("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert_eq!(client.response().await.status, 410);
    let chunk = format!("2000\r\n{}\r\n", "x".repeat(0x2000));
    // So often that no buffer on the way takes it all.
    let mut sent = 0;
    while sent < 10_000 && client.try_send(&chunk).await {
        sent += 1;
    }
    assert!(sent < 10_000, "{sent} chunks were taken");
}

#[tokio::test]
async fn a_refused_request_with_a_small_body_leaves_the_connection_usable() {
    let gateway = gateway(GONE).await;
    let mut client = gateway.connect().await;
    let request = "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    client.request(request).await.problem(404);
    assert_eq!(client.get("/a").await.status, 410);
}

#[tokio::test]
async fn requests_sent_ahead_behind_a_body_are_answered_in_order() {
    let gateway = gateway("respond: {body: $(request.path)}").await;
    let mut client = gateway.connect().await;
    client
        .send(
            "POST /a/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody\
             GET /a/2 HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .await;
    assert_eq!(client.response().await.text(), "/a/1");
    assert_eq!(client.response().await.text(), "/a/2");
}

// redirect

async fn location(redirect: &str, target: &str) -> (u16, Option<String>) {
    let gateway = gateway(&format!("redirect: {redirect}")).await;
    let request = format!("GET {target} HTTP/1.1\r\nHost: shop.example:8080\r\n\r\n");
    let response = gateway.request(&request).await;
    (response.status, response.get("location").map(str::to_owned))
}

#[tokio::test]
async fn a_redirect_says_where_and_how() {
    let docs = "{to: \"https://docs.example.com/\", status: 308}";
    let said = location(docs, "/a?q=1").await;
    assert_eq!(said, (308, Some("https://docs.example.com/".into())));
    let said = location("{scheme: https}", "/a/b?q=1").await;
    assert_eq!(said, (307, Some("https://shop.example/a/b?q=1".into())));
    let said = location("{to: \"/new/$(query.q)\", status: 301}", "/a?q=x%2Fy").await;
    assert_eq!(said, (301, Some("/new/x%2Fy".into())));
}

#[tokio::test]
async fn a_redirect_that_lacks_a_value_is_a_404() {
    let gateway = gateway("redirect: {to: \"/new/$(query.q)\"}").await;
    gateway.get("/a").await.problem(404);
}

#[tokio::test]
async fn a_redirected_request_with_a_body_leaves_the_connection_usable() {
    let gateway = gateway("redirect: {to: /b}").await;
    let mut client = gateway.connect().await;
    let request = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    let response = client.request(request).await;
    assert_eq!((response.status, response.get("content-length")), (307, Some("0")));
    assert_eq!(client.get("/a").await.get("location"), Some("/b"));
}

// What the check says

/// What `check` says of a document with this answer.
fn said(answer: &str) -> String {
    let mut file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    let listeners = "version: 1\nlisteners: [{name: main, address: \"127.0.0.1:18080\"}]\n";
    writeln!(file, "{listeners}services: {{app: {{url: \"http://127.0.0.1:9\"}}}}").unwrap();
    file.write_all(document(answer, "").as_bytes()).unwrap();
    check(file.path()).1
}

#[test]
fn a_route_with_two_answers_is_refused_at_the_second() {
    let said = said("service: app\n  respond: {status: 410}");
    assert!(said.contains(":9:"), "{said}");
    assert!(said.contains("`service`") && said.contains("`respond`"), "{said}");
}

#[test]
fn an_answer_that_cannot_be_given_is_refused_where_it_stands() {
    for (answer, words) in [
        ("respond: {status: 101}", "101 is interim"),
        ("respond: {status: 204, body: a}", "has no body"),
        ("redirect: {to: \"$(query.to)\"}", "a client would choose the host"),
        ("redirect: {to: /b, status: 200}", "200 does not redirect"),
    ] {
        let said = said(answer);
        assert!(said.contains(":8:") && said.contains(words), "{answer}: {said}");
    }
}

#[tokio::test]
async fn a_document_needs_no_service_where_the_gateway_answers() {
    let gateway = gateway(GONE).await;
    let status = eventually("readiness", async || gateway.readiness().await).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn what_a_path_names_is_put_into_answers() {
    let template =
        |answer: &str| document(answer, "").replace("{prefix: /a}", "{template: \"/a/{id}\"}");
    let answer = "respond: {headers: {x-id: $(path.id)}, body: \"<$(path.id)>\"}";
    let gateway = Setup::new(&template(answer)).start().await;
    let response = gateway.get("/a/x%20y").await;
    assert_eq!((response.get("x-id"), response.text()), (Some("x y"), "<x y>"));
    let redirect = template("redirect: {to: \"https://b.example/$(path.id)\"}");
    let gateway = Setup::new(&redirect).start().await;
    let response = gateway.get("/a/x%20y").await;
    assert_eq!(response.get("location"), Some("https://b.example/x%20y"));
    let said = said("redirect: {to: /b/$(path.nr)}");
    assert!(said.contains("has no `{nr}` in its path"), "{said}");
}
