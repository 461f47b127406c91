use super::*;
use crate::exchange::PathRules;

mod model;

/// Makes a rule from words: hosts, paths and methods apart by spaces. A path that ends with `*` is
/// a prefix, one with braces a template, one after `~` a regular expression.
fn rule(hosts: &str, paths: &str, methods: &str) -> Rule {
    Rule {
        hosts: hosts.split_whitespace().map(|host| host.parse().unwrap()).collect(),
        paths: paths.split_whitespace().map(path).collect(),
        methods: methods.split_whitespace().map(|method| method.parse().unwrap()).collect(),
        ..Rule::default()
    }
}

fn path(text: &str) -> PathPattern {
    let rules = PathRules::default();
    match (text.strip_suffix('*'), text.strip_prefix('~')) {
        (_, Some(regex)) => PathPattern::Regex(regex.parse().unwrap()),
        (Some(prefix), None) => PathPattern::prefix(prefix, rules).unwrap(),
        _ if text.contains('{') => PathPattern::template(text, rules).unwrap(),
        _ => PathPattern::exact(text, rules).unwrap(),
    }
}

impl Rule {
    /// Adds conditions, apart by spaces: `a=1|2` equals, `a` present, `!a` absent, `a~b` matches.
    fn with(mut self, headers: &str, query: &str) -> Rule {
        let conditions = |text: &str| -> Vec<(String, Test)> {
            let one = |text: &str| {
                let values = |values: &str| values.split('|').map(str::to_owned).collect();
                match (text.split_once('='), text.split_once('~'), text.strip_prefix('!')) {
                    (Some((name, value)), ..) => (name.to_owned(), Test::Equals(values(value))),
                    (_, Some((name, regex)), _) => {
                        (name.to_owned(), Test::Matches(regex.parse().unwrap()))
                    }
                    (.., Some(name)) => (name.to_owned(), Test::Absent),
                    _ => (text.to_owned(), Test::Present),
                }
            };
            text.split_whitespace().map(one).collect()
        };
        let headers = conditions(headers).into_iter();
        self.headers =
            headers.map(|(name, test)| Condition { name: name.parse().unwrap(), test }).collect();
        let query = conditions(query).into_iter();
        self.query = query.map(|(name, test)| Condition { name, test }).collect();
        self
    }
}

