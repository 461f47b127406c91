//! What is asked of a request and of who makes it.
//!
//! Where nobody knows who is asking, every condition about that is false, `present: false` too:
//! there is no token that the claim could be missing from. `not` of it is true.

use super::times::Times;
use crate::exchange::{Consumer, Identity};
use crate::telemetry::metrics::Way;
use crate::value::{Cidr, CidrSet, Scalar};
use serde_json::Value;
use std::fmt::{self, Display};
use std::net::IpAddr;
use std::time::SystemTime;

/// What conditions are held against.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who is asking, if anybody found out.
    pub identity: Option<&'a Identity>,
    /// What is to be done.
    pub method: &'a http::Method,
    /// The client's address, as far as trusted proxies vouch for it.
    pub client: IpAddr,
    /// When it is asked.
    pub time: SystemTime,
}

/// A condition. All texts are compared byte by byte.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Who is asking has a role.
    Role(Box<str>),
    /// Who is asking was granted a scope.
    Scope(Box<str>),
    /// The consumer has a tier.
    Tier(Box<str>),
    /// The consumer has a name.
    Consumer(Box<str>),
    /// The consumer has a tag.
    Tag(Box<str>),
    /// It was found out in this way who is asking.
    Way(Way),
    /// The request has a method.
    Method(http::Method),
    /// The client's address lies in a network: as it was written, and as it is looked up.
    Network(Cidr, CidrSet),
    /// A claim passes a test.
    Claim(Box<str>, Test),
    /// It is a time of the week.
    Times(Times),
    /// Each of them holds.
    All(Vec<Condition>),
    /// At least one of them holds.
    Any(Vec<Condition>),
    /// None of them holds.
    Not(Vec<Condition>),
}

/// What is asked of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It is there. `null` says nothing, so it is not.
    Present,
    /// It is not there.
    Absent,
    /// It is a value.
    Equals(Scalar),
    /// It is a list that has a value, or is the value.
    Contains(Scalar),
    /// It contains at least one of these.
    ContainsAny(Vec<Scalar>),
    /// It contains each of these.
    ContainsAll(Vec<Scalar>),
}

impl Condition {
    /// Whether the condition holds.
    pub fn holds(&self, asked: &Asked<'_>) -> bool {
        let identity = asked.identity;
        let of_identity = |test: &dyn Fn(&Identity) -> bool| identity.is_some_and(test);
        let of_consumer = |test: &dyn Fn(&Consumer) -> bool| {
            identity.and_then(|identity| identity.consumer.as_deref()).is_some_and(test)
        };
        match self {
            Condition::Role(role) => of_identity(&|identity| identity.roles.contains(role)),
            Condition::Scope(scope) => of_identity(&|identity| identity.scopes.contains(scope)),
            Condition::Tier(tier) => of_consumer(&|consumer| consumer.tier.as_ref() == Some(tier)),
            Condition::Consumer(name) => of_consumer(&|consumer| consumer.name == *name),
            Condition::Tag(tag) => of_consumer(&|consumer| consumer.tags.contains(tag)),
            Condition::Way(way) => of_identity(&|identity| identity.way == *way),
            Condition::Claim(name, test) => {
                of_identity(&|identity| test.passes(identity.claim(name)))
            }
            Condition::Method(method) => asked.method == method,
            Condition::Network(_, network) => network.contains(asked.client),
            Condition::Times(times) => times.hold(asked.time),
            Condition::All(conditions) => conditions.iter().all(|one| one.holds(asked)),
            Condition::Any(conditions) => conditions.iter().any(|one| one.holds(asked)),
            Condition::Not(conditions) => !conditions.iter().any(|one| one.holds(asked)),
        }
    }

    /// Whether it says something about who is asking, here or further inside.
    pub fn needs_identity(&self) -> bool {
        match self {
            Condition::Role(_)
            | Condition::Scope(_)
            | Condition::Tier(_)
            | Condition::Consumer(_)
            | Condition::Tag(_)
            | Condition::Way(_)
            | Condition::Claim(..) => true,
            Condition::Method(_) | Condition::Network(..) | Condition::Times(_) => false,
            Condition::All(inner) | Condition::Any(inner) | Condition::Not(inner) => {
                inner.iter().any(Condition::needs_identity)
            }
        }
    }
}

impl Test {
    /// Whether a claim passes; `None` is a claim that is not there.
    fn passes(&self, claim: Option<&Value>) -> bool {
        let Some(claim) = claim.filter(|claim| !claim.is_null()) else {
            return matches!(self, Test::Absent);
        };
        match self {
            Test::Present => true,
            Test::Absent => false,
            Test::Equals(value) => value.equals(claim),
            Test::Contains(value) => contains(claim, value),
            Test::ContainsAny(values) => values.iter().any(|value| contains(claim, value)),
            Test::ContainsAll(values) => values.iter().all(|value| contains(claim, value)),
        }
    }
}

/// A part of a text does not count, since `admin` is a part of `not-an-admin`.
fn contains(claim: &Value, value: &Scalar) -> bool {
    match claim {
        Value::Array(items) => items.iter().any(|item| value.equals(item)),
        single => value.equals(single),
    }
}

/// As it would be written.
impl Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Role(role) => write!(f, "role:{role}"),
            Condition::Scope(scope) => write!(f, "scope:{scope}"),
            Condition::Tier(tier) => write!(f, "tier:{tier}"),
            Condition::Consumer(name) => write!(f, "consumer:{name}"),
            Condition::Tag(tag) => write!(f, "tag:{tag}"),
            Condition::Way(way) => write!(f, "way:{}", way.name()),
            Condition::Method(method) => write!(f, "method:{method}"),
            Condition::Network(network, _) => write!(f, "network:{network}"),
            Condition::Claim(name, test) => write!(f, "{{claim: {name}, {test}}}"),
            Condition::Times(times) => write!(f, "{{times: {times}}}"),
            Condition::All(inner) => write!(f, "{{all: {}}}", List(inner)),
            Condition::Any(inner) => write!(f, "{{any: {}}}", List(inner)),
            Condition::Not(inner) => write!(f, "{{not: {}}}", List(inner)),
        }
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Present => f.write_str("present: true"),
            Test::Absent => f.write_str("present: false"),
            Test::Equals(value) => write!(f, "equals: {value}"),
            Test::Contains(value) => write!(f, "contains: {value}"),
            Test::ContainsAny(values) => write!(f, "any: {}", List(values)),
            Test::ContainsAll(values) => write!(f, "all: {}", List(values)),
        }
    }
}

/// A list, as it would be written.
pub(super) struct List<'a, T>(pub(super) &'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if at == 0 { "[" } else { ", " })?;
        }
        f.write_str("]")
    }
}
