//! Tokens that are accepted: what a strict reader must not refuse.

use super::{AUDIENCE, Bench, ISSUER, LEEWAY};
use crate::support::{Keys, forge};

pub fn cases(bench: &mut Bench) {
    headers(bench);
    claims(bench);
    dates(bench);
    keys(bench);
}

fn headers(bench: &mut Bench) {
    bench.takes("plain", bench.good());
    // A media type's case does not count, and its `application/` may be left out (RFC 7515 §4.1.9).
    for typ in [
        "",
        "\"JWT\"",
        "\"jwt\"",
        "\"at+jwt\"",
        "\"AT+JWT\"",
        "\"application/at+jwt\"",
        "\"application/jwt\"",
        "\"Application/At+Jwt\"",
        "\"\\u004aWT\"",
    ] {
        let header = bench.header(&[("typ", typ)]);
        bench.takes(format!("typ {typ}"), bench.token(header, bench.claims(&[])));
    }
    // What a header says of keys is nobody's word but the sender's, and what nobody knows is
    // ignored (RFC 7515 §4).
    let stranger = Keys::others().of(bench.algorithm).jwk("main").to_string();
    for (name, value) in [
        ("jku", "\"https://evil.example.com/jwks\""),
        ("x5u", "\"https://evil.example.com/chain\""),
        ("jwk", stranger.as_str()),
        ("x5c", "[\"MIIB\"]"),
        ("x5t", "\"AAAA\""),
        ("x5t#S256", "\"AAAA\""),
        ("foo", "{\"bar\":[1,2,{\"baz\":null}]}"),
        ("Alg", "\"none\""),
        ("ALG", "\"none\""),
        ("Kid", "\"other\""),
        ("", "true"),
        ("__proto__", "{\"alg\":\"none\"}"),
    ] {
        let header = bench.header(&[(name, value)]);
        bench.takes(format!("header member {name}"), bench.token(header, bench.claims(&[])));
    }
    let escaped = bench.header(&[]).replace("\"alg\"", "\"\\u0061l\\u0067\"");
    bench.takes("alg by escapes", bench.token(escaped, bench.claims(&[])));
    let (name, first) = (bench.name(), &bench.name()[..1]);
    let value = format!("\\u{:04x}{}", u32::from(first.as_bytes()[0]), &name[1..]);
    let escaped = bench.header(&[("alg", &format!("\"{value}\""))]);
    bench.takes("alg's value by escapes", bench.token(escaped, bench.claims(&[])));
    for (name, blank) in [("spaces", " "), ("lines", "\r\n"), ("tabs", "\t")] {
        let roomy = |text: String| {
            let inside = text.replace(',', &format!("{blank},{blank}"));
            format!("{blank}{}{blank}", inside.replace("\":", &format!("\"{blank}:{blank}")))
        };
        let (header, claims) = (roomy(bench.header(&[])), roomy(bench.claims(&[])));
        bench.takes(format!("{name} between the tokens of JSON"), bench.token(header, claims));
    }
    let reversed = format!("{{\"kid\":\"main\",\"typ\":\"JWT\",\"alg\":\"{name}\"}}");
    bench.takes("header in another order", bench.token(reversed, bench.claims(&[])));
}

