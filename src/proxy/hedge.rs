//! Hedged exchanges: a second attempt beside one that is slow to answer (J. Dean and L. A. Barroso,
//! "The Tail at Scale", 2013).
//!
//! Pingora's proxying has one attempt under way at a time, so that a hedged exchange makes its own,
//! by the gateway's caller. It passes the same chapters as any other: `attempt` begins each of them,
//! `forward` makes its head, `outcome` counts it, `respond` dresses the answer. What fails for good,
//! or is tried again, goes on by Pingora's way.

mod carry;
mod request;

use super::Gateway;
use super::admit;
use super::attempt::{Begun, backend, begin, begin_at, pick};
use super::exchange::{Exchange, Held};
use super::outcome;
use crate::telemetry::metrics::Hedged;
use crate::upstream::call::{Answering, CallError, Caller};
use crate::upstream::{Budget, Endpoint};
use http::Method;
use pingora::{Error, ErrorType, Result};
use pingora_proxy::Session;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Serves a request if its attempts are hedged. True where Pingora's way is to serve it: because
/// they are not, or because another attempt is to be made.
pub async fn serve(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<bool> {
    let Some(after) = hedged_after(session, exchange) else {
        return Ok(true);
    };
    let Some(caller) = &gateway.caller else {
        return Ok(true);
    };
    let began = Instant::now();
    let begun = begin(session, exchange, false).await?;
    let first = Attempt::start(caller, session, exchange, begun, Turn::First)?;
    // Most have one attempt; each is an allocation beside what a call allocates by itself.
    let race = Race { under_way: vec![first], is_hedged: false };
    let answering = race.run(caller, session, exchange, after).await;
    // Attempts that overlap waited together.
    exchange.attempts.waited = began.elapsed();
    match answering? {
        Some(answering) => carry::to_client(session, exchange, answering).await.map(|()| false),
        None => Ok(true),
    }
}

/// After how long a second attempt is made, if one may be. Whether an endpoint is there for it is
/// found out when that time comes.
fn hedged_after(session: &mut Session, exchange: &Exchange) -> Option<Duration> {
    let backend = backend(&exchange.view, exchange.route, &exchange.attempts);
    let retry = backend.retry();
    let after = retry.hedge?;
    let service = &backend.service;
    let head = session.req_header();
    let may = [Method::GET, Method::HEAD].contains(&head.method)
        && retry.methods.allow(&head.method, outcome::has_idempotency_key(head))
        && !exchange.tunnel
        && !service.plan.blueprint.is_grpc
        && service.roster().endpoints().len() > 1
        && session.as_downstream_mut().is_body_empty();
    may.then_some(after)
}

/// Which of the two an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    Second,
}

impl From<Turn> for Hedged {
    fn from(turn: Turn) -> Self {
        match turn {
            Turn::First => Hedged::First,
            Turn::Second => Hedged::Second,
        }
    }
}

type Call = Pin<Box<dyn Future<Output = Result<Answering, CallError>> + Send>>;

/// An attempt that is under way. Dropping it closes its connection or resets its stream.
struct Attempt {
    turn: Turn,
    call: Call,
    endpoint: Option<Arc<Endpoint>>,
    held: Held,
    began: Option<Instant>,
}

impl Attempt {
    /// Sends the request to the exchange's present endpoint, and takes over what it holds.
    fn start(
        caller: &Arc<Caller>,
        session: &mut Session,
        exchange: &mut Exchange,
        begun: Begun,
        turn: Turn,
    ) -> Result<Self> {
        let (head, body) = request::make(session.req_header(), exchange)?;
        let retry = backend(&exchange.view, exchange.route, &exchange.attempts).retry();
        let limit = retry.per_try_timeout.and_then(|time| begun.at.checked_add(time));
        let deadline = exchange.deadline.map(Into::into);
        let (caller, mut peer) = (Arc::clone(caller), begun.peer);
        // The time of a try is for the head, that of reading for each part too.
        peer.options.read_timeout = Some(begun.read);
        let call = async move {
            let open = caller.open(&peer, head, body, deadline);
            match limit {
                Some(limit) => tokio::time::timeout_at(limit.into(), open)
                    .await
                    .unwrap_or(Err(CallError::TimedOut)),
                None => open.await,
            }
        };
        let attempts = &mut exchange.attempts;
        Ok(Attempt {
            turn,
            call: Box::pin(call),
            endpoint: attempts.endpoint.clone(),
            held: std::mem::take(&mut attempts.held),
            began: attempts.began.take(),
        })
    }

