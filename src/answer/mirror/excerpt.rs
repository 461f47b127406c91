//! Values, cut to what a sample may hold.

use serde_json::Value;
use std::io::{self, Write};

/// The longest value that is kept, in bytes.
const LONGEST: usize = 120;

/// As much of a text as fits into so many bytes, and a mark where something was cut off. What is
/// no UTF-8 is replaced.
pub(super) fn excerpt(text: &[u8], longest: usize) -> String {
    let cut = text.len() > longest;
    let mut end = text.len().min(longest);
    // A character that would be cut in two goes whole; continuation bytes begin with 10.
    while cut && end > 0 && text[end] & 0b1100_0000 == 0b1000_0000 {
        end -= 1;
    }
    let mut kept = String::from_utf8_lossy(&text[..end]).into_owned();
    if cut {
        kept.push('…');
    }
    kept
}

/// An excerpt that begins at a position, and says so where that is not the beginning.
pub(super) fn excerpt_from(text: &[u8], from: usize) -> String {
    let part = excerpt(text.get(from..).unwrap_or_default(), LONGEST);
    if from == 0 { part } else { format!("…{part}") }
}

/// An excerpt of a JSON value, of which no more is written than is kept.
pub(super) fn text_of(value: &Value) -> String {
    let mut written = Limited(Vec::with_capacity(LONGEST + 4));
    // It fails where the limit is reached, which is what is wanted then.
    let _ = serde_json::to_writer(&mut written, value);
    excerpt(&written.0, LONGEST)
}

/// Takes a little more than is kept, so that the rest of the last character is there to see.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let room = LONGEST + 4 - self.0.len();
        if room == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let taken = part.len().min(room);
        self.0.extend_from_slice(&part[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_at_a_character() {
        assert_eq!(excerpt("aé".as_bytes(), 3), "aé");
        assert_eq!(excerpt("aéb".as_bytes(), 2), "a…");
        assert_eq!(excerpt("aéb".as_bytes(), 3), "aé…");
        assert_eq!(excerpt(b"\xff", 3), "\u{fffd}");
        assert_eq!(excerpt_from(b"abc", 1), "…bc");
        assert_eq!(excerpt_from(b"abc", 9), "…");
    }

    #[test]
    fn of_a_large_value_no_more_is_written_than_is_kept() {
        let large = Value::from(vec!["é"; 10_000]);
        let text = text_of(&large);
        assert!(text.starts_with("[\"é\",") && text.ends_with('…') && text.len() < 128, "{text}");
        assert_eq!(text_of(&Value::from("short")), "\"short\"");
    }
}
