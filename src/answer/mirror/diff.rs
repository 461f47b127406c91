//! What differs between two answers to one request: the client's, and that of the service which
//! got a copy.

use super::excerpt::{excerpt, excerpt_from, text_of};
use super::seen::{Body, Seen};
use crate::answer::mirror::Compare;
use crate::value::BodyStep;
use serde::Serialize;
use serde_json::{Number, Value};
use std::fmt::Write;

/// How many differences of one comparison are kept; the others are counted.
const MOST: usize = 16;

/// The longest place that is kept, in bytes: a member's name may be as long as a body.
const LONGEST_PATH: usize = 256;

/// How many bytes before the first difference an excerpt of a body begins.
const BEFORE: usize = 16;

/// What a comparison came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The first differences.
    pub differences: Vec<Difference>,
    /// How many more there were.
    pub more: usize,
    /// Whether bodies were left out that should have been compared: one was too long, or
    /// compressed.
    pub body_skipped: bool,
}

/// One difference, its values shortened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Where: `status`, `headers.NAME`, or a place in the body as `ignore` writes it.
    pub path: String,
    /// What the client's answer has there, if anything.
    pub primary: Option<String>,
    /// What the mirror's answer has there, if anything.
    pub mirror: Option<String>,
}

impl Comparison {
    /// Whether nothing differed of what was compared.
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }

    fn differ(&mut self, path: &str, primary: Option<String>, mirror: Option<String>) {
        let path = excerpt(path.as_bytes(), LONGEST_PATH);
        self.differences.push(Difference { path, primary, mirror });
    }

    /// Counts a difference, and keeps it if there is room for it.
    fn differ_in(&mut self, path: &str, primary: Option<&Value>, mirror: Option<&Value>) {
        match self.differences.len() < MOST {
            true => self.differ(path, primary.map(text_of), mirror.map(text_of)),
            false => self.more += 1,
        }
    }
}

/// Compares two answers of which `compare` said what to keep. Its time grows with the sizes of the
/// bodies times the number of places to ignore, both of which are bounded.
///
/// Bodies that are both JSON (RFC 8259) are compared by their structure: the order of members
/// counts for nothing, and numbers are equal that mean the same, `1` and `1.0`. Others are
/// compared byte by byte.
pub fn compare(compare: &Compare, primary: &Seen, mirror: &Seen) -> Comparison {
    let mut found = Comparison::default();
    if primary.status != mirror.status {
        let status = |seen: &Seen| Some(seen.status.as_str().to_owned());
        found.differ("status", status(primary), status(mirror));
    }
    let fields = primary.fields.iter().zip(&mirror.fields);
    for (name, (primary, mirror)) in compare.headers.iter().zip(fields) {
        if primary != mirror && found.differences.len() < MOST {
            let value = |value: &Option<Vec<u8>>| Some(excerpt_from(value.as_ref()?, 0));
            found.differ(&format!("headers.{name}"), value(primary), value(mirror));
        } else if primary != mirror {
            found.more += 1;
        }
    }
    let ignore: Vec<&[BodyStep]> = compare.ignore.iter().map(|path| path.steps()).collect();
    if ignore.iter().any(|steps| steps.is_empty()) {
        return found;
    }
    match (&primary.body, &mirror.body) {
        (Body::Whole(primary), Body::Whole(mirror)) => {
            bodies(&mut found, &ignore, primary, mirror);
        }
        _ => found.body_skipped = true,
    }
    found
}

fn bodies(found: &mut Comparison, ignore: &[&[BodyStep]], primary: &[u8], mirror: &[u8]) {
    let Some(at) = first_difference(primary, mirror) else {
        return;
    };
    // Whether they are JSON is for themselves to say: media types are often missing or wrong.
    let (one, other) = (serde_json::from_slice(primary), serde_json::from_slice(mirror));
    if let (Ok(one), Ok(other)) = (one, other) {
        let mut walk = Walk { found, path: "body".to_owned() };
        return walk.values(ignore, &one, &other);
    }
    if found.differences.len() < MOST {
        let from = at.saturating_sub(BEFORE);
        let part = |body: &[u8]| (!body.is_empty()).then(|| excerpt_from(body, from));
        found.differ("body", part(primary), part(mirror));
    } else {
        found.more += 1;
    }
}

fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    let differs = one.iter().zip(other).position(|(one, other)| one != other);
    differs.or_else(|| (one.len() != other.len()).then(|| one.len().min(other.len())))
}

/// A walk through two values at once. It goes no deeper than the parser does, which is 128 levels.
struct Walk<'f> {
    found: &'f mut Comparison,
    /// The place where it is.
    path: String,
}

impl Walk<'_> {
    /// Compares what stands at one place; `ignore` is what is left of the paths that lead through
    /// it.
    fn values(&mut self, ignore: &[&[BodyStep]], primary: &Value, mirror: &Value) {
        match (primary, mirror) {
            (Value::Object(primary), Value::Object(mirror)) => {
                for (name, value) in primary {
                    self.member(ignore, name, Some(value), mirror.get(name));
                }
                let added = mirror.iter().filter(|(name, _)| !primary.contains_key(*name));
                for (name, value) in added {
                    self.member(ignore, name, None, Some(value));
                }
            }
            (Value::Array(primary), Value::Array(mirror)) => {
                for position in 0..primary.len().max(mirror.len()) {
                    let rest = through(ignore, |step| step.is_element(position));
                    let step = BodyStep::Element(position);
                    self.step(&rest, &step, primary.get(position), mirror.get(position));
                }
            }
            (Value::Number(one), Value::Number(other)) if same_number(one, other) => {}
            (primary, mirror) if primary == mirror => {}
            (primary, mirror) => {
                self.found.differ_in(&self.path, Some(primary), Some(mirror));
            }
        }
    }

    fn member(
        &mut self,
        ignore: &[&[BodyStep]],
        name: &str,
        primary: Option<&Value>,
        mirror: Option<&Value>,
    ) {
        let rest = through(ignore, |step| step.is_member(name));
        self.step(&rest, &BodyStep::Member(name.into()), primary, mirror);
    }

    fn step(
        &mut self,
        ignore: &[&[BodyStep]],
        step: &BodyStep,
        primary: Option<&Value>,
        mirror: Option<&Value>,
    ) {
        if ignore.iter().any(|steps| steps.is_empty()) {
            return;
        }
        let length = self.path.len();
        write!(self.path, "{step}").expect("a string takes what is written to it");
        match (primary, mirror) {
            (Some(primary), Some(mirror)) => self.values(ignore, primary, mirror),
            (primary, mirror) => self.found.differ_in(&self.path, primary, mirror),
        }
        self.path.truncate(length);
    }
}

/// What is left of the paths whose next step leads on. Where none does, nothing is allocated.
fn through<'p>(
    ignore: &[&'p [BodyStep]],
    leads_on: impl Fn(&BodyStep) -> bool,
) -> Vec<&'p [BodyStep]> {
    let next = ignore.iter().filter_map(|steps| steps.split_first());
    next.filter(|(step, _)| leads_on(step)).map(|(_, rest)| rest).collect()
}

/// Whether two numbers mean the same. Integers are compared as such; beyond them JSON promises no
/// more than what a double holds (RFC 8259 §6).
fn same_number(one: &Number, other: &Number) -> bool {
    let integral = |number: &Number| number.is_i64() || number.is_u64();
    if integral(one) && integral(other) {
        return one == other;
    }
    one.as_f64() == other.as_f64()
}

#[cfg(test)]
mod tests;
