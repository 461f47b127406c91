//! Which keys are taken, and which of them a token is verified with.

use super::mint::{Mint, good, judge, keys, pem, rules};
use crate::jose::{Algorithm, Algorithms, KeySet, Refusal, Token, base64url};
use serde_json::{Value, json};

fn refusal(text: &str) -> String {
    KeySet::pem(text.as_bytes()).unwrap_err().to_string()
}

/// Reads one JWK as a URL would give it, and says why it is left out.
fn skipped(jwk: &Value) -> Option<String> {
    let (keys, skipped) = KeySet::jwks(jwk.to_string().as_bytes(), false).unwrap();
    assert_eq!(keys.len() + skipped.len(), 1);
    skipped.first().map(|skipped| skipped.reason.to_string())
}

fn with(jwk: &Value, changes: &Value) -> Value {
    let mut jwk = jwk.clone();
    for (name, value) in changes.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

#[test]
fn a_public_key_in_pem_verifies_what_its_owner_signed() {
    for algorithm in Algorithm::ALL.into_iter().filter(|one| !one.is_symmetric()) {
        let mint = Mint::new(algorithm);
        let text = format!("Key of somebody\n{}", pem("PUBLIC KEY", &mint.spki().unwrap()));
        let set = KeySet::pem(text.as_bytes()).unwrap();
        assert!(set.algorithms().contains(algorithm));
        assert_eq!(set.kids().next(), None);
        assert!(judge(&mint.claims(&good()), &set, &mint.rules()).is_ok(), "{algorithm}");
        let stranger = Mint::stranger(algorithm).claims(&good());
        assert_eq!(judge(&stranger, &set, &mint.rules()), Err(Refusal::Signature), "{algorithm}");
    }
}

#[test]
fn a_key_of_pkcs_1_and_one_in_a_certificate_are_public_keys_too() {
    let mint = Mint::new(Algorithm::PS256);
    let super::mint::Pair::Rsa(pair) = &mint.pair else { unreachable!() };
    let der = aws_lc_rs::signature::KeyPair::public_key(*pair).as_ref().to_vec();
    let set = KeySet::pem(pem("RSA PUBLIC KEY", &der).as_bytes()).unwrap();
    assert!(judge(&mint.claims(&good()), &set, &mint.rules()).is_ok());
    let trailing = pem("RSA PUBLIC KEY", &[der, vec![0]].concat());
    assert!(refusal(&trailing).contains("DER is broken"));

    for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let mint = Mint::new(algorithm);
        let key = rcgen::KeyPair::try_from(mint.pkcs8().unwrap()).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        let set = KeySet::pem(certificate.pem().as_bytes()).unwrap();
        assert!(judge(&mint.claims(&good()), &set, &mint.rules()).is_ok(), "{algorithm}");
    }
}

#[test]
fn what_is_no_public_key_in_pem_is_refused_and_told() {
    let mint = Mint::new(Algorithm::ES256);
    let private = mint.pkcs8().unwrap();
    for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        let told = refusal(&pem(label, &private));
        assert!(told.contains("the public key is meant"), "{told}");
    }
    assert!(refusal(&pem("CERTIFICATE REQUEST", &private)).contains("is meant"));
    assert!(refusal(&pem("PUBLIC KEY", &private)).contains("unusable"));
    assert!(refusal(&pem("CERTIFICATE", &private)).contains("unusable"));
    assert!(refusal("").contains("no key in PEM"));
    assert!(refusal("a secret").contains("no key in PEM"));
    assert!(refusal("-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----\n").contains("PEM"));
    let mut der = mint.spki().unwrap();
    *der.last_mut().unwrap() ^= 1;
    assert!(refusal(&pem("PUBLIC KEY", &der)).contains("make no public key"));
    let two = pem("PUBLIC KEY", &mint.spki().unwrap()).repeat(2);
    assert_eq!(KeySet::pem(two.as_bytes()).unwrap().len(), 2);
}

