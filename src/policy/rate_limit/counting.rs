//! What counts for a limit: an algorithm for each tier, and what it remembers of callers; here
//! alone, or together with other gateways.

use super::config::{AlgorithmName, LimitConfig, OnStoreError};
use super::shared::{Name, Shared, Uncounted};
use crate::limit::adaptive::{self, Health};
use crate::limit::key::{Key, KeyHasher};
use crate::limit::table::{Figures, Table};
use crate::limit::{
    Adaptive, Algorithm, FixedWindow, LeakyBucket, Outcome, Plan, Queue, SlidingWindowCounter,
    SlidingWindowLog, Standing, Time, TokenBucket, Verdict,
};
use crate::policy::Build;
use crate::value::{ByteSize, Invalid};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The memory that it takes to remember callers, where nothing is said.
const MEMORY: ByteSize = ByteSize(16 << 20);
/// How long a request waits for its turn at most, where nothing is said.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// What counts for a limit.
#[derive(Debug)]
pub struct Counting {
    hasher: KeyHasher,
    local: Local,
    shared: Option<Arc<Shared>>,
    health: Option<Arc<Health>>,
}

/// A caller, found but not judged yet.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// The number of its tier.
    tier: usize,
    /// Its place in what is remembered here.
    key: Key,
    /// What it is called in the store, where there is one.
    shared: Option<Name>,
}

/// Units that were taken for one request.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    found: Found,
    at: Time,
    /// Whether they were taken here, and not from what the store has given.
    is_local: bool,
}

/// The algorithms of one kind, one for each tier.
#[derive(Debug)]
pub struct Callers<A: Algorithm> {
    tiers: Box<[A]>,
    table: Arc<Table<A::State>>,
}

/// What counts here. An enum, so that nothing is virtual.
#[derive(Debug)]
enum Local {
    FixedWindow(Callers<FixedWindow>),
    SlidingWindowLog(Callers<SlidingWindowLog>),
    SlidingWindowCounter(Callers<SlidingWindowCounter>),
    TokenBucket(Callers<TokenBucket>),
    LeakyBucket(Callers<LeakyBucket>),
    Adaptive(Callers<Adaptive>),
}

/// Does the same with whatever counts.
macro_rules! each {
    ($local:expr, $callers:ident => $what:expr) => {
        match $local {
            Local::FixedWindow($callers) => $what,
            Local::SlidingWindowLog($callers) => $what,
            Local::SlidingWindowCounter($callers) => $what,
            Local::TokenBucket($callers) => $what,
            Local::LeakyBucket($callers) => $what,
            Local::Adaptive($callers) => $what,
        }
    };
}

impl<A: Algorithm> Callers<A> {
    fn with<R>(&self, found: Found, now: Time, act: impl FnOnce(&A, &mut A::State) -> R) -> R {
        let algorithm = &self.tiers[found.tier];
        self.table.with(
            found.key,
            |state| algorithm.weight(state, now),
            |state| act(algorithm, state),
        )
    }

    fn standing(&self, found: Found, now: Time) -> Standing {
        let algorithm = &self.tiers[found.tier];
        let known = self.table.peek(found.key, |state| algorithm.standing(state, now));
        known.unwrap_or_else(|| algorithm.standing(&A::State::default(), now))
    }
}

