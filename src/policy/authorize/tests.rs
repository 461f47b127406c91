//! Each kind of condition against who may and who may not, groups, and what is said of mistakes.

mod messages;
mod model;

use super::*;
use crate::exchange::{Consumer, Identity};
use crate::telemetry::metrics::Way;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn compiled(yaml: &str) -> Authorize {
    let config: Config = serde_yaml::from_str(yaml).unwrap_or_else(|e| panic!("{yaml}: {e}"));
    Authorize::compile(&config, &Build::default()).unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

fn identity(claims: Value) -> Identity {
    let Value::Object(claims) = claims else { unreachable!() };
    let boxed = |texts: &[&str]| texts.iter().map(|text| Box::from(*text)).collect::<Vec<_>>();
    Identity {
        roles: boxed(&["admin", "Domain Users"]),
        scopes: boxed(&["orders.read", "orders.write"]),
        consumer: Some(Arc::new(Consumer {
            name: "acme".into(),
            tier: Some("business".into()),
            roles: Vec::new(),
            tags: boxed(&["beta"]),
        })),
        ..Identity::new(Way::Jwt, Arc::new(claims))
    }
}

/// 2026-03-02T12:00:00Z, a Monday.
fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_772_452_800)
}

fn asked(identity: Option<&Identity>) -> Asked<'_> {
    let client = IpAddr::from([10, 1, 2, 3]);
    Asked { identity, method: &http::Method::GET, client, time: noon() }
}

/// Whether who has these claims may ask where one condition is asked for.
fn permits(condition: &str, claims: Value) -> bool {
    let policy = compiled(&format!("all: [{condition}]"));
    let identity = identity(claims);
    matches!(policy.decide(&asked(Some(&identity))), Verdict::Permitted)
}

/// Why a request is refused, and which scopes would help.
fn refused(yaml: &str, identity: Option<&Identity>) -> (String, Option<String>) {
    match compiled(yaml).decide(&asked(identity)) {
        Verdict::Permitted => panic!("{yaml} permits"),
        Verdict::Refused { reason, missing_scopes } => {
            (reason.to_string(), missing_scopes.map(str::to_owned))
        }
    }
}

#[test]
fn a_word_is_compared_byte_by_byte() {
    for (condition, holds) in [
        ("role:admin", true),
        ("role:Domain Users", true),
        ("role:Admin", false),
        ("role:adm", false),
        ("role:administrator", false),
        // The first letter is Cyrillic.
        ("role:\u{430}dmin", false),
        ("scope:orders.read", true),
        ("scope:orders", false),
        ("scope:orders.READ", false),
        ("tier:business", true),
        ("tier:free", false),
        ("consumer:acme", true),
        ("consumer:acm", false),
        ("tag:beta", true),
        ("tag:alpha", false),
        ("way:jwt", true),
        ("way:basic", false),
        ("method:GET", true),
        ("method:HEAD", false),
        ("method:POST", false),
        ("network:10.0.0.0/8", true),
        ("network:10.1.2.3", true),
        ("\"network:::ffff:10.0.0.0/104\"", true),
        ("network:192.168.0.0/16", false),
        ("\"network:::/0\"", false),
        ("{times: {days: [mon]}}", true),
        ("{times: {days: [tue]}}", false),
    ] {
        assert_eq!(permits(condition, json!({})), holds, "{condition}");
    }
}

#[test]
fn an_invisible_character_in_a_token_makes_another_word() {
    for (hidden, condition) in [
        ("admin\u{200b}", "role:admin"),
        ("\u{feff}admin", "role:admin"),
        ("admin ", "role:admin"),
        ("admin\0", "role:admin"),
    ] {
        let policy = compiled(&format!("all: [{condition}]"));
        let mut identity = identity(json!({"role": hidden}));
        identity.roles = vec![hidden.into()];
        assert!(
            matches!(policy.decide(&asked(Some(&identity))), Verdict::Refused { .. }),
            "{hidden:?}"
        );
        assert!(!permits("{claim: role, equals: admin}", json!({"role": hidden})), "{hidden:?}");
    }
}

#[test]
fn a_claim_equals_a_value_of_its_own_type() {
    for (value, claim, holds) in [
        ("sales", json!("sales"), true),
        ("sales", json!("Sales"), false),
        ("sales", json!("sales "), false),
        ("sales", json!(["sales"]), false),
        ("sales", json!({"sales": true}), false),
        ("\"\"", json!(""), true),
        ("1", json!(1), true),
        ("1", json!(1.0), true),
        ("1.0", json!(1), true),
        ("-1", json!(-1), true),
        ("1", json!("1"), false),
        ("\"1\"", json!(1), false),
        ("1", json!(true), false),
        ("true", json!(true), true),
        ("true", json!("true"), false),
        ("true", json!(1), false),
        ("false", json!(null), false),
        ("0", json!(null), false),
        ("\"null\"", json!(null), false),
    ] {
        let condition = format!("{{claim: c, equals: {value}}}");
        assert_eq!(permits(&condition, json!({"c": claim})), holds, "{condition} {claim}");
        assert!(!permits(&condition, json!({})), "{condition}");
    }
}

