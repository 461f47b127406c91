//! Who is asking: what was found out and can be relied on.

use super::assertion::Asserted;
use crate::telemetry::metrics::{Proof, Way};
use crate::value::ConsumerField;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// How the question of who is asking was answered.
#[derive(Debug, Default)]
pub enum Authentication {
    /// Nobody has asked it yet, or nobody will.
    #[default]
    Unasked,
    /// The client showed no credential, and needs none here.
    Anonymous {
        /// What it could show, for whoever needs one after all (`WWW-Authenticate`).
        challenges: Arc<[HeaderValue]>,
    },
    /// It was found out.
    Known(Arc<Identity>),
    /// What the client showed proves nothing. Limits that count failures go by this.
    Refused {
        /// The kind of credential; none where there was none, or nobody could say which one counts.
        way: Option<Way>,
        /// What is wrong with it.
        why: Unproven,
        /// Whom it claimed to be, where it said so: a user's name. It is not to be relied on.
        claimed: Option<Claimed>,
    },
}

/// Whom somebody claimed to be. Who mistakes one field for another types a password here, so it is
/// not told.
#[derive(Clone, PartialEq, Eq)]
pub struct Claimed(pub Box<str>);

impl fmt::Debug for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claimed(…)")
    }
}

/// Why nobody knows who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unproven {
    /// No credential was shown.
    Missing,
    /// What was shown is not good any more.
    Expired,
    /// What was shown proves nothing.
    Invalid,
    /// More than one was shown, and nobody could say which one is meant.
    Ambiguous,
}

impl Authentication {
    /// By which way it was answered and how, where it was asked at all.
    pub fn outcome(&self) -> Option<(Option<Way>, Proof)> {
        match self {
            Authentication::Unasked => None,
            Authentication::Anonymous { .. } => Some((None, Proof::Anonymous)),
            Authentication::Known(identity) => Some((Some(identity.way), Proof::Known)),
            Authentication::Refused { way, why, .. } => Some((
                *way,
                match why {
                    Unproven::Missing => Proof::Missing,
                    Unproven::Expired => Proof::Expired,
                    Unproven::Invalid => Proof::Invalid,
                    Unproven::Ambiguous => Proof::Ambiguous,
                },
            )),
        }
    }
}

/// Who is asking. Made by what checked a credential, and never by what a client says.
pub struct Identity {
    /// How it was found out.
    pub way: Way,
    /// What is said of who is asking (RFC 7519 §4). `sub` is there for each way that does not leave it
    /// to somebody else what is said.
    pub claims: Arc<Map<String, Value>>,
    /// The roles: those of the claims and those of the consumer.
    pub roles: Vec<Box<str>>,
    /// The scopes (RFC 6749 §3.3).
    pub scopes: Vec<Box<str>>,
    /// The consumer that the credential belongs to, if there is one.
    pub consumer: Option<Arc<Consumer>>,
    /// From when on it must not be relied on.
    pub expires: Option<SystemTime>,
    /// The fields that tell services of it and are the same for each of its requests.
    pub vouched: Vec<(HeaderName, HeaderValue)>,
    /// The token that tells services of it, once one was signed.
    pub asserted: Asserted,
}

/// A caller that the configuration knows by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: Box<str>,
    /// Its tier, which limits may go by.
    pub tier: Option<Box<str>>,
    /// Its roles.
    pub roles: Vec<Box<str>>,
    /// Its tags.
    pub tags: Vec<Box<str>>,
}

impl Identity {
    /// Somebody of whom these claims are known, and nothing else.
    pub fn new(way: Way, claims: Arc<Map<String, Value>>) -> Self {
        Identity {
            way,
            claims,
            roles: Vec::new(),
            scopes: Vec::new(),
            consumer: None,
            expires: None,
            vouched: Vec::new(),
            asserted: Asserted::default(),
        }
    }

    /// The subject: who is asking, in one word.
    pub fn subject(&self) -> Option<&str> {
        self.claims.get("sub")?.as_str()
    }

    /// Finds a claim: a name, or names with dots that lead into objects (`realm_access.roles`). A
    /// claim whose own name has the dots, as names that are URLs do, comes first.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        find_claim(&self.claims, name)
    }

    /// What `$(identity.NAME)` stands for, as text: the roles, the scopes, or a claim. Roles are those
    /// that were found where the configuration says, and never a claim that only has that name.
    pub fn text(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        match self.words(name) {
            Some(words) => (!words.is_empty()).then(|| list(words)),
            None => text(self.claim(name)?),
        }
    }

    /// The same, as it is.
    pub fn value(&self, name: &str) -> Option<Value> {
        match self.words(name) {
            Some(words) => (!words.is_empty()).then(|| words.iter().map(|word| &**word).collect()),
            None => self.claim(name).cloned(),
        }
    }

    /// What is no claim, though it is called as one is.
    fn words(&self, name: &str) -> Option<&[Box<str>]> {
        match name {
            "roles" => Some(&self.roles),
            "scopes" => Some(&self.scopes),
            _ => None,
        }
    }
}

