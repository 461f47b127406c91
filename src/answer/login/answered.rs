//! What a service answered, as the claims of a token refer to it.

use crate::exchange::References;
use crate::value::{AnswerPart, BodyPath, BodyStep, Reference, Source, Template};
use http::HeaderMap;
use serde_json::Value;
use std::borrow::Cow;

/// A service's answer, beside the request that it was asked for.
pub struct Answered<'a> {
    /// Its body.
    pub body: &'a Value,
    /// Its header fields.
    pub headers: &'a HeaderMap,
    /// The request.
    pub references: References<'a>,
}

impl<'a> Answered<'a> {
    /// What stands at a place of the body; the first of several.
    pub fn at(&self, path: &BodyPath) -> Option<&'a Value> {
        path.steps().iter().try_fold(self.body, |value, step| match (step, value) {
            (BodyStep::Member(name), Value::Object(members)) => members.get(&**name),
            (BodyStep::Element(position), Value::Array(elements)) => elements.get(*position),
            (BodyStep::Elements | BodyStep::Each, Value::Array(elements)) => elements.first(),
            (BodyStep::Each, Value::Object(members)) => members.values().next(),
            _ => None,
        })
    }

    /// A claim: one that is a single place of the body keeps its type, unless it has to be text.
    pub fn claim(&self, template: &Template, is_text: bool) -> Option<Value> {
        if let Some(Reference::Answer(AnswerPart::Body(path))) = template.as_reference() {
            return match self.at(path)? {
                Value::Null => None,
                Value::String(text) => Some(Value::from(text.as_str())),
                Value::Array(_) | Value::Object(_) if is_text => None,
                other if is_text => Some(Value::from(other.to_string())),
                other => Some(other.clone()),
            };
        }
        let mut text = Vec::new();
        template.render(self, &mut text).then_some(())?;
        Some(Value::from(String::from_utf8(text).ok()?))
    }
}

impl Source for Answered<'_> {
    fn value(&self, reference: &Reference) -> Option<Cow<'_, [u8]>> {
        match reference {
            Reference::Answer(AnswerPart::Body(path)) => match self.at(path)? {
                Value::Null => None,
                Value::String(text) => Some(text.as_bytes().into()),
                other => Some(other.to_string().into_bytes().into()),
            },
            Reference::Answer(AnswerPart::Header(name)) => {
                Some(self.headers.get(name)?.as_bytes().into())
            }
            other => self.references.value(other),
        }
    }
}
