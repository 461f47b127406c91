//! The gateway before an OpenID provider that other people wrote: discovery, its signed tokens, its
//! keys as they change, and tokens that only it can read.

mod asked;

use crate::jwt::{assert_refused, bearing, show};
use crate::support::{Gateway, Origin, Provider, Setup, eventually};

/// A gateway that takes the provider's signed tokens.
async fn gateway(provider: &Provider, origin: &Origin) -> Gateway {
    let setup = Setup::one_route(&format!(
        "auth: {{jwt: {{issuer: \"{}\", audience: api, refresh: 1s}}}}",
        provider.issuer()
    ));
    setup.with("app", origin.address()).start().await
}

/// A gateway that asks the provider about tokens, and forgets what it said soon.
async fn asking(provider: &Provider, origin: &Origin, cache: &str) -> Gateway {
    let setup = Setup::one_route(&format!(
        "auth: {{introspection: {{issuer: \"{}\", client: gateway, secret: gateway-secret, \
         audience: api, cache: {cache}}}}}, authorize: {{all: [\"scope:orders.read\"]}}",
        provider.issuer()
    ));
    setup.with("app", origin.address()).start().await
}

#[tokio::test]
async fn tokens_of_each_algorithm_are_good_and_tell_who_is_asking() {
    let (provider, origin) = (Provider::start().await, Origin::saying("hello").await);
    let document = r#"
identity: {headers: {x-user-id: $(identity.sub), x-user-roles: $(identity.roles)}}
services: {app: {url: "http://<app>"}}
routes:
  - name: any
    match: {path: {prefix: /any}}
    service: app
    policies: {auth: {jwt: {issuer: "<issuer>", audience: api}}}
  - name: typed
    match: {path: {prefix: /typed}}
    service: app
    policies:
      auth: {jwt: {issuer: "<issuer>", audience: api, type: at+jwt}}
      authorize: {all: ["scope:orders.read", "role:admin"]}
  - name: other-type
    match: {path: {prefix: /other-type}}
    service: app
    policies: {auth: {jwt: {issuer: "<issuer>", audience: api, type: JWT}}}
  - name: other-audience
    match: {path: {prefix: /other-audience}}
    service: app
    policies: {auth: {jwt: {issuer: "<issuer>", audience: web}}}
  - name: one-algorithm
    match: {path: {prefix: /one-algorithm}}
    service: app
    policies: {auth: {jwt: {issuer: "<issuer>", audience: api, algorithms: ES256}}}
"#;
    let setup = Setup::new(document).with("issuer", provider.issuer());
    let gateway = setup.with("app", origin.address()).start().await;
    let mut client = gateway.connect().await;
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let resource = format!("urn:api:{algorithm}");
        let admin = provider.token("admin", &resource, "orders.read").await;
        for path in ["/any", "/typed"] {
            let response = client.request(&bearing(path, &admin)).await;
            assert_eq!(response.status, 200, "{algorithm}: {}", response.text());
            assert_eq!(origin.last().get("x-user-id"), Some("admin"));
            assert!(origin.last().get("x-user-roles").unwrap().contains("reader"));
        }
        for path in ["/other-type", "/other-audience"] {
            assert_refused(&client.request(&bearing(path, &admin)).await, "invalid_token");
        }
        let response = client.request(&bearing("/one-algorithm", &admin)).await;
        assert_eq!(response.status, if algorithm == "ES256" { 200 } else { 401 });
        let reader = provider.token("orders", &resource, "orders.read").await;
        client.request(&bearing("/typed", &reader)).await.problem(403);
        let writer = provider.token("admin", &resource, "orders.write").await;
        let response = client.request(&bearing("/typed", &writer)).await;
        response.problem(403);
        let challenge = response.get("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
        assert!(challenge.contains("scope=\"orders.read\""), "{challenge}");
    }
}

#[tokio::test]
async fn the_provider_may_change_its_keys_whenever_it_likes() {
    let (mut provider, origin) = (Provider::start().await, Origin::saying("hello").await);
    let gateway = gateway(&provider, &origin).await;
    let mut client = gateway.connect().await;
    let old = provider.token("orders", "urn:api:ES256", "orders.read").await;
    assert_eq!(show(&mut client, &old).await.status, 200);
    for _ in 0..3 {
        provider.rotate().await;
        let new = provider.token("orders", "urn:api:ES256", "orders.read").await;
        assert_eq!(show(&mut client, &new).await.status, 200);
        assert_eq!(show(&mut client, &old).await.status, 200);
    }
    let new = provider.token("orders", "urn:api:ES256", "orders.read").await;
    provider.retire().await;
    let response = eventually("the old keys to be gone", async || {
        assert_eq!(show(&mut client, &new).await.status, 200);
        Some(show(&mut client, &old).await).filter(|response| response.status != 200)
    })
    .await;
    assert_refused(&response, "error=\"invalid_token\"");
}

