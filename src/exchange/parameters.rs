//! What a route's path pattern calls the parts of a path. Matching takes note of none of them:
//! a part is looked up when a template asks for it, in the path that was matched.

use crate::value::Pattern;
use percent_encoding::percent_decode;
use std::borrow::Cow;

/// Where the named parts of a path are found.
#[derive(Debug, Clone)]
pub enum Parameters {
    /// They are whole segments: name and position, which counts from zero.
    Segments(Box<[(Box<str>, usize)]>),
    /// They are groups of a regular expression.
    Groups(Pattern),
}

impl Parameters {
    /// Walks the names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (segments, groups) = match self {
            Parameters::Segments(segments) => (Some(segments), None),
            Parameters::Groups(pattern) => (None, Some(pattern)),
        };
        let segments = segments.into_iter().flatten().map(|(name, _)| &**name);
        segments.chain(groups.into_iter().flat_map(Pattern::names))
    }

    /// Returns a part of a path that the pattern matches, percent-decoded; `None` where the
    /// pattern has no such part, or its group took no part in the match.
    pub fn value<'p>(&self, path: &'p str, name: &str) -> Option<Cow<'p, [u8]>> {
        let encoded = match self {
            Parameters::Segments(segments) => {
                let (_, position) = segments.iter().find(|(known, _)| **known == *name)?;
                path.split('/').nth(position + 1)?.as_bytes()
            }
            Parameters::Groups(pattern) => pattern.capture(path.as_bytes(), name)?,
        };
        Some(percent_decode(encoded).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_decoded_once() {
        let parameters = Parameters::Segments([("id".into(), 1), ("part".into(), 3)].into());
        let value = |name| parameters.value("/orders/a%2Fb%2520/parts/7", name);
        assert_eq!(value("id").as_deref(), Some(&b"a/b%20"[..]));
        assert_eq!(value("part").as_deref(), Some(&b"7"[..]));
        assert_eq!(value("other"), None);
        assert_eq!(parameters.names().collect::<Vec<_>>(), ["id", "part"]);
    }

    #[test]
    fn a_group_that_takes_no_part_has_no_value() {
        let pattern = "/(?<year>[0-9]+)(?:/(?<month>[0-9]+))?".parse().unwrap();
        let parameters = Parameters::Groups(pattern);
        assert_eq!(parameters.value("/2024/05", "month").as_deref(), Some(&b"05"[..]));
        assert_eq!(parameters.value("/2024", "month"), None);
        assert_eq!(parameters.value("/2024", "year").as_deref(), Some(&b"2024"[..]));
    }
}
