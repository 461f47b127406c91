//! What a split promises: shares, and callers that stay where they are.

use super::*;
use crate::exchange::sample::facts;
use crate::route::Test;
use http::{HeaderValue, request};
use proptest::prelude::*;

/// How many callers a share is counted over.
const CALLERS: u32 = 20_000;

fn split(route: &str, sides: &[(&str, u32)]) -> Split {
    let sides = sides.iter().map(|(service, weight)| Side::new(service, *weight, None));
    Split::new(route, sides.collect(), None).unwrap()
}

fn weighted(weights: &[u32]) -> Split {
    let names = ["a", "b", "c", "d", "e"];
    let sides: Vec<_> = names.into_iter().zip(weights.iter().copied()).collect();
    split("orders", &sides)
}

fn side(split: &Split, caller: u32) -> usize {
    split.choose(Some(split.hash(caller.to_string().as_bytes())), 0)
}

/// The part of the callers for whom something is so.
fn part(is_so: impl Fn(u32) -> bool) -> f64 {
    (0..CALLERS).filter(|caller| is_so(*caller)).count() as f64 / f64::from(CALLERS)
}

#[test]
fn those_on_the_canary_at_five_percent_stay_on_it_at_ten() {
    let (before, after) = (weighted(&[95, 5]), weighted(&[90, 10]));
    let canary = |split: &Split, caller| side(split, caller) == 1;
    assert_eq!(part(|caller| canary(&before, caller) && !canary(&after, caller)), 0.0);
    let moved = part(|caller| !canary(&before, caller) && canary(&after, caller));
    assert!((moved - 0.05).abs() < 0.01, "{moved}");
}

#[test]
fn two_canaries_that_grow_together_exchange_no_callers() {
    let (before, after) = (weighted(&[90, 5, 5]), weighted(&[80, 10, 10]));
    for caller in 0..CALLERS {
        let (was, is) = (side(&before, caller), side(&after, caller));
        assert!(was == is || was == 0, "caller {caller} went from {was} to {is}");
    }
}

#[test]
fn a_backend_that_goes_leaves_all_others_where_they_are() {
    let before = split("r", &[("a", 50), ("b", 30), ("c", 20)]);
    let after = split("r", &[("c", 20), ("a", 50)]);
    for caller in 0..CALLERS {
        match side(&before, caller) {
            0 => assert_eq!(side(&after, caller), 1),
            2 => assert_eq!(side(&after, caller), 0),
            _ => {}
        }
    }
}

#[test]
fn a_weight_of_zero_gets_nothing() {
    for split in [weighted(&[100, 0]), weighted(&[100, 0, 1])] {
        assert!((0..CALLERS).all(|caller| side(&split, caller) != 1));
        assert!((0..1000_u64).all(|n| split.choose(None, n.wrapping_mul(u64::MAX / 999)) != 1));
    }
    let green = weighted(&[0, 100]);
    assert!([0, 1, u64::MAX / 2, u64::MAX].iter().all(|random| green.choose(None, *random) == 1));
}

#[test]
fn weights_that_are_all_zero_are_refused() {
    let sides = vec![Side::new("a", 0, None), Side::new("b", 0, None)];
    let refusal = Split::new("r", sides, None).unwrap_err().to_string();
    assert!(refusal.contains("every weight is 0") && refusal.contains("`weight: 100`"));
    assert!(Split::new("r", Vec::new(), None).is_err());
}

#[test]
fn two_routes_try_their_canaries_on_different_callers() {
    let (one, other) =
        (split("one", &[("a", 90), ("b", 10)]), split("two", &[("a", 90), ("b", 10)]));
    let both = part(|caller| side(&one, caller) == 1 && side(&other, caller) == 1);
    assert!((both - 0.01).abs() < 0.005, "{both}");
}

#[test]
fn a_callers_hash_is_the_same_for_ever() {
    let split = split("orders", &[("a", 1)]);
    // Reckoned by another program. If it changes, each caller of each canary changes sides with an upgrade.
    assert_eq!(split.hash(b"alice"), 0x5e56_2f40_84cb_cdf8);
    let sides: Vec<usize> = (0..12).map(|caller| side(&weighted(&[50, 50]), caller)).collect();
    assert_eq!(sides, [1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1]);
}

