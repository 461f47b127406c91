//! The breaker as its users see it, beside a naive model of it and between threads.

mod model;
mod threads;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A breaker and a clock that goes when it is told to.
struct Bench {
    breaker: Breaker,
    now: Instant,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let now = Instant::now();
        Bench { breaker: Breaker::new(settings, 2, now), now }
    }

    fn admit(&self) -> Result<Pass, Open> {
        self.breaker.admit(0, self.now)
    }

    fn fails(&self) -> Option<Change> {
        self.admit().unwrap().failed(self.now)
    }

    fn succeeds(&self) -> Option<Change> {
        self.admit().unwrap().succeeded(self.now, Duration::ZERO)
    }

    fn state(&self) -> State {
        self.breaker.state(self.now)
    }

    /// Fails until it opens.
    fn open(&self) {
        while self.state() == State::Closed {
            self.fails();
        }
    }
}

#[test]
fn five_failures_within_the_window_open_it() {
    let mut bench = Bench::new(Settings::default());
    for _ in 0..4 {
        assert_eq!(bench.fails(), None);
        bench.now += 15 * SECOND;
        bench.succeeds();
    }
    let reason = Reason::Failures { failures: 5 };
    assert_eq!(bench.fails(), Some(Change::Opened(reason)));
    assert_eq!(bench.state(), State::Open);
    assert_eq!(bench.admit().unwrap_err(), Open { retry_after: 30 * SECOND });
    assert_eq!((bench.breaker.opened_total(), bench.breaker.refusals()), (1, 1));
    assert_eq!(bench.breaker.last_reason(), Some(reason));
    assert_eq!(reason.to_string(), "5 requests failed");
}

#[test]
fn failures_that_are_further_apart_leave_it_closed() {
    let mut bench = Bench::new(Settings::default());
    for _ in 0..20 {
        assert_eq!(bench.fails(), None);
        bench.now += 17 * SECOND;
    }
}

#[test]
fn it_lets_one_probe_in_when_its_time_is_over() {
    let mut bench = Bench::new(Settings::default());
    bench.open();
    bench.now += 30 * SECOND - Duration::from_millis(1);
    assert_eq!(bench.admit().unwrap_err().retry_after, Duration::from_millis(1));
    bench.now += Duration::from_millis(1);
    assert_eq!(bench.state(), State::HalfOpen);
    let probe = bench.admit().unwrap();
    assert!(probe.is_probe());
    assert_eq!(bench.admit().unwrap_err().retry_after, SECOND);
    assert_eq!(probe.succeeded(bench.now, Duration::ZERO), None);
    assert!(bench.admit().is_ok());
}

#[test]
fn three_successes_in_a_row_close_it() {
    let mut bench = Bench::new(Settings::default());
    bench.open();
    bench.now += 30 * SECOND;
    assert_eq!(bench.succeeds(), None);
    assert_eq!(bench.succeeds(), None);
    assert_eq!(bench.succeeds(), Some(Change::Closed));
    assert_eq!(bench.state(), State::Closed);
    assert_eq!(bench.fails(), None, "the failures of before are forgotten");
}

#[test]
fn one_failed_probe_opens_it_again_for_as_long() {
    let mut bench = Bench::new(Settings::default());
    bench.open();
    bench.now += 30 * SECOND;
    bench.succeeds();
    bench.succeeds();
    assert_eq!(bench.fails(), Some(Change::Opened(Reason::Probe)));
    assert_eq!(bench.admit().unwrap_err().retry_after, 30 * SECOND);
    assert_eq!(bench.breaker.opened_total(), 2);
}

#[test]
fn a_dropped_probe_gives_its_place_back_and_says_nothing() {
    let mut bench = Bench::new(Settings::default());
    bench.open();
    bench.now += 30 * SECOND;
    drop(bench.admit().unwrap());
    assert_eq!(bench.state(), State::HalfOpen);
    assert!(bench.admit().unwrap().is_probe());
}

#[test]
fn what_began_before_it_opened_says_nothing_later() {
    let mut bench = Bench::new(Settings::default());
    let (early, late) = (bench.admit().unwrap(), bench.admit().unwrap());
    bench.open();
    bench.now += 30 * SECOND;
    assert_eq!(early.failed(bench.now), None);
    assert_eq!(bench.state(), State::HalfOpen);
    for _ in 0..3 {
        bench.succeeds();
    }
    assert_eq!(late.failed(bench.now), None);
    for _ in 0..4 {
        assert_eq!(bench.fails(), None);
    }
}

#[test]
fn a_slow_answer_is_a_failure() {
    let settings =
        Settings { slow_after: Some(2 * SECOND), failures: Some(1), ..Settings::default() };
    let bench = Bench::new(settings);
    assert_eq!(bench.admit().unwrap().succeeded(bench.now, 2 * SECOND), None);
    let slow = bench.admit().unwrap().succeeded(bench.now, 3 * SECOND);
    assert_eq!(slow, Some(Change::Opened(Reason::Failures { failures: 1 })));
}

fn by_rate() -> Settings {
    let share = Percent::new(50);
    let failure_rate = Some(FailureRate { share, min_requests: 20 });
    Settings { failures: None, failure_rate, ..Settings::default() }
}

#[test]
fn half_of_twenty_requests_open_it_whichever_worker_saw_them() {
    let bench = Bench::new(by_rate());
    for number in 0..10 {
        let pass = bench.breaker.admit(number, bench.now).unwrap();
        pass.succeeded(bench.now, Duration::ZERO);
    }
    for _ in 0..9 {
        assert_eq!(bench.fails(), None);
    }
    let reason = Reason::FailureRate { failures: 10, requests: 20 };
    assert_eq!(bench.fails(), Some(Change::Opened(reason)));
    assert_eq!(reason.to_string(), "10 of 20 requests failed");
}

#[test]
fn too_few_requests_make_no_share() {
    let bench = Bench::new(by_rate());
    for _ in 0..19 {
        assert_eq!(bench.fails(), None);
    }
    assert!(bench.fails().is_some());
}

#[test]
fn successes_of_before_are_forgotten_when_it_closes() {
    let mut bench = Bench::new(Settings { open_for: Duration::from_millis(1), ..by_rate() });
    for _ in 0..1000 {
        bench.succeeds();
    }
    while bench.state() == State::Closed {
        bench.fails();
    }
    bench.now += Duration::from_millis(1);
    for _ in 0..3 {
        bench.succeeds();
    }
    let failures = (0..).find(|_| bench.fails().is_some());
    assert_eq!(failures, Some(19));
}

#[test]
fn a_clock_that_stands_still_opens_and_half_opens_nothing_by_itself() {
    let bench = Bench::new(Settings::default());
    bench.open();
    for _ in 0..100 {
        assert_eq!(bench.admit().unwrap_err().retry_after, 30 * SECOND);
    }
    assert_eq!(bench.state(), State::Open);
}

#[test]
fn a_clock_that_is_behind_is_no_panic() {
    let bench = Bench::new(Settings { failures: Some(1), ..by_rate() });
    let Some(before) = bench.now.checked_sub(SECOND) else { return };
    bench.breaker.admit(7, before).unwrap().succeeded(before, Duration::ZERO);
    bench.breaker.admit(7, before).unwrap().failed(before);
    assert_eq!(bench.breaker.state(before), State::Open);
}
