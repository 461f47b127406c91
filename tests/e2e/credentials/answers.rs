//! What is said to who has shown nothing good: to the client, to the log, to the metrics.

use super::{ACME, gateway, request, with};
use crate::identity::token_with;
use crate::support::Response;
use http::Request;
use serde_json::json;

const MISSING: &str = "credentials-missing";
const EXPIRED: &str = "credentials-expired";
const INVALID: &str = "credentials-invalid";

/// Fails the test unless this is a 401 of this kind with these challenges, and nothing more.
#[track_caller]
fn refused(response: &Response, kind: &str, challenges: &[&str]) {
    let problem = response.problem(401);
    assert_eq!(problem["type"], format!("urn:x-sluicegate:problem:{kind}"));
    let (title, detail) = match kind {
        MISSING => ("Credentials Missing", "this request needs credentials"),
        EXPIRED => ("Credentials Expired", "the credentials have expired"),
        _ => ("Credentials Invalid", "the credentials are not valid here"),
    };
    assert_eq!((&problem["title"], &problem["detail"]), (&title.into(), &detail.into()));
    let mut members: Vec<&String> = problem.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["detail", "requestId", "status", "title", "type"]);
    assert_eq!(response.head.all("www-authenticate"), challenges);
    assert_eq!(response.get("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn missing_expired_and_invalid_are_told_apart_with_a_challenge_for_each_way() {
    let (gateway, origin) = gateway().await;
    let expired = format!("Bearer {}", token_with(json!({"exp": 1_000_000_000})));
    let other = format!("Bearer {}", token_with(json!({"iss": "other"})));
    let bearer = |realm: &str, description: &str| match description {
        "" => format!("Bearer realm=\"{realm}\""),
        what => format!(
            "Bearer realm=\"{realm}\", error=\"invalid_token\", error_description=\"the token {what}\""
        ),
    };
    let basic = |realm: &str| format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
    let key = "ApiKey realm=\"sluicegate\"".to_owned();
    for (target, realm, others) in [
        ("/jwt", "sluicegate", vec![]),
        ("/both", "both of them", vec![basic("both of them")]),
        ("/all", "sluicegate", vec![basic("sluicegate"), key.clone()]),
    ] {
        for (line, kind, description) in [
            ("", MISSING, ""),
            (&*expired, EXPIRED, "has expired"),
            (&other, INVALID, "is not valid"),
            ("Bearer x", INVALID, "is not valid"),
            ("Bearer a b", INVALID, "is not valid"),
        ] {
            let request = if line.is_empty() { request(target, "") } else { with(target, line) };
            let response = gateway.request(&request).await;
            let first = bearer(realm, description);
            let challenges: Vec<&str> =
                [&first].into_iter().chain(&others).map(String::as_str).collect();
            refused(&response, kind, &challenges);
        }
    }
    refused(&gateway.request(&request("/key", "")).await, MISSING, &[&key]);
    refused(&gateway.request(&request("/key", "X-API-Key: x\r\n")).await, INVALID, &[&key]);
    refused(&gateway.request(&request("/basic", "")).await, MISSING, &[&basic("partners")]);
    refused(&gateway.request(&with("/basic", "Basic eDp5")).await, INVALID, &[&basic("partners")]);
    // No token was shown that could be wrong (RFC 6750 §3.1).
    let plain = [bearer("sluicegate", ""), basic("sluicegate"), key];
    let plain = plain.each_ref().map(String::as_str);
    refused(&gateway.request(&request("/all", "X-API-Key: x\r\n")).await, INVALID, &plain);
    refused(&gateway.request(&with("/all", "Basic eDp5")).await, INVALID, &plain);
    refused(&gateway.request(&with("/all", "Digest a=b")).await, MISSING, &plain);
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn http2_says_the_same() {
    let (gateway, _origin) = gateway().await;
    let client = gateway.connect_h2().await;
    for (target, authorization, kind, challenges) in [
        ("/all", None, MISSING, 3),
        ("/all", Some("Bearer x"), INVALID, 3),
        ("/jwt", Some("Bearer\tx"), INVALID, 1),
        ("/key", None, MISSING, 1),
    ] {
        let request = Request::post(format!("http://gateway.test{target}"));
        let request =
            authorization.into_iter().fold(request, |r, value| r.header("authorization", value));
        let response = client.request(request.body(()).unwrap(), "a body").await.unwrap();
        assert_eq!(response.status, 401, "{target}");
        assert_eq!(response.headers["content-type"], "application/problem+json");
        let problem: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(problem["type"], format!("urn:x-sluicegate:problem:{kind}"));
        assert_eq!(response.headers.get_all("www-authenticate").iter().count(), challenges);
    }
}

#[tokio::test]
async fn a_page_of_another_origin_may_read_a_401_and_a_403() {
    let (gateway, origin) = gateway().await;
    let page = "Origin: https://app.example.com\r\n";
    let missing = gateway.request(&request("/shared", page)).await;
    missing.problem(401);
    let lines = format!("{page}Authorization: Bearer {}\r\n", token_with(json!({})));
    let forbidden = gateway.request(&request("/shared", &lines)).await;
    forbidden.problem(403);
    for response in [missing, forbidden] {
        assert_eq!(response.get("access-control-allow-origin"), Some("https://app.example.com"));
    }
    let preflight = format!(
        "OPTIONS /shared HTTP/1.1\r\nHost: a\r\n{page}Access-Control-Request-Method: GET\r\n\
         Access-Control-Request-Headers: authorization\r\n\r\n"
    );
    let response = gateway.request(&preflight).await;
    assert_eq!(response.status, 204);
    assert_eq!(response.get("access-control-allow-headers"), Some("authorization"));
    // What asks for nothing is no preflight.
    let options = format!("OPTIONS /shared HTTP/1.1\r\nHost: a\r\n{page}\r\n");
    gateway.request(&options).await.problem(401);
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn a_connection_outlives_a_401_and_the_small_body_of_what_it_refuses() {
    let (gateway, origin) = gateway().await;
    let mut client = gateway.connect().await;
    for round in 0..3 {
        let post = "POST /jwt HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n\
             GET /open/hidden HTTP/1.1\r\nHost: a\r\n\r\n\r\n";
        client.request(post).await.problem(401);
        let chunked = "POST /jwt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             4\r\nbody\r\n0\r\n\r\n";
        client.request(chunked).await.problem(401);
        assert_eq!(client.get("/open").await.status, 200);
        assert_eq!(origin.requests().len(), round + 1);
    }
    assert!(origin.requests().iter().all(|seen| seen.target == "/open"));
}

#[tokio::test]
async fn the_log_hears_the_reason_and_who_it_was_and_the_metrics_count_it() {
    let (gateway, _origin) = gateway().await;
    let mut client = gateway.connect().await;
    let expired = format!("Bearer {}", token_with(json!({"exp": 1_000_000_000})));
    let good = format!("Bearer {}", token_with(json!({"sub": "acme-app"})));
    client.request(&request("/jwt", "")).await.problem(401);
    client.request(&with("/jwt", &expired)).await.problem(401);
    client.request(&with("/jwt", "Bearer x")).await.problem(401);
    client.request(&with("/shared", &good)).await.problem(403);
    client.request(&request("/key", "X-API-Key: x\r\n")).await.problem(401);
    client.request(&request("/key", &format!("X-API-Key: {ACME}\r\n"))).await;
    client.request(&request("/key", &"X-API-Key: x\r\n".repeat(2))).await.problem(400);
    let lines = gateway.access_log(7).await;
    let reason = |number: usize| lines[number]["error"].as_str().unwrap_or_default();
    assert_eq!(reason(0), "no credential was shown");
    assert!(reason(1).starts_with("the token is refused: ") && reason(1).contains("`exp` is past"));
    assert!(reason(2).starts_with("the token is refused: "), "{}", reason(2));
    assert_eq!(reason(3), "not authorised: role:admin is missing");
    assert_eq!((&lines[3]["consumer"], &lines[3]["subject"]), (&"acme".into(), &"acme-app".into()));
    assert_eq!(reason(4), "nobody has this API key");
    assert_eq!((reason(5), &lines[5]["consumer"]), ("", &"acme".into()));
    for (route, way, outcome) in [
        ("jwt", "none", "missing"),
        ("jwt", "jwt", "expired"),
        ("jwt", "jwt", "invalid"),
        ("shared", "jwt", "known"),
        ("key", "api_key", "invalid"),
        ("key", "api_key", "known"),
        ("key", "api_key", "ambiguous"),
    ] {
        let labels = [("route", route), ("way", way), ("outcome", outcome)];
        gateway.metric("gateway_authentications_total", &labels, 1.0).await;
    }
}
