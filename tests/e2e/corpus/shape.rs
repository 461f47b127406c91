//! Tokens that are no three parts of base64url (RFC 7515 §3.1, §7.1), however well they are signed.

use super::{Bench, in_a_field};
use crate::support::{encode, signed};

pub fn cases(bench: &mut Bench) {
    parts(bench);
    serializations(bench);
    around(bench);
    base64(bench);
    sizes(bench);
}

fn parts(bench: &mut Bench) {
    let good = bench.good();
    let parts: Vec<&str> = good.split('.').collect();
    let (h, c, s) = (parts[0], parts[1], parts[2]);
    for (name, token) in [
        ("nothing", String::new()),
        ("one dot", ".".to_owned()),
        ("two dots", "..".to_owned()),
        ("three dots", "...".to_owned()),
        ("four dots", "....".to_owned()),
        ("one part", h.to_owned()),
        ("two parts", format!("{h}.{c}")),
        ("no header", format!(".{c}.{s}")),
        ("no claims", format!("{h}..{s}")),
        ("no signature", format!("{h}.{c}.")),
        ("only a header", format!("{h}..")),
        ("only claims", format!(".{c}.")),
        ("only a signature", format!("..{s}")),
        ("four parts", format!("{good}.{s}")),
        ("four parts, the last empty", format!("{good}.")),
        ("four parts, the first empty", format!(".{good}")),
        ("four parts, one empty inside", format!("{h}..{c}.{s}")),
        ("five parts", format!("{good}.{s}.{s}")),
        ("six parts", format!("{good}.{good}")),
        ("in another order", format!("{c}.{h}.{s}")),
        ("backwards", format!("{s}.{c}.{h}")),
        ("the header twice", format!("{h}.{h}.{s}")),
        ("commas for dots", good.replace('.', ",")),
        ("colons for dots", good.replace('.', ":")),
        ("a wide dot", good.replacen('.', "\u{ff0e}", 1)),
    ] {
        bench.refuses(name, token);
    }
    // Signed in that shape, so that nothing but the shape is wrong.
    let empty = signed(&format!("{h}."), bench.name(), bench.key());
    bench.refuses("no claims, well signed", empty);
    let headless = signed(&format!(".{c}"), bench.name(), bench.key());
    bench.refuses("no header, well signed", headless);
    let four = signed(&format!("{h}.{c}.{c}"), bench.name(), bench.key());
    bench.refuses("four parts, well signed", four);
    let two = signed(h, bench.name(), bench.key());
    bench.refuses("two parts, well signed", two);
    let nested = bench.token(bench.header(&[]), &good);
    bench.refuses("a token in a token", nested);
    let nested = bench.token(bench.header(&[("cty", "\"JWT\"")]), &good);
    bench.refuses("a token in a token, as its cty says", nested);
}

