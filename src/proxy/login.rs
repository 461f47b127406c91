//! A login: the client's body is read whole, and goes to the service that knows.

use super::Gateway;
use super::ask::Asker;
use super::exchange::Exchange;
use crate::answer::login::{Failed, Login};
use crate::exchange::{Authentication, References, Unproven};
use crate::reply::{Rejection, Stop};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderValue, Method};
use pingora::ErrorType;
use pingora_proxy::Session;
use std::sync::Arc;
use std::time::Instant;

/// Answers a login.
pub async fn serve(gateway: &Gateway, session: &mut Session, exchange: &mut Exchange) -> Stop {
    let view = Arc::clone(&exchange.view);
    let login = exchange.route.and_then(|index| view.snapshot.routes[index].answer.login());
    let login = login.expect("a login is routed to");
    if session.req_header().method != Method::POST {
        let allow = HeaderValue::from_static("POST");
        return Rejection::MethodNotAllowed { allow }.into();
    }
    let body = match Login::accepts(session.req_header()) {
        Ok(()) => in_time(exchange.deadline, body(session, login.max_body)).await,
        Err(rejection) => Err(rejection.into()),
    };
    let body = match body {
        Ok(body) => body,
        Err(stop) => return stop,
    };
    let facts = &mut exchange.facts;
    let deadline = exchange.deadline;
    let services = Asker { caller: gateway.caller.as_ref(), view: &view, deadline };
    let references = References { head: session.req_header(), facts };
    match login.answer(body, references, &services).await {
        Ok(reply) => Stop::Reply(reply),
        Err(Failed { rejection, cause }) => {
            if matches!(rejection, Rejection::Unauthenticated { .. }) {
                let why = Unproven::Invalid;
                facts.authentication = Authentication::Refused { way: None, why, claimed: None };
            }
            facts.cause = Some(cause);
            Stop::Reject(rejection)
        }
    }
}

/// Waits for a body until the exchange is over, since a client could send it byte by byte.
async fn in_time(
    deadline: Option<Instant>,
    body: impl Future<Output = Result<Bytes, Stop>>,
) -> Result<Bytes, Stop> {
    let Some(deadline) = deadline else { return body.await };
    let body = tokio::time::timeout_at(deadline.into(), body).await;
    body.unwrap_or_else(|_| Err(Rejection::RequestTimeout.into()))
}

/// Reads a body whole.
async fn body(session: &mut Session, limit: u64) -> Result<Bytes, Stop> {
    let too_large = || Stop::Reject(Rejection::ContentTooLarge { limit });
    let head = session.req_header();
    let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    if head.headers.contains_key(EXPECT) {
        // The client waits for leave to send it (RFC 9110 §10.1.1).
        session.as_downstream_mut().write_continue_response().await.map_err(|_| Stop::Gone)?;
    }
    let mut body = BytesMut::new();
    loop {
        match session.read_request_body().await {
            Ok(Some(part)) if (body.len() + part.len()) as u64 > limit => return Err(too_large()),
            Ok(Some(part)) => body.extend_from_slice(&part),
            Ok(None) => return Ok(body.freeze()),
            Err(error) if *error.etype() == ErrorType::ReadTimedout => {
                return Err(Rejection::RequestTimeout.into());
            }
            Err(_) => return Err(Stop::Gone),
        }
    }
}
