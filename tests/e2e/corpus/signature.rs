//! Tokens whose signature is not one, of all that should be signed, by the key that should.

use super::Bench;
use crate::support::{Key, Keys, encode};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
};
use sluicegate::jose::{Algorithm, Kind};

pub fn cases(bench: &mut Bench) {
    tampered(bench);
    over_something_else(bench);
    match bench.algorithm.kind() {
        Kind::Secret(_) => secrets(bench),
        Kind::Rsa => rsa(bench),
        Kind::P256 => ecdsa(bench, &P256),
        Kind::P384 => ecdsa(bench, &P384),
        Kind::Ed25519 => ed25519(bench),
    }
}

/// The input and the signature of a new good token.
fn good(bench: &Bench) -> (String, Vec<u8>) {
    let input = format!("{}.{}", encode(bench.header(&[])), encode(bench.claims(&[])));
    let signature = bench.key().sign(bench.name(), input.as_bytes());
    (input, signature)
}

fn tampered(bench: &mut Bench) {
    let (input, signature) = good(bench);
    let length = signature.len();
    let flipped = |at: usize, bit: u8| {
        let mut signature = signature.clone();
        signature[at] ^= bit;
        signature
    };
    let mut shapes: Vec<(String, Vec<u8>)> = [
        ("an empty one", Vec::new()),
        ("a byte of zero", vec![0]),
        ("zeros", vec![0; length]),
        ("ones", vec![0xff; length]),
        ("one and zeros", [&[1], &vec![0; length - 1][..]].concat()),
        ("a byte more", [&signature[..], &[0]].concat()),
        ("a byte before it", [&[0], &signature[..]].concat()),
        ("a byte less", signature[..length - 1].to_vec()),
        ("a byte less before it", signature[1..].to_vec()),
        ("half of it", signature[..length / 2].to_vec()),
        ("its other half", signature[length / 2..].to_vec()),
        ("twice", signature.repeat(2)),
        ("backwards", signature.iter().rev().copied().collect()),
        ("inverted", signature.iter().map(|byte| !byte).collect()),
        ("in hexadecimal", signature.iter().map(|b| format!("{b:02x}")).collect::<String>().into()),
        ("in base64url twice", encode(&signature).into_bytes()),
        ("the input itself", input.clone().into_bytes()),
    ]
    .map(|(name, signature)| (name.to_owned(), signature))
    .to_vec();
    for at in [0, 1, length / 4, length / 2 - 1, length / 2, length - 2, length - 1] {
        for bit in [1, 0x80] {
            shapes.push((format!("bit {bit} of byte {at} flipped"), flipped(at, bit)));
        }
    }
    for (name, signature) in shapes {
        bench.refuses(format!("signature: {name}"), format!("{input}.{}", encode(signature)));
    }
}

/// Good signatures, of other bytes than those that stand before them.
fn over_something_else(bench: &mut Bench) {
    let (input, signature) = good(bench);
    let (header, claims) = input.split_once('.').unwrap();
    let mallory = encode(bench.claims(&[("sub", "\"mallory\"")]));
    let admin = encode(bench.claims(&[("roles", "[\"admin\"]")]));
    let later = encode(bench.claims(&[("exp", &(bench.now + 9_999).to_string())]));
    let other = encode(bench.header(&[("x", "1")]));
    let typed = encode(bench.header(&[("typ", "\"at+jwt\"")]));
    let own = encode(&signature);
    for (name, token) in [
        ("another subject", format!("{header}.{mallory}.{own}")),
        ("a role more", format!("{header}.{admin}.{own}")),
        ("another end", format!("{header}.{later}.{own}")),
        ("another header", format!("{other}.{claims}.{own}")),
        ("another typ", format!("{typed}.{claims}.{own}")),
    ] {
        bench.refuses(format!("signed before: {name}"), token);
    }
    let texts = format!("{}.{}", bench.header(&[]), bench.claims(&[]));
    let key = bench.key();
    for (name, message) in [
        ("only the header", header.to_owned()),
        ("only the claims", claims.to_owned()),
        ("only the texts", texts),
        ("only the claims' text", bench.claims(&[])),
        ("without the dot", format!("{header}{claims}")),
        ("with a dot at its end", format!("{input}.")),
        ("with a newline at its end", format!("{input}\n")),
        ("in another order", format!("{claims}.{header}")),
        ("in small letters", input.to_lowercase()),
        ("nothing", String::new()),
    ] {
        let signature = encode(key.sign(bench.name(), message.as_bytes()));
        bench.refuses(format!("signed: {name}"), format!("{input}.{signature}"));
    }
}

