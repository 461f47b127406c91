//! Edges of spans, days and zones.

use super::*;
use crate::value::Moment;
use proptest::prelude::*;
use std::time::Duration;

fn times(yaml: &str) -> Times {
    Times::compile(&serde_yaml::from_str(yaml).unwrap()).unwrap()
}

fn refusal(yaml: &str) -> String {
    match serde_yaml::from_str(yaml) {
        Ok(config) => Times::compile(&config).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

fn at(text: &str) -> SystemTime {
    text.parse::<Moment>().unwrap().time()
}

/// Holds times against moments: 2026-03-02 is a Monday.
fn assert_hold(yaml: &str, moments: &[(&str, bool)]) {
    let times = times(yaml);
    for (moment, hold) in moments {
        assert_eq!(times.hold(at(moment)), *hold, "{yaml} at {moment}");
    }
}

#[test]
fn a_span_begins_with_its_first_second_and_ends_before_its_last() {
    assert_hold(
        "{from: \"08:00\", to: \"18:00\"}",
        &[
            ("2026-03-02T07:59:59Z", false),
            ("2026-03-02T08:00:00Z", true),
            ("2026-03-02T17:59:59Z", true),
            ("2026-03-02T18:00:00Z", false),
        ],
    );
    let end = at("2026-03-02T18:00:00Z") - Duration::from_nanos(1);
    assert!(times("{from: \"08:00\", to: \"18:00\"}").hold(end));
}

#[test]
fn days_are_those_of_the_zone() {
    let yaml = "{days: [mon], zone: \"+01:00\"}";
    assert_hold(
        yaml,
        &[
            ("2026-03-01T22:59:59Z", false),
            ("2026-03-01T23:00:00Z", true),
            ("2026-03-02T22:59:59Z", true),
            ("2026-03-02T23:00:00Z", false),
        ],
    );
    assert_hold(
        "{days: [mon], from: \"00:00\", to: \"24:00\", zone: \"-05:30\"}",
        &[("2026-03-02T05:29:59Z", false), ("2026-03-02T05:30:00Z", true)],
    );
}

#[test]
fn a_span_over_midnight_belongs_to_the_day_on_which_it_begins() {
    assert_hold(
        "{days: [fri, sun], from: \"22:00\", to: \"06:00\"}",
        &[
            ("2026-03-06T05:59:59Z", false), // Friday morning is Thursday's night.
            ("2026-03-06T21:59:59Z", false),
            ("2026-03-06T22:00:00Z", true),
            ("2026-03-07T00:00:00Z", true),
            ("2026-03-07T05:59:59Z", true),
            ("2026-03-07T06:00:00Z", false),
            ("2026-03-07T22:00:00Z", false), // Saturday's night.
            ("2026-03-08T05:00:00Z", false),
            ("2026-03-08T23:00:00Z", true),
            ("2026-03-09T05:00:00Z", true), // Monday morning is Sunday's night.
        ],
    );
}

#[test]
fn a_span_until_midnight_ends_there() {
    for to in ["00:00", "24:00"] {
        assert_hold(
            &format!("{{days: [mon], from: \"22:00\", to: \"{to}\"}}"),
            &[
                ("2026-03-02T21:59:59Z", false),
                ("2026-03-02T23:59:59Z", true),
                ("2026-03-03T00:00:00Z", false),
            ],
        );
    }
}

#[test]
fn a_clock_before_1970_is_a_clock_too() {
    // 1969-12-31 was a Wednesday.
    let before = UNIX_EPOCH - Duration::from_millis(1);
    assert!(times("{days: [wed], from: \"23:59\", to: \"24:00\"}").hold(before));
    assert!(times("{days: [thu]}").hold(UNIX_EPOCH));
}

#[test]
fn what_says_too_little_or_nonsense_is_refused() {
    for (yaml, message) in [
        ("{}", "no times are given"),
        ("{zone: UTC}", "no times are given"),
        ("{from: \"08:00\"}", "`to` is missing beside `from`"),
        ("{to: \"08:00\"}", "`from` is missing beside `to`"),
        ("{from: \"08:00\", to: \"08:00\"}", "to: the span ends when it begins"),
        ("{from: \"24:00\", to: \"08:00\"}", "from: no day has a minute 24:00"),
        ("{from: \"8:00\", to: \"18:00\"}", "did you mean `08:00`?"),
        ("{from: \"24:01\", to: \"18:00\"}", "`24:01` is no time of a day, write one such as"),
        ("{from: \"12:60\", to: \"18:00\"}", "`12:60` is no time of a day"),
        ("{from: \"+8:00\", to: \"18:00\"}", "`+8:00` is no time of a day"),
        ("{days: []}", "days: the list is empty"),
        ("{days: [mon, tue, mon]}", "days[2]: `mon` stands here twice"),
        ("{days: [Monday]}", "did you mean `mon`?"),
        ("{days: [tu]}", "did you mean `tue`?"),
        ("{days: [everyday]}", "unknown day `everyday`, there are mon, tue"),
        ("{days: [mon], zone: Europe/Berlin}", "named zones are not known"),
        ("{days: [mon], zone: \"+15:00\"}", "from -12:00 to +14:00"),
        ("{days: [mon], zone: \"+1:00\"}", "write one such as +01:00"),
        ("{days: [mon], zone: \"01:00\"}", "is no offset"),
        ("{day: [mon]}", "unknown field `day`"),
    ] {
        let told = refusal(yaml);
        assert!(told.contains(message), "{yaml}: {told}");
    }
}

#[test]
fn times_are_written_as_they_mean() {
    let written = times("{days: [sun, mon], from: \"08:00\", to: \"24:00\", zone: \"-03:30\"}");
    assert_eq!(
        written.to_string(),
        "{days: [mon, sun], from: \"08:00\", to: \"24:00\", zone: \"-03:30\"}"
    );
}

proptest! {
    /// The model walks the minutes of the span from where each day begins it.
    #[test]
    fn times_hold_where_a_walk_through_the_minutes_says_so(
        minute in 0_i64..60 * 24 * 21,
        days in 1_u8..128,
        from in 0_i64..1440,
        to in 0_i64..=1440,
        quarters in -48_i32..=56,
    ) {
        prop_assume!(from != to);
        let zone = Zone(quarters * 900);
        let times = Times { days, span: (from * 60, to * 60), zone };
        let length = if from < to { to - from } else { to + 1440 - from };
        let holds = (-2..30_i64).filter(|day| days & (1 << (day + 3).rem_euclid(7)) != 0).any(|day| {
            let begin = day * 1440 + from - i64::from(quarters) * 15;
            (begin..begin + length).contains(&minute)
        });
        let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(minute).unwrap() * 60 + 59);
        prop_assert_eq!(times.hold(time), holds);
    }
}
