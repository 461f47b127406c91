use super::*;
use http::{HeaderValue, Request};

fn head(target: &str, fields: &[(&'static str, &[u8])]) -> Parts {
    let mut head = Request::get(target).body(()).unwrap().into_parts().0;
    for (name, value) in fields {
        head.headers.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    head
}

fn place(text: &str) -> Place {
    text.parse().unwrap()
}

fn found(at: &str, head: &Parts) -> Result<Option<String>, Malformed> {
    Ok(place(at).find(head)?.map(Cow::into_owned))
}

fn some(text: &str) -> Result<Option<String>, Malformed> {
    Ok(Some(text.to_owned()))
}

#[test]
fn words_are_read_and_written_alike() {
    for text in
        ["header.authorization", "header.x-api-key", "cookie.session", "cookie.a.b", "query.key[0]"]
    {
        assert_eq!(place(text).to_string(), text);
    }
    assert_eq!(place("header.Authorization"), Place::Bearer);
    assert_eq!(place("header.X-Api-Key").to_string(), "header.x-api-key");
}

#[test]
fn wrong_words_are_told_what_was_meant() {
    let refusal = |text: &str| text.parse::<Place>().unwrap_err().to_string();
    assert!(refusal("headers.x-key").contains("did you mean `header.x-key`?"));
    assert!(refusal("cookies.session").contains("did you mean `cookie.session`?"));
    assert!(refusal("qeury.token").contains("did you mean `query.token`?"));
    assert!(refusal("x-api-key").contains("did you mean `header.x-api-key`?"));
    assert!(refusal("body.token.x").contains("there are header.NAME, cookie.NAME, query.NAME"));
    assert!(refusal("header.").contains("a header name is missing"));
    assert!(refusal("header").contains("a header name is missing"));
    assert!(refusal("header.a b").contains("must not hold ' '"));
    assert!(refusal("header.cookie").contains("stands at `cookie.NAME`"));
    assert!(refusal("cookie.").contains("is missing after `cookie.`"));
    assert!(refusal("cookie.a=b").contains("must not hold '='"));
    assert!(refusal("query.").contains("is missing after `query.`"));
}

#[test]
fn the_place_of_the_authorization_field_is_that_of_bearer_tokens() {
    let at = "header.authorization";
    assert_eq!(found(at, &head("/", &[("authorization", b"Bearer abc")])), some("abc"));
    assert_eq!(found(at, &head("/", &[("authorization", b"Basic Og==")])), Ok(None));
    assert_eq!(found(at, &head("/", &[("authorization", b"Digest a=b")])), Ok(None));
    assert_eq!(found(at, &head("/", &[])), Ok(None));
    let refused = found(at, &head("/", &[("authorization", b"Bearer a b")]));
    assert_eq!(refused, Err(Malformed::Token(crate::credential::Scheme::Bearer)));
}

#[test]
fn a_header_is_a_credential_as_a_whole() {
    let of = |value: &[u8]| found("header.x-api-key", &head("/", &[("x-api-key", value)]));
    assert_eq!(of(b"abc"), some("abc"));
    assert_eq!(of(b" \tabc \t"), some("abc"));
    assert_eq!(of(b"Bearer:abc,\"def\""), some("Bearer:abc,\"def\""));
    assert_eq!(of(b""), Err(Malformed::Empty));
    assert_eq!(of(b" \t "), Err(Malformed::Empty));
    for bad in [&b"a b"[..], b"a\tb", b"caf\xc3\xa9", b"\xff", b"a, b"] {
        assert_eq!(of(bad), Err(Malformed::Characters), "{}", bad.escape_ascii());
    }
    assert_eq!(found("header.x-api-key", &head("/", &[("x_api_key", b"abc")])), Ok(None));
}

#[test]
fn a_header_that_stands_there_twice_is_refused_even_if_it_says_the_same() {
    for second in [&b"abc"[..], b"def", b""] {
        let head = head("/", &[("x-api-key", b"abc"), ("X-API-KEY", second)]);
        assert_eq!(found("header.x-api-key", &head), Err(Malformed::Repeated));
    }
}

#[test]
fn a_cookie_is_found_between_odd_separators() {
    let of = |line: &[u8]| found("cookie.session", &head("/", &[("cookie", line)]));
    for line in [
        &b"session=x"[..],
        b"a=1; session=x; b=2",
        b"a=1;session=x;b=2",
        b"a=1;   session=x   ;b=2",
        b"; session=x;",
        b";;;session=x;;;",
        b"\tsession=x\t",
        b"a; session=x",
        b"session; session=x",
        b"a=\"1\"; session=x",
        b"asession=y; session=x; sessions=z; Session=w",
        b"a=\xff\xfe; session=x",
    ] {
        assert_eq!(of(line), some("x"), "{}", line.escape_ascii());
    }
    assert_eq!(of(b"session=a=b=="), some("a=b=="));
    assert_eq!(of(b"session=\"x\""), some("\"x\""));
    for line in [&b""[..], b"a=1", b"session", b"xsession=1", b"a=session=x", b"a=1, session=x"] {
        assert_eq!(of(line), Ok(None), "{}", line.escape_ascii());
    }
}

#[test]
fn a_cookie_that_is_malformed_is_refused() {
    let of = |line: &[u8]| found("cookie.session", &head("/", &[("cookie", line)]));
    for line in [
        &b"session =x"[..],
        b"session= x",
        b"session\t=x",
        b"session=x y",
        b"session=x\ty",
        b"session=\xc3\xa9",
        b"session=x, a=1",
    ] {
        assert_eq!(of(line), Err(Malformed::Characters), "{}", line.escape_ascii());
    }
    assert_eq!(of(b"session="), Err(Malformed::Empty));
    assert_eq!(of(b"session= ; a=1"), Err(Malformed::Empty));
    for line in [
        &b"session=x; session=y"[..],
        b"session=x; session=x",
        b"session=x;session=",
        b"session=x; session =y",
        b"session =x; session=y",
    ] {
        assert_eq!(of(line), Err(Malformed::Repeated), "{}", line.escape_ascii());
    }
}

#[test]
fn cookies_may_come_in_several_lines() {
    let once = head("/", &[("cookie", b"a=1"), ("cookie", b"session=x")]);
    assert_eq!(found("cookie.session", &once), some("x"));
    let twice = head("/", &[("cookie", b"session=x; a=1"), ("cookie", b"session=x")]);
    assert_eq!(found("cookie.session", &twice), Err(Malformed::Repeated));
}

#[test]
fn a_query_parameter_is_found_however_it_is_encoded() {
    let of = |target: &str| found("query.access_token", &head(target, &[]));
    for target in [
        "/?access_token=x",
        "/?a=1&access_token=x&b=2",
        "/?&&access_token=x&&",
        "/?access%5Ftoken=x",
        "/?access%5ftoken=%78",
        "/?%61ccess_token=x",
        "http://a.example/p?access_token=x",
    ] {
        assert_eq!(of(target), some("x"), "{target}");
    }
    assert_eq!(of("/?access_token=a=b=="), some("a=b=="));
    assert_eq!(of("/?access_token=a+b%2B%2F%3D"), some("a+b+/="));
    assert_eq!(of("/?access_token=a%2525"), some("a%25"));
    assert_eq!(of("/?access_token=a?b/c;d"), some("a?b/c;d"));
    for target in ["/", "/?", "/?a=1", "/access_token=x", "/?Access_Token=x", "/?a=access_token=x"]
    {
        assert_eq!(of(target), Ok(None), "{target}");
    }
    assert_eq!(of("/?a=1;access_token=x"), Ok(None));
}

#[test]
fn a_query_parameter_that_is_malformed_is_refused() {
    let of = |target: &str| found("query.access_token", &head(target, &[]));
    for target in ["/?access_token=", "/?access_token", "/?access_token&a=1"] {
        assert_eq!(of(target), Err(Malformed::Empty), "{target}");
    }
    for target in [
        "/?access_token=a%20b",
        "/?access_token=%00",
        "/?access_token=x%0A",
        "/?access_token=%c3%a9",
        "/?access_token=%ff",
        "/?access_token=x%",
        "/?access_token=x%4",
        "/?access_token=x%zz",
        "/?access_token=%%41",
        "/?access_token=%+41",
    ] {
        assert_eq!(of(target), Err(Malformed::Characters), "{target}");
    }
    for target in [
        "/?access_token=x&access_token=y",
        "/?access_token=x&access_token=x",
        "/?access_token=x&access_token",
        "/?access_token=x&access%5Ftoken=y",
    ] {
        assert_eq!(of(target), Err(Malformed::Repeated), "{target}");
    }
}

#[test]
fn several_places_must_agree() {
    let places = ["header.authorization", "cookie.session", "query.t"].map(place);
    let one = |head: &Parts| {
        find_one(&places, head).map(|found| found.map(|(_, text)| text.into_owned()))
    };
    let bearer: (&str, &[u8]) = ("authorization", b"Bearer x");
    assert_eq!(one(&head("/", &[])), Ok(None));
    assert_eq!(one(&head("/", &[bearer])), some("x"));
    assert_eq!(one(&head("/?t=x", &[])), some("x"));
    assert_eq!(one(&head("/?t=%78", &[bearer, ("cookie", b"session=x")])), some("x"));
    assert_eq!(one(&head("/?t=y", &[bearer])), Err(Malformed::Several));
    assert_eq!(one(&head("/", &[bearer, ("cookie", b"session=y")])), Err(Malformed::Several));
    assert_eq!(one(&head("/", &[bearer, ("cookie", b"session=")])), Err(Malformed::Empty));
    assert_eq!(one(&head("/?t=x&t=x", &[bearer])), Err(Malformed::Repeated));
    let basic: (&str, &[u8]) = ("authorization", b"Basic Og==");
    assert_eq!(one(&head("/", &[basic, ("cookie", b"session=y")])), some("y"));
}

fn without(at: &str, mut head: Parts) -> Parts {
    place(at).remove(&mut head);
    head
}

#[test]
fn a_removed_cookie_leaves_the_others_as_they_were() {
    let rest = |line: &'static [u8]| {
        let head = without("cookie.session", head("/", &[("cookie", line)]));
        head.headers.get(COOKIE).map(|line| line.as_bytes().to_vec())
    };
    let cases: [(&[u8], Option<&[u8]>); 13] = [
        (b"session=x", None),
        (b"session=x; session=y", None),
        (b" session=x ", None),
        (b"a=1; session=x; b=2", Some(b"a=1; b=2")),
        (b"session=x; b=2", Some(b"b=2")),
        (b"a=1; session=x", Some(b"a=1")),
        (b"a=1;session=x;b=2", Some(b"a=1;b=2")),
        (b"a=1;  session=x;  b= \"2\" ", Some(b"a=1;  b= \"2\"")),
        (b"a=1; session =x; b=2", Some(b"a=1; b=2")),
        (b"a=\xff; session=x; b=2", Some(b"a=\xff; b=2")),
        (b"a=1; sessions=x;b=2", Some(b"a=1; sessions=x;b=2")),
        (b"a=1; session", Some(b"a=1; session")),
        (b"a=1; Session=x", Some(b"a=1; Session=x")),
    ];
    for (line, expected) in cases {
        assert_eq!(rest(line).as_deref(), expected, "{}", line.escape_ascii());
    }
}

#[test]
fn a_removed_cookie_leaves_other_lines_in_their_order() {
    let lines: [(&str, &[u8]); 4] = [
        ("cookie", b"a=1"),
        ("cookie", b"session=x"),
        ("cookie", b"b=2; session=y"),
        ("cookie", b"c=3"),
    ];
    let head = without("cookie.session", head("/", &lines));
    let left: Vec<_> = head.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    assert_eq!(left, [b"a=1", b"b=2", b"c=3"]);
}

#[test]
fn a_removed_query_parameter_leaves_the_others_as_they_were() {
    let cases = [
        ("/p?t=x", "/p"),
        ("/p?t=x&t=y", "/p"),
        ("/p?a=1&t=x&b=2", "/p?a=1&b=2"),
        ("/p?t=x&b=%20+%zz", "/p?b=%20+%zz"),
        ("/p?a=1&t", "/p?a=1"),
        ("/p?a=1&%74=x&b=2", "/p?a=1&b=2"),
        ("/p?&a&&t=x&", "/p?&a&&"),
        ("/p?tt=x&T=y", "/p?tt=x&T=y"),
        ("/p", "/p"),
        ("http://a.example:80/p%2Fq?t=x&a=1", "http://a.example:80/p%2Fq?a=1"),
    ];
    for (target, expected) in cases {
        assert_eq!(without("query.t", head(target, &[])).uri.to_string(), expected);
    }
}

#[test]
fn a_removed_header_is_gone_and_an_authorization_of_another_scheme_is_not() {
    let lines: [(&str, &[u8]); 3] =
        [("x-api-key", b"x"), ("x-api-key", b"y"), ("authorization", b"Basic Og==")];
    let keyless = without("header.x-api-key", head("/", &lines));
    assert_eq!(keyless.headers.len(), 1);
    assert_eq!(without("header.authorization", keyless).headers.len(), 1);
    for value in [&b"Bearer x"[..], b"Bearer x y", b"bearer"] {
        let tokenless = without("header.authorization", head("/", &[("authorization", value)]));
        assert!(tokenless.headers.is_empty());
    }
}
