//! What a lease does step by step; what it costs and saves is simulated.

mod conserved;
mod simulation;
mod store;

use super::*;
use crate::limit::{Kind, Plan};
use crate::value::{Period, Rate};
use proptest::prelude::*;
use std::collections::VecDeque;

const MILLI: Duration = Duration::from_millis(1);
const TIMEOUT: Duration = Duration::from_millis(5);
const START: Time = Time(1_000_000_000_000);

/// A hundred units in ten seconds: leases that last a second, of ten units at most.
fn policy(kind: Kind) -> LeasePolicy {
    let hundred = 100.try_into().unwrap();
    let rate = Rate { units: hundred, per: Period::Span(Duration::from_secs(10)) };
    LeasePolicy::new(&Plan { kind, rate, burst: hundred }, LeasePolicy::BATCH, TIMEOUT)
}

fn at(millis: u64) -> Time {
    START.plus(Duration::from_millis(millis))
}

/// What a store says that gives so many, and has so many left, in a window that ends five seconds
/// after the start.
fn grant(now: Time, units: u32, remaining: u64) -> Grant {
    let standing = Standing { limit: 100, remaining, reset: at(5_000).since(now) };
    let retry_after = if units > 0 { Duration::ZERO } else { standing.reset };
    Grant { units, standing, retry_after: Some(retry_after) }
}

/// The call that a turn asks for, whether or not a request waits for it.
fn call(turn: Turn) -> Call {
    match turn.step {
        Step::Ask(call) | Step::AdmittedAndRefill { call, .. } => call,
        step => panic!("no call: {step:?}"),
    }
}

fn is_admitted(turn: &Turn) -> bool {
    matches!(turn.step, Step::Admitted(_) | Step::AdmittedAndRefill { .. })
}

fn retry(turn: &Turn) -> Option<Duration> {
    match turn.step {
        Step::Refused { retry_after, .. } => retry_after,
        ref step => panic!("it is not refused: {step:?}"),
    }
}

/// A caller that spent ten units in its first 50 ms, and then holds so many of the
/// nine that are left of ten which it asked for at 50.
fn busy(policy: &LeasePolicy, held: u32) -> Lease {
    let spent = Lease { since: at(0), ends: at(2_000), batch: 10, ..Lease::default() };
    let mut lease = Lease { resets: at(5_000), left: 90, ..spent };
    let next = call(lease.take(policy, at(50), 1));
    assert_eq!(next.claim, Claim { least: 1, want: 10 });
    let turn = lease.granted(policy, at(51), next, &grant(at(51), 10, 50));
    assert!(is_admitted(&turn));
    lease.held = held;
    lease
}

#[test]
fn a_lease_is_small() {
    assert!(size_of::<Lease>() <= 56, "{}", size_of::<Lease>());
}

#[test]
fn who_was_never_seen_asks_for_what_it_needs_and_no_more() {
    let policy = policy(Kind::FixedWindow);
    let mut lease = Lease::default();
    let first = call(lease.take(&policy, at(0), 3));
    assert_eq!(first.claim, Claim { least: 3, want: 3 });
    let turn = lease.granted(&policy, at(1), first, &grant(at(1), 3, 97));
    assert!(is_admitted(&turn));
    assert_eq!(lease.held, 0);
}

#[test]
fn who_asks_often_is_given_more_each_time_up_to_a_tenth_of_the_limit() {
    let policy = policy(Kind::SlidingWindowLog);
    let mut lease = Lease::default();
    let mut wants = Vec::new();
    for millis in (0..400).step_by(20) {
        let turn = lease.take(&policy, at(millis), 1);
        if let Step::Ask(call) | Step::AdmittedAndRefill { call, .. } = turn.step {
            wants.push(call.claim.want);
            let units = call.claim.want;
            let _ = lease.granted(&policy, at(millis), call, &grant(at(millis), units, 50));
        }
    }
    assert_eq!(wants, [1, 2, 2, 4, 10, 10]);
}

#[test]
fn only_one_call_at_a_time_asks_for_more_than_it_needs() {
    let policy = policy(Kind::TokenBucket);
    let mut lease = busy(&policy, 0);
    let first = call(lease.take(&policy, at(60), 1));
    let second = call(lease.take(&policy, at(60), 1));
    assert!(first.claim.want > 1);
    assert_eq!(second.claim, Claim { least: 1, want: 1 });
}

#[test]
fn more_is_asked_for_when_half_is_spent_and_nobody_waits_for_it() {
    let policy = policy(Kind::SlidingWindowCounter);
    let mut lease = busy(&policy, 9);
    for _ in 0..4 {
        let turn = lease.take(&policy, at(100), 1);
        assert!(matches!(turn.step, Step::Admitted(_)), "{turn:?}");
    }
    let refill = call(lease.take(&policy, at(100), 1));
    assert!(refill.is_refill());
    assert_eq!(refill.claim.least, 1);
    let turn = lease.take(&policy, at(101), 1);
    assert!(matches!(turn.step, Step::Admitted(_)), "one refill at a time");
    let turn = lease.granted(&policy, at(102), refill, &grant(at(102), 10, 40));
    assert!(matches!(turn.step, Step::Refilled));
    assert_eq!(lease.held, 13);
}

