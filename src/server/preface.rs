//! Which protocol a plain connection speaks.

use crate::snapshot::Door;

/// What a client with prior knowledge of HTTP/2 begins with (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a listener speaks in plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    H2c,
    /// Either: the first bytes tell.
    Either,
}

/// What the first bytes of a connection tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It is HTTP/1.1.
    Http1,
    /// It is HTTP/2.
    H2c,
    /// Nothing yet.
    Nothing,
}

impl Spoken {
    /// What a door's plain connections speak.
    pub fn of(door: &Door) -> Self {
        match (door.http1, door.h2c) {
            (true, true) => Spoken::Either,
            (false, true) => Spoken::H2c,
            (_, false) => Spoken::Http1,
        }
    }
}

/// Compares the first bytes with the preface; a request line differs within its first few, so
/// that nobody waits for bytes that a short HTTP/1.0 request does not have.
pub fn tell(first: &[u8]) -> Told {
    let length = first.len().min(PREFACE.len());
    if first[..length] != PREFACE[..length] {
        Told::Http1
    } else if length == PREFACE.len() {
        Told::H2c
    } else {
        Told::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_differs_tells() {
        assert_eq!(tell(b""), Told::Nothing);
        assert_eq!(tell(b"P"), Told::Nothing);
        assert_eq!(tell(b"PO"), Told::Http1);
        assert_eq!(tell(b"GET / HTTP/1.0\r\n\r\n"), Told::Http1);
        assert_eq!(tell(PREFACE), Told::H2c);
        assert_eq!(tell(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore"), Told::H2c);
    }
}
