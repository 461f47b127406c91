//! A fixed answer: a status, header fields and a body.
//!
//! A body may hold values of the request, which a client chooses. What they could do there depends
//! on how the body is read, so its media type decides how they are escaped, and a type that nobody
//! here knows how to escape for takes none.

use crate::exchange::{FieldValue, References};
use crate::reply::Reply;
use crate::value::{Escape, Fields, Invalid, Piece, Reference, Template};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a body is where nothing else is said.
const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A fixed answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Respond")]
pub struct Config {
    /// Its status, from 200 to 599; 200 where it is left out.
    #[serde(default = "ok")]
    pub status: u16,
    /// Its header fields. One whose value refers to what the request does not have is left out.
    #[serde(default)]
    pub headers: Fields,
    /// Its body; none where it is left out. What the request does not have is empty in it. It is
    /// `text/plain; charset=utf-8` unless `headers` says otherwise; values are escaped in JSON,
    /// HTML and XML, and stand in no other type but plain text.
    pub body: Option<Template>,
}

fn ok() -> u16 {
    StatusCode::OK.as_u16()
}

/// The compiled answer.
#[derive(Debug)]
pub struct Respond {
    /// What is the same for every request.
    fixed: Reply,
    /// Header fields that each request makes.
    fields: Vec<(HeaderName, FieldValue)>,
    /// The body, where each request makes it.
    body: Option<(Template, Escape)>,
}

impl Respond {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    ///
    /// Refuses a status that ends no exchange, and a body that its status or media type does not
    /// allow.
    pub fn compile(config: &Config) -> Result<Self, Invalid> {
        let status = status(config.status).map_err(|invalid| invalid.under("status"))?;
        let fields =
            FieldValue::compile(&config.headers).map_err(|invalid| invalid.under("headers"))?;
        let mut headers = Vec::new();
        let mut made = Vec::new();
        for (name, value) in fields {
            match value {
                FieldValue::Fixed(value) => headers.push((name, value)),
                value => made.push((name, value)),
            }
        }
        let mut fixed = Reply { status, headers, body: Bytes::new() };
        let Some(template) = &config.body else {
            return Ok(Respond { fixed, fields: made, body: None });
        };
        let within = |invalid: Invalid| invalid.under("body");
        if bodiless(status) {
            let message = format!("an answer with status {} has no body", status.as_u16());
            return Err(within(Invalid::new(message)));
        }
        let typed = config.headers.get(&CONTENT_TYPE);
        if typed.is_none() {
            fixed.headers.push((CONTENT_TYPE, PLAIN_TEXT));
        }
        let kind = Kind::of(typed);
        if kind == Kind::Json {
            check_json(template).map_err(within)?;
        }
        if let Some(literal) = template.as_literal() {
            fixed.body = Bytes::copy_from_slice(literal.as_bytes());
            return Ok(Respond { fixed, fields: made, body: None });
        }
        let escape = kind.escape().map_err(within)?;
        Ok(Respond { fixed, fields: made, body: Some((template.clone(), escape)) })
    }

    /// An answer that is known whole.
    pub fn fixed(reply: Reply) -> Self {
        Respond { fixed: reply, fields: Vec::new(), body: None }
    }

    /// The answer to one request.
    pub fn reply(&self, references: References<'_>) -> Reply {
        let mut reply = self.fixed.clone();
        let made = self.fields.iter();
        let made = made.filter_map(|(name, value)| Some((name.clone(), value.of(&references)?)));
        reply.headers.extend(made);
        if let Some((template, escape)) = &self.body {
            let mut body = Vec::new();
            template.render_text(&references, *escape, &mut body);
            reply.body = body.into();
        }
        reply
    }

    /// Walks what its templates refer to.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let fields = self.fields.iter().flat_map(|(_, value)| value.references());
        let body = self.body.iter().flat_map(|(template, _)| template.references());
        fields.chain(body)
    }
}

fn status(typed: u16) -> Result<StatusCode, Invalid> {
    let refusal = match typed {
        100..=199 => "is interim, another answer follows it",
        200..=599 => {
            return StatusCode::from_u16(typed)
                .map_err(|error| Invalid::new(format!("{typed} is no status: {error}")));
        }
        _ => "is no status of an answer, these are 200 to 599",
    };
    Err(Invalid::new(format!("{typed} {refusal}")))
}

/// Whether RFC 9110 §15 gives the status no content.
fn bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

/// How a body is read by who gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Plain,
    Json,
    Markup,
    /// In some other way, named by its type.
    Other(String),
}

