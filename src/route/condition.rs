//! What a rule asks of header fields and query parameters.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;

use crate::value::Pattern;

/// A condition on what a request has under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition<N> {
    /// The name.
    pub name: N,
    /// What must be true of its value.
    pub test: Test,
}

/// What must be true of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// It is there, whatever it says.
    Present,
    /// It is not there.
    Absent,
    /// It is one of these, byte for byte.
    Equals(Vec<String>),
    /// All of it matches.
    Matches(Pattern),
}

impl Condition<HeaderName> {
    /// Whether it holds. Several lines of a field are one value with commas (RFC 9110 §5.2), so
    /// that who sends two is not taken for who sends either.
    pub fn holds_in(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(&self.name).iter();
        let (first, second) = (lines.next(), lines.next());
        match (first, second) {
            (Some(first), Some(_)) => {
                // Rare enough for an allocation, and as long as what was received.
                let mut value = first.as_bytes().to_vec();
                for line in headers.get_all(&self.name).iter().skip(1) {
                    value.extend_from_slice(b", ");
                    value.extend_from_slice(line.as_bytes());
                }
                self.test.accepts(Some(&value))
            }
            (value, _) => self.test.accepts(value.map(|value| value.as_bytes())),
        }
    }
}

impl Condition<String> {
    /// Whether it holds. Name and value are percent-decoded, `+` stays as it is, and of several
    /// values the first counts: all as in `$(query.NAME)`.
    pub fn holds_in(&self, query: Option<&str>) -> bool {
        let mut pairs = query.unwrap_or_default().split('&');
        let value = pairs.find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let is_it = match name.contains('%') {
                true => percent_decode_str(name).eq(self.name.bytes()),
                false => name == self.name && !pair.is_empty(),
            };
            is_it.then_some(value)
        });
        match (&self.test, value) {
            (Test::Present | Test::Absent, value) => self.test.accepts(value.map(str::as_bytes)),
            // It is copied where something in it is encoded.
            (_, Some(value)) => {
                let value: Cow<'_, [u8]> = percent_decode_str(value).into();
                self.test.accepts(Some(&value))
            }
            (_, None) => self.test.accepts(None),
        }
    }
}

impl Test {
    /// Whether a value passes, or its absence does.
    pub fn accepts(&self, value: Option<&[u8]>) -> bool {
        match (self, value) {
            (Test::Present, value) => value.is_some(),
            (Test::Absent, value) => value.is_none(),
            (_, None) => false,
            (Test::Equals(these), Some(value)) => these.iter().any(|one| one.as_bytes() == value),
            (Test::Matches(pattern), Some(value)) => pattern.matches(value),
        }
    }

    /// Whether no value passes both. Two different expressions are taken to exclude each other:
    /// they are not reasoned about, and where one value does pass both, the file's order decides.
    pub(super) fn excludes(&self, other: &Test) -> bool {
        match (self, other) {
            (Test::Absent, Test::Absent) => false,
            (Test::Absent, _) | (_, Test::Absent) => true,
            (Test::Present, _) | (_, Test::Present) => false,
            (Test::Equals(these), other) | (other, Test::Equals(these)) => {
                !these.iter().any(|one| other.accepts(Some(one.as_bytes())))
            }
            (Test::Matches(one), Test::Matches(other)) => one != other,
        }
    }

    /// Whether it is plain that every value which passes this passes the other.
    pub(super) fn implies(&self, other: &Test) -> bool {
        match (self, other) {
            (Test::Absent, Test::Absent) => true,
            (Test::Absent, _) | (_, Test::Absent) => false,
            (_, Test::Present) => true,
            (Test::Equals(these), other) => {
                these.iter().all(|one| other.accepts(Some(one.as_bytes())))
            }
            (Test::Matches(one), Test::Matches(other)) => one == other,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn equals(values: &[&str]) -> Test {
        Test::Equals(values.iter().map(|value| (*value).to_owned()).collect())
    }

    fn matches(pattern: &str) -> Test {
        Test::Matches(pattern.parse().unwrap())
    }

    fn header(test: Test, lines: &[&'static str]) -> bool {
        let name = HeaderName::from_static("x-version");
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_static(line));
        }
        Condition { name, test }.holds_in(&headers)
    }

    fn query(name: &str, test: Test, query: Option<&str>) -> bool {
        Condition { name: name.to_owned(), test }.holds_in(query)
    }

    #[test]
    fn a_field_is_compared_whole() {
        assert!(header(equals(&["1"]), &["1"]) && header(equals(&["2", "1"]), &["1"]));
        assert!(!header(equals(&["1"]), &["10"]) && !header(equals(&["1"]), &[]));
        assert!(header(matches("1|2"), &["2"]) && !header(matches("1|2"), &["12"]));
        assert!(header(Test::Present, &[""]) && !header(Test::Present, &[]));
        assert!(header(Test::Absent, &[]) && !header(Test::Absent, &[""]));
    }

    #[test]
    fn two_lines_of_a_field_are_neither_of_them() {
        assert!(!header(equals(&["1"]), &["1", "2"]) && !header(equals(&["2"]), &["1", "2"]));
        assert!(header(equals(&["1, 2, 3"]), &["1", "2", "3"]));
        assert!(header(matches("1, .*"), &["1", "2"]));
    }

    #[test]
    fn a_parameter_is_compared_decoded_and_the_first_counts() {
        let one = || equals(&["1"]);
        assert!(query("v", one(), Some("a=0&v=1")) && query("v", one(), Some("%76=%31")));
        assert!(query("v", one(), Some("v=1&v=2")) && !query("v", one(), Some("v=2&v=1")));
        assert!(!query("v", one(), Some("vv=1&V=1")) && !query("v", one(), None));
        assert!(query("a b", equals(&["x y"]), Some("a%20b=x%20y")));
        assert!(!query("a b", Test::Present, Some("a+b=1")));
        assert!(query("flag", Test::Present, Some("flag")));
        assert!(query("flag", Test::Absent, Some("flags=1")) && query("x", Test::Absent, None));
        assert!(query("v", matches("[0-9]+"), Some("v=4%32")));
    }

    #[test]
    fn tests_exclude_each_other_where_no_value_passes_both() {
        for (a, b) in [
            (equals(&["1"]), equals(&["2"])),
            (equals(&["1"]), matches("[2-9]")),
            (matches("a.*"), matches("b.*")),
            (Test::Present, Test::Absent),
            (matches(".*"), Test::Absent),
        ] {
            assert!(a.excludes(&b) && b.excludes(&a), "{a:?} {b:?}");
        }
        for (a, b) in [
            (equals(&["1", "2"]), equals(&["2", "3"])),
            (equals(&["1"]), matches("[0-9]")),
            (equals(&["1"]), Test::Present),
            (matches("a"), matches("a")),
            (Test::Absent, Test::Absent),
        ] {
            assert!(!a.excludes(&b) && !b.excludes(&a), "{a:?} {b:?}");
        }
    }

    #[test]
    fn narrower_tests_imply_wider_ones() {
        for (narrow, wide) in [
            (equals(&["1"]), equals(&["1", "2"])),
            (equals(&["1", "2"]), matches("[0-9]")),
            (matches("a"), Test::Present),
        ] {
            assert!(narrow.implies(&wide) && !wide.implies(&narrow), "{narrow:?} {wide:?}");
        }
        assert!(Test::Absent.implies(&Test::Absent) && !Test::Absent.implies(&Test::Present));
        assert!(!matches("a").implies(&matches("a|b")), "expressions are not reasoned about");
    }
}
