use super::*;

fn headers(values: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

#[test]
fn one_token_after_bearer_is_read_as_it_stands() {
    let good = [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER abc", "abc"),
        ("bEaReR abc", "abc"),
        ("Bearer a", "a"),
        ("Bearer 0", "0"),
        ("Bearer  abc", "abc"),
        ("Bearer     abc", "abc"),
        ("Bearer abc=", "abc="),
        ("Bearer abc==", "abc=="),
        ("Bearer abc=====", "abc====="),
        ("Bearer mF_9.B5f-4.1JqM", "mF_9.B5f-4.1JqM"),
        ("Bearer a.b.c", "a.b.c"),
        ("Bearer ...", "..."),
        ("Bearer -._~+/", "-._~+/"),
        ("Bearer Bearer", "Bearer"),
        ("Bearer AAAA/BBBB+CCCC==", "AAAA/BBBB+CCCC=="),
        ("Bearer ~", "~"),
    ];
    for (value, token) in good {
        let headers = headers(&[value.as_bytes()]);
        let read = Authorization::read(&headers).unwrap().unwrap();
        assert_eq!(read, Authorization::Bearer(token), "{value}");
        assert_eq!((read.bearer(), read.basic()), (Some(token), None), "{value}");
    }
}

#[test]
fn one_token_after_basic_is_read_as_it_stands() {
    let good = [
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("basic dGVzdDoxMjPCow==", "dGVzdDoxMjPCow=="),
        ("BASIC   Og==", "Og=="),
        ("Basic a", "a"),
    ];
    for (value, token) in good {
        let headers = headers(&[value.as_bytes()]);
        let read = Authorization::read(&headers).unwrap().unwrap();
        assert_eq!((read.bearer(), read.basic()), (None, Some(token)), "{value}");
    }
}

#[test]
fn what_is_not_one_token_after_bearer_is_refused_as_bearer() {
    let bad: &[&[u8]] = &[
        b"Bearer",
        b"bearer",
        b"Bearer ",
        b"Bearer    ",
        b"Bearer =",
        b"Bearer ==",
        b"Bearer =abc",
        b"Bearer a=b",
        b"Bearer a==b",
        b"Bearer abc ",
        b"Bearer abc  ",
        b"Bearer abc def",
        b"Bearer abc\tdef",
        b"Bearer \tabc",
        b"Bearer abc\t",
        b"Bearer abc,",
        b"Bearer ,abc",
        b"Bearer abc,def",
        b"Bearer abc, def",
        b"Bearer abc, Bearer def",
        b"Bearer abc,Basic Og==",
        b"Bearer token=\"abc\"",
        b"Bearer \"abc\"",
        b"Bearer 'abc'",
        b"Bearer abc;",
        b"Bearer abc:def",
        b"Bearer abc%20",
        b"Bearer <abc>",
        b"Bearer a@b",
        b"Bearer a*b",
        b"Bearer a\\b",
        b"Bearer {abc}",
        b"Bearer a|b",
        b"Bearer abc\xe2\x80\x8b",
        b"Bearer \xc3\xa9",
        b"Bearer \xff",
        b"Bearer abc\x80",
        b"Bearer realm=x, abc",
    ];
    for value in bad {
        let refused = Authorization::read(&headers(&[value])).unwrap_err();
        assert_eq!(refused, Malformed::Token(Scheme::Bearer), "{}", value.escape_ascii());
        assert_eq!(refused.scheme(), Some(Scheme::Bearer));
    }
}

#[test]
fn what_is_not_one_token_after_basic_is_refused_as_basic() {
    let bad: &[&[u8]] = &[
        b"Basic",
        b"Basic ",
        b"Basic Og== ",
        b"Basic Og==,",
        b"Basic Og== Og==",
        b"Basic user:password",
        b"Basic realm=\"x\"",
        b"Basic \tOg==",
        b"Basic \xc2\xa3",
        b"Basic =",
    ];
    for value in bad {
        let refused = Authorization::read(&headers(&[value])).unwrap_err();
        assert_eq!(refused, Malformed::Token(Scheme::Basic), "{}", value.escape_ascii());
    }
}

#[test]
fn a_value_that_does_not_begin_with_a_scheme_is_refused() {
    let bad: &[&[u8]] = &[
        b"",
        b" ",
        b" Bearer abc",
        b"\tBearer abc",
        b"Bearer\tabc",
        b"Bearer\t abc",
        b"Bearer:abc",
        b"Bearer: abc",
        b"Bearer=abc",
        b"Bearer, abc",
        b"Bearer,Bearer abc",
        b"\"Bearer\" abc",
        b"Bearer/1 abc",
        b"Bea\xc3\xa9rer abc",
        b"\xef\xbb\xbfBearer abc",
        b"Bearer\xc2\xa0abc",
        b"{Bearer} abc",
        b"=",
        b"abc==",
        b"a,b",
    ];
    for value in bad {
        let refused = Authorization::read(&headers(&[value])).unwrap_err();
        assert_eq!(refused, Malformed::NoScheme, "{}", value.escape_ascii());
        assert_eq!(refused.scheme(), None);
    }
}

#[test]
fn other_schemes_are_not_read() {
    let other: [(&[u8], &str, &[u8]); 8] = [
        (b"Digest username=\"a\", realm=\"b\"", "Digest", b"username=\"a\", realm=\"b\""),
        (b"Negotiate YII=", "Negotiate", b"YII="),
        (b"Negotiate", "Negotiate", b""),
        (b"DPoP  abc", "DPoP", b"abc"),
        (b"Bearers abc", "Bearers", b"abc"),
        (b"Bearer1 abc", "Bearer1", b"abc"),
        (b"eyJh.eyJz.c2ln", "eyJh.eyJz.c2ln", b""),
        (b"AWS4-HMAC-SHA256 \xff", "AWS4-HMAC-SHA256", b"\xff"),
    ];
    for (value, scheme, rest) in other {
        let headers = headers(&[value]);
        let read = Authorization::read(&headers).unwrap().unwrap();
        assert_eq!(read, Authorization::Other { scheme, rest });
        assert_eq!((read.bearer(), read.basic()), (None, None));
    }
}

#[test]
fn a_second_field_is_refused_even_where_it_says_the_same() {
    for second in [&b"Bearer abc"[..], b"Basic Og==", b""] {
        let headers = headers(&[b"Bearer abc", second]);
        assert_eq!(Authorization::read(&headers), Err(Malformed::Repeated));
    }
}

#[test]
fn no_field_is_no_credential() {
    assert_eq!(Authorization::read(&HeaderMap::new()), Ok(None));
}

#[test]
fn debug_output_does_not_tell_the_credential() {
    for value in [&b"Bearer hush"[..], b"Basic hush", b"Other hush", b"hush"] {
        let headers = headers(&[value]);
        let read = Authorization::read(&headers).unwrap();
        assert!(!format!("{read:?}").contains("hush"));
    }
}
