//! Leases: what a gateway takes of a caller's units ahead of need, so that most requests of a busy
//! caller need no call to the store that several gateways share.
//!
//! The store has counted as taken what a gateway holds. So it is never overspent, and what leases
//! cost in exactness is what lies between taking a unit and spending it. With G gateways, a limit of
//! L units (a bucket: its burst B, filled at rate r) in a period W, leases that should last
//! ℓ = min(batch, W/10), calls that ask for at most q = L/10 ahead (B/10), and h = q + q/2, or 0
//! where q < 2 ([`LeasePolicy::hold`]):
//!
//! - One gateway holds at most h units of a caller. They go back after λ = 2ℓ at the latest; what a
//!   refill found unspent may wait once more as long. No unit is spent more than 2λ after it was
//!   taken.
//! - `fixed_window`: at most L in each window. A lease ends with its window by the earliest moment
//!   at which that may be over, which is counted from when the store was asked. Nothing depends on
//!   the clocks of gateways, only on their pace.
//! - `sliding_window_log`: at most L + min(G·h, L) in any span W, since units that were held when it
//!   began were counted before it.
//! - `sliding_window_counter`: what its estimate admits in any span W, and min(G·h, L) more.
//! - `token_bucket`, `leaky_bucket`: at most B + s·r + min(G·h, B + 2λ·r) in any span s.
//! - Too few: a gateway may refuse while the others hold at most (G−1)·h units. These are back in
//!   the store after λ and the time between two sweeps for what is left, and a gateway that was
//!   refused asks again after ℓ at the latest. A gateway that dies takes at most h units of a caller
//!   with it, and those that calls under way were granted. What a bucket or a long window lacks then,
//!   time brings back.
//! - A limit below 20 has q < 2: nothing is leased, each request that is not known to be refused
//!   costs a call, and the limit is as exact as the store.
//!
//! While the store is away leases are spent to their end; who judges then is not decided here, and
//! what that admits comes on top.
//!
//! A request that waited for the store counts at the moment at which the store judged it.
//!
//! Google's Doorman leases capacity to its clients in much the same way, but is told what they want.
//! Here how much is asked for follows the caller's pace: what it spent since the last lease began
//! says what it will spend in ℓ. That at most doubles from lease to lease. A caller with less than
//! one request in ℓ leases nothing and costs one call for each request.

mod policy;
#[cfg(test)]
mod tests;

pub use policy::LeasePolicy;

use super::{Claim, Grant, Standing, Time, nanos};
use std::time::Duration;

/// What one gateway knows and holds of one caller's units. The default is a caller never seen.
#[derive(Debug, Default)]
pub struct Lease {
    /// When what is held has to go back.
    ends: Time,
    /// When the store was asked for the lease: the pace is counted from here.
    since: Time,
    /// No call is made ahead of need before: one is under way, or the store had nothing.
    quiet: Time,
    /// When what the store refused would be there, as far as it knew.
    refused: Time,
    /// When all units are there again, as the store last said.
    resets: Time,
    /// The units at hand.
    held: u32,
    /// What was at hand when the lease began, and what came since: less `held`, what was spent.
    batch: u32,
    /// What was left in the store, as it last said.
    left: u32,
    /// The least that the store refused.
    refused_least: u32,
}

/// What becomes of a request, or of an answer of the store.
#[derive(Debug)]
pub enum Step {
    /// It may go on.
    Admitted(Standing),
    /// It may go on, and the store is to be asked for more meanwhile: nobody waits for it.
    AdmittedAndRefill {
        /// What is left.
        standing: Standing,
        /// What is to be asked. Its answer goes to [`Lease::granted`] or [`Lease::failed`].
        call: Call,
    },
    /// It may not, and the store need not be asked for that.
    Refused {
        /// After how long it may be admitted; none where it costs more than there ever is.
        retry_after: Option<Duration>,
        /// What is left.
        standing: Standing,
    },
    /// The store has to be asked, and the request waits for it. Requests that come meanwhile ask for
    /// themselves; only one call at a time asks for more than its request needs.
    Ask(Call),
    /// The call was a refill: no request waited for it.
    Refilled,
}

