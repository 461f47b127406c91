//! The rules that share a host and a path, told apart by method and conditions.

use std::sync::Arc;

use http::{HeaderName, Method};

use super::{Asked, Condition, Rule};

/// The rules that share a host and a path.
#[derive(Debug, Clone, Default)]
pub(super) struct Place(Vec<Candidate>);

/// One rule at one place. What it asks beyond the method is shared between its places.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    rule: u32,
    path: u16,
    /// One bit for each method that has a name in RFC 9110 and RFC 5789.
    standard: u16,
    others: Option<Arc<[Method]>>,
    conditions: Option<Arc<Conditions>>,
}

#[derive(Debug)]
struct Conditions {
    headers: Box<[Condition<HeaderName>]>,
    query: Box<[Condition<String>]>,
}

/// How specific a rule is among those at its place: the greater comes first.
pub(super) type Rank = (bool, usize, usize);

/// The methods that have a bit.
const STANDARD: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

fn bit(method: &Method) -> u16 {
    let position = STANDARD.iter().position(|standard| standard == method);
    position.map_or(0, |position| 1 << position)
}

impl Place {
    /// Adds a rule, at its rank. A rule that names its host or path twice stands here once.
    pub(super) fn add(&mut self, candidate: Candidate) {
        if self.0.iter().any(|known| known.rule == candidate.rule) {
            return;
        }
        let at = self.0.partition_point(|known| known.rank() >= candidate.rank());
        self.0.insert(at, candidate);
    }

    /// Returns the rules, the most specific first.
    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.0
    }

    /// Gives back memory that nothing will need any more.
    pub(super) fn settle(&mut self) {
        self.0.shrink_to_fit();
    }
}

impl Candidate {
    /// A rule, as yet at no place.
    pub(super) fn new(position: usize, rule: &Rule) -> Self {
        let others: Vec<Method> =
            rule.methods.iter().filter(|method| bit(method) == 0).cloned().collect();
        let conditions = Conditions {
            headers: rule.headers.as_slice().into(),
            query: rule.query.as_slice().into(),
        };
        let has_conditions = !(rule.headers.is_empty() && rule.query.is_empty());
        Candidate {
            rule: u32::try_from(position).expect("a document has fewer routes than 2^32"),
            path: 0,
            standard: rule.methods.iter().fold(0, |bits, method| bits | bit(method)),
            others: (!others.is_empty()).then(|| others.into()),
            conditions: has_conditions.then(|| conditions.into()),
        }
    }

    /// The same rule for one of its paths.
    pub(super) fn at(&self, path: usize) -> Self {
        let path = u16::try_from(path).expect("a route has fewer paths than 2^16");
        Candidate { path, ..self.clone() }
    }

    pub(super) fn rule(&self) -> usize {
        self.rule as usize
    }

    pub(super) fn path(&self) -> usize {
        usize::from(self.path)
    }

    pub(super) fn rank(&self) -> Rank {
        let conditions = self.conditions.as_ref();
        let counts = conditions.map(|all| (all.headers.len(), all.query.len()));
        let (headers, query) = counts.unwrap_or_default();
        (self.lists_methods(), headers, query)
    }

    /// Whether the rule serves a method: one that it lists, or any.
    pub(super) fn lists(&self, method: &Method) -> bool {
        if !self.lists_methods() {
            return true;
        }
        match bit(method) {
            0 => self.others.as_ref().is_some_and(|others| others.contains(method)),
            bit => self.standard & bit != 0,
        }
    }

    /// Walks the methods that the rule lists.
    pub(super) fn methods(&self) -> impl Iterator<Item = &Method> {
        let standard = STANDARD.iter().filter(|method| self.standard & bit(method) != 0);
        standard.chain(self.others.iter().flat_map(|others| others.iter()))
    }

    /// Whether what the rule asks beyond the method is true of a request.
    pub(super) fn holds(&self, asked: &Asked<'_>) -> bool {
        let Some(conditions) = &self.conditions else {
            return true;
        };
        let headers = asked.headers.is_none_or(|fields| {
            conditions.headers.iter().all(|condition| condition.holds_in(fields))
        });
        headers && conditions.query.iter().all(|condition| condition.holds_in(asked.query))
    }

    fn lists_methods(&self) -> bool {
        self.standard != 0 || self.others.is_some()
    }
}