impl Kind {
    /// By the media type without its parameters (RFC 9110 §8.3.1); plain text where none is said.
    fn of(content_type: Option<&Template>) -> Self {
        let Some(content_type) = content_type else {
            return Kind::Plain;
        };
        let Some(text) = content_type.as_literal() else {
            return Kind::Other(content_type.to_string());
        };
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/plain" => Kind::Plain,
            "application/json" => Kind::Json,
            "text/html" | "text/xml" | "application/xml" => Kind::Markup,
            other if other.ends_with("+json") => Kind::Json,
            other if other.ends_with("+xml") => Kind::Markup,
            _ => Kind::Other(essence),
        }
    }

    fn escape(self) -> Result<Escape, Invalid> {
        match self {
            Kind::Plain => Ok(Escape::Plain),
            Kind::Json => Ok(Escape::Json),
            Kind::Markup => Ok(Escape::Markup),
            Kind::Other(name) => Err(Invalid::new(format!(
                "values of the request can be put into plain text, JSON, HTML and XML, not into \
                 `{name}`"
            ))),
        }
    }
}

/// Refuses a body that would not be JSON, and values outside of its strings, where a client could
/// add members: each value is taken for a letter, which JSON has in strings alone.
fn check_json(template: &Template) -> Result<(), Invalid> {
    let mut text = String::new();
    for piece in template.pieces() {
        text.push_str(match piece {
            Piece::Literal(literal) => literal,
            Piece::Choice(..) => "x",
        });
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(()),
        Err(error) if template.as_literal().is_some() => {
            Err(Invalid::new(format!("the body is not JSON, as its content-type says: {error}")))
        }
        Err(_) => Err(Invalid::new(
            "the body is not JSON, as its content-type says; a reference stands inside quotes \
             there, as in `{\"id\": \"$(query.id)\"}`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(yaml: &str) -> Result<Respond, Invalid> {
        Respond::compile(&serde_yaml::from_str(yaml).unwrap())
    }

    fn refusal(yaml: &str) -> String {
        compile(yaml).unwrap_err().to_string()
    }

    #[test]
    fn a_literal_answer_is_ready() {
        let respond = compile("{status: 410, body: gone}").unwrap();
        assert_eq!(respond.fixed.status, 410);
        assert_eq!(respond.fixed.body, "gone");
        assert_eq!(respond.fixed.headers, [(CONTENT_TYPE, PLAIN_TEXT)]);
        assert!(respond.body.is_none());
        assert!(compile("{}").unwrap().fixed.headers.is_empty());
    }

    #[test]
    fn a_status_that_ends_no_exchange_is_refused() {
        assert!(refusal("{status: 103}").starts_with("status: 103 is interim"));
        assert!(refusal("{status: 600}").starts_with("status: 600 is no status"));
        assert!(refusal("{status: 99}").contains("200 to 599"));
    }

    #[test]
    fn a_body_where_there_can_be_none_is_refused() {
        for status in [204, 205, 304] {
            let refusal = refusal(&format!("{{status: {status}, body: a}}"));
            assert!(refusal.starts_with("body: "), "{refusal}");
            assert!(compile(&format!("{{status: {status}}}")).is_ok());
        }
    }

    #[test]
    fn a_value_outside_of_a_json_string_is_refused() {
        let json = |body: &str| {
            let body = serde_json::to_string(body).unwrap();
            format!("{{headers: {{content-type: application/problem+json}}, body: {body}}}")
        };
        assert!(compile(&json("{\"a\": \"<$(query.a)>\"}")).is_ok());
        for body in ["{\"a\": $(query.a)}", "{\"a\": 1$(query.a)}", "{\"a\": \"\\$(query.a)\"}"] {
            assert!(refusal(&json(body)).contains("inside quotes"), "{body}");
        }
        assert!(refusal(&json("{\"a\": 1")).contains("the body is not JSON"));
    }

    #[test]
    fn a_type_that_nobody_can_escape_for_takes_no_values() {
        let of = |kind: &str| format!("{{headers: {{content-type: {kind}}}, body: $(query.a)}}");
        assert!(refusal(&of("text/javascript")).contains("not into `text/javascript`"));
        assert!(refusal(&of("$(header.accept)")).contains("not into `$(header.accept)`"));
        for kind in ["text/html; charset=utf-8", "image/svg+xml", "Text/Plain"] {
            assert!(compile(&of(kind)).is_ok(), "{kind}");
        }
        assert!(compile("{headers: {content-type: text/css}, body: \"a {}\"}").is_ok());
    }

    #[test]
    fn what_belongs_to_the_connection_is_not_set() {
        assert!(refusal("{headers: {content-length: 5}}").contains("belongs to the connection"));
    }
}
