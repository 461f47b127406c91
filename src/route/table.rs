//! The rules of one host, arranged by path.

use std::collections::HashMap;

use http::Method;

use super::{PathPattern, Rule, Tie};

/// Paths to places. The maps keep std's SipHash: keys come from the configuration, so no client
/// can make them collide and a faster hash would be safe, but a request makes a handful of short
/// lookups and a dependency for their nanoseconds has yet to show in a measurement.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    exact: HashMap<Box<str>, Place>,
    /// Without their trailing slash, so `/` is the empty text.
    prefixes: HashMap<Box<str>, Place>,
    /// The distinct lengths of the prefixes, longest first. Only these are looked up, so that a
    /// path of a thousand slashes costs no more lookups than the configuration has lengths.
    lengths: Vec<usize>,
    any: Option<Place>,
}

impl Table {
    /// Adds a rule under its path.
    pub(super) fn add(&mut self, position: usize, rule: &Rule) -> Result<(), Tie> {
        let place = match &rule.path {
            PathPattern::Any => self.any.get_or_insert_default(),
            PathPattern::Exact(path) => self.exact.entry(path.as_str().into()).or_default(),
            PathPattern::Prefix(path) => {
                let path = path.trim_end_matches('/');
                if let Err(at) = self.lengths.binary_search_by(|length| path.len().cmp(length)) {
                    self.lengths.insert(at, path.len());
                }
                self.prefixes.entry(path.into()).or_default()
            }
        };
        place.add(position, &rule.methods)
    }

    /// Walks what fits the path, most specific first.
    pub(super) fn places<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Place> {
        let exact = self.exact.get(path);
        let prefixes = self.lengths.iter().filter_map(|length| {
            // `/` cannot be part of a longer character, so the slice below starts and ends well.
            let whole_segments = match path.as_bytes().get(*length) {
                Some(next) => *next == b'/' || *length == 0,
                None => *length == path.len(),
            };
            if whole_segments { self.prefixes.get(&path[..*length]) } else { None }
        });
        exact.into_iter().chain(prefixes).chain(&self.any)
    }
}

/// The rules that share a host and a path, told apart by method.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// Each method at most once. A list, since few methods are quicker compared than hashed.
    by_method: Vec<(Method, usize)>,
    any_method: Option<usize>,
}

impl Place {
    fn add(&mut self, position: usize, methods: &[Method]) -> Result<(), Tie> {
        if methods.is_empty() {
            return match self.any_method.replace(position) {
                Some(first) if first != position => Err(Tie { first, second: position }),
                _ => Ok(()),
            };
        }
        for method in methods {
            match self.listed(method) {
                Some(first) if first != position => {
                    return Err(Tie { first, second: position });
                }
                // A rule may name a host or a method twice without being at odds with itself.
                Some(_) => {}
                None => self.by_method.push((method.clone(), position)),
            }
        }
        Ok(())
    }

    /// Returns the rule for a method: one that lists it before one that lists none.
    pub(super) fn rule(&self, method: &Method) -> Option<usize> {
        self.listed(method).or(self.any_method)
    }

    /// Walks the methods that are listed here.
    pub(super) fn methods(&self) -> impl Iterator<Item = &Method> {
        self.by_method.iter().map(|(method, _)| method)
    }

    fn listed(&self, method: &Method) -> Option<usize> {
        self.by_method.iter().find(|(listed, _)| listed == method).map(|(_, rule)| *rule)
    }
}
