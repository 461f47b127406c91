//! What every algorithm has to do, whichever it is; the models of each stand in the files below.

mod give_back;
mod models;
mod steps;

use super::*;
use crate::value::{Period, Rate};
use proptest::prelude::*;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Midnight of the first of January 2026, where windows of an hour, a second and less begin.
const START: Time = Time(1_767_225_600_000_000_000);

fn plan(kind: Kind, units: u32, period: u64, burst: u32) -> Plan {
    let units = NonZeroU32::new(units).unwrap();
    let rate = Rate { units, per: Period::Span(Duration::from_nanos(period)) };
    let is_bucket = matches!(kind, Kind::TokenBucket | Kind::LeakyBucket);
    let burst = if is_bucket { NonZeroU32::new(burst).unwrap() } else { units };
    let plan = Plan { kind, rate, burst };
    plan.check().unwrap();
    plan
}

fn healthy() -> Arc<adaptive::Health> {
    Arc::new(adaptive::Health::new(adaptive::Settings::default(), Instant::now()))
}

fn is_admitted(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Refused { .. })
}

/// One thing that happens to a caller.
#[derive(Debug, Clone, Copy)]
enum Event {
    Take(u32),
    Charge(u32),
    /// So many millionths of the period pass, and so many nanoseconds.
    Pass(u64, u64),
}

impl Event {
    fn pass(period: u64, millionths: u64, nanos: u64) -> u64 {
        period / 1_000_000 * millionths + nanos
    }
}

fn pass() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0..3u64).prop_map(|nanos| Event::Pass(0, nanos)),
        5 => (0..400_000u64, 0..3u64).prop_map(|(part, nanos)| Event::Pass(part, nanos)),
        1 => (0..3_000_000u64, 0..3u64).prop_map(|(part, nanos)| Event::Pass(part, nanos)),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (1..5u32).prop_map(Event::Take),
        1 => (1..30u32).prop_map(Event::Charge),
        8 => pass(),
    ]
}

fn period() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![1_000_000, 7_000_003, 1_000_000_000, 3_600_000_000_000])
}

fn no_charges() -> impl Strategy<Value = Vec<Event>> {
    let take = (1..5u32).prop_map(Event::Take);
    prop::collection::vec(prop_oneof![3 => take, 2 => pass()], 1..120)
}

/// Plays events, and returns the state and the time after them.
fn play<A: Algorithm>(algorithm: &A, period: u64, events: &[Event]) -> (A::State, Time) {
    let (mut state, mut now) = (A::State::default(), START);
    for event in events {
        match *event {
            Event::Take(cost) => drop(algorithm.take(&mut state, now, cost)),
            Event::Charge(cost) => algorithm.charge(&mut state, now, cost),
            Event::Pass(part, nanos) => now.0 += Event::pass(period, part, nanos),
        }
    }
    (state, now)
}

