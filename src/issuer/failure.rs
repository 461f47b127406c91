//! Why an issuer gave nothing that can be used.

use serde::Serialize;
use std::fmt;

/// What kind of trouble there is with an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// It does not answer, or not in time.
    Silent,
    /// It answers with another status than 200.
    Status,
    /// It refuses the gateway itself (401, 403): the operator has to look at the client's secret.
    Refused,
    /// Its answer is larger than anything of its kind.
    TooLarge,
    /// Its answer is not what it should be.
    Malformed,
    /// Its metadata are those of another issuer.
    WrongIssuer,
    /// Its metadata lead from TLS to plain HTTP.
    Downgrade,
    /// It has no key that can be used.
    NoKeys,
    /// The gateway has no HTTP client: the authorities of the system could not be read.
    NoClient,
}

/// Trouble, and what the log should say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) trouble: Trouble,
    message: String,
}

impl Failure {
    pub(super) fn new(trouble: Trouble, message: impl Into<String>) -> Self {
        Failure { trouble, message: message.into() }
    }

    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Failure::new(Trouble::Malformed, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
