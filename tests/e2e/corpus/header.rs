//! Tokens whose header asks for what nobody should do (RFC 7515 §4.1, RFC 8725 §3).

use super::{Bench, key_set};
use crate::support::{Key, Keys, encode, forge};
use sluicegate::jose::Algorithm;

pub fn cases(bench: &mut Bench) {
    none(bench);
    names(bench);
    others(bench);
    types(bench);
    critical(bench);
    kids(bench);
    embedded(bench);
    if !bench.algorithm.is_symmetric() {
        confused(bench);
    }
}

/// Tokens that nobody signed, in every spelling.
fn none(bench: &mut Bench) {
    for name in ["none", "None", "NONE", "nOnE", "none ", " none", "none\\u0000", "\\u006eone"] {
        let header = bench.header(&[("alg", &format!("\"{name}\""))]);
        let token = bench.token(&header, bench.claims(&[]));
        let input = token.rsplit_once('.').unwrap().0.to_owned();
        bench.refuses(format!("alg {name}, well signed"), token);
        bench.refuses(format!("alg {name}, an empty signature"), format!("{input}."));
        bench.refuses(format!("alg {name}, no signature"), input);
        let bare = format!("{{\"alg\":\"{name}\"}}");
        let bare = format!("{}.{}.", encode(bare), encode(bench.claims(&[])));
        bench.refuses(format!("alg {name} alone"), bare);
    }
}

/// Names that are not the algorithm's, although its key has signed.
fn names(bench: &mut Bench) {
    let name = bench.name();
    let mut values: Vec<String> = ["", "null", "true", "5", "{}", "[]", "\"\"", "\"*\"", "\"any\""]
        .map(str::to_owned)
        .to_vec();
    values.extend([
        format!("\"{}\"", name.to_lowercase()),
        format!("\"{} \"", name),
        format!("\" {}\"", name),
        format!("\"{}\\u0000\"", name),
        format!("\"{}\\n\"", name),
        format!("[\"{}\"]", name),
        format!("{{\"{}\":true}}", name),
        format!("\"{},none\"", name),
        format!("\"{}-{}\"", &name[..2], &name[2..]),
        format!("\"{}\"", &name[..name.len() - 1]),
        format!("\"{name}0\""),
    ]);
    for other in [
        "RS1",
        "HS1",
        "HS224",
        "ES224",
        "ES512",
        "ES256K",
        "Ed25519",
        "Ed448",
        "ESP256",
        "ML-DSA-44",
        "SHA256",
        "A128GCM",
        "RSA-OAEP",
        "dir",
        "ecdsa-p256-sha256",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    ] {
        values.push(format!("\"{other}\""));
    }
    for value in &values {
        bench.refuses_headers("alg", &[("alg", value)]);
    }
}

/// The other algorithms: claimed without being used, used without being claimed, and both.
fn others(bench: &mut Bench) {
    let own = bench.algorithm;
    for other in Algorithm::ALL.into_iter().filter(|other| *other != own) {
        let (key, name) = (Keys::ours().of(other), other.name());
        let theirs = bench.header(&[("alg", &format!("\"{name}\""))]);
        let token = forge(&theirs, bench.claims(&[]), name, key);
        bench.refuses(format!("{name}, which is not allowed, and its key"), token);
        let token = forge(&theirs, bench.claims(&[]), bench.name(), bench.key());
        bench.refuses(format!("{name} in the header only"), token);
        let token = forge(bench.header(&[]), bench.claims(&[]), name, key);
        bench.refuses(format!("{name} in the signature only"), token);
    }
    for (name, key) in [("ES512", Key::p521()), ("ES256K", Key::secp256k1())] {
        let theirs = bench.header(&[("alg", &format!("\"{name}\""))]);
        let token = forge(theirs, bench.claims(&[]), name, &key);
        bench.refuses(format!("{name}, signed so"), token);
        let token = forge(bench.header(&[]), bench.claims(&[]), name, &key);
        bench.refuses(format!("{name} in the signature only"), token);
    }
}