fn head(target: &str, fields: &[(&'static str, &'static str)]) -> request::Parts {
    let mut head = http::Request::get(target).body(()).unwrap().into_parts().0;
    for (name, value) in fields {
        head.headers.append(*name, HeaderValue::from_static(value));
    }
    head
}

fn keyed(key: &str) -> Split {
    let sides = vec![Side::new("a", 50, None), Side::new("b", 50, None)];
    Split::new("orders", sides, Some(key.parse().unwrap())).unwrap()
}

#[test]
fn a_known_caller_stays_on_one_side() {
    let (split, facts) = (keyed("$(cookie.user)"), facts());
    for user in ["user=1", "user=2", "user=3", "user="] {
        let head = head("/", &[("cookie", user)]);
        let asked = References { head: &head, facts: &facts };
        let picked = split.pick(&asked, 0);
        assert!((0..64).all(|bit| split.pick(&asked, 1 << bit) == picked));
    }
}

#[test]
fn a_caller_whose_key_is_missing_is_sent_at_random() {
    let (split, facts, head) = (keyed("$(cookie.user)"), facts(), head("/", &[]));
    let asked = References { head: &head, facts: &facts };
    assert_eq!((split.pick(&asked, 0), split.pick(&asked, u64::MAX)), (0, 1));
}

#[test]
fn a_tester_gets_what_he_asks_for_whatever_the_weights() {
    let equals = |value: &str| Test::Equals(vec![value.to_owned()]);
    let cookie = Condition { name: Reference::Cookie("canary".to_owned()), test: equals("1") };
    let by_cookie = When { cookies: vec![cookie], ..When::default() };
    let by_field = When {
        headers: vec![Condition { name: HeaderName::from_static("x-version"), test: equals("v3") }],
        query: vec![Condition { name: "debug".to_owned(), test: Test::Present }],
        ..When::default()
    };
    let sides = vec![
        Side::new("v1", 100, None),
        Side::new("v2", 0, Some(by_cookie)),
        Side::new("v3", 0, Some(by_field)),
    ];
    let (split, facts) = (Split::new("r", sides, None).unwrap(), facts());
    let picked = |target: &str, fields: &[(&'static str, &'static str)]| {
        let head = head(target, fields);
        split.pick(&References { head: &head, facts: &facts }, u64::MAX)
    };
    assert_eq!(picked("/", &[]), 0);
    assert_eq!(picked("/", &[("cookie", "a=b; canary=1")]), 1);
    assert_eq!(picked("/", &[("cookie", "canary=2")]), 0);
    assert_eq!(picked("/?debug", &[("x-version", "v3")]), 2);
    assert_eq!(picked("/", &[("x-version", "v3")]), 0, "all of a condition must hold");
    let both = [("x-version", "v3"), ("cookie", "canary=1")];
    assert_eq!(picked("/?debug", &both), 1, "the first whose condition holds");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_side_gets_its_share(weights in proptest::collection::vec(0..100_u32, 2..6)) {
        prop_assume!(weights.iter().sum::<u32>() > 0);
        let split = weighted(&weights);
        let total = f64::from(weights.iter().sum::<u32>());
        for (number, weight) in weights.iter().enumerate() {
            let share = f64::from(*weight) / total;
            let known = part(|caller| side(&split, caller) == number);
            prop_assert!((known - share).abs() < 0.02, "{known} of {share} for callers");
            let step = u64::MAX / u64::from(CALLERS);
            let unknown = part(|n| split.choose(None, u64::from(n) * step) == number);
            prop_assert!((unknown - share).abs() < 0.001, "{unknown} of {share} at random");
        }
    }

    #[test]
    fn a_weight_that_grows_only_draws_callers_to_itself(
        mut weights in proptest::collection::vec(1..100_u32, 2..6),
        grown in 0..5_usize,
        by in 1..100_u32,
    ) {
        let grown = grown % weights.len();
        let before = weighted(&weights);
        weights[grown] += by;
        let after = weighted(&weights);
        for caller in 0..2_000 {
            let (was, is) = (side(&before, caller), side(&after, caller));
            prop_assert!(was == is || is == grown, "from {was} to {is}");
        }
    }

    #[test]
    fn any_weights_and_any_numbers_find_a_side(
        weights in proptest::collection::vec(any::<u32>(), 1..5),
        caller: u64,
        random: u64,
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let split = weighted(&weights);
        for picked in [split.choose(Some(caller), random), split.choose(None, random)] {
            prop_assert!(weights[picked] > 0);
        }
    }
}
