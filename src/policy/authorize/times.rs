//! Times of the week at which something may be asked for.
//!
//! Zones are fixed offsets. Named zones (`Europe/Berlin`) have rules that governments change at
//! short notice: a gateway with tables of its own would follow them late, and twice a year a span
//! of theirs has an hour that comes twice or not at all.

use crate::value::schema::word_schema;
use crate::value::{Invalid, deserialize_text, nearest};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Times of the week: days, a span of each of them, or both.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Times")]
pub struct TimesConfig {
    /// The days. Of a span that goes over midnight it is the day on which it begins. Every day where
    /// it is left out.
    pub days: Option<Vec<Day>>,
    /// When the span begins, `HH:MM`; that minute belongs to it. It goes with `to`; the whole day
    /// where both are left out.
    pub from: Option<Clock>,
    /// When the span ends, `HH:MM` up to `24:00`; that minute does not belong to it. One before
    /// `from` is on the next day.
    pub to: Option<Clock>,
    /// How far the clock is from UTC, `+HH:MM` or `-HH:MM`; UTC where it is left out. Named zones
    /// are not known, since their rules change.
    pub zone: Option<Zone>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(u8);

/// A minute of the day, from 0 to 1440.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock(u16);

/// Seconds ahead of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Zone(i32);

/// Times of the week, compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// One bit for each day, Monday's the lowest.
    days: u8,
    /// The seconds of the day at which a span begins and ends; one that goes over midnight ends
    /// before it begins.
    span: (i64, i64),
    zone: Zone,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: i64 = 86_400;
/// 1970 began on a Thursday.
const FIRST: i64 = 3;

impl Times {
    /// Compiles what was typed.
    ///
    /// # Errors
    ///
    /// Refuses times that say nothing, half of a span, a span that has no length, and a day that
    /// stands there twice.
    pub fn compile(config: &TimesConfig) -> Result<Self, Invalid> {
        let TimesConfig { days, from, to, zone } = config;
        if days.is_none() && from.is_none() && to.is_none() {
            return Err(Invalid::new("no times are given: write `days`, `from` and `to`, or both"));
        }
        let span = match (*from, *to) {
            (None, None) => (0, DAY),
            (Some(_), None) => return Err(Invalid::new("`to` is missing beside `from`")),
            (None, Some(_)) => return Err(Invalid::new("`from` is missing beside `to`")),
            (Some(Clock(1440)), Some(_)) => {
                return Err(Invalid::new("no day has a minute 24:00, write 00:00").under("from"));
            }
            (Some(from), Some(to)) if from == to => {
                let message = "the span ends when it begins: leave out both for the whole day";
                return Err(Invalid::new(message).under("to"));
            }
            (Some(from), Some(to)) => (from.seconds(), to.seconds()),
        };
        let days = match days.as_deref() {
            None => 0b111_1111,
            Some(days) => mask(days).map_err(|invalid| invalid.under("days"))?,
        };
        Ok(Times { days, span, zone: zone.unwrap_or_default() })
    }

    /// Whether a moment is one of these times.
    pub fn hold(&self, time: SystemTime) -> bool {
        let local = unix(time) + i64::from(self.zone.0);
        let (day, second) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        match self.span {
            (from, to) if from < to => (from..to).contains(&second) && self.has(day),
            (from, _) if second >= from => self.has(day),
            (_, to) => second < to && self.has(day - 1),
        }
    }

    /// Whether a day, counted from 1970, is one of these.
    fn has(&self, day: i64) -> bool {
        self.days & (1 << (day + FIRST).rem_euclid(7)) != 0
    }
}

fn mask(days: &[Day]) -> Result<u8, Invalid> {
    if days.is_empty() {
        return Err(Invalid::new("the list is empty: leave it out to mean every day"));
    }
    let mut mask = 0;
    for (at, day) in days.iter().enumerate() {
        if mask & (1 << day.0) != 0 {
            return Err(Invalid::new(format!("`{day}` stands here twice")).under(at));
        }
        mask |= 1 << day.0;
    }
    Ok(mask)
}

/// The seconds since 1970, rounded down; a clock that is set before then is taken as it is.
fn unix(time: SystemTime) -> i64 {
    let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX / 2);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => whole(since.as_secs()),
        Err(error) => {
            let until = error.duration();
            -whole(until.as_secs()) - i64::from(until.subsec_nanos() > 0)
        }
    }
}