fn secrets(bench: &mut Bench) {
    let (input, signature) = good(bench);
    let secret = bench.key().bytes();
    let text = String::from_utf8(secret.to_vec()).unwrap();
    for (name, secret) in [
        ("an empty secret", Vec::new()),
        ("the word secret", b"secret".to_vec()),
        ("the secret and a newline", format!("{text}\n").into_bytes()),
        ("the secret in base64url", encode(secret).into_bytes()),
        ("the secret in capitals", text.to_uppercase().into_bytes()),
        ("the secret without its last letter", secret[..secret.len() - 1].to_vec()),
        ("the secret without its first letter", secret[1..].to_vec()),
        ("the first 32 letters of the secret", secret[..32].to_vec()),
        ("the secret twice", secret.repeat(2)),
        ("the kid", b"main".to_vec()),
        ("the issuer", super::ISSUER.as_bytes().to_vec()),
        ("another secret", Keys::others().of(bench.algorithm).bytes().to_vec()),
        ("zeros", vec![0; 64]),
    ] {
        let signature = Key::Secret(secret).sign(bench.name(), input.as_bytes());
        bench.refuses(format!("by {name}"), format!("{input}.{}", encode(signature)));
    }
    // A truncated HMAC (RFC 2104 §5) is another algorithm.
    for bytes in [1, 4, 8, 10, 16, 20, 24, 28] {
        let token = format!("{input}.{}", encode(&signature[..bytes]));
        bench.refuses(format!("{bytes} bytes of the HMAC"), token);
    }
}

fn rsa(bench: &mut Bench) {
    let (input, _) = good(bench);
    for other in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        if other == bench.name() {
            continue;
        }
        let signature = encode(bench.key().sign(other, input.as_bytes()));
        bench.refuses(format!("signed as {other}"), format!("{input}.{signature}"));
    }
    // The numbers whose powers anybody knows, and those that are not below the modulus.
    let jwk = bench.key().jwk("main");
    let modulus = decode(jwk["n"].as_str().unwrap());
    let length = modulus.len();
    let number = |last: u8| [&vec![0; length - 1][..], &[last]].concat();
    // It is odd.
    let mut less = modulus.clone();
    *less.last_mut().unwrap() -= 1;
    for (name, signature) in [
        ("2", number(2)),
        ("3", number(3)),
        ("the modulus", modulus),
        ("the modulus less one", less),
    ] {
        bench.refuses(format!("signature: {name}"), format!("{input}.{}", encode(signature)));
    }
}

/// What is known of a curve, for those who try its border.
struct Curve {
    /// The order of its group, big-endian.
    order: &'static str,
    der: &'static aws_lc_rs::signature::EcdsaSigningAlgorithm,
    other: Algorithm,
}

const P256: Curve = Curve {
    order: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    der: &ECDSA_P256_SHA256_ASN1_SIGNING,
    other: Algorithm::ES384,
};

const P384: Curve = Curve {
    order: "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
            581a0db248b0a77aecec196accc52973",
    der: &ECDSA_P384_SHA384_ASN1_SIGNING,
    other: Algorithm::ES256,
};

