//! Words that others chose, such as roles and subjects: they may hold nearly anything, but nothing
//! that cannot be seen, since two that look alike should be alike.

use super::schema::word_schema;
use super::{Invalid, deserialize_text};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// A role, a tag, a subject and the like: 1 to 256 characters, none of them invisible, no space at its ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Box<str>);

const LONGEST: usize = 256;

/// The characters that no font draws, beside controls: soft hyphens, joiners, marks of direction,
/// variation selectors, tags, fillers, and the marks of a file's beginning (Unicode's
/// `Default_Ignorable_Code_Point`, the usual ones).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}'
    )
}

impl FromStr for Label {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::new("a word is missing here"));
        }
        if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
            return Err(Invalid::new(format!("`{text}` has a space at its beginning or end")));
        }
        // A space that is no plain one looks like a plain one.
        let hidden =
            |c: &char| c.is_control() || is_invisible(*c) || (c.is_whitespace() && *c != ' ');
        if let Some(c) = text.chars().find(hidden) {
            let code = u32::from(c);
            return Err(Invalid::new(format!(
                "`{}` holds a character that cannot be seen, U+{code:04X}",
                text.replace(c, "\u{fffd}")
            )));
        }
        if text.chars().count() > LONGEST {
            return Err(Invalid::new(format!("this is longer than {LONGEST} characters")));
        }
        Ok(Label(text.into()))
    }
}

impl Deref for Label {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a word")
    }
}

word_schema!(
    Label,
    "Label",
    "A role, a tag, a subject and the like: 1 to 256 characters, none of them invisible, no space at its ends.",
    {"type": ["string", "integer"], "examples": ["admin", "orders:write"]}
);

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<Label>().unwrap_err().to_string()
    }

    #[test]
    fn what_can_be_seen_may_stand_in_a_label() {
        for text in ["admin", "Domain Users", "orders:write", "https://ns.example/role", "größe"]
        {
            assert_eq!(&*text.parse::<Label>().unwrap(), text);
        }
        assert_eq!(&*serde_yaml::from_str::<Label>("7").unwrap(), "7");
    }

    #[test]
    fn what_cannot_be_seen_is_refused_and_named() {
        assert_eq!(
            refusal("admin\u{200b}"),
            "`admin\u{fffd}` holds a character that cannot be seen, U+200B"
        );
        for hidden in ["a\u{feff}b", "a\u{202e}b", "a\u{a0}b", "a\tb", "a\0b", "a\u{e0041}b"] {
            assert!(refusal(hidden).contains("cannot be seen"), "{hidden:?}");
        }
        assert!(refusal(" admin").contains("a space at its beginning"));
        assert!(refusal("admin\u{a0}").contains("a space at its beginning or end"));
        assert!(refusal("").contains("missing"));
        assert!(refusal(&"x".repeat(257)).contains("256"));
    }
}
