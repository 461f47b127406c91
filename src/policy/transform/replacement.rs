//! A path for a path, by a regular expression and what it captured.
//!
//! The expression has to match the whole path, as one that a route matches by does. What it
//! captured is text of a path, encoded as it came, and is put into the new path as it is.

use crate::value::{Invalid, Pattern};
use regex::bytes::{Captures, Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::Deserialize;

/// One path for another, by a regular expression.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RegexReplacement")]
pub struct Config {
    /// What the whole path must match; any other path stays as it is.
    pub pattern: Pattern,
    /// What is put in its place: `$1`, `$name` and `${name}` are what the groups captured, and
    /// nothing where a group took no part; `$$` is a dollar sign.
    pub with: String,
}

/// The compiled replacement.
#[derive(Debug)]
pub struct Replacement {
    whole: Regex,
    pieces: Vec<Piece>,
}

/// A piece of the new path.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Group(usize),
}

impl Replacement {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    ///
    /// Refuses a replacement that makes no path, or that asks for a group that is not there.
    pub fn compile(config: &Config) -> Result<Self, Invalid> {
        let Config { pattern, with } = config;
        // It was compiled when it was read, which is where a mistake in it is told.
        let whole = RegexBuilder::new(&format!(r"\A(?:{})\z", pattern.as_str()))
            .unicode(false)
            .build()
            .map_err(|error| Invalid::new(error.to_string()).under("pattern"))?;
        let pieces = pieces(with, &whole).map_err(|invalid| invalid.under("with"))?;
        Ok(Replacement { whole, pieces })
    }

    /// The path that takes the place of another; none where the expression does not match it, and
    /// an error where a server would climb from what it captured (RFC 3986 §5.2.4).
    pub fn of(&self, path: &str) -> Option<Result<Vec<u8>, Climbs>> {
        let captures = self.whole.captures(path.as_bytes())?;
        let mut target = Vec::with_capacity(path.len());
        for piece in &self.pieces {
            target.extend_from_slice(piece.text(&captures));
        }
        let climbs = target.split(|byte| *byte == b'/').any(is_dots);
        Some(if climbs { Err(Climbs) } else { Ok(target) })
    }
}

/// The new path has a segment that a server would resolve instead of serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Climbs;

impl Piece {
    fn text<'a>(&'a self, captures: &'a Captures<'_>) -> &'a [u8] {
        match self {
            Piece::Literal(text) => text.as_bytes(),
            Piece::Group(number) => captures.get(*number).map_or(&[], |group| group.as_bytes()),
        }
    }
}

/// Whether a segment is `.` or `..`, in any spelling: `%2e` is a dot too (RFC 3986 §6.2.2.2).
fn is_dots(segment: &[u8]) -> bool {
    let mut rest = segment;
    let mut dots = 0;
    while let Some(after) = match rest {
        [b'.', after @ ..] | [b'%', b'2', b'e' | b'E', after @ ..] => Some(after),
        _ => None,
    } {
        rest = after;
        dots += 1;
    }
    rest.is_empty() && (dots == 1 || dots == 2)
}

fn pieces(with: &str, whole: &Regex) -> Result<Vec<Piece>, Invalid> {
    if !with.starts_with('/') {
        return Err(Invalid::new("a path begins with `/`"));
    }
    let wrong = |c: &char| !c.is_ascii_graphic() || matches!(c, '?' | '#');
    if let Some(c) = with.chars().find(wrong) {
        return Err(Invalid::new(format!("a path has no {c:?}, write it percent-encoded")));
    }
    let mut pieces = Vec::new();
    let mut rest = with;
    while let Some((before, after)) = rest.split_once('$') {
        push(&mut pieces, before);
        if let Some(after) = after.strip_prefix('$') {
            push(&mut pieces, "$");
            rest = after;
            continue;
        }
        if after.starts_with('(') {
            let message = "`$(…)` is not known here: groups are written `$1` or `${name}`, and \
                           `replace` takes references";
            return Err(Invalid::new(message));
        }
        let (name, after) = name(after)?;
        pieces.push(Piece::Group(group(name, whole)?));
        rest = after;
    }
    push(&mut pieces, rest);
    Ok(pieces)
}

