//! One limit: whom it counts, by what, and what it says of one request.

use super::config::{Count, LimitConfig, Told};
use super::counting::{Counting, Taken};
use super::fields;
use super::report::Caller;
use super::shared::Uncounted;
use crate::exchange::Facts;
use crate::limit::{Outcome, Plan, Standing, Time, Verdict};
use crate::policy::exempt::Exempt;
use crate::policy::key::{IPV6_PREFIX, KeyTemplate, check_key};
use crate::policy::{Build, Finished, named};
use crate::value::{Invalid, Rate, Reference};
use http::{HeaderMap, HeaderName, request};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

/// A compiled limit.
#[derive(Debug)]
pub struct Limit {
    /// Its name.
    pub name: Arc<str>,
    /// Its name with the scope that says it, under which it is known to operators and stores.
    pub id: Arc<str>,
    key: KeyTemplate,
    exempt: Exempt,
    cost: u32,
    cost_header: Option<HeaderName>,
    count: Count,
    /// Whether it refuses nothing.
    pub observe: bool,
    /// What answers say of it.
    pub told: Told,
    tiers: Tiers,
    counting: Counting,
    /// Whether it can only be judged when it is known who is asking.
    pub needs_identity: bool,
    /// How often it has said what.
    pub counts: Counts,
}

impl named::Limit for Limit {
    fn needs_identity(&self) -> bool {
        self.needs_identity
    }
}

/// How often a limit has said what. Only what is no everyday matter is counted, so that no two
/// cores write the same line for each request.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests that were refused.
    pub refused: AtomicU64,
    /// Requests that would have been, if the limit did not only observe.
    pub observed: AtomicU64,
    /// Requests that had to wait for their turn.
    pub queued: AtomicU64,
}

/// How much the callers of each tier may have; they are numbered.
#[derive(Debug)]
struct Tiers {
    names: Vec<Box<str>>,
    rates: Vec<Rate>,
    /// That of callers who have none of these.
    otherwise: usize,
    /// What `RateLimit-Policy` says of each.
    policies: Vec<Box<str>>,
}

impl Tiers {
    fn of(&self, facts: &Facts) -> usize {
        if self.names.is_empty() {
            return self.otherwise;
        }
        let consumer = facts.identity().and_then(|identity| identity.consumer.as_ref());
        let tier = consumer.and_then(|consumer| consumer.tier.as_deref());
        let known = tier.and_then(|tier| self.names.iter().position(|name| **name == *tier));
        known.unwrap_or(self.otherwise)
    }
}

/// What was taken from a limit for one request, or refused.
#[derive(Debug)]
pub struct Asked {
    /// What was taken, if anything was.
    pub taken: Option<Taken>,
    /// How many units the answer says that the request has cost.
    pub said_cost: Option<u32>,
    /// What was left after it.
    pub standing: Standing,
    /// The number of the caller's tier.
    tier: usize,
}

impl Limit {
    /// Turns what was typed in a scope into what it means.
    ///
    /// # Errors
    ///
    /// Refuses what an algorithm cannot do, and settings that mean nothing beside each other.
    pub fn compile(config: &LimitConfig, scope: &str, build: &Build) -> Result<Self, Invalid> {
        let id: Arc<str> = format!("{scope}:{}", config.name).into();
        let (tiers, plans) = tiers(config)?;
        let ipv6_prefix = config.ipv6_prefix.unwrap_or(IPV6_PREFIX);
        check_key(&config.key, ipv6_prefix)?;
        if config.cost_header.is_some() && config.count != Count::All {
            let message = "what a request costs by its answer counts for all: leave `count` out";
            return Err(Invalid::new(message).under("count"));
        }
        let cost = config.cost.map_or(1, NonZeroU32::get);
        for plan in &plans {
            if cost > plan.limit() {
                let message = format!("no request would ever be admitted by {}", plan.rate);
                return Err(Invalid::new(message).under("cost"));
            }
        }
        let key = KeyTemplate::new(config.key.clone(), ipv6_prefix);
        let exempt = Exempt::new(&config.exempt);
        let needs_identity =
            key.needs_identity() || exempt.needs_identity() || !config.tiers.is_empty();
        Ok(Limit {
            name: config.name.as_str().into(),
            counting: Counting::compile(config, &id, &plans, build)?,
            id,
            key,
            exempt,
            cost,
            cost_header: config.cost_header.clone().map(crate::value::HeaderName::into_inner),
            count: config.count,
            observe: config.observe,
            told: config.headers,
            tiers,
            needs_identity,
            counts: Counts::default(),
        })
    }