#[test]
fn a_call_of_which_nothing_is_heard_holds_the_next_back_for_the_timeout() {
    let policy = policy(Kind::TokenBucket);
    let mut lease = busy(&policy, 0);
    drop(call(lease.take(&policy, at(60), 1)));
    assert_eq!(call(lease.take(&policy, at(64), 1)).claim.want, 1);
    assert!(call(lease.take(&policy, at(65), 1)).claim.want > 1);
}

#[test]
fn a_refusal_costs_no_calls_until_the_store_may_have_more() {
    let policy = policy(Kind::FixedWindow);
    let mut lease = busy(&policy, 0);
    let asked = call(lease.take(&policy, at(100), 2));
    let turn = lease.granted(&policy, at(101), asked, &grant(at(101), 0, 1));
    assert_eq!(retry(&turn), Some(at(5_000).since(at(101))));
    // It says when the window is over, though it asks again before: another gateway may give back.
    let turn = lease.take(&policy, at(1_100), 2);
    assert_eq!(retry(&turn).map(|after| after.as_millis()), Some(3_899));
    assert!(call(lease.take(&policy, at(1_101), 2)).claim.least == 2);
}

#[test]
fn a_cheaper_request_than_the_refused_one_may_ask() {
    let policy = policy(Kind::FixedWindow);
    let mut lease = busy(&policy, 0);
    let asked = call(lease.take(&policy, at(100), 3));
    let _ = lease.granted(&policy, at(101), asked, &grant(at(101), 0, 2));
    assert_eq!(call(lease.take(&policy, at(102), 2)).claim, Claim { least: 2, want: 2 });
    assert!(retry(&lease.take(&policy, at(102), 3)).is_some());
}

#[test]
fn a_refusal_ends_with_its_window() {
    let policy = policy(Kind::FixedWindow);
    let mut lease = busy(&policy, 0);
    let asked = call(lease.take(&policy, at(4_990), 1));
    let turn = lease.granted(&policy, at(4_991), asked, &grant(at(4_991), 0, 0));
    assert!(retry(&turn).is_some_and(|after| after <= 10 * MILLI));
    let _ = call(lease.take(&policy, at(5_000), 1));
}

#[test]
fn units_of_a_window_are_void_in_the_next() {
    let policy = policy(Kind::FixedWindow);
    let mut lease = busy(&policy, 0);
    let asked = call(lease.take(&policy, at(4_900), 1));
    let turn = lease.granted(&policy, at(4_901), asked, &grant(at(4_901), 10, 0));
    assert!(is_admitted(&turn));
    assert!(is_admitted(&lease.take(&policy, at(4_950), 1)));
    let turn = lease.take(&policy, at(5_000), 1);
    assert_eq!(turn.surplus, None);
    let _ = call(turn);
    assert_eq!(lease.held, 0);
}

#[test]
fn an_answer_after_the_windows_end_admits_who_waited_and_nobody_else() {
    let policy = policy(Kind::FixedWindow);
    let mut lease = busy(&policy, 0);
    let asked = call(lease.take(&policy, at(4_999), 1));
    let turn = lease.granted(&policy, at(5_001), asked, &grant(at(4_999), 10, 0));
    assert!(is_admitted(&turn));
    assert_eq!((turn.surplus, lease.held), (None, 0));
}

#[test]
fn what_is_left_of_a_lease_goes_back_when_its_life_is_over() {
    let policy = policy(Kind::TokenBucket);
    let mut lease = busy(&policy, 9);
    assert_eq!(lease.surplus(&policy, at(2_049)), None);
    let left = Surplus { units: 9, taken: at(50) };
    assert_eq!(lease.surplus(&policy, at(2_050)), Some(left));
    assert_eq!(lease.surplus(&policy, at(2_050)), None);
    // A caller so slow leases nothing when it comes back.
    assert_eq!(call(lease.take(&policy, at(5_000), 1)).claim, Claim { least: 1, want: 1 });
}

#[test]
fn units_at_hand_that_were_spent_meanwhile_are_asked_for_once_more() {
    let policy = policy(Kind::TokenBucket);
    let mut lease = busy(&policy, 3);
    let large = call(lease.take(&policy, at(60), 5));
    assert_eq!(large.claim.least, 2);
    assert!(is_admitted(&lease.take(&policy, at(60), 2)));
    let turn = lease.granted(&policy, at(61), large, &grant(at(61), 2, 10));
    let again = call(turn);
    assert_eq!(again.claim, Claim { least: 5, want: 5 });
    assert!(is_admitted(&lease.granted(&policy, at(62), again, &grant(at(62), 5, 5))));
    assert_eq!(lease.held, 3);
}

#[test]
fn what_costs_more_than_there_ever_is_is_refused_without_a_call() {
    let turn = Lease::default().take(&policy(Kind::LeakyBucket), at(0), 101);
    assert_eq!(retry(&turn), None);
}

