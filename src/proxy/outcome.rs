//! What became of an attempt: whom it counts for, and whether another one follows.

use super::admit;
use super::attempt::backend;
use super::exchange::{Attempts, Exchange, Held, Next};
use super::respond::{in_time, is_final};
use super::watch::Watch;
use crate::telemetry::metrics::{NOT_RETRIED_REASONS, UpstreamError};
use crate::upstream::breaker::{Change, Pass};
use crate::upstream::retry::{Answer, Decision, NoRetry, Outcome, Retry, Tried, retry_after};
use crate::upstream::{Budget, classify, grpc};
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, StatusCode, request};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::Session;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const _: () = assert!(
    NoRetry::Budget as usize + 1 == NOT_RETRIED_REASONS,
    "each reason not to try again has its counter"
);

/// By which a client says that a request may be repeated (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Whether a client says that its request may be repeated.
pub fn has_idempotency_key(head: &request::Parts) -> bool {
    head.headers.contains_key(IDEMPOTENCY_KEY)
}

/// The head of an answer has come. It counts for the service, and it is the client's, unless it is
/// one of those after which another attempt is made.
pub fn head(session: &mut Session, head: &ResponseHeader, exchange: &mut Exchange) -> Result<()> {
    if !is_final(head.status) {
        return Ok(());
    }
    if head.status == StatusCode::SWITCHING_PROTOCOLS && !exchange.tunnel {
        // RFC 9110 §15.2.2: nobody asked for it, so what would follow means nothing.
        let why = "the service switched protocols unasked";
        return Err(Error::explain(ErrorType::InvalidHTTPHeader, why).into_up());
    }
    let Some((now, outcome)) = counted(head, exchange) else {
        return Ok(());
    };
    if let Outcome::Answered(answer) = outcome
        && wants(exchange, &outcome)
    {
        let asked = head.headers.get(RETRY_AFTER);
        let asked = asked.and_then(|value| retry_after(value, SystemTime::now()));
        let answer = Answer { retry_after: asked, ..answer };
        if decide(session, exchange, &Outcome::Answered(answer), true) {
            let mut error = Error::explain(ErrorType::HTTPStatus(head.status.as_u16()), "retried");
            error.set_retry(true);
            return Err(error.into_up());
        }
    }
    accepted(head, now, exchange)
}

/// Counts the head of an answer, the first time; when it came, and what it means for a retry.
pub fn counted(head: &ResponseHeader, exchange: &mut Exchange) -> Option<(Instant, Outcome)> {
    let (now, waited) = exchange.attempts.settle()?;
    exchange.facts.connection.attempt_answered();
    exchange.attempts.held.watch = None;
    exchange.attempts.held.connection_to_watch = None;
    exchange.attempts.took = waited;
    let view = Arc::clone(&exchange.view);
    let backend = backend(&view, exchange.route, &exchange.attempts);
    let service = &backend.service;
    let is_grpc = service.plan.blueprint.is_grpc;
    let grpc_status = if is_grpc { grpc::status(&head.headers) } else { None };
    let judged = grpc_status.map_or(head.status, grpc::as_http);
    view.service(backend.index).metrics.answered(waited);
    if service.plan.balancing.algorithm.reads_latency()
        && let Some(endpoint) = &exchange.attempts.endpoint
    {
        endpoint.live.latency().observe(now, waited);
    }
    // Of a call whose messages follow, its trailers say how it went.
    if !is_grpc || grpc_status.is_some() || judged != StatusCode::OK {
        answered(exchange, judged, now, waited);
    }
    let answer = Answer { status: head.status, grpc_status, retry_after: None };
    Some((now, Outcome::Answered(answer)))
}

/// Whether the policy would rather have another attempt than an outcome.
pub fn wants(exchange: &Exchange, outcome: &Outcome) -> bool {
    backend(&exchange.view, exchange.route, &exchange.attempts).retry().wants(outcome)
}

/// The answer with this head, which came at this moment, is the client's.
pub fn accepted(head: &ResponseHeader, now: Instant, exchange: &mut Exchange) -> Result<()> {
    in_time(exchange)?;
    exchange.attempts.answered = Some(now);
    if let Some(mirroring) = &mut exchange.mirroring {
        mirroring.response_head(head);
    }
    Ok(())
}

/// A part of the answer passes.
pub fn part(part: Option<&Bytes>, exchange: &mut Exchange) {
    if let (Some(mirroring), Some(part)) = (&mut exchange.mirroring, part) {
        mirroring.response_part(part);
    }
}

/// The trailers have come; gRPC says there how a call went.
pub fn trailers(trailers: &HeaderMap, exchange: &mut Exchange) {
    let backend = backend(&exchange.view, exchange.route, &exchange.attempts);
    if !backend.service.plan.blueprint.is_grpc {
        return;
    }
    if let (Some(status), Some(_)) = (grpc::status(trailers), exchange.attempts.answered) {
        let took = exchange.attempts.took;
        answered(exchange, grpc::as_http(status), Instant::now(), took);
    }
}