impl Counting {
    /// Finds the algorithm for each plan, and what is remembered under the limit's id already.
    ///
    /// # Errors
    ///
    /// Refuses what the algorithm cannot do.
    pub fn compile(
        config: &LimitConfig,
        id: &str,
        plans: &[Plan],
        build: &Build,
    ) -> Result<Self, Invalid> {
        let algorithm = config.algorithm;
        if config.burst.is_some() && !algorithm.kind().has_bucket() {
            let message = "only a bucket has a burst: `token_bucket`, `leaky_bucket` or `adaptive`";
            return Err(Invalid::new(message).under("burst"));
        }
        if config.queue.is_some() && algorithm != AlgorithmName::LeakyBucket {
            let message = "only a `leaky_bucket` lets requests wait";
            return Err(Invalid::new(message).under("queue"));
        }
        for (number, plan) in plans.iter().enumerate() {
            plan.check().map_err(|invalid| match config.tiers.keys().nth(number) {
                // The plans of tiers come first. What is wrong with one stands there.
                Some(tier) => {
                    Invalid { at: Vec::new(), ..invalid }.under(tier.as_str()).under("tiers")
                }
                None => invalid,
            })?;
        }
        let memory = config.memory.unwrap_or(MEMORY);
        let remembered = Remembered { id, memory, plans, build };
        let mut health = None;
        let local = match algorithm {
            AlgorithmName::FixedWindow => Local::FixedWindow(remembered.by(FixedWindow::new)?),
            AlgorithmName::SlidingWindowLog => {
                Local::SlidingWindowLog(remembered.by(SlidingWindowLog::new)?)
            }
            AlgorithmName::SlidingWindowCounter => {
                Local::SlidingWindowCounter(remembered.by(SlidingWindowCounter::new)?)
            }
            AlgorithmName::TokenBucket => Local::TokenBucket(remembered.by(TokenBucket::new)?),
            AlgorithmName::LeakyBucket => {
                let queue = config.queue.as_ref().map(|queue| Queue {
                    length: queue.length.get(),
                    longest: queue.max_wait.map_or(MAX_WAIT, |wait| wait.get()),
                });
                Local::LeakyBucket(remembered.by(|plan| LeakyBucket::new(plan, queue))?)
            }
            AlgorithmName::Adaptive => {
                let known = build
                    .limits
                    .health(id, || Health::new(adaptive::Settings::default(), Instant::now()));
                health = Some(Arc::clone(&known));
                Local::Adaptive(remembered.by(|plan| Adaptive::new(plan, Arc::clone(&known)))?)
            }
        };
        let shared = Shared::compile(config, id, plans, memory, build)?.map(Arc::new);
        Ok(Counting { hasher: build.limits.hasher().clone(), local, shared, health })
    }

    /// Finds a caller of a tier.
    pub fn find(&self, text: &[u8], tier: usize) -> Found {
        // What was counted by one plan says nothing to another.
        let key = match tier {
            0 => self.hasher.hash(text),
            tier => self.hasher.hash_all(&[text, &tier.to_le_bytes()]),
        };
        Found { tier, key, shared: self.shared.as_ref().map(|_| Name::of(text)) }
    }

    /// Judges a request and takes what it costs. With a store that has to be asked, it waits for it.
    ///
    /// # Errors
    ///
    /// Nobody can count it: the store does not answer, and the limit says to refuse then.
    pub async fn take(
        &self,
        found: Found,
        now: Time,
        cost: u32,
    ) -> Result<(Verdict, Option<Taken>), Uncounted> {
        if let (Some(shared), Some(name)) = (&self.shared, found.shared) {
            match (shared.take(found.key, name, found.tier, now, cost).await, shared.on_error()) {
                (Ok(verdict), _) => {
                    return Ok(taken(verdict, Taken { found, at: now, is_local: false }));
                }
                (Err(_), OnStoreError::Local) => {}
                (Err(_), OnStoreError::Allow) => {
                    let standing = self.standing_here(found, now);
                    return Ok((Verdict { outcome: Outcome::Admitted, standing }, None));
                }
                (Err(uncounted), OnStoreError::Deny) => return Err(uncounted),
            }
        }
        let verdict = self.take_here(found, now, cost);
        Ok(taken(verdict, Taken { found, at: now, is_local: true }))
    }

    fn take_here(&self, found: Found, now: Time, cost: u32) -> Verdict {
        each!(&self.local, callers => {
            callers.with(found, now, |algorithm, state| algorithm.take(state, now, cost))
        })
    }

    fn standing_here(&self, found: Found, now: Time) -> Standing {
        each!(&self.local, callers => callers.standing(found, now))
    }

