//! Tokens that others signed: the examples of the RFCs, and those of another library.

use super::mint::{Mint, Pair, good, judge, keys, pem, rules};
use crate::jose::{Algorithm, KeySet, Refusal, Token, verify};
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

/// The payload of RFC 7515 §A.1 to §A.3: issued by joe, and good until 1300819380.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9\
    pc19yb290Ijp0cnVlfQ";

fn verifies(header: &str, signature: &str, keys: &KeySet) {
    let text = format!("{header}.{PAYLOAD}.{signature}");
    let mut rules = rules(Algorithm::ALL);
    (rules.issuer, rules.audience) = ("joe".into(), Vec::new());
    let token = Token::read(&text, rules.max_size).unwrap();
    let at = |seconds| {
        verify(&token, keys, &rules, UNIX_EPOCH + Duration::from_secs(seconds)).map(|ok| ok.all)
    };
    assert_eq!(at(1_300_819_379).unwrap()["http://example.com/is_root"], true);
    assert_eq!(at(1_300_819_384).unwrap()["iss"], "joe");
    assert_eq!(at(1_300_819_385), Err(Refusal::Expired));
    let mut forged = text.clone().into_bytes();
    *forged.last_mut().unwrap() = b'A';
    assert_ne!(judge(&String::from_utf8(forged).unwrap(), keys, &rules).err(), None);
}

#[test]
fn the_hmac_of_rfc_7515_a_1_verifies() {
    let k =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    verifies(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        &keys(&json!({"kty": "oct", "k": k})),
    );
}

#[test]
fn the_ecdsa_of_rfc_7515_a_3_verifies() {
    verifies(
        "eyJhbGciOiJFUzI1NiJ9",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        &keys(&json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
        })),
    );
}

/// Its payload is no claims, so the signature is all that is right about it.
#[test]
fn the_eddsa_of_rfc_8037_a_4_verifies() {
    let keys = keys(&json!({
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }));
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PP\
        Ot7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(judge(token, &keys, &rules(Algorithm::ALL)), Err(Refusal::Claims));
    let forged = token.replace("hgyY", "hgyZ");
    assert_eq!(judge(&forged, &keys, &rules(Algorithm::ALL)), Err(Refusal::Signature));
}

#[test]
fn what_jsonwebtoken_signed_verifies_for_every_algorithm() {
    for algorithm in Algorithm::ALL {
        let mint = Mint::new(algorithm);
        let key = match (&mint.pair, mint.pkcs8()) {
            (Pair::Rsa(_), Some(der)) => {
                EncodingKey::from_rsa_pem(pem("PRIVATE KEY", &der).as_bytes()).unwrap()
            }
            (Pair::Ec(_), Some(der)) => EncodingKey::from_ec_der(&der),
            (Pair::Ed(_), Some(der)) => EncodingKey::from_ed_der(&der),
            (Pair::Secret(secret), _) => EncodingKey::from_secret(secret),
            _ => unreachable!(),
        };
        let header = jsonwebtoken::Header::new(algorithm.name().parse().unwrap());
        let token = jsonwebtoken::encode(&header, &good(), &key).unwrap();
        let claims = judge(&token, &mint.keys(), &mint.rules()).unwrap();
        assert_eq!(Value::Object((*claims.all).clone()), good(), "{algorithm}");
    }
}
