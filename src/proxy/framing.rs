//! Where the body of a request ends, which the gateway and the service must never read in two ways.

use crate::reply::Rejection;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Version, request};

/// Refuses what Pingora would pass on and another server may read otherwise: a length that is said
/// twice (RFC 9112 §6.3, by which the same may be repeated, but need not be borne), and a coding
/// that is not understood here (§6.1).
pub fn framed(head: &request::Parts) -> Result<(), Rejection> {
    // HTTP/2 has frames of its own.
    if head.version == Version::HTTP_2 {
        return Ok(());
    }
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    let first = lengths.next();
    if lengths.next().is_some() || first.is_some_and(|length| length.as_bytes().contains(&b',')) {
        return Err(Rejection::BadRequest("the length of the body is said more than once"));
    }
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Rejection::NotImplemented("of the transfer codings, only chunked is understood")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(lines: &[(&'static str, &'static str)]) -> Option<u16> {
        let mut request = http::Request::post("/");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let refused = framed(&request.body(()).unwrap().into_parts().0).err()?;
        Some(refused.status().as_u16())
    }

    #[test]
    fn one_length_or_chunked_is_framed() {
        assert_eq!(verdict(&[]), None);
        assert_eq!(verdict(&[("content-length", "2")]), None);
        assert_eq!(verdict(&[("transfer-encoding", "Chunked")]), None);
    }

    #[test]
    fn a_length_that_is_said_twice_is_refused() {
        assert_eq!(verdict(&[("content-length", "2, 2")]), Some(400));
        assert_eq!(verdict(&[("content-length", "2"), ("content-length", "2")]), Some(400));
    }

    #[test]
    fn a_coding_other_than_chunked_is_not_implemented() {
        for coding in ["gzip, chunked", "chunked, chunked", "identity", "chunked;a=1"] {
            assert_eq!(verdict(&[("transfer-encoding", coding)]), Some(501), "{coding}");
        }
        let twice = [("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")];
        assert_eq!(verdict(&twice), Some(501));
    }
}
