//! One attempt at a service: which endpoint, on which connection, and how long it may take.

use super::admit;
use super::exchange::{Attempts, Exchange};
use super::outcome;
use super::watch;
use crate::answer::Backend;
use crate::exchange::{Facts, References};
use crate::reply::Rejection;
use crate::snapshot::{Route, View};
use crate::telemetry::metrics::UpstreamError;
use crate::upstream::balance::{Asked, Turn, hash_key};
use crate::upstream::{Budget, Endpoint, HashKey, Protocol, Reuse, Service};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::request;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use pingora_proxy::Session;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When it is worth to ask again for a service that has no endpoint.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// How much of a body Pingora keeps, in bytes, so that it can be sent once more.
const REPLAYED: u64 = 64 * 1024;

/// An attempt that begins.
pub struct Begun {
    /// Whom it connects to, with no more time than is left.
    pub peer: HttpPeer,
    /// How long the service may be silent.
    pub read: Duration,
    /// When it began.
    pub at: Instant,
}

/// Chooses the endpoint of the next attempt, and gives it no more time than is left.
pub async fn peer(session: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
    let next = std::mem::take(&mut exchange.attempts.next);
    if exchange.attempts.count > 0 {
        // No service is waited for between attempts.
        let connection = &exchange.facts.connection;
        connection.set_patience(None);
        connection.begin_attempt(None);
    }
    if !next.after.is_zero() {
        let waited = tokio::time::sleep(next.after);
        admit::unless_gone(session, exchange, waited).await.ok_or_else(admit::gone)?;
    }
    let Begun { mut peer, read, at } = begin(session, exchange, next.is_fresh).await?;
    let retry = backend(&exchange.view, exchange.route, &exchange.attempts).retry();
    let per_try = retry.per_try_timeout;
    set_patience(session, exchange, &mut peer, per_try, read, at);
    Ok(Box::new(peer))
}

/// Begins an attempt at an endpoint that it chooses, with all that it needs of its service.
pub async fn begin(
    session: &mut Session,
    exchange: &mut Exchange,
    is_fresh: bool,
) -> Result<Begun> {
    let view = Arc::clone(&exchange.view);
    let backend = backend(&view, exchange.route, &exchange.attempts);
    let now = Instant::now();
    let budget = Budget::left(exchange.deadline, now);
    hold(session, exchange, backend, &view, budget, now).await?;
    let head = session.req_header();
    let attempts = &exchange.attempts;
    let Some(endpoint) = pick(backend, &view, head, &exchange.facts, &attempts.tried) else {
        view.service(backend.index).metrics.failed(UpstreamError::Resolve);
        let service = Arc::clone(backend.service.name());
        let rejection = Rejection::Unavailable { service, retry_after: ASK_AGAIN };
        return Err(stop(exchange, rejection, "no endpoint can be asked"));
    };
    Ok(begin_at(endpoint, head, exchange, budget, is_fresh))
}

/// Begins an attempt at an endpoint.
pub fn begin_at(
    endpoint: Arc<Endpoint>,
    head: &request::Parts,
    exchange: &mut Exchange,
    budget: Budget,
    is_fresh: bool,
) -> Begun {
    let view = Arc::clone(&exchange.view);
    let backend = backend(&view, exchange.route, &exchange.attempts);
    let at = Instant::now();
    let attempts = &mut exchange.attempts;
    if let Some(breaker) = &endpoint.live.breaker {
        // Another worker may have taken the place of a probe meanwhile: then this one is its own.
        attempts.held.endpoint_pass = breaker.admit(view.worker, at).ok();
    }
    attempts.began = Some(at);
    attempts.count += 1;
    attempts.tries += 1;
    attempts.endpoint = Some(Arc::clone(&endpoint));
    let per_try = backend.retry().per_try_timeout;
    let mut peer = endpoint.peer(&backend.timeouts, budget.at_most(per_try));
    attempts.held.occupied = Some(endpoint.occupy());
    if is_fresh || needs_fresh(&backend.service, head, exchange) {
        // A connection of a group of its own is in no pool, and is kept for nobody.
        peer.group_key = fastrand::u64(1..);
        peer.options.idle_timeout = Some(Duration::ZERO);
    }
    Begun { peer, read: budget.cap(backend.timeouts.read), at }
}

/// Takes what an attempt needs of its service beside an endpoint: the leave of its circuit, which
/// the first attempt has got already, and a place for its connection.
async fn hold(
    session: &mut Session,
    exchange: &mut Exchange,
    backend: &Backend,
    view: &View,
    budget: Budget,
    now: Instant,
) -> Result<()> {
    let pass = match exchange.attempts.pass.take() {
        None if exchange.attempts.count > 0 => match admit::ask(backend, view.worker, now) {
            Ok(pass) => pass,
            Err(open) => return Err(stop(exchange, open, "the circuit has opened")),
        },
        pass => pass,
    };
    exchange.attempts.held.pass = pass;
    if let Some(bulkhead) = &backend.service.bulkhead {
        match admit::unless_gone(session, exchange, bulkhead.connect(budget.get())).await {
            None => return Err(admit::gone()),
            Some(Ok(place)) => exchange.attempts.held.connection = Some(place),
            Some(Err(full)) => {
                let rejection = admit::refused(full, backend, exchange);
                return Err(stop(exchange, rejection, full.label()));
            }
        }
    }
    Ok(())
}

/// Ends the exchange; what there is to say is said when Pingora comes to tell the client.
fn stop(exchange: &mut Exchange, rejection: Rejection, cause: &str) -> Box<Error> {
    exchange.rejection = Some(rejection);
    exchange.facts.cause.get_or_insert_with(|| cause.to_owned());
    Error::new_up(ErrorType::ConnectNoRoute)
}

