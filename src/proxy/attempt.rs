//! One attempt at a service: which endpoint, and what became of it.

use super::exchange::{Attempts, Exchange};
use crate::answer::Backend;
use crate::reply::Rejection;
use crate::snapshot::{Route, View};
use crate::telemetry::metrics::UpstreamError;
use crate::upstream::Budget;
use http::header::EXPECT;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use pingora_proxy::Session;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When it is worth to ask again for a service whose names do not resolve.
const RESOLVE_AGAIN: Duration = Duration::from_secs(2);

/// Chooses the endpoint of the next attempt, and gives it no more time than is left.
pub fn peer(session: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
    let view = Arc::clone(&exchange.view);
    let backend = backend(&view, exchange.route, &exchange.attempts);
    let service = view.service(backend.index);
    let now = Instant::now();
    let attempts = &mut exchange.attempts;
    attempts.began = Some(now);
    attempts.count += 1;
    let endpoint = backend.service.roster().pick(service.turn(), &attempts.tried).cloned();
    let Some(endpoint) = endpoint else {
        service.metrics.failed(UpstreamError::Resolve);
        let service = Arc::clone(backend.service.name());
        exchange.rejection = Some(Rejection::Unavailable { service, retry_after: RESOLVE_AGAIN });
        exchange.cause = Some("no endpoint is known".to_owned());
        return Err(Error::new_up(ErrorType::ConnectNoRoute));
    };
    let budget = Budget::left(exchange.deadline, now);
    let mut peer = endpoint.peer(&backend.timeouts, budget);
    attempts.endpoint = Some(Arc::clone(&endpoint));
    attempts.occupied = Some(endpoint.occupy());
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

/// A part of the request's body passes: after the last one it is the service's turn, before that
/// the client's.
pub fn uploaded(exchange: &Exchange, is_last: bool) {
    if !exchange.tunnel {
        let backend = backend(&exchange.view, exchange.route, &exchange.attempts);
        let patience = is_last.then_some(backend.timeouts.read);
        exchange.facts.connection.set_patience(patience);
    }
}

/// The route of a proxied exchange.
pub fn routed(routes: &[Route], route: Option<usize>) -> &Route {
    &routes[route.expect("an exchange is routed before an attempt is made")]
}

/// The service that a proxied exchange is for.
pub fn backend<'a>(view: &'a View, route: Option<usize>, attempts: &Attempts) -> &'a Backend {
    let backends = routed(&view.snapshot.routes, route).answer.backends();
    let backends =
        backends.expect("what the gateway answers by itself is answered before an attempt is made");
    &backends.all[attempts.backend]
}
