//! Tokens that an issuer did sign, and that are refused or believed for what they say.

use super::mint::{Mint, NOW, but, good, judge, now, rules};
use crate::jose::{Algorithm, Confirmation, LEEWAY, Refusal, Token, verify};
use serde_json::{Value, json};
use std::time::Duration;

/// Signs each of some claims and compares what is said of them.
fn each(cases: &[(Value, Option<Refusal>)]) {
    let mint = Mint::new(Algorithm::ES256);
    for (changes, refusal) in cases {
        let verdict = mint.judge(&mint.claims(&but(changes)));
        assert_eq!(verdict.err(), *refusal, "{changes}");
    }
}

#[test]
fn good_claims_are_believed_for_every_algorithm() {
    for algorithm in Algorithm::ALL {
        let mint = Mint::new(algorithm);
        let claims = mint.judge(&mint.claims(&good())).unwrap();
        assert_eq!(Value::Object((*claims.all).clone()), good());
        assert_eq!(claims.expires, now() + Duration::from_secs(300) + LEEWAY);
        assert_eq!(claims.confirmation, None);
    }
}

#[test]
fn the_issuer_is_the_one_that_is_meant_byte_for_byte() {
    let wrong = Some(Refusal::Issuer);
    each(&[
        (json!({"iss": null}), Some(Refusal::NoIssuer)),
        (json!({"iss": ""}), wrong),
        (json!({"iss": "https://id.example.com/"}), wrong),
        (json!({"iss": "https://ID.example.com"}), wrong),
        (json!({"iss": " https://id.example.com"}), wrong),
        (json!({"iss": "https://id.example.com\u{0}"}), wrong),
        (json!({"iss": "https://id.example.com.evil.example"}), wrong),
        (json!({"iss": ["https://id.example.com"]}), wrong),
        (json!({"iss": {"a": 1}}), wrong),
        (json!({"iss": 1}), wrong),
        (json!({"iss": true}), wrong),
    ]);
}

