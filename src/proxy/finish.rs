//! An exchange is over: what is counted and written down of it.

use super::Gateway;
use super::exchange::Exchange;
use super::outcome;
use super::respond::is_final;
use crate::exchange::host;
use crate::limit::Time;
use crate::policy::Finished;
use crate::telemetry::access_log::Entry;
use crate::telemetry::metrics;
use http::{StatusCode, Version};
use pingora::Error;
use pingora_proxy::Session;
use std::borrow::Cow;
use std::fmt::Display;
use std::time::Instant;

/// The status of an exchange whose client left before its answer; nginx's, which log readers know.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Counts an exchange and writes its line.
pub fn record(gateway: &Gateway, session: &Session, error: Option<&Error>, mut exchange: Exchange) {
    if let Some(mirroring) = exchange.mirroring.take() {
        mirroring.end(error.is_none());
    }
    if error.is_none() {
        outcome::completed(&exchange);
    }
    let now = Instant::now();
    let late = exchange.is_late();
    let answered = session.response_written();
    // A client that left after an interim answer has not seen its answer either.
    let answered = answered.filter(|head| is_final(head.status)).map(|head| head.status);
    tell_policies(&mut exchange, answered, now);
    let exchange = &exchange;
    let Exchange { view, facts, route, attempts, .. } = exchange;
    let head = session.req_header();
    let status = answered.map_or(CLIENT_CLOSED_REQUEST, |status| status.as_u16());
    let duration = now - facts.started;
    let answered = attempts.answered.unwrap_or(now);
    let finished = metrics::Finished {
        method: &head.method,
        status,
        duration,
        overhead: (answered - facts.started).saturating_sub(attempts.waited),
        bytes_in: session.body_bytes_read() as u64,
        bytes_out: session.body_bytes_sent() as u64,
    };
    let metrics = view.route(*route);
    metrics.finished(&finished);
    if let Some((way, proof)) = facts.authentication.outcome() {
        metrics.authenticated(way, proof);
    }
    let identity = facts.identity();
    let consumer = identity.and_then(|identity| identity.consumer.as_ref());
    if facts.limited.is_some() {
        let client = match consumer {
            Some(consumer) => Cow::Borrowed(&*consumer.name),
            None => Cow::Owned(facts.client.to_string()),
        };
        let name = route.map(|route| &view.snapshot.routes[route].name);
        let now = Time::of(facts.time);
        if !name.is_some_and(|name| view.snapshot.talkers.refused(name, &client, now)) {
            metrics.rate_limited();
        }
    }

    let cause = match (&facts.cause, error) {
        (Some(cause), _) => Some(Cow::Borrowed(cause.as_str())),
        (None, Some(_)) if late => Some(Cow::Borrowed("the request's time is over")),
        (None, error) => error.map(|error| Cow::Owned(error.to_string())),
    };
    let route = route.map(|index| &view.snapshot.routes[index]);
    let backend = exchange.backend().filter(|_| attempts.count > 0);
    let service = backend.map(|backend| &*backend.service);
    gateway.access_log.write(&Entry {
        time: facts.time,
        request_id: facts.request_id(),
        client: facts.client,
        listener: &facts.connection.listener.name,
        method: head.method.as_str(),
        scheme: facts.connection.scheme(),
        host: host(head),
        path: head.uri.path().as_bytes(),
        query: head.uri.query().map(str::as_bytes),
        protocol: protocol(head.version),
        route: route.map(|route| &*route.name),
        service: service.map(|service| &**service.name()),
        endpoint: attempts.endpoint.as_ref().map(|endpoint| &endpoint.address as &dyn Display),
        status,
        duration,
        upstream: service.map(|_| attempts.waited),
        bytes_in: finished.bytes_in,
        bytes_out: finished.bytes_out,
        attempts: attempts.count,
        trace_id: Some(facts.trace.id()),
        consumer: consumer.map(|consumer| &*consumer.name),
        subject: identity.and_then(|identity| identity.subject()),
        error: cause.as_deref(),
        headers: &head.headers,
    });
}

/// Tells the policies of its route how it went.
fn tell_policies(exchange: &mut Exchange, status: Option<StatusCode>, now: Instant) {
    let Exchange { view, facts, states, route, .. } = exchange;
    if let Some(route) = *route {
        let finished = Finished { status, facts, duration: now - facts.started };
        view.snapshot.routes[route].chain.on_finish(&finished, states);
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
