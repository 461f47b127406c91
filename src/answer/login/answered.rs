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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::sample;
    use serde_json::json;

    fn claim(template: &str, is_text: bool) -> Option<Value> {
        let body = json!({"id": 7, "name": "ann", "none": null, "yes": true, "of": {"a": [1, 2]}});
        let mut headers = HeaderMap::new();
        headers.insert("x-region", "eu".parse().unwrap());
        let (head, facts) = (http::Request::new(()).into_parts().0, sample::facts());
        let references = References { head: &head, facts: &facts };
        let answered = Answered { body: &body, headers: &headers, references };
        answered.claim(&template.parse().unwrap(), is_text)
    }

    #[test]
    fn one_reference_keeps_its_type_unless_it_has_to_be_text() {
        for (template, kept, text) in [
            ("$(answer.body.id)", Some(json!(7)), Some(json!("7"))),
            ("$(answer.body.name)", Some(json!("ann")), Some(json!("ann"))),
            ("$(answer.body.yes)", Some(json!(true)), Some(json!("true"))),
            ("$(answer.body.of)", Some(json!({"a": [1, 2]})), None),
            ("$(answer.body.of.a[1])", Some(json!(2)), Some(json!("2"))),
            ("$(answer.body.none)", None, None),
            ("$(answer.body.gone)", None, None),
            ("$(answer.header.x-region)", Some(json!("eu")), Some(json!("eu"))),
            ("u-$(answer.body.id)", Some(json!("u-7")), Some(json!("u-7"))),
            ("u-$(answer.body.gone)", None, None),
            ("u-$(answer.body.none)", None, None),
            ("fixed", Some(json!("fixed")), Some(json!("fixed"))),
        ] {
            assert_eq!(claim(template, false), kept, "{template}");
            assert_eq!(claim(template, true), text, "{template}");
        }
    }
}
