use super::*;
use proptest::prelude::*;

const KEEP: PathRules =
    PathRules { empty_segments: EmptySegments::Keep, encoded_slashes: EncodedSlashes::Keep };

fn normal(path: &str) -> String {
    PathRules::default().normalise(path).unwrap().into_owned()
}

fn kept(path: &str) -> String {
    KEEP.normalise(path).unwrap().into_owned()
}

#[test]
fn dot_segments_are_resolved_as_the_rfc_does() {
    // RFC 3986 §5.2.4 and §5.4, as far as they are about paths.
    for (path, expected) in [
        ("/a/b/c/./../../g", "/a/g"),
        ("/b/c/.", "/b/c/"),
        ("/b/c/./", "/b/c/"),
        ("/b/c/..", "/b/"),
        ("/b/c/../", "/b/"),
        ("/b/c/../g", "/b/g"),
        ("/b/c/../..", "/"),
        ("/b/c/../../../g", "/g"),
        ("/../../../g", "/g"),
        ("/./g", "/g"),
        ("/b/c/g.", "/b/c/g."),
        ("/b/c/.g", "/b/c/.g"),
        ("/b/c/g..", "/b/c/g.."),
        ("/b/c/..g", "/b/c/..g"),
        ("/b/c/...", "/b/c/..."),
        ("/b/c/./g/.", "/b/c/g/"),
        ("/b/c/g;x=1/./y", "/b/c/g;x=1/y"),
        ("/b/c/g;x=1/../y", "/b/c/y"),
        ("/.", "/"),
        ("/..", "/"),
    ] {
        assert_eq!(normal(path), expected, "{path}");
        assert_eq!(kept(path), expected, "{path}");
    }
}

#[test]
fn an_encoded_dot_is_a_dot() {
    for path in ["/x/%2e%2e/admin", "/x/.%2E/admin", "/x/%2e./admin", "/%2e/admin", "/%2E%2e/admin"]
    {
        assert_eq!(normal(path), "/admin", "{path}");
    }
}