#[test]
fn a_secret_is_as_long_as_the_digest() {
    let secret = |length: usize, algorithms: &[Algorithm]| {
        let algorithms: Algorithms = algorithms.iter().copied().collect();
        KeySet::secret(&vec![7; length], algorithms).map(|set| set.algorithms())
    };
    for (algorithm, least) in
        [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)]
    {
        let told = secret(least - 1, &[algorithm]).unwrap_err().to_string();
        assert!(told.contains(&format!("{algorithm} needs {least}")), "{told}");
        assert_eq!(secret(least, &[algorithm]), Ok([algorithm].into_iter().collect()));
    }
    assert!(secret(32, &[Algorithm::HS256, Algorithm::HS512]).is_err());
    assert!(secret(64, &[]).is_err() && secret(64, &[Algorithm::RS256]).is_err());
    let both = secret(64, &[Algorithm::HS256, Algorithm::RS256]);
    assert_eq!(both, Ok([Algorithm::HS256].into_iter().collect()));
    let public = pem("PUBLIC KEY", &Mint::new(Algorithm::ES256).spki().unwrap());
    let told = KeySet::secret(public.as_bytes(), [Algorithm::HS256].into_iter().collect());
    assert!(told.unwrap_err().to_string().contains("no secret"));
}

#[test]
fn a_key_of_a_set_that_cannot_be_used_is_left_out() {
    let ec = Mint::new(Algorithm::ES256).jwk();
    let rsa = Mint::new(Algorithm::RS256).jwk();
    let ed = Mint::new(Algorithm::EdDSA).jwk();
    for good in [
        ec.clone(),
        rsa.clone(),
        ed.clone(),
        with(&ec, &json!({"use": "sig", "alg": "ES256", "key_ops": ["verify"], "kid": "k"})),
        with(&ec, &json!({"d": "AAAA", "x5c": 1, "foo": {}, "key_ops": ["sign", "verify"]})),
        with(&rsa, &json!({"alg": "PS512", "x5t": "x"})),
        with(&ed, &json!({"alg": "EdDSA"})),
    ] {
        assert_eq!(skipped(&good), None, "{good}");
    }
    let padded = format!("{}=", ec["x"].as_str().unwrap());
    let short = base64url::encode(&[7; 31]);
    for (jwk, reason) in [
        (with(&ec, &json!({"use": "enc"})), "`use`"),
        (with(&ec, &json!({"use": "SIG"})), "`use`"),
        (with(&ec, &json!({"use": 1})), "`use`"),
        (with(&ec, &json!({"key_ops": ["sign"]})), "`key_ops`"),
        (with(&ec, &json!({"key_ops": []})), "`key_ops`"),
        (with(&ec, &json!({"key_ops": "verify"})), "`key_ops`"),
        (with(&ec, &json!({"key_ops": ["verify", 1]})), "`key_ops`"),
        (with(&ec, &json!({"alg": "ES384"})), "not one of its kind"),
        (with(&ec, &json!({"alg": "RS256"})), "not one of its kind"),
        (with(&ec, &json!({"alg": "HS256"})), "not one of its kind"),
        (with(&ec, &json!({"alg": "none"})), "no known signature algorithm"),
        (with(&ec, &json!({"alg": "es256"})), "no known signature algorithm"),
        (with(&rsa, &json!({"alg": "RSA-OAEP"})), "no known signature algorithm"),
        (with(&ec, &json!({"alg": 1})), "`alg`"),
        (with(&ec, &json!({"kid": 1})), "`kid`"),
        (with(&ec, &json!({"kty": "ec"})), "`kty`"),
        (with(&ec, &json!({"kty": "RSA"})), "missing"),
        (with(&ec, &json!({"kty": "OKP"})), "Ed25519"),
        (with(&ec, &json!({"crv": "P-521"})), "curve"),
        (with(&ec, &json!({"crv": "secp256k1"})), "curve"),
        (with(&ec, &json!({"crv": "P-384"})), "wrong length"),
        (with(&ec, &json!({"crv": null})), "`crv`"),
        (with(&ec, &json!({"x": null})), "missing"),
        (with(&ec, &json!({"x": padded})), "base64url"),
        (with(&ec, &json!({"x": short})), "wrong length"),
        (with(&ec, &json!({"y": ec["x"]})), "make no public key"),
        (with(&ed, &json!({"crv": "X25519"})), "Ed25519"),
        (with(&ed, &json!({"crv": "Ed448"})), "Ed25519"),
        (with(&ed, &json!({"x": short})), "32 bytes"),
        (with(&ed, &json!({"x": base64url::encode(&[0; 32])})), "small order"),
        (with(&rsa, &json!({"n": base64url::encode(&[0xff; 128])})), "2048"),
        (with(&rsa, &json!({"n": base64url::encode(&[0xff; 1025])})), "8192"),
        (with(&rsa, &json!({"e": "AQ"})), "exponent"),
        (with(&rsa, &json!({"e": "AQAA"})), "exponent"),
        (with(&rsa, &json!({"e": ""})), "exponent"),
        (json!({"kty": "oct", "k": base64url::encode(&[7; 64])}), "no secret"),
        (json!({"kty": "AKP"}), "`kty`"),
    ] {
        let told = skipped(&jwk).unwrap_or_else(|| panic!("{jwk} is taken"));
        assert!(told.contains(reason), "{jwk}: {told}");
    }
}

