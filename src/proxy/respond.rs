//! The answer on its way to the client, whoever gave it.

use super::admit;
use super::exchange::Exchange;
use super::forward::via;
use super::head::edit_response;
use super::rest;
use crate::exchange::{Response, connection_options};
use crate::reply::{About, Rejection, Reply, Stop};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, PROXY_AUTHENTICATE, TE};
use http::header::{TRAILER, TRANSFER_ENCODING, UPGRADE, VIA};
use http::{HeaderMap, Method, StatusCode, Version, request, response};
use pingora::http::ResponseHeader;
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
    if !is_final(head.status) {
        edit_response(head, |head| drop_hop_by_hop(&mut head.headers));
        if head.status == StatusCode::CONTINUE {
            // It is the client's turn, if it waited for this.
            exchange.facts.connection.set_patience(None);
        }
        return Ok(());
    }
    if upgraded {
        // From here on it is a tunnel, which lasts as long as its ends like.
        exchange.deadline = None;
        exchange.facts.connection.set_deadline(None);
        exchange.facts.connection.set_patience(None);
        session.set_read_timeout(None);
    }
    last_of_its_connection(session);
    let is_chunked = head.headers.contains_key(TRANSFER_ENCODING);
    let unchunk = is_chunked && session.req_header().version == Version::HTTP_10;
    if unchunk {
        // RFC 9112 §6.1: it knows no chunks, so the end of the connection ends the body.
        session.set_keepalive(None);
    }
    edit_response(head, |head| {
        if !upgraded {
            drop_hop_by_hop(&mut head.headers);
        }
        if session.req_header().version != Version::HTTP_2 {
            // Pingora drops trailers on the way to HTTP/1, so none are to be announced.
            head.headers.remove(TRAILER);
        }
        if unchunk {
            head.headers.remove(TRANSFER_ENCODING);
        }
        head.headers.append(VIA, via(head.version));
        if head.version == Version::HTTP_10 {
            // The version is the sender's own (RFC 9110 §2.5).
            head.version = Version::HTTP_11;
        }
        dress(session.req_header(), head, exchange);
    });
    Ok(())
}

/// Whether a head is a client's answer: an interim one is not, but for 101, after which the
/// connection speaks another protocol.
pub fn is_final(status: StatusCode) -> bool {
    !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS
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
        Stop::Gone => Err(admit::gone()),
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
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = status;
    for (name, value) in headers {
        // A name may stand there twice: each challenge and each cookie has a line of its own.
        head.headers.append(name, value);
    }
    // RFC 9110 §8.6: 204 has no length to say, and that of 304 would be another answer's.
    if !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        head.headers.insert(CONTENT_LENGTH, body.len().into());
    }
    let is_kept = session.as_downstream().get_keepalive().is_some();
    let has_rest = is_kept && rest::announce(session);
    last_of_its_connection(session);
    dress(session.req_header(), &mut head, exchange);
    let head = ResponseHeader::from(head);
    // RFC 9110 §9.3.2: the answer to HEAD says the length of a body that it does not have.
    let bodiless = session.req_header().method == Method::HEAD || body.is_empty();
    session.write_response_header(Box::new(head), bodiless).await?;
    if !bodiless {
        session.write_response_body(Some(body), true).await?;
    }
    if has_rest && session.as_downstream().get_keepalive().is_some() {
        rest::read(session).await;
    }
    Ok(())
}

/// While the process drains, each connection is told that its answer was the last.
fn last_of_its_connection(session: &mut Session) {
    if session.is_process_shutting_down() {
        session.set_keepalive(None);
    }
}

/// What every answer goes through: the policies of its route, or of all where it has none, and the
/// request's id.
fn dress(client: &request::Parts, head: &mut response::Parts, exchange: &mut Exchange) {
    let Exchange { view, facts, states, route, .. } = exchange;
    let chain = match *route {
        Some(index) => &view.snapshot.routes[index].chain,
        None => &view.snapshot.unmatched,
    };
    chain.on_response(&mut Response { head, client, facts }, states);
    let header = &view.snapshot.request_id_header;
    head.headers.insert(header, facts.request_id.clone());
}

/// Drops what belongs to the connection to the service (RFC 9110 §7.6.1), and what a proxy says to
/// the next one alone (§11.7.1): a service is none. What frames the message stays: Pingora reads it.
fn drop_hop_by_hop(fields: &mut HeaderMap) {
    if let Some(named) = named_by_connection(fields) {
        for name in named {
            fields.remove(name);
        }
        fields.remove(CONNECTION);
    }
    // One look at the names costs less than five searches that find nothing.
    let other = [KEEP_ALIVE, PROXY_CONNECTION, UPGRADE, TE, PROXY_AUTHENTICATE];
    if fields.keys().any(|name| other.contains(name)) {
        other.iter().for_each(|name| drop(fields.remove(name)));
    }
}

fn named_by_connection(fields: &HeaderMap) -> Option<Vec<HeaderName>> {
    fields.get(CONNECTION)?;
    // The usual tokens are no fields, or one that goes anyway.
    let is_usual = |token: &[u8]| {
        [&b"keep-alive"[..], b"close"].iter().any(|usual| token.eq_ignore_ascii_case(usual))
    };
    let named = connection_options(fields).filter(|token| !is_usual(token));
    let names = named.filter_map(|token| HeaderName::from_bytes(token).ok());
    Some(names.filter(|name| *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn what_connection_names_goes_and_what_frames_the_body_stays() {
        let mut fields = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Secret"),
            ("connection", "content-length"),
            ("keep-alive", "timeout=5"),
            ("x-secret", "1"),
            ("content-length", "3"),
            ("x-open", "1"),
        ] {
            fields.append(name, HeaderValue::from_static(value));
        }
        drop_hop_by_hop(&mut fields);
        let mut left: Vec<&str> = fields.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "x-open"]);
    }
}