    /// Walks what it refers to.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.key.references()
    }

    /// Judges a request; nothing is asked for who is exempt.
    ///
    /// # Errors
    ///
    /// Nobody can count it at present, and the limit says to refuse then.
    pub async fn judge(
        &self,
        head: &request::Parts,
        facts: &Facts,
    ) -> Result<Option<(Asked, Outcome)>, Uncounted> {
        if self.exempt.has(facts) {
            return Ok(None);
        }
        let now = Time::of(facts.time);
        let tier = self.tiers.of(facts);
        let found = self.key.with(head, facts, |text| self.counting.find(text, tier));
        let (Verdict { outcome, standing }, taken) =
            self.counting.take(found, now, self.cost).await?;
        match outcome {
            Outcome::Admitted => {}
            Outcome::Queued { .. } => drop(self.counts.queued.fetch_add(1, Relaxed)),
            Outcome::Refused { .. } if self.observe => {
                self.counts.observed.fetch_add(1, Relaxed);
            }
            Outcome::Refused { .. } => drop(self.counts.refused.fetch_add(1, Relaxed)),
        }
        Ok(Some((Asked { taken, said_cost: None, standing, tier }, outcome)))
    }

    /// Gives back what a request has taken that another limit refused.
    pub fn give_back(&self, asked: &mut Asked, now: Time) {
        if let Some(taken) = asked.taken.take() {
            self.counting.give_back(&taken, now, self.cost);
        }
    }

    /// Reads what the answer says that the request has cost.
    pub fn read_cost(&self, asked: &mut Asked, fields: &HeaderMap) {
        if let Some(name) = &self.cost_header {
            let said = fields.get(name).and_then(|value| value.to_str().ok());
            asked.said_cost = said.and_then(|said| units(said.trim()));
        }
    }

    /// Settles what a request has cost, now that it is over.
    pub fn settle(&self, asked: &mut Asked, finished: &Finished<'_>) {
        let Some(taken) = &asked.taken else { return };
        let now = Time::of(finished.facts.time).plus(finished.duration);
        let failed = finished.status.is_none_or(|status| status.is_server_error());
        let ended = finished.facts.started + finished.duration;
        self.counting.observe(ended, failed, finished.duration);
        let counts = match (self.count, finished.status) {
            (Count::All, _) => true,
            (Count::Failures, None) => true,
            (Count::Failures, Some(status)) => status.is_client_error(),
            (Count::Successes, status) => status.is_some_and(|status| status.as_u16() < 400),
        };
        if !counts {
            return self.give_back(asked, now);
        }
        match asked.said_cost {
            Some(cost) if cost > self.cost => {
                self.counting.charge(taken, now, cost - self.cost);
            }
            Some(cost) if cost < self.cost => {
                self.counting.give_back(taken, now, self.cost - cost);
            }
            _ => {}
        }
    }

    /// What is told of it beside an answer.
    pub fn said(&self, asked: &Asked) -> fields::Said<'_> {
        let policy = &self.tiers.policies[asked.tier];
        fields::Said { name: &self.name, policy, standing: asked.standing }
    }

    /// What the callers of each tier may have; `*` are those who are in none.
    pub fn rates(&self) -> BTreeMap<String, String> {
        let named = self.tiers.names.iter().zip(&self.tiers.rates);
        let named = named.map(|(name, rate)| (name.to_string(), rate.to_string()));
        let otherwise = self.tiers.rates[self.tiers.otherwise].to_string();
        named.chain([("*".to_owned(), otherwise)]).collect()
    }

    /// How the caller of a key stands, in a tier, or as one who is in none.
    ///
    /// # Errors
    ///
    /// There is no such tier, or the store does not answer.
    pub async fn look(
        &self,
        key: &[u8],
        tier: Option<&str>,
        now: SystemTime,
    ) -> Result<Caller, NoLook> {
        let number = match tier {
            None => self.tiers.otherwise,
            Some(tier) => {
                let known = self.tiers.names.iter().position(|name| **name == *tier);
                known.ok_or_else(|| NoLook::Tier(tier.to_owned()))?
            }
        };
        let standing = self.counting.look(key, number, Time::of(now)).await?;
        Ok(Caller::of(tier.unwrap_or("*"), standing))
    }

    /// Lets the caller of a key begin anew.
    ///
    /// # Errors
    ///
    /// The store does not answer; here the caller begins anew all the same.
    pub async fn forget(&self, key: &[u8]) -> Result<(), Uncounted> {
        self.counting.forget(key, self.tiers.rates.len()).await
    }

    /// What counts for it.
    pub fn counting(&self) -> &Counting {
        &self.counting
    }
}

/// A number of units as an answer says it: a part of one is one, and more than can be counted is as
/// many as can.
fn units(said: &str) -> Option<u32> {
    let number: f64 = said.parse().ok()?;
    (number >= 0.0).then(|| number.ceil().min(f64::from(u32::MAX)) as u32)
}

/// Why it cannot be said how a caller stands.
#[derive(Debug, thiserror::Error)]
pub enum NoLook {
    /// The limit has no such tier.
    #[error("the limit has no tier `{0}`")]
    Tier(String),
    /// The store does not answer.
    #[error(transparent)]
    Uncounted(#[from] Uncounted),
}

/// The tiers, and what each means.
fn tiers(config: &LimitConfig) -> Result<(Tiers, Vec<Plan>), Invalid> {
    let mut rates: Vec<Rate> = config.tiers.values().copied().collect();
    let otherwise = match config.limit {
        Some(limit) => {
            rates.push(limit);
            rates.len() - 1
        }
        // Who is in no tier must not be unlimited, nor better off than who is.
        None => {
            let smallest = (0..rates.len())
                .min_by(|&one, &other| per_second(rates[one]).total_cmp(&per_second(rates[other])));
            smallest.ok_or_else(|| {
                Invalid::new("how much each may have is missing: `limit: 100/15m`, or `tiers`")
            })?
        }
    };
    let plan = |rate: &Rate| Plan {
        kind: config.algorithm.kind(),
        rate: *rate,
        burst: config.burst.unwrap_or(rate.units),
    };
    let names = config.tiers.keys().map(|name| name.as_str().into()).collect();
    let policies = rates.iter().map(|rate| fields::policy(&config.name, *rate).into()).collect();
    let plans: Vec<Plan> = rates.iter().map(plan).collect();
    Ok((Tiers { names, rates, otherwise, policies }, plans))
}

fn per_second(rate: Rate) -> f64 {
    use crate::value::Period;
    let span = match rate.per {
        Period::Span(span) => span,
        Period::Month => Duration::from_secs(30 * 86_400),
    };
    f64::from(rate.units.get()) / span.as_secs_f64()
}