#[test]
fn percent_encodings_have_one_spelling() {
    for (path, expected) in [
        ("/%61dmin", "/admin"),
        ("/%41%7e%2D%5f", "/A~-_"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%20b%3a%3B", "/a%20b%3A%3B"),
        // Reserved characters mean something else when they are encoded (RFC 3986 §2.2).
        ("/a:b;c=d@e", "/a:b;c=d@e"),
        // What no path has as it is, and some clients send all the same.
        ("/a[0]|\"<x>^`{y}", "/a%5B0%5D%7C%22%3Cx%3E%5E%60%7By%7D"),
    ] {
        assert_eq!(normal(path), expected, "{path}");
    }
}

#[test]
fn what_is_encoded_twice_is_decoded_once_at_most() {
    for path in ["/%252e%252e/admin", "/%2561dmin", "/a%252Fb", "/a%255Cb", "/%2500"] {
        assert_eq!(normal(path), path);
    }
}

#[test]
fn empty_segments_are_merged_or_kept() {
    for (path, merged, kept_path) in [
        ("//admin", "/admin", "//admin"),
        ("/a///b//", "/a/b/", "/a///b//"),
        ("//", "/", "//"),
        ("/a//../b", "/b", "/a/b"),
        ("/a//.", "/a/", "/a//"),
        ("/a/", "/a/", "/a/"),
        ("/", "/", "/"),
    ] {
        assert_eq!(normal(path), merged, "{path}");
        assert_eq!(kept(path), kept_path, "{path}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for (path, reason) in [
        ("/a%", BAD_PERCENT),
        ("/a%2", BAD_PERCENT),
        ("/a%2/b", BAD_PERCENT),
        ("/a%zz", BAD_PERCENT),
        ("/a%+1", BAD_PERCENT),
        ("/a%u002e", BAD_PERCENT),
        ("/a%00", CONTROL),
        ("/a%0d%0aX: 1", CONTROL),
        ("/a%7F", CONTROL),
        ("/a\u{1}", CONTROL),
        ("/a\\..\\admin", BACKSLASH),
        ("/caf\u{e9}", NOT_ASCII),
        ("/admin%2f", ENCODED_SLASH),
        ("/admin%5c..", ENCODED_SLASH),
        ("/admin/..;/", HIDDEN_DOTS),
        ("/admin/.;x=1/", HIDDEN_DOTS),
        ("/admin/%2e%2e;", HIDDEN_DOTS),
        ("/admin/..%3b/", HIDDEN_DOTS),
    ] {
        assert_eq!(PathRules::default().normalise(path), Err(reason), "{path}");
    }
}

#[test]
fn a_kept_slash_is_data_unless_dots_stand_beside_it() {
    assert_eq!(kept("/files/a%2fb%5cc"), "/files/a%2Fb%5Cc");
    assert_eq!(kept("/files/a..%2F..b"), "/files/a..%2F..b");
    for path in ["/files/..%2fadmin", "/files/a%2F..", "/files/a%2f.%2fb", "/files/..;x%5cb"] {
        assert_eq!(KEEP.normalise(path), Err(HIDDEN_DOTS), "{path}");
    }
}

#[test]
fn a_normal_path_is_not_copied() {
    for path in [
        "/",
        "/api/v1/users/12345/orders",
        "/api/v1/users/jane.doe@example.com/~home/a:b;c=d",
        "/caf%C3%A9/a%20b/.well-known/..x",
        "/a/",
    ] {
        assert!(matches!(PathRules::default().normalise(path), Ok(Cow::Borrowed(_))), "{path}");
    }
}

/// Removes dot segments by the letter of RFC 3986 §5.2.4.
fn remove_dot_segments(path: &str) -> String {
    let (mut input, mut output) = (path.to_owned(), String::new());
    while !input.is_empty() {
        if input.starts_with("/./") {
            input.replace_range(..2, "");
        } else if input == "/." {
            input = "/".to_owned();
        } else if input.starts_with("/../") || input == "/.." {
            let rest = input.get(3..).filter(|rest| !rest.is_empty()).unwrap_or("/").to_owned();
            input = rest;
            output.truncate(output.rfind('/').unwrap_or_default());
        } else {
            let end = input[1..].find('/').map_or(input.len(), |at| at + 1);
            output.push_str(&input[..end]);
            input.replace_range(..end, "");
        }
    }
    output
}

/// Pieces that paths go wrong with.
fn path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/",
        "/",
        "/",
        ".",
        "..",
        "a",
        "admin",
        "%2e",
        "%2E",
        "%2f",
        "%5C",
        "%61",
        "%25",
        "%c3",
        "%C3%A9",
        "%00",
        "%3B",
        ";",
        "~",
        "é",
        "[",
        "%zz",
        "%",
        "\\",
        "x.y",
        "longer-segment_1",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn rules() -> impl Strategy<Value = PathRules> {
    prop::sample::select(vec![
        PathRules::default(),
        KEEP,
        PathRules { empty_segments: EmptySegments::Merge, ..KEEP },
        PathRules { encoded_slashes: EncodedSlashes::Refuse, ..KEEP },
    ])
}

proptest! {
    #[test]
    fn normalising_twice_changes_nothing_more(path in path(), rules in rules()) {
        if let Ok(once) = rules.normalise(&path) {
            prop_assert_eq!(rules.normalise(&once), Ok(once.clone()));
            prop_assert_eq!(rules.rewrite(&once), Ok(once.into_owned()));
        }
    }

    #[test]
    fn what_comes_out_has_one_spelling(path in path(), rules in rules()) {
        if let Ok(normal) = rules.normalise(&path) {
            prop_assert!(normal.starts_with('/') && normal.is_ascii());
            prop_assert!(!normal.split('/').any(|segment| matches!(segment, "." | "..")), "{normal}");
            prop_assert!(rules.empty_segments == EmptySegments::Keep || !normal.contains("//"));
            for (at, _) in normal.match_indices('%') {
                let digits = &normal[at + 1..at + 3];
                let byte = u8::from_str_radix(digits, 16).unwrap();
                prop_assert_eq!(digits, digits.to_ascii_uppercase());
                prop_assert!(!byte.is_ascii_control() && class(byte) != Class::Unreserved);
                let slash = matches!(byte, b'/' | b'\\');
                prop_assert!(!slash || rules.encoded_slashes == EncodedSlashes::Keep);
            }
            let allowed = |byte: u8| {
                matches!(class(byte), Class::Unreserved | Class::Reserved | Class::Percent | Class::Slash)
            };
            prop_assert!(normal.bytes().all(allowed), "{normal}");
        }
    }

    #[test]
    fn dots_are_resolved_by_the_letter_of_the_rfc(path in "(/(\\.|\\.\\.|a|bc|)){1,8}") {
        prop_assert_eq!(kept(&path), remove_dot_segments(&path));
    }

    #[test]
    fn the_quick_look_never_errs(path in "/[a./_%;-]{0,20}", rules in rules()) {
        if is_plain(path.as_bytes()) {
            prop_assert_eq!(rules.rewrite(&path), Ok(path));
        }
    }

    #[test]
    fn any_bytes_are_normalised_or_refused(path in ".{0,40}", rules in rules()) {
        let _ = rules.normalise(&format!("/{path}"));
    }
}
