//! The rules of one host, arranged by path.

use std::hash::{BuildHasher, Hasher};
use std::ops::ControlFlow::{self, Continue};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use crate::value::Pattern;

use super::place::{Candidate, Place};
use super::{PathPattern, Template};

/// Paths to places. Keys are the configuration's: no client can make them collide.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    exact: HashMap<Box<str>, Place>,
    /// The most specific first.
    shapes: Vec<Shape>,
    /// Without their trailing slash, so `/` is the empty text.
    prefixes: HashMap<Box<str>, Place>,
    /// The distinct lengths of the prefixes, longest first. Only these are looked up, so that a
    /// path of a thousand slashes costs no more lookups than the configuration has lengths.
    lengths: Vec<usize>,
    regexes: Vec<(Pattern, Place)>,
    any: Option<Place>,
}

/// The templates that have their literals at the same positions. All that a path can fit of one
/// shape is one template, so shapes are tried in order and nothing has to be taken back.
#[derive(Debug, Clone)]
struct Shape {
    segments: usize,
    literals: u64,
    hash: DefaultHashBuilder,
    /// By their literals, with a slash behind each.
    places: HashTable<(Box<str>, Place)>,
}

impl Table {
    /// Adds a rule under its paths.
    pub(super) fn add(&mut self, candidate: &Candidate, paths: &[PathPattern]) {
        if paths.is_empty() {
            self.any.get_or_insert_default().add(candidate.clone());
        }
        for (position, path) in paths.iter().enumerate() {
            self.entry(path).add(candidate.at(position));
        }
    }

    fn entry(&mut self, path: &PathPattern) -> &mut Place {
        match path {
            PathPattern::Exact(path) => self.exact.entry(path.clone()).or_default(),
            PathPattern::Template(template) => self.shape(template).entry(template),
            PathPattern::Prefix(path) => {
                let path = path.trim_end_matches('/');
                if let Err(at) = self.lengths.binary_search_by(|length| path.len().cmp(length)) {
                    self.lengths.insert(at, path.len());
                }
                self.prefixes.entry(path.into()).or_default()
            }
            PathPattern::Regex(pattern) => {
                let known = self.regexes.iter().position(|(known, _)| known == pattern);
                let at = known.unwrap_or_else(|| {
                    self.regexes.push((pattern.clone(), Place::default()));
                    self.regexes.len() - 1
                });
                &mut self.regexes[at].1
            }
        }
    }

    fn shape(&mut self, template: &Template) -> &mut Shape {
        let (segments, literals) = (template.len(), template.literals());
        // The first position is the highest bit, so that the greater number is the shape whose
        // first difference is a literal.
        let rank = |literals: u64| (literals.count_ones(), literals);
        let before =
            |shape: &Shape| (rank(shape.literals), shape.segments) > (rank(literals), segments);
        let at = self.shapes.partition_point(before);
        let known = self.shapes.get(at);
        if known.is_none_or(|shape| (shape.segments, shape.literals) != (segments, literals)) {
            let hash = DefaultHashBuilder::default();
            self.shapes.insert(at, Shape { segments, literals, hash, places: HashTable::new() });
        }
        &mut self.shapes[at]
    }

