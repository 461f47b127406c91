//! How the factor follows a service, and what a bucket makes of it.

use super::*;
use crate::limit::{Algorithm, Kind, Outcome, Plan, Time};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FAST: Duration = Duration::from_millis(10);

/// A service that is watched second by second.
struct Watched {
    health: Health,
    now: Instant,
}

impl Watched {
    fn new() -> Self {
        let now = Instant::now();
        Watched { health: Health::new(Settings::default(), now), now }
    }

    /// Lets a window go by, of which so many in a hundred fail, and returns the factor.
    fn window(&mut self, failures: u32, took: Duration) -> f64 {
        for number in 0..100 {
            self.now += Duration::from_millis(10);
            self.health.observe(self.now, number < failures, took);
        }
        self.health.factor()
    }
}

#[test]
fn a_service_that_is_well_gets_all() {
    let mut service = Watched::new();
    for _ in 0..20 {
        assert_eq!(service.window(0, FAST), 1.0);
        assert_eq!(service.window(5, FAST), 1.0, "a few failures are under the threshold");
    }
}

#[test]
fn failures_take_the_factor_to_its_floor_and_no_lower() {
    let mut service = Watched::new();
    let factors = [0; 10].map(|_| service.window(100, FAST));
    assert!(factors[0] < 0.6, "the first bad window nearly halves it: {factors:?}");
    assert!(factors.windows(2).all(|two| two[1] <= two[0]), "{factors:?}");
    assert!((factors[9] - 0.1).abs() < 1e-6, "{factors:?}");
}

#[test]
fn a_service_that_recovers_gets_more_little_by_little() {
    let mut service = Watched::new();
    while service.window(100, FAST) > 0.11 {}
    let mut before = service.window(0, FAST);
    for _ in 0..20 {
        let after = service.window(0, FAST);
        assert!(after >= before && after - before < 0.051, "{before} {after}");
        before = after;
    }
    assert_eq!(before, 1.0);
}

#[test]
fn a_service_that_slows_down_gets_less() {
    let mut service = Watched::new();
    service.window(0, FAST);
    assert_eq!(service.window(0, FAST * 19 / 10), 1.0, "less than twice the time is tolerated");
    let slow = [0; 3].map(|_| service.window(0, FAST * 4));
    assert!(slow[2] < slow[0] && slow[2] < 0.5, "{slow:?}");
}

#[test]
fn a_service_that_stays_slower_is_measured_anew() {
    let mut service = Watched::new();
    service.window(0, FAST);
    for _ in 0..60 {
        service.window(0, FAST * 5);
    }
    assert_eq!(service.health.factor(), 1.0);
}

#[test]
fn an_open_breaker_leaves_the_floor_at_once() {
    let mut service = Watched::new();
    service.window(0, FAST);
    service.health.set_open(true);
    assert_eq!(service.health.factor(), 0.1);
    service.window(0, FAST);
    assert_eq!(service.health.factor(), 0.1, "whatever is observed meanwhile");
    service.health.set_open(false);
    assert!((service.health.factor() - 0.1).abs() < 1e-6, "it grows from there");
    assert!(service.window(0, FAST) > 0.1);
}

#[test]
fn a_few_failures_in_a_quiet_time_say_nothing() {
    let mut service = Watched::new();
    for _ in 0..30 {
        service.now += Duration::from_secs(2);
        service.health.observe(service.now, true, FAST);
    }
    assert_eq!(service.health.factor(), 1.0);
}

#[test]
fn many_threads_lose_no_sample_that_counts() {
    let now = Instant::now();
    let health = Health::new(Settings::default(), now);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..2_000).for_each(|_| health.observe(now, true, FAST)));
        }
    });
    assert_eq!(health.factor(), 1.0, "the window is not over");
    health.observe(now + Duration::from_secs(2), false, FAST);
    assert!((0.49..0.51).contains(&health.factor()), "all but one of 16 001 failed");
}

#[test]
fn settings_that_make_no_sense_say_where() {
    let told = |change: fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check().map_err(|invalid| invalid.to_string()).unwrap_err()
    };
    assert_eq!(Settings::default().check(), Ok(()));
    assert!(told(|it| it.floor = 0.0).starts_with("floor: "));
    assert!(told(|it| it.floor = f64::NAN).starts_with("floor: "));
    assert!(told(|it| it.tolerance = -1.0).starts_with("tolerance: "));
    assert!(told(|it| it.failures = crate::value::Percent::new(0)).starts_with("failures: "));
    assert!(told(|it| it.window = Duration::ZERO).starts_with("window: "));
}

#[test]
fn a_change_of_the_factor_moves_no_unit() {
    let health = Arc::new(Health::new(Settings::default(), Instant::now()));
    let ten = NonZeroU32::new(10).unwrap();
    let plan = Plan { kind: Kind::TokenBucket, rate: "10/s".parse().unwrap(), burst: ten };
    let adaptive = Adaptive::new(&plan, health.clone());
    let (mut state, now) = (Bucket::default(), Time::after(Duration::from_secs(1_000_000)));
    adaptive.take(&mut state, now, 10);
    assert_eq!(adaptive.standing(&state, now).remaining, 0);
    health.set_open(true);
    assert_eq!(adaptive.standing(&state, now).remaining, 0);
    let after = |seconds: u64| now.plus(Duration::from_millis(seconds * 1000 + 1));
    assert_eq!(adaptive.standing(&state, after(1)).remaining, 1, "a tenth of the rate");
    let Outcome::Refused { retry_after } = adaptive.take(&mut state, now, 1).outcome else {
        panic!("there is none left");
    };
    assert_eq!(retry_after.unwrap().as_millis(), 1_000);
    adaptive.take(&mut state, after(3), 3);
    health.set_open(false);
    assert_eq!(adaptive.standing(&state, after(3)).remaining, 0, "and none comes back by a turn");
}
