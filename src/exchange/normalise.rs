//! One path has one spelling (RFC 3986 §6.2.2, §6.2.3).
//!
//! A request's path is normalised once, before anything looks at it: routes, policies, references,
//! the log and the service all see the same bytes. What could be read in two ways is refused
//! rather than guessed at, since the service might guess otherwise; what is left is decoded once
//! and never again, so that `%252e` stays the data that it is.
//!
//! `;` is a character like others (RFC 3986 §3.3), and `/admin;x=1` is another path than `/admin`.
//! Servers that cut parameters off before they resolve dots are the reason why `..;` is refused.

use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;

/// What a listener does with that in a path which services read differently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PathRules {
    /// What becomes of `//`.
    pub empty_segments: EmptySegments,
    /// What becomes of `%2F` and `%5C`.
    pub encoded_slashes: EncodedSlashes,
}

/// What becomes of segments without a character.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EmptySegments {
    /// `/a//b` is `/a/b`.
    #[default]
    Merge,
    /// `/a//b` is a path of its own.
    Keep,
}

/// What becomes of slashes and backslashes that are percent-encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EncodedSlashes {
    /// They are refused: many services take them for separators.
    #[default]
    Refuse,
    /// They are data within their segment.
    Keep,
}

const BAD_PERCENT: &str = "the path has a percent sign without two hexadecimal digits";
const CONTROL: &str = "the path has a control character";
const NOT_ASCII: &str = "the target has characters that must be percent-encoded";
const BACKSLASH: &str = "the path has a backslash";
const ENCODED_SLASH: &str = "the path has a slash or backslash that is percent-encoded";
const HIDDEN_DOTS: &str = "the path has a dot segment in disguise";

/// What a byte is in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Of `unreserved` (RFC 3986 §2.3): encoded or not, it means the same.
    Unreserved,
    /// Of `pchar` (RFC 3986 §3.3): itself, and something else when it is encoded.
    Reserved,
    /// Neither: browsers send some of these as they are, and they mean the same encoded.
    Encode,
    /// `%`.
    Percent,
    Slash,
    Backslash,
    Control,
    NotAscii,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Encode; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                Class::Unreserved
            }
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':'
            | b'@' => Class::Reserved,
            b'%' => Class::Percent,
            b'/' => Class::Slash,
            b'\\' => Class::Backslash,
            0..=0x1f | 0x7f => Class::Control,
            0x80..=0xff => Class::NotAscii,
            _ => Class::Encode,
        };
        byte += 1;
    }
    classes
};

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

impl PathRules {
    /// Normalises a path, which begins with a slash and has no query. One that is normal already
    /// comes back as it is.
    ///
    /// Dots that climb above the root end there (RFC 3986 §5.2.4).
    ///
    /// # Errors
    ///
    /// Says what no path may have, in words that a client may see.
    pub fn normalise<'p>(&self, path: &'p str) -> Result<Cow<'p, str>, &'static str> {
        if is_plain(path.as_bytes()) || self.is_normal(path) {
            return Ok(Cow::Borrowed(path));
        }
        self.rewrite(path).map(Cow::Owned)
    }

    /// Whether a path is what rewriting would make of it. Some that are may be missed.
    fn is_normal(&self, path: &str) -> bool {
        let bytes = path.as_bytes();
        let merges = self.empty_segments == EmptySegments::Merge;
        let mut after_slash = false;
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match class(*byte) {
                Class::Unreserved if after_slash && *byte == b'.' && may_be_dots(&bytes[at..]) => {
                    return false;
                }
                Class::Unreserved | Class::Reserved => {}
                Class::Slash if after_slash && merges => return false,
                Class::Slash => {}
                Class::Percent if stays_encoded(bytes.get(at + 1..at + 3)) => at += 2,
                _ => return false,
            }
            after_slash = *byte == b'/';
            at += 1;
        }
        bytes.first() == Some(&b'/')
    }

    /// Writes the path anew, segment by segment.
    fn rewrite(&self, path: &str) -> Result<String, &'static str> {
        let mut out = String::with_capacity(path.len() + 16);
        let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            let start = out.len();
            out.push('/');
            self.write_segment(segment, &mut out)?;
            match &out[start + 1..] {
                "" if self.empty_segments == EmptySegments::Merge => out.truncate(start),
                "." => out.truncate(start),
                ".." => {
                    out.truncate(start);
                    let parent = out.rfind('/').unwrap_or_default();
                    out.truncate(parent);
                }
                written if hides_dots(written) => return Err(HIDDEN_DOTS),
                _ => continue,
            }
            // What went was a folder: its slash stays, if nothing follows.
            if is_last {
                out.push('/');
            }
        }
        Ok(out)
    }

    fn write_segment(&self, segment: &str, out: &mut String) -> Result<(), &'static str> {
        let mut bytes = segment.bytes();
        while let Some(byte) = bytes.next() {
            match class(byte) {
                Class::Unreserved | Class::Reserved => out.push(char::from(byte)),
                Class::Encode => write_encoded(byte, out),
                Class::Percent => {
                    let byte = encoded(bytes.next(), bytes.next()).ok_or(BAD_PERCENT)?;
                    match class(byte) {
                        Class::Unreserved => out.push(char::from(byte)),
                        Class::Control => return Err(CONTROL),
                        Class::Slash | Class::Backslash
                            if self.encoded_slashes == EncodedSlashes::Refuse =>
                        {
                            return Err(ENCODED_SLASH);
                        }
                        _ => write_encoded(byte, out),
                    }
                }
                Class::Backslash => return Err(BACKSLASH),
                Class::Control => return Err(CONTROL),
                Class::NotAscii => return Err(NOT_ASCII),
                Class::Slash => unreachable!("segments are what stands between slashes"),
            }
        }
        Ok(())
    }
}

