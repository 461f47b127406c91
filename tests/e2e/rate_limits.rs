//! What each caller may have, and what it hears when it wants more. Windows are long, so that no
//! test runs over the edge of one, unless time is what it is about.

mod algorithms;
mod callers;
mod commands;
mod counted;
mod flood;
mod in_flight;
mod metrics;
mod mistakes;
mod order;
mod told;

use crate::identity::token_with;
use crate::support::{Client, Gateway, Origin, Response, Setup};
use serde_json::json;

/// A route for everything, behind this limit; whom `X-Forwarded-For` names is the client.
fn limited(limit: &str) -> Setup {
    behind_a_proxy(Setup::one_route(&format!("rate_limit: [{{{limit}}}]")))
}

/// Believes us whom we ask for.
fn behind_a_proxy(setup: Setup) -> Setup {
    setup.listener("trusted_proxies: [127.0.0.1]")
}

/// Starts a gateway with this limit, before a service that says `hello`.
async fn started(limit: &str) -> (Gateway, Origin) {
    let origin = Origin::saying("hello").await;
    (limited(limit).with("app", &origin).start().await, origin)
}

/// A request with these fields.
fn with(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: gateway.test\r\n{fields}\r\n")
}

/// A request that a proxy passes on for an address.
fn of(address: &str) -> String {
    with("/", &format!("X-Forwarded-For: {address}\r\n"))
}

/// A request of a user.
fn by(user: &str, target: &str) -> String {
    with(target, &format!("Authorization: Bearer {}\r\n", token_with(json!({"sub": user}))))
}

/// Sends the same request so many times, one after the other.
async fn statuses(client: &mut Client, times: usize, request: &str) -> Vec<u16> {
    let mut statuses = Vec::with_capacity(times);
    for _ in 0..times {
        statuses.push(client.request(request).await.status);
    }
    statuses
}

/// Fails the test unless a request is let through so many times, and no more.
#[track_caller]
fn let_through(statuses: &[u16], times: usize) {
    let (admitted, refused) = statuses.split_at(times);
    let is_right =
        admitted.iter().all(|status| *status == 200) && refused.iter().all(|status| *status == 429);
    assert!(is_right, "not {times} of {statuses:?}");
}

/// Fails the test unless a response says that a limit was reached, and gives when to ask again.
#[track_caller]
fn over(response: &Response, limit: &str) -> u64 {
    let problem = response.problem(429);
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["violated-policies"], json!([limit]));
    let seconds = problem["retryAfter"].as_u64().expect("when to ask again");
    assert_eq!(response.get("retry-after"), Some(seconds.to_string().as_str()));
    seconds
}
