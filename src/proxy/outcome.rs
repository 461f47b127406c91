//! What became of an attempt: whom it counts for, and whether another one follows.

use super::attempt::backend;
use super::exchange::Exchange;
use crate::telemetry::metrics::UpstreamError;
use crate::upstream::classify;
use pingora::{Error, ErrorSource, ErrorType};
use pingora_proxy::Session;

/// An endpoint could not be connected to: nothing was sent, so another may be tried, until each has
/// been.
pub fn not_connected(session: &mut Session, exchange: &mut Exchange, error: &mut Error) {
    failed(session, exchange, error);
    let backend = backend(&exchange.view, exchange.route, &exchange.attempts);
    let untried = (exchange.attempts.count as usize) < backend.service.roster().endpoints().len();
    error.set_retry(untried && !exchange.is_late());
}

/// An attempt failed after it was connected. A repetition is considered for what RFC 9110 §9.2.2
/// calls idempotent, on a connection that the service had closed, and for nothing of which the
/// client has seen an answer.
pub fn broken(
    session: &mut Session,
    exchange: &mut Exchange,
    error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    let mut error = own(exchange, error);
    failed(session, exchange, &error);
    let repeatable = session.req_header().method.is_idempotent()
        && !session.as_ref().retry_buffer_truncated()
        && session.response_written().is_none();
    match repeatable {
        true => error.retry.decide_reuse(reused),
        false => error.set_retry(false),
    }
    error
}

/// What an attempt's end is where the connection kept its time: to Pingora it is the client who
/// failed.
fn own(exchange: &Exchange, error: Box<Error>) -> Box<Error> {
    match exchange.facts.connection.is_attempt_over() && *error.esource() == ErrorSource::Downstream
    {
        true => Error::explain(ErrorType::ReadTimedout, "the attempt's time is over").into_up(),
        false => error,
    }
}

/// Notes that an attempt failed, unless it was the client who left, or owes a part of its body.
fn failed(session: &mut Session, exchange: &mut Exchange, error: &Error) {
    exchange.attempts.fail();
    let cause = match error.esource() {
        _ if exchange.rejection.is_some() => return,
        _ if exchange.is_late() => UpstreamError::Deadline,
        ErrorSource::Downstream => return,
        _ if is_stalled(session, error) => return,
        _ => classify(error).0,
    };
    let backend = backend(&exchange.view, exchange.route, &exchange.attempts);
    exchange.view.service(backend.index).metrics.failed(cause);
}

/// Whether the service only said nothing because the client owes it a part of the body.
pub fn is_stalled(session: &mut Session, error: &Error) -> bool {
    *error.etype() == ErrorType::ReadTimedout && !session.is_body_done()
}
