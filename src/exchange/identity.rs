//! Who is asking: what was found out and can be relied on.

use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Who is asking. Made by what checked a credential, and never by what a client says.
pub struct Identity {
    /// How it was found out, as the configuration calls it: `jwt`, `api_key`.
    pub way: &'static str,
    /// What is said of who is asking (RFC 7519 §4). `sub` is there for every way.
    pub claims: Map<String, Value>,
    /// The roles: those of the claims and those of the consumer.
    pub roles: Vec<Box<str>>,
    /// The scopes (RFC 6749 §3.3).
    pub scopes: Vec<Box<str>>,
    /// The consumer that the credential belongs to, if there is one.
    pub consumer: Option<Arc<Consumer>>,
    /// From when on it must not be relied on.
    pub expires: Option<SystemTime>,
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
    /// The subject: who is asking, in one word.
    pub fn subject(&self) -> Option<&str> {
        self.claims.get("sub")?.as_str()
    }

    /// Finds a claim: a name, or names with dots that lead into objects (`realm_access.roles`). A
    /// claim whose own name has the dots, as names that are URLs do, comes first.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        find(&self.claims, name)
    }
}

fn find<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(name) {
        return Some(value);
    }
    name.match_indices('.').find_map(|(dot, _)| {
        let inside = object.get(&name[..dot])?.as_object()?;
        find(inside, &name[dot + 1..])
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
        let identity = Identity {
            way: "jwt",
            claims,
            roles: Vec::new(),
            scopes: Vec::new(),
            consumer: None,
            expires: None,
        };
        assert_eq!(identity.subject(), Some("u1"));
        assert_eq!(identity.claim("https://example.com/roles"), Some(&json!(["a"])));
        assert_eq!(identity.claim("realm_access.roles"), Some(&json!(["b"])));
        assert_eq!(identity.claim("realm_access.groups"), None);
        assert!(!format!("{identity:?}").contains("u1"));
    }
}
