//! A mistake that only shows after parsing, such as a route that names an unknown service, still
//! has to say where it stands. It collects its YAML path on the way up, one step per caller.

use std::fmt;

/// Says what is wrong with the configuration, and at which YAML path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The path from the root of the document; empty when nobody has placed the mistake yet.
    pub at: Vec<Step>,
    /// What is wrong and what was probably meant, in lower case and without a full stop.
    pub message: String,
    /// Text that the mistake is about and that stands somewhere below the path, where the path
    /// does not lead all the way.
    pub about: Option<String>,
}

/// Names one step of a path into the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Enters a map at a key.
    Key(String),
    /// Enters a list at a position that counts from zero.
    Index(usize),
}

impl Invalid {
    /// Describes a mistake that has no place yet.
    pub fn new(message: impl Into<String>) -> Self {
        Invalid { at: Vec::new(), message: message.into(), about: None }
    }

    /// Says which text the mistake is about.
    #[must_use]
    pub fn about(mut self, text: impl Into<String>) -> Self {
        self.about = Some(text.into());
        self
    }

    /// Puts a step in front of the path: callers add what they know while the error travels up.
    #[must_use]
    pub fn under(mut self, step: impl Into<Step>) -> Self {
        self.at.insert(0, step.into());
        self
    }
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Step::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Step::Index(index)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.at.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        if !self.at.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Invalid {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_reads_from_the_root() {
        let invalid =
            Invalid::new("no such path").under("path").under("match").under(0).under("routes");
        assert_eq!(invalid.to_string(), "routes[0].match.path: no such path");
    }

    #[test]
    fn mistake_without_a_place_is_its_message() {
        assert_eq!(Invalid::new("no routes").to_string(), "no routes");
    }
}
