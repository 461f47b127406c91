//! One attempt at a service: which endpoint, and what became of it.

use super::exchange::Exchange;
use crate::answer::Backend;
use crate::reply::Rejection;
use crate::snapshot::Route;
use crate::telemetry::metrics::UpstreamError;
use crate::upstream::{Budget, classify};
use http::header::EXPECT;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::Session;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When it is worth to ask again for a service whose names do not resolve.
const RESOLVE_AGAIN: Duration = Duration::from_secs(2);

/// Chooses the endpoint of the next attempt, and gives it no more time than is left.
pub fn peer(session: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
    let view = Arc::clone(&exchange.view);
    let backend = backend(&view.snapshot.routes, exchange.route);
    let service = view.service(backend.index);
    let now = Instant::now();
    let attempts = &mut exchange.attempts;
    attempts.began = Some(now);
    // The turns of one exchange follow each other, whatever turns others take meanwhile, so that
    // it does not try an address twice before it has tried all.
    let first = *attempts.turn.get_or_insert_with(|| service.turn());
    let turn = first.wrapping_add(attempts.count as usize);
    attempts.count += 1;
    attempts.endpoint = backend.service.pick(turn);
    let Some((number, address)) = attempts.endpoint.clone() else {
        service.metrics.failed(UpstreamError::Resolve);
        let service = Arc::clone(&backend.service.name);
        exchange.rejection = Some(Rejection::Unavailable { service, retry_after: RESOLVE_AGAIN });
        exchange.cause = Some("no name of an endpoint resolves".to_owned());
        return Err(Error::new_up(ErrorType::ConnectNoRoute));
    };
    let budget = Budget::left(exchange.deadline, now);
    let endpoint = &backend.service.endpoints[number];
    let mut peer = endpoint.peer(address, &backend.timeouts, budget);
    let options = &mut peer.options;
    let connection = &exchange.facts.connection;
    let body = connection.listener.timeouts.body;
    if exchange.tunnel {
        // A tunnel may be silent, but the answer that opens it must come in time.
        connection.set_patience(options.read_timeout.take());
    } else if session.is_body_done() {
        connection.set_patience(None);
    } else if session.is_http2() {
        // Pingora waits for a part of a body on HTTP/2 without a limit, but for the service at the
        // same time, and nothing else wakes up there: the shorter patience of the two ends both,
        // for the longer one would leave a client that stopped sending its stream for `read`.
        options.read_timeout = options.read_timeout.map(|read| read.min(body));
    } else {
        // Pingora's read time runs while the client is silent, for which `body` is the time, so
        // here it is for a service that takes nothing any more. The connection keeps `read` from
        // the moment that it is the service's turn: now, if the client waits for its word.
        let waits = session.req_header().headers.contains_key(EXPECT);
        connection.set_patience(options.read_timeout.filter(|_| waits));
        options.read_timeout = options.read_timeout.map(|read| read.max(body));
    }
    Ok(Box::new(peer))
}

/// An endpoint could not be connected to: nothing was sent, so the next address may be tried, until
/// each has been.
pub fn not_connected(session: &mut Session, exchange: &mut Exchange, error: &mut Error) {
    failed(session, exchange, error);
    let backend = backend(&exchange.view.snapshot.routes, exchange.route);
    let untried = (exchange.attempts.count as usize) < backend.service.turns();
    error.set_retry(untried && !exchange.is_late());
}

/// A part of the request's body passes: after the last one it is the service's turn, before that
/// the client's.
pub fn uploaded(exchange: &Exchange, is_last: bool) {
    if !exchange.tunnel {
        let backend = backend(&exchange.view.snapshot.routes, exchange.route);
        let patience = is_last.then_some(backend.timeouts.read);
        exchange.facts.connection.set_patience(patience);
    }
}

/// Notes that an attempt failed, unless it was the client who left, or owes a part of its body.
pub fn failed(session: &mut Session, exchange: &mut Exchange, error: &Error) {
    exchange.attempts.settle();
    let cause = match error.esource() {
        _ if exchange.rejection.is_some() => return,
        _ if exchange.is_overdue() => UpstreamError::Deadline,
        _ if exchange.facts.connection.timed_out() => UpstreamError::ReadTimeout,
        ErrorSource::Downstream => return,
        _ if is_stalled(session, error) => return,
        _ => classify(error).0,
    };
    let backend = backend(&exchange.view.snapshot.routes, exchange.route);
    exchange.view.service(backend.index).metrics.failed(cause);
}

/// Whether the service only said nothing because the client owes it a part of the body.
pub fn is_stalled(session: &mut Session, error: &Error) -> bool {
    *error.etype() == ErrorType::ReadTimedout && !session.is_body_done()
}

/// The route of a proxied exchange.
pub fn routed(routes: &[Route], route: Option<usize>) -> &Route {
    &routes[route.expect("an exchange is routed before an attempt is made")]
}

/// The service that a proxied exchange is for.
pub fn backend(routes: &[Route], route: Option<usize>) -> &Backend {
    let backend = routed(routes, route).answer.backend();
    backend.expect("what the gateway answers by itself is answered before an attempt is made")
}