#[test]
fn a_set_keeps_what_is_good_of_it_and_tells_the_rest() {
    let (ec, ed) = (Mint::new(Algorithm::ES256).jwk(), Mint::new(Algorithm::EdDSA).jwk());
    let keys = json!({"keys": [
        with(&ec, &json!({"kid": "a"})), 7, with(&ec, &json!({"kid": "b", "use": "enc"})), null,
        with(&ed, &json!({"kid": "a"})), ed,
    ], "x": 1});
    let (set, skipped) = KeySet::jwks(keys.to_string().as_bytes(), false).unwrap();
    assert_eq!((set.len(), set.is_empty()), (3, false));
    assert_eq!(set.kids().collect::<Vec<_>>(), ["a", "a"]);
    assert!(set.has_kid("a") && !set.has_kid("b"));
    let places: Vec<_> = skipped.iter().map(|one| (one.place, one.kid.as_deref())).collect();
    assert_eq!(places, [(1, None), (2, Some("b")), (3, None)]);
    let (empty, _) = KeySet::jwks(b"{\"keys\":[]}", false).unwrap();
    assert!(empty.is_empty());
    for wrong in [
        "",
        "[]",
        "{}",
        "null",
        "{\"keys\":{}}",
        "{\"keys\":1}",
        "{\"kty\":1}",
        "{\"keys\":[]}x",
        "{\"keys\":[],\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"EC\",\"kty\":\"EC\"}]}",
        "<html>",
    ] {
        assert!(KeySet::jwks(wrong.as_bytes(), true).is_err(), "{wrong}");
    }
}

#[test]
fn nobody_who_debugs_or_errs_sees_a_secret() {
    let secret = [b's'; 64];
    let set = KeySet::secret(&secret, [Algorithm::HS256].into_iter().collect()).unwrap();
    assert_eq!(format!("{set:?}"), "[Key { kid: None, algorithms: {HS256} }]");
    let text = base64url::encode(&secret);
    let broken = format!("{{\"kty\":\"oct\",\"k\":\"{text}\",\"k\":\"{text}\"}}");
    let told = KeySet::jwks(broken.as_bytes(), true).unwrap_err();
    assert!(!format!("{told:?}").contains(&text[..8]));
    let short = json!({"kty": "oct", "k": "c2VjcmV0"});
    let (_, skipped) = KeySet::jwks(short.to_string().as_bytes(), true).unwrap();
    assert!(!format!("{skipped:?}").contains("c2VjcmV0"));
}

#[test]
fn a_token_is_verified_with_the_keys_that_it_may_be_from() {
    let (one, two) = (Mint::new(Algorithm::ES256), Mint::stranger(Algorithm::ES256));
    let ed = Mint::new(Algorithm::EdDSA);
    let named = |mint: &Mint, kid: &str| with(&mint.jwk(), &json!({"kid": kid}));
    let by = |mint: &Mint, kid: Option<&str>| {
        let mut head = json!({"alg": mint.algorithm.name()});
        if let Some(kid) = kid {
            head["kid"] = kid.into();
        }
        mint.token(head.to_string(), good().to_string())
    };
    let verdict = |token: &str, jwks: &[Value]| {
        judge(token, &keys(&json!({"keys": jwks})), &rules(Algorithm::ALL)).err()
    };
    let both = [named(&one, "a"), named(&two, "b")];
    assert_eq!(verdict(&by(&one, Some("a")), &both), None);
    assert_eq!(verdict(&by(&two, Some("b")), &both), None);
    assert_eq!(verdict(&by(&one, Some("b")), &both), Some(Refusal::Signature));
    assert_eq!(verdict(&by(&one, Some("c")), &both), Some(Refusal::UnknownKey));
    assert_eq!(verdict(&by(&one, Some("A")), &both), Some(Refusal::UnknownKey));
    assert_eq!(verdict(&by(&one, Some("")), &both), Some(Refusal::UnknownKey));
    assert_eq!(verdict(&by(&one, None), &both), None);
    assert_eq!(verdict(&by(&two, None), &both), None);
    assert_eq!(verdict(&by(&ed, None), &both), Some(Refusal::KeyMismatch));
    assert_eq!(verdict(&by(&ed, Some("a")), &both), Some(Refusal::KeyMismatch));
    assert_eq!(verdict(&by(&one, None), &[]), Some(Refusal::UnknownKey));
    // Keys without a name are candidates for every token; a name that nobody has is unknown still.
    let mixed = [one.jwk(), named(&two, "b")];
    assert_eq!(verdict(&by(&one, Some("zzz")), &mixed), None);
    assert_eq!(verdict(&by(&two, Some("zzz")), &mixed), Some(Refusal::UnknownKey));
    assert_eq!(verdict(&by(&two, Some("zzz")), &[one.jwk()]), Some(Refusal::Signature));
    // A name that stands twice, during a change of keys.
    let twice = [named(&one, "a"), named(&two, "a"), named(&ed, "a")];
    for mint in [&one, &two, &ed] {
        assert_eq!(verdict(&by(mint, Some("a")), &twice), None);
    }
}

