//! Units are conserved, whatever comes in whatever order: what was granted was spent, is at hand, went
//! back, or was void with its window.

use crate::limit::lease::{Call, Lease, LeasePolicy, Step, Surplus, Turn};
use crate::limit::{Grant, Kind, Plan, Standing, Time};
use crate::value::{Period, Rate};
use proptest::prelude::*;
use proptest::sample::Index;
use std::time::Duration;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Event {
    Take(u32),
    /// A call is answered: so many percent of what it wants are given, if that is enough.
    Answer(Index, u32),
    Fail(Index),
    /// A call is dropped without a word.
    Drop(Index),
    Sweep,
    Release,
    Charge(u32),
    /// What was spent at some time is not to count.
    GiveBack(Index),
    /// So many microseconds pass, or are taken back by a clock that is set.
    Pass(u64),
    Step(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (1..4u32).prop_map(Event::Take),
        1 => (1..120u32).prop_map(Event::Take),
        8 => (any::<Index>(), 0..150u32).prop_map(|(call, share)| Event::Answer(call, share)),
        1 => any::<Index>().prop_map(Event::Fail),
        1 => any::<Index>().prop_map(Event::Drop),
        2 => Just(Event::Sweep),
        1 => Just(Event::Release),
        1 => (1..30u32).prop_map(Event::Charge),
        1 => any::<Index>().prop_map(Event::GiveBack),
        6 => (0..20_000u64).prop_map(Event::Pass),
        1 => (0..5_000_000u64).prop_map(Event::Pass),
        1 => (0..3_000_000u64).prop_map(Event::Step),
    ]
}

const KINDS: [Kind; 3] = [Kind::FixedWindow, Kind::SlidingWindowCounter, Kind::TokenBucket];
const PERIOD: Duration = Duration::from_secs(3);

fn plan() -> impl Strategy<Value = Plan> {
    (prop::sample::select(&KINDS[..]), 1..400u32, 1..400u32).prop_map(|(kind, units, burst)| {
        let rate = Rate { units: units.try_into().unwrap(), per: Period::Span(PERIOD) };
        Plan { kind, rate, burst: burst.try_into().unwrap() }
    })
}

/// A lease, and the books of it.
struct Books {
    policy: LeasePolicy,
    lease: Lease,
    now: Time,
    calls: Vec<Call>,
    granted: u64,
    spent: u64,
    back: u64,
    void: u64,
    /// Requests that were admitted: when, and for how many units.
    admitted: Vec<(Time, u32)>,
}

impl Books {
    fn went_back(&mut self, surplus: Option<Surplus>) {
        self.back += surplus.map_or(0, |surplus| u64::from(surplus.units));
    }

    /// Does something that may find units void: those that no other account has.
    fn entered<T>(&mut self, act: impl FnOnce(&mut Lease, &LeasePolicy, Time) -> T) -> T {
        if !self.lives(self.lease.ends) && self.is_over(self.lease.resets) {
            self.void += u64::from(self.lease.held);
        }
        act(&mut self.lease, &self.policy, self.now)
    }

    /// Whether a lease that ends then is one still.
    fn lives(&self, ends: Time) -> bool {
        self.now < ends && ends.since(self.now) <= self.policy.life()
    }

    /// Whether a window that ends then is over, and with it what was taken in it.
    fn is_over(&self, resets: Time) -> bool {
        self.policy.in_windows && self.now >= resets
    }

    /// How many of what an answer brings are void when it comes: it was under way for too long.
    fn late(&self, call: &Call, units: u32, reset: Duration) -> u64 {
        let held = if self.lives(self.lease.ends) { self.lease.held } else { 0 };
        let begins = units > 0 && (call.leads || self.lease.ends <= self.now);
        let ends = call.asked.plus(self.policy.life().min(reset));
        let lives = self.lives(if begins { ends } else { self.lease.ends });
        let left = (held + units).checked_sub(call.cost).unwrap_or(held + units);
        if !lives && self.is_over(call.asked.plus(reset)) { left.into() } else { 0 }
    }

