//! Ejections beside a model that lives through every tenth of a second.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const TENTH: Duration = Duration::from_millis(100);

/// One thing that happens; an endpoint is a number.
#[derive(Debug, Clone)]
enum Event {
    /// So many attempts without an answer.
    Fail(usize, u32),
    /// So many answers of 5xx.
    Bad(usize, u32),
    Good(usize),
    Come(usize),
    Go(usize),
    /// So many tenths of a second pass, after which the keeper looks.
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let endpoint = || 0..6usize;
    prop_oneof![
        6 => (endpoint(), 1..6u32).prop_map(|(number, times)| Event::Fail(number, times)),
        6 => (endpoint(), 1..6u32).prop_map(|(number, times)| Event::Bad(number, times)),
        2 => endpoint().prop_map(Event::Good),
        2 => endpoint().prop_map(Event::Come),
        2 => endpoint().prop_map(Event::Go),
        2 => Just(Event::Pass(0)),
        4 => (1..20u64).prop_map(Event::Pass),
        1 => (20..200u64).prop_map(Event::Pass),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let limit = || prop::option::of(1..5u32);
    (limit(), limit(), 1..15u32, 1..15u32, 1..50u32, 0..=100u32).prop_map(
        |(consecutive_5xx, consecutive_failures, interval, eject_for, longer, share)| Settings {
            limits: Limits { consecutive_5xx, consecutive_failures },
            success_rate: None,
            interval: interval * TENTH,
            eject_for: eject_for * TENTH,
            max_eject_for: (eject_for + longer) * TENTH,
            max_ejected: Percent::new(share),
        },
    )
}

/// What ought to be known of an endpoint.
#[derive(Debug, Default)]
struct Known {
    is_present: bool,
    bad: u32,
    failures: u32,
    /// How many tenths it stays ejected.
    left: Option<u64>,
    times: u32,
    /// For how many tenths it has been good.
    good: u64,
}

fn tenths(time: Duration) -> u64 {
    (time.as_millis() / 100) as u64
}

struct Model {
    settings: Settings,
    known: BTreeMap<usize, Known>,
}

impl Model {
    /// Lets a tenth of a second pass.
    fn tick(&mut self) {
        for known in self.known.values_mut() {
            match &mut known.left {
                Some(1) => (known.left, known.good) = (None, 0),
                Some(left) => *left -= 1,
                None => {
                    known.good += 1;
                    if known.good == tenths(self.settings.interval) {
                        known.good = 0;
                        known.times = known.times.saturating_sub(1);
                    }
                }
            }
        }
    }

    /// Looks at all that are there, of which `ejected` were before the time passed.
    fn review(&mut self, ejected: &[usize]) {
        let present = self.known.values().filter(|known| known.is_present).count();
        let most = ejections::most(self.settings.max_ejected, present);
        for number in ejected {
            let known = self.known.get_mut(number).unwrap();
            if known.left.is_none() {
                (known.bad, known.failures) = (0, 0);
            }
        }
        while self.ejected().len() > most {
            let soonest = self.ejected().into_iter().min_by_key(|n| (self.known[n].left, *n));
            let known = self.known.get_mut(&soonest.unwrap()).unwrap();
            (known.left, known.good, known.bad, known.failures) = (None, 0, 0, 0);
        }
        let limits = self.settings.limits;
        let mut room = most - self.ejected().len();
        for known in self.known.values_mut().filter(|known| known.is_present) {
            let is_over = limits.consecutive_5xx.is_some_and(|limit| known.bad >= limit)
                || limits.consecutive_failures.is_some_and(|limit| known.failures >= limit);
            if room > 0 && known.left.is_none() && is_over {
                room -= 1;
                let (first, longest) =
                    (tenths(self.settings.eject_for), tenths(self.settings.max_eject_for));
                if u64::from(known.times) * first < longest {
                    known.times += 1;
                }
                known.left = Some((u64::from(known.times) * first).min(longest));
                (known.bad, known.failures) = (0, 0);
            }
        }
    }

    fn ejected(&self) -> Vec<usize> {
        let present = self.known.iter().filter(|(_, known)| known.is_present);
        present.filter(|(_, known)| known.left.is_some()).map(|(number, _)| *number).collect()
    }
}

proptest! {
    #[test]
    fn they_are_those_of_the_model(
        settings in settings(),
        endpoints in 0..6usize,
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut now = Instant::now();
        let mut ejections = Ejections::new(settings, now);
        let mut tallies: BTreeMap<usize, (String, Tally)> = BTreeMap::new();
        let mut model = Model { settings, known: BTreeMap::new() };
        for event in (0..endpoints).map(Event::Come).chain(events) {
            let mut passes = 0;
            match event {
                Event::Pass(tenths) => passes = tenths,
                Event::Come(number) => {
                    // It comes with a tally that knows nothing, unless it is there.
                    let known = model.known.entry(number).or_default();
                    if !known.is_present {
                        (known.is_present, known.bad, known.failures) = (true, 0, 0);
                        let tally = Tally::new(&settings, 1);
                        tallies.insert(number, (number.to_string(), tally));
                    }
                }
                Event::Go(number) => {
                    tallies.remove(&number);
                    model.known.entry(number).or_default().is_present = false;
                }
                Event::Fail(number, times) => if let Some((_, tally)) = tallies.get(&number) {
                    let known = model.known.get_mut(&number).unwrap();
                    for _ in 0..times {
                        known.failures += 1;
                        let limit = settings.limits.consecutive_failures;
                        prop_assert_eq!(tally.failed(0), limit == Some(known.failures));
                    }
                },
                Event::Bad(number, times) => if let Some((_, tally)) = tallies.get(&number) {
                    let known = model.known.get_mut(&number).unwrap();
                    for _ in 0..times {
                        (known.bad, known.failures) = (known.bad + 1, 0);
                        let limit = settings.limits.consecutive_5xx;
                        prop_assert_eq!(tally.answered(0, BAD), limit == Some(known.bad));
                    }
                },
                Event::Good(number) => if let Some((_, tally)) = tallies.get(&number) {
                    let known = model.known.get_mut(&number).unwrap();
                    (known.bad, known.failures) = (0, 0);
                    prop_assert!(!tally.answered(0, OK));
                    tally.completed();
                },
            }
            let before = model.ejected();
            (0..passes).for_each(|_| model.tick());
            now += TENTH * passes as u32;
            model.review(&before);
            let listed: Vec<_> = tallies.values().map(|(key, tally)| (&**key, tally)).collect();
            let changes = ejections.review(&listed, now);

            let ejected = model.ejected();
            for (number, (key, _)) in &tallies {
                let left = model.known[number].left;
                let until = left.map(|left| now + TENTH * left as u32);
                prop_assert_eq!(ejections.until(key), until, "endpoint {}", number);
            }
            let least = model.known.values().filter_map(|known| known.left).min();
            prop_assert_eq!(ejections.due(), least.map(|left| now + TENTH * left as u32));
            prop_assert!(ejected.is_empty() || ejected.len() < tallies.len(), "the last one stays");
            // What is told adds up to what is.
            let told = |returns| changes.iter().filter(|(_, change)| {
                (*change == Change::Returned) == returns
            }).count();
            prop_assert_eq!(before.len() + told(false) - told(true), ejected.len());
        }
    }
}
