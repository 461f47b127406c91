//! Well-signed tokens whose header or claims are no JSON, or JSON that two readers would read in
//! two ways (RFC 7515 §5.2, RFC 7519 §7.2, RFC 8259).

use super::Bench;

pub fn cases(bench: &mut Bench) {
    for part in ["header", "claims"] {
        let ordinary = match part {
            "header" => bench.header(&[]),
            _ => bench.claims(&[]),
        };
        for (name, text) in malformed(&ordinary).into_iter().chain(repeated(part, &ordinary)) {
            let token = match part {
                "header" => bench.token(text, bench.claims(&[])),
                _ => bench.token(bench.header(&[]), text),
            };
            bench.refuses(format!("{part}: {name}"), token);
        }
    }
    // Each value is fine by itself, so that whichever of the two counts, the token would be.
    let (header, claims) = (bench.header(&[]), bench.claims(&[]));
    let later = format!(",\"exp\":{}}}", bench.now + 900);
    let twice = claims.replace('}', &later);
    bench.refuses("exp twice, both later", bench.token(&header, twice));
    let evil = |text: &str, member: &str| {
        let first = text.replacen('{', &format!("{{{member},"), 1);
        let last = text.replacen('}', &format!(",{member}}}"), 1);
        [first, last]
    };
    for (member, part) in [
        ("\"iss\":\"https://evil.com\"", "claims"),
        ("\"aud\":\"other\"", "claims"),
        ("\"exp\":1", "claims"),
        ("\"exp\":9999999999", "claims"),
        ("\"nbf\":9999999999", "claims"),
        ("\"sub\":\"mallory\"", "claims"),
        ("\"alg\":\"none\"", "header"),
        ("\"alg\":\"HS256\"", "header"),
        ("\"kid\":\"other\"", "header"),
        ("\"typ\":\"other\"", "header"),
    ] {
        for (place, text) in ["first", "last"].into_iter().zip(match part {
            "header" => evil(&header, member),
            _ => evil(&claims, member),
        }) {
            let token = match part {
                "header" => bench.token(text, &claims),
                _ => bench.token(&header, text),
            };
            bench.refuses(format!("{part}: {member} comes {place} of two"), token);
        }
    }
}

/// A text with another member at its end, which may be anything.
fn with(text: &str, member: &[u8]) -> Vec<u8> {
    let open = text.strip_suffix('}').expect("an object");
    [open.as_bytes(), b",", member, b"}"].concat()
}