/// What is found for a host, a method, and a target with fields such as `a: 1`.
fn ask(rules: &[Rule], host: &str, method: &str, target: &str, fields: &[&str]) -> Outcome {
    let matcher = Matcher::compile(rules).unwrap();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter().map(|field| field.split_once(": ").unwrap()) {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let host = Host::parse(host.as_bytes()).unwrap();
    let method = &method.parse().unwrap();
    matcher.find(&Asked { host, path, method, headers: Some(&headers), query })
}

fn find(rules: &[Rule], host: &str, path: &str, method: &str) -> Outcome {
    ask(rules, host, method, path, &[])
}

fn found(rule: usize) -> Outcome {
    Outcome::Found { rule, path: 0 }
}

fn not_allowed(allow: &'static str) -> Outcome {
    Outcome::MethodNotAllowed(HeaderValue::from_static(allow))
}

fn conflicts(rules: &[Rule]) -> Vec<Conflict> {
    Matcher::compile(rules).err().unwrap_or_default()
}

fn tie(first: usize, second: usize) -> Conflict {
    Conflict::Tie { first, second }
}

#[test]
fn prefix_holds_whole_segments() {
    let rules = [rule("", "/api/v1/users/*", "")];
    for path in ["/api/v1/users", "/api/v1/users/", "/api/v1/users/1"] {
        assert_eq!(find(&rules, "", path, "GET"), found(0), "{path}");
    }
    for path in ["/api/v1/users2", "/api/v1/user", "/api/v1", "", "*", "/api/v1/usersé"] {
        assert_eq!(find(&rules, "", path, "GET"), Outcome::NotFound, "{path}");
    }
}

#[test]
fn exact_path_with_a_slash_is_another_than_one_without() {
    let rules = [rule("", "/a", ""), rule("", "/b/", "")];
    assert_eq!(find(&rules, "", "/a/", "GET"), Outcome::NotFound);
    assert_eq!(find(&rules, "", "/b", "GET"), Outcome::NotFound);
    assert_eq!(find(&rules, "", "/b/", "GET"), found(1));
}

#[test]
fn root_prefix_and_any_serve_every_path() {
    let rules = [rule("", "", ""), rule("", "/*", "GET")];
    for path in ["/", "/a/b", "*", "", "/é"] {
        assert_eq!(find(&rules, "", path, "GET"), found(1), "{path}");
        assert_eq!(find(&rules, "", path, "POST"), found(0), "{path}");
    }
}

#[test]
fn paths_are_tried_from_exact_to_any() {
    let rules = [
        rule("", "", ""),
        rule("", "~/a/b/.*", ""),
        rule("", "/a*", "PUT GET"),
        rule("", "/a/b*", "PUT"),
        rule("", "/a/{x}/c", "GET"),
        rule("", "/a/b/c", "HEAD"),
    ];
    assert_eq!(find(&rules, "", "/a/b/c", "HEAD"), found(5));
    assert_eq!(find(&rules, "", "/a/b/c", "GET"), found(4));
    assert_eq!(find(&rules, "", "/a/b/c", "PUT"), found(3));
    assert_eq!(find(&rules, "", "/a/c", "PUT"), found(2));
    assert_eq!(find(&rules, "", "/a/b/c", "POST"), found(1));
    assert_eq!(find(&rules, "", "/a/b", "POST"), found(0));
}

#[test]
fn placeholder_is_one_segment_that_is_not_empty() {
    let rules = [rule("", "/orders/{id}/page", "")];
    assert_eq!(find(&rules, "", "/orders/7/page", "GET"), found(0));
    for path in ["/orders//page", "/orders/7/8/page", "/orders/7/page/", "/orders/7", "/orders/7/"]
    {
        assert_eq!(find(&rules, "", path, "GET"), Outcome::NotFound, "{path}");
    }
}

#[test]
fn template_with_more_literals_wins_and_then_the_leftmost() {
    let rules = [
        rule("", "/a/{y}/{z}", ""),
        rule("", "/{x}/b/c", ""),
        rule("", "/{x}/b/{z}", ""),
        rule("", "/{x}/{y}/{z}", ""),
    ];
    assert_eq!(find(&rules, "", "/a/b/c", "GET"), found(1));
    assert_eq!(find(&rules, "", "/a/b/d", "GET"), found(0));
    assert_eq!(find(&rules, "", "/d/b/d", "GET"), found(2));
    assert_eq!(find(&rules, "", "/d/d/c", "GET"), found(3));
}

#[test]
fn literals_of_a_template_keep_to_their_segments() {
    let rules = [rule("", "/ab/{x}/c", ""), rule("", "/a/{x}/bc", "")];
    assert_eq!(find(&rules, "", "/ab/x/c", "GET"), found(0));
    assert_eq!(find(&rules, "", "/a/x/bc", "GET"), found(1));
    assert_eq!(find(&rules, "", "/a/x/c", "GET"), Outcome::NotFound);
}

#[test]
fn regular_expressions_have_the_whole_path_and_the_order_of_the_file() {
    let rules = [rule("", "~/a/[0-9]+", ""), rule("", "~/a/.*", "")];
    assert_eq!(find(&rules, "", "/a/1", "GET"), found(0));
    assert_eq!(find(&rules, "", "/a/1/", "GET"), found(1));
    assert_eq!(find(&rules, "", "/b/a/1", "GET"), Outcome::NotFound);
    let rules = [rule("", "~/a/.*", ""), rule("", "~/a/[0-9]+", "")];
    assert_eq!(find(&rules, "", "/a/1", "GET"), found(0));
}

#[test]
fn a_rule_with_several_paths_says_which_of_them_fits() {
    let rules = [rule("", "/b/{id} /a/{kind}/{id}", ""), rule("", "/a*", "")];
    assert_eq!(find(&rules, "", "/b/1", "GET"), Outcome::Found { rule: 0, path: 0 });
    assert_eq!(find(&rules, "", "/a/b/1", "GET"), Outcome::Found { rule: 0, path: 1 });
}

#[test]
fn hosts_win_over_paths_and_the_nearer_host_over_the_farther() {
    let rules = [
        rule("", "/a/b", ""),
        rule("a.test", "/*", ""),
        rule("b.test", "/x", ""),
        rule("*.a.test", "/*", ""),
        rule("*.test", "/a/b", ""),
    ];
    assert_eq!(find(&rules, "A.test:443", "/a/b", "GET"), found(1));
    assert_eq!(find(&rules, "x.a.test", "/a/b", "GET"), found(3));
    assert_eq!(find(&rules, "b.test", "/a/b", "GET"), found(4));
    assert_eq!(find(&rules, "test", "/a/b", "GET"), found(0));
    assert_eq!(find(&rules, "c.test", "/x", "GET"), Outcome::NotFound);
}

#[test]
fn listed_method_wins_over_any_method() {
    let rules = [rule("", "/a", "").with("x", "y"), rule("", "/a", "POST")];
    let fields = &["x: 1"];
    assert_eq!(ask(&rules, "", "POST", "/a?y", fields), found(1));
    assert_eq!(ask(&rules, "", "GET", "/a?y", fields), found(0));
}

#[test]
fn more_header_conditions_win_and_then_more_query_conditions() {
    let rules = [
        rule("", "/a", ""),
        rule("", "/a", "").with("", "v=1 w"),
        rule("", "/a", "").with("v=1", ""),
        rule("", "/a", "").with("v=1", "v"),
        rule("", "/a", "").with("", "v=1"),
    ];
    assert_eq!(ask(&rules, "", "GET", "/a?v=1&w", &["v: 1"]), found(3));
    assert_eq!(ask(&rules, "", "GET", "/a", &["v: 1"]), found(2));
    assert_eq!(ask(&rules, "", "GET", "/a?v=1&w", &["v: 2"]), found(1));
    assert_eq!(ask(&rules, "", "GET", "/a?v=1", &[]), found(4));
    assert_eq!(ask(&rules, "", "GET", "/a?v=2", &[]), found(0));
}

#[test]
fn unfit_conditions_pass_on_to_less_specific_places() {
    let rules = [
        rule("a.test", "/a/b", "").with("v=1", ""),
        rule("a.test", "/a*", "").with("", "p"),
        rule("", "/a/{x}", "").with("", "!p"),
    ];
    assert_eq!(ask(&rules, "a.test", "GET", "/a/b", &["v: 1"]), found(0));
    assert_eq!(ask(&rules, "a.test", "GET", "/a/b?p=", &[]), found(1));
    assert_eq!(ask(&rules, "a.test", "GET", "/a/b?q=", &[]), found(2));
}

#[test]
fn unfit_method_passes_on_to_less_specific_rules() {
    let rules =
        [rule("a.test", "/a/b", "POST"), rule("a.test", "/a*", "PUT"), rule("", "/*", "GET PURGE")];
    assert_eq!(find(&rules, "a.test", "/a/b", "PUT"), found(1));
    assert_eq!(find(&rules, "a.test", "/a/b", "PURGE"), found(2));
    assert_eq!(find(&rules, "a.test", "/a/b", "DELETE"), not_allowed("GET, POST, PURGE, PUT"));
    assert_eq!(find(&rules, "b.test", "/a/b", "BREW"), not_allowed("GET, PURGE"));
}

#[test]
fn a_rule_whose_conditions_do_not_hold_says_nothing_of_methods() {
    let rules = [rule("", "/a", "POST").with("v=1", ""), rule("", "/a", "PUT").with("", "q")];
    assert_eq!(ask(&rules, "", "GET", "/a", &[]), Outcome::NotFound);
    assert_eq!(ask(&rules, "", "GET", "/a", &["v: 1"]), not_allowed("POST"));
    assert_eq!(ask(&rules, "", "GET", "/a?q", &["v: 1"]), not_allowed("POST, PUT"));
}

#[test]
fn head_is_not_implied_by_get() {
    assert_eq!(find(&[rule("", "/a", "GET")], "", "/a", "HEAD"), not_allowed("GET"));
}

#[test]
fn who_asks_without_fields_passes_every_header_condition() {
    let rules = [rule("", "/a", "PUT").with("v=1", "q")];
    let matcher = Matcher::compile(&rules).unwrap();
    let asked = Asked {
        host: Host::NONE,
        path: "/a",
        method: &Method::PUT,
        headers: None,
        query: Some("q=1"),
    };
    assert_eq!(matcher.find(&asked), found(0));
    assert_eq!(matcher.find(&Asked { query: None, ..asked }), Outcome::NotFound);
}

#[test]
fn same_conditions_are_a_tie() {
    for (a, b) in [
        (rule("", "/a", ""), rule("", "/a", "")),
        (rule("", "", "GET"), rule("", "", "POST GET")),
        (rule("a.test b.test", "/a*", ""), rule("c.test b.test", "/a/*", "")),
        (rule("*.a.test", "/a", ""), rule("*.A.test", "/a", "")),
        (rule("", "/{a}/b", ""), rule("", "/{other}/b", "")),
        (rule("", "/x /y", ""), rule("", "/y /z", "")),
        (rule("", "~/a+", ""), rule("", "~/a+", "")),
        (rule("", "/a", "").with("x=1|2", ""), rule("", "/a", "").with("x=2|3", "")),
        (rule("", "/a", "").with("x=1", ""), rule("", "/a", "").with("x", "")),
        // One request may have both.
        (rule("", "/a", "").with("x=1", ""), rule("", "/a", "").with("y=1", "")),
        (rule("", "/a", "").with("x~[0-9]", ""), rule("", "/a", "").with("x=1", "")),
    ] {
        let rules = [rule("", "/other", ""), a, b];
        assert_eq!(conflicts(&rules), [tie(1, 2)], "{rules:?}");
    }
}

#[test]
fn different_conditions_are_no_tie() {
    for (a, b) in [
        (rule("", "/a", "GET"), rule("", "/a", "POST")),
        (rule("", "/a", "GET"), rule("", "/a", "")),
        (rule("", "/*", "GET"), rule("", "", "")),
        (rule("", "/a", ""), rule("", "/a*", "")),
        (rule("", "/a", ""), rule("a.test", "/a", "")),
        (rule("*.a.test", "/a", ""), rule("a.test", "/a", "")),
        (rule("a.test A.test.", "/a /a", "GET GET"), rule("b.test", "/a", "")),
        (rule("", "/{a}/b", ""), rule("", "/b/{a}", "")),
        (rule("", "~/a+", ""), rule("", "~/a*", "")),
        (rule("", "/a", "").with("x=1", ""), rule("", "/a", "").with("x=2", "")),
        (rule("", "/a", "").with("x", ""), rule("", "/a", "").with("!x", "")),
        (rule("", "/a", "").with("x", ""), rule("", "/a", "").with("", "x")),
        (rule("", "/a", "").with("x=1", ""), rule("", "/a", "").with("x=1", "y")),
        (rule("", "/a", "").with("", "x=1 y=1"), rule("", "/a", "").with("", "x=1 y=2")),
        (rule("", "/a", "").with("x~a.*", ""), rule("", "/a", "").with("x~b.*", "")),
    ] {
        assert_eq!(conflicts(&[a.clone(), b.clone()]), [], "{a:?} {b:?}");
    }
}

#[test]
fn what_the_root_prefix_takes_a_later_kind_of_path_never_gets() {
    let root = || rule("", "/*", "");
    for never in [
        rule("", "", ""),
        rule("", "", "GET").with("x=1", "y"),
        rule("", "~/a/.*", ""),
        rule("", "~/a ~/b", ""),
    ] {
        let rules = [never, root()];
        assert_eq!(conflicts(&rules), [Conflict::Unreachable { rule: 0, by: 1 }]);
    }
    let narrower = || rule("", "/*", "GET PUT").with("x=1|2", "y");
    let never = rule("", "~/a", "PUT").with("x=2 z", "y~.");
    assert_eq!(conflicts(&[narrower(), never]), [Conflict::Unreachable { rule: 1, by: 0 }]);
    for sometimes in [
        rule("", "~/a", "POST PUT").with("x=2", "y~."),
        rule("", "~/a", "PUT").with("x=3", "y"),
        rule("", "~/a", "PUT").with("x", "y"),
        rule("", "~/a", "").with("x=2", "y"),
        rule("", "~/a /b", "PUT").with("x=2", "y"),
    ] {
        assert_eq!(conflicts(&[narrower(), sometimes.clone()]), [], "{sometimes:?}");
    }
}

#[test]
fn a_rule_is_unreachable_only_where_all_its_hosts_are_taken() {
    let roots = [rule("a.test", "/*", ""), rule("b.test", "/*", "")];
    let conflicts_with = |rule: Rule| conflicts(&[roots[0].clone(), roots[1].clone(), rule]);
    let never = Conflict::Unreachable { rule: 2, by: 0 };
    assert_eq!(conflicts_with(rule("a.test b.test", "", "")), [never]);
    assert_eq!(conflicts_with(rule("a.test c.test", "", "")), []);
    assert_eq!(conflicts_with(rule("", "", "")), []);
}

#[test]
fn all_conflicts_are_told_at_once() {
    let rules = [
        rule("", "/a", ""),
        rule("", "/*", ""),
        rule("", "/a", ""),
        rule("", "/*", ""),
        rule("", "~/b", ""),
    ];
    let never = Conflict::Unreachable { rule: 4, by: 1 };
    assert_eq!(conflicts(&rules), [tie(0, 2), tie(1, 3), never]);
}

#[test]
fn a_conflict_says_which_rules() {
    assert_eq!(tie(1, 4).to_string(), "rules 1 and 4 match the same requests");
    let never = Conflict::Unreachable { rule: 2, by: 0 };
    assert_eq!(never.to_string(), "rule 2 never applies: rule 0 matches all that it matches");
}

#[test]
fn a_path_of_slashes_costs_no_more_than_the_patterns_have_segments() {
    // Nothing to measure here but that it ends: a lookup for each slash would be quadratic.
    let rules: Vec<Rule> = (1..60)
        .map(|depth| rule("", &format!("{}{{x}}*", "/a".repeat(depth)).replace("{x}", ""), ""))
        .chain([rule("", "/{a}/{b}/c", "")])
        .collect();
    for path in ["/".repeat(60_000), "/a".repeat(30_000)] {
        let outcome = find(&rules, "", &path, "GET");
        assert_eq!(outcome == Outcome::NotFound, path.starts_with("//"));
    }
}
