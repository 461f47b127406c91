//! The cookies of a client, as HTTP/1 carries them.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Version, request};

/// HTTP/2 may carry a cookie a line, HTTP/1 has one line for all (RFC 9113 §8.2.3).
pub fn one_cookie_line(client: &request::Parts, fields: &mut HeaderMap) {
    if client.version != Version::HTTP_2 || fields.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let lines: Vec<&[u8]> = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(line) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        fields.insert(COOKIE, line);
    }
}