    /// Gives units back that are not to count.
    pub fn give_back(&self, taken: &Taken, now: Time, cost: u32) {
        let Taken { found, at, is_local } = *taken;
        match (&self.shared, found.shared) {
            (Some(shared), Some(name)) if !is_local => {
                shared.give_back((found.key, name), found.tier, at, now, cost);
            }
            _ => {
                each!(&self.local, callers => callers.with(found, now, |algorithm, state| {
                    algorithm.give_back(state, at, now, cost);
                }))
            }
        }
    }

    /// Takes units whose number only showed afterwards.
    pub fn charge(&self, taken: &Taken, now: Time, cost: u32) {
        let Taken { found, is_local, .. } = *taken;
        match (&self.shared, found.shared) {
            // Where the store cannot be charged, this gateway remembers it.
            (Some(shared), Some(name)) if !is_local && shared.is_up() => {
                shared.charge((found.key, name), found.tier, now, cost);
            }
            _ => {
                each!(&self.local, callers => callers.with(found, now, |algorithm, state| {
                    algorithm.charge(state, now, cost);
                }))
            }
        }
    }

    /// Learns how a request went, for a limit that adapts.
    pub fn observe(&self, now: Instant, failed: bool, took: Duration) {
        if let Some(health) = &self.health {
            health.observe(now, failed, took);
        }
    }

    /// How a caller stands, by what counts for it: the store, where there is one.
    ///
    /// # Errors
    ///
    /// The store does not answer.
    pub async fn look(&self, text: &[u8], tier: usize, now: Time) -> Result<Standing, Uncounted> {
        let found = self.find(text, tier);
        match (&self.shared, found.shared) {
            (Some(shared), Some(name)) => shared.look(name, tier).await,
            _ => Ok(self.standing_here(found, now)),
        }
    }

    /// Forgets a caller, here and in the store.
    ///
    /// # Errors
    ///
    /// The store does not answer; here it is forgotten all the same.
    pub async fn forget(&self, text: &[u8], tiers: usize) -> Result<(), Uncounted> {
        for tier in 0..tiers {
            let found = self.find(text, tier);
            each!(&self.local, callers => drop(callers.table.remove(found.key)));
            if let (Some(shared), Some(name)) = (&self.shared, found.shared) {
                shared.forget(found.key, name, tier).await?;
            }
        }
        Ok(())
    }

    /// The store in which it counts together with others, if there is one.
    pub fn store(&self) -> Option<&str> {
        self.shared.as_ref().map(|shared| shared.store())
    }

    /// What is remembered.
    pub fn figures(&self) -> Figures {
        let here = each!(&self.local, callers => callers.table.figures());
        let Some(leases) = self.shared.as_ref().and_then(|shared| shared.figures()) else {
            return here;
        };
        Figures {
            // Who counts here because the store is down has a lease there too.
            entries: here.entries.max(leases.entries),
            bytes: here.bytes + leases.bytes,
            evicted: here.evicted + leases.evicted,
            forgiven: here.forgiven + leases.forgiven,
        }
    }
}

/// What was taken, where anything was.
fn taken(verdict: Verdict, taken: Taken) -> (Verdict, Option<Taken>) {
    let refused = matches!(verdict.outcome, Outcome::Refused { .. });
    (verdict, (!refused).then_some(taken))
}

/// What callers are remembered by.
struct Remembered<'a> {
    id: &'a str,
    memory: ByteSize,
    plans: &'a [Plan],
    build: &'a Build,
}

impl Remembered<'_> {
    /// The algorithm for each plan, and the table, which outlives a reload.
    fn by<A: Algorithm + 'static>(
        &self,
        algorithm: impl Fn(&Plan) -> A,
    ) -> Result<Callers<A>, Invalid>
    where
        A::State: 'static,
    {
        let tiers: Box<[A]> = self.plans.iter().map(algorithm).collect();
        let each = tiers.iter().map(Algorithm::heap).max().unwrap_or_default();
        let table = self.build.limits.table(self.id, self.memory, each);
        let table = table.map_err(|invalid| invalid.under("memory"))?;
        Ok(Callers { tiers, table })
    }
}