/// Tells, eight bytes at a time, whether a path consists of letters, digits, `-`, `.`, `_` and
/// slashes that neither a slash nor a dot follows: most paths do.
fn is_plain(path: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES * 0x80;
    // Each of these sets the high bit of the bytes that it holds for, as long as no byte of `word`
    // has its own set.
    let at_least = |word: u64, least: u8| word + ONES * u64::from(0x80 - least);
    let within = |word, least, most: u8| at_least(word, least) & !at_least(word, most + 1);
    let is = |word: u64, byte: u8| HIGH - (word ^ (ONES * u64::from(byte)));
    // Before the path stands something that is no slash, and behind it nothing that matters.
    let mut slash_before = 0;
    let mut odd = |eight: [u8; 8]| {
        let word = u64::from_le_bytes(eight);
        let ascii = word & !HIGH;
        let slashes = is(ascii, b'/') & HIGH;
        let follows = (slashes << 8) | slash_before;
        slash_before = slashes >> 56;
        let plain =
            within(ascii, b'-', b'9') | within(ascii | (ONES * 0x20), b'a', b'z') | is(ascii, b'_');
        (word | !plain | (follows & (slashes | is(ascii, b'.')))) & HIGH
    };
    let (words, rest) = path.as_chunks::<8>();
    if words.iter().fold(0, |all, word| all | odd(*word)) != 0 {
        return false;
    }
    let mut last = [b'a'; 8];
    last[..rest.len()].copy_from_slice(rest);
    odd(last) == 0 && path.first() == Some(&b'/')
}

/// Whether a segment that begins with a dot could be a dot segment, in disguise or not.
fn may_be_dots(rest: &[u8]) -> bool {
    let after = rest.strip_prefix(b"..").or_else(|| rest.strip_prefix(b".")).unwrap_or(rest);
    matches!(after, [] | [b'/' | b';' | b'%', ..])
}

/// Whether a percent-encoding is spelt as it will be. A slash is not said to be: dots beside it
/// would have to be looked for.
fn stays_encoded(digits: Option<&[u8]>) -> bool {
    let Some(&[high @ (b'0'..=b'9' | b'A'..=b'F'), low @ (b'0'..=b'9' | b'A'..=b'F')]) = digits
    else {
        return false;
    };
    encoded(Some(high), Some(low)).is_some_and(|byte| {
        matches!(class(byte), Class::Reserved | Class::Encode | Class::NotAscii | Class::Percent)
    })
}

/// The byte that two hexadecimal digits stand for.
fn encoded(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).map(|digit| digit as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

/// Writes a byte percent-encoded, in upper case (RFC 3986 §6.2.2.1).
fn write_encoded(byte: u8, out: &mut String) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    out.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
}

/// Whether a service that cuts off parameters, or decodes slashes before it resolves dots, would
/// find a dot segment here.
fn hides_dots(segment: &str) -> bool {
    // In the common case there is nothing that it could end with.
    if !segment.contains([';', '%']) {
        return false;
    }
    let is_dots = |piece: &str| matches!(piece, "." | "..");
    let cut = |piece: &str| {
        let end = piece.find(';').into_iter().chain(piece.find("%3B")).min();
        end.is_some_and(|end| is_dots(&piece[..end]))
    };
    let mut pieces = segment.split("%2F").flat_map(|piece| piece.split("%5C"));
    pieces.any(|piece| is_dots(piece) || cut(piece))
}

#[cfg(test)]
mod tests;
