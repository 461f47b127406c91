//! Which rule a request falls under. Compiled once per configuration; finding a rule does no I/O,
//! allocates nothing for what requests usually are, and costs the same whatever the number of
//! rules: lookups by host and path, then the few rules that share both.
//!
//! Precedence: an exact host, the longest wildcard, no host; then an exact path, a template (more
//! literal segments first, then the one whose first difference is a literal), the longest prefix,
//! regular expressions in the order of the file, any path; then a rule that lists the method
//! before one that lists none, then more header conditions, then more query conditions. All
//! conditions must hold, so a place without a fitting rule passes the search on to less specific
//! ones, and only where everything but the method fitted is the method to blame (405).
//!
//! The path is compared byte by byte: it arrives normalised, and patterns are brought to the same
//! form. `HEAD` is not implied by `GET`.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::ops::ControlFlow::{self, Break, Continue};

mod condition;
mod conflict;
mod host;
mod hosts;
mod order;
mod path;
mod place;
mod table;
mod template;

pub use condition::{Condition, Test};
pub use conflict::Conflict;
pub use host::{Host, HostPattern};
pub use order::{Line, in_order};
pub use path::PathPattern;
pub use template::Template;

use hosts::Hosts;
use place::{Candidate, Place};
use table::Table;

/// The conditions under which a rule applies. An empty list means any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// The hosts that the rule serves.
    pub hosts: Vec<HostPattern>,
    /// The paths that the rule serves.
    pub paths: Vec<PathPattern>,
    /// The methods that the rule serves.
    pub methods: Vec<Method>,
    /// What must be true of header fields.
    pub headers: Vec<Condition<HeaderName>>,
    /// What must be true of query parameters.
    pub query: Vec<Condition<String>>,
}

/// What of a request the search reads.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The host that it names.
    pub host: Host<'a>,
    /// Its path, normalised and without the query.
    pub path: &'a str,
    /// Its method.
    pub method: &'a Method,
    /// Its fields; where there are none, header conditions are taken to hold. A CORS preflight
    /// asks so: it stands for a request whose fields it does not have.
    pub headers: Option<&'a HeaderMap>,
    /// Its query.
    pub query: Option<&'a str>,
}

/// What the search for a rule came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The rule that applies.
    Found {
        /// Its position.
        rule: usize,
        /// The position of the path that fits, among those of the rule.
        path: usize,
    },
    /// Some rule fits but for its methods: the value of `Allow`.
    MethodNotAllowed(HeaderValue),
    /// No rule fits.
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
    /// Returns every pair of rules of which nothing could say which one applies, and every rule
    /// that could never apply.
    pub fn compile(rules: &[Rule]) -> Result<Matcher, Vec<Conflict>> {
        let mut matcher = Matcher::default();
        for (position, rule) in rules.iter().enumerate() {
            let candidate = Candidate::new(position, rule);
            if rule.hosts.is_empty() {
                matcher.any_host.add(&candidate, &rule.paths);
            }
            for host in &rule.hosts {
                matcher.hosts.entry(host).add(&candidate, &rule.paths);
            }
        }
        let conflicts = conflict::find(rules, &matcher);
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        matcher.hosts.settle(Table::settle);
        matcher.any_host.settle();
        Ok(matcher)
    }

    /// Finds the rule for a request.
    pub fn find(&self, asked: &Asked<'_>) -> Outcome {
        let mut fits_but_method = false;
        let found = self.places(asked, |place| {
            for candidate in place.candidates() {
                let fits = candidate.lists(asked.method);
                if (fits || !fits_but_method) && candidate.holds(asked) {
                    if fits {
                        return Break(Outcome::Found {
                            rule: candidate.rule(),
                            path: candidate.path(),
                        });
                    }
                    fits_but_method = true;
                }
            }
            Continue(())
        });
        match found {
            Break(found) => found,
            Continue(()) if fits_but_method => Outcome::MethodNotAllowed(self.allow(asked)),
            Continue(()) => Outcome::NotFound,
        }
    }

    /// Unites the methods of every rule that fits. It is worth its allocation only once the search
    /// has failed.
    #[cold]
    fn allow(&self, asked: &Asked<'_>) -> HeaderValue {
        let mut methods = Vec::new();
        let _ = self.places(asked, |place| {
            let fitting = place.candidates().iter().filter(|candidate| candidate.holds(asked));
            methods.extend(fitting.flat_map(Candidate::methods).cloned());
            Continue::<()>(())
        });
        let mut methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
        methods.sort_unstable();
        methods.dedup();
        HeaderValue::try_from(methods.join(", ")).expect("a method is a token (RFC 9110 §9.1)")
    }

    /// Walks what fits host and path, most specific first, until `visit` breaks.
    fn places<'a, B>(
        &'a self,
        asked: &Asked<'_>,
        mut visit: impl FnMut(&'a Place) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.hosts.each(asked.host, |table| table.each(asked.path, &mut visit))?;
        self.any_host.each(asked.path, &mut visit)
    }

    /// Walks the tables of all hosts.
    fn tables(&self) -> impl Iterator<Item = &Table> {
        self.hosts.iter().chain([&self.any_host])
    }
}

#[cfg(test)]
mod tests;
