//! Paths with placeholders: `/orders/{id}/page`.

use std::fmt;

use crate::exchange::{Parameters, PathRules};
use crate::value::Invalid;

use super::path;

/// A path some of whose segments are placeholders. A placeholder stands for exactly one segment,
/// which is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Box<[Segment]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Placeholder(Box<str>),
}

impl Template {
    /// How many segments a template may have: as many as a word has bits.
    pub(super) const MOST_SEGMENTS: usize = 64;

    /// Whether each of its segments is a placeholder.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = bool> {
        self.0.iter().map(|segment| matches!(segment, Segment::Placeholder(_)))
    }

    /// Reads a template, and refuses what no request's path could ever fit.
    ///
    /// # Errors
    ///
    /// Says what is wrong with a path, a placeholder or its name.
    pub fn parse(text: &str, rules: PathRules) -> Result<Self, Invalid> {
        let refuse = |reason: &str| Err(Invalid::new(format!("the template `{text}` {reason}")));
        // Where placeholders stand, the path that is checked has a letter.
        let mut stand_in = String::new();
        let mut names: Vec<Option<&str>> = Vec::new();
        for (position, segment) in text.split('/').enumerate() {
            if position > 0 {
                stand_in.push('/');
            }
            let inside = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            match inside {
                Some(name) if name.starts_with('*') || name.ends_with('*') => {
                    return refuse(
                        "has a placeholder for several segments: write a prefix, or a regex",
                    );
                }
                Some(name) if !is_name(name) => {
                    return refuse(&format!(
                        "has the placeholder `{segment}`: a name has letters, digits, `_` and `-`"
                    ));
                }
                Some(name) if names.contains(&Some(name)) => {
                    return refuse(&format!("has `{segment}` twice"));
                }
                None if segment.contains(['{', '}']) => {
                    return refuse(&format!(
                        "has a placeholder within `{segment}`: it stands for a whole segment, \
                         write a regex for less"
                    ));
                }
                Some(_) => stand_in.push('x'),
                None => stand_in.push_str(segment),
            }
            names.push(inside);
        }
        if names.iter().all(Option::is_none) {
            return refuse("has no placeholder such as `{id}`: write `exact`");
        }
        if names.len() > Template::MOST_SEGMENTS + 1 {
            return refuse("has more segments than 64");
        }
        let normal = path::normal(&stand_in, rules)?;
        let segments = normal.split('/').zip(names).skip(1);
        let segments = segments.map(|(literal, name)| match name {
            Some(name) => Segment::Placeholder(name.into()),
            None => Segment::Literal(literal.into()),
        });
        Ok(Template(segments.collect()))
    }

    /// Where its named parts are found in a path that fits.
    pub fn parameters(&self) -> Parameters {
        let named = self.0.iter().enumerate().filter_map(|(position, segment)| match segment {
            Segment::Placeholder(name) => Some((name.clone(), position)),
            Segment::Literal(_) => None,
        });
        Parameters::Segments(named.collect())
    }

    /// The bit of a position: the first has the highest.
    pub(super) fn bit(position: usize) -> u64 {
        1 << (Template::MOST_SEGMENTS - 1) >> position
    }

    /// Returns the bits of the positions at which it has literals.
    pub(super) fn literals(&self) -> u64 {
        let segments = self.0.iter().enumerate();
        let literals = segments.filter(|(_, segment)| matches!(segment, Segment::Literal(_)));
        literals.fold(0, |bits, (position, _)| bits | Template::bit(position))
    }

    /// Walks its literals.
    pub(super) fn literal_segments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Literal(literal) => Some(&**literal),
            Segment::Placeholder(_) => None,
        })
    }

    /// Counts its segments.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn is_name(name: &str) -> bool {
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    !name.is_empty() && name.chars().all(in_name)
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Literal(literal) => write!(f, "/{literal}"),
            Segment::Placeholder(name) => write!(f, "/{{{name}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text, PathRules::default()).unwrap()
    }

    #[test]
    fn placeholders_are_whole_segments() {
        for text in ["/orders/{id}/page", "/{a}/{b-2}", "/caf%C3%A9/{x_y}", "/a/{b}/"] {
            assert_eq!(template(text).to_string(), text);
        }
        assert_eq!(template("/caf%c3%a9/%7Ex/{id}").to_string(), "/caf%C3%A9/~x/{id}");
    }

    #[test]
    fn parts_are_found_at_their_positions() {
        let parameters = template("/orders/{id}/parts/{part}").parameters();
        let value = |name| parameters.value("/orders/7/parts/a%20b", name);
        assert_eq!(value("id").as_deref(), Some(&b"7"[..]));
        assert_eq!(value("part").as_deref(), Some(&b"a b"[..]));
    }

    #[test]
    fn what_is_no_template_is_refused_with_a_reason() {
        for (text, message) in [
            ("orders/{id}", "must begin with `/`"),
            ("/orders", "write `exact`"),
            ("/orders/{}", "a name has letters"),
            ("/orders/{a b}", "a name has letters"),
            ("/orders/{id}/{id}", "`{id}` twice"),
            ("/orders/{id}.json", "within `{id}.json`"),
            ("/orders/{id", "within `{id`"),
            ("/orders/{path*}", "write a prefix"),
            ("/orders/{*path}", "write a prefix"),
            ("/orders/../{id}", "did you mean"),
            ("/orders/{id}?a=b", "within `{id}?a=b`"),
            ("/orders?/{id}", "must not hold a query"),
            (&("/a".repeat(64) + "/{id}"), "more segments than 64"),
        ] {
            let refusal = Template::parse(text, PathRules::default()).unwrap_err().to_string();
            assert!(refusal.contains(message), "{text}: {refusal}");
        }
    }
}
