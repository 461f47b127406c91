//! A naive model of the matcher: one rule at a time, no tables, over alphabets so small that
//! random rules meet random requests and that all requests can be gone through.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const HOSTS: [&str; 7] =
    ["a.test", "b.a.test", "c.b.a.test", "c.test", "test", "other.example", "[::1]"];
const METHODS: [&str; 4] = ["GET", "POST", "PURGE", "BREW"];
const VALUES: [Option<&str>; 4] = [None, Some("1"), Some("2"), Some("3")];
/// One more than any rule names, so that no rule has all by accident.
const SEGMENTS: [&str; 4] = ["a", "aa", "b", "other"];

/// A request, in the model's terms: fields and parameters are called `x` and `y`.
#[derive(Debug, Clone)]
struct Request {
    host: &'static str,
    path: String,
    method: &'static str,
    headers: [Option<&'static str>; 2],
    query: [Option<&'static str>; 2],
}

/// How specific a fit is: host, path, method, header and query conditions. Greater is better.
type Fit = ((usize, usize), PathFit, bool, usize, usize);
type PathFit = (usize, usize, Vec<bool>, std::cmp::Reverse<usize>);

fn host_fits(rule: &Rule, host: &str) -> Vec<(usize, usize)> {
    if rule.hosts.is_empty() {
        return vec![(0, 0)];
    }
    let fits = rule.hosts.iter().filter_map(|pattern| match pattern {
        HostPattern::Exact(name) => (**name == *host).then_some((2, 0)),
        HostPattern::Below(name) => host.ends_with(&format!(".{name}")).then_some((1, name.len())),
    });
    fits.collect()
}

fn host_fit(rule: &Rule, host: &str) -> Option<(usize, usize)> {
    host_fits(rule, host).into_iter().max()
}

fn path_fit(rule: &Rule, position: usize, path: &str) -> Option<PathFit> {
    use std::cmp::Reverse;
    if rule.paths.is_empty() {
        return Some((0, 0, Vec::new(), Reverse(0)));
    }
    let fits = rule.paths.iter().filter_map(|pattern| match pattern {
        PathPattern::Exact(exact) => (**exact == *path).then_some((4, 0, Vec::new(), Reverse(0))),
        PathPattern::Template(template) => {
            let pattern = template.to_string();
            let (pattern, path): (Vec<_>, Vec<_>) =
                (pattern.split('/').collect(), path.split('/').collect());
            let literals: Vec<bool> = pattern.iter().map(|one| !one.starts_with('{')).collect();
            let fits = pattern.len() == path.len()
                && pattern.iter().zip(&path).zip(&literals).all(|((pattern, segment), literal)| {
                    if *literal { pattern == segment } else { !segment.is_empty() }
                });
            let count = literals.iter().filter(|literal| **literal).count();
            fits.then_some((3, count, literals, Reverse(0)))
        }
        PathPattern::Prefix(prefix) => {
            let prefix = prefix.trim_end_matches('/');
            let below = path.strip_prefix(prefix)?;
            let whole = prefix.is_empty() || below.is_empty() || below.starts_with('/');
            whole.then_some((2, prefix.len(), Vec::new(), Reverse(0)))
        }
        // Equal expressions are one place, which is where the first of them stands.
        PathPattern::Regex(regex) => {
            regex.matches(path.as_bytes()).then_some((1, 0, Vec::new(), Reverse(position)))
        }
    });
    fits.max()
}

fn holds(test: &Test, value: Option<&str>) -> bool {
    match test {
        Test::Present => value.is_some(),
        Test::Absent => value.is_none(),
        Test::Equals(these) => value.is_some_and(|value| these.iter().any(|one| one == value)),
        Test::Matches(pattern) => value.is_some_and(|value| pattern.matches(value.as_bytes())),
    }
}

fn all_hold<'a>(
    mut conditions: impl Iterator<Item = (&'a str, &'a Test)>,
    values: &[Option<&str>; 2],
) -> bool {
    conditions.all(|(name, test)| holds(test, values[usize::from(name == "y")]))
}

fn headers(rule: &Rule) -> impl Iterator<Item = (&str, &Test)> {
    rule.headers.iter().map(|one| (one.name.as_str(), &one.test))
}

fn query(rule: &Rule) -> impl Iterator<Item = (&str, &Test)> {
    rule.query.iter().map(|one| (one.name.as_str(), &one.test))
}

/// Where the first rule stands that has the same expression for the same host pattern.
fn position(rules: &[Rule], at: usize, host: &str) -> usize {
    let Some(fit) = host_fit(&rules[at], host) else { return at };
    let same = |rule: &Rule| rule.paths == rules[at].paths && host_fits(rule, host).contains(&fit);
    rules.iter().position(same).unwrap_or(at)
}

fn fit(rules: &[Rule], at: usize, request: &Request) -> Option<Fit> {
    let rule = &rules[at];
    let fits = all_hold(headers(rule), &request.headers) && all_hold(query(rule), &request.query);
    fits.then_some((
        host_fit(rule, request.host)?,
        path_fit(rule, position(rules, at, request.host), &request.path)?,
        !rule.methods.is_empty(),
        rule.headers.len(),
        rule.query.len(),
    ))
}

fn allows(rule: &Rule, method: &str) -> bool {
    rule.methods.is_empty() || rule.methods.iter().any(|listed| listed == method)
}

fn naive(rules: &[Rule], request: &Request) -> Option<Result<usize, String>> {
    let fitting: Vec<(Fit, usize)> =
        (0..rules.len()).filter_map(|at| Some((fit(rules, at, request)?, at))).collect();
    let allowed = fitting.iter().filter(|(_, at)| allows(&rules[*at], request.method));
    if let Some((_, at)) = allowed.max() {
        return Some(Ok(*at));
    }
    let listed = fitting.iter().flat_map(|(_, at)| &rules[*at].methods);
    let allow: BTreeSet<&str> = listed.map(Method::as_str).collect();
    let allow: Vec<&str> = allow.into_iter().collect();
    (!allow.is_empty()).then(|| Err(allow.join(", ")))
}

/// What the matcher finds, in the same terms.
fn found(matcher: &Matcher, request: &Request) -> Option<Result<usize, String>> {
    let mut fields = HeaderMap::new();
    let mut query = String::new();
    for (name, (header, parameter)) in
        ["x", "y"].into_iter().zip(request.headers.iter().zip(&request.query))
    {
        if let Some(value) = header {
            fields.insert(name, HeaderValue::from_static(value));
        }
        if let Some(value) = parameter {
            query += &format!("&{name}={value}");
        }
    }
    let outcome = matcher.find(&Asked {
        host: Host::parse(request.host.as_bytes()).unwrap(),
        path: &request.path,
        method: &request.method.parse().unwrap(),
        headers: Some(&fields),
        query: Some(&query),
    });
    match outcome {
        Outcome::Found { rule, .. } => Some(Ok(rule)),
        Outcome::MethodNotAllowed(allow) => Some(Err(allow.to_str().unwrap().to_owned())),
        Outcome::NotFound => None,
    }
}

/// All paths of up to three segments, which is as many as rules have, and some below these.
fn paths() -> Vec<String> {
    let mut paths = vec!["/".to_owned()];
    let mut longest = vec![String::new()];
    for _ in 0..3 {
        let longer = longest.iter().flat_map(|path| SEGMENTS.map(|one| format!("{path}/{one}")));
        longest = longer.collect();
        paths.extend(longest.iter().cloned());
    }
    paths.extend(longest.iter().map(|path| format!("{path}/other")));
    paths
}

fn pairs() -> impl Iterator<Item = [Option<&'static str>; 2]> {
    VALUES.into_iter().flat_map(|x| VALUES.map(|y| [x, y]))
}

/// Whether some request falls under both rules and finds them equally specific.
fn ties(rules: &[Rule], a: usize, b: usize, paths: &[String]) -> bool {
    let (one, other) = (&rules[a], &rules[b]);
    let counts = |rule: &Rule| (!rule.methods.is_empty(), rule.headers.len(), rule.query.len());
    // A condition of its own each: host and path, method, fields, parameters.
    let place = HOSTS.iter().any(|host| {
        let hosts = (host_fit(one, host), host_fit(other, host));
        hosts.0.is_some()
            && hosts.0 == hosts.1
            && paths.iter().any(|path| {
                let fit = |at: usize| path_fit(&rules[at], position(rules, at, host), path);
                fit(a).is_some() && fit(a) == fit(b)
            })
    });
    counts(one) == counts(other)
        && place
        && METHODS.iter().any(|method| allows(one, method) && allows(other, method))
        && pairs().any(|x| all_hold(headers(one), &x) && all_hold(headers(other), &x))
        && pairs().any(|x| all_hold(query(one), &x) && all_hold(query(other), &x))
}

/// Whether at every host and path one other rule comes before and has all requests of this rule.
fn unreachable(rules: &[Rule], at: usize, paths: &[String]) -> bool {
    let rule = &rules[at];
    let wider = |other: &Rule| {
        METHODS.iter().all(|method| !allows(rule, method) || allows(other, method))
            && pairs().all(|x| !all_hold(headers(rule), &x) || all_hold(headers(other), &x))
            && pairs().all(|x| !all_hold(query(rule), &x) || all_hold(query(other), &x))
    };
    let wider: Vec<usize> =
        (0..rules.len()).filter(|other| *other != at && wider(&rules[*other])).collect();
    HOSTS.iter().all(|host| {
        let Some(host_of_rule) = host_fit(rule, host) else { return true };
        paths.iter().all(|path| {
            let Some(path_of_rule) = path_fit(rule, position(rules, at, host), path) else {
                return true;
            };
            wider.iter().any(|other| {
                let fits = |fit: &(usize, usize)| {
                    let path = path_fit(&rules[*other], position(rules, *other, host), path);
                    path.is_some_and(|path| (*fit, path) > (host_of_rule, path_of_rule.clone()))
                };
                host_fit(&rules[*other], host).is_some_and(|fit| fits(&fit))
            })
        })
    })
}

fn any_path() -> impl Strategy<Value = String> {
    let segment = || prop::sample::select(vec!["a", "aa", "b"]);
    let literal = prop::collection::vec(segment(), 0..=3);
    let template = prop::collection::vec(prop::sample::select(vec!["a", "b", "{p}", "{q}"]), 1..=3);
    prop_oneof![
        literal.clone().prop_map(|path| format!("/{}", path.join("/"))),
        literal.prop_map(|path| format!("/{}*", path.join("/"))),
        template.prop_filter_map("a placeholder, and none twice", |path| {
            let count = |one: &str| path.iter().filter(|segment| **segment == one).count();
            let good = count("{p}") + count("{q}") > 0 && count("{p}") < 2 && count("{q}") < 2;
            good.then(|| format!("/{}", path.join("/")))
        }),
        // None of these is all that is below some path.
        prop::sample::select(vec!["~/(a|other)(/.*)?", "~/.*b", "~/(b|other)(/(a|other))*"])
            .prop_map(str::to_owned),
    ]
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let hosts = vec!["a.test", "b.a.test", "*.a.test", "*.test", "[::1]"];
    let hosts = prop_oneof![Just(Vec::new()), prop::sample::subsequence(hosts, 0..=2)];
    let paths = prop_oneof![
        1 => Just(Vec::new()),
        4 => any_path().prop_map(|path| vec![path]),
        1 => prop::collection::vec(any_path(), 2..=2)
            .prop_filter("one expression a rule", |paths| !paths.iter().any(|path| path.starts_with('~'))),
    ];
    let methods = prop::sample::subsequence(vec!["GET", "POST", "PURGE"], 0..=2);
    let condition = || {
        let tests =
            vec!["", "", "", "x=1", "x=2", "x=1|2", "x", "!x", "y=1", "y", "x=1 y", "x~[13]"];
        prop::sample::select(tests)
    };
    (hosts, paths, methods, condition(), condition()).prop_map(
        |(hosts, paths, methods, headers, query)| {
            rule(&hosts.join(" "), &paths.join(" "), &methods.join(" ")).with(headers, query)
        },
    )
}

fn any_request() -> impl Strategy<Value = Request> {
    let pair = || [prop::sample::select(VALUES.to_vec()), prop::sample::select(VALUES.to_vec())];
    let path = (prop::collection::vec(prop::sample::select(SEGMENTS.to_vec()), 0..4), "/?");
    let path = path.prop_map(|(segments, slash)| match segments[..] {
        [] => "/".to_owned(),
        _ => format!("/{}{slash}", segments.join("/")),
    });
    let (host, method) =
        (prop::sample::select(HOSTS.to_vec()), prop::sample::select(METHODS.to_vec()));
    (host, path, method, pair(), pair()).prop_map(|(host, path, method, headers, query)| Request {
        host,
        path,
        method,
        headers,
        query,
    })
}

proptest! {
    #[test]
    fn matcher_agrees_with_the_model(
        rules in prop::collection::vec(any_rule(), 0..14),
        requests in prop::collection::vec(any_request(), 48),
    ) {
        // Rules at odds with an earlier one are left out: a model of precedence needs none.
        let mut kept: Vec<Rule> = Vec::new();
        for rule in rules {
            kept.push(rule);
            if Matcher::compile(&kept).is_err() {
                kept.pop();
            }
        }
        let matcher = Matcher::compile(&kept).unwrap();
        for request in &requests {
            prop_assert_eq!(found(&matcher, request), naive(&kept, request), "{:?}", request);
        }
    }

    #[test]
    fn compile_refuses_exactly_what_is_at_odds(
        rules in prop::collection::vec(any_rule(), 0..7),
    ) {
        let all = paths();
        let mut expected = BTreeSet::new();
        for at in 0..rules.len() {
            let tied = (0..at).filter(|first| ties(&rules, *first, at, &all));
            expected.extend(tied.map(|first| (first, at)));
        }
        let never: BTreeSet<usize> =
            (0..rules.len()).filter(|at| unreachable(&rules, *at, &all)).collect();
        let conflicts = conflicts(&rules);
        let told: BTreeSet<(usize, usize)> = conflicts.iter().filter_map(|one| match *one {
            Conflict::Tie { first, second } => Some((first, second)),
            Conflict::Unreachable { .. } => None,
        }).collect();
        let told_never: BTreeSet<usize> = conflicts.iter().filter_map(|one| match *one {
            Conflict::Unreachable { rule, .. } => Some(rule),
            Conflict::Tie { .. } => None,
        }).collect();
        prop_assert_eq!(told, expected);
        prop_assert_eq!(told_never, never);
    }
}