    /// Makes it the exchange's present one, of which `outcome` speaks.
    fn present(self, exchange: &mut Exchange) -> Turn {
        let attempts = &mut exchange.attempts;
        attempts.endpoint = self.endpoint;
        attempts.held = self.held;
        attempts.began = self.began;
        self.turn
    }
}

/// One attempt, or two of which the first to answer wins.
struct Race {
    under_way: Vec<Attempt>,
    is_hedged: bool,
}

/// What happens next.
#[expect(clippy::large_enum_variant, reason = "it is read where it is made")]
enum Event {
    /// The attempt at this place has come to its end.
    Ended(usize, Result<Answering, CallError>),
    /// The first one has been waited for long enough.
    Late,
    /// The client has left, or its time is over.
    Gone(Box<Error>),
}

impl Race {
    /// Waits for the answer that is the client's; none where another attempt is to be made by
    /// Pingora's way.
    async fn run(
        mut self,
        caller: &Arc<Caller>,
        session: &mut Session,
        exchange: &mut Exchange,
        after: Duration,
    ) -> Result<Option<Answering>> {
        let mut timer = pin!(tokio::time::sleep(after));
        let mut may_hedge = true;
        loop {
            let event = tokio::select! {
                biased;
                (place, ended) = ended(&mut self.under_way) => Event::Ended(place, ended),
                error = gone(session) => Event::Gone(error),
                () = &mut timer, if may_hedge => Event::Late,
            };
            match event {
                Event::Late => {
                    may_hedge = false;
                    if let Some(second) = self.second(caller, session, exchange) {
                        self.under_way.push(second);
                        self.is_hedged = true;
                    }
                }
                Event::Gone(error) => {
                    for attempt in self.under_way.drain(..) {
                        attempt.present(exchange);
                        outcome::failed(session, exchange, &error);
                    }
                    self.count(exchange, Hedged::Neither);
                    return Err(error);
                }
                Event::Ended(place, ended) => {
                    let turn = self.under_way.swap_remove(place).present(exchange);
                    let ended = ended.map_err(as_error);
                    if let Some(end) = self.settle(session, exchange, ended, turn) {
                        return end;
                    }
                }
            }
        }
    }

    /// Judges what came of the present attempt; nothing where the other is still waited for.
    fn settle(
        &mut self,
        session: &mut Session,
        exchange: &mut Exchange,
        ended: Result<Answering>,
        turn: Turn,
    ) -> Option<Result<Option<Answering>>> {
        let is_last = self.under_way.is_empty();
        let accepted = match ended {
            Err(error) if !is_last => {
                outcome::failed(session, exchange, &error);
                return None;
            }
            Err(error) => Err(outcome::broken(session, exchange, error, false)),
            Ok(answering) if is_last => {
                outcome::head(session, answering.head(), exchange).map(|()| answering)
            }
            Ok(answering) => {
                let (now, result) = outcome::counted(answering.head(), exchange)?;
                if outcome::wants(exchange, &result) {
                    // The other may do better. If not, a retry goes elsewhere.
                    let attempts = &mut exchange.attempts;
                    attempts.tried.extend(attempts.endpoint.clone());
                    attempts.held = Held::default();
                    return None;
                }
                outcome::accepted(answering.head(), now, exchange).map(|()| answering)
            }
        };
        Some(match accepted {
            Ok(answering) => {
                self.count(exchange, turn.into());
                self.drop_slower(exchange);
                Ok(Some(answering))
            }
            Err(error) => {
                self.count(exchange, Hedged::Neither);
                if error.retry() { Ok(None) } else { Err(error) }
            }
        })
    }

