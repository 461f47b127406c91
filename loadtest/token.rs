//! Tokens: the good ones that requests carry, and the bad ones that nobody may let in.

use crate::Failure;
use crate::scenario::Scenario;
use aws_lc_rs::hmac::{self, HMAC_SHA256, HMAC_SHA384};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What tokens are signed with, as all contenders are told: no shorter than the hash (RFC 7518
/// §3.2).
pub const SECRET: &str = "what-the-load-test-signs-its-tokens-with";
/// How long they hold: longer than any measurement.
const LIFETIME: u64 = 30 * 24 * 60 * 60;

/// The tokens of a run.
pub struct Tokens {
    scenario: Scenario,
    issued: u64,
    keys: u64,
    pool: Option<Pool>,
}

/// A file of good tokens, one a line, all equally long.
struct Pool {
    file: PathBuf,
    line: u64,
}

/// What the requests of wrk carry.
pub enum Carried<'a> {
    /// No token.
    Nothing,
    /// The same token each time.
    Same(String),
    /// The same token each time, and one of so many keys.
    Keyed {
        /// The token.
        token: String,
        /// How many keys there are.
        keys: u64,
    },
    /// A new one each time: those of a file from some byte on.
    New {
        /// The file of tokens.
        file: &'a Path,
        /// Where the first of them stands that has not been used.
        offset: u64,
    },
}

/// What is wrong with a token.
#[derive(Debug, Clone, Copy)]
pub enum Flaw {
    /// It is signed with another secret.
    Signature,
    /// Its claims are not those that were signed.
    Claims,
    /// It is signed with the right secret, by an algorithm that nobody allows.
    Algorithm,
    /// It is signed as it should be, but says that it is signed by another algorithm.
    Label,
    /// It is not signed, and says so.
    Unsigned,
    /// Somebody else has issued it.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// It has expired.
    Expired,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Flaw; 8] = [
        Flaw::Signature,
        Flaw::Claims,
        Flaw::Algorithm,
        Flaw::Label,
        Flaw::Unsigned,
        Flaw::Issuer,
        Flaw::Audience,
        Flaw::Expired,
    ];
}

impl Tokens {
    /// Prepares the tokens of a scenario; those that are to be new each time are written to a
    /// file, which holds so many.
    pub fn prepare(
        scenario: Scenario,
        now: SystemTime,
        count: u64,
        keys: u64,
        file: PathBuf,
    ) -> Result<Tokens, Failure> {
        let issued = now.duration_since(UNIX_EPOCH)?.as_secs();
        let mut tokens = Tokens { scenario, issued, keys, pool: None };
        if scenario == Scenario::FullNew {
            let line = tokens.write(&file, count)?;
            tokens.pool = Some(Pool { file, line });
        }
        Ok(tokens)
    }

    /// What the request of a number carries, if anything.
    pub fn of(&self, number: u64) -> Option<String> {
        match self.scenario {
            Scenario::Forward => None,
            Scenario::Full | Scenario::Limited | Scenario::LimitedRedis => Some(self.good(0)),
            Scenario::FullNew => Some(self.good(number)),
        }
    }

    /// What wrk's requests carry after so many tokens have been used.
    pub fn carried(&self, used: u64) -> Carried<'_> {
        match (&self.pool, self.of(0)) {
            (Some(pool), _) => Carried::New { file: &pool.file, offset: used * pool.line },
            (None, Some(token)) if self.scenario.has_store() => {
                Carried::Keyed { token, keys: self.keys }
            }
            (None, Some(token)) => Carried::Same(token),
            (None, None) => Carried::Nothing,
        }
    }

    /// Whether requests carry the same token again.
    pub fn recur(&self) -> bool {
        self.scenario.has_tokens() && self.scenario != Scenario::FullNew
    }

    /// The fields of the request of a number.
    pub fn fields(&self, number: u64) -> Vec<(&'static str, String)> {
        let mut fields = fields(self.of(number));
        if self.scenario.has_store() {
            fields.push(("X-Key", format!("key-{}", number % self.keys)));
        }
        fields
    }

    /// A token that is to be let in.
    pub fn good(&self, number: u64) -> String {
        self.token("load", "api", number, self.issued)
    }

    /// A token that is not to be let in.
    pub fn bad(&self, flaw: Flaw) -> String {
        let claims = self.claims("load", "api", 0, self.issued);
        match flaw {
            Flaw::Signature => {
                signed(HMAC_SHA256, "HS256", "the-secret-of-somebody-else-altogether", &claims)
            }
            Flaw::Claims => {
                let (one, other) = (self.good(0), self.good(1));
                let signature = one.rsplit_once('.').map_or("", |(_, signature)| signature);
                let signed = other.rsplit_once('.').map_or("", |(signed, _)| signed);
                format!("{signed}.{signature}")
            }
            Flaw::Algorithm => signed(HMAC_SHA384, "HS384", SECRET, &claims),
            Flaw::Label => signed(HMAC_SHA256, "HS384", SECRET, &claims),
            Flaw::Unsigned => format!("{}.", unsigned("none", &claims)),
            Flaw::Issuer => self.token("somebody", "api", 0, self.issued),
            Flaw::Audience => self.token("load", "somebody", 0, self.issued),
            Flaw::Expired => self.token("load", "api", 0, self.issued - 2 * LIFETIME),
        }
    }

    /// Writes good tokens to a file as they are made, and says how long its lines are.
    fn write(&self, file: &Path, count: u64) -> Result<u64, Failure> {
        let line = self.good(0).len() as u64 + 1;
        let mut out = BufWriter::new(File::create(file)?);
        for number in 0..count {
            writeln!(out, "{}", self.good(number))?;
        }
        out.flush()?;
        match out.get_ref().metadata()?.len() == count * line {
            true => Ok(line),
            false => Err(format!("{count} tokens are too many to be equally long").into()),
        }
    }

    fn token(&self, issuer: &str, audience: &str, number: u64, issued: u64) -> String {
        signed(HMAC_SHA256, "HS256", SECRET, &self.claims(issuer, audience, number, issued))
    }

    fn claims(&self, issuer: &str, audience: &str, number: u64, issued: u64) -> String {
        let (subject, expires) = (subject(number), issued + LIFETIME);
        format!(
            "{{\"iss\":\"{issuer}\",\"aud\":\"{audience}\",\"sub\":\"{subject}\",\
             \"roles\":[\"reader\",\"writer\"],\"iat\":{issued},\"exp\":{expires}}}"
        )
    }
}

/// The fields of a request that carries a token, or none.
pub fn fields(token: Option<String>) -> Vec<(&'static str, String)> {
    token.map(|token| ("Authorization", format!("Bearer {token}"))).into_iter().collect()
}

/// Whose token the good one of a number is.
pub fn subject(number: u64) -> String {
    format!("user-{number:07}")
}

/// The secret as a JSON Web Key has it (RFC 7518 §6.4.1).
pub fn secret_of_jwk() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(SECRET)
}

fn signed(hash: hmac::Algorithm, name: &str, secret: &str, claims: &str) -> String {
    let input = unsigned(name, claims);
    let signature = hmac::sign(&hmac::Key::new(hash, secret.as_bytes()), input.as_bytes());
    format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn unsigned(algorithm: &str, claims: &str) -> String {
    let header = format!("{{\"alg\":\"{algorithm}\",\"typ\":\"JWT\"}}");
    let [header, claims] = [&*header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}")
}
