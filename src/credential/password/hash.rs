//! Stored passwords: what may be configured, and what is refused because it protects too little or
//! costs too much. Limits are those of one request: whoever can ask can make the gateway check.

use crate::value::Invalid;
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The least memory of argon2id, in KiB: OWASP's Password Storage Cheat Sheet has no setting with
/// less than 7 MiB.
const LEAST_MEMORY: u32 = 7 * 1_024;
/// The most memory of argon2id, in KiB, since as many checks run at once as there are cores.
const MOST_MEMORY: u32 = 256 * 1_024;
/// The most passes of argon2id.
const MOST_PASSES: u32 = 10;
/// The most lanes of argon2id. They run one after the other.
const MOST_LANES: u32 = 16;
/// The costs of bcrypt: OWASP asks for 10 or more, and 14 takes a second.
const COSTS: std::ops::RangeInclusive<u32> = 10..=14;
/// The bytes of a password that bcrypt looks at.
const BCRYPT_LONGEST: usize = 72;

/// A stored password: an argon2id hash as a PHC string, or a bcrypt hash.
#[derive(Clone)]
pub struct PasswordHash {
    /// What was typed, which tells one hash from another.
    text: Zeroizing<Box<str>>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Argon2id { params: Params, salt: Box<[u8]>, output: Zeroizing<Box<[u8]>> },
    Bcrypt,
}

impl PasswordHash {
    /// Whether a password is the one. It takes milliseconds to a second, and is not for a thread
    /// that serves.
    ///
    /// For bcrypt a password of more than 72 bytes is never the one: bcrypt looks at no more, so
    /// that any password with the same beginning would do.
    pub fn verify(&self, password: &[u8]) -> bool {
        match &self.kind {
            Kind::Argon2id { params, salt, output } => {
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
                let mut computed = Zeroizing::new(vec![0; output.len()]);
                argon2.hash_password_into(password, salt, &mut computed).is_ok()
                    && bool::from(computed.ct_eq(output))
            }
            Kind::Bcrypt => {
                // The NUL that ends a password would begin its repetition.
                password.len() <= BCRYPT_LONGEST
                    && !password.contains(&0)
                    && bcrypt::verify(password, &self.text).unwrap_or(false)
            }
        }
    }

    /// What was typed.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn argon2id(text: &str) -> Result<Kind, Invalid> {
        let broken = || {
            Invalid::new(
                "this is no argon2id hash as a PHC string: it reads \
             `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`",
            )
        };
        let hash = argon2::PasswordHash::new(text).map_err(|_| broken())?;
        if hash.version != Some(19) {
            return Err(Invalid::new("only version 19 of argon2id is read: it says `v=19`"));
        }
        let params = Params::try_from(&hash).map_err(|_| broken())?;
        let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        if memory > MOST_MEMORY || passes > MOST_PASSES || lanes > MOST_LANES {
            return Err(Invalid::new(format!(
                "m={memory},t={passes},p={lanes} lets one request cost too much: at most \
                 m={MOST_MEMORY},t={MOST_PASSES},p={MOST_LANES}"
            )));
        }
        if memory < LEAST_MEMORY {
            return Err(Invalid::new(format!(
                "m={memory} protects too little: at least m={LEAST_MEMORY}, best \
                 m=19456,t=2,p=1 (OWASP Password Storage Cheat Sheet)"
            )));
        }
        let salt = hash.salt.ok_or_else(broken)?;
        let output = hash.hash.ok_or_else(broken)?;
        if output.len() < 16 || salt.len() < argon2::MIN_SALT_LEN {
            return Err(Invalid::new(
                "an argon2id hash has a salt of 8 bytes or more and 16 bytes or more itself",
            ));
        }
        let output = Zeroizing::new(Box::from(output.as_bytes()));
        Ok(Kind::Argon2id { params, salt: Box::from(&*salt), output })
    }

    fn bcrypt(text: &str) -> Result<Kind, Invalid> {
        let broken =
            || Invalid::new("this is no bcrypt hash: it reads `$2b$12$` and 53 characters");
        // Parsed here too, since the parser takes a sign for a digit.
        let cost = text.get(4..6).filter(|cost| cost.bytes().all(|byte| byte.is_ascii_digit()));
        let cost: u32 = cost.and_then(|cost| cost.parse().ok()).ok_or_else(broken)?;
        text.parse::<bcrypt::HashParts>().map_err(|_| broken())?;
        if COSTS.contains(&cost) {
            return Ok(Kind::Bcrypt);
        }
        Err(Invalid::new(if cost < *COSTS.start() {
            format!(
                "a bcrypt cost of {cost} protects too little: at least {} (OWASP Password Storage \
                 Cheat Sheet)",
                COSTS.start()
            )
        } else {
            let most = COSTS.end();
            format!("a bcrypt cost of {cost} lets one request cost too much: at most {most}")
        }))
    }
}

impl FromStr for PasswordHash {
    type Err = Invalid;

    /// Its error does not show the text, which may be the password itself, put there by mistake.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is = |beginning: &str| text.starts_with(beginning);
        let kind = if is("$argon2id$") {
            PasswordHash::argon2id(text)?
        } else if is("$2a$") || is("$2b$") || is("$2y$") {
            PasswordHash::bcrypt(text)?
        } else if is("$argon2i$") || is("$argon2d$") {
            return Err(Invalid::new(
                "only argon2id is read: argon2i is weak against guessing, argon2d against who \
                 watches the cache (RFC 9106 §4)",
            ));
        } else if is("$2x$") {
            return Err(Invalid::new("`$2x$` marks hashes of a bcrypt that was wrong"));
        } else {
            return Err(Invalid::new(
                "a stored password is an argon2id hash (`$argon2id$…`) or a bcrypt hash (`$2b$…`)",
            ));
        };
        Ok(PasswordHash { text: Zeroizing::new(text.into()), kind })
    }
}

