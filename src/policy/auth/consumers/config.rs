//! Callers that the configuration knows by name, and the credentials that are theirs.

use super::user_name::UserName;
use crate::credential::{Fingerprint, KeyHash, PasswordHash, Subject};
use crate::exchange::{AlternativeName, Consumer};
use crate::value::{Label, Name, OneOrMany, Scalars};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A caller that is known by name. Whoever proves one of its credentials is this consumer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Consumer")]
pub struct ConsumerConfig {
    /// Its name, in logs and metrics.
    pub name: Name,
    /// Its tier, which limits and `authorize` may go by; none where it is left out.
    pub tier: Option<Name>,
    /// Its roles, beside those that its tokens bring; none where it is left out.
    pub roles: Option<OneOrMany<Label>>,
    /// Its tags, which `authorize` may go by; none where it is left out.
    pub tags: Option<OneOrMany<Label>>,
    /// What it is known by; by nothing where it is left out, so that nobody is this consumer.
    #[serde(default)]
    pub credentials: CredentialsConfig,
}

/// What a consumer is known by: any one of these is enough, and none may be another consumer's too.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Credentials")]
pub struct CredentialsConfig {
    /// API keys, each as the SHA-256 of its bytes in 64 hexadecimal digits: the keys themselves stand
    /// nowhere. No key where it is left out.
    pub api_key_sha256: Option<OneOrMany<KeyHash>>,
    /// The issuers whose tokens count for `jwt_sub` and `jwt_claims`: where there are several, one
    /// could name another's subjects. All where it is left out.
    pub jwt_issuer: Option<OneOrMany<String>>,
    /// Subjects (`sub`) of tokens and of sessions, compared byte by byte. No subject where it is left out.
    pub jwt_sub: Option<OneOrMany<Label>>,
    /// Claims of tokens, by name: each of them must be, or be a list that has, one of its values. A
    /// name may have dots that lead into objects. No claims where it is left out.
    pub jwt_claims: Option<BTreeMap<Label, Scalars>>,
    /// A name and a password (RFC 7617). None where it is left out.
    pub basic: Option<BasicConfig>,
    /// Names in client certificates, each a DNS name, an address, a URI or an e-mail address among
    /// the subject's alternative names (RFC 5280 §4.2.1.6). No name where it is left out.
    pub mtls_san: Option<OneOrMany<AlternativeName>>,
    /// Subjects of client certificates, as RFC 4514 writes them, such as `CN=ops,O=Example`. No
    /// subject where it is left out.
    pub mtls_subject: Option<OneOrMany<Subject>>,
    /// Client certificates, each as the SHA-256 of its DER form in 64 hexadecimal digits, with or
    /// without colons. No certificate where it is left out.
    pub mtls_fingerprint: Option<OneOrMany<Fingerprint>>,
}

/// A name and a password.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BasicCredential")]
pub struct BasicConfig {
    /// The name.
    pub user: UserName,
    /// The password's hash: the password itself stands nowhere.
    pub hash: PasswordHash,
}

impl ConsumerConfig {
    /// Who it is, without what it is known by.
    pub fn consumer(&self) -> Consumer {
        let words = |words: &Option<OneOrMany<Label>>| {
            let words = words.iter().flat_map(|words| words.iter());
            words.map(|word| Box::from(&**word)).collect()
        };
        Consumer {
            name: self.name.as_str().into(),
            tier: self.tier.as_ref().map(|tier| tier.as_str().into()),
            roles: words(&self.roles),
            tags: words(&self.tags),
        }
    }
}

impl CredentialsConfig {
    /// Whether there are none, so that nobody can be the consumer.
    pub fn is_empty(&self) -> bool {
        let CredentialsConfig {
            api_key_sha256,
            jwt_issuer: _,
            jwt_sub,
            jwt_claims,
            basic,
            mtls_san,
            mtls_subject,
            mtls_fingerprint,
        } = self;
        api_key_sha256.is_none()
            && jwt_sub.is_none()
            && jwt_claims.as_ref().is_none_or(BTreeMap::is_empty)
            && basic.is_none()
            && mtls_san.is_none()
            && mtls_subject.is_none()
            && mtls_fingerprint.is_none()
    }
}
