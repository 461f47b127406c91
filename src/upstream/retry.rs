//! Whether an attempt that failed is made again, and when.
//!
//! A pure decision: what happened, what was tried, the time that is left and a random number come
//! in, and a wait or a reason comes out. What a request may do to a service twice is decided by
//! RFC 9110 §9.2.2, what a service bears by the budget.

mod after;
mod backoff;
mod budget;
mod condition;
mod methods;
mod outcome;
#[cfg(test)]
mod tests;

pub use after::retry_after;
pub use backoff::Backoff;
pub use budget::{RetryBudget, RetryLimit};
pub use condition::{Condition, Conditions};
pub use methods::Methods;

use crate::value::Percent;
use http::{Method, StatusCode};
use std::time::{Duration, Instant};

/// When a request is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How many tries a request gets, the first one included; at least one.
    pub attempts: u32,
    /// What has to happen for another try.
    pub on: Conditions,
    /// Which requests may be repeated although the service may have acted on them.
    pub methods: Methods,
    /// How long one try may take until the answer's head is there; no limit of its own if there is
    /// none.
    pub per_try_timeout: Option<Duration>,
    /// How long to wait before a try.
    pub backoff: Backoff,
    /// How many retries the service bears.
    pub budget: RetryLimit,
    /// After how long without an answer a second try is made beside the first, if one is.
    pub hedge: Option<Duration>,
}

/// What became of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There was no connection, so that nothing was sent.
    ConnectFailed,
    /// The service said that it did not look at the request: REFUSED_STREAM, or a stream above the
    /// last one that a GOAWAY names (RFC 9113 §8.7).
    Refused,
    /// A connection from the pool was closed before anything of an answer came, most likely while
    /// the request was on its way (RFC 9112 §9.3.1).
    PooledClosed,
    /// The connection or the stream broke after the request, or a part of it, was sent.
    Reset,
    /// The service was silent for too long.
    TimedOut,
    /// An answer began.
    Answered(Answer),
}

/// The head of an answer, as far as it bears on a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its `grpc-status`, if the head has one: an answer without messages carries it there.
    pub grpc_status: Option<u8>,
    /// How long it asks to wait, as [`retry_after`] reads it. Only worth reading where
    /// [`Retry::wants`] the answer to be repeated.
    pub retry_after: Option<Duration>,
}

/// What is known of a request that was tried.
#[derive(Debug, Clone, Copy)]
pub struct Tried<'a> {
    /// How many tries there were; at least one.
    pub count: u32,
    /// The method.
    pub method: &'a Method,
    /// Whether the request has an `Idempotency-Key` field.
    pub has_idempotency_key: bool,
    /// Whether what was taken of the body can be sent once more.
    pub body_replayable: bool,
    /// Whether anything of an answer went to the client.
    pub answer_begun: bool,
    /// What is left of the time that the exchange may take.
    pub left: Option<Duration>,
    /// How long a try takes at the least, where that is known; zero where it is not.
    pub needs: Duration,
    /// Whether there is an endpoint that was not tried.
    pub elsewhere: bool,
}

/// What to do after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The outcome stands.
    No(NoRetry),
    /// Another try, after a wait. The budget was charged for it.
    After(Duration),
}

/// Why there is no other try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoRetry {
    /// The outcome is not among those that are repeated: a success, for one.
    Outcome,
    /// The client has a part of the answer.
    AnswerBegun,
    /// There were as many tries as there may be.
    Attempts,
    /// The body is gone.
    Body,
    /// The service may have acted on it, and the method is not one to repeat.
    Method,
    /// The service asks to wait for longer than the backoff may.
    RetryAfter,
    /// The next try could not end in time.
    Deadline,
    /// The service has got as many retries as it bears.
    Budget,
}

impl NoRetry {
    /// The reason in one word, for metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            NoRetry::Outcome => "outcome",
            NoRetry::AnswerBegun => "answer_begun",
            NoRetry::Attempts => "attempts",
            NoRetry::Body => "body",
            NoRetry::Method => "method",
            NoRetry::RetryAfter => "retry_after",
            NoRetry::Deadline => "deadline",
            NoRetry::Budget => "budget",
        }
    }
}

