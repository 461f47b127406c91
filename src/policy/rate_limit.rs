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

use super::named::Limits;
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
    limits: Limits<Limit>,
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
        &self.limits.all
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
            let limit = &self.limits.all[number];
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
                    let cause = format!("over the limit `{}`", limit.id);
                    return Err(request.over(&limit.name, cause, retry_after));
                }
            }
        }
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// Gives back what a request has taken that is refused after all.
    fn give_back(&self, asked: &mut [(usize, Asked)], request: &Request<'_>) {
        let now = Time::of(request.facts.time);
        for (number, asked) in asked {
            self.limits.all[*number].give_back(asked, now);
        }
    }
}

impl Kind for RateLimit {
    type Config = Config;

    const ACCUMULATES: bool = true;

    fn said(config: Config, scope: &str, build: &Build) -> Result<Config, Invalid> {
        named::said(config.0, scope, build).map(Config)
    }

    fn fold(outer: Option<Config>, inner: Setting<Config>) -> Option<Config> {
        named::fold(outer.unwrap_or_default().0, inner.map(|config| config.0)).map(Config)
    }

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        let limits = Limits::<Limit>::new(&config.0);
        let told = || limits.all.iter().filter(|limit| !limit.observe).map(|limit| limit.told);
        Ok(RateLimit {
            is_standard: told().any(|told| told.is_standard()),
            is_older: told().any(|told| told.is_older()),
            limits,
        })
    }

    fn references(&self) -> Vec<&Reference> {
        self.limits.all.iter().flat_map(|limit| limit.references()).collect()
    }
}

impl Policy for RateLimit {
    type State = State;

    async fn on_arrival(&self, request: &mut Request<'_>, state: &mut State) -> Result<(), Stop> {
        match self.limits.anonymous {
            0 => Ok(()),
            count => self.judge(0..count, request, state).await,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, state: &mut State) -> Result<(), Stop> {
        match (self.limits.anonymous, self.limits.all.len()) {
            (anonymous, all) if anonymous == all => Ok(()),
            (anonymous, all) => self.judge(anonymous..all, request, state).await,
        }
    }

    fn on_response(&self, response: &mut Response<'_>, state: &mut State) {
        for (number, asked) in &mut state.asked {
            self.limits.all[*number].read_cost(asked, &response.head.headers);
        }
        let said = || {
            let limits =
                state.asked.iter().map(|(number, asked)| (&self.limits.all[*number], asked));
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
            self.limits.all[*number].settle(asked, finished);
        }
    }
}