#[test]
fn one_audience_of_a_list_is_enough_and_each_must_be_text() {
    let wrong = Some(Refusal::Audience);
    let bad = Some(Refusal::BadAudience);
    each(&[
        (json!({"aud": "api"}), None),
        (json!({"aud": "billing"}), None),
        (json!({"aud": ["api"]}), None),
        (json!({"aud": ["other", "api"]}), None),
        (json!({"aud": ["api", "api"]}), None),
        (json!({"aud": null}), Some(Refusal::NoAudience)),
        (json!({"aud": ""}), wrong),
        (json!({"aud": "API"}), wrong),
        (json!({"aud": "api "}), wrong),
        (json!({"aud": "api billing"}), wrong),
        (json!({"aud": ["other"]}), wrong),
        (json!({"aud": [""]}), wrong),
        (json!({"aud": []}), bad),
        (json!({"aud": ["api", 1]}), bad),
        (json!({"aud": ["api", null]}), bad),
        (json!({"aud": [["api"]]}), bad),
        (json!({"aud": {"api": true}}), bad),
        (json!({"aud": 1}), bad),
        (json!({"aud": true}), bad),
    ]);
    let mint = Mint::new(Algorithm::ES256);
    let token =
        mint.token(mint.header().to_string(), r#"{"iss":"https://id.example.com","aud":null}"#);
    assert_eq!(mint.judge(&token).err(), bad);
}

#[test]
fn a_token_for_somebody_is_refused_where_nobody_is_configured() {
    let mint = Mint::new(Algorithm::ES256);
    let mut rules = mint.rules();
    rules.audience.clear();
    let verdict = |changes: &Value| judge(&mint.claims(&but(changes)), &mint.keys(), &rules).err();
    assert_eq!(verdict(&json!({"aud": null})), None);
    assert_eq!(verdict(&json!({"aud": "api"})), Some(Refusal::AudienceNotConfigured));
    assert_eq!(verdict(&json!({"aud": ["a", "b"]})), Some(Refusal::AudienceNotConfigured));
    assert_eq!(verdict(&json!({"aud": ""})), Some(Refusal::AudienceNotConfigured));
    assert_eq!(verdict(&json!({"aud": []})), Some(Refusal::BadAudience));
    assert_eq!(verdict(&json!({"aud": 1})), Some(Refusal::BadAudience));
    assert!(Refusal::AudienceNotConfigured.reason().contains("set `audience`"));
}

#[test]
fn dates_are_kept_to_the_leeway_exactly() {
    let now = NOW as f64;
    each(&[
        (json!({"exp": NOW + 1}), None),
        (json!({"exp": NOW}), None),
        (json!({"exp": NOW - 4}), None),
        (json!({"exp": NOW - 5}), Some(Refusal::Expired)),
        (json!({"exp": NOW - 6}), Some(Refusal::Expired)),
        (json!({"exp": now - 4.5}), None),
        (json!({"exp": now - 5.5}), Some(Refusal::Expired)),
        (json!({"exp": 0}), Some(Refusal::Expired)),
        (json!({"exp": -1}), Some(Refusal::Expired)),
        (json!({"exp": -1e300}), Some(Refusal::Expired)),
        (json!({"exp": 1e300}), None),
        (json!({"exp": u64::MAX}), None),
        (json!({"exp": i64::MIN}), Some(Refusal::Expired)),
        (json!({"exp": null}), Some(Refusal::NoExpiry)),
        (json!({"nbf": NOW + 5}), None),
        (json!({"nbf": NOW + 6}), Some(Refusal::NotBefore)),
        (json!({"nbf": now + 5.5}), Some(Refusal::NotBefore)),
        (json!({"nbf": now + 4.5}), None),
        (json!({"nbf": -1e300}), None),
        (json!({"nbf": 1e300}), Some(Refusal::NotBefore)),
        (json!({"nbf": null, "iat": null}), None),
        (json!({"iat": NOW + 5}), None),
        (json!({"iat": NOW + 6}), Some(Refusal::IssuedLater)),
        (json!({"iat": u64::MAX}), Some(Refusal::IssuedLater)),
        (json!({"iat": 0}), None),
        (json!({"iat": NOW, "exp": NOW - 10, "nbf": NOW + 10}), Some(Refusal::NotBefore)),
    ]);
    let mint = Mint::new(Algorithm::ES256);
    let mut rules = mint.rules();
    rules.leeway = Duration::ZERO;
    let verdict = |changes: &Value| judge(&mint.claims(&but(changes)), &mint.keys(), &rules).err();
    assert_eq!(verdict(&json!({"exp": NOW})), Some(Refusal::Expired));
    assert_eq!(verdict(&json!({"exp": now + 0.5})), None);
    assert_eq!(verdict(&json!({"nbf": NOW, "iat": NOW})), None);
    assert_eq!(verdict(&json!({"nbf": now + 0.5})), Some(Refusal::NotBefore));
    assert_eq!(verdict(&json!({"iat": NOW + 1})), Some(Refusal::IssuedLater));
    rules.leeway = Duration::MAX;
    assert_eq!(judge(&mint.claims(&but(&json!({"exp": 0}))), &mint.keys(), &rules).err(), None);
}

#[test]
fn dates_are_numbers_however_they_are_written() {
    let mint = Mint::new(Algorithm::ES256);
    let with = |name: &str, text: &str| {
        let mut claims = good();
        claims.as_object_mut().unwrap().remove(name);
        let rest = claims.to_string();
        mint.token(mint.header().to_string(), format!("{{\"{name}\":{text},{}", &rest[1..]))
    };
    for text in ["1800000300.0", "18000003e2", "1.8000003E+9", "1800000300.25", "18000003000e-1"] {
        assert_eq!(mint.judge(&with("exp", text)).err(), None, "{text}");
    }
    for name in ["exp", "nbf", "iat"] {
        for text in [
            "\"1800000000\"",
            "\"\"",
            "true",
            "false",
            "null",
            "[1800000000]",
            "[]",
            "{}",
            "{\"a\":1}",
            "\"2027-01-15T08:00:00Z\"",
        ] {
            assert_eq!(mint.judge(&with(name, text)).err(), Some(Refusal::Date), "{name} {text}");
        }
        for text in ["1e400", "-1e400", "NaN", "Infinity", "0x1", "01", "+1", "1.", ".5", "1e", ""]
        {
            assert_eq!(mint.judge(&with(name, text)).err(), Some(Refusal::Claims), "{name} {text}");
        }
    }
}

#[test]
fn names_are_text() {
    for wrong in [json!(1), json!(true), json!(["u1"]), json!({})] {
        each(&[
            (json!({"sub": wrong}), Some(Refusal::Subject)),
            (json!({"jti": wrong}), Some(Refusal::TokenId)),
        ]);
    }
    each(&[(json!({"sub": null, "jti": null}), None), (json!({"sub": ""}), None)]);
}

#[test]
fn a_token_that_is_bound_is_bound_to_a_certificate() {
    let digest = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let wrong = Some(Refusal::Confirmation);
    each(&[
        (json!({"cnf": {"x5t#S256": digest}}), None),
        (json!({"cnf": {}}), wrong),
        (json!({"cnf": []}), wrong),
        (json!({"cnf": digest}), wrong),
        (json!({"cnf": true}), wrong),
        (json!({"cnf": {"x5t#S256": ""}}), wrong),
        (json!({"cnf": {"x5t#S256": format!("{digest}=")}}), wrong),
        (json!({"cnf": {"x5t#S256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"}}), wrong),
        (json!({"cnf": {"x5t#S256": &digest[1..]}}), wrong),
        (json!({"cnf": {"x5t#S256": 1}}), wrong),
        (json!({"cnf": {"x5t#s256": digest}}), wrong),
        (json!({"cnf": {"x5t#S256": digest, "jkt": digest}}), wrong),
        (json!({"cnf": {"jkt": digest}}), wrong),
        (json!({"cnf": {"jwk": {"kty": "oct"}}}), wrong),
        (json!({"cnf": {"kid": "k1"}}), wrong),
        (json!({"cnf": {"x5t": digest}}), wrong),
    ]);
    let mint = Mint::new(Algorithm::ES256);
    let claims = mint.judge(&mint.claims(&but(&json!({"cnf": {"x5t#S256": digest}})))).unwrap();
    assert_eq!(claims.confirmation, Some(Confirmation::Certificate([0; 32])));
    let null = format!("{{\"cnf\":null,{}", &good().to_string()[1..]);
    let token = mint.token(mint.header().to_string(), null);
    assert_eq!(mint.judge(&token).err(), wrong);
}

#[test]
fn a_type_is_for_its_purpose() {
    let mint = Mint::new(Algorithm::ES256);
    let verdict = |typ: Option<&str>, wanted: Option<&str>| {
        let mut header = mint.header();
        match typ {
            Some(typ) => header["typ"] = typ.into(),
            None => drop(header.as_object_mut().unwrap().remove("typ")),
        }
        let mut rules = mint.rules();
        rules.typ = wanted.map(Into::into);
        judge(&mint.token(header.to_string(), good().to_string()), &mint.keys(), &rules).err()
    };
    for typ in [None, Some("JWT"), Some("jwt"), Some("at+jwt"), Some("application/at+jwt")] {
        assert_eq!(verdict(typ, None), None, "{typ:?}");
    }
    for typ in ["", "JOSE", "JOSE+JSON", "id+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt"] {
        assert_eq!(verdict(Some(typ), None), Some(Refusal::Type), "{typ}");
    }
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "APPLICATION/at+JWT"] {
        assert_eq!(verdict(Some(typ), Some("at+jwt")), None, "{typ}");
        assert_eq!(verdict(Some(typ), Some("application/at+jwt")), None, "{typ}");
    }
    for typ in [None, Some("JWT"), Some("at+jwt "), Some("at"), Some("application/")] {
        assert_eq!(verdict(typ, Some("at+jwt")), Some(Refusal::Type), "{typ:?}");
    }
}

