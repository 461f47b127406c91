//! Each algorithm beside a model that remembers everything, and at the edges of its windows.

use super::*;
use std::collections::HashMap;

const SECOND: u64 = 1_000_000_000;

/// Everything that was admitted, and when.
#[derive(Default)]
struct Past(Vec<(u64, u32)>);

impl Past {
    fn between(&self, after: u64, until: u64) -> u128 {
        let inside = |(at, _): &&(u64, u32)| *at > after && *at <= until;
        self.0.iter().filter(inside).map(|(_, cost)| u128::from(*cost)).sum()
    }
}

/// Plays takes, and asks for each what the model says of it.
fn compare<A: Algorithm>(
    algorithm: &A,
    period: u64,
    events: &[Event],
    mut judge: impl FnMut(Time, u32, Outcome),
) {
    let (mut state, mut now) = (A::State::default(), START);
    for event in events {
        match *event {
            Event::Take(cost) => judge(now, cost, algorithm.take(&mut state, now, cost).outcome),
            Event::Pass(part, nanos) => now.0 += Event::pass(period, part, nanos),
            Event::Charge(_) => unreachable!("models are not charged"),
        }
    }
}

proptest! {
    #[test]
    fn a_fixed_window_counts_each_window(
        units in 1..12u32, period in period(), events in no_charges(),
    ) {
        let mut used = HashMap::<u64, u32>::new();
        let fixed = FixedWindow::new(&plan(Kind::FixedWindow, units, period, 1));
        compare(&fixed, period, &events, |now, cost, outcome| {
            let used = used.entry(now.0 / period).or_default();
            assert_eq!(is_admitted(outcome), *used + cost <= units);
            *used += if is_admitted(outcome) { cost } else { 0 };
        });
    }

    #[test]
    fn a_log_admits_what_fits_the_last_period_exactly(
        units in 1..12u32, period in period(), events in no_charges(),
    ) {
        let mut past = Past::default();
        let log = SlidingWindowLog::new(&plan(Kind::SlidingWindowLog, units, period, 1));
        compare(&log, period, &events, |now, cost, outcome| {
            let used = past.between(now.0 - period, now.0);
            assert_eq!(is_admitted(outcome), used + u128::from(cost) <= u128::from(units));
            if is_admitted(outcome) {
                past.0.push((now.0, cost));
            }
        });
    }

    #[test]
    fn a_counter_keeps_to_its_bounds_on_both_sides(
        units in 1..40u32, period in period(), events in no_charges(),
    ) {
        let mut past = Past::default();
        let counter = SlidingWindowCounter::new(&plan(Kind::SlidingWindowCounter, units, period, 1));
        compare(&counter, period, &events, |now, cost, outcome| {
            let over = now.0 % period;
            let edge = now.0 - over;
            // The first moment of a window is in it, so that the stretches begin one before it.
            let previous = past.between(edge - period - 1, edge - 1);
            let truth = past.between(now.0 - period, now.0) + u128::from(cost);
            let weighed = |units: u128| units * u128::from(period);
            if is_admitted(outcome) {
                assert!(weighed(truth) <= weighed(units.into()) + previous * u128::from(over));
                past.0.push((now.0, cost));
            } else {
                let spread = previous * u128::from(period - over);
                assert!(weighed(truth) + spread > weighed(units.into()));
            }
        });
    }

    #[test]
    fn a_bucket_holds_what_one_that_is_filled_would(
        units in 1..12u32, burst in 1..12u32, period in period(), events in no_charges(),
    ) {
        // In tokens times the period, so that the model is exact as well.
        let depth = u128::from(burst) * u128::from(period);
        let (mut tokens, mut at) = (depth, START.0);
        let bucket = TokenBucket::new(&plan(Kind::TokenBucket, units, period, burst));
        compare(&bucket, period, &events, |now, cost, outcome| {
            tokens = depth.min(tokens + u128::from(now.0 - at) * u128::from(units));
            at = now.0;
            let needed = u128::from(cost) * u128::from(period);
            assert_eq!(is_admitted(outcome), needed <= tokens);
            tokens -= if is_admitted(outcome) { needed } else { 0 };
        });
    }

    #[test]
    fn an_adaptive_bucket_of_a_healthy_service_is_off_by_a_millionth_of_a_unit_at_most(
        units in 1..12u32, burst in 1..12u32, period in period(), events in no_charges(),
    ) {
        let depth = u128::from(burst) * u128::from(period);
        let (mut tokens, mut at) = (depth, START.0);
        let bucket = Adaptive::new(&plan(Kind::TokenBucket, units, period, burst), healthy());
        compare(&bucket, period, &events, |now, cost, outcome| {
            tokens = depth.min(tokens + u128::from(now.0 - at) * u128::from(units));
            at = now.0;
            let needed = u128::from(cost) * u128::from(period);
            let is_close = needed.abs_diff(tokens) <= u128::from(period) / 1_000_000;
            assert!(is_close || is_admitted(outcome) == (needed <= tokens));
            tokens = tokens.saturating_sub(if is_admitted(outcome) { needed } else { 0 });
        });
    }
}

