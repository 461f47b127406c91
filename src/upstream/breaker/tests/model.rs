//! The breaker beside a model that remembers everything and adds it up anew each time.

use super::*;
use proptest::prelude::*;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Event {
    Admit,
    Succeed(prop::sample::Index),
    Slow(prop::sample::Index),
    Fail(prop::sample::Index),
    Abandon(prop::sample::Index),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        8 => Just(Event::Admit),
        3 => index().prop_map(Event::Succeed),
        1 => index().prop_map(Event::Slow),
        5 => index().prop_map(Event::Fail),
        1 => index().prop_map(Event::Abandon),
        2 => Just(Event::Pass(0)),
        3 => (1..2_000u64).prop_map(Event::Pass),
        1 => (2_000..40_000u64).prop_map(Event::Pass),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let rate = (1..=100u32, 1..8u32)
        .prop_map(|(share, min_requests)| FailureRate { share: Percent::new(share), min_requests });
    let times = (1..20u64, 1..8_000u64);
    (prop::option::of(1..5u32), prop::option::of(rate), times, 1..4u32, 1..4u32).prop_map(
        |(failures, failure_rate, (window, open_for), successes, probes)| Settings {
            failures,
            failure_rate,
            window: Duration::from_secs(window),
            open_for: Duration::from_millis(open_for),
            successes,
            probes,
            slow_after: Some(SECOND),
        },
    )
}

/// A request that is under way, with the phase that it began in.
struct Flight {
    pass: Pass,
    phase: usize,
}

/// What ought to be. Times are milliseconds.
struct Model {
    settings: Settings,
    phase: usize,
    state: State,
    until: u64,
    in_a_row: u32,
    /// When something succeeded or failed since the circuit closed, and whether it failed.
    outcomes: Vec<(u64, bool)>,
    opened: u64,
    refused: u64,
}

impl Model {
    fn turn(&mut self, state: State) {
        self.state = state;
        self.phase += 1;
        self.in_a_row = 0;
        self.outcomes.clear();
    }

    /// Whether a request is let in, and as a probe.
    fn admits(&mut self, now: u64, probes: usize) -> Option<bool> {
        if self.state == State::Open && now >= self.until {
            self.turn(State::HalfOpen);
        }
        let admitted = match self.state {
            State::Closed => Some(false),
            State::HalfOpen => (probes < self.settings.probes as usize).then_some(true),
            State::Open => None,
        };
        self.refused += u64::from(admitted.is_none());
        admitted
    }

    fn succeeded(&mut self, now: u64) {
        self.in_a_row += 1;
        if self.state == State::Closed {
            self.outcomes.push((now, false));
        } else if self.in_a_row == self.settings.successes {
            self.turn(State::Closed);
        }
    }

    fn failed(&mut self, now: u64) {
        self.outcomes.push((now, true));
        if self.state == State::HalfOpen || self.is_too_much(now) {
            self.turn(State::Open);
            self.until = now + self.settings.open_for.as_millis() as u64;
            self.opened += 1;
        }
    }

    /// Counts by tenths of the window, and holds the tenths to what the window promises.
    fn is_too_much(&self, now: u64) -> bool {
        let window = self.settings.window.as_millis() as u64;
        let tenth = window / 10;
        let counts = |(then, _): &&(u64, bool)| now / tenth - then / tenth <= 10;
        for (then, _) in &self.outcomes {
            let counted = counts(&&(*then, true));
            assert!(counted || now - then > window, "an outcome counts for the whole window");
            assert!(!counted || now - then < window + tenth, "and for a tenth more at most");
        }
        let all = self.outcomes.iter().filter(counts).count() as u64;
        let bad = self.outcomes.iter().filter(counts).filter(|(_, bad)| *bad).count() as u64;
        let by_count = self.settings.failures.is_some_and(|most| bad >= u64::from(most));
        let by_rate = self.settings.failure_rate.is_some_and(|rate| {
            all >= u64::from(rate.min_requests)
                && bad * u64::from(Percent::WHOLE) >= all * u64::from(rate.share.millionths())
        });
        by_count || by_rate
    }

    fn state(&self, now: u64) -> State {
        if self.state == State::Open && now >= self.until { State::HalfOpen } else { self.state }
    }
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(
        settings in settings(),
        events in prop::collection::vec(event(), 1..200),
    ) {
        let start = Instant::now();
        let breaker = Breaker::new(settings.clone(), 3, start);
        let mut model = Model {
            settings, phase: 0, state: State::Closed, until: 0, in_a_row: 0, outcomes: Vec::new(),
            opened: 0, refused: 0,
        };
        let mut flights: Vec<Flight> = Vec::new();
        let mut millis = 0;
        for (number, event) in events.into_iter().enumerate() {
            let now = start + Duration::from_millis(millis);
            let mut take = |index: prop::sample::Index| {
                (!flights.is_empty()).then(|| flights.swap_remove(index.index(flights.len())))
            };
            match event {
                Event::Pass(time) => millis += time,
                Event::Admit => {
                    let probes = flights.iter().filter(|flight| flight.pass.is_probe()).count();
                    let expected = model.admits(millis, probes);
                    let pass = breaker.admit(number, now);
                    prop_assert_eq!(pass.as_ref().ok().map(Pass::is_probe), expected);
                    if let Err(Open { retry_after }) = pass {
                        prop_assert!(retry_after > Duration::ZERO);
                        prop_assert!(retry_after <= model.settings.open_for);
                    }
                    flights.extend(pass.ok().map(|pass| Flight { pass, phase: model.phase }));
                }
                Event::Abandon(index) => drop(take(index)),
                Event::Succeed(index) => if let Some(flight) = take(index) {
                    if flight.phase == model.phase { model.succeeded(millis) }
                    flight.pass.succeeded(now, SECOND);
                },
                Event::Slow(index) => if let Some(flight) = take(index) {
                    if flight.phase == model.phase { model.failed(millis) }
                    flight.pass.succeeded(now, 2 * SECOND);
                },
                Event::Fail(index) => if let Some(flight) = take(index) {
                    if flight.phase == model.phase { model.failed(millis) }
                    flight.pass.failed(now);
                },
            }
            let now = start + Duration::from_millis(millis);
            prop_assert_eq!(breaker.state(now), model.state(millis));
            prop_assert_eq!(breaker.opened_total(), model.opened);
            prop_assert_eq!(breaker.refusals(), model.refused);
        }
    }
}