/// What follows: the step, and what has to go back to the store besides, if anything.
#[derive(Debug)]
#[must_use = "what is left of a lease goes back to the store"]
pub struct Turn {
    /// What becomes of the request.
    pub step: Step,
    /// What is left of a lease that ended: to be given back, and nobody waits for it.
    pub surplus: Option<Surplus>,
}

/// Units that go back to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surplus {
    /// How many.
    pub units: u32,
    /// When they were taken, or some of them: a store that goes by its own clock is better told how
    /// long ago that is. It knows whether they still count.
    pub taken: Time,
}

/// A call to the store that is under way. It ends in [`Lease::granted`] or [`Lease::failed`]; one
/// that is dropped holds no other back for longer than the store's timeout.
#[derive(Debug)]
#[must_use = "a call has to be made, and its answer told"]
pub struct Call {
    /// What the store is to be asked.
    pub claim: Claim,
    /// When it was asked.
    asked: Time,
    /// What the request costs that waits; nothing for a refill.
    cost: u32,
    /// Whether it is the one call that asks for more than is needed at once.
    leads: bool,
}

impl Call {
    /// Whether no request waits for it.
    pub fn is_refill(&self) -> bool {
        self.cost == 0
    }
}

impl Lease {
    /// Judges a request that costs so many units, and takes them where they are at hand. One that
    /// costs nothing is admitted.
    pub fn take(&mut self, policy: &LeasePolicy, now: Time, cost: u32) -> Turn {
        let surplus = self.surplus(policy, now);
        Turn { step: self.step(policy, now, cost), surplus }
    }

    fn step(&mut self, policy: &LeasePolicy, now: Time, cost: u32) -> Step {
        if cost > policy.limit {
            return Step::Refused { retry_after: None, standing: self.standing(policy, now) };
        }
        if cost <= self.held {
            self.held -= cost;
            let standing = self.standing(policy, now);
            return match self.refill(policy, now) {
                Some(call) => Step::AdmittedAndRefill { standing, call },
                None => Step::Admitted(standing),
            };
        }
        let least = cost - self.held;
        let quiet = self.is_quiet(policy, now);
        if quiet && now < self.refused && least >= self.refused_least {
            let retry_after = Some(self.refused.since(now));
            return Step::Refused { retry_after, standing: self.standing(policy, now) };
        }
        if quiet {
            let claim = Claim { least, want: least };
            return Step::Ask(Call { claim, asked: now, cost, leads: false });
        }
        let want = self.pace(policy, now, cost).max(least);
        Step::Ask(self.lead(policy, now, Claim { least, want }, cost))
    }

    /// Asks for more where half of what the caller needs in a lease's time is spent.
    fn refill(&mut self, policy: &LeasePolicy, now: Time) -> Option<Call> {
        // The pace costs a division, which the first half of a lease can do without.
        if self.held > self.batch / 2 || self.is_quiet(policy, now) {
            return None;
        }
        let want = self.pace(policy, now, 0);
        // Who needs less than two in the time costs no fewer calls for having one ahead.
        let worth = want >= 2 && self.held <= want / 2;
        worth.then(|| self.lead(policy, now, Claim { least: 1, want }, 0))
    }

    fn lead(&mut self, policy: &LeasePolicy, now: Time, claim: Claim, cost: u32) -> Call {
        self.quiet = Time(now.0.saturating_add(policy.patience));
        Call { claim, asked: now, cost, leads: true }
    }

