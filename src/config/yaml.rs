//! From the text of a file to its tree.
//!
//! The events come from saphyr's parser, one at a time, so that a document that is too deep, or
//! that its aliases would make too large, is refused before it is built.

use super::mistake::Found;
use super::tree::{Content, Entry, Node, Place};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use std::borrow::Cow;
use std::collections::HashMap;

/// How deep a document may be.
const DEEPEST: usize = 64;
/// How many nodes its aliases may add.
const MOST_COPIES: usize = 100_000;

/// Reads the text of a file. A key that stands twice is told and left out; where the text is no
/// YAML there is no tree.
pub fn parse(text: &str, file: usize, wrong: &mut Vec<Found>) -> Option<Node> {
    let mut builder = Builder { file, text, ..Builder::default() };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let taken = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(builder.scan_error(&error)),
        };
        if let Err(found) = taken {
            wrong.push(found);
            return None;
        }
    }
    wrong.append(&mut builder.twice);
    let nothing = || Content::Scalar { text: String::new(), plain: true };
    let start = Place { file, line: 1, column: 1, width: 1 };
    Some(builder.root.unwrap_or_else(|| Node::new(start, nothing())))
}

#[derive(Default)]
struct Builder<'t> {
    file: usize,
    text: &'t str,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    copies: usize,
    root: Option<Node>,
    twice: Vec<Found>,
}

/// A collection whose end has not come.
struct Open {
    anchor: usize,
    node: Node,
    /// Of a mapping: the key whose value is awaited.
    key: Option<(String, Place)>,
    /// Of a mapping: the lines of its keys.
    keys: HashMap<String, usize>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Found> {
        let place = self.place(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !is_text(tag.as_ref(), place)?;
                let content = Content::Scalar { text: text.into_owned(), plain };
                self.add(anchor, Node::new(place, content))
            }
            Event::SequenceStart(anchor, tag) => {
                no_tag(tag.as_ref(), place)?;
                self.begin(anchor, Node::new(place, Content::Sequence(Vec::new())))
            }
            Event::MappingStart(anchor, tag) => {
                no_tag(tag.as_ref(), place)?;
                self.begin(anchor, Node::new(place, Content::Mapping(Vec::new())))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Open { anchor, node, .. } = self.open.pop().expect("an end follows its start");
                self.add(anchor, node)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(Found::at(place, "this alias stands inside of what it names"));
                };
                self.copies += size(node);
                if self.copies > MOST_COPIES {
                    let message = format!("aliases would add more than {MOST_COPIES} values");
                    return Err(Found::at(place, message));
                }
                let node = node.clone();
                self.add(0, node)
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Found::at(place, "a configuration is one document, here a second begins"))
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, node: Node) -> Result<(), Found> {
        if self.open.last().is_some_and(Open::awaits_key) {
            return Err(Found::at(node.place, "a key is a word, and no list or mapping"));
        }
        if self.open.len() >= DEEPEST {
            let message = format!("this is more than {DEEPEST} levels deep");
            return Err(Found::at(node.place, message));
        }
        self.open.push(Open { anchor, node, key: None, keys: HashMap::new() });
        Ok(())
    }

    /// Puts a whole node where it belongs.
    fn add(&mut self, anchor: usize, node: Node) -> Result<(), Found> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut parent.node.content, parent.key.take(), node.content) {
            (Content::Sequence(items), _, content) => items.push(Node { content, ..node }),
            (_, None, Content::Scalar { text, .. }) => parent.key = Some((text, node.place)),
            (Content::Mapping(entries), Some((key, key_place)), content) => {
                let first = *parent.keys.entry(key.clone()).or_insert(key_place.line);
                if entries.len() + 1 == parent.keys.len() {
                    entries.push(Entry { key, key_place, value: Node { content, ..node } });
                } else {
                    let message = format!("`{key}` stands here twice, first in line {first}");
                    self.twice.push(Found::at(key_place, message));
                }
            }
            (_, None, _) => {
                return Err(Found::at(node.place, "a key is a word, and no list or mapping"));
            }
            (Content::Scalar { .. }, ..) => unreachable!("a scalar is never open"),
        }
        Ok(())
    }

    fn place(&self, span: Span) -> Place {
        let one_line = span.start.line() == span.end.line();
        Place {
            file: self.file,
            line: span.start.line().max(1),
            column: span.start.col() + 1,
            width: if one_line { span.len().max(1) } else { 1 },
        }
    }

    fn scan_error(&self, error: &saphyr_parser::ScanError) -> Found {
        let mark = error.marker();
        let line = mark.line().max(1);
        let place = Place { file: self.file, line, column: mark.col() + 1, width: 1 };
        let typed = self.text.lines().nth(line - 1).unwrap_or_default();
        let indent = typed.len() - typed.trim_start().len();
        if typed[..indent].contains('\t') {
            let column = typed.find('\t').map_or(1, |at| at + 1);
            let place = Place { column, ..place };
            return Found::at(place, "YAML is indented by spaces, this line begins with a tab");
        }
        let hint = match error.info().contains("flow") {
            true => "; is a `[` or a `{` before it not closed?",
            false => "",
        };
        Found::at(place, format!("this is no YAML: {}{hint}", error.info()))
    }
}

