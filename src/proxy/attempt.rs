//! One attempt at a service: which endpoint, and what became of it.

use super::exchange::Exchange;
use crate::answer::{Answer, Backend};
use crate::reply::Rejection;
use crate::snapshot::Route;
use crate::telemetry::metrics::UpstreamError;
use crate::upstream::{Budget, classify};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::Session;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When it is worth to ask again for a service whose names do not resolve.
const RESOLVE_AGAIN: Duration = Duration::from_secs(2);

/// Chooses the endpoint of the next attempt, and gives it no more time than is left.
pub fn peer(session: &Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
    let view = Arc::clone(&exchange.view);
    let backend = backend(&view.snapshot.routes, exchange);
    let service = view.service(backend.index);
    let now = Instant::now();
    let attempts = &mut exchange.attempts;
    attempts.count += 1;
    attempts.began = Some(now);
    let turn = service.turn();
    let budget = Budget::left(exchange.deadline, now);
    let (number, endpoint) = backend.service.pick(turn);
    match endpoint.peer(turn, &backend.timeouts, budget) {
        Some(mut peer) => {
            if session.is_upgrade_req() {
                // A tunnel may be silent, but the answer that opens it must come in time.
                let read = peer.options.read_timeout.take();
                let opened = read.and_then(|read| now.checked_add(read));
                let deadline = opened.into_iter().chain(exchange.deadline).min();
                exchange.facts.connection.set_deadline(deadline);
            }
            attempts.endpoint = Some((number, peer._address.clone()));
            Ok(Box::new(peer))
        }
        None => {
            service.metrics.failed(UpstreamError::Resolve);
            let service = Arc::clone(&backend.service.name);
            let rejection = Rejection::Unavailable { service, retry_after: RESOLVE_AGAIN };
            exchange.rejection = Some(rejection);
            exchange.cause = Some("the endpoint's name does not resolve".to_owned());
            Err(Error::new_up(ErrorType::ConnectNoRoute))
        }
    }
}

/// Notes that an attempt failed, unless it was the client who left.
pub fn failed(exchange: &mut Exchange, error: &Error) {
    exchange.attempts.settle();
    let cause = match error.esource() {
        _ if exchange.rejection.is_some() => return,
        _ if exchange.is_late() => UpstreamError::Deadline,
        ErrorSource::Downstream => return,
        _ => classify(error).0,
    };
    let backend = backend(&exchange.view.snapshot.routes, exchange);
    exchange.view.service(backend.index).metrics.failed(cause);
}

/// What a proxied exchange is for: only a route leads to a service.
pub fn backend<'a>(routes: &'a [Route], exchange: &Exchange) -> &'a Backend {
    let index = exchange.route.expect("an exchange is routed before an attempt is made");
    let Answer::Service(backend) = &routes[index].answer;
    backend
}
