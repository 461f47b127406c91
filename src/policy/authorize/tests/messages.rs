//! What is said of each mistake, and where.

use super::*;

/// What is said of a policy that is wrong.
fn told(yaml: &str) -> String {
    match serde_yaml::from_str::<Config>(yaml) {
        Ok(config) => match Authorize::compile(&config, &Build::default()) {
            Ok(_) => panic!("{yaml} compiles"),
            Err(invalid) => invalid.to_string(),
        },
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_word_that_is_no_condition_hears_what_was_meant() {
    for (condition, message) in [
        ("roles:admin", "`roles:admin` is no condition: did you mean `role:admin`?"),
        ("Role:admin", "`Role:admin` is no condition: did you mean `role:admin`?"),
        ("scopes:a", "`scopes:a` is no condition: did you mean `scope:a`?"),
        ("scp:a", "`scp:a` is no condition: did you mean `scope:a`?"),
        ("ip:10.0.0.1", "`ip:10.0.0.1` is no condition: did you mean `network:10.0.0.1`?"),
        (
            "group:staff",
            "`group:staff` is no condition: did you mean `{claim: groups, contains: staff}`?",
        ),
        (
            "https://a.example",
            "unknown kind `https` of condition, there are role, scope, tier, consumer, tag, way, \
             method, network",
        ),
        (
            "admin",
            "`admin` is no condition: write KIND:VALUE, where KIND is role, scope, tier, \
             consumer, tag, way, method, network",
        ),
        ("roles", "`roles` is no condition: write `role:VALUE`"),
        ("\"role:\"", "`role:` has no value: write `role:VALUE`"),
        ("\"role: admin\"", "`role: admin` has a space in it: did you mean `role:admin`?"),
        (
            "\"role:a\\u200bb\"",
            "this names no role: `a\u{fffd}b` holds a character that cannot be seen, U+200B",
        ),
        (
            "consumer:a b",
            "this names no consumer: the name `a b` holds ' ': a name has only letters, digits, `.`, `_` and `-`",
        ),
        ("scope:a b", "`a b` is several scopes, write each: [scope:a, scope:b]"),
        ("\"scope:a\\\"b\"", "the scope `a\"b` must not hold '\"'"),
        ("scope:größe", "the scope `größe` must not hold 'ö'"),
        ("method:get", "the method `get` has lower case: did you mean `GET`?"),
        (
            "network:10.0.0.1/8",
            "`10.0.0.1/8` has bits set outside its prefix: did you mean `10.0.0.0/8`?",
        ),
        ("way:api-key", "unknown way `api-key`, did you mean `way:api_key`?"),
        ("way:JWT", "unknown way `JWT`, did you mean `way:jwt`?"),
        (
            "way:telepathy",
            "unknown way `telepathy`, there are jwt, introspection, api_key, basic, mtls, session, \
             forward_auth",
        ),
        ("5", "`5` is no condition: write a text such as `scope:orders.read`"),
        ("true", "`true` is no condition: write a text such as `scope:orders.read`"),
    ] {
        let expected = format!("any[1]: {message}");
        assert_eq!(told(&format!("any: [role:a, {condition}]")), expected);
    }
}

#[test]
fn a_kind_that_became_a_key_hears_of_its_space() {
    let message = told("all: [{role: admin}]");
    assert!(
        message.contains("a condition of the kind `role` is one text, write `role:VALUE` without"),
        "{message}"
    );
    let message = told("all: [{claims: a, equals: b}]");
    assert!(message.contains("unknown field `claims`"), "{message}");
    let message = told("al: [role:a]");
    assert!(message.contains("unknown field `al`"), "{message}");
}

#[test]
fn a_list_that_is_empty_says_whom_it_would_keep_out() {
    for (yaml, message) in [
        ("{}", "nothing is asked here: write `all`, `any` or `not`"),
        ("all: []", "all: the list is empty, and would keep nobody out: leave it out"),
        ("any: []", "any: the list is empty, and would keep everybody out: leave it out"),
        ("not: []", "not: the list is empty, and would keep nobody out: leave it out"),
        ("all: [{}]", "all[0]: nothing is asked here: write `all`, `any` or `not`"),
        (
            "all: [{any: []}]",
            "all[0].any: the list is empty, and would keep everybody out: leave it out",
        ),
    ] {
        assert_eq!(told(yaml), message);
    }
}

#[test]
fn a_claim_takes_one_test() {
    let one = "all[0]: exactly one of `equals`, `contains`, `any`, `all` and `present` is needed \
               beside `claim`";
    for (condition, message) in [
        ("{claim: a}", one),
        ("{claim: a, equals: b, contains: c}", one),
        ("{all: [b], claim: a, any: [b]}", one),
        ("{equals: b}", "all[0]: which claim? `claim` is missing beside `equals`"),
        (
            "{present: true, any: [role:a]}",
            "all[0]: which claim? `claim` is missing beside `present`",
        ),
        ("{claim: a, any: []}", "all[0].any: the list is empty: which values?"),
        (
            "{claim: a, any: [b, {claim: c}]}",
            "all[0].any[1]: beside `claim` a list holds values: texts, numbers, `true` or `false`",
        ),
        (
            "{claim: a, equals: b, not: [role:c]}",
            "all[0].not: `not` says nothing of a claim: make them two conditions, `{claim: …}` \
             and `{not: …}`",
        ),
        ("{claim: \"\", equals: b}", "all[0].claim: this names no claim: a word is missing here"),
        ("{claim: a, equals: 1e300}", "too large to be exact"),
        ("{claim: a, equals: {b: c}}", "expected a text, a number, `true` or `false`"),
        ("{claim: a, equals: [b]}", "expected a text, a number, `true` or `false`"),
    ] {
        let told = told(&format!("all: [{condition}]"));
        assert!(told.contains(message), "{condition}: {told}");
    }
}

#[test]
fn a_claims_list_may_stand_before_its_name() {
    assert!(permits("{any: [sales, role:x], claim: c}", json!({"c": "role:x"})));
    assert!(!permits("{all: [sales], claim: c}", json!({"c": "support"})));
}

#[test]
fn times_stand_alone_and_their_mistakes_have_a_place() {
    assert_eq!(
        told("all: [{times: {days: [mon]}, any: [role:a]}]"),
        "all[0].times: `times` stands alone: make it an item of the list beside it"
    );
    assert_eq!(
        told("not: [{times: {days: [mon, mon]}}]"),
        "not[0].times.days[1]: `mon` stands here twice"
    );
}

#[test]
fn groups_in_groups_have_a_floor() {
    let nested =
        |depth: usize| format!("all: [{}role:a{}]", "{all: [".repeat(depth), "]}".repeat(depth));
    assert!(
        Authorize::compile(&serde_yaml::from_str(&nested(8)).unwrap(), &Build::default()).is_ok()
    );
    let told = told(&nested(9));
    assert!(told.ends_with("groups of conditions stand more than 8 deep here"), "{told}");
}