#[test]
fn claims_are_one_object_in_which_each_name_stands_once() {
    let mint = Mint::new(Algorithm::ES256);
    let rest = &good().to_string()[1..];
    let deep = format!("{{\"a\":{}{},{rest}", "[".repeat(130), "]".repeat(130));
    let whole = good().to_string();
    for payload in [
        "null",
        "1",
        "\"a\"",
        "[]",
        "{",
        " ",
        "{}{}",
        "true",
        "eyJhbGciOiJub25lIn0.e30.",
        &format!("[{whole}]"),
        &format!("{whole}{whole}"),
        &format!("{whole}x"),
        &format!("{whole}\0"),
        &format!("\u{feff}{whole}"),
        &format!("{whole},"),
        &format!("{{\"exp\":1,{rest}"),
        &format!("{{\"\\u0065xp\":1,{rest}"),
        &format!("{{\"\\u0069ss\":\"x\",{rest}"),
        &format!("{{\"aud\":\"api\",{rest}"),
        &format!("{{\"x\":{{\"a\":1,\"\\u0061\":2}},{rest}"),
        &format!("{{\"x\":[{{\"a\":1,\"a\":1}}],{rest}"),
        &format!("{{\"x\":\"\\ud800\",{rest}"),
        &format!("{{x:1,{rest}"),
        &format!("{{'x':1,{rest}"),
        &deep,
    ] {
        let token = mint.token(mint.header().to_string(), payload);
        assert_eq!(mint.judge(&token).err(), Some(Refusal::Claims), "{payload}");
    }
    let invalid = [b"{\"x\":\"\xff\",".as_slice(), rest.as_bytes()].concat();
    let token = mint.token(mint.header().to_string(), invalid);
    assert_eq!(mint.judge(&token).err(), Some(Refusal::Claims));
    let spaced = format!(" \r\n\t{whole} \n");
    assert_eq!(mint.judge(&mint.token(mint.header().to_string(), spaced)).err(), None);
}