    /// What the caller will spend in a lease's time, if it goes on as it did since this one began;
    /// at most twice this one, so that a burst is not taken for a pace.
    fn pace(&self, policy: &LeasePolicy, now: Time, cost: u32) -> u32 {
        let spent = u64::from(self.batch - self.held) + u64::from(cost);
        let took = nanos(now.since(self.since)).max(1);
        let pace = spent.saturating_mul(policy.lasts) / took;
        let twice = 2 * (u64::from(self.batch) + u64::from(cost));
        let pace = pace.min(twice).min(u64::from(policy.most));
        u32::try_from(pace).expect("it is at most the most that is leased")
    }

    /// Whether a call ahead of need has to wait. A moment further away than any that is ever set was
    /// set by a clock that has been put back since, and does not count.
    fn is_quiet(&self, policy: &LeasePolicy, now: Time) -> bool {
        self.quiet > now && self.quiet.0 - now.0 <= policy.lasts.max(policy.patience)
    }

    /// Takes in what the store gave for a call, and says what becomes of the request that waited.
    ///
    /// What the call brought is its request's before it is anybody else's. A request that counted on
    /// units at hand which another one spent meanwhile asks once more, for all that it needs.
    pub fn granted(&mut self, policy: &LeasePolicy, now: Time, call: Call, grant: &Grant) -> Turn {
        let before = self.surplus(policy, now);
        self.told(policy, now, &call, grant);
        self.held = self.held.saturating_add(grant.units);
        self.batch = self.batch.saturating_add(grant.units);
        let suffices = call.cost <= self.held;
        if suffices {
            self.held -= call.cost;
        }
        if grant.units > 0 {
            self.begin(policy, now, &call, grant);
        }
        let surplus = both(before, self.surplus(policy, now));
        let standing = self.standing(policy, now);
        let step = if call.is_refill() {
            Step::Refilled
        } else if suffices {
            Step::Admitted(standing)
        } else if grant.units > 0 && grant.units >= call.claim.least {
            let claim = Claim { least: call.cost, want: call.cost };
            Step::Ask(Call { claim, asked: now, cost: call.cost, leads: false })
        } else {
            let pause =
                if self.is_quiet(policy, now) { self.quiet.since(now) } else { Duration::ZERO };
            Step::Refused { retry_after: grant.retry_after.map(|after| after.max(pause)), standing }
        };
        Turn { step, surplus }
    }

    /// Begins a lease with what came ahead of need. What else comes belongs to the lease that is.
    fn begin(&mut self, policy: &LeasePolicy, now: Time, call: &Call, grant: &Grant) {
        let reset = if policy.in_windows { nanos(grant.standing.reset) } else { u64::MAX };
        let ends = Time(call.asked.0.saturating_add(policy.life.min(reset)));
        if call.leads {
            self.since = call.asked;
            self.batch = self.held;
            self.ends = ends;
        } else if self.ends <= now {
            self.ends = ends;
        }
    }

    /// Remembers what the store said of what is left.
    fn told(&mut self, policy: &LeasePolicy, now: Time, call: &Call, grant: &Grant) {
        self.left = u32::try_from(grant.standing.remaining).unwrap_or(u32::MAX);
        self.resets = call.asked.plus(grant.standing.reset);
        if grant.units >= call.claim.want {
            if call.leads {
                self.quiet = Time::default();
                self.refused = Time::default();
            }
            return;
        }
        // Fewer than were wanted are all that there were, so that the next would have none.
        let least = if grant.units > 0 { 1 } else { call.claim.least };
        let counts = self.is_quiet(policy, now) && now < self.refused;
        self.refused_least = if counts { least.min(self.refused_least) } else { least };
        let retry = nanos(grant.retry_after.unwrap_or(Duration::from_nanos(policy.lasts)));
        let pause = Time(now.0.saturating_add(retry.clamp(policy.pause, policy.lasts)));
        self.quiet = if policy.in_windows { pause.min(self.resets) } else { pause };
        self.refused = self.quiet.max(Time(now.0.saturating_add(retry)));
        if policy.in_windows {
            self.refused = self.refused.min(self.resets);
        }
    }

