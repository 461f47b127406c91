//! Places in a JSON body, as settings name them: `body.items[].updatedAt`. A sample of differences
//! prints places the same way, so that one can be copied into a list of what to ignore.

use super::schema::word_schema;
use super::{Invalid, deserialize_text};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;

/// A place in a JSON body, or several: `body` alone is all of it, `.name` a member, `["a name"]` a
/// member whose name is no word, `[3]` an element, `[]` each element and `.*` each member or
/// element.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BodyPath(Box<[BodyStep]>);

/// One step of a path into a body.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BodyStep {
    /// The member of this name.
    Member(Box<str>),
    /// The element at this position, which counts from zero.
    Element(usize),
    /// Each element.
    Elements,
    /// Each member or element.
    Each,
}

impl BodyPath {
    /// The steps from the whole body to the place.
    pub fn steps(&self) -> &[BodyStep] {
        &self.0
    }
}

impl BodyStep {
    /// Whether it leads to the member of a name.
    pub fn is_member(&self, name: &str) -> bool {
        match self {
            BodyStep::Member(known) => **known == *name,
            BodyStep::Each => true,
            BodyStep::Element(_) | BodyStep::Elements => false,
        }
    }

    /// Whether it leads to the element at a position.
    pub fn is_element(&self, position: usize) -> bool {
        match self {
            BodyStep::Element(known) => *known == position,
            BodyStep::Elements | BodyStep::Each => true,
            BodyStep::Member(_) => false,
        }
    }
}

impl FromStr for BodyPath {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let no_path = || {
            let wanted = "write it as `body.items[].updatedAt`";
            Invalid::new(format!("`{text}` is no place in a body, {wanted}"))
        };
        let mut rest = text.strip_prefix("body").ok_or_else(no_path)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest).ok_or_else(no_path)?;
            steps.push(step);
            rest = after;
        }
        Ok(BodyPath(steps.into()))
    }
}

/// Reads the first step of a text, and what stands behind it.
fn step(text: &str) -> Option<(BodyStep, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        return match name {
            "*" => Some((BodyStep::Each, rest)),
            name if is_word(name) => Some((BodyStep::Member(name.into()), rest)),
            _ => None,
        };
    }
    if let Some(rest) = text.strip_prefix("[]") {
        return Some((BodyStep::Elements, rest));
    }
    let inside = text.strip_prefix('[')?;
    if inside.starts_with('"') {
        // JSON knows where its strings end.
        let mut names = serde_json::Deserializer::from_str(inside).into_iter::<String>();
        let name = names.next()?.ok()?;
        let rest = inside[names.byte_offset()..].strip_prefix(']')?;
        return Some((BodyStep::Member(name.into()), rest));
    }
    let (position, rest) = inside.split_once(']')?;
    let digits = !position.is_empty() && position.bytes().all(|b| b.is_ascii_digit());
    Some((BodyStep::Element(position.parse().ok().filter(|_| digits)?), rest))
}

/// Whether a name stands behind a dot as it is.
fn is_word(name: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@');
    !name.is_empty() && name.chars().all(in_word)
}

impl fmt::Display for BodyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("body")?;
        self.0.iter().try_for_each(|step| step.fmt(f))
    }
}

impl fmt::Display for BodyStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyStep::Member(name) if is_word(name) => write!(f, ".{name}"),
            BodyStep::Member(name) => {
                write!(f, "[{}]", serde_json::Value::from(&**name))
            }
            BodyStep::Element(position) => write!(f, "[{position}]"),
            BodyStep::Elements => f.write_str("[]"),
            BodyStep::Each => f.write_str(".*"),
        }
    }
}

impl<'de> Deserialize<'de> for BodyPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a place in a body such as `body.items[].updatedAt`")
    }
}

word_schema!(
    BodyPath,
    "BodyPath",
    "A place in a JSON body: `.name` is a member, `[\"a name\"]` one whose name is no word, `[3]` an element, `[]` each element, `.*` each member or element.",
    {"type": "string", "examples": ["body.generatedAt", "body.items[].updatedAt"]}
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> BodyPath {
        text.parse().unwrap()
    }

    #[test]
    fn every_step_is_read() {
        let member = |name: &str| BodyStep::Member(name.into());
        assert_eq!(path("body").steps(), []);
        assert_eq!(
            path("body.items[].*[3].updatedAt").steps(),
            [
                member("items"),
                BodyStep::Elements,
                BodyStep::Each,
                BodyStep::Element(3),
                member("updatedAt")
            ]
        );
        assert_eq!(path(r#"body["a.b]\""].c"#).steps(), [member("a.b]\""), member("c")]);
    }

    #[test]
    fn what_is_no_place_says_how_to_write_one() {
        for text in [
            "",
            "items",
            "bodyitems",
            "body.",
            "body.a b",
            "body[",
            "body[-1]",
            "body[+1]",
            "body[\"a]",
            "body..a",
        ] {
            let refusal = text.parse::<BodyPath>().unwrap_err().to_string();
            assert!(refusal.contains("`body.items[].updatedAt`"), "{refusal}");
        }
    }

    proptest! {
        #[test]
        fn display_parses_back(names in proptest::collection::vec(".{0,6}", 0..4)) {
            let steps = names.into_iter().map(|name| BodyStep::Member(name.into()));
            let path = BodyPath(steps.collect());
            prop_assert_eq!(path.to_string().parse::<BodyPath>().unwrap(), path);
        }
    }
}