/// Tokens that were made for something else (RFC 8725 §3.11), and what is no media type.
fn types(bench: &mut Bench) {
    for typ in [
        "\"\"",
        "\"JOSE\"",
        "\"JOSE+JSON\"",
        "\"JWE\"",
        "\"other\"",
        "\"dpop+jwt\"",
        "\"logout+jwt\"",
        "\"secevent+jwt\"",
        "\"kb+jwt\"",
        "\"dc+sd-jwt\"",
        "\"token-introspection+jwt\"",
        "\"oauth-authz-req+jwt\"",
        "\"client-authentication+jwt\"",
        "\"application/json\"",
        "\"application/dpop+jwt\"",
        "\"text/jwt\"",
        "\"JWT \"",
        "\" JWT\"",
        "\"JWT,at+jwt\"",
        "\"at+jwt;a=b\"",
        "\"at+jwt+jwt\"",
        "\"at jwt\"",
        "\"application/application/jwt\"",
        "\"jwt\\u0000\"",
        "5",
        "null",
        "true",
        "[\"JWT\"]",
        "{\"JWT\":1}",
        "[]",
    ] {
        bench.refuses_headers("typ", &[("typ", typ)]);
    }
}

/// Extensions that must be understood, of which there are none here (RFC 7515 §4.1.11), and the
/// unencoded payload (RFC 7797 §3).
fn critical(bench: &mut Bench) {
    for crit in [
        "[\"exp\"]",
        "[\"foo\"]",
        "[\"alg\"]",
        "[\"kid\"]",
        "[\"b64\"]",
        "[]",
        "[\"\"]",
        "\"exp\"",
        "\"\"",
        "null",
        "true",
        "5",
        "{}",
        "[null]",
        "[5]",
        "[[]]",
        "[\"foo\",\"foo\"]",
        "[\"foo\",\"bar\"]",
    ] {
        bench.refuses_headers("crit", &[("crit", crit)]);
        bench.refuses_headers("crit that is there", &[("crit", crit), ("foo", "1"), ("exp", "1")]);
    }
    bench.refuses_headers("crit", &[("crit", "[\"b64\"]"), ("b64", "true")]);
    bench.refuses_headers("crit", &[("crit", "[\"b64\"]"), ("b64", "false")]);
    bench.refuses_headers("b64", &[("b64", "false")]);
    bench.refuses_headers("crit by escapes", &[("\\u0063rit", "[\"foo\"]"), ("foo", "1")]);
    // Signed and carried as RFC 7797 has it, with claims in the clear.
    let header = encode(bench.header(&[("crit", "[\"b64\"]"), ("b64", "false")]));
    let input = format!("{header}.{}", bench.claims(&[]).replace('.', "%2E"));
    bench.refuses("claims in the clear", crate::support::signed(&input, bench.name(), bench.key()));
    let over = format!("{header}.{}", bench.claims(&[]));
    let signature = encode(bench.key().sign(bench.name(), over.as_bytes()));
    let token = format!("{header}.{}.{signature}", encode(bench.claims(&[])));
    bench.refuses("signed over claims in the clear", token);
}

fn kids(bench: &mut Bench) {
    let stranger = Keys::others().of(bench.algorithm);
    for kid in ["5", "null", "true", "[\"main\"]", "{\"main\":1}", "[]"] {
        bench.refuses_headers("kid is no string", &[("kid", kid)]);
    }
    for kid in [
        "spare",
        "nobody",
        "",
        "MAIN",
        "Main",
        "main ",
        " main",
        "main\\u0000",
        "main\\n",
        "mai",
        "main2",
        "*",
        "0",
        "../../../../../../dev/null",
        "/dev/null",
        "/proc/sys/kernel/randomize",
        "main' OR '1'='1",
        "main'; DROP TABLE keys; --",
        "' UNION SELECT 'a",
        "$(id)",
        "|id",
        "https://evil.example.com/jwks",
        "%6dain",
        "${jndi:ldap://evil}",
        "{\\\"$ne\\\":null}",
        "m\u{430}in",
        "main\\u200b",
        "__proto__",
    ] {
        let value = format!("\"{kid}\"");
        bench.refuses_headers("kid of another", &[("kid", &value)]).by_kid = true;
        let token =
            forge(bench.header(&[("kid", &value)]), bench.claims(&[]), bench.name(), stranger);
        bench.refuses(format!("kid {kid}, by a stranger"), token);
    }
    let long = format!("\"{}\"", "a".repeat(3_000));
    let case = bench.refuses_headers("kid", &[("kid", &long)]);
    (case.name, case.by_kid) = ("a kid of three thousand letters".to_owned(), true);
    // Whoever reads a key from a file that is empty signs with no secret at all.
    for secret in ["", "\0", "null", "0"] {
        let key = Key::Secret(secret.as_bytes().to_vec());
        for kid in ["/dev/null", "main"] {
            let header = bench.header(&[("alg", "\"HS256\""), ("kid", &format!("\"{kid}\""))]);
            let token = forge(header, bench.claims(&[]), "HS256", &key);
            bench.refuses(format!("HS256 with {secret:?} and the kid {kid}"), token);
        }
    }
}

