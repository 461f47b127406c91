//! What is remembered of a token that was found good never outlives what made it good.

use super::{assert_refused, bearing, claims, show};
use crate::support::{Keys, Origin, Setup, eventually, now, token};
use serde_json::json;
use sluicegate::jose::Algorithm;

#[tokio::test]
async fn a_token_that_was_good_is_refused_from_its_end_on() {
    let (origin, files) = (Origin::saying("hello").await, Keys::ours().files());
    let gateway = Setup::one_route(&format!(
        "auth: {{jwt: {{issuer: internal, audience: api, secret: \"$(file:{})\", leeway: 0s}}}}",
        files.secret().display()
    ));
    let gateway = gateway.with("app", origin.address()).start().await;
    let mut client = gateway.connect().await;
    let mut ending = claims("internal", "api");
    let end = now() + 2;
    ending["exp"] = json!(end);
    let ending = token(Algorithm::HS256, &ending);
    let mut good = 0;
    let response = eventually("the token's end", async || {
        let before = now();
        let response = show(&mut client, &ending).await;
        good += usize::from(response.status == 200);
        match response.status {
            200 => assert!(before < end, "good {} seconds after its end", before - end),
            _ => assert!(now() >= end, "{}", response.text()),
        }
        (response.status != 200).then_some(response)
    })
    .await;
    assert!(good > 1, "good {good} times");
    assert_refused(&response, "the token has expired");
    assert_eq!(origin.requests().len(), good);
}

#[tokio::test]
async fn a_token_that_is_good_on_one_route_is_none_on_another() {
    let (origin, files) = (Origin::saying("hello").await, Keys::ours().files());
    let secret = files.secret();
    let document = format!(
        r#"
policy_sets:
  shop: {{auth: {{jwt: {{issuer: internal, audience: shop, secret: "$(file:{0})"}}}}}}
  bank: {{auth: {{jwt: {{issuer: internal, audience: bank, secret: "$(file:{0})"}}}}}}
services:
  app: {{url: "http://<app>"}}
routes:
  - {{name: shop, match: {{path: {{prefix: /shop}}}}, use: [shop], service: app}}
  - {{name: bank, match: {{path: {{prefix: /bank}}}}, use: [bank], service: app}}
"#,
        secret.display()
    );
    let gateway = Setup::new(&document).with("app", origin.address()).start().await;
    let mut client = gateway.connect().await;
    let shop = token(Algorithm::HS256, &claims("internal", "shop"));
    let bank = token(Algorithm::HS256, &claims("internal", "bank"));
    let both = token(Algorithm::HS256, &{
        let mut claims = claims("internal", "");
        claims["aud"] = json!(["bank", "shop"]);
        claims
    });
    for _ in 0..3 {
        for (path, good, bad) in [("/shop", &shop, &bank), ("/bank", &bank, &shop)] {
            assert_eq!(client.request(&bearing(path, good)).await.status, 200);
            assert_eq!(client.request(&bearing(path, &both)).await.status, 200);
            assert_refused(&client.request(&bearing(path, bad)).await, "invalid_token");
        }
    }
    assert_eq!(origin.requests().len(), 12);
}
