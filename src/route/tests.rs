use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Makes a rule from words: hosts and methods apart by spaces, a path whose `*` at the end means
/// prefix and which is any when empty.
fn rule(hosts: &str, path: &str, methods: &str) -> Rule {
    Rule {
        hosts: hosts.split_whitespace().map(|host| host.parse().unwrap()).collect(),
        path: match path.strip_suffix('*') {
            _ if path.is_empty() => PathPattern::Any,
            Some(prefix) => PathPattern::Prefix(prefix.to_owned()),
            None => PathPattern::Exact(path.to_owned()),
        },
        methods: methods.split_whitespace().map(|method| method.parse().unwrap()).collect(),
    }
}

fn find(rules: &[Rule], host: &str, path: &str, method: &str) -> Outcome {
    Matcher::compile(rules).unwrap().find(host, path, &method.parse().unwrap())
}

fn not_allowed(allow: &'static str) -> Outcome {
    Outcome::MethodNotAllowed(HeaderValue::from_static(allow))
}

#[test]
fn prefix_holds_whole_segments() {
    let rules = [rule("", "/api/v1/users/*", "")];
    for path in ["/api/v1/users", "/api/v1/users/", "/api/v1/users/1"] {
        assert_eq!(find(&rules, "", path, "GET"), Outcome::Found(0), "{path}");
    }
    for path in ["/api/v1/users2", "/api/v1/user", "/api/v1", "", "*", "/api/v1/usersé"] {
        assert_eq!(find(&rules, "", path, "GET"), Outcome::NotFound, "{path}");
    }
}

#[test]
fn root_prefix_and_any_serve_every_path() {
    let rules = [rule("", "", ""), rule("", "/*", "GET")];
    for path in ["/", "/a/b", "*", "", "/é"] {
        assert_eq!(find(&rules, "", path, "GET"), Outcome::Found(1), "{path}");
        assert_eq!(find(&rules, "", path, "POST"), Outcome::Found(0), "{path}");
    }
}

#[test]
fn longer_paths_win() {
    let rules = [rule("", "/a*", ""), rule("", "/a/b*", ""), rule("", "/a/b/c", "")];
    assert_eq!(find(&rules, "", "/a/b/c", "GET"), Outcome::Found(2));
    assert_eq!(find(&rules, "", "/a/b/c/d", "GET"), Outcome::Found(1));
    assert_eq!(find(&rules, "", "/a/c", "GET"), Outcome::Found(0));
}

#[test]
fn exact_host_wins_over_a_longer_path_elsewhere() {
    let rules = [rule("", "/a/b", ""), rule("a.test", "/*", ""), rule("b.test", "/x", "")];
    assert_eq!(find(&rules, "A.test:443", "/a/b", "GET"), Outcome::Found(1));
    assert_eq!(find(&rules, "b.test", "/a/b", "GET"), Outcome::Found(0));
    assert_eq!(find(&rules, "c.test", "/x", "GET"), Outcome::NotFound);
}

#[test]
fn listed_method_wins_over_any_method() {
    let rules = [rule("", "/a", ""), rule("", "/a", "POST")];
    assert_eq!(find(&rules, "", "/a", "POST"), Outcome::Found(1));
    assert_eq!(find(&rules, "", "/a", "GET"), Outcome::Found(0));
}

#[test]
fn unfit_method_passes_on_to_less_specific_rules() {
    let rules =
        [rule("a.test", "/a/b", "POST"), rule("a.test", "/a*", "PUT"), rule("", "/*", "GET")];
    assert_eq!(find(&rules, "a.test", "/a/b", "PUT"), Outcome::Found(1));
    assert_eq!(find(&rules, "a.test", "/a/b", "GET"), Outcome::Found(2));
    assert_eq!(find(&rules, "a.test", "/a/b", "DELETE"), not_allowed("GET, POST, PUT"));
    assert_eq!(find(&rules, "b.test", "/a/b", "PUT"), not_allowed("GET"));
}

#[test]
fn head_is_not_implied_by_get() {
    assert_eq!(find(&[rule("", "/a", "GET")], "", "/a", "HEAD"), not_allowed("GET"));
}

#[test]
fn same_conditions_are_a_tie() {
    for (a, b) in [
        (rule("", "/a", ""), rule("", "/a", "")),
        (rule("", "", "GET"), rule("", "", "POST GET")),
        (rule("a.test b.test", "/a*", ""), rule("c.test b.test", "/a/*", "")),
    ] {
        let rules = [rule("", "/other", ""), a, b];
        assert_eq!(Matcher::compile(&rules).unwrap_err(), Tie { first: 1, second: 2 });
    }
}

#[test]
fn different_conditions_are_no_tie() {
    for (a, b) in [
        (rule("", "/a", "GET"), rule("", "/a", "POST")),
        (rule("", "/a", "GET"), rule("", "/a", "")),
        (rule("", "/*", ""), rule("", "", "")),
        (rule("", "/a", ""), rule("", "/a*", "")),
        (rule("", "/a", ""), rule("a.test", "/a", "")),
        (rule("a.test A.test.", "/a", "GET GET"), rule("b.test", "/a", "")),
    ] {
        assert!(Matcher::compile(&[a, b]).is_ok());
    }
}

