//! Ejections as the keeper sees them, and beside a naive model of them.

mod model;

use super::*;
use crate::value::Percent;
use http::StatusCode;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
const OK: StatusCode = StatusCode::OK;
const BAD: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

/// A service whose endpoints are called by their numbers, and its keeper.
struct Bench {
    tallies: Vec<(String, Tally)>,
    ejections: Ejections,
    now: Instant,
}

impl Bench {
    fn new(endpoints: usize, settings: Settings) -> Self {
        let now = Instant::now();
        let tally = |number: usize| (number.to_string(), Tally::new(&settings, 2));
        let tallies = (0..endpoints).map(tally).collect();
        Bench { tallies, ejections: Ejections::new(settings, now), now }
    }

    fn review(&mut self) -> Vec<(String, Change)> {
        let endpoints: Vec<_> = self.tallies.iter().map(|(key, tally)| (&**key, tally)).collect();
        let changes = self.ejections.review(&endpoints, self.now);
        changes.into_iter().map(|(key, change)| (key.to_owned(), change)).collect()
    }

    /// Lets an endpoint fail until it is an outlier.
    fn break_down(&self, number: usize) {
        assert!((0..5).any(|_| self.tallies[number].1.failed(0)));
    }

    fn answer(&self, number: usize, good: u32, bad: u32) {
        let tally = &self.tallies[number].1;
        // The bad ones are spread, so that they are not in a row.
        for turn in 0..good.max(bad) {
            if turn < bad {
                tally.answered(1, BAD);
            }
            if turn < good {
                tally.answered(0, OK);
                tally.completed();
            }
        }
    }

    fn ejected(&self) -> Vec<&str> {
        let keys = self.tallies.iter().map(|(key, _)| &**key);
        keys.filter(|key| self.ejections.is_ejected(key)).collect()
    }

    /// How long an ejection takes that begins now.
    fn eject(&mut self, number: usize) -> Duration {
        self.break_down(number);
        match self.review()[..] {
            [(_, Change::Ejected { lasts, .. })] => lasts,
            ref changes => panic!("{changes:?}"),
        }
    }

    fn wait_until_due(&mut self) {
        self.now = self.ejections.due().expect("something is to come");
    }
}

#[test]
fn an_ejected_endpoint_comes_back() {
    let mut bench = Bench::new(3, Settings::default());
    assert_eq!(bench.ejections.due(), None);
    bench.break_down(1);
    let reason = Reason::ConsecutiveFailures { count: 5 };
    let ejected = Change::Ejected { reason, lasts: 30 * SECOND };
    assert_eq!(bench.review(), [("1".to_owned(), ejected)]);
    assert_eq!(bench.review(), []);
    assert_eq!(bench.ejections.due(), Some(bench.now + 30 * SECOND));
    bench.now += 30 * SECOND - Duration::from_nanos(1);
    assert_eq!(bench.review(), []);
    bench.now += Duration::from_nanos(1);
    assert_eq!(bench.review(), [("1".to_owned(), Change::Returned)]);
    assert_eq!(bench.ejections.due(), None);
}

#[test]
fn what_was_under_way_is_not_held_against_who_comes_back() {
    let mut bench = Bench::new(3, Settings::default());
    bench.eject(1);
    for _ in 0..5 {
        bench.tallies[1].1.failed(0);
    }
    bench.wait_until_due();
    assert_eq!(bench.review(), [("1".to_owned(), Change::Returned)]);
    assert_eq!(bench.review(), []);
}

#[test]
fn each_ejection_lasts_longer_up_to_a_bound() {
    let settings = Settings { max_eject_for: 100 * SECOND, ..Settings::default() };
    let mut bench = Bench::new(2, settings);
    for expected in [30, 60, 90, 100, 100] {
        assert_eq!(bench.eject(0), expected * SECOND);
        bench.wait_until_due();
        bench.review();
    }
    // Four are counted, of which three are forgiven.
    bench.now += 30 * SECOND;
    assert_eq!(bench.eject(0), 60 * SECOND);
}

#[test]
fn an_interval_without_an_ejection_forgives_one() {
    for (seconds, expected) in [(0, 90), (9, 90), (10, 60), (19, 60), (20, 30), (10_000, 30)] {
        let mut bench = Bench::new(2, Settings::default());
        for _ in 0..2 {
            bench.eject(0);
            bench.wait_until_due();
            bench.review();
        }
        bench.now += seconds * SECOND;
        bench.review();
        assert_eq!(bench.eject(0), expected * SECOND, "after {seconds}s");
    }
}