/// Checks what is told against what then happens. `exact` is not asked of floats.
fn what_is_told_comes_true<A>(algorithm: &A, period: u64, events: &[Event], most: u32, exact: bool)
where
    A: Algorithm<State: Clone>,
{
    let (state, now) = play(algorithm, period, events);
    let standing = algorithm.standing(&state, now);
    let outcome = |cost, now| algorithm.take(&mut state.clone(), now, cost).outcome;
    let remaining = u32::try_from(standing.remaining).unwrap();
    assert!(standing.remaining <= standing.limit);
    if remaining > 0 {
        assert!(is_admitted(outcome(remaining.min(most), now)), "what remains is admitted");
    }
    assert!(!is_admitted(outcome(remaining + 1, now)), "no more than remains is admitted");
    let mut after = state.clone();
    let verdict = algorithm.take(&mut after, now, 1);
    assert_eq!(verdict.standing, algorithm.standing(&after, now));

    let full = now.plus(standing.reset);
    assert_eq!(algorithm.standing(&state, full).remaining, standing.limit);
    assert_eq!(algorithm.weight(&state, full), 0);
    if exact && !standing.reset.is_zero() {
        let before = Time(full.0 - 1);
        assert!(algorithm.weight(&state, before) > 0, "one nanosecond before, it is not yet full");
    }
    for cost in 1..=most {
        let Outcome::Refused { retry_after } = outcome(cost, now) else { continue };
        let then = now.plus(retry_after.expect("what fits comes to be admitted"));
        assert!(is_admitted(outcome(cost, then)), "it is admitted after as long as was told");
        if exact {
            assert!(!is_admitted(outcome(cost, Time(then.0 - 1))), "and no sooner");
        }
    }
    assert_eq!(
        algorithm.take(&mut state.clone(), now, most + 1).outcome,
        Outcome::Refused { retry_after: None },
        "what costs more than there ever is is told so"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn what_every_algorithm_tells_comes_true(
        units in 1..12u32,
        burst in 1..12u32,
        period in period(),
        events in prop::collection::vec(event(), 0..60),
    ) {
        let plan = |kind| plan(kind, units, period, burst);
        let fixed = FixedWindow::new(&plan(Kind::FixedWindow));
        what_is_told_comes_true(&fixed, period, &events, units, true);
        let log = SlidingWindowLog::new(&plan(Kind::SlidingWindowLog));
        what_is_told_comes_true(&log, period, &events, units, true);
        let counter = SlidingWindowCounter::new(&plan(Kind::SlidingWindowCounter));
        what_is_told_comes_true(&counter, period, &events, units, true);
        let token = TokenBucket::new(&plan(Kind::TokenBucket));
        what_is_told_comes_true(&token, period, &events, burst, true);
        let meter = LeakyBucket::new(&plan(Kind::LeakyBucket), None);
        what_is_told_comes_true(&meter, period, &events, burst, true);
        let queue = Queue { length: 5, longest: Duration::from_nanos(period) };
        let queue = LeakyBucket::new(&plan(Kind::LeakyBucket), Some(queue));
        what_is_told_comes_true(&queue, period, &events, burst, true);
        let adaptive = Adaptive::new(&plan(Kind::TokenBucket), healthy());
        what_is_told_comes_true(&adaptive, period, &events, burst, false);
    }
}

/// How many units eight threads get at one moment, of more than there are.
fn under_eight_threads<A: Algorithm>(algorithm: &A, costs: [u32; 8]) -> u32 {
    let state = Mutex::new(A::State::default());
    let admitted = std::thread::scope(|scope| {
        let threads = costs.map(|cost| {
            let state = &state;
            scope.spawn(move || {
                let one = |_: &u32| {
                    let verdict = algorithm.take(&mut state.lock().unwrap(), START, cost);
                    is_admitted(verdict.outcome)
                };
                cost * (0..200).filter(one).count() as u32
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    admitted.iter().sum()
}

#[test]
fn eight_threads_get_the_limit_and_no_unit_more() {
    let plan = |kind| plan(kind, 100, 1_000_000_000, 150);
    for costs in [[1; 8], [1, 2, 3, 1, 2, 3, 5, 7]] {
        let fixed = FixedWindow::new(&plan(Kind::FixedWindow));
        assert_eq!(under_eight_threads(&fixed, costs), 100);
        let log = SlidingWindowLog::new(&plan(Kind::SlidingWindowLog));
        assert_eq!(under_eight_threads(&log, costs), 100);
        let counter = SlidingWindowCounter::new(&plan(Kind::SlidingWindowCounter));
        assert_eq!(under_eight_threads(&counter, costs), 100);
        let token = TokenBucket::new(&plan(Kind::TokenBucket));
        assert_eq!(under_eight_threads(&token, costs), 150);
        let queue = Queue { length: 50, longest: Duration::from_secs(60) };
        let queue = LeakyBucket::new(&plan(Kind::LeakyBucket), Some(queue));
        assert_eq!(under_eight_threads(&queue, costs), 200);
        let adaptive = Adaptive::new(&plan(Kind::TokenBucket), healthy());
        assert_eq!(under_eight_threads(&adaptive, costs), 150);
    }
}

#[test]
fn a_weight_is_zero_for_nothing_only() {
    assert_eq!(weight(0, 1), 0);
    assert_eq!(weight(1, 1 << 120), 1);
    assert_eq!(weight(1 << 119, 1 << 120), u32::MAX / 2);
    assert_eq!(weight(u128::MAX, 1), u32::MAX);
}
