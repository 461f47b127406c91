//! Whether the harness's issuers and tokens are what the tests of authentication take them for,
//! by a library that is not the gateway.

use crate::corpus::key_set;
use crate::support::{
    Behaviour, Client, Document, Issuer, Keys, Provider, Response, now, token, within,
};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm as Known, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use sluicegate::jose::Algorithm;

/// Verifies a token by the one key of a set that it names, and gives its claims.
fn verified(token: &str, set: Value, issuer: &str) -> Option<Value> {
    let header = decode_header(token).unwrap();
    let set: JwkSet = serde_json::from_value(set).unwrap();
    let key = DecodingKey::from_jwk(set.find(&header.kid?)?).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&["api"]);
    validation.set_issuer(&[issuer]);
    Some(decode(token, &key, &validation).ok()?.claims)
}

#[tokio::test]
async fn the_provider_signs_tokens_that_its_key_set_verifies() {
    let provider = Provider::start().await;
    let issuer = provider.issuer();
    assert_eq!(provider.get("/.well-known/openid-configuration").await["issuer"], issuer);
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let resource = format!("urn:api:{algorithm}");
        let token = provider.token("admin", &resource, "orders.read").await;
        let header = decode_header(&token).unwrap();
        assert_eq!(format!("{:?}", header.alg), algorithm);
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        let claims = verified(&token, provider.get("/jwks").await, &issuer).unwrap();
        assert_eq!(claims["roles"], json!(["reader", "admin"]));
        assert_eq!((&claims["scope"], &claims["sub"]), (&json!("orders.read"), &json!("admin")));
    }
}

#[tokio::test]
async fn the_provider_rotates_its_keys_and_keeps_them_when_it_starts_again() {
    let mut provider = Provider::start().await;
    let issuer = provider.issuer();
    let old = provider.token("orders", "urn:api:ES256", "orders.read").await;
    provider.rotate().await;
    let new = provider.token("orders", "urn:api:ES256", "orders.read").await;
    assert_ne!(decode_header(&old).unwrap().kid, decode_header(&new).unwrap().kid);
    let both = provider.get("/jwks").await;
    assert!(verified(&old, both.clone(), &issuer).is_some());
    assert!(verified(&new, both, &issuer).is_some());
    provider.retire().await;
    let one = provider.get("/jwks").await;
    assert!(verified(&old, one.clone(), &issuer).is_none());
    assert!(verified(&new, one.clone(), &issuer).is_some());
    provider.restart().await;
    assert_eq!((provider.issuer(), provider.get("/jwks").await), (issuer.clone(), one));
    provider.restart_with_other_keys().await;
    assert!(verified(&new, provider.get("/jwks").await, &issuer).is_none());
}

#[tokio::test]
async fn the_provider_introspects_opaque_tokens_until_they_are_revoked() {
    let provider = Provider::start().await;
    let token = provider.token("orders", "urn:opaque", "orders.write").await;
    assert!(!token.contains('.'), "{token}");
    let said = provider.introspect(&token).await;
    assert_eq!((&said["active"], &said["scope"]), (&json!(true), &json!("orders.write")));
    assert_eq!((&said["roles"], &said["aud"]), (&json!(["reader"]), &json!("api")));
    provider.revoke("orders", &token).await;
    assert_eq!(provider.introspect(&token).await, json!({"active": false}));
}

#[test]
fn our_tokens_are_verified_by_our_keys_in_every_form() {
    let (keys, files) = (Keys::ours(), Keys::ours().files());
    let claims = json!({"iss": "https://id.example.com", "exp": now() + 60});
    for algorithm in Algorithm::ALL {
        let token = token(algorithm, &claims);
        let known: Known = algorithm.name().parse().unwrap();
        let mut validation = Validation::new(known);
        validation.validate_aud = false;
        let jwk: Jwk = serde_json::from_value(keys.of(algorithm).jwk("one")).unwrap();
        let pem = || std::fs::read(files.public(algorithm)).unwrap();
        let from_file = match algorithm {
            _ if algorithm.is_symmetric() => {
                DecodingKey::from_secret(&std::fs::read(files.secret()).unwrap())
            }
            Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(&pem()).unwrap(),
            Algorithm::EdDSA => DecodingKey::from_ed_pem(&pem()).unwrap(),
            _ => DecodingKey::from_rsa_pem(&pem()).unwrap(),
        };
        for key in [DecodingKey::from_jwk(&jwk).unwrap(), from_file] {
            let read = decode::<Value>(&token, &key, &validation).unwrap();
            assert_eq!(read.claims, claims, "{algorithm}");
        }
        if !algorithm.is_symmetric() {
            let private = std::fs::read_to_string(files.private(algorithm)).unwrap();
            assert!(private.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        }
    }
    let set = files.add("set.json", key_set(Algorithm::ES256).to_string());
    let set: JwkSet = serde_json::from_slice(&std::fs::read(set).unwrap()).unwrap();
    assert_eq!(set.keys.len(), 2);
}

async fn ask(issuer: &Issuer, path: &str, form: Option<&str>) -> Response {
    let address = issuer.url().strip_prefix("http://").unwrap().parse().unwrap();
    let mut client = Client::connect(address).await;
    let form = form.map_or("GET".to_owned(), |form| format!("POST {form}"));
    let (method, form) = form.split_once(' ').unwrap_or((&form, ""));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: issuer.test\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\
         Authorization: Basic Z3c6c2VjcmV0\r\n\r\n{form}",
        form.len()
    );
    client.request(&request).await
}