#[tokio::test]
async fn tokens_stay_good_while_the_provider_is_down_and_no_longer_than_its_keys() {
    let (mut provider, origin) = (Provider::start().await, Origin::saying("hello").await);
    let gateway = gateway(&provider, &origin).await;
    let mut client = gateway.connect().await;
    let before = provider.token("orders", "urn:api:RS256", "orders.read").await;
    let unseen = provider.token("orders", "urn:api:EdDSA", "orders.read").await;
    assert_eq!(show(&mut client, &before).await.status, 200);
    provider.stop().await;
    eventually("the gateway to see that the provider is down", async || {
        assert_eq!(show(&mut client, &before).await.status, 200);
        gateway.said().contains("issuer has trouble").then_some(())
    })
    .await;
    assert_eq!(show(&mut client, &unseen).await.status, 200);
    provider.restart_with_other_keys().await;
    let after = provider.token("orders", "urn:api:RS256", "orders.read").await;
    assert_eq!(show(&mut client, &after).await.status, 200);
    assert_refused(&show(&mut client, &before).await, "error=\"invalid_token\"");
    assert_refused(&show(&mut client, &unseen).await, "error=\"invalid_token\"");
}

#[tokio::test]
async fn an_opaque_token_is_good_until_it_is_revoked() {
    let (provider, origin) = (Provider::start().await, Origin::saying("hello").await);
    let gateway = asking(&provider, &origin, "200ms").await;
    let mut client = gateway.connect().await;
    let token = provider.token("orders", "urn:opaque", "orders.read").await;
    for _ in 0..3 {
        assert_eq!(show(&mut client, &token).await.status, 200);
    }
    let writer = provider.token("orders", "urn:opaque", "orders.write").await;
    show(&mut client, &writer).await.problem(403);
    assert_refused(&show(&mut client, "nobodys").await, "error=\"invalid_token\"");
    assert_refused(&client.get("/").await, "realm");
    provider.revoke("orders", &token).await;
    let response = eventually("the token to be no longer good", async || {
        Some(show(&mut client, &token).await).filter(|response| response.status != 200)
    })
    .await;
    assert_refused(&response, "error=\"invalid_token\"");
    assert_refused(&show(&mut client, &token).await, "error=\"invalid_token\"");
}

#[tokio::test]
async fn what_the_provider_cannot_be_asked_about_is_neither_good_nor_bad() {
    let (mut provider, origin) = (Provider::start().await, Origin::saying("hello").await);
    let gateway = asking(&provider, &origin, "100ms").await;
    let mut client = gateway.connect().await;
    let token = provider.token("orders", "urn:opaque", "orders.read").await;
    assert_eq!(show(&mut client, &token).await.status, 200);
    provider.stop().await;
    let response = eventually("the answer to be forgotten", async || {
        Some(show(&mut client, &token).await).filter(|response| response.status != 200)
    })
    .await;
    let problem = response.problem(503);
    assert!(problem["detail"].as_str().unwrap().contains("credentials cannot be checked"));
    assert_eq!(response.get("www-authenticate"), None);
    let good = origin.requests().len();
    provider.restart().await;
    // It has forgotten what it issued before.
    let response = eventually("the provider to be asked again", async || {
        Some(show(&mut client, &token).await).filter(|response| response.status != 503)
    })
    .await;
    assert_refused(&response, "error=\"invalid_token\"");
    assert_eq!(origin.requests().len(), good);
    let token = provider.token("orders", "urn:opaque", "orders.read").await;
    assert_eq!(show(&mut client, &token).await.status, 200);
}

#[tokio::test]
async fn signed_and_opaque_tokens_are_good_side_by_side() {
    let (mut provider, origin) = (Provider::start().await, Origin::saying("hello").await);
    let gateway = Setup::one_route(&format!(
        "auth: {{any_of: [{{jwt: {{issuer: \"{0}\", audience: api}}}}, {{introspection: {{\
         issuer: \"{0}\", client: gateway, secret: gateway-secret, audience: api, cache: 0s}}}}]}}",
        provider.issuer()
    ));
    let gateway = gateway.with("app", origin.address()).start().await;
    let mut client = gateway.connect().await;
    let signed = provider.token("orders", "urn:api:PS256", "orders.read").await;
    let opaque = provider.token("orders", "urn:opaque", "orders.read").await;
    for token in [&signed, &opaque, &signed] {
        let response = show(&mut client, token).await;
        assert_eq!(response.status, 200, "{}", response.text());
    }
    // Nobody has to be asked about what is signed.
    provider.stop().await;
    assert_eq!(show(&mut client, &signed).await.status, 200);
    show(&mut client, &opaque).await.problem(503);
    let (input, signature) = signed.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let response = show(&mut client, &format!("{input}.{other}{}", &signature[1..])).await;
    assert_refused(&response, "error=\"invalid_token\"");
}
