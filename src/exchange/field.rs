//! The value of a header field that the configuration gives.

use crate::value::{Fields, Invalid, Reference, Source, Template};
use http::{HeaderName, HeaderValue};

/// A value that is known, or one that each request makes.
#[derive(Debug)]
pub enum FieldValue {
    /// The same for every request.
    Fixed(HeaderValue),
    /// Made of what the request says.
    Made(Template),
}

impl FieldValue {
    /// Turns the fields of one mapping into what they mean.
    ///
    /// # Errors
    ///
    /// Refuses fields that belong to the connection, and text that is no field value.
    pub fn compile(fields: &Fields) -> Result<Vec<(HeaderName, Self)>, Invalid> {
        let fields = fields.iter().map(|(name, template)| {
            let within = |invalid: Invalid| invalid.under(name.as_str());
            let editable = name.editable().map_err(within)?;
            let value = match template.as_literal() {
                Some(text) => HeaderValue::from_str(text)
                    .map(FieldValue::Fixed)
                    .map_err(|_| within(Invalid::new("this is not a header value")))?,
                None => FieldValue::Made(template.clone()),
            };
            Ok((editable, value))
        });
        fields.collect()
    }

    /// Its value for one request; none where a reference has none, or where it is no field value.
    pub fn of(&self, references: &impl Source) -> Option<HeaderValue> {
        match self {
            FieldValue::Fixed(value) => Some(value.clone()),
            FieldValue::Made(template) => {
                let mut value = Vec::new();
                template.render(references, &mut value).then_some(())?;
                HeaderValue::from_bytes(&value).ok()
            }
        }
    }

    /// Its value for whoever is asking: none also where it has blanks at its ends, which are no part of
    /// a field's value (RFC 9110 §5.5), so that it would be another's for the service.
    pub fn of_someone(&self, source: &impl Source) -> Option<HeaderValue> {
        let is_blank = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        let value = self.of(source)?;
        let bytes = value.as_bytes();
        (!is_blank(bytes.first()) && !is_blank(bytes.last())).then_some(value)
    }

    /// Walks what it refers to.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let template = match self {
            FieldValue::Fixed(_) => None,
            FieldValue::Made(template) => Some(template),
        };
        template.into_iter().flat_map(Template::references)
    }
}