#[test]
fn a_key_that_names_its_algorithm_does_no_other() {
    let mint = Mint::new(Algorithm::RS256);
    let other = Mint { algorithm: Algorithm::PS256, pair: Mint::new(Algorithm::PS256).pair };
    let bound = keys(&with(&mint.jwk(), &json!({"alg": "RS256", "kid": "k1"})));
    assert_eq!(judge(&mint.claims(&good()), &bound, &mint.rules()).err(), None);
    let verdict = judge(&other.claims(&good()), &bound, &mint.rules());
    assert_eq!(verdict.err(), Some(Refusal::KeyMismatch));
    assert_eq!(judge(&other.claims(&good()), &mint.keys(), &mint.rules()).err(), None);
}

#[test]
fn a_token_without_a_name_tries_sixteen_keys_and_no_more() {
    let mint = Mint::new(Algorithm::ES256);
    let strangers = |count| (0..count).map(|_| Mint::stranger(Algorithm::ES256).jwk());
    let token = mint.token(r#"{"alg":"ES256"}"#, good().to_string());
    let verdict = |before| {
        let jwks: Vec<_> = strangers(before).chain([mint.jwk()]).collect();
        judge(&token, &keys(&json!({"keys": jwks})), &mint.rules()).err()
    };
    assert_eq!(verdict(15), None);
    assert_eq!(verdict(16), Some(Refusal::TooManyKeys));
    // Those that it names come first.
    let jwks: Vec<_> = strangers(20).chain([with(&mint.jwk(), &json!({"kid": "k1"}))]).collect();
    let set = keys(&json!({"keys": jwks}));
    assert_eq!(judge(&mint.claims(&good()), &set, &mint.rules()).err(), None);
}

#[test]
fn a_set_that_lacks_a_key_of_the_old_one_has_lost_it() {
    let (one, two) = (Mint::new(Algorithm::ES256), Mint::new(Algorithm::RS256));
    let set = |jwks: &[Value]| keys(&json!({"keys": jwks}));
    let old = set(&[one.jwk()]);
    assert!(!old.lost(&set(&[one.jwk()])));
    assert!(!old.lost(&set(&[two.jwk(), one.jwk()])));
    assert!(old.lost(&set(&[two.jwk()])) && old.lost(&KeySet::default()));
    assert!(!KeySet::default().lost(&old));
    assert!(old.lost(&set(&[with(&one.jwk(), &json!({"kid": "new"}))])));
    let narrow = with(&two.jwk(), &json!({"alg": "RS256"}));
    assert!(set(&[two.jwk()]).lost(&set(std::slice::from_ref(&narrow))));
    assert!(!set(&[narrow]).lost(&set(&[two.jwk()])));
    let secret =
        |byte| KeySet::secret(&[byte; 64], [Algorithm::HS256].into_iter().collect()).unwrap();
    assert!(secret(1).lost(&secret(2)) && !secret(1).lost(&secret(1)));
    let joined = KeySet::joined([secret(1), secret(2)]);
    assert!(joined.len() == 2 && !secret(1).lost(&joined) && joined.lost(&secret(1)));
}

/// Every worker verifies with the same set, and may wait for a newer one with a token in hand.
#[test]
fn threads_share_keys_and_tokens() {
    fn shared<T: Send + Sync>() {}
    shared::<KeySet>();
    shared::<Token<'_>>();
}
