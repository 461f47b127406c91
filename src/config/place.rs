//! Where in a document a mistake stands.
//!
//! serde_yaml tells the place of what it cannot read, but keeps none for a value that reads well
//! and means nothing, as a service that nobody defines. Such a mistake is told by its path
//! ([`Invalid::at`]); a second, marked parse of the same text finds the path's place. It happens
//! on the way to an error message alone.

use super::Document;
use crate::value::{Invalid, Step};
use saphyr::{LoadableYamlNode, MarkedYaml, YamlData};
use std::fmt;
use std::path::{Path, PathBuf};

/// A document's text, and where it came from.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    text: String,
}

/// A mistake in a document, at its place.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 where the file could not be read at all.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mistake { file, line, column, message } = self;
        match line {
            0 => write!(f, "{}: {message}", file.display()),
            line => write!(f, "{}:{line}:{column}: {message}", file.display()),
        }
    }
}

impl Source {
    /// Reads a document's text.
    pub fn read(path: &Path) -> Result<Self, Mistake> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Source::new(path, text)),
            Err(error) => Err(Mistake {
                file: path.to_owned(),
                line: 0,
                column: 0,
                message: format!("cannot be read: {error}"),
            }),
        }
    }

    /// A document's text that was read elsewhere.
    pub fn new(path: &Path, text: String) -> Self {
        Source { path: path.to_owned(), text }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The folder that the document's relative paths start from.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Parses the text.
    pub fn parse(&self) -> Result<Document, Mistake> {
        serde_yaml::from_str(&self.text).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            let message = error.to_string();
            // The place stands in front already.
            let message = match message.rfind(" at line ") {
                Some(end) => message[..end].to_owned(),
                None => message,
            };
            self.mistake(line, column, message)
        })
    }

    /// Finds the place of a mistake that is told by its path.
    pub fn locate(&self, invalid: &Invalid) -> Mistake {
        let (line, column) = self.find(&invalid.at).unwrap_or((1, 1));
        self.mistake(line, column, invalid.to_string())
    }

    fn mistake(&self, line: usize, column: usize, message: String) -> Mistake {
        Mistake { file: self.path.clone(), line: line.max(1), column: column.max(1), message }
    }

    /// The place of the deepest node on the path: of a scalar its own, of anything else its key's.
    fn find(&self, path: &[Step]) -> Option<(usize, usize)> {
        let documents = MarkedYaml::load_from_str(&self.text).ok()?;
        let mut node = documents.first()?;
        let mut place = start(node);
        for step in path {
            let Some((key, next)) = child(node, step) else {
                break;
            };
            node = next;
            place = match (&node.data, key) {
                (YamlData::Mapping(_) | YamlData::Sequence(_), Some(key)) => start(key),
                _ => start(node),
            };
        }
        Some(place)
    }
}

/// Lines count from 1 in a marker, columns from 0.
fn start(node: &MarkedYaml<'_>) -> (usize, usize) {
    (node.span.start.line(), node.span.start.col() + 1)
}

type Child<'a, 'b> = (Option<&'a MarkedYaml<'b>>, &'a MarkedYaml<'b>);

fn child<'a, 'b>(node: &'a MarkedYaml<'b>, step: &Step) -> Option<Child<'a, 'b>> {
    match (&node.data, step) {
        (YamlData::Mapping(entries), Step::Key(name)) => entries
            .iter()
            .find(|(key, _)| key.data.as_str() == Some(name))
            .map(|(key, value)| (Some(key), value)),
        (YamlData::Sequence(items), Step::Index(index)) => Some((None, items.get(*index)?)),
        // A single value stands where a list of one is meant.
        (_, Step::Index(0)) => Some((None, node)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(Path::new("a.yaml"), text.to_owned())
    }

    #[test]
    fn a_scalar_is_found_at_its_value_and_a_block_at_its_key() {
        let source = source("routes:\n  - name: a\n    service: nobody\n    match: {path: {}}\n");
        let at = |path: &[Step]| source.find(path).unwrap();
        assert_eq!(at(&["routes".into(), 0.into(), "service".into()]), (3, 14));
        assert_eq!(at(&["routes".into(), 0.into(), "match".into()]), (4, 5));
        assert_eq!(at(&["routes".into(), 0.into(), "auth".into()]), (2, 5));
    }

    #[test]
    fn text_that_is_no_yaml_is_told_with_its_place() {
        let mistake = source("version: 1\nlisteners: [\n").parse().unwrap_err();
        assert!(mistake.line >= 2, "{mistake}");
        assert!(mistake.to_string().starts_with("a.yaml:"), "{mistake}");
    }

    #[test]
    fn an_unknown_key_is_told_at_its_line() {
        let mistake = source("version: 1\nlisteners: []\nrouts: []\n").parse().unwrap_err();
        assert_eq!(mistake.line, 3);
        assert!(mistake.message.contains("`routs`"), "{mistake}");
    }
}