/// Picks an endpoint for a request; one that was not tried before, while there is one.
pub fn pick(
    backend: &Backend,
    view: &View,
    head: &request::Parts,
    facts: &Facts,
    tried: &[Arc<Endpoint>],
) -> Option<Arc<Endpoint>> {
    let Backend { service, index, .. } = backend;
    let now = Instant::now();
    // A retry takes nobody's turn: if it did, every next request would begin at the same endpoint as
    // this one, which has just failed.
    let aside = (!tried.is_empty()).then(|| Turn::new(fastrand::u64(..)));
    let mut asked = Asked {
        turn: aside.as_ref().unwrap_or(&view.service(*index).turn),
        random: || fastrand::u64(..),
        key: service.plan.hash_key.as_ref().and_then(|key| hash(key, head, facts)),
        now,
        in_flight: service.state.in_flight(),
    };
    let closed = |endpoint: &Endpoint| {
        let breaker = endpoint.live.breaker.as_ref();
        breaker.is_some_and(|breaker| !breaker.lets_in(now))
    };
    service.roster().pick(&mut asked, tried, closed).cloned()
}

/// The hash of what a request is kept together by, where it has that.
fn hash(key: &HashKey, head: &request::Parts, facts: &Facts) -> Option<u64> {
    match (key, facts.client) {
        (HashKey::Client, IpAddr::V4(client)) => Some(hash_key(&client.octets())),
        (HashKey::Client, IpAddr::V6(client)) => Some(hash_key(&client.octets())),
        (HashKey::Template(template), _) => {
            // Its parts stand in different places of the request, so they have to be brought
            // together.
            let mut text = Vec::with_capacity(64);
            template.render(&References { head, facts }, &mut text).then(|| hash_key(&text))
        }
    }
}

/// Whether a request must not go on a connection that was used before: the service may close it at
/// this moment, and nobody could say whether it had acted on the request.
fn needs_fresh(service: &Service, head: &request::Parts, exchange: &Exchange) -> bool {
    match service.plan.reuse {
        Reuse::Always => false,
        Reuse::Never => true,
        // HTTP/2 says which streams it has not looked at (RFC 9113 §6.8).
        Reuse::Safe => {
            service.plan.blueprint.protocol == Protocol::Http1
                && !exchange.tunnel
                && exchange.facts.connection.is_first_request()
                && !may_be_repeated(head)
        }
    }
}

/// Whether a request may be sent once more, and can be: what RFC 9110 §9.2.2 calls idempotent, or
/// its client does, with a body that is kept.
fn may_be_repeated(head: &request::Parts) -> bool {
    let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse::<u64>().ok()).unwrap_or(0);
    (head.method.is_idempotent() || outcome::has_idempotency_key(head)) && length <= REPLAYED
}

/// Says who keeps which of an attempt's times: Pingora, whose read time runs all the while, or the
/// connection, which knows whose turn it is. `read` is how long the service may be silent.
fn set_patience(
    session: &mut Session,
    exchange: &Exchange,
    peer: &mut HttpPeer,
    per_try: Option<Duration>,
    read: Duration,
    now: Instant,
) {
    let options = &mut peer.options;
    let connection = &exchange.facts.connection;
    let body = connection.listener.timeouts.body;
    let is_uploaded = session.is_body_done();
    // Where the client still has to send, the time of the try begins when it has.
    let limit = per_try.filter(|_| is_uploaded).and_then(|time| now.checked_add(time));
    connection.begin_attempt(limit);
    let backend = backend(&exchange.view, exchange.route, &exchange.attempts);
    // Pingora waits for an HTTP/1.1 service anew with each part of the upload, for the head of an
    // HTTP/2 service once, from the start of the attempt.
    let waits_anew = backend.service.plan.blueprint.protocol == Protocol::Http1;
    if session.is_http2() {
        // Pingora waits for a part of a body on HTTP/2 without a limit, but for the service at the
        // same time, and nothing else wakes up there: the shorter patience of the two ends both,
        // for the longer one would leave a client that stopped sending its stream for `read`. Where
        // the wait is for the whole upload, it is as long as the operator gives the service.
        let patience = if is_uploaded || !waits_anew { read } else { read.min(body) };
        options.read_timeout = (!exchange.tunnel).then_some(patience);
    } else if exchange.tunnel {
        // A tunnel may be silent, but the answer that opens it must come in time.
        options.read_timeout = None;
        connection.set_patience(Some(read));
    } else if is_uploaded {
        options.read_timeout = Some(read);
        connection.set_patience(None);
    } else {
        // Pingora's read time runs while the client is silent, for which `body` is the time, so
        // here it is for a service that takes nothing any more. The connection keeps `read` from
        // the moment that it is the service's turn: now, if the client waits for its word.
        let waits = session.req_header().headers.contains_key(EXPECT);
        connection.set_patience(Some(read).filter(|_| waits));
        // An upload may take longer than any wait: what an HTTP/2 service does not take is a matter
        // of the time for writing.
        options.read_timeout = waits_anew.then(|| read.max(body));
    }
}

/// A part of the request's body passes: after the last one it is the service's turn, before that
/// the client's.
pub fn uploaded(exchange: &mut Exchange, is_last: bool) {
    if is_last {
        watch::uploaded(exchange);
    }
    if !exchange.tunnel {
        let backend = backend(&exchange.view, exchange.route, &exchange.attempts);
        let connection = &exchange.facts.connection;
        let patience = is_last.then_some(backend.timeouts.read);
        connection.set_patience(patience);
        if let Some(time) = backend.retry().per_try_timeout.filter(|_| is_last) {
            connection.begin_attempt(Instant::now().checked_add(time));
        }
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
