//! From what is known of a caller to an identity: roles, scopes and the fields that tell services.

use super::consumers::Consumers;
use crate::exchange::{Consumer, Identity, Vouched};
use crate::telemetry::metrics::Way;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::SystemTime;

/// The claims that roles are found in, where nothing is said.
const ROLES: [&str; 2] = ["roles", "role"];

/// Makes identities.
#[derive(Debug, Clone)]
pub struct Maker {
    vouched: Arc<Vouched>,
    consumers: Arc<Consumers>,
    roles: Arc<[Box<str>]>,
}

impl Maker {
    /// Makes identities whose roles are in these claims, and in `roles` and `role` where there is
    /// none.
    pub fn new(vouched: &Arc<Vouched>, consumers: &Arc<Consumers>, roles: &[String]) -> Self {
        let named = roles.iter().map(|name| name.as_str().into());
        let roles = match roles.is_empty() {
            true => ROLES.map(Box::from).into(),
            false => named.collect(),
        };
        Maker { vouched: Arc::clone(vouched), consumers: Arc::clone(consumers), roles }
    }

    /// The consumers.
    pub fn consumers(&self) -> &Consumers {
        &self.consumers
    }

    /// The identity that claims tell of, and the consumer that they belong to.
    pub fn of_claims(
        &self,
        way: Way,
        claims: Arc<Map<String, Value>>,
        expires: Option<SystemTime>,
    ) -> Arc<Identity> {
        let consumer = self.consumers.of_claims(&claims).cloned();
        self.make(way, claims, consumer, expires)
    }

    /// The identity of a consumer whose credential has no claims. `subject` is what it is called.
    pub fn of_consumer(&self, way: Way, subject: &str, consumer: Arc<Consumer>) -> Arc<Identity> {
        let claims = Map::from_iter([("sub".to_owned(), Value::from(subject))]);
        self.make(way, Arc::new(claims), Some(consumer), None)
    }

    /// An identity.
    pub fn make(
        &self,
        way: Way,
        claims: Arc<Map<String, Value>>,
        consumer: Option<Arc<Consumer>>,
        expires: Option<SystemTime>,
    ) -> Arc<Identity> {
        let scopes = ["scope", "scp"].iter().filter_map(|name| claims.get(*name));
        let scopes = scopes.flat_map(|claim| words(claim, true)).collect();
        let mut identity = Identity { scopes, consumer, expires, ..Identity::new(way, claims) };
        let claims = self.roles.iter().filter_map(|name| identity.claim(name));
        let mut roles: Vec<Box<str>> = claims.flat_map(|claim| words(claim, false)).collect();
        for role in identity.consumer.iter().flat_map(|consumer| &consumer.roles) {
            if !roles.contains(role) {
                roles.push(role.clone());
            }
        }
        identity.roles = roles;
        identity.vouched = self.vouched.of_identity(&identity);
        Arc::new(identity)
    }
}

/// The words of a claim: a list of texts, or a text, which has several words where it is parted by
/// spaces (RFC 6749 §3.3).
fn words(claim: &Value, is_parted: bool) -> Vec<Box<str>> {
    match claim {
        Value::String(text) if is_parted => {
            text.split(' ').filter(|word| !word.is_empty()).map(Box::from).collect()
        }
        Value::String(text) => vec![text.as_str().into()],
        Value::Array(elements) => {
            elements.iter().filter_map(Value::as_str).map(Box::from).collect()
        }
        _ => Vec::new(),
    }
}
