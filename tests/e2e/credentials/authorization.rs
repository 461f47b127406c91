//! The field `Authorization`: read as RFC 9110 has it, and taken out on the way.

use super::{ACME, OPS, basic, gateway, request, with};
use crate::identity::token_with;
use http::Request;
use serde_json::json;

#[tokio::test]
async fn it_is_taken_out_on_every_route_that_does_not_say_otherwise() {
    let (gateway, origin) = gateway().await;
    let bearer = format!("Bearer {}", token_with(json!({})));
    let ops = basic(format!("ops:{OPS}"));
    for (target, value) in [
        ("/jwt", &*bearer),
        ("/open", &bearer),
        ("/open", &ops),
        ("/open", "Digest username=\"a\", realm=\"b\""),
        ("/open", "not well formed at all, \"\t"),
        ("/basic", &ops),
        ("/all", &bearer),
        ("/optional", &bearer),
    ] {
        let response = gateway.request(&with(target, value)).await;
        assert_eq!(response.status, 200, "{target} {value}: {}", response.text());
        assert_eq!(origin.last().get("authorization"), None, "{target} {value}");
    }
    let lines = format!("X-API-Key: {ACME}\r\nAuthorization: Digest a=b\r\n");
    assert_eq!(gateway.request(&request("/key", &lines)).await.status, 200);
    assert_eq!(origin.last().get("authorization"), None);
    for target in ["/forwarded", "/relayed"] {
        assert_eq!(gateway.request(&with(target, &bearer)).await.status, 200);
        assert_eq!(origin.last().get("authorization"), Some(&*bearer));
    }
    let said = "Digest username=\"a\",  realm=\"b\"";
    assert_eq!(gateway.request(&with("/relayed", said)).await.status, 200);
    assert_eq!(origin.last().get("authorization"), Some(said));
}

#[tokio::test]
async fn two_lines_are_not_clear() {
    let (gateway, origin) = gateway().await;
    let token = token_with(json!({}));
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let ops = format!("authorization: {}\r\n", basic(format!("ops:{OPS}")));
    for lines in [
        bearer.repeat(2),
        format!("{bearer}{ops}"),
        format!("{ops}{bearer}"),
        format!("{bearer}Authorization:\r\n"),
    ] {
        for target in ["/jwt", "/basic", "/all", "/both", "/optional"] {
            let problem = gateway.request(&request(target, &lines)).await.problem(400);
            assert_eq!(problem["title"], "Credentials Ambiguous", "{target} {lines}");
        }
    }
    let h2 = gateway.connect_h2().await;
    let request = Request::get("http://gateway.test/jwt")
        .header("authorization", format!("Bearer {token}"))
        .header("authorization", format!("Bearer {token}"));
    let response = h2.request(request.body(()).unwrap(), "").await.unwrap();
    assert_eq!(response.status, 400);
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn a_value_that_is_not_a_scheme_and_one_token_proves_nothing() {
    let (gateway, origin) = gateway().await;
    let token = token_with(json!({}));
    for value in [
        format!("Bearer\t{token}"),
        format!("Bearer{token}"),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token},"),
        format!("Bearer {token} more"),
        format!("Bearer {token};a=b"),
        format!("Bearer \"{token}\""),
        format!("Bearer token={token}"),
        format!("Bearer: {token}"),
        format!("\"Bearer\" {token}"),
        format!("Bearer \t{token}"),
        format!("Bearer {token}\u{e9}"),
        format!("B\u{e9}arer {token}"),
        format!("Bearer Bearer {token}"),
        format!(", Bearer {token}"),
        format!("Bearer {token}="),
        token.clone(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "bearer =".to_owned(),
        String::new(),
    ] {
        for target in ["/jwt", "/optional"] {
            let response = gateway.request(&with(target, &value)).await;
            // What is a scheme of its own is none of the route's credentials: nothing was shown.
            let is_other = value.strip_prefix("Bearer").is_some_and(|rest| rest.starts_with("eyJ"))
                || value == token;
            let passes = is_other && target == "/optional";
            assert_eq!(response.status, if passes { 200 } else { 401 }, "{target} {value:?}");
            if passes {
                assert_eq!(origin.last().get("x-user-id"), None, "{value:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_scheme_is_written_in_any_case_and_may_have_several_spaces_after_it() {
    let (gateway, origin) = gateway().await;
    let token = token_with(json!({}));
    for scheme in ["bearer", "BEARER", "bEaReR", "Bearer  ", " Bearer", "\tBearer"] {
        let response = gateway.request(&with("/jwt", &format!("{scheme} {token} \t"))).await;
        assert_eq!(response.status, 200, "{scheme:?}");
        assert_eq!(origin.last().get("x-user-id"), Some("alice"));
    }
    let ops = basic(format!("ops:{OPS}"));
    for scheme in ["basic", "BASIC", "Basic  "] {
        let response = gateway.request(&with("/basic", &ops.replace("Basic", scheme))).await;
        assert_eq!(response.status, 200, "{scheme:?}");
    }
}