impl Clock {
    fn seconds(self) -> i64 {
        i64::from(self.0) * 60
    }
}

/// Two digits, within a bound.
fn two_digits(text: &str, most: u16) -> Option<u16> {
    let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?.filter(|number| *number <= most)
}

fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    Some(two_digits(hour, 24)? * 60 + two_digits(minute, 59)?)
}

impl FromStr for Day {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(day) = DAYS.iter().position(|day| *day == text) {
            return Ok(Day(day as u8));
        }
        let typed = text.to_ascii_lowercase();
        let whole = DAYS.into_iter().find(|day| typed.starts_with(day));
        Err(Invalid::new(
            match whole.or_else(|| nearest(&typed, DAYS).filter(|_| text.len() < 5)) {
                Some(meant) => format!("unknown day `{text}`, did you mean `{meant}`?"),
                None => format!("unknown day `{text}`, there are {}", DAYS.join(", ")),
            },
        ))
    }
}

impl FromStr for Clock {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        minutes(text).filter(|minutes| *minutes <= 1440).map(Clock).ok_or_else(|| {
            let padded = minutes(&format!("0{text}")).map(|_| format!(": did you mean `0{text}`?"));
            let hint = padded.unwrap_or_else(|| ", write one such as 08:00 or 17:30".to_owned());
            Invalid::new(format!("`{text}` is no time of a day{hint}"))
        })
    }
}

impl FromStr for Zone {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if matches!(text, "UTC" | "Z") {
            return Ok(Zone(0));
        }
        let ahead = |sign: i32, text| minutes(text).map(|minutes| sign * i32::from(minutes) * 60);
        let seconds = match text.as_bytes().first() {
            Some(b'+') => ahead(1, &text[1..]),
            Some(b'-') => ahead(-1, &text[1..]),
            _ => None,
        };
        // No clock on Earth is further from UTC.
        let known = seconds.filter(|seconds| (-12 * 3600..=14 * 3600).contains(seconds));
        known.map(Zone).ok_or_else(|| {
            let is_named = text.starts_with(|c: char| c.is_ascii_alphabetic());
            let why = match is_named {
                true => "named zones are not known, since their rules change",
                false => "from -12:00 to +14:00",
            };
            Invalid::new(format!("`{text}` is no offset from UTC, write one such as +01:00: {why}"))
        })
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DAYS[usize::from(self.0)])
    }
}

/// As it would be written.
impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = (0..7).filter(|day| self.days & (1 << day) != 0).map(|day| DAYS[day]);
        let clock = |seconds: i64| format!("{:02}:{:02}", seconds / 3600, seconds % 3600 / 60);
        let (from, to) = (clock(self.span.0), clock(self.span.1));
        let days = days.collect::<Vec<_>>().join(", ");
        let sign = if self.zone.0 < 0 { '-' } else { '+' };
        let zone = clock(i64::from(self.zone.0.abs()));
        write!(f, "{{days: [{days}], from: \"{from}\", to: \"{to}\", zone: \"{sign}{zone}\"}}")
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a day of the week, such as `mon`")
    }
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a time of the day, such as `08:00`")
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "an offset from UTC, such as `+01:00`")
    }
}

word_schema!(
    Day,
    "Day",
    "A day of the week.",
    {"enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
);
word_schema!(
    Clock,
    "Clock",
    "A time of the day, in hours and minutes.",
    {"type": "string", "examples": ["08:00", "17:30"]}
);
word_schema!(
    Zone,
    "Zone",
    "An offset from UTC, from -12:00 to +14:00, or `UTC`.",
    {"type": "string", "examples": ["+01:00", "-05:30", "UTC"]}
);

#[cfg(test)]
mod tests;
