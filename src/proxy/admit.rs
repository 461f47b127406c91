//! Which of a route's services is asked, and whether it may be: a circuit may be open, a
//! compartment full.

use super::Gateway;
use super::attempt::{pick, routed};
use super::exchange::Exchange;
use super::mirror::{Mirroring, Target};
use crate::answer::{Backend, Backends, Fallback};
use crate::exchange::References;
use crate::reply::{Rejection, Stop};
use crate::upstream::breaker::Pass;
use crate::upstream::bulkhead::Full;
use crate::upstream::{Budget, grpc};
use pingora::{Error, ErrorType};
use pingora_proxy::Session;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When it is worth to ask again for a service that has more to do than it may.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Chooses the service of an exchange and finds a place for it there; stops where the gateway
/// answers in its place.
pub async fn admit(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<(), Stop> {
    let head = session.req_header();
    let view = Arc::clone(&exchange.view);
    let route = routed(&view.snapshot.routes, exchange.route);
    let backends = route.answer.backends().expect("what is no reply is a service's");
    let references = References { head, facts: &exchange.facts };
    let chosen = match &backends.split {
        Some(split) => split.pick(&references, fastrand::u64(..)),
        None => 0,
    };
    let now = Instant::now();
    let (number, pass) = pass(backends, chosen, view.worker, now, references)?;
    let backend = &backends.all[number];
    if backend.service.plan.blueprint.is_grpc
        && let Some(timeout) = grpc::timeout(&head.headers)
        && let Some(deadline) = exchange.facts.started.checked_add(timeout)
    {
        exchange.shorten(deadline);
        exchange.is_hasty = exchange.deadline == Some(deadline);
    }
    exchange.attempts.backend = number;
    exchange.attempts.pass = pass;
    let service = &backend.service;
    if let Some(bulkhead) = &service.bulkhead {
        let left = Budget::left(exchange.deadline, now).get();
        let place = bulkhead.enter(route.priority, left);
        let place = unless_gone(session, exchange, place).await.ok_or(Stop::Gone)?;
        exchange.attempts.place = Some(place.map_err(|full| refused(full, backend, exchange))?);
    }
    service.state.budget.deposit(now);
    let head = session.req_header();
    let copies = backends.mirror.as_ref().zip(gateway.copies.as_ref());
    if let (Some((mirror, copies)), Some(route)) = (copies, exchange.route) {
        let metrics = view.mirror(route).expect("a route that is mirrored counts it");
        let target = || {
            let backend = &mirror.backend;
            let endpoint = pick(backend, &view, head, &exchange.facts, &[])?;
            let host = (!backend.service.plan.preserve_host).then(|| endpoint.host.clone());
            let peer = endpoint.peer(&backend.timeouts, Budget::left(None, now));
            Some(Target { peer, host })
        };
        let request = References { head, facts: &exchange.facts };
        let random = fastrand::u64(..);
        exchange.mirroring = Mirroring::begin(mirror, metrics, copies, request, random, target);
    }
    Ok(())
}

/// Waits for a place, which is nobody's any more when the client leaves meanwhile: then there is
/// none. A client that still owes a part of its body is not watched, since the way to see it leave
/// is to read on, and what is read here would be lost to the service.
pub async fn unless_gone<T>(
    session: &mut Session,
    exchange: &Exchange,
    place: impl Future<Output = T>,
) -> Option<T> {
    let connection = &exchange.facts.connection;
    let gone = async {
        if !session.is_body_done() {
            return pending().await;
        }
        // What a client sends ahead is kept for its next request, and nothing but the end of this
        // one is told.
        let _ = session.as_downstream_mut().read_body_or_idle(true).await;
        if connection.timed_out() || connection.is_attempt_over() {
            // It is there, but its time is over, which whoever waits for the place knows as well.
            pending().await
        }
    };
    tokio::select! {
        biased;
        place = place => Some(place),
        () = gone => None,
    }
}

/// What Pingora is told where the client has left.
pub fn gone() -> Box<Error> {
    Error::explain(ErrorType::ConnectionClosed, "the client left while it waited").into_down()
}

/// Asks a backend's circuit for leave, or finds out who answers in its place.
fn pass(
    backends: &Backends,
    chosen: usize,
    worker: usize,
    now: Instant,
    references: References<'_>,
) -> Result<(usize, Option<Pass>), Stop> {
    let backend = &backends.all[chosen];
    let open = match ask(backend, worker, now) {
        Ok(pass) => return Ok((chosen, pass)),
        Err(open) => open,
    };
    match backend.breaking.as_ref().and_then(|breaking| breaking.fallback.as_ref()) {
        Some(Fallback::Respond(respond)) => Err(Stop::Reply(respond.reply(references))),
        Some(Fallback::Backend(other)) => {
            let pass = ask(&backends.all[*other], worker, now);
            Ok((*other, pass.map_err(Stop::Reject)?))
        }
        None => Err(Stop::Reject(open)),
    }
}

/// Asks a service's circuit for leave, where it has one.
pub fn ask(backend: &Backend, worker: usize, now: Instant) -> Result<Option<Pass>, Rejection> {
    let breaker = backend.breaking.as_ref().and_then(|breaking| breaking.breaker.as_ref());
    let Some(breaker) = breaker else {
        return Ok(None);
    };
    breaker.admit(worker, now).map(Some).map_err(|open| Rejection::Unavailable {
        service: Arc::clone(backend.service.name()),
        retry_after: open.retry_after,
    })
}

/// What the client is told where a compartment has no place.
pub fn refused(full: Full, backend: &Backend, exchange: &mut Exchange) -> Rejection {
    let service = Arc::clone(backend.service.name());
    exchange.facts.cause = Some(full.to_string());
    match full {
        Full::Deadline(_) => Rejection::GatewayTimeout { service },
        _ => Rejection::Unavailable { service, retry_after: ASK_AGAIN },
    }
}