#[test]
fn a_rate_that_no_nanosecond_divides_does_not_drift() {
    for (units, period) in [(7, SECOND), (999_983, SECOND), (u32::MAX, 1_000_000), (3, 7_000_003)] {
        // Room for what comes in a nanosecond, which a clock that has none shorter cannot use sooner.
        let burst = units / u32::try_from(period).unwrap() + 2;
        let bucket = TokenBucket::new(&plan(Kind::TokenBucket, units, period, burst));
        let (mut state, mut now) = (Default::default(), START);
        bucket.take(&mut state, now, burst - 1);
        for number in 1..=50_000u128 {
            assert_eq!(bucket.take(&mut state, now, 1).outcome, Outcome::Admitted);
            // The earliest moment for the next, by one division and not by adding up.
            let exact = (number * u128::from(period)).div_ceil(units.into());
            now = START.plus(Duration::from_nanos(exact as u64));
            if exact > (number - 1) * u128::from(period) / u128::from(units) + 1 {
                let early = bucket.take(&mut state, Time(now.0 - 1), 1).outcome;
                let nanosecond = Some(Duration::from_nanos(1));
                assert_eq!(early, Outcome::Refused { retry_after: nanosecond });
            }
        }
    }
}

#[test]
fn a_century_of_sevenths_ends_on_time() {
    // A century's units and three more, taken at once, are back to the nanosecond.
    let minutes = 36_525 * 24 * 60;
    let units = minutes * 7 + 3;
    let bucket = TokenBucket::new(&plan(Kind::TokenBucket, 7, 60 * SECOND, units));
    let mut state = Default::default();
    assert_eq!(bucket.take(&mut state, START, units).outcome, Outcome::Admitted);
    let exact = u64::from(minutes) * 60 * SECOND + (3 * 60 * SECOND).div_ceil(7);
    assert_eq!(bucket.standing(&state, START).reset, Duration::from_nanos(exact));
}

#[test]
fn a_window_of_the_clock_ends_at_its_last_nanosecond() {
    let fixed = FixedWindow::new(&plan(Kind::FixedWindow, 3, SECOND, 1));
    let edge = START.0 + SECOND;
    let admits = |state: &mut _, at| is_admitted(fixed.take(state, Time(at), 3).outcome);
    let mut state = Default::default();
    assert!(admits(&mut state, edge - 1));
    assert!(!is_admitted(fixed.take(&mut state, Time(edge - 1), 1).outcome));
    assert!(admits(&mut state, edge), "twice the limit across an edge");
    assert!(!admits(&mut state, edge + 1));
    assert!(!admits(&mut state, edge + SECOND - 1));
    assert!(admits(&mut state, edge + SECOND));
}

