//! User and password as the Basic scheme has them (RFC 7617 §2): base64 of UTF-8, parted at the
//! first colon.

use super::Malformed;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// The longest token that is decoded, in bytes: a user and a password of 768 bytes together.
const LONGEST: usize = 1_024;

/// A user and a password, still unchecked. Their memory is overwritten when they go.
pub struct Basic {
    text: Zeroizing<String>,
    colon: usize,
}

impl Basic {
    /// Decodes what stood after the scheme. The user may be empty, and so may the password; the
    /// password may have colons.
    ///
    /// # Errors
    ///
    /// Refuses more than 1,024 bytes, base64 that is not canonical (RFC 4648 §3.2, §3.5: one text
    /// has one encoding), bytes that are no UTF-8, text without a colon, and control characters.
    pub fn decode(token: &str) -> Result<Self, Malformed> {
        if token.len() > LONGEST {
            return Err(Malformed::Userpass);
        }
        // There is room for all of it, so that no copy is left behind by growing.
        let mut bytes = Zeroizing::new(Vec::with_capacity(token.len()));
        STANDARD.decode_vec(token, &mut bytes).map_err(|_| Malformed::Userpass)?;
        let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
            error.into_bytes().zeroize();
            Malformed::Userpass
        })?;
        let text = Zeroizing::new(text);
        if text.chars().any(char::is_control) {
            return Err(Malformed::Userpass);
        }
        let colon = text.find(':').ok_or(Malformed::Userpass)?;
        Ok(Basic { text, colon })
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.text[..self.colon]
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.text[self.colon + 1..]
    }
}

/// Tells neither the user, who may have typed the password there, nor the password.
impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Basic(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(token: &str) -> Result<(String, String), Malformed> {
        let basic = Basic::decode(token)?;
        Ok((basic.user().to_owned(), basic.password().to_owned()))
    }

    fn pair(user: &str, password: &str) -> Result<(String, String), Malformed> {
        Ok((user.to_owned(), password.to_owned()))
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        assert_eq!(decoded("QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), pair("Aladdin", "open sesame"));
        assert_eq!(decoded("dGVzdDoxMjPCow=="), pair("test", "123£"));
    }

    #[test]
    fn the_first_colon_parts_and_the_others_belong_to_the_password() {
        assert_eq!(decoded(&STANDARD.encode("u:a:b:")), pair("u", "a:b:"));
        assert_eq!(decoded(&STANDARD.encode(":")), pair("", ""));
        assert_eq!(decoded(&STANDARD.encode("u:")), pair("u", ""));
        assert_eq!(decoded(&STANDARD.encode(":p")), pair("", "p"));
        assert_eq!(decoded(&STANDARD.encode("u: p ")), pair("u", " p "));
    }

    #[test]
    fn one_text_has_one_encoding() {
        assert_eq!(decoded("dTpw"), pair("u", "p"));
        assert_eq!(decoded("dTpwcA=="), pair("u", "pp"));
        let others = [
            "dTpwcA",
            "dTpwcA=",
            "dTpwcA===",
            "dTpwcB==",
            "dTpwcP==",
            "dTp=",
            "dTpw=",
            "dTpw====",
            "dTp",
            "d",
            "",
            "=",
            "dTp wcA==",
            "dTpw\n",
            "dTp-wcA=",
            "dTp_",
            "dTp~",
            "dTp.",
        ];
        for token in others {
            assert_eq!(decoded(token), Err(Malformed::Userpass), "{token}");
        }
        assert_eq!(decoded(&STANDARD.encode("u:>>>???")), pair("u", ">>>???"));
    }

    #[test]
    fn what_is_no_user_and_password_is_refused() {
        let bad: [&[u8]; 9] = [
            b"user",
            b"u:\xff",
            b"\xc3:p",
            b"u\0:p",
            b"u:p\0",
            b"u:p\n",
            b"\tu:p",
            b"u:\x7f",
            "u:\u{85}".as_bytes(),
        ];
        for bytes in bad {
            let token = STANDARD.encode(bytes);
            assert_eq!(decoded(&token), Err(Malformed::Userpass), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn credentials_without_end_are_not_decoded() {
        let of = |length: usize| STANDARD.encode(format!("u:{}", "p".repeat(length - 2)));
        assert!(decoded(&of(768)).is_ok());
        assert_eq!(decoded(&of(769)), Err(Malformed::Userpass));
    }

    #[test]
    fn debug_output_tells_neither_user_nor_password() {
        let basic = Basic::decode("QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap();
        assert_eq!(format!("{basic:?}"), "Basic(…)");
    }
}