impl Retry {
    /// What holds where no `retry` is written: one more try, at once, and only where it cannot do
    /// harm. A connection that could not be made and a stream that was refused go to another
    /// endpoint, whatever the method; a connection that was closed in the pool is replaced for
    /// requests that are idempotent. Answers are never repeated, nor is silence.
    pub const DEFAULT: Retry = Retry {
        attempts: 2,
        on: Conditions::NONE
            .with(Condition::ConnectFailure)
            .with(Condition::RefusedStream)
            .with_pooled_closed(),
        methods: Methods::Idempotent,
        per_try_timeout: None,
        backoff: Backoff { base: Duration::ZERO, max: Duration::ZERO },
        budget: RetryLimit { share: Percent::new(20), min_per_second: RetryLimit::MIN_PER_SECOND },
        hedge: None,
    };

    /// Whether an outcome is one of those that are repeated. All that a request that succeeds
    /// costs here is one look at a bit.
    pub fn wants(&self, outcome: &Outcome) -> bool {
        self.on.hold(outcome)
    }

    /// The longest that one try may take, with so much left for all of them.
    pub fn per_try(&self, left: Option<Duration>) -> Option<Duration> {
        match (self.per_try_timeout, left) {
            (Some(one), Some(left)) => Some(one.min(left)),
            (one, left) => one.or(left),
        }
    }

    /// Decides after a try. `random` spreads the wait and should be uniform over all of `u64`.
    ///
    /// The budget comes last, so that it pays only for tries that are made.
    pub fn decide(
        &self,
        outcome: &Outcome,
        tried: &Tried<'_>,
        budget: &RetryBudget,
        now: Instant,
        random: u64,
    ) -> Decision {
        match self.wait(outcome, tried, random) {
            Err(reason) => Decision::No(reason),
            Ok(wait) if is_free(outcome, tried) => Decision::After(wait),
            Ok(_) if !budget.withdraw(now, self.budget) => Decision::No(NoRetry::Budget),
            Ok(wait) => Decision::After(wait),
        }
    }

    /// The wait before the next try, if everything but the budget allows one.
    fn wait(&self, outcome: &Outcome, tried: &Tried<'_>, random: u64) -> Result<Duration, NoRetry> {
        if !self.wants(outcome) {
            return Err(NoRetry::Outcome);
        }
        if tried.answer_begun {
            return Err(NoRetry::AnswerBegun);
        }
        if tried.count >= self.attempts {
            return Err(NoRetry::Attempts);
        }
        if !tried.body_replayable {
            return Err(NoRetry::Body);
        }
        let may_have_acted = !matches!(outcome, Outcome::ConnectFailed | Outcome::Refused);
        if may_have_acted && !self.methods.allow(tried.method, tried.has_idempotency_key) {
            return Err(NoRetry::Method);
        }
        let asked = match outcome {
            Outcome::Answered(answer) => answer.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        if asked > self.backoff.max {
            return Err(NoRetry::RetryAfter);
        }
        let wait = match outcome {
            // It says nothing of how the service fares, so that there is nothing to wait for.
            Outcome::PooledClosed => Duration::ZERO,
            // Nor does it of an endpoint that was not asked.
            Outcome::ConnectFailed if tried.elsewhere => Duration::ZERO,
            // What is asked for is the least; without the jitter, all who were told the same would
            // come back together.
            _ => asked + self.backoff.wait(tried.count, random),
        };
        match tried.left {
            Some(left) if left <= wait.saturating_add(tried.needs) => Err(NoRetry::Deadline),
            _ => Ok(wait),
        }
    }
}

/// Whether a retry costs the service nothing: it never had the request, and who failed is not asked
/// again. A budget would turn an endpoint that is down into errors while others are up.
fn is_free(outcome: &Outcome, tried: &Tried<'_>) -> bool {
    match outcome {
        Outcome::PooledClosed => true,
        Outcome::ConnectFailed => tried.elsewhere,
        _ => false,
    }
}
