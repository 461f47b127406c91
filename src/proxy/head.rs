//! Pingora's heads, opened for editing.
//!
//! Pingora remembers the case of each field's name in a second map, and parses a name anew for
//! each insertion. A head that is edited here goes without that map from then on: its names are
//! written in title case where they are standard and in lower case otherwise, which HTTP reads the
//! same (RFC 9110 §5.1). It saves a tenth of what a proxied request costs.

use http::{Request, Response, Uri, Version, request, response};
use pingora::http::{RequestHeader, ResponseHeader};
use std::mem;

/// Edits a request's head. A target in absolute form becomes the path alone (RFC 9112 §3.2.1).
pub fn edit_request<R>(head: &mut RequestHeader, edit: impl FnOnce(&mut request::Parts) -> R) -> R {
    let (empty, ()) = Request::new(()).into_parts();
    let mut parts = mem::replace(head, RequestHeader::from(empty)).into();
    let result = edit(&mut parts);
    *head = RequestHeader::from(parts);
    result
}

/// Makes a head fit for a call of the gateway's own. It says what HTTP/1.1 says; a connection of
/// HTTP/2 has its own words for the version, and for the authority, which it takes from `Host`.
pub fn as_http1(head: &mut request::Parts) {
    if let Some(path) = head.uri.path_and_query() {
        head.uri = Uri::from(path.clone());
    }
    head.version = Version::HTTP_11;
}

/// Edits an answer's head.
pub fn edit_response<R>(
    head: &mut ResponseHeader,
    edit: impl FnOnce(&mut response::Parts) -> R,
) -> R {
    let (empty, ()) = Response::new(()).into_parts();
    let mut parts = mem::replace(head, ResponseHeader::from(empty)).into();
    let result = edit(&mut parts);
    *head = ResponseHeader::from(parts);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_target_becomes_its_path() {
        let mut head = RequestHeader::build("GET", b"http://a.example/b?c", None).unwrap();
        edit_request(&mut head, |_| ());
        assert_eq!(head.raw_path(), b"/b?c");
    }

    #[test]
    fn fields_that_were_not_edited_stay() {
        let mut head = ResponseHeader::build(404, None).unwrap();
        head.append_header("X-Odd-Case", "1").unwrap();
        edit_response(&mut head, |parts| parts.headers.remove("x-none"));
        assert_eq!((head.status.as_u16(), head.headers["x-odd-case"].as_bytes()), (404, &b"1"[..]));
    }
}
