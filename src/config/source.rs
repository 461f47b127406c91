//! The files of a document: the one that was named, and those that it includes.
//!
//! `include` names files by glob, relative to the document. Their listeners and routes are added
//! to the document's, their services and policy sets too, by name; what there is one of for the
//! whole gateway stands in the document itself. Files are taken in the order of the patterns and,
//! within a pattern, of their paths; an included file includes no further.

use super::mistake::{Found, Mistake, Report, Severity};
use super::tree::{Content, Entry, Node, Place};
use super::yaml;
use crate::value::nearest;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What an included file may have.
const INCLUDABLE: [&str; 4] = ["listeners", "policy_sets", "services", "routes"];
/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;
/// How many files may be included.
const MOST_FILES: usize = 10_000;

/// The files of a document.
#[derive(Debug)]
pub struct Sources(Vec<File>);

/// One file.
#[derive(Debug)]
pub struct File {
    /// Its path.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Where it was included.
    pub included_at: Option<Place>,
}

impl Sources {
    /// Reads the file of a document.
    pub fn read(path: &Path) -> Result<Self, Report> {
        let text = read(path).map_err(|message| {
            Report(vec![Mistake {
                severity: Severity::Error,
                file: path.to_owned(),
                line: 0,
                column: 1,
                width: 1,
                path: String::new(),
                message,
                source: String::new(),
                included_at: None,
            }])
        })?;
        Ok(Sources::new(path, text))
    }

    /// A document whose text is there already.
    pub fn new(path: &Path, text: String) -> Self {
        Sources(vec![File { path: path.to_owned(), text, included_at: None }])
    }

    /// The file of a number; the document's own is the first.
    pub fn file(&self, number: usize) -> &File {
        &self.0[number]
    }

    /// The folder that relative paths start from.
    pub fn folder(&self) -> &Path {
        self.0[0].path.parent().unwrap_or(Path::new(""))
    }

    /// The texts of all files.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|file| file.text.as_str())
    }

    /// The tree of the document, with what it includes.
    pub fn tree(&mut self, wrong: &mut Vec<Found>, remarks: &mut Vec<Found>) -> Option<Node> {
        let tree = yaml::parse(&self.0[0].text, 0, wrong)?;
        if self.0[0].text.trim().is_empty() {
            wrong.push(Found::at(tree.place, "the file is empty"));
            return None;
        }
        let patterns = patterns(&tree);
        if patterns.is_empty() {
            return Some(tree);
        }
        let mut taken = HashSet::from([canonical(&self.0[0].path)]);
        let mut whole = Whole::new(tree);
        for (pattern, place) in patterns {
            let paths = match matching(&self.folder().join(&pattern)) {
                Ok(paths) => paths,
                Err(message) => {
                    wrong.push(Found::at(place, message));
                    continue;
                }
            };
            if paths.is_empty() {
                let found = Found::at(place, format!("no file is called `{pattern}`"));
                let is_glob = pattern.contains(['*', '?', '[']);
                if is_glob { remarks.push(found) } else { wrong.push(found) }
            }
            for path in paths {
                // A file that two patterns name is included once, and the document not in itself.
                if !taken.insert(canonical(&path)) {
                    continue;
                }
                if self.0.len() > MOST_FILES {
                    let message = format!("more than {MOST_FILES} files would be included");
                    wrong.push(Found::at(place, message));
                    return Some(whole.tree);
                }
                self.include(path, place, &mut whole, wrong);
            }
        }
        Some(whole.tree)
    }

    fn include(&mut self, path: PathBuf, place: Place, whole: &mut Whole, wrong: &mut Vec<Found>) {
        let number = self.0.len();
        match read(&path) {
            Ok(text) => {
                let tree = yaml::parse(&text, number, wrong);
                self.0.push(File { path, text, included_at: Some(place) });
                if let Some(tree) = tree.filter(|_| !self.0[number].text.trim().is_empty()) {
                    whole.add(tree, self, wrong);
                }
            }
            Err(message) => {
                wrong.push(Found::at(place, format!("{}: {message}", path.display())));
            }
        }
    }
}

