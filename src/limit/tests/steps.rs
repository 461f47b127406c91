//! What comes of a clock that steps.

use super::*;

/// The times at which units were admitted, by a clock that never steps, of a caller who always asks
/// for one more, under a clock that steps before each of the pauses.
fn admitted<A: Algorithm>(algorithm: &A, period: u64, pauses: &[(i64, u64)]) -> Vec<u64> {
    let mut state = A::State::default();
    let (mut real, mut offset) = (START.0, 0i64);
    let mut admitted = Vec::new();
    for (step, millionths) in pauses {
        offset += step;
        real += Event::pass(period, *millionths, 1);
        for _ in 0..20 {
            let clock = Time(real.checked_add_signed(offset).unwrap());
            if is_admitted(algorithm.take(&mut state, clock, 1).outcome) {
                admitted.push(real);
            }
        }
    }
    admitted
}

/// The most that any stretch of so long saw; its end is not in it.
fn most_within(admitted: &[u64], period: u64) -> usize {
    let from = |at: &u64| admitted.iter().filter(|it| *it >= at && **it - at < period).count();
    admitted.iter().map(from).max().unwrap_or(0)
}

fn steps_back() -> impl Strategy<Value = Vec<(i64, u64)>> {
    let step = prop_oneof![
        4 => Just(0),
        1 => -150_000_000..0i64,
        1 => -10_000_000_000_000..0i64,
    ];
    prop::collection::vec((step, 0..600_000u64), 1..30)
}

/// Whether a caller who had used everything is admitted again, so long after a step back.
fn is_free_after<A: Algorithm>(algorithm: &A, back: u64, wait: u64) -> bool {
    let mut state = A::State::default();
    let used = |state: &mut A::State| is_admitted(algorithm.take(state, START, 1).outcome);
    while used(&mut state) {}
    let stepped = Time(START.0 - back);
    let at_once = is_admitted(algorithm.take(&mut state, stepped, 1).outcome);
    assert!(!at_once, "a step back gives nothing");
    is_admitted(algorithm.take(&mut state, Time(stepped.0 + wait), 1).outcome)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn steps_back_let_no_more_through_than_is_said(
        units in 1..12u32,
        burst in 1..12u32,
        period in prop::sample::select(vec![7_000_003, 1_000_000_000, 60_000_000_000]),
        pauses in steps_back(),
    ) {
        let plan = |kind| plan(kind, units, period, burst);
        let steps = pauses.iter().filter(|(step, _)| *step < 0).count();
        let limit = units as usize;
        let within = |admitted: Vec<u64>| most_within(&admitted, period);
        let fixed = FixedWindow::new(&plan(Kind::FixedWindow));
        prop_assert!(within(admitted(&fixed, period, &pauses)) <= (2 + steps) * limit);
        let counter = SlidingWindowCounter::new(&plan(Kind::SlidingWindowCounter));
        prop_assert!(within(admitted(&counter, period, &pauses)) <= (2 + steps) * limit);
        let log = SlidingWindowLog::new(&plan(Kind::SlidingWindowLog));
        prop_assert!(within(admitted(&log, period, &pauses)) <= limit);
        let most = (burst + units) as usize;
        let bucket = TokenBucket::new(&plan(Kind::TokenBucket));
        prop_assert!(within(admitted(&bucket, period, &pauses)) <= most);
        let adaptive = Adaptive::new(&plan(Kind::TokenBucket), healthy());
        prop_assert!(within(admitted(&adaptive, period, &pauses)) <= most);
    }

    #[test]
    fn a_step_back_locks_nobody_out_for_longer_than_is_said(
        units in 1..12u32,
        burst in 1..12u32,
        period in period(),
        back in 1..20_000_000_000_000u64,
    ) {
        let plan = |kind| plan(kind, units, period, burst);
        let skew = nanos(SKEW);
        let one = period.div_ceil(units.into());
        let fixed = FixedWindow::new(&plan(Kind::FixedWindow));
        prop_assert!(is_free_after(&fixed, back, period + skew));
        let log = SlidingWindowLog::new(&plan(Kind::SlidingWindowLog));
        prop_assert!(is_free_after(&log, back, period + skew));
        let counter = SlidingWindowCounter::new(&plan(Kind::SlidingWindowCounter));
        prop_assert!(is_free_after(&counter, back, period + one + skew));
        // One unit of a bucket is there sooner than all of them.
        let bucket = TokenBucket::new(&plan(Kind::TokenBucket));
        prop_assert!(is_free_after(&bucket, back, one + skew));
        let adaptive = Adaptive::new(&plan(Kind::TokenBucket), healthy());
        prop_assert!(is_free_after(&adaptive, back, one + 1 + skew));
    }
}

#[test]
fn a_step_forward_gives_one_limit_more_at_most() {
    let period = 1_000_000_000;
    let plan = |kind| plan(kind, 10, period, 10);
    let pauses = [(0, 100_000), (86_400_000_000_000, 1), (0, 1)];
    let fixed = FixedWindow::new(&plan(Kind::FixedWindow));
    assert_eq!(admitted(&fixed, period, &pauses).len(), 20);
    let log = SlidingWindowLog::new(&plan(Kind::SlidingWindowLog));
    assert_eq!(admitted(&log, period, &pauses).len(), 20);
    let counter = SlidingWindowCounter::new(&plan(Kind::SlidingWindowCounter));
    assert_eq!(admitted(&counter, period, &pauses).len(), 20);
    let bucket = TokenBucket::new(&plan(Kind::TokenBucket));
    assert_eq!(admitted(&bucket, period, &pauses).len(), 20);
    let adaptive = Adaptive::new(&plan(Kind::TokenBucket), healthy());
    assert_eq!(admitted(&adaptive, period, &pauses).len(), 20);
}

#[test]
fn a_thread_that_is_late_begins_no_new_window() {
    let fixed = FixedWindow::new(&plan(Kind::FixedWindow, 10, 1_000_000_000, 1));
    let log = SlidingWindowLog::new(&plan(Kind::SlidingWindowLog, 10, 1_000_000_000, 1));
    let (mut count, mut entries) = Default::default();
    let mut total = [0, 0];
    for _ in 0..50 {
        for at in [START.0, START.0 - 1_000_000] {
            total[0] += u32::from(is_admitted(fixed.take(&mut count, Time(at), 1).outcome));
            total[1] += u32::from(is_admitted(log.take(&mut entries, Time(at), 1).outcome));
        }
    }
    assert_eq!(total, [10, 10]);
}
