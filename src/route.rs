//! Which rule a request falls under. Compiled once per configuration; finding a rule reads three
//! words of the request (host, path, method), does no I/O and allocates nothing.
//!
//! Precedence: an exact host before rules that name no host; then an exact path, the longest
//! prefix, any path; then a rule that lists the method before one that lists none. All conditions
//! must hold, so a place without a fitting method passes the search on to less specific ones, and
//! only when nothing is left is the method to blame (405).
//!
//! The path is compared byte by byte: it arrives normalised, and rules are written that way.
//! `HEAD` is not implied by `GET`.
//!
//! Where more conditions go: wildcard hosts between the two lookups of `Matcher::tables`;
//! templates between exact paths and prefixes, and regexes after prefixes, in `Table::places`;
//! header and query conditions as further columns of `Place`, which is where rules that share a
//! host and a path are told apart.

use http::{HeaderValue, Method};

mod host;
mod path;
mod table;

pub use host::HostPattern;
pub use path::PathPattern;

use host::Hosts;
use table::{Place, Table};

/// The conditions under which a rule applies. An empty list means any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The hosts that the rule serves.
    pub hosts: Vec<HostPattern>,
    /// The paths that the rule serves.
    pub path: PathPattern,
    /// The methods that the rule serves.
    pub methods: Vec<Method>,
}

/// Two rules, by position, that match the same requests: the order of a file does not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("rules {first} and {second} match the same host, path and method")]
pub struct Tie {
    /// The rule that stands first.
    pub first: usize,
    /// The rule that stands second.
    pub second: usize,
}

/// What the search for a rule came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The position of the rule that applies.
    Found(usize),
    /// Host and path fit somewhere and only the method did not: the value of `Allow`.
    MethodNotAllowed(HeaderValue),
    /// No rule fits host and path.
    NotFound,
}

/// Rules, arranged for lookup.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    hosts: Hosts<Table>,
    any_host: Table,
}

impl Matcher {
    /// Arranges the rules; their positions are what `find` returns.
    ///
    /// # Errors
    ///
    /// Refuses two rules with the same host and path whose methods overlap.
    pub fn compile(rules: &[Rule]) -> Result<Matcher, Tie> {
        let mut matcher = Matcher::default();
        for (position, rule) in rules.iter().enumerate() {
            if rule.hosts.is_empty() {
                matcher.any_host.add(position, rule)?;
            }
            for host in &rule.hosts {
                matcher.hosts.entry(host).add(position, rule)?;
            }
        }
        Ok(matcher)
    }

    /// Finds the rule for a request. `host` is the raw `Host` or `:authority` value: a port, one
    /// trailing dot and case are ignored. `path` is normalised and has no query.
    pub fn find(&self, host: &str, path: &str, method: &Method) -> Outcome {
        let mut fits_but_method = false;
        for place in self.places(host, path) {
            if let Some(rule) = place.rule(method) {
                return Outcome::Found(rule);
            }
            fits_but_method = true;
        }
        if fits_but_method {
            return Outcome::MethodNotAllowed(self.allow(host, path));
        }
        Outcome::NotFound
    }

    /// Unites the methods of every place that fits host and path. It is worth its allocation only
    /// once the search has failed.
    #[cold]
    fn allow(&self, host: &str, path: &str) -> HeaderValue {
        let mut methods: Vec<&str> =
            self.places(host, path).flat_map(Place::methods).map(Method::as_str).collect();
        methods.sort_unstable();
        methods.dedup();
        HeaderValue::try_from(methods.join(", ")).expect("a method is a token (RFC 9110 §9.1)")
    }

    /// Walks what fits host and path, most specific first.
    fn places<'a>(&'a self, host: &str, path: &'a str) -> impl Iterator<Item = &'a Place> {
        self.tables(host).flat_map(move |table| table.places(path))
    }

    /// Walks the tables that serve the host, most specific first.
    fn tables(&self, host: &str) -> impl Iterator<Item = &Table> + use<'_> {
        self.hosts.get(host).into_iter().chain([&self.any_host])
    }
}

#[cfg(test)]
mod tests;
