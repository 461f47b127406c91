//! Limits how much each caller may ask for.
//!
//! A limit whose key needs no identity is judged before `auth`, so that guesses at credentials cost
//! the guesser; the others behind it. Where several limits hold, a request that one of them refuses
//! costs nothing at those that were judged with it.

mod config;
mod counting;
mod fields;
mod limit;
mod report;
mod shared;

pub use config::{Config, LimitConfig};
pub use counting::Counting;
pub use limit::{Counts, Limit, NoLook};
pub use report::{Caller, Report};
pub use shared::Uncounted;

use super::{Build, Finished, Kind, Policy, Request, Setting, named};
use crate::exchange::Response;
use crate::limit::{Outcome, Time};
use crate::reply::{Rejection, Stop};
use crate::value::{Invalid, Reference};
use limit::Asked;
use smallvec::SmallVec;
use std::sync::Arc;

/// The limits of a route.
#[derive(Debug)]
pub struct RateLimit {
    /// In the order in which they are judged: those that need no identity first.
    limits: Vec<Arc<Limit>>,
    /// How many of them need none.
    anonymous: usize,
    is_standard: bool,
    is_older: bool,
}

/// What one request has asked of the limits of its route.
#[derive(Debug, Default)]
pub struct State {
    /// With the number of the limit. Two have room without an allocation.
    asked: SmallVec<[(usize, Asked); 2]>,
}

impl RateLimit {
    /// The limits.
    pub fn limits(&self) -> &[Arc<Limit>] {
        &self.limits
    }

    /// Judges a request by some of the limits.
    async fn judge(
        &self,
        range: std::ops::Range<usize>,
        request: &mut Request<'_>,
        state: &mut State,
    ) -> Result<(), Stop> {
        let first = state.asked.len();
        let mut wait = None;
        for number in range {
            let limit = &self.limits[number];
            let judged = match limit.judge(request.head, request.facts).await {
                Ok(judged) => judged,
                Err(_) if limit.observe => continue,
                Err(uncounted) => {
                    self.give_back(&mut state.asked[first..], request);
                    request.facts.cause = Some(format!("limit `{}`: {uncounted}", limit.id));
                    return Err(Rejection::Uncounted.into());
                }
            };
            let Some((asked, outcome)) = judged else { continue };
            state.asked.push((number, asked));
            match outcome {
                Outcome::Admitted => {}
                Outcome::Queued { wait: own } => wait = wait.max(Some(own)),
                Outcome::Refused { .. } if limit.observe => {
                    tracing::debug!(limit = &*limit.id, "would be refused");
                }
                Outcome::Refused { retry_after } => {
                    self.give_back(&mut state.asked[first..], request);
                    request.facts.cause = Some(format!("over the limit `{}`", limit.id));
                    request.facts.limited = Some(Arc::clone(&limit.name));
                    let limit = Arc::clone(&limit.name);
                    return Err(Rejection::QuotaExceeded { limit, retry_after }.into());
                }
            }
        }
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }
}

impl RateLimit {
    /// Gives back what a request has taken that is refused after all.
    fn give_back(&self, asked: &mut [(usize, Asked)], request: &Request<'_>) {
        let now = Time::of(request.facts.time);
        for (number, asked) in asked {
            self.limits[*number].give_back(asked, now);
        }
    }
}

impl Kind for RateLimit {
    type Config = Config;

    const ACCUMULATES: bool = true;

    fn said(mut config: Config, scope: &str, build: &Build) -> Result<Config, Invalid> {
        named::each(&mut config.0, "limit", |limit| {
            limit.compiled = Some(Arc::new(Limit::compile(limit, scope, build)?));
            Ok(())
        })?;
        Ok(config)
    }

    /// Limits accumulate by their names; `none` clears what was inherited.
    fn fold(outer: Option<Config>, inner: Setting<Config>) -> Option<Config> {
        let Setting::Set(inner) = inner else { return None };
        Some(Config(named::join(outer.unwrap_or_default().0, inner.0)))
    }

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        let compiled = config.0.iter().map(|limit| {
            let compiled = limit.compiled.as_ref();
            Arc::clone(compiled.expect("what a scope says is compiled before it is folded"))
        });
        let mut limits: Vec<Arc<Limit>> = compiled.collect();
        limits.sort_by_key(|limit| limit.needs_identity);
        let told = || limits.iter().filter(|limit| !limit.observe).map(|limit| limit.told);
        Ok(RateLimit {
            anonymous: limits.iter().filter(|limit| !limit.needs_identity).count(),
            is_standard: told().any(|told| told.is_standard()),
            is_older: told().any(|told| told.is_older()),
            limits,
        })
    }

    fn references(&self) -> Vec<&Reference> {
        self.limits.iter().flat_map(|limit| limit.references()).collect()
    }
}

impl Policy for RateLimit {
    type State = State;

    async fn on_arrival(&self, request: &mut Request<'_>, state: &mut State) -> Result<(), Stop> {
        match self.anonymous {
            0 => Ok(()),
            count => self.judge(0..count, request, state).await,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, state: &mut State) -> Result<(), Stop> {
        match self.limits.len() {
            all if all == self.anonymous => Ok(()),
            all => self.judge(self.anonymous..all, request, state).await,
        }
    }

    fn on_response(&self, response: &mut Response<'_>, state: &mut State) {
        for (number, asked) in &mut state.asked {
            self.limits[*number].read_cost(asked, &response.head.headers);
        }
        let said = || {
            let limits = state.asked.iter().map(|(number, asked)| (&self.limits[*number], asked));
            limits.filter(|(limit, _)| !limit.observe)
        };
        let fields = &mut response.head.headers;
        if self.is_standard {
            let said = said().filter(|(limit, _)| limit.told.is_standard());
            fields::write_standard(fields, said.map(|(limit, asked)| limit.said(asked)));
        }
        if self.is_older {
            let said = said().filter(|(limit, _)| limit.told.is_older());
            fields::write_older(fields, said.map(|(limit, asked)| limit.said(asked)));
        }
    }

    fn on_finish(&self, finished: &Finished<'_>, state: &mut State) {
        for (number, asked) in &mut state.asked {
            self.limits[*number].settle(asked, finished);
        }
    }
}