#[test]
fn a_claim_contains_whole_values_and_no_parts_of_texts() {
    for (test, claim, holds) in [
        ("contains: a", json!(["b", "a"]), true),
        ("contains: a", json!(["b"]), false),
        ("contains: a", json!([]), false),
        ("contains: a", json!("a"), true),
        ("contains: a", json!("a b"), false),
        ("contains: a", json!("ab"), false),
        ("contains: a", json!([["a"]]), false),
        ("contains: a", json!({"a": "a"}), false),
        ("contains: 1", json!([1.0]), true),
        ("contains: 1", json!(["1"]), false),
        ("contains: true", json!([true]), true),
        ("any: [a, 2]", json!(["b", 2]), true),
        ("any: [a, 2]", json!("a"), true),
        ("any: [a, 2]", json!(["b", "2"]), false),
        ("all: [a, b]", json!(["c", "b", "a"]), true),
        ("all: [a, b]", json!(["a"]), false),
        ("all: [a]", json!("a"), true),
        ("all: [a, b]", json!("a"), false),
        ("all: [a, b]", json!("a b"), false),
    ] {
        let condition = format!("{{claim: c, {test}}}");
        assert_eq!(permits(&condition, json!({"c": claim})), holds, "{condition} {claim}");
        assert!(!permits(&condition, json!({})), "{condition}");
    }
}

#[test]
fn a_claim_is_there_or_not_and_null_says_nothing() {
    for (claims, present) in [
        (json!({"c": "a"}), true),
        (json!({"c": ""}), true),
        (json!({"c": false}), true),
        (json!({"c": []}), true),
        (json!({"c": null}), false),
        (json!({"d": "a"}), false),
        (json!({}), false),
    ] {
        assert_eq!(permits("{claim: c, present: true}", claims.clone()), present, "{claims}");
        assert_eq!(permits("{claim: c, present: false}", claims.clone()), !present, "{claims}");
    }
}

#[test]
fn dots_lead_into_objects_and_a_name_with_dots_comes_first() {
    let claims = json!({
        "realm_access": {"roles": ["owner"]},
        "https://a.example/groups": ["x"],
        "a.b": 1,
        "a": {"b": 2},
    });
    for (condition, holds) in [
        ("{claim: realm_access.roles, contains: owner}", true),
        ("{claim: realm_access.groups, present: false}", true),
        ("{claim: \"https://a.example/groups\", contains: x}", true),
        ("{claim: a.b, equals: 1}", true),
        ("{claim: a.b, equals: 2}", false),
    ] {
        assert_eq!(permits(condition, claims.clone()), holds, "{condition}");
    }
}

#[test]
fn every_group_that_is_given_must_hold() {
    let yaml = "all: [scope:orders.read, role:admin, {claim: department, equals: sales}]\n\
                any: [role:editor, role:owner, {all: [tier:business, network:10.0.0.0/8]}]\n\
                not: [tag:suspended, {claim: groups, contains: blocked}]\n";
    let policy = compiled(yaml);
    let permitted = |claims: Value| {
        matches!(policy.decide(&asked(Some(&identity(claims)))), Verdict::Permitted)
    };
    assert!(permitted(json!({"department": "sales"})));
    assert!(permitted(json!({"department": "sales", "groups": ["staff"]})));
    assert!(!permitted(json!({"department": "sales", "groups": ["staff", "blocked"]})));
    assert!(!permitted(json!({"department": "support"})));
    let elsewhere = identity(json!({"department": "sales"}));
    let client = IpAddr::from([192, 0, 2, 1]);
    let asked = Asked { client, ..asked(Some(&elsewhere)) };
    assert!(matches!(policy.decide(&asked), Verdict::Refused { .. }));
}

#[test]
fn a_mapping_may_hold_several_groups() {
    for (condition, holds) in [
        ("{all: [role:admin], not: [tag:beta]}", false),
        ("{all: [role:admin], not: [tag:other]}", true),
        ("{any: [role:x, role:admin], not: [tag:other]}", true),
        ("{any: [role:x], not: [tag:other]}", false),
        ("{not: [role:x, role:admin]}", false),
        ("{not: [{not: [role:admin]}]}", true),
    ] {
        assert_eq!(permits(condition, json!({})), holds, "{condition}");
    }
}