/// A hash is all that it takes to guess passwords at leisure.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::value::deserialize_text(deserializer, "an argon2id or bcrypt hash")
    }
}

crate::value::schema::word_schema!(
    PasswordHash,
    "PasswordHash",
    "A stored password: an argon2id hash as a PHC string (7 to 256 MiB, at most 10 passes and 16 \
     lanes), or a bcrypt hash (cost 10 to 14).",
    {"type": "string", "examples": ["$(env:OPS_HASH)"]}
);

#[cfg(test)]
mod tests {
    use super::super::sample::{argon2id, bcrypt as bcrypt_hash};
    use super::*;

    fn refusal(text: &str) -> String {
        let refusal = text.parse::<PasswordHash>().unwrap_err().to_string();
        assert!(text.is_empty() || !refusal.contains(text), "{refusal}");
        refusal
    }

    #[test]
    fn an_argon2id_hash_knows_its_password() {
        let hash: PasswordHash = argon2id("open sesame").parse().unwrap();
        assert!(hash.verify(b"open sesame"));
        for wrong in ["", "open sesam", "open sesame ", "Open sesame", "open sesame\0"] {
            assert!(!hash.verify(wrong.as_bytes()), "{wrong:?}");
        }
    }

    #[test]
    fn a_bcrypt_hash_knows_its_password_under_each_of_its_names() {
        let hash = bcrypt_hash("open sesame");
        for name in ["$2a$", "$2b$", "$2y$"] {
            let hash: PasswordHash = hash.replace("$2b$", name).parse().unwrap();
            assert!(hash.verify(b"open sesame"), "{name}");
            assert!(!hash.verify(b"open sesam"), "{name}");
        }
    }

    #[test]
    fn bcrypt_takes_no_password_of_which_it_would_ignore_the_end() {
        let longest = "p".repeat(72);
        let hash: PasswordHash = bcrypt_hash(&longest).parse().unwrap();
        assert!(hash.verify(longest.as_bytes()));
        assert!(!hash.verify(format!("{longest}q").as_bytes()));
        let hash: PasswordHash = bcrypt_hash("ab").parse().unwrap();
        assert!(!hash.verify(b"ab\0ab"));
    }

    #[test]
    fn a_hash_of_another_program_knows_its_password() {
        // Of the reference implementation's own tests, and the example of Wikipedia's article.
        let argon2id = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                        CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(argon2id.parse::<PasswordHash>().unwrap().verify(b"password"));
        let bcrypt = "$2a$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW";
        assert!(bcrypt.parse::<PasswordHash>().unwrap().verify(b"abc123xyz"));
    }

    #[test]
    fn what_costs_too_much_or_protects_too_little_is_refused() {
        let hash = argon2id("x");
        let with = |params: &str| refusal(&hash.replace("m=8192,t=1,p=1", params));
        assert!(with("m=262145,t=1,p=1").contains("cost too much"));
        assert!(with("m=8192,t=11,p=1").contains("cost too much"));
        assert!(with("m=8192,t=1,p=17").contains("cost too much"));
        assert!(with("m=4294967295,t=1,p=1").contains("cost too much"));
        assert!(with("m=7167,t=5,p=1").contains("OWASP"));
        assert!(with("m=8,t=10,p=1").contains("OWASP"));
        for good in ["m=7168,t=5,p=1", "m=262144,t=10,p=16", "m=19456,t=2,p=1"] {
            assert!(hash.replace("m=8192,t=1,p=1", good).parse::<PasswordHash>().is_ok(), "{good}");
        }
        let hash = bcrypt_hash("x");
        assert!(refusal(&hash.replace("$10$", "$09$")).contains("OWASP"));
        assert!(refusal(&hash.replace("$10$", "$15$")).contains("cost too much"));
        assert!(refusal(&hash.replace("$10$", "$+9$")).contains("no bcrypt hash"));
    }

    #[test]
    fn what_is_no_hash_is_refused_and_not_shown() {
        for text in ["", "hush", "$apr1$abc$def", "$6$salt$hash", "{SHA}abc", "$pbkdf2$x"] {
            assert!(refusal(text).contains("argon2id hash (`$argon2id$…`)"));
        }
        let hash = argon2id("x");
        assert!(refusal(&hash.replace("argon2id", "argon2i")).contains("only argon2id"));
        assert!(refusal(&hash.replace("argon2id", "argon2d")).contains("only argon2id"));
        assert!(refusal(&hash.replace("v=19", "v=16")).contains("version 19"));
        assert!(refusal(&hash.replace("$v=19", "")).contains("version 19"));
        assert!(refusal(&hash.replace("m=8192", "m=x")).contains("no argon2id hash"));
        assert!(refusal(&hash.replace("t=1", "t=0")).contains("no argon2id hash"));
        assert!(refusal(&hash[..hash.rfind('$').unwrap()]).contains("no argon2id hash"));
        let hash = bcrypt_hash("x");
        assert!(refusal(&hash[..59]).contains("no bcrypt hash"));
        assert!(refusal(&format!("{hash}a")).contains("no bcrypt hash"));
        assert!(refusal(&hash.replace("$2b$", "$2x$")).contains("was wrong"));
        assert_eq!(format!("{:?}", hash.parse::<PasswordHash>().unwrap()), "PasswordHash(…)");
    }
}
