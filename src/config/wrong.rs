//! What serde finds wrong, in the words of this gateway, and on which way through the tree.

use crate::value::nearest;
use serde::de::{self, Expected, Unexpected};
use std::fmt::{self, Display};

/// What is wrong with a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What.
    pub message: String,
    /// The numbers of the children that lead to it, the innermost first.
    pub way: Vec<usize>,
    /// Whether it is the key of the last child and not its value.
    pub is_key: bool,
}

impl Wrong {
    /// Something wrong right here.
    pub fn new(message: impl Into<String>) -> Self {
        Wrong { message: message.into(), way: Vec::new(), is_key: false }
    }

    /// Says in which child it was found.
    pub fn in_child(mut self, number: usize) -> Self {
        self.way.push(number);
        self
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: Display>(message: T) -> Self {
        Wrong::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let meant = meant(expected);
        let typed = match unexpected {
            // It may be `USER:PASSWORD`.
            Unexpected::Str(_) if meant == "a mapping" => "text".to_owned(),
            other => typed(other),
        };
        Wrong::new(format!("{typed} stands here, expected {meant}"))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Wrong::new(format!("{} does not fit here, expected {}", typed(unexpected), meant(expected)))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Wrong::new(unknown("word", variant, known))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Wrong::new(unknown("key", field, known))
    }

    fn missing_field(field: &'static str) -> Self {
        Wrong::new(format!("the key `{field}` is missing"))
    }
}

/// Answers a word that is not known with the one that was probably meant, or with all there are.
fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    // What differs by its case or its signs alone is the same word to whoever typed it.
    let plain = |word: &str| word.replace(['_', '-'], "").to_lowercase();
    let same = known.iter().find(|known| plain(known) == plain(word)).copied();
    match same.or_else(|| nearest(word, known.iter().copied())) {
        Some(meant) => format!("unknown {what} `{word}`, did you mean `{meant}`?"),
        None if known.is_empty() => format!("unknown {what} `{word}`, none is known here"),
        None => format!("unknown {what} `{word}`, known here: `{}`", known.join("`, `")),
    }
}

fn typed(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Str(text) => format!("`{text}`"),
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(number) => format!("`{number}`"),
        Unexpected::Signed(number) => format!("`{number}`"),
        Unexpected::Float(number) => format!("`{number}`"),
        other => other.to_string(),
    }
}

/// What serde expects, where its own words are Rust's.
fn meant(expected: &dyn Expected) -> String {
    let words = expected.to_string();
    match words.as_str() {
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a string" => "text".to_owned(),
        "path string" => "a path".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number".to_owned(),
        "i64" | "f64" => "a number".to_owned(),
        _ if words.starts_with("struct ") || words == "a map" => "a mapping".to_owned(),
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::Error;

    #[test]
    fn an_unknown_key_is_answered_with_the_one_that_was_meant() {
        let known = &["rate_limit", "retry", "timeouts"];
        for typed in ["ratelimit", "rateLimit", "rate-limit", "rate_limits"] {
            let told = Wrong::unknown_field(typed, known).message;
            assert_eq!(told, format!("unknown key `{typed}`, did you mean `rate_limit`?"));
        }
        let told = Wrong::unknown_field("banana", known).message;
        assert_eq!(told, "unknown key `banana`, known here: `rate_limit`, `retry`, `timeouts`");
    }
}
