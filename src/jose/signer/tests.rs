use super::*;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    RsaKeyPair,
};
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use std::sync::LazyLock;

/// An RSA key of 1,024 bits, which the library makes no more.
const WEAK: &str = "\
     MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAMMd9hXHOrw7UinC/qu15R+Z96sasGLTl/HE1\
     iXEjzMxLlJ+rZw1+gJaAZgADZzebBwK/uEl+zDCJ1icL6jn1ZOASTvmwuqrp73Hzwjf6rO0py7chINONMAW19\
     sURYVTz9lKjk6tacrU0iqPznlT7x7G0E+Yym9l2qFtLl/zjAzbAgMBAAECgYAaeGcZP0UVokqcRcr9CplB90Z\
     lXSKO1bvoXdbbmtX+kO6C3JK6/YukZAeRUniGTpqGF2vKqbdxPvXNjKrelE0iD8nvkWXmjj9MT5j4q+PbHt2x\
     nCUtKrQtj9IZj641vcSAx++LIyg8OWbp3GK5PO3ovU5srPOntrM2VhiG+OTJ2QJBAPNaG92acsQAYchdW+L7V\
     cfEZzcD35rTTDkMU3v0EjYV5Xno+0Eqjsle1Ke4DOUxx+bN7amuJUMFIjXFACMM4u0CQQDNQhFmND8BXsjWx6\
     xUbBk7nJjkGuAcuZSwzRLQ9f2N5cKCLNMK8bZeV5JG+Rgbfo0OvGMLzsm8tO5Kpj22Ek3nAkAZcGsHUHT83ll\
     ae7/2S3XdKz/q9WGzqrEGKa60f4BD3SgfBWb2mf9RN7OdUNUwRHL0QsS8fzLv/aJk4pIwF9HFAkEAwgyB8oPW\
     RO9dJGClNTL1L/w+NviJg96XCgb2kQLecTYUC4lhA+m8JbjYm6yG9AdSR+omIVWgN30+AujjUqw/ZQJATypqB\
     xABF7bhIQVTyvmJIRZJB44lBl2HMXZjLLoW/aCJsBee8WA9zcONML9+w8nU/mur9ImzVNvH2Xvh0kvhKw==";

/// Making an RSA key takes long, so the tests share one.
static RSA: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref().to_vec()
});

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn ec(curve: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    EcdsaKeyPair::generate(curve).unwrap()
}

fn pkcs8(kind: Kind) -> String {
    let der = match kind {
        Kind::Rsa => RSA.clone(),
        Kind::P256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING).to_pkcs8v1().unwrap().as_ref().to_vec(),
        Kind::P384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING).to_pkcs8v1().unwrap().as_ref().to_vec(),
        Kind::Ed25519 => Ed25519KeyPair::generate().unwrap().to_pkcs8().unwrap().as_ref().to_vec(),
        Kind::Secret(_) => unreachable!("a secret has no PEM"),
    };
    pem("PRIVATE KEY", &der)
}

fn signer(algorithm: Algorithm) -> Signer {
    match algorithm.kind() {
        Kind::Secret(least) => Signer::from_secret(&vec![b's'; least], algorithm).unwrap(),
        kind => Signer::from_pem(pkcs8(kind).as_bytes(), algorithm).unwrap(),
    }
}

fn refusal(made: Result<Signer, Invalid>) -> String {
    made.unwrap_err().message
}

fn claims() -> Map<String, Value> {
    let Value::Object(claims) = json!({"sub": "ann", "exp": 4_102_444_800_u64, "n": [1, null]})
    else {
        unreachable!()
    };
    claims
}

