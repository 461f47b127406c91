//! What is kept of an answer while it streams by, to be compared with another.

use crate::answer::mirror::Compare;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName, StatusCode, response};

/// What is kept of an answer.
#[derive(Debug)]
pub struct Seen {
    /// Its status.
    pub status: StatusCode,
    /// The fields that are compared, in the order of the configuration; several lines of one are
    /// one value with commas (RFC 9110 §5.3).
    pub fields: Vec<Option<Vec<u8>>>,
    /// Its body.
    pub body: Body,
}

/// What is kept of a body.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Whole(BytesMut),
    /// Nothing: it is too long, or compressed, of which two forms may mean the same.
    Skipped,
}

impl Seen {
    /// Begins with an answer's head.
    pub fn new(head: &response::Parts, compare: &Compare) -> Self {
        let plain = |coding: &[u8]| coding.eq_ignore_ascii_case(b"identity");
        let coded = head.headers.get_all(CONTENT_ENCODING).iter().any(|c| !plain(c.as_bytes()));
        Seen {
            status: head.status,
            fields: compare.headers.iter().map(|name| value(&head.headers, name)).collect(),
            body: if coded { Body::Skipped } else { Body::Whole(BytesMut::new()) },
        }
    }

    /// Keeps a part of its body, or nothing more of it once it is longer than `longest`.
    pub fn part(&mut self, part: &Bytes, longest: usize) {
        if let Body::Whole(body) = &mut self.body {
            match body.len() + part.len() <= longest {
                true => body.extend_from_slice(part),
                false => self.body = Body::Skipped,
            }
        }
    }

    /// Whether nothing that comes changes what is kept.
    pub fn is_settled(&self) -> bool {
        matches!(self.body, Body::Skipped)
    }
}

fn value(fields: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let mut lines = fields.get_all(name).iter();
    let mut value = lines.next()?.as_bytes().to_vec();
    for line in lines {
        value.extend_from_slice(b", ");
        value.extend_from_slice(line.as_bytes());
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(coding: &str) -> Seen {
        let head = http::Response::builder().header(CONTENT_ENCODING, coding).body(()).unwrap();
        Seen::new(&head.into_parts().0, &Compare::default())
    }

    #[test]
    fn a_body_is_kept_whole_or_not_at_all() {
        let mut seen = seen("identity");
        seen.part(&Bytes::from_static(b"ab"), 3);
        assert!(!seen.is_settled());
        seen.part(&Bytes::from_static(b"c"), 3);
        assert!(matches!(&seen.body, Body::Whole(body) if body == "abc"));
        seen.part(&Bytes::from_static(b"d"), 3);
        assert!(seen.is_settled());
        seen.part(&Bytes::new(), 3);
        assert!(seen.is_settled());
    }

    #[test]
    fn a_compressed_body_is_not_kept() {
        assert!(seen("gzip").is_settled());
    }
}
