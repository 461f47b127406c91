//! What counts as a difference, and what does not.

use super::*;
use bytes::Bytes;
use http::{Response, StatusCode};
use proptest::prelude::*;

fn rules(headers: &[&str], ignore: &[&str]) -> Compare {
    Compare {
        headers: headers.iter().map(|name| name.parse().unwrap()).collect(),
        ignore: ignore.iter().map(|path| path.parse().unwrap()).collect(),
    }
}

fn seen(rules: &Compare, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Seen {
    let mut head = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        head = head.header(*name, *value);
    }
    let mut seen = Seen::new(&head.body(()).unwrap().into_parts().0, rules);
    seen.part(&Bytes::copy_from_slice(body), 1 << 16);
    seen
}

fn bodies_differ(ignore: &[&str], primary: &str, mirror: &str) -> Comparison {
    let rules = rules(&[], ignore);
    let of = |body: &str| seen(&rules, 200, &[], body.as_bytes());
    compare(&rules, &of(primary), &of(mirror))
}

fn paths(comparison: &Comparison) -> Vec<&str> {
    comparison.differences.iter().map(|difference| difference.path.as_str()).collect()
}

#[test]
fn status_and_chosen_fields_are_compared() {
    let rules = rules(&["content-type", "x-a", "x-b"], &[]);
    let fields = [("content-type", "a/b"), ("x-a", "1"), ("x-a", "2"), ("x-other", "1")];
    let primary = seen(&rules, 200, &fields, b"");
    let fields = [("content-type", "a/b"), ("x-a", "1, 2"), ("x-b", ""), ("x-other", "2")];
    let found = compare(&rules, &primary, &seen(&rules, 500, &fields, b""));
    let difference = |path: &str, primary: Option<&str>, mirror: Option<&str>| Difference {
        path: path.to_owned(),
        primary: primary.map(str::to_owned),
        mirror: mirror.map(str::to_owned),
    };
    assert_eq!(
        found.differences,
        [difference("status", Some("200"), Some("500")), difference("headers.x-b", None, Some("")),]
    );
}

#[test]
fn json_is_compared_by_its_structure() {
    let same = [
        (r#"{"a":1,"b":[2]}"#, r#"{ "b": [2.0], "a": 1 }"#),
        (r#"[1e2]"#, "[100]"),
        (r#""\u0041""#, r#""A""#),
    ];
    for (primary, mirror) in same {
        assert!(bodies_differ(&[], primary, mirror).is_same(), "{primary} {mirror}");
    }
    let found = bodies_differ(
        &[],
        r#"{"a":{"b":[1,{"c d":true}]},"gone":null,"n":9007199254740993}"#,
        r#"{"a":{"b":[1,{"c d":false},3]},"new":{"x":[]},"n":9007199254740992}"#,
    );
    assert_eq!(
        paths(&found),
        [r#"body.a.b[1]["c d"]"#, "body.a.b[2]", "body.gone", "body.n", "body.new"]
    );
    assert_eq!(found.differences[1].primary, None);
    assert_eq!(found.differences[2].primary.as_deref(), Some("null"));
    assert_eq!(found.differences[4].mirror.as_deref(), Some(r#"{"x":[]}"#));
}

#[test]
fn what_is_to_be_ignored_is_not_looked_at() {
    let primary = r#"{"at":1,"items":[{"at":2,"id":1},{"at":3,"id":2}],"meta":{"a":1,"b":1}}"#;
    let mirror = r#"{"at":4,"items":[{"at":5,"id":1},{"id":3}],"meta":{"a":2}}"#;
    let ignored = ["body.at", "body.items[].at", "body.meta.*"];
    assert_eq!(paths(&bodies_differ(&ignored, primary, mirror)), ["body.items[1].id"]);
    assert_eq!(
        paths(&bodies_differ(&["body.*.a", "body.*.b"], r#"{"m":{"a":1}}"#, r#"{"m":{"b":2}}"#)),
        [""; 0]
    );
    assert!(bodies_differ(&["body"], "abc", "abd").is_same());
    let one = bodies_differ(&["body[0]"], "[1,2]", "[3,4]");
    assert_eq!(paths(&one), ["body[1]"]);
}

#[test]
fn what_is_no_json_is_compared_by_its_bytes() {
    assert!(bodies_differ(&["body.a"], "<a>", "<a>").is_same());
    let found =
        bodies_differ(&[], &format!("{}x", "a".repeat(50)), &format!("{}y", "a".repeat(50)));
    assert_eq!(paths(&found), ["body"]);
    assert_eq!(found.differences[0].primary.as_deref(), Some("…aaaaaaaaaaaaaaaax"));
    let cut = bodies_differ(&[], r#"{"a":1}"#, r#"{"a":"#);
    assert_eq!(paths(&cut), ["body"]);
    assert_eq!(bodies_differ(&[], "a", "").differences[0].mirror, None);
}

#[test]
fn a_body_that_was_not_kept_is_skipped_and_the_rest_is_compared() {
    let rules = rules(&[], &[]);
    let mut long = seen(&rules, 500, &[], b"a");
    long.part(&Bytes::from_static(b"b"), 1);
    let found = compare(&rules, &seen(&rules, 200, &[], b"a"), &long);
    assert!(found.body_skipped);
    assert_eq!(paths(&found), ["status"]);
}

#[test]
fn differences_are_bounded_in_number_and_size() {
    let many = |value: &str| format!("[{}]", vec![value; 1000].join(","));
    let found = bodies_differ(&[], &many("1"), &many(&format!("\"{}\"", "x".repeat(50))));
    assert_eq!((found.differences.len(), found.more), (16, 984));
    let name = "n".repeat(5_000);
    let found = bodies_differ(&[], &format!(r#"{{"{name}":"{name}"}}"#), "{}");
    let Difference { path, primary, .. } = &found.differences[0];
    assert!(path.len() < 300 && primary.as_ref().unwrap().len() < 130);
}

#[test]
fn a_body_nested_without_end_is_bytes() {
    let deep = |last: &str| format!("{}{last}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(paths(&bodies_differ(&[], &deep("1"), &deep("2"))), ["body"]);
}

/// Any JSON value of a few levels.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let members = proptest::collection::btree_map(".{0,3}", inner.clone(), 0..4);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            members.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn two_bodies_are_the_same_where_their_values_are(one in json(), other in json()) {
        let found = bodies_differ(&[], &one.to_string(), &other.to_string());
        prop_assert_eq!(found.is_same(), one == other);
        let pretty = serde_json::to_string_pretty(&one).unwrap();
        prop_assert!(bodies_differ(&[], &one.to_string(), &pretty).is_same());
    }

    #[test]
    fn ignoring_each_place_that_differs_leaves_none(one in json(), other in json()) {
        let found = bodies_differ(&[], &one.to_string(), &other.to_string());
        prop_assume!(found.more == 0);
        let ignored = paths(&found);
        prop_assert!(bodies_differ(&ignored, &one.to_string(), &other.to_string()).is_same());
    }

    #[test]
    fn any_bytes_are_compared(
        one in proptest::collection::vec(any::<u8>(), 0..300),
        other in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let rules = rules(&[], &[]);
        let of = |body: &[u8]| seen(&rules, 200, &[], body);
        let found = compare(&rules, &of(&one), &of(&other));
        prop_assert!(found.is_same() == (one == other) || serde_json::from_slice::<Value>(&one).is_ok());
    }
}