#[tokio::test]
async fn the_fake_issuer_says_what_it_is_told_to() {
    let mut issuer = Issuer::start().await;
    assert_eq!(ask(&issuer, "/jwks", None).await.json(), json!({"keys": []}));
    let key = Keys::ours().of(Algorithm::ES256).jwk("one");
    issuer.keys(std::slice::from_ref(&key));
    issuer.fields("Cache-Control: max-age=60\r\n");
    let answer = ask(&issuer, "/jwks", None).await;
    assert_eq!(answer.json(), json!({"keys": [key]}));
    assert_eq!(answer.get("cache-control"), Some("max-age=60"));
    let discovered = ask(&issuer, "/.well-known/openid-configuration", None).await.json();
    assert_eq!(discovered["jwks_uri"], issuer.keys_url());
    assert_eq!(discovered["introspection_endpoint"], issuer.introspection_url());
    issuer.discovery(json!({"issuer": "https://elsewhere.example.com"}));
    let path = "/.well-known/oauth-authorization-server";
    assert_eq!(ask(&issuer, path, None).await.json()["issuer"], "https://elsewhere.example.com");
    assert_eq!((issuer.asked(Document::Keys), issuer.asked(Document::Discovery)), (2, 2));
    issuer.stop().await;
    issuer.restart().await;
    assert_eq!(ask(&issuer, "/jwks", None).await.json(), json!({"keys": [key]}));
    assert_eq!(issuer.asked(Document::Keys), 3);
}

#[tokio::test]
async fn the_fake_issuer_introspects_for_its_client() {
    let issuer = Issuer::start().await;
    issuer.knows("a b", json!({"sub": "alice"}));
    issuer.asks_for_client("gw", "secret");
    let said = ask(&issuer, "/introspect", Some("token=a+b")).await.json();
    assert_eq!(said, json!({"active": true, "sub": "alice"}));
    issuer.forgets("a b");
    let said = ask(&issuer, "/introspect", Some("token=a%20b")).await.json();
    assert_eq!(said, json!({"active": false}));
    issuer.asks_for_client("somebody", "else");
    assert_eq!(ask(&issuer, "/introspect", Some("token=a")).await.status, 401);
    assert_eq!(issuer.requests(Document::Introspection)[0].body, b"token=a+b");
}

#[tokio::test]
async fn the_fake_issuer_misbehaves_when_it_is_told_to() {
    let issuer = Issuer::start().await;
    issuer.behave(Document::Keys, Behaviour::Says(500, "<html>".to_owned()));
    let answer = ask(&issuer, "/jwks", None).await;
    assert_eq!((answer.status, answer.text()), (500, "<html>"));
    issuer.behave(Document::Keys, Behaviour::Held);
    let held = ask(&issuer, "/jwks", None);
    let release = async {
        issuer.was_asked(Document::Keys, 2).await;
        issuer.behave(Document::Keys, Behaviour::Well);
    };
    let (answer, ()) = within("a held answer", async { tokio::join!(held, release) }).await;
    assert_eq!(answer.json(), json!({"keys": []}));
    issuer.behave(Document::Keys, Behaviour::Hangs);
    let address = issuer.url().strip_prefix("http://").unwrap().parse().unwrap();
    let mut client = Client::connect(address).await;
    client.send("GET /jwks HTTP/1.1\r\nHost: issuer.test\r\n\r\n").await;
    assert_eq!(client.closed().await, 0);
}