#[test]
fn an_algorithm_that_the_rules_do_not_have_is_refused_though_a_key_does_it() {
    for algorithm in Algorithm::ALL {
        let mint = Mint::new(algorithm);
        let others = rules(Algorithm::ALL.into_iter().filter(|other| *other != algorithm));
        let verdict = judge(&mint.claims(&good()), &mint.keys(), &others);
        assert_eq!(verdict.err(), Some(Refusal::AlgorithmNotAllowed), "{algorithm}");
        let none = rules([]);
        let verdict = judge(&mint.claims(&good()), &mint.keys(), &none);
        assert_eq!(verdict.err(), Some(Refusal::AlgorithmNotAllowed), "{algorithm}");
    }
}

#[test]
fn a_token_may_be_as_large_as_the_rules_say() {
    let mint = Mint::new(Algorithm::ES256);
    let text = mint.claims(&good());
    let mut rules = mint.rules();
    let token = Token::read(&text, text.len()).unwrap();
    rules.max_size = text.len();
    assert!(verify(&token, &mint.keys(), &rules, now()).is_ok());
    rules.max_size -= 1;
    assert_eq!(verify(&token, &mint.keys(), &rules, now()).err(), Some(Refusal::TooLarge));
    let huge = mint.claims(&but(&json!({"x": "a".repeat(8_192)})));
    assert_eq!(mint.judge(&huge).err(), Some(Refusal::TooLarge));
}

#[test]
fn the_claims_are_judged_after_the_signature_and_expiry_is_told_last() {
    let mint = Mint::new(Algorithm::ES256);
    let claims = but(&json!({"exp": 1, "iss": "other"}));
    let stranger = Mint::stranger(Algorithm::ES256).claims(&claims);
    assert_eq!(mint.judge(&stranger).err(), Some(Refusal::Signature));
    assert_eq!(mint.judge(&mint.claims(&claims)).err(), Some(Refusal::Issuer));
    let text = mint.claims(&good());
    let token = Token::read(&text, text.len()).unwrap();
    let verdict = |token: &Token<'_>| verify(token, &mint.keys(), &mint.rules(), now());
    let before = verdict(&token).unwrap();
    assert_eq!(token.issuer(), Some("https://id.example.com"));
    assert_eq!(verdict(&token).unwrap(), before);
}