/// Reads a group's name, in braces or as far as letters, digits and `_` go; and what follows it.
fn name(text: &str) -> Result<(&str, &str), Invalid> {
    let (name, rest) = match text.strip_prefix('{') {
        Some(inside) => inside.split_once('}').unwrap_or(("", inside)),
        None => {
            let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            text.split_at(text.find(|c| !in_name(c)).unwrap_or(text.len()))
        }
    };
    match name {
        "" => Err(Invalid::new("`$` is followed by a group, `$1` or `${name}`; `$$` is a `$`")),
        name => Ok((name, rest)),
    }
}

fn group(name: &str, whole: &Regex) -> Result<usize, Invalid> {
    let number = match name.parse::<usize>() {
        Ok(number) => Some(number).filter(|number| *number < whole.captures_len()),
        Err(_) => whole.capture_names().position(|known| known == Some(name)),
    };
    number.ok_or_else(|| {
        let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        Invalid::new(match name.split_at(digits) {
            // `$1st` is read as a name, as everywhere that this syntax is known.
            (number, rest) if digits > 0 => {
                format!("the pattern has no group `{name}`: did you mean `${{{number}}}{rest}`?")
            }
            _ => format!("the pattern has no group `{name}`"),
        })
    })
}

fn push(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Literal(before)) => before.push_str(text),
        _ => pieces.push(Piece::Literal(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(pattern: &str, with: &str) -> Result<Replacement, Invalid> {
        let config = Config { pattern: pattern.parse().unwrap(), with: with.to_owned() };
        Replacement::compile(&config)
    }

    fn replaced(pattern: &str, with: &str, path: &str) -> Option<Result<String, Climbs>> {
        let target = compile(pattern, with).unwrap().of(path)?;
        Some(target.map(|target| String::from_utf8(target).unwrap()))
    }

    fn refusal(pattern: &str, with: &str) -> String {
        compile(pattern, with).unwrap_err().to_string()
    }

    #[test]
    fn what_was_captured_is_put_into_the_new_path() {
        let becomes = |pattern, with, path, wanted: &str| {
            assert_eq!(replaced(pattern, with, path), Some(Ok(wanted.to_owned())), "{with}");
        };
        becomes("^/old/([0-9]+)$", "/new/$1", "/old/7", "/new/7");
        becomes("/(?<kind>[a-z]+)/(.*)", "/$2/${kind}s", "/user/7", "/7/users");
        becomes("/(?<kind>[a-z]+)/(.*)", "/$kind-$2", "/user/7", "/user-7");
        becomes("/a/(.*)", "/$$$1$$", "/a/b%2Fc", "/$b%2Fc$");
        becomes("/a(/b)?", "/x$1", "/a", "/x");
        becomes("/a", "/all$0", "/a", "/all/a");
    }

    #[test]
    fn a_path_that_does_not_match_as_a_whole_stays() {
        assert_eq!(replaced("/a/[0-9]+", "/b", "/a/7/x"), None);
        assert_eq!(replaced("/a", "/b", "/x/a"), None);
        assert_eq!(replaced("/a|/b", "/c", "/a/b"), None);
    }

    #[test]
    fn what_was_captured_cannot_climb() {
        for rest in ["..", ".", "%2e%2E", ".%2e", "a/../b", "%2E"] {
            let climbs = replaced("/a/(.*)", "/files/$1/x", &format!("/a/{rest}"));
            assert_eq!(climbs, Some(Err(Climbs)), "{rest}");
        }
        assert_eq!(replaced("/a/(.*)", "/files/.$1", "/a/."), Some(Err(Climbs)));
        let whole = replaced("/a/(.*)", "/files/$1", "/a/.../..b/%2e%2ec");
        assert_eq!(whole, Some(Ok("/files/.../..b/%2e%2ec".to_owned())));
    }

    #[test]
    fn what_makes_no_path_is_refused() {
        assert!(refusal("/a", "b").contains("a path begins with `/`"));
        assert!(refusal("/a", "/b?c").contains("has no '?'"));
        assert!(refusal("/a", "/b c").contains("has no ' '"));
        assert!(refusal("/a", "/é").contains("percent-encoded"));
    }

    #[test]
    fn a_group_that_is_not_there_is_refused() {
        assert!(refusal("/(a)", "/$2").contains("no group `2`"));
        assert!(refusal("/(a)", "/$name").contains("no group `name`"));
        assert!(refusal("/(a)", "/$1st").contains("did you mean `${1}st`?"));
        assert!(refusal("/(a)", "/$(path.id)").contains("`replace` takes references"));
        for with in ["/$", "/${}", "/${1", "/$-"] {
            assert!(refusal("/(a)", with).contains("`$` is followed by a group"), "{with}");
        }
    }
}
