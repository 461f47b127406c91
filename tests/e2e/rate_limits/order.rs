//! Which limits hold, and when each is judged.

use super::{by, let_through, over, statuses, with};
use crate::identity::{jwt, token_with};
use crate::support::{Gateway, Origin, Setup};
use serde_json::json;

const SERVICE: &str = r#"
services: {app: {url: "http://<app>"}}
routes:
  - {name: all, match: {path: {prefix: /}}, service: app}
"#;

/// A gateway with these policies for all.
async fn with_policies(policies: &str) -> (Gateway, Origin) {
    let origin = Origin::saying("hello").await;
    let document = format!("policies: {{{policies}}}\n{SERVICE}");
    (Setup::new(&document).with("app", &origin).start().await, origin)
}

#[tokio::test]
async fn who_guesses_at_credentials_is_limited_by_its_address() {
    let limit = "rate_limit: [{name: per-ip, key: $(client.ip), limit: 3/h}]";
    let (gateway, origin) = with_policies(&format!("auth: {{{}}}, {limit}", jwt())).await;
    let mut client = gateway.connect().await;
    for number in 0..3 {
        let guess = with("/", &format!("Authorization: Bearer guess.{number}.x\r\n"));
        client.request(&guess).await.problem(401);
    }
    over(&client.request(&with("/", "Authorization: Bearer a.b.c\r\n")).await, "per-ip");
    // Nor is a good token heard any more, since it would tell a guesser that it is one.
    over(&client.request(&by("ann", "/")).await, "per-ip");
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn what_auth_or_authorize_refuse_costs_a_user_nothing() {
    let limit = "rate_limit: [{name: per-user, key: $(identity.sub), limit: 2/h}]";
    let policies = format!("auth: {{{}}}, authorize: {{all: [\"role:staff\"]}}, {limit}", jwt());
    let (gateway, _origin) = with_policies(&policies).await;
    let mut client = gateway.connect().await;
    for _ in 0..3 {
        let refused = client.get("/").await;
        refused.problem(401);
        assert_eq!(refused.get("ratelimit"), None);
        client.request(&by("ann", "/")).await.problem(403);
    }
    let token = token_with(json!({"sub": "ann", "roles": ["staff"]}));
    let staff = with("/", &format!("Authorization: Bearer {token}\r\n"));
    let_through(&statuses(&mut client, 3, &staff).await, 2);
}

#[tokio::test]
async fn what_one_limit_refuses_costs_nothing_at_the_others() {
    let limits = "rate_limit: [{name: wide, key: a, limit: 4/h}, \
                  {name: narrow, key: $(header.x-account), limit: 1/h}]";
    let (gateway, _origin) = with_policies(&format!("auth: none, {limits}")).await;
    let mut client = gateway.connect().await;
    let account = |name: &str| with("/", &format!("X-Account: {name}\r\n"));
    let_through(&statuses(&mut client, 10, &account("one")).await, 1);
    for name in ["two", "three", "four"] {
        let_through(&statuses(&mut client, 1, &account(name)).await, 1);
    }
    over(&client.request(&account("five")).await, "wide");
}

#[tokio::test]
async fn a_refusal_behind_auth_gives_back_what_was_taken_there_and_not_before() {
    let limits = "rate_limit: [{name: per-ip, key: $(client.ip), limit: 5/h}, \
                  {name: one, key: $(identity.sub), limit: 9/h}, \
                  {name: two, key: $(identity.sub), limit: 1/h}]";
    let (gateway, _origin) = with_policies(&format!("auth: {{{}}}, {limits}", jwt())).await;
    let mut client = gateway.connect().await;
    assert_eq!(client.request(&by("ann", "/")).await.status, 200);
    over(&client.request(&by("ann", "/")).await, "two");
    let told = client.request(&by("ann", "/")).await;
    // Guesses and refusals cost the address, which is judged before anybody is known.
    let left = told.get("ratelimit").unwrap();
    assert!(left.starts_with("\"per-ip\";r=2;"), "{left}");
    let known = gateway.ask("/rate-limits/policies:one?key=ann").await.json();
    assert_eq!(known["remaining"], 8);
}

/// Limits of all, and routes that change them.
const SCOPES: &str = r#"
policies:
  auth: none
  rate_limit: [{name: own, key: $(client.ip), limit: 2/h}]
services: {app: {url: "http://<app>"}}
routes:
  - {name: as-all, match: {path: {prefix: /as-all}}, service: app}
  - name: free
    match: {path: {prefix: /free}}
    service: app
    policies: {rate_limit: none}
  - name: more
    match: {path: {prefix: /more}}
    service: app
    policies: {rate_limit: [{name: own, key: $(client.ip), limit: 4/h}]}
  - name: both
    match: {path: {prefix: /both}}
    service: app
    policies: {rate_limit: [{name: other, key: $(client.ip), limit: 1/h}]}
"#;

#[tokio::test]
async fn a_route_lifts_limits_replaces_those_of_the_same_name_and_adds_others() {
    let origin = Origin::saying("hello").await;
    let gateway = Setup::new(SCOPES).with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    let_through(&statuses(&mut client, 6, &with("/free", "")).await, 6);
    assert_eq!(client.get("/free").await.get("ratelimit"), None);
    // It has a share of its own, since it is another limit.
    let_through(&statuses(&mut client, 5, &with("/more", "")).await, 4);
    let_through(&statuses(&mut client, 1, &with("/both", "")).await, 1);
    over(&client.get("/both").await, "other");
    let_through(&statuses(&mut client, 2, &with("/as-all", "")).await, 1);
    over(&client.get("/both").await, "own");
}
