//! A moment on the calendar, as RFC 3339 writes it. A date alone is its first moment in UTC.

use super::schema::word_schema;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer};

use super::{Invalid, civil, deserialize_text};

/// A moment, in whole seconds, from 1970 to 9999: written `2026-12-31`, `2026-12-31T23:59:59Z` or
/// `2026-12-31T23:59:59+01:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

const DAY: u64 = 86_400;

/// The last second of 9999: HTTP has no dates beyond it.
const LAST: u64 = 253_402_300_799;

impl Moment {
    /// Returns the seconds since 1970, without leap seconds.
    pub const fn unix(self) -> u64 {
        self.0
    }

    /// Returns the moment as the standard library has it.
    pub fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0)
    }
}

impl FromStr for Moment {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        parse(text).map(Moment).ok_or_else(|| {
            let like = "such as `2026-12-31` or `2026-12-31T23:59:59Z`";
            Invalid::new(format!("`{text}` is no moment from 1970 on, write one {like}"))
        })
    }
}

/// RFC 3339 §5.6, without fractions of a second.
fn parse(text: &str) -> Option<u64> {
    let (date, time) = match text.split_at_checked(10)? {
        (date, "") => (date, None),
        (date, time) => (date, Some(time.strip_prefix(['T', 't', ' '])?)),
    };
    let [year, month, day] = parts(date, '-', [4, 2, 2])?;
    let days = days(year, month, day)?;
    let Some(time) = time else {
        return days.checked_mul(DAY);
    };
    let (time, zone) = time.split_at_checked(8)?;
    let [hour, minute, second] = parts(time, ':', [2, 2, 2])?;
    let local = days * DAY + clock(hour, minute)? + within(second, 0..=59)?;
    match zone.as_bytes().first()? {
        b'Z' | b'z' if zone.len() == 1 => Some(local),
        sign @ (b'+' | b'-') => {
            let [hour, minute] = parts(&zone[1..], ':', [2, 2])?;
            let ahead = clock(hour, minute)?;
            match sign {
                b'+' => local.checked_sub(ahead),
                _ => within(local + ahead, 0..=LAST),
            }
        }
        _ => None,
    }
}

/// Reads numbers of so many digits each.
fn parts<const N: usize>(text: &str, between: char, widths: [usize; N]) -> Option<[u64; N]> {
    let mut texts = text.split(between);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let digits = texts.next().filter(|digits| digits.len() == width)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        *number = plain.then(|| digits.parse().ok())??;
    }
    texts.next().is_none().then_some(numbers)
}

fn clock(hour: u64, minute: u64) -> Option<u64> {
    Some(within(hour, 0..=23)? * 3600 + within(minute, 0..=59)? * 60)
}

fn within(number: u64, range: RangeInclusive<u64>) -> Option<u64> {
    range.contains(&number).then_some(number)
}

/// The days since 1970 of what may be no date.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    const LENGTHS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    within(year, 1970..=9999)?;
    let month_index = usize::try_from(within(month, 1..=12)? - 1).ok()?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let longest = LENGTHS[month_index] + u64::from(leap && month == 2);
    within(day, 1..=longest)?;
    Some(civil::days(year, month, day))
}

impl fmt::Display for Moment {
    /// As HTTP writes dates (RFC 9110 §5.6.7).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&httpdate::fmt_http_date(self.time()))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a moment such as `2026-12-31T23:59:59Z`")
    }
}

word_schema!(
    Moment,
    "Moment",
    "A date, or a date and time (RFC 3339).",
    {"type": "string", "examples": ["2026-12-31", "2026-12-31T00:00:00Z"]}
);

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(text: &str) -> u64 {
        text.parse::<Moment>().unwrap().unix()
    }

    #[test]
    fn known_moments_are_read() {
        assert_eq!(unix("1970-01-01"), 0);
        assert_eq!(unix("2000-02-29T00:00:00Z"), 951_782_400);
        assert_eq!(unix("2023-06-30T23:59:59Z"), 1_688_169_599);
        assert_eq!(unix("2026-12-31t23:59:59z"), unix("2027-01-01 00:59:59+01:00"));
        assert_eq!(unix("2026-12-31T18:29:59-05:30"), unix("2026-12-31T23:59:59Z"));
        assert_eq!(unix("9999-12-31T23:59:59Z"), 253_402_300_799);
    }

    #[test]
    fn every_day_follows_the_one_before() {
        for day in 0..60_000 {
            let moment = Moment(day * DAY);
            // The other way is not ours.
            let written = moment.to_string();
            let month = "JanFebMarAprMayJunJulAugSepOctNovDec".find(&written[8..11]).unwrap() / 3;
            let date = format!("{}-{:02}-{}", &written[12..16], month + 1, &written[5..7]);
            assert_eq!(unix(&date), day * DAY, "{date}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026",
            "2026-1-1",
            "2026-02-29",
            "2100-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "1969-12-31",
            "1970-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-00:01",
            "2026-12-31T24:00:00Z",
            "2026-12-31T23:59:60Z",
            "2026-12-31T23:59:59",
            "2026-12-31T23:59:59.5Z",
            "2026-12-31T23:59:59Z ",
            "2026-12-31T23:59:59+1:00",
            "+026-12-31",
            "2026-12-é",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
