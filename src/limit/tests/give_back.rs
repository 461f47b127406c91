//! What is given back lets nothing through that would not have been without it.

use super::*;

/// Takes and gives back, and returns what was kept: of each pair, whether it is given back, after
/// how many more events.
fn kept<A: Algorithm>(
    algorithm: &A,
    period: u64,
    events: &[(Event, Option<u8>)],
) -> Vec<(u64, u32)> {
    let (mut state, mut now) = (A::State::default(), START);
    let mut kept = Vec::new();
    let mut pending: Vec<(usize, Time, u32)> = Vec::new();
    for (number, (event, back)) in events.iter().enumerate() {
        for (_, taken, cost) in pending.extract_if(.., |(due, _, _)| *due <= number) {
            algorithm.give_back(&mut state, taken, now, cost);
        }
        match *event {
            Event::Pass(part, nanos) => now.0 += Event::pass(period, part, nanos),
            Event::Take(cost) if is_admitted(algorithm.take(&mut state, now, cost).outcome) => {
                match back {
                    Some(later) => pending.push((number + usize::from(*later), now, cost)),
                    None => kept.push((now.0, cost)),
                }
            }
            Event::Take(_) | Event::Charge(_) => {}
        }
    }
    kept
}

/// The most units of any stretch that begins and ends with one, less what it may have.
fn is_within(kept: &[(u64, u32)], allowed: impl Fn(u64, u64) -> u128) -> bool {
    (0..kept.len()).all(|first| {
        let mut sum = 0;
        kept[first..].iter().all(|(at, cost)| {
            sum += u128::from(*cost);
            sum <= allowed(kept[first].0, *at)
        })
    })
}

proptest! {
    #[test]
    fn what_is_given_back_lets_no_more_through_than_the_limit(
        units in 1..12u32,
        burst in 1..12u32,
        period in period(),
        events in prop::collection::vec(
            (prop_oneof![3 => (1..4u32).prop_map(Event::Take), 2 => pass()],
             prop::option::of(1..12u8)),
            1..80,
        ),
    ) {
        let plan = |kind| plan(kind, units, period, burst);
        let any = u128::MAX;
        let limit = u128::from(units);
        let same = |from: u64, to: u64| from / period == to / period;
        let by_window = |from, to| if same(from, to) { limit } else { any };
        let fixed = FixedWindow::new(&plan(Kind::FixedWindow));
        prop_assert!(is_within(&kept(&fixed, period, &events), by_window));
        let counter = SlidingWindowCounter::new(&plan(Kind::SlidingWindowCounter));
        prop_assert!(is_within(&kept(&counter, period, &events), by_window));
        let log = SlidingWindowLog::new(&plan(Kind::SlidingWindowLog));
        let by_log = |from, to| if to - from < period { limit } else { any };
        prop_assert!(is_within(&kept(&log, period, &events), by_log));
        let by_rate = |from: u64, to: u64| {
            u128::from(burst) + u128::from(to - from) * u128::from(units) / u128::from(period)
        };
        let bucket = TokenBucket::new(&plan(Kind::TokenBucket));
        prop_assert!(is_within(&kept(&bucket, period, &events), by_rate));
    }
}

/// Whether all that was taken is there again when it is given back at once.
fn is_whole_again<A: Algorithm>(algorithm: &A) -> bool {
    let mut state = A::State::default();
    let first = algorithm.take(&mut state, START, 3);
    algorithm.give_back(&mut state, START, START, 3);
    let standing = algorithm.standing(&state, START);
    first.standing.remaining == 7 && standing.remaining == 10 && standing.reset.is_zero()
}

#[test]
fn what_is_given_back_at_once_was_never_taken() {
    let plan = |kind| plan(kind, 10, 1_000_000_000, 10);
    assert!(is_whole_again(&FixedWindow::new(&plan(Kind::FixedWindow))));
    assert!(is_whole_again(&SlidingWindowLog::new(&plan(Kind::SlidingWindowLog))));
    assert!(is_whole_again(&SlidingWindowCounter::new(&plan(Kind::SlidingWindowCounter))));
    assert!(is_whole_again(&TokenBucket::new(&plan(Kind::TokenBucket))));
    assert!(is_whole_again(&LeakyBucket::new(&plan(Kind::LeakyBucket), None)));
    assert!(is_whole_again(&Adaptive::new(&plan(Kind::TokenBucket), healthy())));
}

#[test]
fn what_a_window_took_is_not_given_to_the_next() {
    let fixed = FixedWindow::new(&plan(Kind::FixedWindow, 10, 1_000_000_000, 1));
    let next = START.plus(Duration::from_secs(1));
    let mut state = Default::default();
    fixed.take(&mut state, START, 5);
    fixed.take(&mut state, next, 5);
    fixed.give_back(&mut state, START, next, 5);
    assert_eq!(fixed.standing(&state, next).remaining, 5);
}
