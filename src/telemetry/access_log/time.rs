//! Timestamps, of which most differ from the last one in their milliseconds only.

use std::time::{SystemTime, UNIX_EPOCH};

use super::json;

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

/// Returns the year, month and day, by Howard Hinnant's `civil_from_days`: years that begin in
/// March have their leap day at the end, and 400 of them always have as many days.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
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
    fn every_day_follows_the_one_before() {
        let leap = |year: u64| {
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
        };
        let mut expected = (1970, 1, 1);
        for day in 0..200_000 {
            assert_eq!(date(day), expected);
            let (year, month, day) = expected;
            let last = match month {
                2 if leap(year) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
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