#[test]
fn a_store_that_fails_is_no_longer_believed_to_refuse() {
    let policy = policy(Kind::FixedWindow);
    let mut lease = busy(&policy, 0);
    let asked = call(lease.take(&policy, at(100), 1));
    let _ = lease.granted(&policy, at(101), asked, &grant(at(101), 0, 0));
    let asked = call(lease.take(&policy, at(1_200), 1));
    lease.failed(&policy, at(1_205), asked);
    assert_eq!(call(lease.take(&policy, at(1_206), 1)).claim, Claim { least: 1, want: 1 });
}

#[test]
fn a_clock_that_is_put_back_prolongs_neither_a_lease_nor_a_refusal() {
    let policy = policy(Kind::TokenBucket);
    let mut lease = busy(&policy, 9);
    let long_ago = Time(START.0 - 500_000_000_000);
    assert_eq!(lease.take(&policy, long_ago, 1).surplus.map(|left| left.units), Some(9));

    let mut lease = busy(&policy, 0);
    let asked = call(lease.take(&policy, at(100), 1));
    let _ = lease.granted(&policy, at(101), asked, &grant(at(101), 0, 0));
    assert!(retry(&lease.take(&policy, at(102), 1)).is_some());
    let _ = call(lease.take(&policy, long_ago, 1));
}

#[test]
fn what_is_charged_is_paid_from_what_is_at_hand_first() {
    let policy = policy(Kind::TokenBucket);
    let mut lease = busy(&policy, 9);
    assert_eq!(lease.charge(&policy, at(60), 4), (0, None));
    assert_eq!(lease.charge(&policy, at(60), 8), (3, None));
    assert_eq!(lease.held, 0);
}

#[test]
fn what_is_not_to_count_is_at_hand_again_while_its_lease_lives() {
    let policy = policy(Kind::TokenBucket);
    let mut lease = busy(&policy, 9);
    assert!(is_admitted(&lease.take(&policy, at(60), 2)));
    assert_eq!(lease.give_back(&policy, at(60), at(70), 2), None);
    assert_eq!(lease.held, 9);
    let older = Surplus { units: 2, taken: at(0) };
    assert_eq!(lease.give_back(&policy, at(0), at(70), 2), Some(older));
}

#[test]
fn who_holds_nothing_and_is_not_refused_weighs_nothing() {
    let policy = policy(Kind::TokenBucket);
    let mut lease = busy(&policy, 9);
    let busy_weight = lease.weight(&policy, at(60));
    assert!(busy_weight > 0);
    assert_eq!(lease.release().map(|left| left.units), Some(9));
    assert_eq!(lease.weight(&policy, at(60)), 0);
    let asked = call(lease.take(&policy, at(100), 1));
    let _ = lease.granted(&policy, at(101), asked, &grant(at(101), 0, 0));
    assert!(lease.weight(&policy, at(102)) > busy_weight);
    assert_eq!(lease.weight(&policy, at(9_000)), 0);
}

#[test]
fn a_standing_counts_what_is_at_hand_and_what_the_store_has() {
    let policy = policy(Kind::FixedWindow);
    let lease = busy(&policy, 9);
    let standing = lease.standing(&policy, at(100));
    assert_eq!((standing.limit, standing.remaining), (100, 59));
    assert_eq!(lease.standing(&policy, at(6_000)).remaining, 100);
}

proptest! {
    /// Units are spent in the order in which they were taken, so that the oldest at hand tell.
    #[test]
    fn no_unit_is_spent_later_than_two_lives_after_it_was_taken(
        requests in prop::collection::vec((1..4u32, 0..900u64, 0..3u64), 1..200),
    ) {
        let policy = policy(Kind::SlidingWindowLog);
        let mut lease = Lease::default();
        let mut taken: VecDeque<Time> = VecDeque::new();
        let mut millis = 0;
        for (cost, pause, latency) in requests {
            millis += pause * pause / 900;
            let turn = lease.take(&policy, at(millis), cost);
            if turn.surplus.is_some() {
                taken.clear();
            }
            let mut spent = if is_admitted(&turn) { cost } else { 0 };
            if let Step::Ask(call) | Step::AdmittedAndRefill { call, .. } = turn.step {
                let asked = at(millis);
                millis += latency;
                let (units, cost) = (call.claim.want, call.cost);
                let turn = lease.granted(&policy, at(millis), call, &grant(at(0), units, 50));
                // A lease that ended while the call was under way: the new units are none of it.
                taken.drain(..turn.surplus.map_or(0, |left| left.units as usize));
                taken.extend((0..units).map(|_| asked));
                spent += if is_admitted(&turn) { cost } else { 0 };
            }
            for _ in 0..spent {
                let age = at(millis).since(taken.pop_front().unwrap());
                prop_assert!(age <= 2 * policy.life(), "{age:?}");
            }
            prop_assert_eq!(taken.len(), lease.held as usize);
        }
    }
}