/// Checks a token with the decoder of another library.
fn decoded(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Option<Value> {
    let mut validation = Validation::new(algorithm.name().parse().unwrap());
    validation.leeway = 0;
    decode::<Value>(token, key, &validation).ok().map(|data| data.claims)
}

#[test]
fn every_algorithm_makes_tokens_that_another_library_accepts() {
    for algorithm in Algorithm::ALL {
        let signer = signer(algorithm);
        let token = signer.sign("at+jwt", &claims()).unwrap();
        let header = decode_header(&token).unwrap();
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        assert_eq!(header.kid.as_deref(), signer.kid());
        let key = match (signer.public_jwk(), algorithm.kind()) {
            (Some(jwk), _) => DecodingKey::from_jwk(&serde_json::from_value(jwk).unwrap()).unwrap(),
            (None, Kind::Secret(least)) => DecodingKey::from_secret(&vec![b's'; least]),
            (None, kind) => panic!("{kind:?} has a public half"),
        };
        assert_eq!(decoded(&token, &key, algorithm), Some(claims().into()), "{algorithm}");
        let (head, _) = token.rsplit_once('.').unwrap();
        let other = signer.sign("at+jwt", &Map::new()).unwrap();
        let (_, signature) = other.rsplit_once('.').unwrap();
        assert_eq!(decoded(&format!("{head}.{signature}"), &key, algorithm), None);
    }
}

#[test]
fn the_signature_of_the_example_key_is_that_of_rfc_8037() {
    let prefix = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let pem = pem("PRIVATE KEY", &[&prefix[..], &seed].concat());
    let signer = Signer::from_pem(pem.as_bytes(), Algorithm::EdDSA).unwrap();
    assert_eq!(signer.kid(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    let signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    assert_eq!(
        URL_SAFE_NO_PAD.encode(signer.signature(signed).unwrap()),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn a_token_has_three_parts_and_its_header_says_what_it_is() {
    let signer = signer(Algorithm::HS256);
    let token = signer.sign("JWT", &claims()).unwrap();
    let parts: Vec<_> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part)).collect();
    let header: Value = serde_json::from_slice(parts[0].as_ref().unwrap()).unwrap();
    assert_eq!(header, json!({"alg": "HS256", "typ": "JWT"}));
    assert_eq!((parts.len(), parts[2].as_ref().unwrap().len()), (3, 32));
    assert_eq!(token, signer.sign("JWT", &claims()).unwrap());
}

#[test]
fn a_key_that_does_not_fit_says_what_it_fits() {
    let made = |kind, algorithm| refusal(Signer::from_pem(pkcs8(kind).as_bytes(), algorithm));
    assert_eq!(
        made(Kind::Rsa, Algorithm::ES256),
        "ES256 cannot be made with an RSA key, it fits RS256, RS384, RS512, PS256, PS384, PS512"
    );
    assert!(made(Kind::P256, Algorithm::ES384).ends_with("a key on P-256, it fits ES256"));
    assert!(made(Kind::P384, Algorithm::ES256).ends_with("a key on P-384, it fits ES384"));
    assert!(made(Kind::Ed25519, Algorithm::RS256).ends_with("a key on Ed25519, it fits EdDSA"));
    assert!(made(Kind::Rsa, Algorithm::HS256).contains("is made with a `secret`"));
}

#[test]
fn older_forms_of_private_keys_are_read() {
    // What PKCS#8 wraps for RSA stands behind a head of 26 bytes.
    let rsa = pem("RSA PRIVATE KEY", &RSA[26..]);
    let wrapped = Signer::from_pem(pem("PRIVATE KEY", &RSA).as_bytes(), Algorithm::PS384).unwrap();
    let signer = Signer::from_pem(rsa.as_bytes(), Algorithm::RS256).unwrap();
    assert_eq!(signer.kid(), wrapped.kid());
    for (curve, algorithm) in [
        (&ECDSA_P256_SHA256_FIXED_SIGNING, Algorithm::ES256),
        (&ECDSA_P384_SHA384_FIXED_SIGNING, Algorithm::ES384),
    ] {
        let pair = ec(curve);
        let sec1 = pem("EC PRIVATE KEY", pair.private_key().as_der().unwrap().as_ref());
        // OpenSSL writes the name of the curve before the key.
        let sec1 = pem("EC PARAMETERS", b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07") + &sec1;
        let wrapped = pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref());
        let signer = Signer::from_pem(sec1.as_bytes(), algorithm).unwrap();
        assert_eq!(signer.kid(), Signer::from_pem(wrapped.as_bytes(), algorithm).unwrap().kid());
    }
}

#[test]
fn a_weak_key_is_refused() {
    let weak = pem("PRIVATE KEY", &STANDARD.decode(WEAK).unwrap());
    let refusal = refusal(Signer::from_pem(weak.as_bytes(), Algorithm::RS256));
    assert!(refusal.starts_with("an RSA key of less than 2,048 bits"), "{refusal}");
}

#[test]
fn a_text_without_a_usable_key_says_why() {
    let made = |pem: &str| refusal(Signer::from_pem(pem.as_bytes(), Algorithm::EdDSA));
    let p521 = ec(&ECDSA_P521_SHA512_FIXED_SIGNING);
    let p521 = pem("PRIVATE KEY", p521.to_pkcs8v1().unwrap().as_ref());
    let two = pkcs8(Kind::Ed25519) + &pkcs8(Kind::Ed25519);
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n\
               -----END RSA PRIVATE KEY-----\n";
    for (text, message) in [
        ("", "there is no private key here"),
        ("s3cret", "there is no private key here"),
        (&pem("PUBLIC KEY", b"x"), "this has a public one"),
        (&pem("CERTIFICATE", b"x"), "this has a public one"),
        (&pem("ENCRYPTED PRIVATE KEY", b"x"), "`openssl pkey -in KEY -out PLAIN`"),
        (old, "`openssl pkey -in KEY -out PLAIN`"),
        (&pem("PRIVATE KEY", b"x"), "or is damaged"),
        (&p521, "none of RSA, P-256, P-384 and Ed25519"),
        ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", "is damaged"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n", "is damaged"),
        (&two, "more than one private key"),
    ] {
        let refusal = made(text);
        assert!(refusal.contains(message), "{text}: {refusal}");
    }
}

#[test]
fn a_secret_is_as_long_as_its_hash() {
    for (algorithm, least) in
        [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)]
    {
        assert!(Signer::from_secret(&vec![b'x'; least], algorithm).is_ok());
        let refusal = refusal(Signer::from_secret(&vec![b'x'; least - 1], algorithm));
        assert!(refusal.contains(&format!("at least {least} bytes")), "{refusal}");
        assert!(!refusal.contains("xx"));
    }
    let made = |secret: &str, algorithm| refusal(Signer::from_secret(secret.as_bytes(), algorithm));
    assert!(made(&"x".repeat(64), Algorithm::RS256).contains("a private `key`"));
    assert!(made(&pkcs8(Kind::Ed25519), Algorithm::HS256).contains("a key in PEM"));
}

#[test]
fn a_key_set_has_each_public_key_once_and_no_secret() {
    let rsa = pkcs8(Kind::Rsa);
    let of = |algorithm| Signer::from_pem(rsa.as_bytes(), algorithm).unwrap();
    let (rs256, ps256) = (of(Algorithm::RS256), of(Algorithm::PS256));
    let all = [signer(Algorithm::HS256), signer(Algorithm::ES256), of(Algorithm::RS256)];
    let text = jwks(&all);
    let set: Value = serde_json::from_str(&text).unwrap();
    let kids: Vec<_> = set["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert_eq!(kids, [all[1].kid().unwrap(), all[2].kid().unwrap()]);
    assert_eq!((&set["keys"][1]["alg"], &set["keys"][1]["use"]), (&json!("RS256"), &json!("sig")));
    for private in ["d", "p", "q", "k"] {
        assert!(!text.contains(&format!("\"{private}\":")));
    }
    assert!(serde_json::from_str::<JwkSet>(&text).unwrap().find(all[2].kid().unwrap()).is_some());

    let set: Value = serde_json::from_str(&jwks([&rs256, &ps256, &rs256])).unwrap();
    assert_eq!(set["keys"].as_array().unwrap().len(), 1);
    assert_eq!(set["keys"][0].get("alg"), None);
    assert_eq!(jwks(&[]), r#"{"keys":[]}"#);
}

#[test]
fn debug_tells_of_no_key() {
    let signer = Signer::from_secret(&[b'x'; 32], Algorithm::HS256).unwrap();
    assert_eq!(format!("{signer:?}"), "Signer { algorithm: HS256, kid: None, .. }");
}
