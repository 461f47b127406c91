//! Text with references to the request in it, such as `user-$(header.x-user ?? "none")`. Every
//! reference is understood when the configuration is loaded, so that a request only copies bytes.
//!
//! Grammar: text stands for itself; `$(a ?? b ?? "text")` takes the first alternative that is
//! there; `$$(` is a literal `$(`. In the quoted text `\"` and `\\` are escapes. `env:NAME` and
//! `file:PATH` are resolved at load and are plain text from then on.

use super::schema::word_schema;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::de::{Deserialize, Deserializer, Visitor};

use super::outside::{self, LookUp};
use super::{Invalid, deserialize_text};

mod parse;
mod reference;
mod text;

pub use reference::{AnswerPart, ConsumerField, Reference};
pub use text::{Escape, Piece};

/// A parsed template.
///
/// Displays and debugs as the text that was typed: what an environment variable held may be a
/// secret and is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

/// A piece of a template. Neighbouring literals are one.
#[derive(Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Choice(Choice),
}

/// Alternatives, tried in order.
#[derive(Clone, PartialEq, Eq)]
struct Choice {
    references: Vec<Reference>,
    otherwise: Option<String>,
}

/// What references are looked up in: usually one request.
pub trait Source {
    /// Returns what the reference stands for, or `None` when the request has no such thing. An
    /// empty value is a value.
    fn value(&self, reference: &Reference) -> Option<Cow<'_, [u8]>>;
}

/// What must be encoded in a path segment: all but pchar (RFC 3986 §3.3).
const SEGMENT: &AsciiSet = &COMPONENT
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// What must be encoded in a path of the request: nothing that is one's part, as its segments and
/// what is encoded in them are told apart already.
const PATH: &AsciiSet = &SEGMENT.remove(b'/').remove(b'%');

/// What must be encoded in a host: an address of IPv6 keeps its brackets.
const HOST: &AsciiSet = &SEGMENT.remove(b'[').remove(b']');

/// What must be encoded behind a `?`: all but unreserved, since a query reads `&`, `=` and `+`.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Template {
    /// What a deserializer is asked for when a template is read: the text as it was typed, in
    /// which it resolves nothing itself.
    pub const TYPED: &'static str = "$template";

    /// Parses a template; `look_up` knows what does not come with requests.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a malformed template, an unknown reference, or a variable that is
    /// not set and has no alternative.
    pub fn parse(text: &str, look_up: LookUp<'_>) -> Result<Template, Invalid> {
        Ok(Template { text: text.to_owned(), parts: parse::parts(text, look_up)? })
    }

    /// Returns the whole text when it is the same for every request.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns the reference that is all there is, without an alternative: what it stands for can
    /// then keep its type, where a template of more parts is text.
    pub fn as_reference(&self) -> Option<&Reference> {
        let [Part::Choice(Choice { references, otherwise: None })] = self.parts.as_slice() else {
            return None;
        };
        match references.as_slice() {
            [reference] => Some(reference),
            _ => None,
        }
    }

    /// Walks the references that rendering may ask for.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().flat_map(|part| match part {
            Part::Literal(_) => [].iter(),
            Part::Choice(choice) => choice.references.iter(),
        })
    }

    /// Appends the rendered text to `out`. Returns false, and leaves `out` as it was, when a
    /// value was missing.
    ///
    /// Values come through as they are: whoever puts the result into a header checks it for
    /// control characters.
    #[must_use]
    pub fn render(&self, source: &impl Source, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        for part in &self.parts {
            match part.resolve(source) {
                Some(Resolved::Literal(text)) => out.extend_from_slice(text.as_bytes()),
                Some(Resolved::Value(_, value)) => out.extend_from_slice(&value),
                None => {
                    out.truncate(start);
                    return false;
                }
            }
        }
        true
    }

    /// Appends the rendered path to `out`, like `render`, with every referenced value
    /// percent-encoded so that it stays within its segment or query parameter. What the operator
    /// wrote is kept, variables of the environment included, and `request.path` is a path already.
    ///
    /// A value that would make a segment `.` or `..` counts as missing: no encoding can keep the
    /// next server from climbing (RFC 3986 §6.2.2).
    #[must_use]
    pub fn render_path(&self, source: &impl Source, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let mut in_query = false;
        let mut has_value = false;
        for part in &self.parts {
            match part.resolve(source) {
                Some(Resolved::Literal(text)) => {
                    in_query |= text.contains('?');
                    out.extend_from_slice(text.as_bytes());
                }
                Some(Resolved::Value(reference, value)) => {
                    has_value = true;
                    let set = match reference {
                        _ if in_query => COMPONENT,
                        Reference::RequestPath => PATH,
                        Reference::RequestHost => HOST,
                        _ => SEGMENT,
                    };
                    percent_encode(&value, set)
                        .for_each(|piece| out.extend_from_slice(piece.as_bytes()));
                }
                None => {
                    out.truncate(start);
                    return false;
                }
            }
        }
        if has_value && climbs(&out[start..]) {
            out.truncate(start);
            return false;
        }
        true
    }
}

/// A piece of output, and who it comes from.
enum Resolved<'a> {
    Literal(&'a str),
    Value(&'a Reference, Cow<'a, [u8]>),
}

impl Part {
    fn resolve<'a>(&'a self, source: &'a impl Source) -> Option<Resolved<'a>> {
        match self {
            Part::Literal(text) => Some(Resolved::Literal(text)),
            Part::Choice(choice) => choice
                .references
                .iter()
                .find_map(|reference| Some(Resolved::Value(reference, source.value(reference)?)))
                .or_else(|| choice.otherwise.as_deref().map(Resolved::Literal)),
        }
    }
}

/// Tells whether a path has a segment that a server would resolve instead of serve.
fn climbs(target: &[u8]) -> bool {
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    path.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b".."))
}

impl FromStr for Template {
    type Err = Invalid;

    /// Parses a template against the environment of this process, and the files beside the
    /// document that is being read.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Template::parse(text, &outside::look_up)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.text).finish()
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Typed;
        impl<'de> Visitor<'de> for Typed {
            type Value = Template;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, which may hold references such as `$(client.ip)`")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                typed: D,
            ) -> Result<Template, D::Error> {
                deserialize_text(typed, "text, which may hold references such as `$(client.ip)`")
            }
        }
        deserializer.deserialize_newtype_struct(Template::TYPED, Typed)
    }
}

word_schema!(
    Template,
    "Template",
    "Text, which may refer to the request, and take the first that is there: `$(header.x-a ?? query.a ?? \"none\")`.",
    {"type": ["string", "integer"], "examples": ["$(client.ip)"]}
);

#[cfg(test)]
mod tests;