/// Counts an answer for its endpoint and its service.
fn answered(exchange: &mut Exchange, status: StatusCode, now: Instant, took: Duration) {
    let view = Arc::clone(&exchange.view);
    let backend = backend(&view, exchange.route, &exchange.attempts);
    let service = &backend.service;
    if let Some(tally) = exchange.attempts.endpoint.as_ref().and_then(|one| one.live.tally.as_ref())
        && tally.answered(view.worker, status)
    {
        service.state.wake.notify_one();
    }
    let Held { pass, endpoint_pass, .. } = &mut exchange.attempts.held;
    let failed = status.is_server_error();
    let settle = |pass: Pass| if failed { pass.failed(now) } else { pass.succeeded(now, took) };
    tell(service.name(), pass.take().and_then(settle));
    tell(service.name(), endpoint_pass.take().and_then(settle));
    if let Some(bulkhead) = &service.bulkhead {
        let is_overload =
            matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        bulkhead.sample(now, took, is_overload);
    }
}

/// The answer has come whole.
pub fn completed(exchange: &Exchange) {
    let attempts = &exchange.attempts;
    let endpoint = attempts.answered.and(attempts.endpoint.as_ref());
    if let Some(tally) = endpoint.and_then(|endpoint| endpoint.live.tally.as_ref()) {
        tally.completed();
    }
}

/// An endpoint could not be connected to.
pub fn not_connected(session: &mut Session, exchange: &mut Exchange, error: &mut Error) {
    let again = failed(session, exchange, error)
        && decide(session, exchange, &Outcome::ConnectFailed, true);
    error.set_retry(again);
}

/// An attempt failed after it was connected.
pub fn broken(
    session: &mut Session,
    exchange: &mut Exchange,
    error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    if matches!(error.etype(), ErrorType::HTTPStatus(_)) {
        // Another attempt was decided on when its head came.
        return error;
    }
    let is_whole = session.is_body_done();
    let mut error = own(exchange, error);
    let outcome = match error.esource() {
        ErrorSource::Upstream => Outcome::of(&error, reused),
        _ => None,
    };
    let may_follow = failed(session, exchange, &error);
    let again = match outcome {
        Some(outcome) if may_follow => {
            // A try whose time is over before the body was there has nothing left to read it from.
            let is_kept = is_whole || outcome != Outcome::TimedOut;
            decide(session, exchange, &outcome, is_kept)
        }
        _ => false,
    };
    error.set_retry(again);
    error
}

/// What an attempt's end is where its time was kept for it: to Pingora it is the client who failed,
/// or the service that closed.
fn own(exchange: &Exchange, error: Box<Error>) -> Box<Error> {
    let is_clients = *error.esource() == ErrorSource::Downstream;
    let was_shut = exchange.attempts.held.watch.as_ref().is_some_and(Watch::is_over);
    match was_shut || is_clients && exchange.facts.connection.is_attempt_over() {
        true => Error::explain(ErrorType::ReadTimedout, "the attempt's time is over").into_up(),
        false => error,
    }
}

/// Counts an attempt that failed, unless it was the client who left, or owes a part of its body.
/// Whether another one may follow.
pub fn failed(session: &mut Session, exchange: &mut Exchange, error: &Error) -> bool {
    let now = Instant::now();
    let took = exchange.attempts.settle().map(|(_, waited)| waited);
    let held = std::mem::take(&mut exchange.attempts.held);
    let cause = match error.esource() {
        _ if exchange.rejection.is_some() => return false,
        _ if exchange.is_late() => UpstreamError::Deadline,
        ErrorSource::Downstream => return false,
        _ if is_stalled(session, exchange, error) => return false,
        ErrorSource::Internal => return false,
        _ => classify(error).0,
    };
    let view = Arc::clone(&exchange.view);
    let backend = backend(&view, exchange.route, &exchange.attempts);
    let service = &backend.service;
    view.service(backend.index).metrics.failed(cause);
    if cause == UpstreamError::Deadline && exchange.is_hasty {
        // Else a few calls that have no time would open the circuit for everybody.
        return false;
    }
    if let Some(endpoint) = &exchange.attempts.endpoint {
        if endpoint.live.tally.as_ref().is_some_and(|tally| tally.failed(view.worker)) {
            service.state.wake.notify_one();
        }
        if service.plan.balancing.algorithm.reads_latency()
            && let Some(took) = took
        {
            // It is slow at least, and not as quick as its refusal.
            endpoint.live.latency().observe(now, took.max(backend.timeouts.connect));
        }
        exchange.attempts.tried.push(Arc::clone(endpoint));
    }
    let Held { mut pass, mut endpoint_pass, occupied, connection, .. } = held;
    let has_broken = matches!(cause, UpstreamError::Closed | UpstreamError::Protocol);
    if has_broken && exchange.attempts.answered.is_some() && !exchange.tunnel {
        // The head has used the leave, for an answer may go on for hours. One that breaks off is a
        // failure all the same, unless the circuit has opened since: it is no probe of whether the
        // service is back.
        let endpoint = exchange.attempts.endpoint.as_ref();
        let breaker = endpoint.and_then(|endpoint| endpoint.live.breaker.as_ref());
        let late = |pass: &Pass| !pass.is_probe();
        pass = pass.or_else(|| admit::ask(backend, view.worker, now).ok().flatten().filter(late));
        endpoint_pass = endpoint_pass.or_else(|| {
            breaker.and_then(|breaker| breaker.admit(view.worker, now).ok()).filter(late)
        });
    }
    tell(service.name(), pass.and_then(|pass| pass.failed(now)));
    tell(service.name(), endpoint_pass.and_then(|pass| pass.failed(now)));
    if let Some(bulkhead) = &service.bulkhead {
        let is_overload = matches!(
            cause,
            UpstreamError::ReadTimeout
                | UpstreamError::WriteTimeout
                | UpstreamError::ConnectTimeout
                | UpstreamError::Deadline
                | UpstreamError::Closed
        );
        bulkhead.sample(now, took.unwrap_or_default(), is_overload);
    }
    // An answer that has begun cannot be another's any more; what came of it is told above.
    drop((occupied, connection));
    !exchange.is_late()
}

