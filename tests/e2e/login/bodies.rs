//! The body with the credentials: what is one, how large it may be, and when it has to come.

use super::*;

#[tokio::test]
async fn a_body_that_is_not_said_to_be_plain_json_is_refused() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let mut client = gateway.connect().await;
    for fields in [
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: text/json\r\n",
        "Content-Type: application/jsonp\r\n",
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
        "",
    ] {
        let body = credentials("right");
        let length = body.len();
        let request = format!(
            "POST /auth/login HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
        );
        let response = client.request(&request).await;
        response.problem(415);
        assert_eq!(response.get("accept"), Some("application/json"), "{fields}");
    }
    assert_eq!(client.request(&post(&credentials("right"))).await.status, 200);
    assert_eq!(users.requests().len(), 1);
}

#[tokio::test]
async fn a_body_that_is_no_json_never_comes_to_the_service() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let deep = "[".repeat(10_000);
    let mut client = gateway.connect().await;
    for body in ["", "{", "user=ann", "{} {}", "{\"a\": 01}", "\u{feff}{}", &deep] {
        client.request(&post(body)).await.problem(400);
    }
    assert_eq!(client.request(&post(&credentials("right"))).await.status, 200);
    assert_eq!(users.requests().len(), 1);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_however_it_comes() {
    let (users, app) = parts().await;
    let gateway = Parts { login: "max_body: 64", ..Parts::default() }.start(&users, &app).await;
    let body = |length: usize| format!("{{\"password\":\"right\"{}}}", " ".repeat(length - 20));
    assert_eq!(gateway.request(&post(&body(64))).await.status, 200);
    gateway.request(&post(&body(65))).await.problem(413);
    let chunked = |body: &str| {
        let (one, two) = body.split_at(10);
        format!(
            "POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\na\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
            two.len()
        )
    };
    assert_eq!(gateway.request(&chunked(&body(64))).await.status, 200);
    assert_eq!(users.last().body, body(64).into_bytes());
    assert_eq!(users.last().get("content-length"), Some("64"));
    gateway.request(&chunked(&body(65))).await.problem(413);
    assert_eq!(users.requests().len(), 2);
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_its_body_gets_it_unless_it_is_too_large() {
    let (users, app) = parts().await;
    let gateway = Parts { login: "max_body: 100", ..Parts::default() }.start(&users, &app).await;
    let body = credentials("right");
    let head = |length: usize| {
        format!(
            "POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
             Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut client = gateway.connect().await;
    client.send(head(body.len())).await;
    assert_eq!(client.head().await.status, 100);
    client.send(&body).await;
    assert_eq!(client.response().await.status, 200);
    assert_eq!(users.last().get("expect"), None);
    let mut client = gateway.connect().await;
    client.send(head(101)).await;
    assert_eq!(client.head().await.status, 413);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_408_and_a_client_that_leaves_bothers_nobody() {
    let (users, app) = parts().await;
    let defaults = Parts::default();
    let setup = Setup::new(DOCUMENT).with("users", &users).with("app", &app);
    let setup = setup.with("login", defaults.login).with("policies", defaults.policies);
    let setup = setup.with("signing", defaults.signing).with("trusted", defaults.trusted);
    let setup = setup.with("jwks", "").listener("timeouts: {body: 150ms}");
    let gateway = setup.start().await;
    let mut slow = gateway.connect().await;
    let request = post(&credentials("right"));
    slow.send(&request[..request.len() - 1]).await;
    slow.response().await.problem(408);
    let mut gone = gateway.connect().await;
    gone.send(&request[..request.len() - 1]).await;
    drop(gone);
    assert_eq!(login(&gateway, "right").await.status, 200);
    assert_eq!(users.requests().len(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_while_the_service_thinks_leaves_no_call_behind_for_long() {
    let app = Origin::saying("hello").await;
    let users = Origin::start(|mut call| async move {
        call.body().await;
        call.until_closed().await;
        call.close()
    })
    .await;
    let gateway = Parts { login: "timeout: 300ms", ..Parts::default() };
    let gateway = gateway.start(&users, &app).await;
    let mut client = gateway.connect().await;
    client.send(post(&credentials("right"))).await;
    users.request(1).await;
    gateway.metric("gateway_service_in_flight", &[("service", "users")], 1.0).await;
    drop(client);
    gateway.metric("gateway_service_in_flight", &[("service", "users")], 0.0).await;
}
