//! The document as a tree in which each node knows its place.
//!
//! serde and serde_yaml forget places; a mistake that shows only when a document is compiled, or
//! in one of several files, needs them. So the document is read into this tree first, and what is
//! typed is deserialised from it (`reader.rs`).

use crate::value::Step;

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The number of its file.
    pub file: usize,
    /// Its line, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// How many characters of its line are meant; at least one.
    pub width: usize,
}

/// A value at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub content: Content,
    /// Whether something was cut out of it, because it was wrong and told so.
    pub torn: bool,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text; `plain` text, without quotes, may mean a number or nothing at all.
    Scalar {
        /// The text.
        text: String,
        /// Whether it stands without quotes.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping, in the order of the file; each key stands once.
    Mapping(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_place: Place,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A node that is whole.
    pub fn new(place: Place, content: Content) -> Self {
        Node { place, content, torn: false }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let Content::Mapping(entries) = &mut self.content else { return None };
        entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
    }

    /// The entries of a mapping; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The children, with the steps that lead to them.
    pub fn children_mut(&mut self) -> Vec<(Step, &mut Node)> {
        match &mut self.content {
            Content::Scalar { .. } => Vec::new(),
            Content::Sequence(items) => {
                items.iter_mut().enumerate().map(|(at, item)| (at.into(), item)).collect()
            }
            Content::Mapping(entries) => entries
                .iter_mut()
                .map(|entry| (entry.key.as_str().into(), &mut entry.value))
                .collect(),
        }
    }

    /// Takes out the child of a number, and takes note of it.
    pub fn cut(&mut self, child: usize) {
        self.torn = true;
        match &mut self.content {
            Content::Sequence(items) if child < items.len() => drop(items.remove(child)),
            Content::Mapping(entries) if child < entries.len() => drop(entries.remove(child)),
            _ => {}
        }
    }

    /// The child of a number.
    pub fn child(&self, number: usize) -> Option<&Node> {
        match &self.content {
            Content::Scalar { .. } => None,
            Content::Sequence(items) => items.get(number),
            Content::Mapping(entries) => entries.get(number).map(|entry| &entry.value),
        }
    }

    /// The child of a number, to be changed.
    pub fn child_mut(&mut self, number: usize) -> Option<&mut Node> {
        match &mut self.content {
            Content::Scalar { .. } => None,
            Content::Sequence(items) => items.get_mut(number),
            Content::Mapping(entries) => entries.get_mut(number).map(|entry| &mut entry.value),
        }
    }

    /// The step that leads to the child of a number.
    pub fn step(&self, number: usize) -> Step {
        match self.entries().get(number) {
            Some(entry) => Step::Key(entry.key.clone()),
            None => Step::Index(number),
        }
    }

    /// The place of the deepest node on a path: of a scalar its own, of anything else its key's.
    pub fn find(&self, path: &[Step]) -> Place {
        let mut node = self;
        let mut place = self.place;
        for step in path {
            let (key, next) = match (&node.content, step) {
                (Content::Mapping(entries), Step::Key(name)) => {
                    let Some(entry) = entries.iter().find(|entry| entry.key == *name) else {
                        break;
                    };
                    (Some(entry.key_place), &entry.value)
                }
                (Content::Sequence(items), Step::Index(index)) => match items.get(*index) {
                    Some(item) => (None, item),
                    None => break,
                },
                // A single value stands where a list of one is meant.
                (_, Step::Index(0)) => (None, node),
                _ => break,
            };
            node = next;
            place = match (&node.content, key) {
                (Content::Scalar { .. }, _) | (_, None) => node.place,
                (_, Some(key)) => key,
            };
        }
        place
    }

    /// The place of the first scalar with a text in it: below a path, or else anywhere.
    pub fn find_text(&self, path: &[Step], text: &str) -> Option<Place> {
        let below = path.iter().try_fold(self, |node, step| match (&node.content, step) {
            (Content::Mapping(_), Step::Key(name)) => node.get(name),
            (Content::Sequence(items), Step::Index(index)) => items.get(*index),
            _ => None,
        });
        below.and_then(|node| node.first_with(text)).or_else(|| self.first_with(text))
    }

    fn first_with(&self, wanted: &str) -> Option<Place> {
        match &self.content {
            Content::Scalar { text, .. } => text.contains(wanted).then_some(self.place),
            Content::Sequence(items) => items.iter().find_map(|item| item.first_with(wanted)),
            Content::Mapping(entries) => {
                entries.iter().find_map(|entry| entry.value.first_with(wanted))
            }
        }
    }

    /// Whether the item that a path leads into is torn: what is missing there may be what was cut.
    /// An item is what stands in a section, such as one route or one service.
    pub fn is_torn_at(&self, path: &[Step]) -> bool {
        let mut node = self;
        for (depth, step) in path.iter().enumerate() {
            let next = match (&node.content, step) {
                (Content::Mapping(_), Step::Key(name)) => node.get(name),
                (Content::Sequence(items), Step::Index(index)) => items.get(*index),
                _ => None,
            };
            let Some(next) = next else { return false };
            // A section is torn by any of its items; that counts for what is said of it as a whole.
            if next.torn && (depth > 0 || path.len() == 1) {
                return true;
            }
            node = next;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    fn tree(text: &str) -> Node {
        yaml::parse(text, 0, &mut Vec::new()).unwrap()
    }

    fn at(node: &Node, path: &[Step]) -> (usize, usize) {
        let place = node.find(path);
        (place.line, place.column)
    }

    #[test]
    fn a_scalar_is_found_at_its_value_and_a_block_at_its_key() {
        let tree = tree("routes:\n  - name: a\n    service: nobody\n    match: {path: {}}\n");
        assert_eq!(at(&tree, &["routes".into(), 0.into(), "service".into()]), (3, 14));
        assert_eq!(at(&tree, &["routes".into(), 0.into(), "match".into()]), (4, 5));
        assert_eq!(at(&tree, &["routes".into(), 0.into(), "auth".into()]), (2, 5));
    }

    #[test]
    fn what_was_cut_tears_its_item_and_no_other() {
        let mut tree = tree("routes:\n  - {name: a, service: x}\n  - {name: b}\n");
        let routes = tree.get_mut("routes").unwrap();
        routes.child_mut(0).unwrap().cut(1);
        routes.torn = true;
        assert!(tree.is_torn_at(&["routes".into(), 0.into(), "match".into()]));
        assert!(!tree.is_torn_at(&["routes".into(), 1.into(), "match".into()]));
        assert_eq!(tree.get("routes").unwrap().child(0).unwrap().entries().len(), 1);
    }
}