/// Decides whether another attempt is made; then it is prepared.
fn decide(
    session: &mut Session,
    exchange: &mut Exchange,
    outcome: &Outcome,
    is_body_kept: bool,
) -> bool {
    let view = Arc::clone(&exchange.view);
    let backend = backend(&view, exchange.route, &exchange.attempts);
    let retry = backend.retry();
    let head = session.req_header();
    let now = Instant::now();
    let roster = backend.service.roster();
    let attempts = &exchange.attempts;
    let elsewhere = roster.endpoints().iter().any(|endpoint| {
        endpoint.live.age(now).is_some()
            && !attempts.tried.iter().any(|one| one.key == endpoint.key)
    });
    let tried = Tried {
        count: count(retry, backend.retry.is_none(), outcome, elsewhere, attempts),
        method: &head.method,
        has_idempotency_key: has_idempotency_key(head),
        body_replayable: is_body_kept && !session.as_ref().retry_buffer_truncated(),
        answer_begun: session.response_written().is_some_and(|head| is_final(head.status)),
        left: Budget::left(exchange.deadline, now).get(),
        needs: Duration::ZERO,
        elsewhere,
    };
    let budget = &backend.service.state.budget;
    let metrics = &view.service(backend.index).metrics;
    match retry.decide(outcome, &tried, budget, now, fastrand::u64(..)) {
        Decision::After(after) => {
            metrics.retried();
            let attempts = &mut exchange.attempts;
            if *outcome == Outcome::PooledClosed {
                // The service has not seen it.
                attempts.tries -= 1;
                attempts.pooled_closed = true;
            }
            if matches!(outcome, Outcome::Answered(_)) {
                // Its time is over; what it holds is another's.
                attempts.tried.extend(attempts.endpoint.clone());
                attempts.held = Held::default();
            }
            attempts.next = Next { after, is_fresh: *outcome == Outcome::PooledClosed };
            true
        }
        Decision::No(reason) => {
            if retry.wants(outcome) {
                metrics.not_retried(reason as usize, reason.label());
            }
            false
        }
    }
}

/// How many tries count. Where nothing is said of retries, an endpoint that cannot be connected to
/// is no try as long as another was not asked, so that a request reaches one if any is there, and is
/// not asked again, which at once would be in vain. A connection that was closed in the pool is none
/// whatever is said, the first time.
fn count(
    retry: &Retry,
    is_default: bool,
    outcome: &Outcome,
    elsewhere: bool,
    attempts: &Attempts,
) -> u32 {
    let Attempts { tries, pooled_closed: had_pooled_closed, .. } = *attempts;
    match outcome {
        Outcome::ConnectFailed if is_default && elsewhere => tries.min(retry.attempts - 1),
        Outcome::ConnectFailed if is_default => retry.attempts,
        Outcome::PooledClosed if !had_pooled_closed => tries.min(retry.attempts.saturating_sub(1)),
        _ => tries,
    }
}

/// Says in the log that a circuit has opened or closed.
fn tell(service: &str, change: Option<Change>) {
    match change {
        Some(Change::Opened(reason)) => {
            tracing::warn!(service, %reason, "circuit opened");
        }
        Some(Change::Closed) => tracing::info!(service, "circuit closed"),
        None => {}
    }
}

/// Whether the service only said nothing because the client owes it a part of the body. Where the
/// connection kept the time, it was the service's turn.
pub fn is_stalled(session: &mut Session, exchange: &Exchange, error: &Error) -> bool {
    *error.etype() == ErrorType::ReadTimedout
        && !session.is_body_done()
        && !exchange.facts.connection.is_attempt_over()
}