    /// Begins the second attempt, where another endpoint can serve it and the service bears it:
    /// nothing is waited for, and the budget comes last, so that it pays for what is made.
    fn second(
        &self,
        caller: &Arc<Caller>,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Option<Attempt> {
        let view = Arc::clone(&exchange.view);
        let backend = backend(&view, exchange.route, &exchange.attempts);
        let (service, retry) = (&backend.service, backend.retry());
        let head = session.req_header();
        let tried: Vec<Arc<Endpoint>> =
            self.under_way.iter().filter_map(|attempt| attempt.endpoint.clone()).collect();
        let endpoint = pick(backend, &view, head, &exchange.facts, &tried)?;
        if exchange.attempts.tries >= retry.attempts
            || tried.iter().any(|one| one.key == endpoint.key)
        {
            return None;
        }
        let now = Instant::now();
        let pass = admit::ask(backend, view.worker, now).ok()?;
        let place = match &service.bulkhead {
            Some(bulkhead) => Some(bulkhead.try_connect()?),
            None => None,
        };
        if !service.state.budget.withdraw(now, retry.budget) {
            return None;
        }
        exchange.attempts.held = Held { pass, connection: place, ..Held::default() };
        let budget = Budget::left(exchange.deadline, now);
        let begun = begin_at(endpoint, head, exchange, budget, false);
        match Attempt::start(caller, session, exchange, begun, Turn::Second) {
            Ok(attempt) => Some(attempt),
            Err(_) => {
                // A policy lets the first pass, but not this one: then it is not made.
                exchange.rejection = None;
                exchange.attempts.held = Held::default();
                None
            }
        }
    }

    /// Drops what lost. It was slow at least, which a choice by latency should know.
    fn drop_slower(&mut self, exchange: &Exchange) {
        let backend = backend(&exchange.view, exchange.route, &exchange.attempts);
        let reads_latency = backend.service.plan.balancing.algorithm.reads_latency();
        let now = Instant::now();
        for attempt in self.under_way.drain(..).filter(|_| reads_latency) {
            if let (Some(endpoint), Some(began)) = (attempt.endpoint, attempt.began) {
                endpoint.live.latency().observe(now, now - began);
            }
        }
    }

    /// Counts what became of two attempts, if there were two.
    fn count(&self, exchange: &Exchange, outcome: Hedged) {
        if self.is_hedged {
            let backend = backend(&exchange.view, exchange.route, &exchange.attempts);
            exchange.view.service(backend.index).metrics.hedged(outcome);
        }
    }
}

/// Waits for the first attempt that comes to its end, and says at which place it stands.
async fn ended(under_way: &mut [Attempt]) -> (usize, Result<Answering, CallError>) {
    poll_fn(|context| {
        for (place, attempt) in under_way.iter_mut().enumerate() {
            if let Poll::Ready(ended) = attempt.call.as_mut().poll(context) {
                return Poll::Ready((place, ended));
            }
        }
        Poll::Pending
    })
    .await
}

/// Waits until the client is gone. What it sends meanwhile is its next request, and kept.
async fn gone(session: &mut Session) -> Box<Error> {
    match session.as_downstream_mut().read_body_or_idle(true).await {
        Err(error) => error.into_down(),
        Ok(_) => pending().await,
    }
}

/// A failed call in the words of a failed attempt.
fn as_error(error: CallError) -> Box<Error> {
    match error {
        CallError::Failed(error) => error.into_up(),
        error => Error::explain(ErrorType::ReadTimedout, error.to_string()).into_up(),
    }
}
