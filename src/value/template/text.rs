//! Templates that become the text of a body.

use std::borrow::Cow;

use super::{Choice, Part, Reference, Source, Template};

/// What a value must not be able to break out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Nothing: plain text.
    Plain,
    /// A string of JSON (RFC 8259 §7).
    Json,
    /// Text, or a quoted attribute, of HTML or XML.
    Markup,
}

/// A piece of a template, as it was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text that is the same for every request.
    Literal(&'a str),
    /// One of several values: the first reference that is there, or else this text.
    Choice(&'a [Reference], Option<&'a str>),
}

impl Template {
    /// Walks the pieces.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.parts.iter().map(|part| match part {
            Part::Literal(text) => Piece::Literal(text),
            Part::Choice(Choice { references, otherwise }) => {
                Piece::Choice(references, otherwise.as_deref())
            }
        })
    }

    /// Appends the rendered text to `out`. A value that is missing is empty, and every other is
    /// escaped, alternatives in quotes included: these stand where values stand.
    pub fn render_text(&self, source: &impl Source, escape: Escape, out: &mut Vec<u8>) {
        for piece in self.pieces() {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Choice(references, otherwise) => {
                    let value = references.iter().find_map(|reference| source.value(reference));
                    let value = value.or_else(|| otherwise.map(|text| text.as_bytes().into()));
                    escape.write(&value.unwrap_or_default(), out);
                }
            }
        }
    }
}

impl Escape {
    fn write(self, value: &[u8], out: &mut Vec<u8>) {
        match self {
            Escape::Plain => out.extend_from_slice(value),
            Escape::Json => {
                let start = out.len();
                // JSON is UTF-8 (RFC 8259 §8.1), which a header's value need not be.
                let text: Cow<'_, str> = String::from_utf8_lossy(value);
                serde_json::to_writer(&mut *out, &text).expect("text serialises into a Vec");
                out.remove(start);
                out.pop();
            }
            Escape::Markup => {
                for byte in value {
                    match byte {
                        b'&' => out.extend_from_slice(b"&amp;"),
                        b'<' => out.extend_from_slice(b"&lt;"),
                        b'>' => out.extend_from_slice(b"&gt;"),
                        b'"' => out.extend_from_slice(b"&quot;"),
                        b'\'' => out.extend_from_slice(b"&#39;"),
                        other => out.push(*other),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says the same for every header, and has nothing else.
    struct Header(&'static [u8]);

    impl Source for Header {
        fn value(&self, reference: &Reference) -> Option<Cow<'_, [u8]>> {
            matches!(reference, Reference::Header(_)).then_some(Cow::Borrowed(self.0))
        }
    }

    fn rendered(text: &str, escape: Escape, value: &'static [u8]) -> String {
        let template: Template = text.parse().unwrap();
        let mut out = b"<".to_vec();
        template.render_text(&Header(value), escape, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_missing_value_is_empty() {
        assert_eq!(rendered("a$(query.x)b", Escape::Plain, b""), "<ab");
        assert_eq!(rendered("a$(query.x ?? \"-\")b", Escape::Plain, b""), "<a-b");
    }

    #[test]
    fn a_value_stays_inside_its_json_string() {
        let value = b"\",\"admin\":true,\"x\":\"\\\n\xff";
        let text = rendered("{\"a\":\"$(header.x)\"}", Escape::Json, value);
        let parsed: serde_json::Value = serde_json::from_str(&text[1..]).unwrap();
        assert_eq!(parsed["a"], String::from_utf8_lossy(value).as_ref());
        assert_eq!(parsed.as_object().unwrap().len(), 1);
        assert_eq!(rendered("$(query.x ?? \"a\\\"b\")", Escape::Json, b""), "<a\\\"b");
    }

    #[test]
    fn a_value_begins_no_tag_and_ends_no_attribute() {
        let text = rendered("$(header.x)", Escape::Markup, b"<b a='1' c=\"2\">&");
        assert_eq!(text, "<&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;");
        assert_eq!(rendered("$(header.x)", Escape::Plain, b"<b>"), "<<b>");
    }
}