    fn turned(&mut self, turn: Turn, cost: u32) {
        self.went_back(turn.surplus);
        match turn.step {
            Step::Admitted(_) => self.admit(cost),
            Step::AdmittedAndRefill { call, .. } => {
                assert!(call.is_refill());
                self.admit(cost);
                self.calls.push(call);
            }
            Step::Ask(call) => {
                assert!(call.claim.least >= 1 && call.claim.want >= call.claim.least);
                self.calls.push(call);
            }
            Step::Refused { .. } | Step::Refilled => {}
        }
    }

    fn admit(&mut self, cost: u32) {
        self.spent += u64::from(cost);
        self.admitted.push((self.now, cost));
    }

    fn answer(&mut self, call: Call, share: u32) {
        let claim = call.claim;
        let there = claim.want * share / 100;
        let units = if there < claim.least { 0 } else { there.min(claim.want) };
        let reset = PERIOD / 3;
        let standing = Standing { limit: 400, remaining: 0, reset };
        let retry_after = Some(Duration::from_millis(u64::from(share)));
        let cost = call.cost;
        self.granted += u64::from(units);
        self.void += self.late(&call, units, reset);
        let grant = Grant { units, standing, retry_after };
        let turn = self.entered(|lease, policy, now| lease.granted(policy, now, call, &grant));
        self.turned(turn, cost);
    }

    fn happens(&mut self, event: Event) {
        let pick = |calls: &mut Vec<Call>, index: Index| {
            (!calls.is_empty()).then(|| calls.swap_remove(index.index(calls.len())))
        };
        match event {
            Event::Take(cost) => {
                let turn = self.entered(|lease, policy, now| lease.take(policy, now, cost));
                self.turned(turn, cost);
            }
            Event::Answer(index, share) => {
                if let Some(call) = pick(&mut self.calls, index) {
                    self.answer(call, share);
                }
            }
            Event::Fail(index) => {
                if let Some(call) = pick(&mut self.calls, index) {
                    self.lease.failed(&self.policy, self.now, call);
                }
            }
            Event::Drop(index) => drop(pick(&mut self.calls, index)),
            Event::Sweep => {
                let surplus = self.entered(|lease, policy, now| lease.surplus(policy, now));
                self.went_back(surplus);
            }
            Event::Release => {
                let surplus = self.lease.release();
                self.went_back(surplus);
            }
            Event::Charge(cost) => {
                let (rest, surplus) =
                    self.entered(|lease, policy, now| lease.charge(policy, now, cost));
                self.spent += u64::from(cost - rest);
                self.went_back(surplus);
            }
            Event::GiveBack(index) => {
                if self.admitted.is_empty() {
                    return;
                }
                let (taken, units) = self.admitted.swap_remove(index.index(self.admitted.len()));
                let back =
                    self.entered(|lease, policy, now| lease.give_back(policy, taken, now, units));
                self.spent -= u64::from(units);
                self.went_back(back);
            }
            Event::Pass(micros) => self.now = self.now.plus(Duration::from_micros(micros)),
            Event::Step(micros) => {
                self.now = Time(self.now.0.saturating_sub(micros * 1_000));
            }
        }
    }
}

proptest! {
    #[test]
    fn units_are_spent_or_at_hand_or_went_back_or_are_void(
        plan in plan(),
        events in prop::collection::vec(event(), 1..150),
    ) {
        let policy = LeasePolicy::new(&plan, LeasePolicy::BATCH, Duration::from_millis(5));
        let now = Time::after(Duration::from_secs(1_000));
        let (lease, calls, admitted) = (Lease::default(), Vec::new(), Vec::new());
        let mut books =
            Books { policy, lease, now, calls, granted: 0, spent: 0, back: 0, void: 0, admitted };
        for event in events {
            books.happens(event);
            let held = u64::from(books.lease.held);
            prop_assert_eq!(books.spent + held + books.back + books.void, books.granted);
            prop_assert!(books.lease.held <= books.lease.batch);
        }
    }
}