/// Keys that the token brings along (RFC 8725 §3.10, CVE-2018-0114), which signed it.
fn embedded(bench: &mut Bench) {
    let stranger = Keys::others().of(bench.algorithm);
    let jwk = stranger.jwk("main").to_string();
    let set = format!("{{\"keys\":[{jwk}]}}");
    let data = format!("\"data:application/json,{}\"", encode(&set));
    for (name, value) in [
        ("jwk", jwk.as_str()),
        ("jwks", &set),
        ("jku", "\"https://evil.example.com/jwks\""),
        ("jku", &data),
        ("jku", "\"http://127.0.0.1/jwks\""),
        ("jku", "\"https://id.example.com@evil.example.com/jwks\""),
        ("x5u", "\"https://evil.example.com/chain\""),
        ("x5c", "[\"MIIB\"]"),
    ] {
        for kid in ["\"main\"", ""] {
            let header = bench.header(&[(name, value), ("kid", kid)]);
            let token = forge(header, bench.claims(&[]), bench.name(), stranger);
            let name = format!("{name} {:.40} of the stranger who signed, kid {kid}", value);
            bench.refuses(name, token);
        }
    }
    let token = forge(bench.header(&[]), bench.claims(&[]), bench.name(), stranger);
    bench.refuses("by a stranger", token);
    let unnamed = bench.header(&[("kid", "")]);
    let token = forge(unnamed, bench.claims(&[]), bench.name(), stranger);
    bench.refuses("by a stranger, without kid", token);
    let spare = Keys::spare().of(bench.algorithm);
    let token = forge(bench.header(&[]), bench.claims(&[]), bench.name(), spare);
    bench.refuses("by the spare key in the name of the main one", token);
}

/// HMAC with what is public as its secret (RFC 8725 §2.1), whatever form it is taken in.
fn confused(bench: &mut Bench) {
    let (pem, der) = (bench.key().public_pem(), bench.key().public_der());
    let jwk = bench.key().jwk("main");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let secrets: Vec<(&str, Vec<u8>)> = vec![
        ("PEM", pem.clone().into_bytes()),
        ("PEM without its last end of line", pem.trim_end().as_bytes().to_vec()),
        ("PEM with CRLF", pem.replace('\n', "\r\n").into_bytes()),
        ("PEM's letters", body.into_bytes()),
        ("DER", der),
        ("bytes", bench.key().bytes().to_vec()),
        ("JWK", jwk.to_string().into_bytes()),
        ("key set", key_set(bench.algorithm).to_string().into_bytes()),
        ("kid", b"main".to_vec()),
        ("first number in base64url", jwk["n"].as_str().or(jwk["x"].as_str()).unwrap().into()),
    ];
    for (what, secret) in secrets {
        let key = Key::Secret(secret);
        for name in ["HS256", "HS384", "HS512"] {
            for kid in ["\"main\"", ""] {
                let header = bench.header(&[("alg", &format!("\"{name}\"")), ("kid", kid)]);
                let token = forge(header, bench.claims(&[]), name, &key);
                bench.refuses(format!("{name} with the {what} as its secret, kid {kid}"), token);
            }
            let token = forge(bench.header(&[]), bench.claims(&[]), name, &key);
            bench.refuses(format!("{name} with the {what} as its secret, unsaid"), token);
        }
    }
}