fn claims(bench: &mut Bench) {
    let header = bench.header(&[]);
    for (name, value) in [
        ("aud", "[\"api\"]"),
        ("aud", "[\"other\",\"api\"]"),
        ("aud", "[\"api\",\"api\"]"),
        ("aud", "[\"\\u0061pi\"]"),
        ("iss", "\"https:\\/\\/id.example.com\""),
        ("jti", "\"a\""),
        ("scope", "\"orders.read orders.write\""),
        ("roles", "[\"reader\",\"admin\"]"),
        ("extra", "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":[[[[[]]]]]}}}}}"),
        ("extra", "[{\"a\":1},{\"a\":2}]"),
        ("extra", "{\"exp\":1,\"iss\":\"evil\"}"),
        ("extra", "\"\\ud83d\\ude00 \u{1f600} \u{e9} e\u{301} \\u0000 \u{7f}\""),
        ("extra", "[-0,1.0E+2,1e-7,12345678901234567890,0.1]"),
        ("extra", "\"..\""),
        ("Exp", "0"),
        ("EXP", "\"never\""),
        ("Iss", "\"evil\""),
        ("", "null"),
        ("__proto__", "{\"exp\":0}"),
    ] {
        let token = bench.token(&header, bench.claims(&[(name, value)]));
        bench.takes(format!("claim {name}: {value}"), token);
    }
    for name in ["iat", "nbf", "jti"] {
        let token = bench.token(&header, bench.claims(&[(name, "")]));
        bench.takes(format!("no {name}"), token);
    }
    let escaped = bench.claims(&[]).replace("\"exp\"", "\"\\u0065xp\"");
    bench.takes("exp by escapes", bench.token(&header, escaped));
    let long = format!("\"{}\"", "a".repeat(2_000));
    bench.takes("a long claim", bench.token(&header, bench.claims(&[("extra", &long)])));
    let turned = format!(
        "{{\"exp\":{},\"aud\":\"{AUDIENCE}\",\"sub\":\"alice\",\"iss\":\"{ISSUER}\"}}",
        bench.now + 600
    );
    bench.takes("claims in another order", bench.token(&header, turned));
}

/// A date is any JSON number (RFC 7519 §2, NumericDate).
fn dates(bench: &mut Bench) {
    let (header, now) = (bench.header(&[]), bench.now);
    let (past, future) = (now - 60, now + 600);
    for (name, value) in [
        ("exp", format!("{future}.5")),
        ("exp", format!("{future}.0")),
        ("exp", format!("{future}e0")),
        ("exp", format!("{future}000E-3")),
        ("exp", "253402300799".to_owned()),
        ("nbf", format!("{past}.25")),
        ("nbf", "0".to_owned()),
        ("nbf", "1e9".to_owned()),
        ("iat", format!("{past}.999")),
        ("iat", "0".to_owned()),
        ("iat", "1".to_owned()),
    ] {
        let token = bench.token(&header, bench.claims(&[(name, &value)]));
        bench.takes(format!("date {name} {}", value.replace(&now.to_string(), "now")), token);
    }
    // Within the leeway; only the clock that was asked when they were made may judge the first.
    let within = LEEWAY - 1;
    let token = bench.token(&header, bench.claims(&[("exp", &(now - within).to_string())]));
    bench.takes("exp within the leeway", token).at_once = true;
    for name in ["nbf", "iat"] {
        let token = bench.token(&header, bench.claims(&[(name, &(now + within).to_string())]));
        bench.takes(format!("{name} within the leeway"), token);
        // The moment itself is not before the moment (RFC 7519 §4.1.5).
        let token = bench.token(&header, bench.claims(&[(name, &(now + LEEWAY).to_string())]));
        bench.takes(format!("{name} at the end of the leeway"), token);
    }
}

fn keys(bench: &mut Bench) {
    let unnamed = bench.header(&[("kid", "")]);
    bench.takes("no kid", bench.token(&unnamed, bench.claims(&[])));
    let spare = Keys::spare().of(bench.algorithm);
    let named = bench.header(&[("kid", "\"spare\"")]);
    let token = forge(named, bench.claims(&[]), bench.name(), spare);
    bench.takes("by the spare key, which it names", token).by_kid = true;
    let token = forge(unnamed, bench.claims(&[]), bench.name(), spare);
    bench.takes("by the spare key, without kid", token).by_kid = true;
    let escaped = bench.header(&[("kid", "\"m\\u0061in\"")]);
    bench.takes("kid by escapes", bench.token(escaped, bench.claims(&[])));
}
