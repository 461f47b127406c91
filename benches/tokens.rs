//! What a token costs that nobody has seen before: to read it, and to verify it, for each algorithm.
//! Beside that, what the check of the signature costs with the verifiers of jsonwebtoken.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use sluicegate::jose::{Algorithm, KeySet, LEEWAY, MAX_SIZE, Rules, Token, verify};
use std::hint::black_box;
use std::time::{Duration, UNIX_EPOCH};

/// A token of an algorithm, the key for it, and the same key for jsonwebtoken.
struct Case {
    algorithm: Algorithm,
    token: String,
    keys: KeySet,
    theirs: DecodingKey,
}

const SECRET: [u8; 64] = [7; 64];

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

fn case(algorithm: Algorithm, rsa: &RsaKeyPair) -> Case {
    let claims = r#"{"iss":"https://id.example.com","aud":"api","sub":"u1","exp":1800000300,"nbf":
        1799999700,"iat":1799999700,"jti":"3f1c","scope":"orders.read orders.write"}"#;
    let header = format!(r#"{{"alg":"{algorithm}","kid":"k1","typ":"JWT"}}"#);
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let random = SystemRandom::new();
    let mut der: Option<PublicKeyX509Der<'_>> = None;
    let mut theirs = DecodingKey::from_secret(&SECRET);
    let mut by_rsa = |padding: &'static dyn RsaEncoding| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(padding, &random, input.as_bytes(), &mut signature).unwrap();
        der = Some(rsa.public_key().as_der().unwrap());
        theirs = DecodingKey::from_rsa_der(rsa.public_key().as_ref());
        signature
    };
    let mac = |hash| hmac::sign(&hmac::Key::new(hash, &SECRET), input.as_bytes()).as_ref().to_vec();
    let signature = match algorithm {
        Algorithm::HS256 => mac(hmac::HMAC_SHA256),
        Algorithm::HS384 => mac(hmac::HMAC_SHA384),
        Algorithm::HS512 => mac(hmac::HMAC_SHA512),
        Algorithm::RS256 => by_rsa(&signature::RSA_PKCS1_SHA256),
        Algorithm::RS384 => by_rsa(&signature::RSA_PKCS1_SHA384),
        Algorithm::RS512 => by_rsa(&signature::RSA_PKCS1_SHA512),
        Algorithm::PS256 => by_rsa(&signature::RSA_PSS_SHA256),
        Algorithm::PS384 => by_rsa(&signature::RSA_PSS_SHA384),
        Algorithm::PS512 => by_rsa(&signature::RSA_PSS_SHA512),
        Algorithm::ES256 | Algorithm::ES384 => {
            let pair = EcdsaKeyPair::generate(match algorithm {
                Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                _ => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            })
            .unwrap();
            der = Some(pair.public_key().as_der().unwrap());
            theirs = DecodingKey::from_ec_der(pair.public_key().as_ref());
            pair.sign(&random, input.as_bytes()).unwrap().as_ref().to_vec()
        }
        Algorithm::EdDSA => {
            let pair = Ed25519KeyPair::generate().unwrap();
            der = Some(pair.public_key().as_der().unwrap());
            theirs = DecodingKey::from_ed_der(pair.public_key().as_ref());
            pair.sign(input.as_bytes()).as_ref().to_vec()
        }
    };
    let keys = match der {
        Some(der) => KeySet::pem(pem(der.as_ref()).as_bytes()),
        None => KeySet::secret(&SECRET, [algorithm].into_iter().collect()),
    };
    let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
    Case { algorithm, token, keys: keys.unwrap(), theirs }
}

fn tokens(criterion: &mut Criterion) {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let cases = Algorithm::ALL.map(|algorithm| case(algorithm, &rsa));
    let rules = Rules {
        issuer: "https://id.example.com".into(),
        audience: vec!["api".into()],
        algorithms: Algorithm::ALL.into_iter().collect(),
        leeway: LEEWAY,
        typ: None,
        max_size: MAX_SIZE,
    };
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);

    criterion.bench_function("token/read", |bencher| {
        bencher.iter(|| Token::read(black_box(&cases[0].token), MAX_SIZE).is_ok());
    });
    criterion.bench_function("token/read with issuer", |bencher| {
        bencher.iter(|| {
            let token = Token::read(black_box(&cases[0].token), MAX_SIZE).unwrap();
            token.issuer().is_some()
        });
    });
    let mut group = criterion.benchmark_group("token/verify");
    for Case { algorithm, token, keys, .. } in &cases {
        group.bench_function(BenchmarkId::from_parameter(algorithm), |bencher| {
            bencher.iter(|| {
                let token = Token::read(black_box(token), MAX_SIZE).unwrap();
                verify(&token, keys, &rules, now).unwrap()
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("token/signature by jsonwebtoken");
    for Case { algorithm, token, theirs, .. } in &cases {
        let named = algorithm.name().parse().unwrap();
        let verifier = (DEFAULT_PROVIDER.verifier_factory)(&named, theirs).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        group.bench_function(BenchmarkId::from_parameter(algorithm), |bencher| {
            bencher.iter(|| {
                let signature = URL_SAFE_NO_PAD.decode(black_box(signature)).unwrap();
                verifier.verify(input.as_bytes(), &signature).unwrap();
            });
        });
    }
    group.finish();
}

criterion_group!(benches, tokens);
criterion_main!(benches);
