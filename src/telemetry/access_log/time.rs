//! Timestamps, of which most differ from the last one in their milliseconds only.

use std::time::{SystemTime, UNIX_EPOCH};

use super::json;
use crate::value::civil::date;

/// The last second of the year 9999: RFC 3339 has no later one.
const LAST_SECOND: u64 = 253_402_300_799;

/// Formats times and keeps the text of the last second it saw.
pub(super) struct Clock {
    second: u64,
    text: [u8; 19],
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { second: 0, text: *b"1970-01-01T00:00:00" }
    }

    /// Appends a time as RFC 3339 in UTC, with milliseconds. Times outside 1970 to 9999 are
    /// moved to the nearest end.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = since.as_secs().min(LAST_SECOND);
        if second != self.second {
            self.second = second;
            self.text = text(second);
        }
        out.extend_from_slice(&self.text);
        out.push(b'.');
        json::three_digits(out, since.subsec_millis());
        out.push(b'Z');
    }
}

/// A time as RFC 3339 in UTC, with milliseconds, for what is rarer than lines of the log.
pub fn rfc3339(time: SystemTime) -> String {
    let mut text = Vec::with_capacity(24);
    Clock::new().write(&mut text, time);
    String::from_utf8(text).expect("a clock writes digits and punctuation")
}

fn text(second: u64) -> [u8; 19] {
    let (year, month, day) = date(second / 86_400);
    let second = second % 86_400;
    let mut text = *b"0000-00-00T00:00:00";
    let mut two_digits = |at: usize, value: u64| {
        text[at] = b'0' + (value / 10) as u8;
        text[at + 1] = b'0' + (value % 10) as u8;
    };
    two_digits(0, year / 100);
    two_digits(2, year % 100);
    two_digits(5, month);
    two_digits(8, day);
    two_digits(11, second / 3600);
    two_digits(14, second / 60 % 60);
    two_digits(17, second % 60);
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(clock: &mut Clock, time: SystemTime) -> String {
        let mut out = Vec::new();
        clock.write(&mut out, time);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_times_are_written_in_utc() {
        let mut clock = Clock::new();
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (7, "1970-01-01T00:00:00.007Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (4_107_542_399_010, "2100-02-28T23:59:59.010Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_767_225_599_000, "2025-12-31T23:59:59.000Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_millis(millis);
            assert_eq!(written(&mut clock, time), text);
        }
    }

    #[test]
    fn times_out_of_range_move_to_its_ends() {
        let mut clock = Clock::new();
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(written(&mut clock, before), "1970-01-01T00:00:00.000Z");
        let after = UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 1);
        assert_eq!(written(&mut clock, after), "9999-12-31T23:59:59.000Z");
    }
}
