//! Just enough of a JSON writer for a log line.
//!
//! A line is some twenty values of known kinds, so they are appended to the buffer as they
//! are, with no value tree and no formatting machinery between. What clients send need not
//! be UTF-8; it is escaped so that the line is valid JSON whatever it was.

use std::fmt;
use std::time::Duration;

/// Appends a string value with its quotes.
pub(super) fn string(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    text(out, value);
    out.push(b'"');
}

/// Appends a string value that is known to hold nothing to escape.
pub(super) fn plain(out: &mut Vec<u8>, value: &str) {
    debug_assert!(is_plain(value.as_bytes()), "{value:?} has to be escaped");
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

/// Appends the inside of a string value; what is not UTF-8 becomes U+FFFD.
pub(super) fn text(out: &mut Vec<u8>, value: &[u8]) {
    // Nearly every value stands for itself and can be copied as a whole.
    if is_plain(value) {
        out.extend_from_slice(value);
        return;
    }
    for chunk in value.utf8_chunks() {
        escaped(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

/// Appends what a value displays, as a string value with its quotes.
pub(super) fn display(out: &mut Vec<u8>, value: &dyn fmt::Display) {
    out.push(b'"');
    // The only error can be the value's own, and half a name is better than none.
    let _ = fmt::write(&mut Text(out), format_args!("{value}"));
    out.push(b'"');
}

/// Appends a number in decimal digits.
pub(super) fn integer(out: &mut Vec<u8>, mut value: u64) {
    // Half of the numbers of a line have one digit.
    if value < 10 {
        return out.push(b'0' + value as u8);
    }
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends a duration as milliseconds, with three digits after the point.
pub(super) fn milliseconds(out: &mut Vec<u8>, value: Duration) {
    let micros = value.subsec_micros();
    let whole = value.as_secs().saturating_mul(1000);
    integer(out, whole.saturating_add((micros / 1000).into()));
    out.push(b'.');
    three_digits(out, micros % 1000);
}

/// Appends a number below 1000 with its leading zeros.
pub(super) fn three_digits(out: &mut Vec<u8>, value: u32) {
    let digit = |value: u32| b'0' + (value % 10) as u8;
    out.extend_from_slice(&[digit(value / 100), digit(value / 10), digit(value)]);
}

/// Whether all bytes are ASCII that needs no escape, looking at eight of them at a time.
fn is_plain(value: &[u8]) -> bool {
    // The last eight overlap those before, so that no rest is left.
    let Some(&last) = value.last_chunk() else {
        return value.iter().all(|&byte| byte.is_ascii() && !needs_escape(byte));
    };
    let (words, _) = value.as_chunks();
    words.iter().fold(marks(last), |special, &word| special | marks(word)) == 0
}

/// Returns zero if and only if none of the bytes is special. The subtractions borrow from a
/// byte's high bit where the byte is less than what is subtracted; a borrow can mark the byte
/// above as well, but only beside one that is special.
fn marks(bytes: [u8; 8]) -> u64 {
    let every = |byte: u8| u64::from_ne_bytes([byte; 8]);
    let word = u64::from_ne_bytes(bytes);
    let less_than = |word: u64, limit: u8| word.wrapping_sub(every(limit)) & !word;
    let special = word
        | less_than(word, b' ')
        | less_than(word ^ every(b'"'), 1)
        | less_than(word ^ every(b'\\'), 1);
    special & every(0x80)
}

/// Whether RFC 8259 §7 wants a byte of UTF-8 escaped.
fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn escaped(out: &mut Vec<u8>, mut utf8: &[u8]) {
    while let Some(at) = utf8.iter().position(|&byte| needs_escape(byte)) {
        out.extend_from_slice(&utf8[..at]);
        match utf8[at] {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(br"\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
        utf8 = &utf8[at + 1..];
    }
    out.extend_from_slice(utf8);
}

/// Escapes what is written through it.
struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, value: &str) -> fmt::Result {
        text(self.0, value.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn bytes_read_back_as_their_lossy_text(bytes: Vec<u8>) {
            let json = written(|out| string(out, &bytes));
            let read: String = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn text_reads_back_unchanged(value: String) {
            let json = written(|out| string(out, value.as_bytes()));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), value.clone());
            let json = written(|out| display(out, &value));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), value);
        }

        #[test]
        fn integers_are_written_as_the_library_does(value: u64) {
            prop_assert_eq!(written(|out| integer(out, value)), value.to_string());
        }

        #[test]
        fn milliseconds_are_cut_to_microseconds(micros in 0u64..1 << 50) {
            let text = written(|out| milliseconds(out, Duration::from_micros(micros)));
            prop_assert_eq!(text, format!("{}.{:03}", micros / 1000, micros % 1000));
        }
    }

    #[test]
    fn every_byte_reads_back_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                let mut bytes = *b"plain text of twenty";
                bytes[at] = byte;
                let json = written(|out| string(out, &bytes));
                let read: String = serde_json::from_str(&json).unwrap();
                assert_eq!(read, String::from_utf8_lossy(&bytes));
            }
        }
    }

    #[test]
    fn longest_duration_is_still_a_number() {
        let text = written(|out| milliseconds(out, Duration::MAX));
        assert!(serde_json::from_str::<f64>(&text).is_ok(), "{text}");
    }
}
