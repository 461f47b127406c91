//! Reads a document with all that it includes, and finds as many mistakes at once as do not follow
//! from each other: what is wrong is cut out and told, and the rest is read on.

use super::mistake::{Found, Mistake, Report, Severity, told};
use super::reader::Reader;
use super::source::Sources;
use super::tree::{Content, Node};
use super::veil::veiled;
use super::wrong::Wrong;
use super::yaml;
use super::{Document, ListenerConfig, RouteConfig, ServiceConfig, Written};
use crate::policy::Block;
use crate::policy::auth::consumers::ConsumerConfig;
use crate::value::outside::reading_in;
use crate::value::{Invalid, Step};
use serde::de::DeserializeOwned;
use std::path::Path;

/// How many mistakes are told at once: who has more has made one that leads to others.
const MOST: usize = 50;

/// A document that was read, as far as it could be.
#[derive(Debug)]
pub struct Loaded {
    /// What could be read of it; nothing where it is no document at all.
    pub document: Option<Document>,
    sources: Sources,
    tree: Option<Node>,
    wrong: Vec<Found>,
    remarks: Vec<Found>,
}

impl Loaded {
    /// Reads a document and the files that it includes.
    pub fn read(path: &Path) -> Result<Self, Report> {
        Sources::read(path).map(Loaded::of)
    }

    /// Reads a document whose text is there already.
    pub fn from_text(path: &Path, text: String) -> Self {
        Loaded::of(Sources::new(path, text))
    }

    fn of(mut sources: Sources) -> Self {
        let (mut wrong, mut remarks) = (Vec::new(), Vec::new());
        let mut tree = sources.tree(&mut wrong, &mut remarks);
        let document = tree
            .as_mut()
            .and_then(|tree| reading_in(sources.folder(), || document(tree, &mut wrong)));
        Loaded { document, sources, tree, wrong, remarks }
    }

    /// The folder that the document's relative paths start from.
    pub fn folder(&self) -> &Path {
        self.sources.folder()
    }

    /// The text of all files, for telling one configuration from another.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.sources.texts()
    }

    /// Adds what shows only when the document is compiled.
    pub fn add(&mut self, severity: Severity, invalid: Invalid) {
        let Some(tree) = &self.tree else { return };
        // What is missing in an item that was cut was perhaps there.
        if tree.is_torn_at(&invalid.at) {
            return;
        }
        let Invalid { at, message, about } = invalid;
        let place = about.and_then(|text| tree.find_text(&at, &text));
        let found = Found { place: place.unwrap_or_else(|| tree.find(&at)), path: at, message };
        match severity {
            Severity::Error => self.wrong.push(found),
            Severity::Remark => self.remarks.push(found),
        }
    }

    /// All that there is to tell.
    pub fn report(self) -> Report {
        let Loaded { sources, wrong, remarks, .. } = self;
        let mistake = |severity, found| sources.mistake(severity, found);
        // While something is wrong, what may be dangerous about the rest is noise.
        let remarks = if wrong.is_empty() { remarks } else { Vec::new() };
        let wrong = wrong.into_iter().map(|found| (Severity::Error, found));
        let remarks = remarks.into_iter().map(|found| (Severity::Remark, found));
        let mut found: Vec<(Severity, Found)> = wrong.chain(remarks).collect();
        found.sort_by_key(|(_, Found { place, .. })| (place.file, place.line, place.column));
        found.dedup();
        found.truncate(MOST);
        Report(found.into_iter().map(|(severity, found)| mistake(severity, found)).collect())
    }
}

/// Reads the document. The items of the long sections are sifted first, each by itself, so that a
/// mistake in one costs no second reading of all.
fn document(tree: &mut Node, wrong: &mut Vec<Found>) -> Option<Document> {
    let written = names(tree);
    sift::<ListenerConfig>(tree, "listeners", wrong);
    sift::<Block>(tree, "policy_sets", wrong);
    sift::<ServiceConfig>(tree, "services", wrong);
    sift::<RouteConfig>(tree, "routes", wrong);
    sift::<ConsumerConfig>(tree, "consumers", wrong);
    let mut document: Document = recover(tree, &[], wrong)?;
    let is_torn = |section| tree.get(section).is_some_and(|node: &Node| node.torn);
    let lost_policies = is_torn("policies") || is_torn("policy_sets");
    document.written = Written { lost_policies, ..written };
    Some(document)
}