#[test]
fn without_an_identity_what_is_asked_of_it_is_false() {
    for condition in [
        "role:admin",
        "scope:a",
        "tier:a",
        "consumer:a",
        "tag:a",
        "way:jwt",
        "{claim: a, present: true}",
        "{claim: a, present: false}",
    ] {
        let policy = compiled(&format!("all: [{condition}]"));
        assert!(matches!(policy.decide(&asked(None)), Verdict::Refused { .. }), "{condition}");
        let policy = compiled(&format!("not: [{condition}]"));
        assert!(matches!(policy.decide(&asked(None)), Verdict::Permitted), "{condition}");
    }
    let policy = compiled("all: [method:GET]");
    assert!(matches!(policy.decide(&asked(None)), Verdict::Permitted));
}

#[test]
fn what_is_asked_of_a_consumer_is_false_of_who_is_none() {
    let mut nobody = identity(json!({"sub": "acme"}));
    nobody.consumer = None;
    for condition in ["tier:business", "consumer:acme", "tag:beta"] {
        let policy = compiled(&format!("all: [{condition}]"));
        assert!(matches!(policy.decide(&asked(Some(&nobody))), Verdict::Refused { .. }));
    }
}

#[test]
fn a_policy_needs_an_identity_when_any_condition_does() {
    for (yaml, needs) in [
        ("all: [method:GET]", false),
        ("all: [method:GET, network:10.0.0.0/8, {times: {days: [mon]}}]", false),
        ("all: [role:a]", true),
        ("any: [method:GET, scope:a]", true),
        ("not: [tag:a]", true),
        ("not: [{any: [{all: [method:GET, {claim: a, present: false}]}]}]", true),
    ] {
        assert_eq!(compiled(yaml).needs_identity(), needs, "{yaml}");
    }
}

#[test]
fn missing_scopes_are_told_where_nothing_else_is_missing() {
    let caller = identity(json!({"department": "sales"}));
    let scopes = |yaml: &str| refused(yaml, Some(&caller)).1;
    let all = Some("orders.read orders.delete users.read".to_owned());
    let yaml = "all: [scope:orders.read, scope:orders.delete, role:admin, scope:users.read, \
                scope:orders.read]";
    assert_eq!(scopes(yaml), all);
    assert_eq!(scopes("all: [scope:a]\nany: [role:admin]\nnot: [tag:x]"), Some("a".to_owned()));
    // More is missing than scopes.
    for yaml in [
        "all: [scope:a, role:x]",
        "all: [role:x, scope:a]",
        "all: [scope:a, method:POST]",
        "all: [scope:a]\nany: [role:x]",
        "all: [scope:a]\nnot: [role:admin]",
        "all: [role:x]",
        "any: [scope:a]",
        "all: [{all: [scope:a]}]",
        "all: [scope:orders.read]\nnot: [scope:orders.write]",
    ] {
        assert_eq!(scopes(yaml), None, "{yaml}");
    }
    assert_eq!(refused("all: [scope:a]", None).1, None);
}

#[test]
fn the_reason_names_the_first_condition_that_was_not_met() {
    let caller = identity(json!({}));
    for (yaml, reason) in [
        ("all: [role:admin, scope:a, scope:b]", "scope:a is missing"),
        ("all: [tier:free]", "tier:free does not hold"),
        ("all: [{claim: a, any: [x, 1, true]}]", "{claim: a, any: [\"x\", 1, true]} does not hold"),
        (
            "any: [role:x, {all: [tag:y, method:PUT]}]",
            "none of [role:x, {all: [tag:y, method:PUT]}] holds",
        ),
        ("not: [role:x, role:admin]", "role:admin holds"),
        ("all: [{not: [way:jwt]}]", "{not: [way:jwt]} does not hold"),
        ("all: [network:192.0.2.0/24]", "network:192.0.2.0/24 does not hold"),
    ] {
        assert_eq!(refused(yaml, Some(&caller)).0, reason);
    }
    let nobody = refused("all: [role:admin]", None).0;
    assert_eq!(nobody, "role:admin is missing, and nobody knows who is asking");
}

#[test]
fn the_schema_takes_what_compiles_and_knows_the_keys() {
    let schema = schemars::schema_for!(Config).to_value();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (yaml, valid) in [
        (
            "all: [scope:a, {claim: a, any: [b, 1.5, true]}, {times: {days: [mon], zone: UTC}}]",
            true,
        ),
        ("any: [{all: [role:a], not: [{any: [tag:b]}]}]\nnot: [{claim: a, present: false}]", true),
        ("all: [{clam: a, equals: b}]", false),
        ("all: [{times: {days: [monday]}}]", false),
        ("al: [role:a]", false),
    ] {
        let document: Value = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(validator.is_valid(&document), valid, "{yaml}");
    }
    for name in schema["$defs"].as_object().unwrap().keys() {
        assert!(!name.contains("Config") && !name.ends_with('2'), "{name} has no word");
    }
}
