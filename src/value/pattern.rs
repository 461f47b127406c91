//! Regular expressions of the configuration. One matches the whole of a text, as every other
//! condition does, and in time that is linear in the text's length: there is nothing that a client
//! could send to make it slow. What that costs is look-around and back references.

use super::schema::word_schema;
use std::fmt;
use std::str::FromStr;

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer};

use super::{Invalid, deserialize_text};

/// The most bytes that one compiled expression may take: a repetition such as `(a{99}){99}` is a
/// mistake rather than a wish.
const LARGEST: usize = 1 << 20;
/// The most bytes that the states of one expression are remembered in, per thread that uses it.
const REMEMBERED: usize = 256 << 10;

/// A regular expression that has to match the whole of a text. Two are equal where their texts
/// are.
#[derive(Clone)]
pub struct Pattern {
    text: Box<str>,
    whole: Regex,
}

impl Pattern {
    /// Tells whether the expression matches all of the text.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.whole.is_match(text)
    }

    /// Returns what was typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Walks the names of its groups: `id` of `(?<id>[0-9]+)`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.whole.capture_names().flatten()
    }

    /// Returns what a group matched, if the whole text matches and the group took part in it.
    pub fn capture<'t>(&self, text: &'t [u8], name: &str) -> Option<&'t [u8]> {
        Some(self.whole.captures(text)?.name(name)?.as_bytes())
    }
}

/// Compiles for bytes: what it is matched against is ASCII, or anything at all.
fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).unicode(false).size_limit(LARGEST).dfa_size_limit(REMEMBERED).build()
}

impl FromStr for Pattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = |error: &regex::Error| {
            let reason = match error {
                regex::Error::CompiledTooBig(_) => "is too large".to_owned(),
                // The last line says what is wrong, those before it draw where.
                error => {
                    let drawn = error.to_string();
                    let reason = drawn.lines().last().unwrap_or_default();
                    format!("cannot be read: {}", reason.trim_start_matches("error: "))
                }
            };
            Invalid::new(format!("the regular expression `{text}` {reason}"))
        };
        // By itself first: `a)|(b` would only make sense inside the parentheses below.
        compile(text).map_err(|error| refuse(&error))?;
        let whole = compile(&format!(r"\A(?:{text})\z")).map_err(|error| refuse(&error))?;
        Ok(Pattern { text: text.into(), whole })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a regular expression")
    }
}

word_schema!(
    Pattern,
    "Regex",
    "A regular expression that fits the whole text; matching takes linear time.",
    {"type": "string", "examples": ["[a-z]+-[0-9]+"]}
);

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> String {
        text.parse::<Pattern>().unwrap_err().to_string()
    }

    #[test]
    fn the_whole_text_has_to_match() {
        assert!(pattern("a|ab").matches(b"ab"));
        assert!(!pattern("a|b").matches(b"ab"));
        assert!(!pattern("a").matches(b"a\n"));
        assert!(!pattern("(?m)^a$").matches(b"a\nb"));
        assert!(pattern("[^/]+").matches(b"\xff"));
    }

    #[test]
    fn groups_are_found_by_name() {
        let pattern = pattern("/(?<kind>a|b)/(?<id>[0-9]+)(?:/(?<rest>.*))?");
        assert_eq!(pattern.names().collect::<Vec<_>>(), ["kind", "id", "rest"]);
        assert_eq!(pattern.capture(b"/b/12", "id"), Some(&b"12"[..]));
        assert_eq!(pattern.capture(b"/b/12", "rest"), None);
        assert_eq!(pattern.capture(b"/c/12", "id"), None);
    }

    #[test]
    fn what_is_no_expression_is_refused_with_a_reason() {
        assert!(refusal("a(").contains("unclosed group"), "{}", refusal("a("));
        assert!(refusal("a)|(b").contains("unopened group"), "{}", refusal("a)|(b"));
        assert!(refusal("(?=a)").contains("look-around"), "{}", refusal("(?=a)"));
        assert!(refusal("(?:a{999}){999}").contains("is too large"));
        assert!(refusal("(?x)a # b").contains("cannot be read"));
    }
}