    /// Walks what fits the path, most specific first, until `visit` breaks.
    pub(super) fn each<'a, B>(
        &'a self,
        path: &str,
        visit: &mut impl FnMut(&'a Place) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if let Some(place) = self.exact.get(path) {
            visit(place)?;
        }
        if !self.shapes.is_empty()
            && let Some(segments) = Segments::of(path)
        {
            for shape in self.shapes.iter().filter(|shape| shape.segments == segments.count) {
                if let Some(place) = shape.get(&segments) {
                    visit(place)?;
                }
            }
        }
        for length in &self.lengths {
            // `/` cannot be part of a longer character, so the slice below starts and ends well.
            let whole_segments = match path.as_bytes().get(*length) {
                Some(next) => *next == b'/' || *length == 0,
                None => *length == path.len(),
            };
            if whole_segments && let Some(place) = self.prefixes.get(&path[..*length]) {
                visit(place)?;
            }
        }
        for (pattern, place) in &self.regexes {
            if pattern.matches(path.as_bytes()) {
                visit(place)?;
            }
        }
        match &self.any {
            Some(place) => visit(place),
            None => Continue(()),
        }
    }

    /// Walks all places.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        let templates = self.shapes.iter().flat_map(|shape| shape.places.iter());
        let templates = templates.map(|(_, place)| place);
        self.exact.values().chain(templates).chain(self.prefixes.values()).chain(self.below_root())
    }

    /// The place of the prefix `/`, which every path has.
    pub(super) fn root(&self) -> Option<&Place> {
        self.prefixes.get("")
    }

    /// Walks the places that come after those of every prefix.
    pub(super) fn below_root(&self) -> impl Iterator<Item = &Place> {
        self.regexes.iter().map(|(_, place)| place).chain(&self.any)
    }

    /// Gives back memory that nothing will need any more.
    pub(super) fn settle(&mut self) {
        let Table { exact, shapes, prefixes, lengths, regexes, any } = self;
        exact.values_mut().chain(prefixes.values_mut()).for_each(Place::settle);
        regexes.iter_mut().map(|(_, place)| place).chain(any).for_each(Place::settle);
        exact.shrink_to_fit();
        prefixes.shrink_to_fit();
        for Shape { hash, places, .. } in &mut *shapes {
            places.iter_mut().for_each(|(_, place)| place.settle());
            places.shrink_to_fit(|(key, _)| hash_of(hash, key.split_terminator('/')));
        }
        shapes.shrink_to_fit();
        lengths.shrink_to_fit();
        regexes.shrink_to_fit();
    }
}

impl Shape {
    fn entry(&mut self, template: &Template) -> &mut Place {
        let Shape { hash, places, .. } = self;
        let key: String = template.literal_segments().flat_map(|literal| [literal, "/"]).collect();
        let entry = places.entry(
            hash_of(hash, key.split_terminator('/')),
            |(known, _)| **known == *key,
            |(known, _)| hash_of(hash, known.split_terminator('/')),
        );
        &mut entry.or_insert_with(|| (key.as_str().into(), Place::default())).into_mut().1
    }

    /// Finds the template of this shape that a path with as many segments fits.
    fn get(&self, segments: &Segments<'_>) -> Option<&Place> {
        let is_literal = |position: usize| self.literals & Template::bit(position) != 0;
        let mut hasher = self.hash.build_hasher();
        for position in 0..segments.count {
            let segment = segments.get(position);
            if is_literal(position) {
                write(&mut hasher, segment);
            } else if segment.is_empty() {
                // A placeholder stands for something.
                return None;
            }
        }
        let is_it = |(key, _): &(Box<str>, Place)| {
            let mut rest = key.as_bytes();
            (0..segments.count).filter(|position| is_literal(*position)).all(|position| {
                let after = rest.strip_prefix(segments.get(position));
                let after = after.and_then(|after| after.strip_prefix(b"/"));
                after.map(|after| rest = after).is_some()
            })
        };
        self.places.find(hasher.finish(), is_it).map(|(_, place)| place)
    }
}

/// Where the segments of a path are. A path that has more than any template may have is not looked
/// at to its end.
struct Segments<'p> {
    path: &'p [u8],
    count: usize,
    /// Where each begins, and one more for where the next would.
    starts: [u16; Template::MOST_SEGMENTS + 1],
}

impl<'p> Segments<'p> {
    fn of(path: &'p str) -> Option<Segments<'p>> {
        let path = path.as_bytes();
        let mut starts = [0; Template::MOST_SEGMENTS + 1];
        let mut count = 0;
        for (at, byte) in path.iter().enumerate() {
            if *byte == b'/' {
                *starts.get_mut(count)? = u16::try_from(at + 1).ok()?;
                count += 1;
            }
        }
        *starts.get_mut(count)? = u16::try_from(path.len() + 1).ok()?;
        Some(Segments { path, count, starts })
    }

    fn get(&self, position: usize) -> &'p [u8] {
        let (start, next) = (self.starts[position], self.starts[position + 1]);
        &self.path[usize::from(start)..usize::from(next) - 1]
    }
}

fn hash_of<'a>(hash: &DefaultHashBuilder, literals: impl Iterator<Item = &'a str>) -> u64 {
    let mut hasher = hash.build_hasher();
    literals.for_each(|literal| write(&mut hasher, literal.as_bytes()));
    hasher.finish()
}

fn write(hasher: &mut impl Hasher, literal: &[u8]) {
    hasher.write(literal);
    hasher.write_u8(b'/');
}