impl Open {
    fn awaits_key(&self) -> bool {
        matches!(self.node.content, Content::Mapping(_)) && self.key.is_none()
    }
}

/// Whether a tag says that a scalar is text (`!!str`); others are refused, as none has a meaning
/// here.
fn is_text(tag: Option<&Cow<'_, Tag>>, place: Place) -> Result<bool, Found> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(true),
        tag => no_tag(tag, place).map(|()| false),
    }
}

fn no_tag(tag: Option<&Cow<'_, Tag>>, place: Place) -> Result<(), Found> {
    match tag {
        Some(tag) => Err(Found::at(place, format!("the tag `{tag}` means nothing here"))),
        None => Ok(()),
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.content {
        Content::Scalar { .. } => 0,
        Content::Sequence(items) => items.iter().map(size).sum(),
        Content::Mapping(entries) => entries.iter().map(|entry| size(&entry.value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places and messages of what is wrong with a text.
    fn wrong(text: &str) -> Vec<(usize, usize, String)> {
        let mut wrong = Vec::new();
        parse(text, 0, &mut wrong);
        let told = |found: Found| (found.place.line, found.place.column, found.message);
        wrong.into_iter().map(told).collect()
    }

    #[track_caller]
    fn refused(text: &str, line: usize, column: usize, message: &str) {
        let wrong = wrong(text);
        let [(at_line, at_column, said)] = &wrong[..] else { panic!("{wrong:?}") };
        assert_eq!((*at_line, *at_column), (line, column), "{said}");
        assert!(said.contains(message), "{said}");
    }

    #[test]
    fn a_key_that_stands_twice_is_told_and_the_first_counts() {
        let mut found = Vec::new();
        let tree = parse("a: 1\nb: 2\na: 3\na: 4\n", 0, &mut found).unwrap();
        assert_eq!(tree.entries().len(), 2);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].place.line, found[0].place.column), (3, 1));
        assert!(found[0].message.contains("first in line 1"), "{}", found[0].message);
    }

    #[test]
    fn aliases_stand_for_what_they_name() {
        let mut found = Vec::new();
        let tree = parse("a: &x {b: 1}\nc: *x\n", 0, &mut found).unwrap();
        assert_eq!(tree.get("c"), tree.get("a"));
        assert!(found.is_empty());
    }

    #[test]
    fn aliases_cannot_make_a_document_grow_without_bound() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let below = level - 1;
            let aliases = vec![format!("*a{below}"); 10].join(",");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        let wrong = wrong(&text);
        assert!(wrong.len() == 1 && wrong[0].2.contains("aliases would add"), "{wrong:?}");
    }

    #[test]
    fn depth_is_bounded() {
        assert!(
            wrong(&format!("{}{}", "[".repeat(100), "]".repeat(100)))[0].2.contains("64 levels")
        );
        // The scanner has a limit of its own, which it reaches ahead of the parser.
        assert!(wrong(&"[".repeat(10_000))[0].2.contains("recursion limit"));
        assert!(wrong(&"- ".repeat(10_000))[0].2.contains("64 levels"));
    }

    #[test]
    fn what_a_configuration_has_no_use_for_is_refused() {
        refused("a: !include b\n", 1, 4, "the tag `!include`");
        refused("? [a]\n: 1\n", 1, 3, "a key is a word");
        refused("a: 1\n---\nb: 2\n", 2, 1, "a second begins");
        refused("a: &x [*x]\n", 1, 8, "inside of what it names");
    }

    #[test]
    fn text_that_is_no_yaml_is_told_with_its_place() {
        refused("version: 1\nlisteners: [\n", 3, 1, "no YAML");
        refused("a:\n\t- b\n", 2, 1, "begins with a tab");
    }
}
