//! An exchange fails: what the client may know of it.

use super::exchange::Exchange;
use super::outcome::is_stalled;
use super::respond;
use crate::reply::Rejection;
use crate::upstream::classify;
use pingora::{Error, ErrorSource, ErrorType};
use pingora_proxy::{FailToProxy, Session};
use std::sync::Arc;

/// Tells the client, unless its answer has begun or it has left.
pub async fn tell(
    session: &mut Session,
    error: &Error,
    exchange: Option<&mut Exchange>,
) -> FailToProxy {
    const NOT_TOLD: FailToProxy = FailToProxy { error_code: 0, can_reuse_downstream: false };
    let Some(exchange) = exchange else {
        // Only the door could have done this wrong, and then there is not even a listener.
        tracing::error!(%error, "an exchange could not begin");
        return NOT_TOLD;
    };
    let begun = session.response_written();
    // To what a connection speaks after 101, a document would be noise.
    if begun.is_some_and(|head| respond::is_final(head.status)) {
        return NOT_TOLD;
    }
    let stalled = is_stalled(session, exchange, error);
    let Some(rejection) = rejection(error, exchange, stalled) else {
        return NOT_TOLD;
    };
    // Pingora closes the connection after an error; the client is told, so that it does not send
    // its next request into the void.
    session.set_keepalive(None);
    match respond::reject(session, exchange, &rejection).await {
        Ok(()) => {
            FailToProxy { error_code: rejection.status().as_u16(), can_reuse_downstream: false }
        }
        Err(_) => NOT_TOLD,
    }
}

/// What an error means to the client; nothing when it was the client who left. Where it owes a
/// part of its body (`stalled`), the service's silence is the client's.
fn rejection(error: &Error, exchange: &mut Exchange, stalled: bool) -> Option<Rejection> {
    if let Some(rejection) = exchange.rejection.take() {
        return Some(rejection);
    }
    let service = exchange.backend().map(|backend| Arc::clone(backend.service.name()));
    if let Some(service) = service.clone().filter(|_| exchange.is_late()) {
        return Some(Rejection::GatewayTimeout { service });
    }
    match (error.esource(), error.etype()) {
        (ErrorSource::Upstream, _) if stalled => Some(Rejection::RequestTimeout),
        (ErrorSource::Upstream, _) => {
            Some(service.map_or(Rejection::Internal, |name| classify(error).rejection(name)))
        }
        (ErrorSource::Downstream, ErrorType::InvalidHTTPHeader) => {
            Some(Rejection::BadRequest("the request's header fields contradict each other"))
        }
        // What Pingora calls a chunk that is none.
        (ErrorSource::Downstream, ErrorType::Custom("InvalidChunk")) => {
            Some(Rejection::BadRequest("the chunks of the body are malformed"))
        }
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Some(Rejection::RequestTimeout),
        (ErrorSource::Downstream, _) => None,
        _ => Some(Rejection::Internal),
    }
}