impl Consumer {
    /// What `$(consumer.…)` stands for.
    pub fn text(&self, field: ConsumerField) -> Option<Cow<'_, [u8]>> {
        match field {
            ConsumerField::Name => Some(self.name.as_bytes().into()),
            ConsumerField::Tier => Some(self.tier.as_ref()?.as_bytes().into()),
            ConsumerField::Roles => Some(list(&self.roles)),
            ConsumerField::Tags => Some(list(&self.tags)),
        }
    }
}

/// A claim as text: what is no text by itself is JSON, and a list has commas.
fn text(value: &Value) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.as_bytes().into()),
        Value::Array(elements) => {
            let elements: Vec<Box<str>> = elements
                .iter()
                .filter_map(|element| Some(String::from_utf8_lossy(&text(element)?).into()))
                .collect();
            Some(list(&elements).into_owned().into())
        }
        other => Some(other.to_string().into_bytes().into()),
    }
}

/// Elements with commas between them. One that has a comma itself would pass for two, and one with
/// blanks at its ends for one without (RFC 9110 §5.6.1), so these are percent-encoded, and `%` with
/// them.
fn list(elements: &[Box<str>]) -> Cow<'_, [u8]> {
    let is_plain = |element: &str| {
        !element.contains([',', '%']) && !element.starts_with(BLANKS) && !element.ends_with(BLANKS)
    };
    match elements {
        [only] if is_plain(only) => only.as_bytes().into(),
        elements => {
            let mut text = String::new();
            for (number, element) in elements.iter().enumerate() {
                if number > 0 {
                    text.push(',');
                }
                match is_plain(element) {
                    true => text.push_str(element),
                    false => encode(element, &mut text),
                }
            }
            text.into_bytes().into()
        }
    }
}

/// What is no part of a value where it stands at its ends (RFC 9110 §5.5).
const BLANKS: [char; 2] = [' ', '\t'];

fn encode(element: &str, text: &mut String) {
    let inner = element.trim_matches(BLANKS);
    let start = element.len() - element.trim_start_matches(BLANKS).len();
    for (at, c) in element.char_indices() {
        let is_at_an_end = !(start..start + inner.len()).contains(&at);
        match c {
            ',' => text.push_str("%2C"),
            '%' => text.push_str("%25"),
            ' ' if is_at_an_end => text.push_str("%20"),
            '\t' if is_at_an_end => text.push_str("%09"),
            c => text.push(c),
        }
    }
}

/// Finds a claim among others, as [`Identity::claim`] does.
pub fn find_claim<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(name) {
        return Some(value);
    }
    name.match_indices('.').find_map(|(dot, _)| {
        let inside = object.get(&name[..dot])?.as_object()?;
        find_claim(inside, &name[dot + 1..])
    })
}

/// Claims may be personal, so they are counted and not told.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("way", &self.way)
            .field("claims", &self.claims.len())
            .field("consumer", &self.consumer.as_ref().map(|consumer| &consumer.name))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_claim_is_found_by_its_name_or_inside_of_others() {
        let claims = json!({
            "sub": "u1",
            "https://example.com/roles": ["a"],
            "realm_access": {"roles": ["b"]},
        });
        let Value::Object(claims) = claims else { unreachable!() };
        let identity = Identity::new(Way::Jwt, Arc::new(claims));
        assert_eq!(identity.subject(), Some("u1"));
        assert_eq!(identity.claim("https://example.com/roles"), Some(&json!(["a"])));
        assert_eq!(identity.claim("realm_access.roles"), Some(&json!(["b"])));
        assert_eq!(identity.claim("realm_access.groups"), None);
        assert!(!format!("{identity:?}").contains("u1"));
    }

    #[test]
    fn a_role_with_a_comma_does_not_pass_for_two() {
        let value = json!(["a,admin", "b", 3, null]);
        assert_eq!(text(&value).as_deref(), Some(&b"a%2Cadmin,b,3"[..]));
        assert_eq!(list(&["one".into()]).as_ref(), b"one");
        let blanks = [" admin".into(), "a b\t".into(), "50%".into()];
        assert_eq!(list(&blanks).as_ref(), b"%20admin,a b%09,50%25");
    }
}
