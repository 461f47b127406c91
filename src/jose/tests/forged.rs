//! Tokens that somebody made up who does not have the key, for every algorithm.

use super::mint::{Mint, good, judge, mac, pem};
use crate::jose::{Algorithm, KeySet, Refusal, base64url};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

/// The parts of a token.
fn parts(token: &str) -> [String; 3] {
    let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

fn text(value: &Value) -> String {
    base64url::encode(value.to_string().as_bytes())
}

/// The header with some parameters instead, or besides; a null goes.
fn header(mint: &Mint, changes: &Value) -> Value {
    let mut header = mint.header();
    for (name, value) in changes.as_object().unwrap() {
        header[name] = value.clone();
    }
    header
}

/// All that can be said of who asks for more than they were given: the token, and what it is.
fn forgeries(mint: &Mint) -> Vec<(String, String)> {
    let token = mint.claims(&good());
    let [head, payload, signature] = parts(&token);
    let mut all = Vec::new();
    let mut put = |name: &str, token: String| all.push((name.to_owned(), token));

    for none in
        ["none", "None", "NONE", "nOnE", "none ", " none", "", "null", "no ne", "non\u{0435}"]
    {
        let head = text(&json!({"alg": none, "typ": "JWT"}));
        put("nobody signs", format!("{head}.{payload}."));
        put("nobody signs, with two parts", format!("{head}.{payload}"));
        put("nobody signs, with a signature", format!("{head}.{payload}.{signature}"));
        put("nobody signs, with a byte", format!("{head}.{payload}.AA"));
    }
    for other in Algorithm::ALL.into_iter().filter(|other| *other != mint.algorithm) {
        let head = text(&header(mint, &json!({"alg": other.name()})));
        put("another algorithm is named", format!("{head}.{payload}.{signature}"));
        let stranger = Mint::stranger(other);
        put("another signs by another algorithm", stranger.claims(&good()));
    }
    for wrong in ["HS1", "RS1", "ES512", "ES256K", "Ed25519", "dir", "RSA-OAEP", "A128KW", "\0"] {
        let head = header(mint, &json!({"alg": wrong}));
        put("an unknown algorithm", mint.token(head.to_string(), good().to_string()));
    }
    for spelt in [mint.algorithm.name().to_lowercase(), format!("{} ", mint.algorithm)] {
        let head = header(mint, &json!({"alg": spelt}));
        if spelt != mint.algorithm.name() {
            put("an algorithm is misspelt", mint.token(head.to_string(), good().to_string()));
        }
    }

    put("no signature", format!("{head}.{payload}."));
    put("no last part", format!("{head}.{payload}"));
    let bytes = base64url::decode(&signature).unwrap();
    let signed = |bytes: &[u8]| format!("{head}.{payload}.{}", base64url::encode(bytes));
    put("a signature of zeros", signed(&vec![0; bytes.len()]));
    put("a signature of ones", signed(&vec![0xff; bytes.len()]));
    put("a signature that ends early", signed(&bytes[..bytes.len() - 1]));
    put("half a signature", signed(&bytes[..bytes.len() / 2]));
    put("one byte", signed(&bytes[..1]));
    put("a byte too many", signed(&[&bytes[..], &[0]].concat()));
    put("a byte before", signed(&[&[0], &bytes[..]].concat()));
    put("twice the signature", signed(&[&bytes[..], &bytes[..]].concat()));
    put("the signature backwards", signed(&bytes.iter().rev().copied().collect::<Vec<_>>()));
    put("the signature as hexadecimal", signed(format!("{bytes:02x?}").as_bytes()));
    put("the text of the signature, encoded", signed(signature.as_bytes()));

    let admin = text(&json!({"iss": "https://id.example.com", "aud": "api", "sub": "admin"}));
    put("another payload", format!("{head}.{admin}.{signature}"));
    put("the payload signs the header", format!("{payload}.{head}.{signature}"));
    let other = header(mint, &json!({"typ": "at+jwt"}));
    put("another header", format!("{}.{payload}.{signature}", text(&other)));
    let respaced = mint.header().to_string().replace(':', ": ");
    put(
        "the same header in other words",
        format!("{}.{payload}.{signature}", base64url::encode(respaced.as_bytes())),
    );
    put("another signs", Mint::stranger(mint.algorithm).claims(&good()));
    put("the key of another", {
        let stranger = Mint::stranger(mint.algorithm);
        let head = header(mint, &json!({"jwk": stranger.jwk()}));
        stranger.token(head.to_string(), good().to_string())
    });
    for (name, value) in [
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("file:///etc/passwd")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("jwk", json!({"kty": "oct", "k": ""})),
    ] {
        let head = header(mint, &json!({name: value}));
        let stranger = Mint::stranger(mint.algorithm);
        put("the key comes with the token", stranger.token(head.to_string(), good().to_string()));
    }
    for kid in [
        "",
        "../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        "k1' OR '1'='1",
        "k1\0",
        "K1",
        "k1 ",
        "' UNION SELECT 'x';--",
        "| id",
        "http://127.0.0.1/",
        "k1,k2",
        "*",
        "%",
        "${env:X}",
    ] {
        let head = header(mint, &json!({"kid": kid})).to_string();
        let secret = base64url::encode(head.as_bytes());
        let input = format!("{secret}.{payload}");
        let empty = base64url::encode(&mac(mint.algorithm, b"\0", input.as_bytes()));
        put("a name that leads elsewhere", format!("{input}.{empty}"));
        put("a name that nobody has", mint.token(head, good().to_string()));
    }
    for kid in [json!(1), json!(["k1"]), json!({"k1": 1}), json!(null), json!(true)] {
        let head = header(mint, &json!({"kid": kid}));
        put("a name that is no text", mint.token(head.to_string(), good().to_string()));
    }
    for changes in [
        json!({"crit": ["exp"]}),
        json!({"crit": []}),
        json!({"crit": ["alg"]}),
        json!({"crit": "b64"}),
        json!({"crit": null}),
        json!({"crit": ["b64"], "b64": true}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"crit": ["x", "x"], "x": 1}),
        json!({"crit": {"x": 1}, "x": 1}),
        json!({"crit": [null]}),
        json!({"crit": [""], "": 1}),
        json!({"b64": false}),
        json!({"b64": null}),
        json!({"b64": 1}),
        json!({"enc": "A128GCM"}),
        json!({"typ": 1}),
        json!({"typ": ["JWT"]}),
        json!({"cty": 1}),
        json!({"cty": null}),
        json!({"alg": [mint.algorithm.name()]}),
        json!({"alg": null}),
        json!({"alg": 1}),
        json!({"typ": "dpop+jwt"}),
        json!({"typ": "JWE"}),
        json!({"typ": ""}),
    ] {
        let head = header(mint, &changes);
        put("a header that the issuer signed", mint.token(head.to_string(), good().to_string()));
    }
    let name = mint.algorithm.name();
    for head in [
        format!(r#"{{"alg":"none","alg":"{name}","kid":"k1"}}"#),
        format!(r#"{{"alg":"{name}","alg":"none","kid":"k1"}}"#),
        format!(r#"{{"alg":"{name}","\u0061lg":"{name}","kid":"k1"}}"#),
        format!(r#"{{"alg":"{name}","kid":"k1","k\u0069d":"k2"}}"#),
        format!(r#"{{"alg":"{name}","x":{{"a":1,"a":2}}}}"#),
        format!(r#"{{"alg":"{name}"}}{{}}"#),
        format!(r#"{{"alg":"{name}"}} x"#),
        format!(r#"{{"alg":"{name}",}}"#),
        format!(r#"[{{"alg":"{name}"}}]"#),
        format!("\u{feff}{{\"alg\":\"{name}\"}}"),
        format!(r#"{{"Alg":"{name}"}}"#),
        format!(r#"{{"alg":"{name}","x":{}{}}}"#, "[".repeat(200), "]".repeat(200)),
        format!(r#"{{"alg":"{name}","x":1e999}}"#),
        format!(r#"{{"alg":"{name}","x":"\ud800"}}"#),
        format!(r#"alg={name}"#),
        format!(r#""{name}""#),
        name.to_owned(),
        "{}".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        " ".to_owned(),
        "{".to_owned(),
    ] {
        put("a header that can be read in two ways", mint.token(head, good().to_string()));
    }

    put("before it is a space", format!(" {token}"));
    put("after it is a space", format!("{token} "));
    put("after it is a line's end", format!("{token}\n"));
    put("after it is a zero", format!("{token}\0"));
    put("padding", format!("{token}="));
    put("padding of all parts", format!("{head}=.{payload}=.{signature}="));
    put("a dot too many", format!("{token}."));
    put("a dot before", format!(".{token}"));
    put("two dots", token.replace('.', ".."));
    put("no dots", token.replace('.', ""));
    put("commas", token.replace('.', ","));
    put("dots in percent", token.replace('.', "%2E"));
    put("twice", format!("{token}{token}"));
    put("twice with a dot", format!("{token}.{token}"));
    put("a list of two", format!("{token},{token}"));
    put("in quotes", format!("\"{token}\""));
    put("with its scheme", format!("Bearer {token}"));
    put("in percent", token.replace('_', "%5F").replace('-', "%2D") + "%00");
    put("space within", format!("{head}. {payload}.{signature}"));
    put("line's end within", format!("{head}.{payload}\r\n.{signature}"));
    put("four parts", format!("{token}.{signature}"));
    put("five parts, as of JWE", format!("{head}.{payload}.{signature}.{payload}.{signature}"));
    let jwe = text(&json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT"}));
    put("an encrypted token", format!("{jwe}.{payload}.AAAA.{payload}.AAAA"));
    put("an encrypted token in three", format!("{jwe}.{payload}.{signature}"));
    put(
        "dir with nothing",
        format!("{}..AAAA.{payload}.AAAA", text(&json!({"alg": "dir", "enc": "A128GCM"}))),
    );
    put(
        "JSON, flattened",
        json!({"protected": head, "payload": payload, "signature": signature}).to_string(),
    );
    put(
        "JSON, general",
        json!({"payload": payload, "signatures": [{"protected": head, "signature": signature}]})
            .to_string(),
    );
    put(
        "JSON in base64",
        text(&json!({"protected": head, "payload": payload, "signature": signature})),
    );
    put("nested", {
        let head = header(mint, &json!({"cty": "JWT"}));
        mint.token(head.to_string(), &token)
    });
    put("detached", format!("{head}..{signature}"));
    put("empty", String::new());
    put("dots alone", "..".to_owned());
    put("huge", format!("{head}.{}.{signature}", "A".repeat(8_192)));
    put("dots galore", ".".repeat(10_000));
    put("a letter that is none", token.replace('.', "\u{2024}"));
    all
}

/// One by one, for each algorithm, with the key under its name, and with the key without a name.
#[test]
fn no_forgery_is_believed_for_any_algorithm() {
    let mut count = 0;
    for algorithm in Algorithm::ALL {
        let mint = Mint::new(algorithm);
        let (keys, rules) = (mint.keys(), mint.rules());
        assert!(judge(&mint.claims(&good()), &keys, &rules).is_ok(), "{algorithm}");
        for (name, token) in forgeries(&mint) {
            let verdict = judge(&token, &keys, &rules);
            assert!(verdict.is_err(), "{algorithm}: {name}: {token}");
            count += 1;
        }
    }
    assert!(count > 2_400, "only {count} forgeries were tried");
}

#[test]
fn a_public_key_is_no_secret() {
    let asymmetric = Algorithm::ALL.into_iter().filter(|one| !one.is_symmetric());
    for algorithm in asymmetric {
        let mint = Mint::new(algorithm);
        let der = mint.spki().unwrap();
        let text = pem("PUBLIC KEY", &der);
        let jwk = mint.jwk();
        let mut secrets = vec![
            text.clone().into_bytes(),
            text.trim_end().as_bytes().to_vec(),
            der,
            Vec::new(),
            text.replace('\n', "\r\n").into_bytes(),
            jwk.to_string().into_bytes(),
            b"\0".to_vec(),
            json!({"keys": [jwk]}).to_string().into_bytes(),
            b"secret".to_vec(),
        ];
        for name in ["n", "e", "x", "y"] {
            if let Some(part) = jwk[name].as_str() {
                secrets.push(part.as_bytes().to_vec());
                secrets.push(base64url::decode(part).unwrap());
            }
        }
        let sets = [mint.keys(), KeySet::pem(text.as_bytes()).unwrap()];
        for secret in secrets {
            for named in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512, algorithm] {
                let head = base64url::encode(
                    json!({"alg": named.name(), "kid": "k1"}).to_string().as_bytes(),
                );
                let input = format!("{head}.{}", base64url::encode(good().to_string().as_bytes()));
                let signature = base64url::encode(&mac(named, &secret, input.as_bytes()));
                for keys in &sets {
                    let verdict = judge(&format!("{input}.{signature}"), keys, &mint.rules()).err();
                    let named_itself = named == algorithm;
                    let refusal =
                        if named_itself { Refusal::Signature } else { Refusal::KeyMismatch };
                    assert_eq!(verdict, Some(refusal), "{algorithm} by {named}");
                }
            }
        }
    }
}

#[test]
fn ecdsa_is_two_numbers_of_fixed_length_of_which_none_is_zero() {
    for (algorithm, size) in [(Algorithm::ES256, 32), (Algorithm::ES384, 48)] {
        let mint = Mint::new(algorithm);
        let token = mint.claims(&good());
        let [head, payload, signature] = parts(&token);
        let bytes = base64url::decode(&signature).unwrap();
        assert_eq!(bytes.len(), 2 * size);
        let (r, s) = bytes.split_at(size);
        let (zero, ones, mut one) = (vec![0; size], vec![0xff; size], vec![0; size]);
        one[size - 1] = 1;
        let integer = |number: &[u8]| [&[2, u8::try_from(size + 1).unwrap(), 0], number].concat();
        let both = [integer(r), integer(s)].concat();
        let der = [&[0x30, u8::try_from(both.len()).unwrap()], &both[..]].concat();
        let swapped = [s, r].concat();
        for (name, forged) in [
            ("r is zero", [&zero, s].concat()),
            ("s is zero", [r, &zero].concat()),
            ("both are zero", [&zero[..], &zero].concat()),
            ("both are one", [&one[..], &one].concat()),
            ("r is beyond the order", [&ones, s].concat()),
            ("s is beyond the order", [r, &ones].concat()),
            ("they are swapped", swapped),
            ("r alone", r.to_vec()),
            ("DER", der),
            ("a zero before each", [&[0], r, &[0], s].concat()),
            ("zeros before all", [&[0, 0], r, s].concat()),
        ] {
            let token = format!("{head}.{payload}.{}", base64url::encode(&forged));
            assert_eq!(mint.judge(&token).err(), Some(Refusal::Signature), "{algorithm}: {name}");
        }
    }
    let mint = Mint::new(Algorithm::ES256);
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &mint.pkcs8().unwrap());
    let [head, payload, _] = parts(&mint.claims(&good()));
    let input = format!("{head}.{payload}");
    let der = pair.unwrap().sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    let token = format!("{input}.{}", base64url::encode(der.as_ref()));
    assert_eq!(mint.judge(&token).err(), Some(Refusal::Signature));
}

/// RFC 8032 §5.1.7: s is below the order of the group, or each signature would have a twin.
#[test]
fn ed25519_has_no_twin_signatures() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mint = Mint::new(Algorithm::EdDSA);
    let [head, payload, signature] = parts(&mint.claims(&good()));
    let mut bytes = base64url::decode(&signature).unwrap();
    let mut carry = 0;
    for (byte, more) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    let token = format!("{head}.{payload}.{}", base64url::encode(&bytes));
    assert_eq!(mint.judge(&token).err(), Some(Refusal::Signature));
}

#[test]
fn a_refusal_tells_nothing_of_the_token() {
    let mint = Mint::new(Algorithm::HS256);
    for (_, token) in forgeries(&mint) {
        let refusal = mint.judge(&token).unwrap_err();
        let text = format!("{refusal} {refusal:?}");
        for part in token.split(['.', ' ', ',']).filter(|part| part.len() > 8) {
            assert!(!text.contains(part), "{text}");
        }
    }
}