fn ecdsa(bench: &mut Bench, curve: &Curve) {
    let (input, signature) = good(bench);
    let half = signature.len() / 2;
    let (r, s) = signature.split_at(half);
    let order: Vec<u8> = (0..half)
        .map(|at| u8::from_str_radix(&curve.order[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let zero = vec![0; half];
    let one = [&zero[1..], &[1]].concat();
    let negated = minus(&order, s);
    // The numbers r and n - r, s and n - s are as good as each other to ECDSA, whose signatures
    // have no one form (RFC 7518 §3.4 asks for none).
    bench.takes("the other s", format!("{input}.{}", encode([r, &negated].concat())));
    for (name, r, s) in [
        ("r is 0", zero.as_slice(), s),
        ("s is 0", r, &zero),
        ("both are 0", &zero, &zero),
        ("both are 1", &one, &one),
        ("r is 1", &one, s),
        ("s is 1", r, &one),
        ("r is the order", &order, s),
        ("s is the order", r, &order),
        ("both are the order", &order, &order),
        ("r is 0, s is the order", &zero, &order),
        ("r is negated", &minus(&order, r), s),
        ("they are exchanged", s, r),
        ("r twice", r, r),
        ("s twice", s, s),
    ] {
        bench.refuses(format!("signature: {name}"), format!("{input}.{}", encode([r, s].concat())));
    }
    let padded = [&[0], r, &[0], s].concat();
    bench.refuses("r and s a byte longer", format!("{input}.{}", encode(padded)));
    let padded = [&vec![0; 16][..], r, &vec![0; 16][..], s].concat();
    bench.refuses("r and s 16 bytes longer", format!("{input}.{}", encode(padded)));
    // DER is how X.509 has it, and not JOSE (RFC 7518 §3.4).
    let Key::Ec(pair) = bench.key() else { panic!("the key is on a curve") };
    let pkcs8 = pair.to_pkcs8v1().unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(curve.der, pkcs8.as_ref()).unwrap();
    let der = pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    bench.refuses("signature: DER", format!("{input}.{}", encode(der.as_ref())));
    let mut filled = der.as_ref().to_vec();
    filled.resize(2 * half, 0);
    bench.refuses("signature: DER of the right length", format!("{input}.{}", encode(filled)));
    let other = Keys::ours().of(curve.other).sign(curve.other.name(), input.as_bytes());
    bench.refuses("signature: by the other curve's key", format!("{input}.{}", encode(&other)));
    let mut fitted = other;
    fitted.resize(2 * half, 0);
    bench.refuses(
        "signature: by the other curve's key, fitted",
        format!("{input}.{}", encode(fitted)),
    );
}

fn ed25519(bench: &mut Bench) {
    let (input, signature) = good(bench);
    let (point, scalar) = signature.split_at(32);
    // S must be below the order of the group (RFC 8032 §5.1.7), or each signature had a twin.
    let order: [u8; 32] = {
        let mut order = [0; 32];
        order[..16].copy_from_slice(&[
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14,
        ]);
        order[31] = 0x10;
        order
    };
    let mut twin = scalar.to_vec();
    let mut carry = 0;
    for (byte, more) in twin.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    let mut identity = [0; 32];
    identity[0] = 1;
    let zero = [0; 32];
    for (name, signature) in [
        ("S and the order", [point, &twin].concat()),
        ("S is the order", [point, &order].concat()),
        ("S is 0", [point, &zero].concat()),
        ("R is the identity", [&identity, scalar].concat()),
        ("R is the identity, S is 0", [identity, zero].concat()),
        ("R is 0", [&zero, scalar].concat()),
        ("R and S are exchanged", [scalar, point].concat()),
        ("only R", point.to_vec()),
        ("as long as of Ed448", [&signature[..], &[0; 50]].concat()),
    ] {
        bench.refuses(format!("signature: {name}"), format!("{input}.{}", encode(signature)));
    }
}

/// The difference of two numbers of one length, big-endian; the first is the larger.
fn minus(larger: &[u8], smaller: &[u8]) -> Vec<u8> {
    let mut difference = vec![0; larger.len()];
    let mut borrow = 0;
    for at in (0..larger.len()).rev() {
        let digit = i16::from(larger[at]) - i16::from(smaller[at]) - borrow;
        borrow = i16::from(digit < 0);
        difference[at] = digit.rem_euclid(256) as u8;
    }
    difference
}

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}
