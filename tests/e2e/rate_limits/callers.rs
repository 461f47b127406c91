//! Whom a limit counts, how much that caller may have, and who is not limited.

use super::{behind_a_proxy, by, let_through, limited, of, over, started, statuses, with};
use crate::identity::{jwt, token_with};
use crate::support::{Origin, Setup};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;

#[tokio::test]
async fn a_stranger_cannot_choose_the_address_that_it_counts_as() {
    let origin = Origin::saying("hello").await;
    let setup = Setup::one_route("rate_limit: [{name: own, key: $(client.ip), limit: 2/h}]");
    let gateway = setup.with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    let_through(&statuses(&mut client, 2, &of("203.0.113.1")).await, 2);
    let_through(&statuses(&mut client, 1, &of("203.0.113.2")).await, 0);
}

#[tokio::test]
async fn addresses_of_one_ipv6_network_share() {
    let (gateway, _origin) = started("name: own, key: $(client.ip), limit: 2/h").await;
    let mut client = gateway.connect().await;
    let_through(&statuses(&mut client, 1, &of("2001:db8::1")).await, 1);
    let_through(&statuses(&mut client, 1, &of("2001:db8:0:0:ffff::2")).await, 1);
    let_through(&statuses(&mut client, 1, &of("2001:db8::3")).await, 0);
    let_through(&statuses(&mut client, 1, &of("2001:db8:0:1::1")).await, 1);
}

#[tokio::test]
async fn how_much_of_an_ipv6_address_counts_can_be_said() {
    let limit = "name: own, key: $(client.ip), limit: 1/h, ipv6_prefix: 128";
    let (gateway, _origin) = started(limit).await;
    let mut client = gateway.connect().await;
    let_through(&statuses(&mut client, 2, &of("2001:db8::1")).await, 1);
    let_through(&statuses(&mut client, 2, &of("2001:db8::2")).await, 1);
}

#[tokio::test]
async fn who_lacks_the_key_shares_with_everybody_else_who_does() {
    let (gateway, _origin) = started("name: own, key: $(header.x-account), limit: 1/h").await;
    let mut client = gateway.connect().await;
    let_through(&statuses(&mut client, 1, &of("203.0.113.1")).await, 1);
    let_through(&statuses(&mut client, 1, &of("203.0.113.2")).await, 0);
    for account in ["a", "b"] {
        let request = with("/", &format!("X-Account: {account}\r\n"));
        let_through(&statuses(&mut client, 2, &request).await, 1);
    }
}

#[tokio::test]
async fn the_name_of_the_route_in_a_key_gives_each_route_its_own_share() {
    const DOCUMENT: &str = r#"
policies:
  auth: none
  rate_limit:
    - {name: each, key: $(client.ip)/$(route.name), limit: 1/h, headers: none}
services: {app: {url: "http://<app>"}}
routes:
  - {name: one, match: {path: {prefix: /one}}, service: app}
  - {name: two, match: {path: {prefix: /two}}, service: app}
"#;
    let origin = Origin::saying("hello").await;
    let gateway = Setup::new(DOCUMENT).with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    for route in ["/one", "/two"] {
        let_through(&statuses(&mut client, 2, &with(route, "")).await, 1);
    }
}

/// The tiers of scenario L3 with a hundredth of each; a consumer is called as its tier and key are.
fn plans() -> String {
    let hash = |key: &str| {
        let hash = digest(&SHA256, key.as_bytes());
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let consumers = ["free", "starter", "business"].map(|name| {
        format!(
            "  - {{name: {name}, tier: {name}, credentials: {{api_key_sha256: {}}}}}\n",
            hash(name)
        )
    });
    format!(
        r#"
consumers:
{}  - {{name: boss, tier: free, roles: [admin], credentials: {{api_key_sha256: {}}}}}
policies:
  auth: {{api_key: {{from: [header.x-api-key]}}, optional: true}}
  rate_limit:
    - name: plan
      key: $(consumer.name ?? client.ip)
      tiers: {{starter: 3/h, free: 1/h, business: 100/h}}
      exempt: {{roles: [admin]}}
services: {{app: {{url: "http://<app>"}}}}
routes:
  - {{name: all, match: {{path: {{prefix: /}}}}, service: app}}
"#,
        consumers.concat(),
        hash("boss")
    )
}

#[tokio::test]
async fn a_consumer_has_what_its_tier_has() {
    let origin = Origin::saying("hello").await;
    let gateway = behind_a_proxy(Setup::new(&plans())).with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    for (consumer, has) in [("free", 1), ("starter", 3), ("business", 100)] {
        let request = with("/", &format!("X-Api-Key: {consumer}\r\n"));
        let first = client.request(&request).await;
        let policy = format!("\"plan\";q={has};w=3600");
        assert_eq!(first.get("ratelimit-policy"), Some(policy.as_str()));
        let_through(&statuses(&mut client, has, &request).await, has - 1);
    }
    // Who is no consumer has the smallest share, each address its own.
    for address in ["203.0.113.1", "203.0.113.2"] {
        let_through(&statuses(&mut client, 2, &of(address)).await, 1);
    }
}

#[tokio::test]
async fn who_has_an_exempt_role_is_not_limited() {
    let origin = Origin::saying("hello").await;
    let gateway = behind_a_proxy(Setup::new(&plans())).with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    for _ in 0..5 {
        let told = client.request(&with("/", "X-Api-Key: boss\r\n")).await;
        assert_eq!((told.status, told.get("ratelimit")), (200, None));
    }
}

#[tokio::test]
async fn the_roles_of_a_token_exempt_as_well() {
    let policies = format!(
        "auth: {{{}}}, rate_limit: [{{name: own, key: $(client.ip), limit: 1/h, \
         exempt: {{roles: [admin]}}}}]",
        jwt()
    );
    let document = crate::support::ONE_SERVICE.replace("policies: {auth: none}\n", "");
    let origin = Origin::saying("hello").await;
    let setup = Setup::new(&document).route_policies(&policies).with("app", &origin);
    let gateway = setup.start().await;
    let mut client = gateway.connect().await;
    let token = token_with(json!({"roles": ["admin"]}));
    let admin = with("/", &format!("Authorization: Bearer {token}\r\n"));
    let_through(&statuses(&mut client, 3, &admin).await, 3);
    let_through(&statuses(&mut client, 2, &by("ann", "/")).await, 1);
}

#[tokio::test]
async fn addresses_of_an_exempt_network_are_not_limited() {
    let limit = "name: own, key: everybody, limit: 1/h, exempt: {networks: [10.0.0.0/8]}";
    let origin = Origin::saying("hello").await;
    let gateway = limited(limit).with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    let_through(&statuses(&mut client, 3, &of("10.1.2.3")).await, 3);
    let_through(&statuses(&mut client, 2, &of("203.0.113.1")).await, 1);
    over(&client.request(&of("203.0.113.2")).await, "own");
}