#[test]
fn an_admission_leaves_the_log_when_it_is_a_period_old() {
    let log = SlidingWindowLog::new(&plan(Kind::SlidingWindowLog, 2, SECOND, 1));
    for first in [0, 1, SECOND - 1] {
        let mut state = Default::default();
        let mut admits =
            |at| is_admitted(log.take(&mut state, START.plus(Duration::from_nanos(at)), 1).outcome);
        assert!(admits(first) && admits(first + 1));
        assert!(!admits(first + SECOND - 1));
        assert!(admits(first + SECOND) && !admits(first + SECOND));
        assert!(admits(first + SECOND + 1));
    }
}

#[test]
fn a_counter_at_an_edge_counts_the_whole_previous_window() {
    let counter = SlidingWindowCounter::new(&plan(Kind::SlidingWindowCounter, 4, SECOND, 1));
    let admits = |at: u64| {
        let mut state = Default::default();
        assert!(is_admitted(counter.take(&mut state, START, 4).outcome));
        is_admitted(counter.take(&mut state, START.plus(Duration::from_nanos(at)), 1).outcome)
    };
    assert!(!admits(SECOND - 1) && !admits(SECOND) && !admits(SECOND + SECOND / 4 - 1));
    assert!(admits(SECOND + SECOND / 4), "a quarter of four has left");
}

#[test]
fn what_is_charged_beyond_the_limit_is_worked_off() {
    let fixed = FixedWindow::new(&plan(Kind::FixedWindow, 10, SECOND, 1));
    let mut state = Default::default();
    fixed.charge(&mut state, START, 35);
    for (second, remaining) in [(0, 0), (1, 0), (2, 0), (3, 5), (4, 10)] {
        let now = START.plus(Duration::from_secs(second));
        assert_eq!(fixed.standing(&state, now).remaining, remaining, "after {second} seconds");
    }
    let bucket = TokenBucket::new(&plan(Kind::TokenBucket, 10, SECOND, 10));
    let mut state = Default::default();
    bucket.charge(&mut state, START, 35);
    for (tenth, remaining) in [(0, 0), (25, 0), (26, 1), (35, 10)] {
        let now = START.plus(Duration::from_millis(tenth * 100));
        assert_eq!(bucket.standing(&state, now).remaining, remaining, "after {tenth} tenths");
    }
}

#[test]
fn a_queue_spaces_what_comes_at_once() {
    let plan = plan(Kind::LeakyBucket, 10, SECOND, 1);
    let outcomes = |queue| {
        let bucket = LeakyBucket::new(&plan, Some(queue));
        let mut state = Default::default();
        [0; 5].map(|_| bucket.take(&mut state, START, 1).outcome)
    };
    let wait = |millis| Outcome::Queued { wait: Duration::from_millis(millis) };
    let refused = Outcome::Refused { retry_after: Some(Duration::from_millis(100)) };
    let by_length = outcomes(Queue { length: 3, longest: Duration::from_secs(9) });
    assert_eq!(by_length, [Outcome::Admitted, wait(100), wait(200), wait(300), refused]);
    let by_time = outcomes(Queue { length: 9, longest: Duration::from_millis(200) });
    assert_eq!(by_time, [Outcome::Admitted, wait(100), wait(200), refused, refused]);
}

#[test]
fn a_month_of_the_calendar_is_a_window() {
    let rate = "2/month".parse().unwrap();
    let plan = Plan { kind: Kind::FixedWindow, rate, burst: NonZeroU32::new(2).unwrap() };
    let fixed = FixedWindow::new(&plan);
    let mut state = Default::default();
    let days = |days: u64| START.plus(Duration::from_secs(days * 86_400));
    assert!(is_admitted(fixed.take(&mut state, days(3), 2).outcome));
    let told = fixed.take(&mut state, days(30), 1).outcome;
    assert_eq!(told, Outcome::Refused { retry_after: Some(Duration::from_secs(86_400)) });
    assert!(is_admitted(fixed.take(&mut state, days(31), 1).outcome));
}