/// The names of what the document defines, whether or not it can be read.
fn names(tree: &Node) -> Written {
    let keys = |section: &str| {
        let entries = tree.get(section).map(Node::entries).unwrap_or_default();
        entries.iter().map(|entry| entry.key.clone()).collect()
    };
    Written { services: keys("services"), policy_sets: keys("policy_sets"), lost_policies: false }
}

fn sift<T: DeserializeOwned>(tree: &mut Node, section: &str, wrong: &mut Vec<Found>) {
    let Some(section_node) = tree.get_mut(section) else { return };
    let mut lost = Vec::new();
    for (number, (step, item)) in section_node.children_mut().into_iter().enumerate() {
        if recover::<T>(item, &[section.into(), step], wrong).is_none() {
            lost.push(number);
        }
    }
    for number in lost.into_iter().rev() {
        section_node.cut(number);
    }
    let is_torn = |node: &Node| match &node.content {
        Content::Sequence(items) => items.iter().any(|item| item.torn),
        Content::Mapping(entries) => entries.iter().any(|entry| entry.value.torn),
        Content::Scalar { .. } => false,
    };
    section_node.torn |= is_torn(section_node);
}

/// Reads a text of its own, such as a file that is watched, into `T`: all of it or nothing.
///
/// # Errors
///
/// Says what is wrong first, at which line and column.
pub fn read_whole<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut wrong = Vec::new();
    let tree = yaml::parse(text, 0, &mut wrong);
    let read = tree.and_then(|mut tree| recover::<T>(&mut tree, &[], &mut wrong));
    match (wrong.into_iter().min_by_key(|found| (found.place.line, found.place.column)), read) {
        (None, Some(read)) => Ok(read),
        (None, None) => Err("nothing stands here".to_owned()),
        (Some(Found { place, path, message }), _) => {
            let wrong = Invalid { at: path, ..Invalid::new(message) };
            Err(format!("line {}, column {}: {wrong}", place.line, place.column))
        }
    }
}

/// Reads a node, and again without what was wrong with it, until it reads; `None` where nothing of
/// it does. `path` leads to the node.
fn recover<T: DeserializeOwned>(
    node: &mut Node,
    path: &[Step],
    wrong: &mut Vec<Found>,
) -> Option<T> {
    loop {
        match T::deserialize(Reader::new(node)) {
            Ok(read) => return Some(read),
            Err(_) if wrong.len() >= MOST => return None,
            Err(found) => tell_and_cut(node, path, found, wrong)?,
        }
    }
}

/// Tells what is wrong below a node, and cuts it out; `None` where that is the node itself.
fn tell_and_cut(
    node: &mut Node,
    path: &[Step],
    found: Wrong,
    wrong: &mut Vec<Found>,
) -> Option<()> {
    let Wrong { message, way, is_key } = found;
    let mut path = path.to_vec();
    let mut place = node.place;
    let mut below = &*node;
    for (depth, &number) in way.iter().rev().enumerate() {
        let is_last = depth + 1 == way.len();
        let key_place = below.entries().get(number).map(|entry| entry.key_place);
        if !(is_last && is_key) {
            path.push(below.step(number));
        }
        let Some(child) = below.child(number) else { break };
        let is_block = !matches!(child.content, Content::Scalar { .. });
        let is_empty = matches!(&child.content, Content::Scalar { text, .. } if text.is_empty());
        place = match key_place {
            Some(key_place) if is_block || is_empty || (is_last && is_key) => key_place,
            _ => child.place,
        };
        below = child;
    }
    // What is missing where something was cut, or too little, may be what was cut.
    if !below.torn {
        wrong.push(Found { place, path, message });
    }
    node.torn = true;
    let (&last, way) = way.split_first()?;
    let mut parent = node;
    for &number in way.iter().rev() {
        parent = parent.child_mut(number)?;
        parent.torn = true;
    }
    parent.cut(last);
    Some(())
}

impl Sources {
    fn mistake(&self, severity: Severity, found: Found) -> Mistake {
        let Found { place, path, message } = found;
        let path = told(&path);
        let file = self.file(place.file);
        let source = file.text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
        Mistake {
            severity,
            file: file.path.clone(),
            line: place.line,
            column: place.column,
            width: place.width,
            source: veiled(source, &path),
            path,
            message,
            included_at: file.included_at.map(|at| {
                let includer = self.file(at.file).path.display();
                format!("{includer}:{}:{}", at.line, at.column)
            }),
        }
    }
}
