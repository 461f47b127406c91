//! What a client claims of itself in fields that only a proxy in front of the gateway has a right
//! to: services take some for the truth that the gateway itself does not set.

use http::{HeaderMap, HeaderName};

/// Drops the claims of a peer that is no trusted proxy. What reads fields as variables (CGI, WSGI)
/// cannot tell `_` from `-`, so either spelling counts.
pub fn drop_claims(fields: &mut HeaderMap, request_id: &HeaderName) {
    // Nearly every request has none: then this is one walk over the names.
    while let Some(claim) = fields.keys().find(|name| is_claim(name, request_id)).cloned() {
        fields.remove(claim);
    }
}

fn is_claim(name: &HeaderName, request_id: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let is_proxys = name[0] == b'x'
        && (name.len() > FORWARDED.len() && alike(&name[..FORWARDED.len()], FORWARDED)
            || alike(name, b"x-real-ip"));
    // The id itself is kept where it is sane.
    let is_id = || name.contains(&b'_') && alike(name, request_id.as_str().as_bytes());
    is_proxys || is_id()
}

const FORWARDED: &[u8] = b"x-forwarded-";

fn alike(name: &[u8], other: &[u8]) -> bool {
    let dashed = |b: &u8| if *b == b'_' { b'-' } else { *b };
    name.len() == other.len() && name.iter().map(dashed).eq(other.iter().map(dashed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn claims_go_in_either_spelling_and_the_rest_stays() {
        let mut fields = HeaderMap::new();
        for name in [
            "x-forwarded-for",
            "x_forwarded_for",
            "x-forwarded_port",
            "x-forwarded-prefix",
            "x-real-ip",
            "x_real_ip",
            "x_request_id",
            "x-request-id",
            "x-forwarded",
            "x_own",
        ] {
            fields.append(name, HeaderValue::from_static("1"));
        }
        drop_claims(&mut fields, &HeaderName::from_static("x-request-id"));
        let mut left: Vec<&str> = fields.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["x-forwarded", "x-request-id", "x_own"]);
    }
}
