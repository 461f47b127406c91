//! The compact serialization of a signed token (RFC 7515 §7.1): header, payload and signature with
//! dots between. Nothing that is read here is proven; `verify` does that.

use super::{Header, Refusal, base64url, json};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// How many bytes a token may have where nothing else is said: what fits into one field of a
/// request for most servers.
pub const MAX_SIZE: usize = 8 * 1024;

/// A token as it came: well-formed, and not yet believed.
pub struct Token<'a> {
    text: &'a str,
    /// What is signed: header and payload as they came, with the dot.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
    header: Header,
    payload: Vec<u8>,
    /// The claims, if somebody looked at them before they were proven.
    peeked: OnceLock<Option<Arc<Map<String, Value>>>>,
}

impl<'a> Token<'a> {
    /// Takes a token apart. The size is looked at first, then the shape, then the header; the
    /// claims stay as they are until somebody wants them, so that garbage costs little.
    pub fn read(text: &'a str, max_size: usize) -> Result<Self, Refusal> {
        if text.len() > max_size {
            return Err(Refusal::TooLarge);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Compact);
        };
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(Refusal::Compact);
        }
        let signed = &text.as_bytes()[..header.len() + 1 + payload.len()];
        let header = base64url::decode(header).ok_or(Refusal::Compact)?;
        let payload = base64url::decode(payload).ok_or(Refusal::Compact)?;
        let signature = base64url::decode(signature).ok_or(Refusal::Compact)?;
        let header = Header::read(&header)?;
        Ok(Token { text, signed, signature, header, payload, peeked: OnceLock::new() })
    }

    /// The token as it came.
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// What its header says.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Who it says issued it. Nothing is proven by that: it may choose the rules by which the token
    /// is verified, and those name the issuer again.
    pub fn issuer(&self) -> Option<&str> {
        self.claims().ok()?.get("iss")?.as_str()
    }

    /// The claims, which are read once, whoever wants them first.
    pub(super) fn claims(&self) -> Result<&Arc<Map<String, Value>>, Refusal> {
        let claims = self.peeked.get_or_init(|| json::object(&self.payload).ok().map(Arc::new));
        claims.as_ref().ok_or(Refusal::Claims)
    }
}

/// Whoever has the text of a token can use it.
impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("header", &self.header).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(text: &str) -> Option<Refusal> {
        Token::read(text, MAX_SIZE).err()
    }

    /// `{"alg":"ES256"}`
    const HEADER: &str = "eyJhbGciOiJFUzI1NiJ9";

    #[test]
    fn a_token_has_three_parts_of_which_none_is_empty() {
        let token = format!("{HEADER}.eyJpc3MiOiJhIn0.AAAA");
        let read = Token::read(&token, MAX_SIZE).unwrap();
        assert_eq!(read.signed, format!("{HEADER}.eyJpc3MiOiJhIn0").as_bytes());
        assert_eq!(read.signature, [0, 0, 0]);
        assert_eq!(read.issuer(), Some("a"));
        assert_eq!(read.claims().unwrap().len(), 1);
        assert!(!format!("{read:?}").contains("AAAA"));
        for text in [
            "".to_owned(),
            ".".to_owned(),
            "..".to_owned(),
            HEADER.to_owned(),
            format!("{HEADER}.e30"),
            format!("{HEADER}.e30."),
            format!("{HEADER}..AAAA"),
            ".e30.AAAA".to_owned(),
            format!("{token}."),
            format!(".{token}"),
            format!("{token}.AAAA"),
            format!("{HEADER}.e30.AAAA.AAAA.AAAA"),
            format!("{token} "),
            format!(" {token}"),
            format!("{token}\n"),
            format!("{HEADER}.e30=.AAAA"),
            format!("{HEADER}.e31.AAAA"),
            format!("{HEADER}.e30.AA=="),
            format!("{HEADER}.e30.AB"),
            format!("{HEADER}.e30.A"),
            format!("{HEADER}.e 30.AAAA"),
            format!("{HEADER}.+/+/.AAAA"),
            format!("{HEADER}.é.AAAA"),
        ] {
            assert_eq!(refusal(&text), Some(Refusal::Compact), "{text:?}");
        }
    }

    #[test]
    fn the_size_is_looked_at_first() {
        let token = format!("{HEADER}.e30.AAAA");
        assert!(Token::read(&token, token.len()).is_ok());
        assert_eq!(Token::read(&token, token.len() - 1).unwrap_err(), Refusal::TooLarge);
        assert_eq!(refusal(&".".repeat(MAX_SIZE + 1)), Some(Refusal::TooLarge));
    }

    proptest! {
        #[test]
        fn random_texts_never_panic(text in "[ -~.é]{0,200}") {
            let _ = Token::read(&text, MAX_SIZE);
        }

        #[test]
        fn random_parts_never_panic(header: Vec<u8>, payload: Vec<u8>, signature: Vec<u8>) {
            let parts = [header, payload, signature].map(|part| base64url::encode(&part));
            if let Ok(token) = Token::read(&parts.join("."), MAX_SIZE) {
                let _ = token.issuer();
            }
        }
    }
}
