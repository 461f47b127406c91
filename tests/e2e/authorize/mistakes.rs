//! What makes no sense of credentials and of who may do what is told by `check`, with its place.

use crate::support::{Keys, check};
use sluicegate::jose::Algorithm;
use std::fs;

/// Fails the test unless the check refuses a document with these consumers and this route's
/// policies, in these words, and repeats nothing of `hidden`.
#[track_caller]
fn refused_without(consumers: &str, policies: &str, words: &[&str], hidden: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    let key = Keys::ours().of(Algorithm::ES256).public_pem();
    fs::write(folder.path().join("key.pem"), key).unwrap();
    let document = format!(
        "version: 1\nlisteners: [{{name: main, address: 127.0.0.1:18080}}]\n\
         services: {{app: {{url: http://127.0.0.1:7101}}}}\nconsumers: [{consumers}]\n\
         routes:\n- {{name: all, match: {{path: {{prefix: /}}}}, service: app, policies: {{{policies}}}}}\n"
    );
    fs::write(&file, document).unwrap();
    let (passed, said) = check(&file);
    assert!(!passed, "{consumers} {policies} passed: {said}");
    assert!(said.contains(&format!("{}:", file.display())), "no place in {said}");
    for words in words {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    assert!(hidden.is_empty() || !said.contains(hidden), "{hidden:?} in {said}");
}

#[track_caller]
fn refused(consumers: &str, policies: &str, words: &[&str]) {
    refused_without(consumers, policies, words, "");
}

const KEY: &str =
    "{api_key_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef}";

fn acme() -> String {
    format!("{{name: acme, credentials: {KEY}}}")
}

#[test]
fn a_route_has_to_decide_and_is_told_how() {
    refused("", "", &["route `all` has no auth decision", "or write `auth: none` if anyone may"]);
    refused("", "authorize: {all: ['role:a']}", &["has no auth decision"]);
    refused("", "auth: {}", &["such as `jwt`", "write `none` if anyone may ask"]);
    refused("", "auth: {optional: true}", &["there is no way to show who one is"]);
}

#[test]
fn conditions_on_who_is_asking_make_no_sense_where_nobody_finds_out() {
    for authorize in [
        "{all: ['role:a']}",
        "{not: ['scope:a']}",
        "{any: [{claim: a, present: true}, 'method:GET']}",
    ] {
        let policies = format!("auth: none, authorize: {authorize}");
        refused("", &policies, &["lets only some ask (`authorize`)", "`auth: none`"]);
    }
}

#[test]
fn a_way_that_is_none_is_told_with_the_one_that_was_meant() {
    refused("", "auth: {jwtt: {issuer: a}}", &["jwtt", "did you mean `jwt`?"]);
    refused(&acme(), "auth: {any_of: [{api_keys: {}}]}", &["api_keys", "did you mean `api_key`?"]);
    refused("", "auth: {jwt: {issuer: a, secrte: b}}", &["secrte", "did you mean `secret`?"]);
    refused("", "auth: {any_of: []}", &["no way leads to anybody"]);
    refused("", "auth: {any_of: [{}]}", &["a way is missing here"]);
    refused(
        &acme(),
        "auth: {any_of: [{api_key: {}, basic: {}}]}",
        &["two ways: write two entries"],
    );
    refused(
        &acme(),
        "auth: {api_key: {}, any_of: [{api_key: {}}]}",
        &["`api_key` is the only way already"],
    );
}

#[test]
fn ways_that_lead_to_nobody_are_refused() {
    refused("", "auth: {api_key: {}}", &["no consumer has an API key"]);
    refused(&acme(), "auth: {basic: {}}", &["no consumer has a user and a password"]);
}

#[test]
fn a_service_that_always_answers_is_asked_last() {
    let ways = "auth: {any_of: [{forward_auth: {service: app, path: /}}, {api_key: {}}]}";
    refused(&acme(), ways, &["put it last"]);
}

#[test]
fn credentials_belong_to_one_consumer_and_are_hashes() {
    let two = format!("{}, {{name: other, credentials: {KEY}}}", acme());
    refused(&two, "auth: none", &["consumer `acme` has this API key already"]);
    let twice = format!("{}, {}", acme(), acme());
    refused(&twice, "auth: none", &["consumer `acme` stands here twice"]);
    for wrong in [
        "hush-hush",
        "0123456789abcdef",
        "hush-hush-0123456789abcdef0123456789abcdef0123456789abcdef01234567",
    ] {
        let consumer = format!("{{name: acme, credentials: {{api_key_sha256: {wrong}}}}}");
        refused_without(&consumer, "auth: none", &[], wrong);
    }
    for wrong in [
        "hush-hush",
        "$2b$04$hush5678901234567890123456789012345678901234567890123",
        "$argon2id$v=19$m=64,t=1,p=1$aHVzaC1odXNoLWh1c2g$aHVzaC1odXNoLWh1c2gtaHVzaC1odXNo",
        "$argon2i$v=19$m=65536,t=3,p=1$aHVzaC1odXNoLWh1c2g$aHVzaC1odXNoLWh1c2gtaHVzaC1odXNo",
        "{SHA}hush-hush",
    ] {
        let consumer =
            format!("{{name: acme, credentials: {{basic: {{user: a, hash: \"{wrong}\"}}}}}}");
        refused_without(&consumer, "auth: none", &[], wrong);
    }
}

#[test]
fn a_secret_that_is_too_short_is_refused_and_not_repeated() {
    let jwt = "auth: {jwt: {issuer: a, secret: hush-hush}}";
    refused_without("", jwt, &["32"], "hush-hush");
    let jwt =
        "auth: {jwt: {issuer: a, algorithms: HS512, secret: hush-hush-0123456789-0123456789-0123}}";
    refused_without("", jwt, &["64"], "hush-hush");
}

#[test]
fn an_algorithm_has_to_fit_the_key() {
    let jwt =
        "auth: {jwt: {issuer: a, algorithms: RS256, secret: 0123456789-0123456789-0123456789}}";
    refused_without("", jwt, &["RS256 is verified with a `public_key`"], "0123456789-");
    let jwt = "auth: {jwt: {issuer: a, algorithms: [ES256, RS256], public_key: key.pem}}";
    refused("", jwt, &["no key is for RS256, they are for ES256"]);
    let jwt = "auth: {jwt: {issuer: a, algorithms: HS256, public_key: key.pem}}";
    refused("", jwt, &["no key is for HS256"]);
    refused("", "auth: {jwt: {issuer: a, algorithms: none, public_key: key.pem}}", &["none"]);
    let jwt = "auth: {jwt: {issuer: a, public_key: key.pem, jwks: keys.json}}";
    refused("", jwt, &["the keys are in `public_key` already"]);
}

#[test]
fn conditions_that_are_none_are_told_with_what_was_meant() {
    for (condition, words) in [
        ("'rol:admin'", "did you mean `role:admin`?"),
        ("'admin'", "is no condition"),
        ("'role:'", "has no value"),
        ("'scope:a b'", "several scopes"),
        ("'way:jtw'", "did you mean"),
        ("'network:300.0.0.0/8'", "network"),
    ] {
        let policies = format!(
            "auth: {{jwt: {{issuer: a, public_key: key.pem}}}}, authorize: {{all: [{condition}]}}"
        );
        refused("", &policies, &[words]);
    }
}
