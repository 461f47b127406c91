//! Well-signed tokens whose claims do not let them in (RFC 7519 §4.1).

use super::{Bench, LEEWAY};

pub fn cases(bench: &mut Bench) {
    dates(bench);
    issuer(bench);
    audience(bench);
    subject(bench);
    bound(bench);
}

/// What is no date at all, for each of the three claims.
const NO_DATES: [&str; 16] = [
    "\"\"",
    "\"9999999999\"",
    "\"2099-01-01T00:00:00Z\"",
    "true",
    "false",
    "null",
    "[]",
    "[9999999999]",
    "{}",
    "{\"$date\":9999999999}",
    "1e400",
    "-1e400",
    "1e999999999",
    "\"NaN\"",
    "\"Infinity\"",
    "\"0x7fffffff\"",
];

fn dates(bench: &mut Bench) {
    for name in ["exp", "nbf", "iat"] {
        for value in NO_DATES {
            bench.refuses_claims("no date", &[(name, value)]);
        }
    }
    bench.refuses_claims("never expires", &[("exp", "")]);
    bench.refuses_claims("never expires, with nothing of time", &[("exp", ""), ("iat", "")]);
    let now = bench.now;
    for ago in [LEEWAY, LEEWAY + 1, 60, 86_400] {
        let past = (now - ago).to_string();
        let case = bench.refuses_claims("expired", &[("exp", &past)]);
        // On or after that moment it must not be accepted (RFC 7519 §4.1.4).
        case.name = format!("expired {ago} s ago");
    }
    for past in
        [format!("{}.5", now - LEEWAY - 2), "0".into(), "-1".into(), "1".into(), "-0".into()]
    {
        bench.refuses_claims("expired", &[("exp", &past)]);
    }
    bench.refuses_claims("expired", &[("exp", "-9223372036854775809")]);
    bench.refuses_claims("expired", &[("exp", "1e-400")]);
    // Seconds as a 32-bit number that has wrapped around.
    bench.refuses_claims("expired", &[("exp", &(now as i64 - (1 << 32)).to_string())]);
    for name in ["nbf", "iat"] {
        let soon = (now + LEEWAY + 1).to_string();
        let case = bench.refuses_claims("not yet", &[(name, &soon)]);
        (case.name, case.at_once) = (format!("{name} just beyond the leeway"), true);
        for (what, later) in [
            ("a minute", (now + 60).to_string()),
            ("an hour and a half second", format!("{}.5", now + 3_600)),
            ("milliseconds", (now * 1_000).to_string()),
            ("an exponent", "1e12".to_owned()),
            ("the year 9999", "253402300799".to_owned()),
        ] {
            // Where it ends later than it begins, nothing else is wrong with it.
            let case = bench.refuses_claims("not yet", &[(name, &later), ("exp", "253402300800")]);
            case.name = format!("{name} is later by {what}");
        }
    }
}

fn issuer(bench: &mut Bench) {
    for value in [
        "",
        "\"\"",
        "null",
        "true",
        "5",
        "[]",
        "[\"https://id.example.com\"]",
        "{\"https://id.example.com\":true}",
        "\"https://id.example.com/\"",
        "\"https://ID.example.com\"",
        "\"HTTPS://id.example.com\"",
        "\"http://id.example.com\"",
        "\"https://id.example.com:443\"",
        "\"https://id.example.com \"",
        "\" https://id.example.com\"",
        "\"https://id.example.com\\u0000\"",
        "\"https://id.example.com\\n\"",
        "\"https://id.example.com.evil.com\"",
        "\"https://id.example.com@evil.com\"",
        "\"https://evil.com#https://id.example.com\"",
        "\"id.example.com\"",
        "\"https://id.example.co\"",
        "\"https://id.example.com%20\"",
        "\"https://\u{456}d.example.com\"",
        "\"*\"",
        "\".*\"",
    ] {
        bench.refuses_claims("issuer", &[("iss", value)]);
    }
}

fn audience(bench: &mut Bench) {
    for value in [
        "",
        "\"\"",
        "[]",
        "null",
        "true",
        "5",
        "{}",
        "{\"api\":true}",
        "{\"0\":\"api\"}",
        "\"other\"",
        "[\"other\"]",
        "[\"\"]",
        "[\"other\",\"another\"]",
        "[[\"api\"]]",
        // Each member is a string (RFC 7519 §4.1.3); a list of something else is no audience.
        "[\"api\",5]",
        "[5,\"api\"]",
        "[null,\"api\"]",
        "[\"api\",null]",
        "[\"api\",[\"api\"]]",
        "[\"api\",{}]",
        "\"API\"",
        "\"api \"",
        "\" api\"",
        "\"api,other\"",
        "\"api other\"",
        "\"other api\"",
        "\"apis\"",
        "\"ap\"",
        "\"api/\"",
        "\"api\\u0000\"",
        "\"\u{430}pi\"",
        "\"[\\\"api\\\"]\"",
        "\"*\"",
        "[\"*\"]",
    ] {
        bench.refuses_claims("audience", &[("aud", value)]);
    }
}

/// A subject is a string (RFC 7519 §4.1.2): another thing would become another's identity.
fn subject(bench: &mut Bench) {
    for value in ["5", "null", "true", "[\"alice\"]", "{\"id\":\"alice\"}"] {
        bench.refuses_claims("subject", &[("sub", value)]);
    }
}

/// Tokens that are bound to a key whose possession nobody has shown: with DPoP (RFC 9449 §7.1),
/// which is not spoken here, and to a client certificate (RFC 8705 §3), where there is none.
fn bound(bench: &mut Bench) {
    let thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    let jkt = format!("{{\"jkt\":\"{thumbprint}\"}}");
    bench.refuses_claims("bound", &[("cnf", &jkt)]);
    let certificate = format!("{{\"x5t#S256\":\"{thumbprint}\"}}");
    bench.refuses_claims("bound", &[("cnf", &certificate)]);
    let both = format!("{{\"x5t#S256\":\"{thumbprint}\",\"jkt\":\"{thumbprint}\"}}");
    bench.refuses_claims("bound", &[("cnf", &both)]);
}
