//! Rules in the order in which they are tried, for people to look at. The search itself never
//! walks this list.

use super::{HostPattern, PathPattern, Rule};
use std::cmp::Reverse;

/// One host and one path of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The rule's position.
    pub rule: usize,
    /// One of its hosts; none serves any.
    pub host: Option<&'a HostPattern>,
    /// One of its paths; none serves any.
    pub path: Option<&'a PathPattern>,
}

/// Lists every host and path of the rules, the most specific first.
pub fn in_order(rules: &[Rule]) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        for host in or_any(&rule.hosts) {
            let paths = or_any(&rule.paths);
            lines.extend(paths.into_iter().map(|path| Line { rule: number, host, path }));
        }
    }
    lines.sort_by_cached_key(|line| {
        let Rule { methods, headers, query, .. } = &rules[line.rule];
        let by_method = (methods.is_empty(), Reverse(headers.len()), Reverse(query.len()));
        (host_rank(line.host), path_rank(line.path), by_method, line.rule)
    });
    lines
}

/// Each of several, or none where none is listed, which means any.
fn or_any<T>(listed: &[T]) -> Vec<Option<&T>> {
    match listed {
        [] => vec![None],
        listed => listed.iter().map(Some).collect(),
    }
}

/// The less, the earlier; names of one rank stand together.
fn host_rank(host: Option<&HostPattern>) -> (u8, Reverse<usize>, &str) {
    match host {
        Some(HostPattern::Exact(name)) => (0, Reverse(0), name),
        Some(HostPattern::Below(name)) => (1, Reverse(name.len()), name),
        None => (2, Reverse(0), ""),
    }
}

type PathRank<'a> = (u8, Reverse<usize>, Vec<bool>, &'a str);

fn path_rank(path: Option<&PathPattern>) -> PathRank<'_> {
    match path {
        Some(PathPattern::Exact(path)) => (0, Reverse(0), Vec::new(), path),
        Some(PathPattern::Template(template)) => {
            let placeholders: Vec<bool> = template.placeholders().collect();
            let literals = placeholders.iter().filter(|placeholder| !**placeholder).count();
            (1, Reverse(literals), placeholders, "")
        }
        Some(PathPattern::Prefix(path)) => (2, Reverse(path.len()), Vec::new(), path),
        Some(PathPattern::Regex(_)) => (3, Reverse(0), Vec::new(), ""),
        None => (4, Reverse(0), Vec::new(), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::PathRules;

    #[test]
    fn the_most_specific_stands_first() {
        let rules = PathRules::default();
        let rule = |hosts: &[&str], path: Option<PathPattern>, methods: usize| Rule {
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            paths: path.into_iter().collect(),
            methods: [http::Method::GET].into_iter().take(methods).collect(),
            ..Rule::default()
        };
        let all = [
            rule(&[], None, 0),
            rule(&[], Some(PathPattern::Regex("/[a-z]+".parse().unwrap())), 0),
            rule(&[], Some(PathPattern::prefix("/a", rules).unwrap()), 0),
            rule(&[], Some(PathPattern::prefix("/a/b", rules).unwrap()), 0),
            rule(&[], Some(PathPattern::template("/{x}/b", rules).unwrap()), 0),
            rule(&[], Some(PathPattern::template("/a/{x}", rules).unwrap()), 0),
            rule(&[], Some(PathPattern::exact("/a", rules).unwrap()), 0),
            rule(&[], Some(PathPattern::exact("/a", rules).unwrap()), 1),
            rule(&["*.example.com"], None, 0),
            rule(&["*.eu.example.com", "a.example.com"], None, 0),
        ];
        let order: Vec<usize> = in_order(&all).iter().map(|line| line.rule).collect();
        assert_eq!(order, [9, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    }
}