fn malformed(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, text: &[u8]| texts.push((name.to_owned(), text.to_vec()));
    for (name, after) in [
        ("a brace after it", &b"}"[..]),
        ("a letter after it", b"x"),
        ("a comma after it", b","),
        ("NUL after it", b"\0"),
        ("an empty object after it", b"{}"),
        ("null after it", b" null"),
        ("a comment after it", b"//"),
        ("a form feed after it", b"\x0c"),
        ("a no-break space after it", b"\xc2\xa0"),
        ("a vertical tab after it", b"\x0b"),
    ] {
        add(name, &[text.as_bytes(), after].concat());
    }
    add("itself twice", text.repeat(2).as_bytes());
    for (name, before) in [
        ("a byte order mark", &b"\xef\xbb\xbf"[..]),
        ("a comment before it", b"/**/"),
        ("the guard against hijacking", b")]}',\n"),
        ("NUL before it", b"\0"),
        ("a form feed before it", b"\x0c"),
        ("a record separator before it", b"\x1e"),
        ("a bracket before it", b"["),
    ] {
        add(name, &[before, text.as_bytes()].concat());
    }
    for value in [
        "",
        " ",
        "null",
        "true",
        "5",
        "\"\"",
        "[]",
        "{",
        "}",
        "\"{}\"",
        "undefined",
        "{}{}",
        "{\"\"}",
    ] {
        add(&format!("is {value:?}"), value.as_bytes());
    }
    add("is a list with itself", format!("[{text}]").as_bytes());
    let quoted = serde_json::Value::from(text).to_string();
    add("is a string with itself", quoted.as_bytes());
    add("is not closed", text.strip_suffix('}').unwrap().as_bytes());
    add("is not opened", text.strip_prefix('{').unwrap().as_bytes());
    add("has a comma at its end", text.replacen('}', ",}", 1).as_bytes());
    add("has a comma at its start", text.replacen('{', "{,", 1).as_bytes());
    add("has two commas", text.replacen(',', ",,", 1).as_bytes());
    add("has no comma", text.replacen(',', " ", 1).as_bytes());
    add("has single quotes", text.replace('"', "'").as_bytes());
    add("has a semicolon", text.replacen(',', ";", 1).as_bytes());
    add("has an equals sign", text.replacen(':', "=", 1).as_bytes());
    add("has a comment", text.replacen(',', ",/* */", 1).as_bytes());
    add("has a comment of a line", text.replacen(',', ",//\n", 1).as_bytes());
    add("has a form feed", text.replacen(',', ",\x0c", 1).as_bytes());
    let (little, big): (Vec<_>, Vec<_>) =
        text.encode_utf16().map(|unit| (unit.to_le_bytes(), unit.to_be_bytes())).unzip();
    add("is UTF-16, little-endian", &little.concat());
    add("is UTF-16, big-endian", &big.concat());
    add("is UTF-16 with its mark", &[&b"\xff\xfe"[..], &little.concat()].concat());
    for member in MALFORMED_MEMBERS {
        add(&format!("has {:?}", String::from_utf8_lossy(member)), &with(text, member));
    }
    // Not UTF-8 (RFC 3629 §3, §4): each would be U+FFFD to who does not look.
    for (name, bytes) in [
        ("a byte that UTF-8 does not have", &b"\xff"[..]),
        ("a continuation alone", b"\x80"),
        ("a slash in two bytes", b"\xc0\xaf"),
        ("NUL in two bytes", b"\xc0\x80"),
        ("a slash in three bytes", b"\xe0\x80\xaf"),
        ("half of a surrogate pair", b"\xed\xa0\x80"),
        ("a surrogate pair", b"\xed\xa0\xbd\xed\xb8\x80"),
        ("more than there is", b"\xf4\x90\x80\x80"),
        ("five bytes", b"\xf8\x88\x80\x80\x80"),
        ("a character that is cut off", b"\xe2\x82"),
    ] {
        add(&format!("{name} in a value"), &with(text, &[b"\"x\":\"", bytes, b"\""].concat()));
        add(&format!("{name} in a name"), &with(text, &[b"\"", bytes, b"\":1"].concat()));
    }
    let deep = format!("\"x\":{}{}", "[".repeat(1_000), "]".repeat(1_000));
    add("nests a thousand lists", &with(text, deep.as_bytes()));
    let deep = format!("\"x\":{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000));
    add("nests a thousand objects", &with(text, deep.as_bytes()));
    let open = format!("\"x\":{}", "[".repeat(3_000));
    add("opens three thousand lists", &with(text, open.as_bytes()));
    texts
}

/// What is no member of an object (RFC 8259), or has a name twice somewhere below.
const MALFORMED_MEMBERS: [&[u8]; 51] = [
    b"\"x\":NaN",
    b"\"x\":nan",
    b"\"x\":Infinity",
    b"\"x\":-Infinity",
    b"\"x\":01",
    b"\"x\":-01",
    b"\"x\":+1",
    b"\"x\":.5",
    b"\"x\":5.",
    b"\"x\":-",
    b"\"x\":1e",
    b"\"x\":1e+",
    b"\"x\":1.e5",
    b"\"x\":0x10",
    b"\"x\":1_000",
    b"\"x\":5n",
    b"\"x\":--1",
    b"\"x\":True",
    b"\"x\":None",
    b"\"x\":nul",
    b"\"x\":undefined",
    b"\"x\":",
    b"\"x\"",
    b"\"x\" 1",
    b"\"x\"::1",
    b"x:1",
    b"5:1",
    b"null:1",
    b"\"x\":'a'",
    b"\"x\":`a`",
    b"\"x\":\"a",
    b"\"x\":\"\\x41\"",
    b"\"x\":\"\\u12\"",
    b"\"x\":\"\\u00zz\"",
    b"\"x\":\"\\U0041\"",
    b"\"x\":\"\\'\"",
    b"\"x\":\"\\0\"",
    b"\"x\":\"a\nb\"",
    b"\"x\":\"a\tb\"",
    b"\"x\":\"a\0b\"",
    b"\"x\":\"a\x1fb\"",
    b"\"x\":[1,]",
    b"\"x\":[,1]",
    b"\"x\":[1 2]",
    b"\"x\":[1",
    b"\"x\":{\"a\":1,}",
    b"\"x\":(1)",
    b"\"x\":\"\\ud83d\"",
    b"\"x\":\"\\ude00\"",
    b"\"x\":\"\\ude00\\ud83d\"",
    b"\"\\ud83d\":1",
];

/// Texts in which a name stands twice (RFC 7515 §4, RFC 7519 §4), also far below, where some
/// reader's word for it would be the first and some other's the last.
fn repeated(part: &str, text: &str) -> Vec<(String, Vec<u8>)> {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    let mut texts = Vec::new();
    for (name, value) in &members {
        let again = format!("\"{name}\":{value}");
        texts.push((format!("{name} twice"), with(text, again.as_bytes())));
        let null = format!("\"{name}\":null");
        texts.push((format!("{name} again as null"), with(text, null.as_bytes())));
        let first = u32::from(name.as_bytes()[0]);
        let escaped = format!("\"\\u{first:04x}{}\":{value}", &name[1..]);
        texts.push((format!("{name} twice, once by escapes"), with(text, escaped.as_bytes())));
    }
    for below in [
        r#""x":1,"x":1"#,
        r#""x":1,"x":2"#,
        r#""x":1,"\u0078":1"#,
        r#""x":{"a":1,"a":1}"#,
        r#""x":{"a":1,"b":2,"a":3}"#,
        r#""x":{"a":1,"\u0061":1}"#,
        r#""x":{"":1,"":1}"#,
        r#""x":[{"a":1,"a":1}]"#,
        r#""x":[0,[{"b":{"a":{},"a":{}}}]]"#,
        r#""x":{"a":{"b":{"c":{"d":1,"d":1}}}}"#,
        r#""cnf":{"kid":"a","kid":"b"}"#,
        r#""é":1,"\u00e9":1"#,
        r#""😀":1,"\ud83d\ude00":1"#,
        r#""":1,"":2"#,
    ] {
        texts.push((format!("{part} with {below}"), with(text, below.as_bytes())));
    }
    texts
}