/// The document, and what it has of each section.
struct Whole {
    tree: Node,
    /// The places of named things, by section and name.
    named: HashMap<(String, String), Place>,
}

impl Whole {
    fn new(tree: Node) -> Self {
        let mut named = HashMap::new();
        for section in tree.entries().iter().filter(|entry| INCLUDABLE.contains(&&*entry.key)) {
            for Entry { key, key_place, .. } in section.value.entries() {
                named.insert((section.key.clone(), key.clone()), *key_place);
            }
        }
        Whole { tree, named }
    }

    /// Adds what an included file has to the document.
    fn add(&mut self, included: Node, sources: &Sources, wrong: &mut Vec<Found>) {
        let Content::Mapping(entries) = included.content else {
            let keys = INCLUDABLE.join("`, `");
            let message = format!("an included file is a mapping with `{keys}`");
            return wrong.push(Found::at(included.place, message));
        };
        let Content::Mapping(sections) = &mut self.tree.content else {
            return; // What the document is instead is told when it is deserialised.
        };
        for Entry { key, key_place, mut value } in entries {
            if key == "version" {
                continue; // So that an included file may also be checked by itself.
            }
            if !INCLUDABLE.contains(&key.as_str()) {
                wrong.push(Found::at(key_place, not_includable(&key)));
                continue;
            }
            if let Content::Mapping(entries) = &mut value.content {
                entries.retain(|entry| {
                    let name = (key.clone(), entry.key.clone());
                    let first = *self.named.entry(name).or_insert(entry.key_place);
                    let is_first = first == entry.key_place;
                    if !is_first {
                        let (file, line) = (sources.file(first.file).path.display(), first.line);
                        let message = format!("`{}` is defined in {file}:{line} too", entry.key);
                        wrong.push(Found::at(entry.key_place, message));
                    }
                    is_first
                });
            }
            let Some(section) = sections.iter_mut().find(|section| section.key == key) else {
                sections.push(Entry { key, key_place, value });
                continue;
            };
            match (&mut section.value.content, value.content) {
                (Content::Sequence(items), Content::Sequence(more)) => items.extend(more),
                (Content::Mapping(known), Content::Mapping(more)) => known.extend(more),
                (Content::Sequence(_), _) => {
                    wrong.push(Found::at(key_place, format!("`{key}` is a list")));
                }
                (Content::Mapping(_), _) => {
                    wrong.push(Found::at(key_place, format!("`{key}` is a mapping")));
                }
                (Content::Scalar { .. }, _) => {} // Told when it is deserialised.
            }
        }
    }
}

/// The patterns of `include`, each with its place. Its shape is checked when it is deserialised.
fn patterns(tree: &Node) -> Vec<(String, Place)> {
    let pattern = |node: &Node| match &node.content {
        Content::Scalar { text, .. } if !text.is_empty() => Some((text.clone(), node.place)),
        _ => None,
    };
    match tree.get("include") {
        Some(Node { content: Content::Sequence(items), .. }) => {
            items.iter().filter_map(pattern).collect()
        }
        Some(node) => pattern(node).into_iter().collect(),
        None => Vec::new(),
    }
}

/// The files that a pattern names, in the order of their paths.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let pattern = pattern.to_str().ok_or("the path is not UTF-8")?;
    let paths = glob::glob(pattern).map_err(|error| format!("`{pattern}` is no glob: {error}"))?;
    paths
        .map(|path| path.map_err(|error| format!("cannot be looked through: {error}")))
        .filter(|path| !path.as_ref().is_ok_and(|path| path.is_dir()))
        .collect()
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn not_includable(key: &str) -> String {
    match nearest(key, INCLUDABLE) {
        Some(meant) => format!("unknown key `{key}`, did you mean `{meant}`?"),
        None => format!(
            "`{key}` does not belong into an included file, which may have `{}`",
            INCLUDABLE.join("`, `")
        ),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    let about = fs::metadata(path).map_err(failed)?;
    if about.len() > LARGEST {
        return Err(format!("has {} bytes, at most {LARGEST} are read", about.len()));
    }
    fs::read_to_string(path).map_err(failed)
}
