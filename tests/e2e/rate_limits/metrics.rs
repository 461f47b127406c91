//! Who is refused, as metrics tell it: the first by name, and the rest together.

use super::{of, over, started, statuses, with};
use crate::support::{Origin, Setup};

const REFUSED: &str = "gateway_rate_limited_requests_total";

#[tokio::test]
async fn who_is_refused_has_a_name_until_there_are_too_many() {
    let (gateway, _origin) = started("name: own, key: everybody, limit: 1/h").await;
    let mut client = gateway.connect().await;
    assert_eq!(client.request(&of("203.0.113.1")).await.status, 200);
    for number in 1..=25 {
        statuses(&mut client, 2, &of(&format!("203.0.113.{number}"))).await;
    }
    let by = |client| [("client_id", client), ("route", "all")];
    gateway.metric(REFUSED, &by("203.0.113.1"), 2.0).await;
    gateway.metric(REFUSED, &by("203.0.113.20"), 2.0).await;
    gateway.metric(REFUSED, &by("203.0.113.21"), 0.0).await;
    gateway.metric(REFUSED, &by("other"), 10.0).await;
    let limit = [("limit", "routes.all:own"), ("outcome", "refused")];
    gateway.metric("gateway_rate_limit_decisions_total", &limit, 50.0).await;
    gateway.metric("gateway_rate_limit_callers", &limit[..1], 1.0).await;
}

#[tokio::test]
async fn a_consumer_is_known_by_its_name() {
    const DOCUMENT: &str = r#"
consumers:
  - name: acme
    credentials: {api_key_sha256: afacab3575137afa4e00d9cbcafcb14c9ae25f779d964eb0ea5b2c4eb5dfd163}
policies: {auth: {api_key: {from: [header.x-api-key]}}}
services: {app: {url: "http://<app>"}}
routes:
  - name: orders
    match: {path: {prefix: /}}
    service: app
    policies: {rate_limit: [{name: own, key: $(consumer.name), limit: 1/h}]}
"#;
    let origin = Origin::saying("hello").await;
    let gateway = Setup::new(DOCUMENT).with("app", &origin).start().await;
    let request = with("/", "X-Api-Key: acme-key\r\n");
    assert_eq!(gateway.request(&request).await.status, 200);
    over(&gateway.request(&request).await, "own");
    gateway.metric(REFUSED, &[("client_id", "acme"), ("route", "orders")], 1.0).await;
}