#[test]
fn the_last_endpoint_is_never_ejected() {
    let all = Settings { max_ejected: Percent::new(100), ..Settings::default() };
    let mut bench = Bench::new(1, all);
    bench.break_down(0);
    assert_eq!(bench.review(), []);
    let mut bench = Bench::new(2, all);
    bench.break_down(1);
    bench.break_down(0);
    bench.review();
    assert_eq!(bench.ejected(), ["0"]);
}

#[test]
fn one_of_two_may_always_be_ejected() {
    let none = Settings { max_ejected: Percent::new(0), ..Settings::default() };
    let mut bench = Bench::new(2, none);
    bench.eject(1);
    assert_eq!(bench.ejected(), ["1"]);
    for (endpoints, expected) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (100, 50)] {
        assert_eq!(ejections::most(Percent::new(50), endpoints), expected, "{endpoints}");
    }
}

#[test]
fn who_finds_no_room_is_ejected_when_there_is_some() {
    let mut bench = Bench::new(3, Settings::default());
    bench.eject(0);
    bench.break_down(1);
    assert_eq!(bench.review(), []);
    bench.wait_until_due();
    let changes = bench.review();
    assert_eq!(changes[0], ("0".to_owned(), Change::Returned));
    assert!(matches!(&changes[1], (key, Change::Ejected { .. }) if key == "1"));
}

#[test]
fn those_due_first_come_back_when_others_go() {
    let mut bench = Bench::new(5, Settings::default());
    bench.eject(3);
    bench.now += SECOND;
    bench.eject(1);
    bench.tallies.remove(0);
    assert_eq!(bench.review(), []);
    bench.tallies.remove(1);
    assert_eq!(bench.review(), [("3".to_owned(), Change::Returned)]);
    assert_eq!(bench.ejected(), ["1"]);
}

#[test]
fn an_endpoint_that_goes_and_comes_is_still_ejected() {
    let mut bench = Bench::new(3, Settings::default());
    bench.eject(2);
    let gone = bench.tallies.pop().unwrap();
    bench.review();
    bench.now += SECOND;
    bench.tallies.push((gone.0, Tally::new(&Settings::default(), 2)));
    assert_eq!(bench.review(), []);
    assert_eq!(bench.ejected(), ["2"]);
}

#[test]
fn a_reload_keeps_who_is_ejected() {
    let mut bench = Bench::new(3, Settings::default());
    bench.eject(2);
    let settings = Settings { eject_for: SECOND, ..Settings::default() };
    bench.ejections.adopt(settings, bench.now);
    assert_eq!(bench.review(), []);
    assert_eq!(bench.ejections.until("2"), Some(bench.now + 30 * SECOND));
}

fn by_share() -> Settings {
    let success_rate = Some(SuccessRate { below: Percent::new(50), min_requests: 10 });
    Settings { success_rate, ..Settings::default() }
}

#[test]
fn the_worst_share_of_an_interval_is_ejected_first() {
    let mut bench = Bench::new(3, by_share());
    bench.answer(0, 4, 6);
    bench.answer(1, 3, 7);
    bench.answer(2, 5, 5);
    assert_eq!(bench.review(), [], "an interval is not over");
    bench.wait_until_due();
    let reason = Reason::SuccessRate { succeeded: 3, requests: 10 };
    let ejected = Change::Ejected { reason, lasts: 30 * SECOND };
    assert_eq!(bench.review(), [("1".to_owned(), ejected)]);
    assert_eq!(reason.to_string(), "only 3 of 10 requests succeeded");
    bench.wait_until_due();
    assert_eq!(bench.review(), [], "each interval stands for itself");
}

#[test]
fn too_few_requests_make_no_share() {
    let mut bench = Bench::new(3, by_share());
    bench.answer(0, 4, 5);
    bench.wait_until_due();
    assert_eq!(bench.review(), []);
}

#[test]
fn a_share_of_exactly_the_limit_is_good_enough() {
    let mut bench = Bench::new(3, by_share());
    bench.answer(0, 50, 50);
    bench.wait_until_due();
    assert_eq!(bench.review(), []);
}
