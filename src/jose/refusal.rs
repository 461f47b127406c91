//! Why a token is refused: a kind, which decides what the client is told, and a reason for the log.
//! Neither holds a byte of the token, nor of a key.

use std::fmt;

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It has more bytes than a token may have.
    TooLarge,
    /// It is not three non-empty parts in canonical base64url (RFC 7515 §7.1).
    Compact,
    /// Its header is no JSON object, or a name stands twice in it.
    Header,
    /// A parameter of its header has the wrong type.
    HeaderParameter,
    /// It has no `alg`.
    NoAlgorithm,
    /// Its `alg` is `none`, in some spelling.
    Unsigned,
    /// Its `alg` is no signature algorithm that is known here.
    UnknownAlgorithm,
    /// It is an encrypted token by its header.
    Encrypted,
    /// Its `crit` is not a list of the names of parameters that its header has (RFC 7515 §4.1.11).
    BadCritical,
    /// Its `crit` demands an extension, and none is understood here.
    Critical,
    /// Its payload is not encoded (RFC 7797).
    Unencoded,
    /// Its `alg` is none of those that its issuer may use.
    AlgorithmNotAllowed,
    /// Its `typ` is that of a token for another purpose.
    Type,
    /// There is no key of its `kid`, or no key at all: a newer set of keys may have one.
    UnknownKey,
    /// The key that it names is not for its `alg`.
    KeyMismatch,
    /// Its signature is not one of the keys'.
    Signature,
    /// More keys than are worth trying could have signed it.
    TooManyKeys,
    /// Its payload is no JSON object, or a name stands twice in it.
    Claims,
    /// Its `iss` is missing.
    NoIssuer,
    /// Its `iss` is another's, or no string.
    Issuer,
    /// Its `aud` is missing, though one is asked for.
    NoAudience,
    /// Its `aud` names others.
    Audience,
    /// Its `aud` is no string and no list of strings, or an empty list.
    BadAudience,
    /// It has an `aud`, and nobody said which one is meant here.
    AudienceNotConfigured,
    /// Its `sub` is no string.
    Subject,
    /// Its `jti` is no string.
    TokenId,
    /// Its `exp` is missing.
    NoExpiry,
    /// Its `exp`, `nbf` or `iat` is no number.
    Date,
    /// Its `cnf` binds it to something that cannot be checked here.
    Confirmation,
    /// Its `nbf` is still to come.
    NotBefore,
    /// Its `iat` is still to come.
    IssuedLater,
    /// Its `exp` is past.
    Expired,
}

impl Refusal {
    /// The reason, for the log.
    pub const fn reason(self) -> &'static str {
        match self {
            Refusal::TooLarge => "it is larger than a token may be",
            Refusal::Compact => "it is not three parts in base64url with dots between",
            Refusal::Header => "its header is no JSON object with each name once",
            Refusal::HeaderParameter => "a parameter of its header has the wrong type",
            Refusal::NoAlgorithm => "its header has no `alg`",
            Refusal::Unsigned => "its `alg` says that nobody signed it",
            Refusal::UnknownAlgorithm => "its `alg` is no known signature algorithm",
            Refusal::Encrypted => "its header is that of an encrypted token",
            Refusal::BadCritical => "its `crit` is not a list of parameters of its header",
            Refusal::Critical => "its `crit` demands an extension that is not understood",
            Refusal::Unencoded => "its `b64` says that its payload is not encoded",
            Refusal::AlgorithmNotAllowed => "its `alg` is not among the `algorithms`",
            Refusal::Type => "its `typ` is that of a token for another purpose",
            Refusal::UnknownKey => "no key has its `kid`",
            Refusal::KeyMismatch => "the key is not for its `alg`",
            Refusal::Signature => "its signature is wrong",
            Refusal::TooManyKeys => "many keys could have signed it, and the first of them did not",
            Refusal::Claims => "its payload is no JSON object with each name once",
            Refusal::NoIssuer => "it has no `iss`",
            Refusal::Issuer => "its `iss` is not the `issuer`",
            Refusal::NoAudience => "it has no `aud`",
            Refusal::Audience => "its `aud` is none of the `audience`",
            Refusal::BadAudience => "its `aud` is neither a string nor a list of strings",
            Refusal::AudienceNotConfigured => "it has an `aud`: set `audience` to accept it",
            Refusal::Subject => "its `sub` is no string",
            Refusal::TokenId => "its `jti` is no string",
            Refusal::NoExpiry => "it has no `exp`",
            Refusal::Date => "its `exp`, `nbf` or `iat` is no number",
            Refusal::Confirmation => "its `cnf` asks for a proof that cannot be checked",
            Refusal::NotBefore => "its `nbf` is still to come",
            Refusal::IssuedLater => "its `iat` is still to come",
            Refusal::Expired => "its `exp` is past",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Refusal {}