/// Other ways to write a JWS (RFC 7515 §7.2) or a JWE (RFC 7516 §7.1), which no header carries.
fn serializations(bench: &mut Bench) {
    let good = bench.good();
    let parts: Vec<&str> = good.split('.').collect();
    let (h, c, s) = (parts[0], parts[1], parts[2]);
    let flat = format!("{{\"protected\":\"{h}\",\"payload\":\"{c}\",\"signature\":\"{s}\"}}");
    let signature = format!("{{\"protected\":\"{h}\",\"signature\":\"{s}\"}}");
    let general = format!("{{\"payload\":\"{c}\",\"signatures\":[{signature}]}}");
    bench.refuses("JSON, encoded", encode(&flat));
    bench.refuses("JSON, in three parts", format!("{}.{c}.{s}", encode(&flat)));
    bench.refuses("JSON, flattened", flat);
    bench.refuses("JSON, general", general);
    for (name, header) in [
        ("direct", r#"{"alg":"dir","enc":"A128GCM"}"#.to_owned()),
        ("wrapped", r#"{"alg":"RSA-OAEP","enc":"A256GCM","kid":"main"}"#.to_owned()),
        (
            "by passwords",
            r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":1000000000}"#.to_owned(),
        ),
        ("with our algorithm", format!(r#"{{"alg":"{}","enc":"A128GCM"}}"#, bench.name())),
        ("compressed", r#"{"alg":"dir","enc":"A128GCM","zip":"DEF"}"#.to_owned()),
    ] {
        let header = encode(header);
        bench.refuses(format!("JWE, {name}"), format!("{header}.{s}.{}.{c}.{s}", encode("iv")));
        bench
            .refuses(format!("JWE, {name}, no key"), format!("{header}..{}.{c}.{s}", encode("iv")));
    }
}

/// A good token with something around it.
fn around(bench: &mut Bench) {
    let good = bench.good();
    for (name, token) in [
        ("a newline after it", format!("{good}\n")),
        ("CRLF after it", format!("{good}\r\n")),
        ("a newline before it", format!("\n{good}")),
        ("a tab before it", format!("\t{good}")),
        ("NUL after it", format!("{good}\0")),
        ("in quotes", format!("\"{good}\"")),
        ("in single quotes", format!("'{good}'")),
        ("in angle brackets", format!("<{good}>")),
        ("a scheme before it", format!("Bearer {good}")),
        ("a name before it", format!("token={good}")),
        ("itself after it", format!("{good} {good}")),
        ("itself after a comma", format!("{good},{good}")),
        ("itself after a comma and a space", format!("{good}, {good}")),
        ("a comma after it", format!("{good},")),
        ("a semicolon after it", format!("{good};")),
        ("a parameter after it", format!("{good}, error=\"x\"")),
        ("a fragment after it", format!("{good}#")),
        ("a query after it", format!("{good}?a")),
        ("a tilde after it", format!("{good}~")),
        ("%0A after it", format!("{good}%0A")),
        ("%2E for its dots", good.replace('.', "%2E")),
        ("%00 after it", format!("{good}%00")),
        ("%65 for its first letter", good.replacen('e', "%65", 1)),
        ("an accent after it", format!("{good}\u{e9}")),
        ("a no-break space after it", format!("{good}\u{a0}")),
        ("a zero-width space inside", good.replacen('.', "\u{200b}.", 1)),
        ("in capitals", good.to_uppercase()),
        ("in small letters", good.to_lowercase()),
        ("turned around", good.chars().rev().collect()),
        ("encoded once more", encode(&good)),
    ] {
        bench.refuses(name, token);
    }
    // Blanks around a credential are no part of it.
    for (name, token) in [
        ("a space after it", format!("{good} ")),
        ("a tab after it", format!("{good}\t")),
        ("a space before it", format!(" {good}")),
    ] {
        bench.refuses(name, token).as_bearer = Some(true);
    }
}

/// Other spellings of the same bytes (RFC 7515 §2 has one), in each of the parts. The first two are
/// signed as they stand.
fn base64(bench: &mut Bench) {
    let good = spread(bench);
    let parts: Vec<String> = good.split('.').map(str::to_owned).collect();
    for (at, part) in parts.iter().enumerate() {
        let place = ["header", "claims", "signature"][at];
        let middle = part.len() / 2;
        let (front, back) = part.split_at(middle);
        let mut spellings = vec![
            ("one =", format!("{part}=")),
            ("two =", format!("{part}==")),
            ("four =", format!("{part}====")),
            ("= inside", format!("{front}={back}")),
            ("= before", format!("={part}")),
            ("%3D", format!("{part}%3D")),
            ("a space inside", format!("{front} {back}")),
            ("a newline inside", format!("{front}\n{back}")),
            ("CRLF inside", format!("{front}\r\n{back}")),
            ("a tab inside", format!("{front}\t{back}")),
            ("NUL inside", format!("{front}\0{back}")),
            ("a space before", format!(" {part}")),
            ("a space after", format!("{part} ")),
            ("an exclamation mark inside", format!("{front}!{back}")),
            ("a comma inside", format!("{front},{back}")),
            ("a star after", format!("{part}*")),
            ("a letter more", format!("{part}A")),
            ("a letter less", part[..part.len() - 1].to_owned()),
            ("a wide letter inside", format!("{front}\u{ff21}{back}")),
        ];
        if part.contains(['-', '_']) {
            spellings.push(("the alphabet of base64", part.replace('-', "+").replace('_', "/")));
        }
        // Two letters carry 8 of their 12 bits, three carry 16 of 18; the rest must be zero.
        match part.len() % 4 {
            2 => spellings.extend([
                ("a bit left over", left_over(part, 1)),
                ("another bit left over", left_over(part, 8)),
            ]),
            3 => spellings.extend([
                ("a bit left over", left_over(part, 1)),
                ("another bit left over", left_over(part, 2)),
            ]),
            _ => {}
        }
        for (name, spelling) in spellings {
            let mut changed = parts.clone();
            changed
                [["header", "claims", "signature"].iter().position(|one| *one == place).unwrap()] =
                spelling;
            let token = changed.join(".");
            let is_good_in_a_field = in_a_field(&token) == good;
            let case = bench.refuses(format!("{place} with {name}"), token);
            if is_good_in_a_field {
                case.as_bearer = Some(true);
            }
            if place != "signature" {
                let input = changed[..2].join(".");
                let token = signed(&input, bench.name(), bench.key());
                bench.refuses(format!("{place} with {name}, signed so"), token);
            }
        }
    }
}

/// A good token whose header and claims have letters in which the two alphabets differ, and bits
/// left over at their ends. The signature has such letters but for one chance in a billion, or in
/// four for the shortest.
fn spread(bench: &Bench) -> String {
    let pad = |text: String| {
        let spaces = (4 - text.len() % 3) % 3;
        let text = format!("{text}{}", " ".repeat(spaces));
        assert_eq!(text.len() % 3, 1);
        text
    };
    let header = pad(bench.header(&[("x", "\"\u{ff}?>~???>>>\u{3ff}\u{3fe}\u{fbf}\"")]));
    let claims = pad(bench.claims(&[("x", "\"\u{ff}?>~???>>>\u{3ff}\u{3fe}\u{fbf}\"")]));
    let token = bench.token(header, claims);
    let in_both = token.split('.').take(2).all(|part| part.contains(['-', '_']));
    assert!(in_both, "the alphabets differ in no letter of {token}");
    token
}

/// The same bytes, with a bit set that is left over in the last letter.
fn left_over(part: &str, bit: u8) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (front, last) = part.split_at(part.len() - 1);
    let value = LETTERS.iter().position(|letter| *letter == last.as_bytes()[0]).unwrap();
    format!("{front}{}", char::from(LETTERS[value | usize::from(bit)]))
}

/// Sizes that would cost more than they are worth.
fn sizes(bench: &mut Bench) {
    let good = bench.good();
    bench.refuses("a long signature", format!("{good}{}", "A".repeat(4_000)));
    bench.refuses("long and nothing else", "A".repeat(6_000));
    bench.refuses("many dots", ".".repeat(2_000));
    bench.refuses("many parts", format!("{good}{}", ".A".repeat(1_000)));
    let deep = format!("{}.{}.AAAA", encode("[".repeat(2_000)), encode("{\"a\":".repeat(400)));
    bench.refuses("deep and unsigned", deep);
}