    /// Says that a call has failed, or took too long. What is at hand is spent as before, and nothing
    /// is asked for ahead of need for a while. What it refused before is forgotten: the store no
    /// longer speaks for itself.
    pub fn failed(&mut self, policy: &LeasePolicy, now: Time, call: Call) {
        self.refused = Time::default();
        if call.leads {
            self.quiet = Time(now.0.saturating_add(policy.lasts));
        }
    }

    /// Takes what is left of a lease that has ended, which has to go back; what a fixed window left
    /// is void. To be asked now and then of callers that ask for nothing.
    pub fn surplus(&mut self, policy: &LeasePolicy, now: Time) -> Option<Surplus> {
        if now < self.ends && self.ends.0 - now.0 <= policy.life {
            return None;
        }
        // Those of a window that is over are void. The clocks of gateways differ, so that the store
        // could take them for the next one's.
        self.release().filter(|_| !policy.in_windows || now < self.resets)
    }

    /// Takes all that is at hand, which has to go back: the caller is forgotten, or the gateway stops.
    pub fn release(&mut self) -> Option<Surplus> {
        let units = std::mem::take(&mut self.held);
        // It was not spent, so that it does not count for the pace.
        self.batch -= units;
        (units > 0).then_some(Surplus { units, taken: self.since })
    }

    /// Takes units whose number only showed afterwards, and says how many of them have to be charged
    /// to the store, since they are not at hand.
    pub fn charge(&mut self, policy: &LeasePolicy, now: Time, cost: u32) -> (u32, Option<Surplus>) {
        let surplus = self.surplus(policy, now);
        let paid = cost.min(self.held);
        self.held -= paid;
        (cost - paid, surplus)
    }

    /// Gives units back that a request took at `taken` and that are not to count. They are at hand
    /// again where they came of this lease; else they have to go back to the store.
    #[must_use = "what is not at hand again goes back to the store"]
    pub fn give_back(
        &mut self,
        policy: &LeasePolicy,
        taken: Time,
        now: Time,
        units: u32,
    ) -> Option<Surplus> {
        let surplus = self.surplus(policy, now);
        let most = self.batch.min(policy.hold());
        let lives = now < self.ends;
        if lives && taken >= self.since && units <= most.saturating_sub(self.held) {
            self.held += units;
            return surplus;
        }
        both(surplus, (units > 0).then_some(Surplus { units, taken }))
    }

    /// Says what is left as far as this gateway knows: in the store when it was last asked, and here.
    pub fn standing(&self, policy: &LeasePolicy, now: Time) -> Standing {
        let limit = u64::from(policy.limit);
        // What the store said of a window that is over says nothing of the next.
        let left = if now < self.resets { u64::from(self.left) } else { limit };
        let remaining = limit.min(left + u64::from(self.held));
        Standing { limit, remaining, reset: self.resets.since(now) }
    }

    /// How much would be lost if the caller were forgotten now, from 0, where it stands like one that
    /// was never seen. Nothing is forgiven, since the store remembers; but units at hand would be of
    /// no use to anybody, and a caller that is refused without a call would cost calls again.
    pub fn weight(&self, policy: &LeasePolicy, now: Time) -> u32 {
        let half = u32::MAX / 2;
        let refused = if self.is_quiet(policy, now) && now < self.refused { half } else { 0 };
        let held = if now < self.ends { u64::from(self.held.min(policy.limit)) } else { 0 };
        let share = held * u64::from(half) / u64::from(policy.limit);
        refused + u32::try_from(share).expect("it is at most one half")
    }
}

/// Both together. They are given back as taken when the earlier ones were: units of a window that is
/// over would else be credited to the next.
fn both(one: Option<Surplus>, other: Option<Surplus>) -> Option<Surplus> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Surplus {
            units: one.units.saturating_add(other.units),
            taken: one.taken.min(other.taken),
        }),
        (one, other) => one.or(other),
    }
}
