//! Rules that are at odds: pairs of which nothing says which one applies, and rules that can never
//! apply. Both are almost always a slip, so a configuration that has any is refused.
//!
//! What is compared is what was written: of a regular expression only that it equals another, or
//! that a value written elsewhere matches it.

use std::collections::{BTreeMap, BTreeSet};

use super::place::Candidate;
use super::{Condition, Matcher, Rule};

/// Two rules, by position, that are at odds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Conflict {
    /// One request could fall under both, and they are equally specific: the order of a file does
    /// not decide.
    #[error("rules {first} and {second} match the same requests")]
    Tie {
        /// The rule that stands first.
        first: usize,
        /// The rule that stands second.
        second: usize,
    },
    /// All requests that fall under a rule fall under another one that comes before it.
    #[error("rule {rule} never applies: rule {by} matches all that it matches")]
    Unreachable {
        /// The rule that never applies.
        rule: usize,
        /// One of those that apply in its place.
        by: usize,
    },
}

/// Finds every conflict, or very many, in the order of the rules that stand second.
pub(super) fn find(rules: &[Rule], matcher: &Matcher) -> Vec<Conflict> {
    let mut conflicts = ties(rules, matcher);
    conflicts.extend(unreachable(rules, matcher));
    let key = |conflict: &Conflict| match *conflict {
        Conflict::Tie { first, second } => (second, first),
        Conflict::Unreachable { rule, by } => (rule, by),
    };
    conflicts.sort_unstable_by_key(key);
    conflicts
}

/// How many ties are looked for: rules that are all alike have half their number squared.
const ENOUGH: usize = 1_000;

fn ties(rules: &[Rule], matcher: &Matcher) -> Vec<Conflict> {
    let mut ties = BTreeSet::new();
    for place in matcher.tables().flat_map(|table| table.places()) {
        // Those of one rank stand together.
        for equals in place.candidates().chunk_by(|a, b| a.rank() == b.rank()) {
            for (at, one) in equals.iter().enumerate() {
                if ties.len() >= ENOUGH {
                    return ties.into_iter().collect();
                }
                for other in &equals[at + 1..] {
                    let (first, second) = (one.rule(), other.rule());
                    if overlap(&rules[first], &rules[second]) {
                        let (first, second) = (first.min(second), first.max(second));
                        ties.insert(Conflict::Tie { first, second });
                    }
                }
            }
        }
    }
    ties.into_iter().collect()
}

/// Whether one request could fall under two rules that share a place and a rank.
fn overlap(a: &Rule, b: &Rule) -> bool {
    let methods = a.methods.is_empty() || a.methods.iter().any(|method| b.methods.contains(method));
    methods && !exclude(&a.headers, &b.headers) && !exclude(&a.query, &b.query)
}

fn exclude<N: PartialEq>(a: &[Condition<N>], b: &[Condition<N>]) -> bool {
    a.iter().any(|one| {
        let mut same_name = b.iter().filter(|other| other.name == one.name);
        same_name.any(|other| one.test.excludes(&other.test))
    })
}

/// Finds the rules that are covered at each of their places.
///
/// What comes before is nearly always narrower, so there are few ways to be covered. At the same
/// place the rule that comes before has as many conditions, and if they are not narrower, it is a
/// tie. At another place of the same host it is the prefix `/`, which has every path that regular
/// expressions and rules without a path could have.
fn unreachable(rules: &[Rule], matcher: &Matcher) -> Vec<Conflict> {
    let mut places = vec![0_usize; rules.len()];
    let mut covered: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for table in matcher.tables() {
        for candidate in table.places().flat_map(|place| place.candidates()) {
            places[candidate.rule()] += 1;
        }
        let above = table.root().map_or(&[][..], |place| place.candidates());
        for candidate in table.below_root().flat_map(|place| place.candidates()) {
            let rule = candidate.rule();
            let covers =
                |one: &&Candidate| one.rule() != rule && covers(&rules[one.rule()], &rules[rule]);
            if let Some(by) = above.iter().find(covers) {
                // Tables come in no order, and a message should be the same each time.
                let (first, count) = covered.entry(rule).or_insert((by.rule(), 0));
                *first = by.rule().min(*first);
                *count += 1;
            }
        }
    }
    let covered = covered.into_iter().filter(|(rule, (_, count))| places[*rule] == *count);
    covered.map(|(rule, (by, _))| Conflict::Unreachable { rule, by }).collect()
}

/// Whether a rule has every request that another one of the same host has, paths aside.
fn covers(wide: &Rule, narrow: &Rule) -> bool {
    let methods = wide.methods.is_empty()
        || !narrow.methods.is_empty()
            && narrow.methods.iter().all(|method| wide.methods.contains(method));
    methods && implied(&wide.headers, &narrow.headers) && implied(&wide.query, &narrow.query)
}

fn implied<N: PartialEq>(wide: &[Condition<N>], narrow: &[Condition<N>]) -> bool {
    wide.iter().all(|wide| {
        let mut same_name = narrow.iter().filter(|narrow| narrow.name == wide.name);
        same_name.any(|narrow| narrow.test.implies(&wide.test))
    })
}
