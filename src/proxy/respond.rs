//! The answer on its way to the client, whoever gave it.

use super::attempt::backend;
use super::exchange::Exchange;
use super::forward::via_value;
use crate::exchange::Response;
use crate::reply::{About, Rejection, Reply, Stop};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING, UPGRADE, VIA};
use http::{Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType, Result};
use pingora_proxy::Session;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Makes the head of a service's answer fit for the client.
pub fn upstream_head(
    session: &mut Session,
    head: &mut ResponseHeader,
    exchange: &mut Exchange,
) -> Result<()> {
    let upgraded = head.status == StatusCode::SWITCHING_PROTOCOLS;
    if head.status.is_informational() && !upgraded {
        return Ok(());
    }
    if let Some((now, waited)) = exchange.attempts.settle() {
        exchange.attempts.answered = Some(now);
        let backend = backend(&exchange.view.snapshot.routes, exchange);
        exchange.view.service(backend.index).metrics.answered(waited);
    }
    in_time(exchange)?;
    if upgraded {
        // From here on it is a tunnel, which lasts as long as its ends like.
        exchange.deadline = None;
    } else {
        drop_hop_by_hop(head);
    }
    // An attempt to upgrade had a deadline of its own.
    exchange.facts.connection.set_deadline(exchange.deadline);
    head.append_header(VIA, via_value(head.version))?;
    last_of_its_connection(session);
    dress(session.req_header(), head, exchange)
}

/// Fails when the exchange's time is over. An answer that has begun is then cut off, which the
/// client can tell from its framing.
pub fn in_time(exchange: &Exchange) -> Result<()> {
    match exchange.is_late() {
        true => {
            Err(Error::explain(ErrorType::ReadTimedout, "the request's time is over").into_up())
        }
        false => Ok(()),
    }
}

/// Answers in the place of a service.
pub async fn stop(session: &mut Session, exchange: &mut Exchange, stop: Stop) -> Result<()> {
    match stop {
        Stop::Reply(reply) => write(session, exchange, reply).await,
        Stop::Reject(rejection) => reject(session, exchange, &rejection).await,
    }
}

/// Answers with a problem document.
pub async fn reject(
    session: &mut Session,
    exchange: &mut Exchange,
    rejection: &Rejection,
) -> Result<()> {
    let head = session.req_header();
    let about = About {
        request_id: exchange.facts.request_id(),
        method: head.method.as_str(),
        path: head.uri.path(),
    };
    let reply = rejection.reply(&about);
    write(session, exchange, reply).await
}

async fn write(session: &mut Session, exchange: &mut Exchange, reply: Reply) -> Result<()> {
    let Reply { status, headers, body } = reply;
    let mut head = ResponseHeader::build(status, Some(headers.len() + 4))?;
    for (name, value) in headers {
        head.append_header(name, value)?;
    }
    head.insert_header(CONTENT_LENGTH, body.len())?;
    last_of_its_connection(session);
    dress(session.req_header(), &mut head, exchange)?;
    // RFC 9110 §9.3.2: the answer to HEAD says the length of a body that it does not have.
    let bodiless = session.req_header().method == Method::HEAD || body.is_empty();
    session.write_response_header(Box::new(head), bodiless).await?;
    if !bodiless {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// While the process drains, each connection is told that its answer was the last.
fn last_of_its_connection(session: &mut Session) {
    if session.is_process_shutting_down() {
        session.set_keepalive(None);
    }
}

/// What every answer goes through: the policies of its route, and the request's id.
fn dress(client: &RequestHeader, head: &mut ResponseHeader, exchange: &mut Exchange) -> Result<()> {
    let Exchange { view, facts, states, route, .. } = exchange;
    if let Some(index) = *route {
        let mut response = Response { head, client, facts };
        view.snapshot.routes[index].chain.on_response(&mut response, states);
    }
    let header = view.snapshot.request_id_header.clone();
    head.insert_header(header, facts.request_id.clone())
}

/// Drops what belongs to the connection to the service (RFC 9110 §7.6.1). What frames the message
/// stays: Pingora reads it.
fn drop_hop_by_hop(head: &mut ResponseHeader) {
    if let Some(named) = named_by_connection(head) {
        for name in named {
            head.remove_header(&name);
        }
        head.remove_header(&CONNECTION);
    }
    head.remove_header(&KEEP_ALIVE);
    head.remove_header(&PROXY_CONNECTION);
    head.remove_header(&UPGRADE);
}

fn named_by_connection(head: &ResponseHeader) -> Option<Vec<HeaderName>> {
    head.headers.get(CONNECTION)?;
    let lines = head.headers.get_all(CONNECTION).iter();
    let tokens = lines.flat_map(|line| line.as_bytes().split(|&b| b == b','));
    let names = tokens.filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok());
    Some(names.filter(|name| *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connection_names_goes_and_what_frames_the_body_stays() {
        let mut head = ResponseHeader::build(200, None).unwrap();
        for (name, value) in [
            ("connection", "keep-alive, X-Secret"),
            ("connection", "content-length"),
            ("keep-alive", "timeout=5"),
            ("x-secret", "1"),
            ("content-length", "3"),
            ("x-open", "1"),
        ] {
            head.append_header(name, value).unwrap();
        }
        drop_hop_by_hop(&mut head);
        let mut left: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "x-open"]);
    }
}
