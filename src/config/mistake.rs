//! What is wrong with a document, and how that is told.

use super::tree::Place;
use crate::value::{Invalid, Step};
use serde::Serialize;
use std::fmt::{self, Write};
use std::path::PathBuf;

/// Something that was found in a document, at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub place: Place,
    /// The path to it; empty where the text alone is at fault.
    pub path: Vec<Step>,
    /// What, in lower case and without a full stop.
    pub message: String,
}

impl Found {
    /// Something that has a place and no path.
    pub fn at(place: Place, message: impl Into<String>) -> Self {
        Found { place, path: Vec::new(), message: message.into() }
    }
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The document cannot be served.
    Error,
    /// It can, and may not do what was meant.
    Remark,
}

/// One thing to tell about a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// How much it matters.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 where the file could not be read at all.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How many characters are meant.
    pub width: usize,
    /// The path in the document, as `routes[0].match`; empty where the text alone is at fault.
    pub path: String,
    /// What is wrong, and what was probably meant.
    pub message: String,
    /// The line as it was typed, but for the values of secrets.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Where the file was included, as `FILE:LINE:COLUMN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub included_at: Option<String>,
}

/// All that there is to tell about a document, in the order of its files and lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report(pub Vec<Mistake>);

impl Report {
    /// Whether something is wrong enough that the document cannot be served.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|mistake| mistake.severity == Severity::Error).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|mistake| mistake.fmt(f))
    }
}

/// A line that is longer is not shown whole.
const WIDEST: usize = 120;

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Remark => "remark",
        };
        write!(f, "{severity}: {}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        writeln!(f, ": {}", self.message)?;
        if !self.source.is_empty() {
            f.write_str(&self.excerpt())?;
        }
        if let Some(place) = &self.included_at {
            writeln!(f, "   = included at {place}")?;
        }
        Ok(())
    }
}

impl Mistake {
    /// The line with a caret below what is meant.
    fn excerpt(&self) -> String {
        let before: Vec<char> = self.source.chars().take(self.column - 1).collect();
        // A caret that would stand far to the right gets the end of what is before it alone.
        let hidden = before.len().saturating_sub(WIDEST / 2);
        let shown: String = self.source.chars().skip(hidden).take(WIDEST).collect();
        // Tabs stay tabs, so that the caret stands right however wide they are.
        let blank = |c: &char| if *c == '\t' { '\t' } else { ' ' };
        let indent: String = before.iter().skip(hidden).map(blank).collect();
        let room = WIDEST.saturating_sub(before.len() - hidden).max(1);
        let rest = self.source.chars().count().saturating_sub(before.len()).max(1);
        let carets = "^".repeat(self.width.clamp(1, room.min(rest)));
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let mut excerpt = String::new();
        let shown = shown.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}");
        let lines = format!("{margin} |\n{number} | {shown}\n{margin} | {indent}{carets}\n");
        excerpt.write_str(&lines).expect("a string takes what is written to it");
        excerpt
    }
}

/// A path as it is told: `routes[0].match.path`.
pub fn told(path: &[Step]) -> String {
    // The message of an `Invalid` comes behind its path, which is told the same way.
    let invalid = Invalid { at: path.to_vec(), ..Invalid::new("") };
    invalid.to_string().trim_end_matches(": ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(source: &str, column: usize, width: usize) -> Mistake {
        Mistake {
            severity: Severity::Error,
            file: "a.yaml".into(),
            line: 14,
            column,
            width,
            path: "routes[0]".to_owned(),
            message: "unknown key `servise`, did you mean `service`?".to_owned(),
            source: source.to_owned(),
            included_at: None,
        }
    }

    #[test]
    fn a_caret_stands_below_what_is_meant() {
        let told = mistake("    servise: users", 5, 7).to_string();
        let expected = "\
error: a.yaml:14:5: routes[0]: unknown key `servise`, did you mean `service`?
   |
14 |     servise: users
   |     ^^^^^^^
";
        assert_eq!(told, expected);
    }

    #[test]
    fn a_long_line_is_shown_around_the_caret() {
        let told = mistake(&format!("{}X{}", "a".repeat(1000), "b".repeat(1000)), 1001, 1);
        let told = told.to_string();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[2].chars().count(), WIDEST + 5);
        assert_eq!(lines[2].find('X'), lines[3].find('^'));
    }

    #[test]
    fn carets_end_with_their_line() {
        let told = mistake("a: é", 4, 40).to_string();
        assert!(told.ends_with("14 | a: é\n   |    ^\n"), "{told}");
    }
}