#[test]
fn tie_says_which_rules() {
    let tie = Tie { first: 1, second: 4 };
    assert_eq!(tie.to_string(), "rules 1 and 4 match the same host, path and method");
}

/// Says how specific a rule's fit is, larger being better, or `None` when it does not fit. The
/// model of the matcher: one rule at a time, no tables.
fn fit(rule: &Rule, host: &str, path: &str) -> Option<(bool, usize, usize)> {
    let hosts: Vec<_> = rule.hosts.iter().map(ToString::to_string).collect();
    if !hosts.is_empty() && !hosts.iter().any(|known| known == host) {
        return None;
    }
    let (kind, length) = match &rule.path {
        PathPattern::Any => (0, 0),
        PathPattern::Exact(exact) if exact == path => (2, 0),
        PathPattern::Exact(_) => return None,
        PathPattern::Prefix(prefix) => {
            let prefix = prefix.trim_end_matches('/');
            let below = path.strip_prefix(prefix)?;
            if !(prefix.is_empty() || below.is_empty() || below.starts_with('/')) {
                return None;
            }
            (1, prefix.len())
        }
    };
    Some((!hosts.is_empty(), kind, length))
}

fn naive(rules: &[Rule], host: &str, path: &str, method: &Method) -> Outcome {
    let fitting = || {
        rules.iter().enumerate().filter_map(|(at, rule)| Some((fit(rule, host, path)?, at, rule)))
    };
    let best = fitting()
        .filter(|(_, _, rule)| rule.methods.is_empty() || rule.methods.contains(method))
        .max_by_key(|(fit, _, rule)| (*fit, !rule.methods.is_empty()));
    if let Some((_, at, _)) = best {
        return Outcome::Found(at);
    }
    let allow: BTreeSet<_> =
        fitting().flat_map(|(_, _, rule)| &rule.methods).map(Method::as_str).collect();
    if allow.is_empty() {
        return Outcome::NotFound;
    }
    let allow: Vec<_> = allow.into_iter().collect();
    Outcome::MethodNotAllowed(allow.join(", ").try_into().unwrap())
}

/// Tells whether two rules tie, by their definition.
fn ties(a: &Rule, b: &Rule) -> bool {
    let hosts = if a.hosts.is_empty() || b.hosts.is_empty() {
        a.hosts.is_empty() && b.hosts.is_empty()
    } else {
        a.hosts.iter().any(|host| b.hosts.contains(host))
    };
    let path = match (&a.path, &b.path) {
        (PathPattern::Prefix(a), PathPattern::Prefix(b)) => {
            a.trim_end_matches('/') == b.trim_end_matches('/')
        }
        (a, b) => a == b,
    };
    let methods = if a.methods.is_empty() || b.methods.is_empty() {
        a.methods.is_empty() && b.methods.is_empty()
    } else {
        a.methods.iter().any(|method| b.methods.contains(method))
    };
    hosts && path && methods
}

/// Few hosts, segments and methods, so that random rules meet random requests.
fn path() -> impl Strategy<Value = String> {
    ("(/(a|aa|b|é)){0,4}", "/?")
        .prop_map(|(path, slash)| if path.is_empty() { "/".to_owned() } else { path + &slash })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let hosts = prop::sample::subsequence(vec!["a.test", "b.test", "[::1]"], 0..=2);
    let path = (path(), 0..3).prop_map(|(path, kind)| match kind {
        0 => path,
        1 => path + "*",
        _ => String::new(),
    });
    let methods = prop::sample::subsequence(vec!["GET", "HEAD", "POST", "PURGE"], 0..=3);
    (hosts, path, methods)
        .prop_map(|(hosts, path, methods)| rule(&hosts.join(" "), &path, &methods.join(" ")))
}

fn request() -> impl Strategy<Value = (&'static str, String, Method)> {
    let host = prop::sample::select(vec!["a.test", "b.test", "c.test", "[::1]", ""]);
    let method = prop::sample::select(vec![Method::GET, Method::POST, Method::HEAD, Method::PUT]);
    (host, path(), method)
}

proptest! {
    #[test]
    fn matcher_agrees_with_the_model(
        rules in prop::collection::vec(any_rule(), 0..12),
        requests in prop::collection::vec(request(), 32),
    ) {
        // Rules that tie with an earlier one are left out: a model of precedence needs none.
        let mut kept: Vec<Rule> = Vec::new();
        for rule in rules {
            if !kept.iter().any(|earlier| ties(earlier, &rule)) {
                kept.push(rule);
            }
        }
        let matcher = Matcher::compile(&kept).unwrap();
        for (host, path, method) in &requests {
            let expected = naive(&kept, host, path, method);
            prop_assert_eq!(matcher.find(host, path, method), expected.clone());
            let shouted = format!("{}:8080", host.to_ascii_uppercase());
            prop_assert_eq!(matcher.find(&shouted, path, method), expected);
        }
    }

    #[test]
    fn compile_refuses_exactly_the_ties(rules in prop::collection::vec(any_rule(), 0..8)) {
        match Matcher::compile(&rules) {
            Err(Tie { first, second }) => {
                prop_assert!(first < second && ties(&rules[first], &rules[second]));
            }
            Ok(_) => for (at, rule) in rules.iter().enumerate() {
                prop_assert!(!rules[..at].iter().any(|earlier| ties(earlier, rule)));
            },
        }
    }
}
