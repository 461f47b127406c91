//! The request on its way to a service.

use super::attempt::backend;
use super::exchange::Exchange;
use crate::exchange::{Connection, UpstreamRequest, host};
use crate::reply::Rejection;
use bytes::{Bytes, BytesMut};
use http::header::{FORWARDED, HOST, PROXY_AUTHORIZATION, VIA};
use http::{HeaderName, HeaderValue, Uri, Version};
use pingora::http::RequestHeader;
use pingora::{Error, ErrorType, Result};
use std::fmt::Write;
use std::net::IpAddr;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Makes the head fit for the service. Pingora has dropped the hop-by-hop fields and those that
/// `Connection` names.
pub fn head(
    client: &RequestHeader,
    head: &mut RequestHeader,
    exchange: &mut Exchange,
) -> Result<()> {
    let view = exchange.view.clone();
    let backend = backend(&view.snapshot.routes, exchange);
    let connection = &exchange.facts.connection;
    origin_form(head);
    // Of HTTP/2 requests Pingora drops no field, since most of these cannot be in them.
    head.remove_header(&PROXY_AUTHORIZATION);
    forwarded(client, head, connection)?;
    via(client, head)?;
    if backend.service.preserve_host {
        if !head.headers.contains_key(HOST) {
            let host = HeaderValue::from_bytes(host(client));
            head.insert_header(HOST, host.unwrap_or(HeaderValue::from_static("")))?;
        }
    } else if let Some((number, _)) = exchange.attempts.endpoint {
        head.insert_header(HOST, backend.service.endpoints[number].host.clone())?;
    }

    let route = &view.snapshot.routes[exchange.route.expect("a proxied exchange is routed")];
    let facts = &exchange.facts;
    let mut request = UpstreamRequest { head, client, facts };
    match route.chain.on_upstream_request(&mut request, &mut exchange.states) {
        Ok(()) => Ok(()),
        Err(rejection) => refused(exchange, rejection),
    }
}

/// Lets the policies see a part of the body.
pub fn body(part: &mut Option<Bytes>, exchange: &mut Exchange) -> Result<()> {
    let view = exchange.view.clone();
    let route = &view.snapshot.routes[exchange.route.expect("a proxied exchange is routed")];
    match route.chain.on_request_body(part, &mut exchange.states) {
        Ok(()) => Ok(()),
        Err(rejection) => refused(exchange, rejection),
    }
}

/// Ends the attempt; what the policy says is answered when Pingora comes to tell the client.
fn refused(exchange: &mut Exchange, rejection: Rejection) -> Result<()> {
    exchange.rejection = Some(rejection);
    Error::e_explain(ErrorType::InternalError, "a policy refused the request")
}

/// An origin gets the path alone (RFC 9112 §3.2.1), whatever form the client used.
fn origin_form(head: &mut RequestHeader) {
    if head.raw_path().first() == Some(&b'/') || head.uri.authority().is_some() {
        return;
    }
    if let Some(path) = head.uri.path_and_query().cloned() {
        head.set_uri(Uri::from(path));
    }
}

/// Says who the client is and what it asked for: added to what a trusted proxy said, in the place
/// of what anyone else said (RFC 7239, and the older fields that services read).
fn forwarded(
    client: &RequestHeader,
    head: &mut RequestHeader,
    connection: &Connection,
) -> Result<()> {
    let peer = connection.peer.ip().to_canonical();
    let scheme = connection.scheme();
    let host = host(client);

    let mut line = BytesMut::with_capacity(96);
    let mut addresses = BytesMut::with_capacity(40);
    if connection.trusted {
        prior(client, &FORWARDED, &mut line);
        prior(client, &X_FORWARDED_FOR, &mut addresses);
    }
    write_forwarded(&mut line, peer, scheme, host);
    head.insert_header(FORWARDED, value(line))?;
    write!(addresses, "{peer}").expect("a buffer takes what is written to it");
    head.insert_header(X_FORWARDED_FOR, value(addresses))?;

    if !connection.trusted || !client.headers.contains_key(X_FORWARDED_PROTO) {
        head.insert_header(X_FORWARDED_PROTO, HeaderValue::from_static(scheme))?;
    }
    if !connection.trusted || !client.headers.contains_key(X_FORWARDED_HOST) {
        match HeaderValue::from_bytes(host) {
            Ok(host) if !host.is_empty() => head.insert_header(X_FORWARDED_HOST, host)?,
            _ => drop(head.remove_header(&X_FORWARDED_HOST)),
        }
    }
    Ok(())
}

/// One element of `Forwarded` (RFC 7239 §4): IPv6 addresses are bracketed and quoted (§6), and a
/// host that is no token is quoted.
fn write_forwarded(line: &mut BytesMut, peer: IpAddr, scheme: &str, host: &[u8]) {
    let written = match peer {
        IpAddr::V4(peer) => write!(line, "for={peer}"),
        IpAddr::V6(peer) => write!(line, "for=\"[{peer}]\""),
    };
    written.expect("a buffer takes what is written to it");
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._".contains(b);
    if !host.is_empty() {
        let quote: &[u8] = if host.iter().all(plain) { b"" } else { b"\"" };
        let parts: [&[u8]; 4] = [b";host=", quote, host, quote];
        // A host has no quotes or backslashes; one that does is left out.
        if !host.iter().any(|b| matches!(b, b'"' | b'\\')) {
            parts.iter().for_each(|part| line.extend_from_slice(part));
        }
    }
    line.extend_from_slice(b";proto=");
    line.extend_from_slice(scheme.as_bytes());
}

/// Copies what a proxy in front said, several lines as one list (RFC 9110 §5.3).
fn prior(client: &RequestHeader, name: &HeaderName, list: &mut BytesMut) {
    for said in client.headers.get_all(name) {
        list.extend_from_slice(said.as_bytes());
        list.extend_from_slice(b", ");
    }
}

/// The value that was written, which is made of other values and of visible ASCII.
fn value(written: BytesMut) -> HeaderValue {
    HeaderValue::from_maybe_shared(written.freeze()).unwrap_or(HeaderValue::from_static(""))
}

/// Adds the gateway to the intermediaries that the request passed (RFC 9110 §7.6.3).
fn via(client: &RequestHeader, head: &mut RequestHeader) -> Result<()> {
    head.append_header(VIA, via_value(client.version))?;
    Ok(())
}

/// What the gateway calls itself, with the version of the message that it got.
pub fn via_value(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_2 => "2 sluicegate",
        Version::HTTP_10 => "1.0 sluicegate",
        _ => "1.1 sluicegate",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(peer: &str, host: &str) -> String {
        let mut line = BytesMut::new();
        write_forwarded(&mut line, peer.parse().unwrap(), "https", host.as_bytes());
        String::from_utf8(line.to_vec()).unwrap()
    }

    #[test]
    fn an_element_quotes_what_is_no_token() {
        assert_eq!(element("192.0.2.1", "a.example"), "for=192.0.2.1;host=a.example;proto=https");
        assert_eq!(
            element("2001:db8::1", "a.example:8443"),
            "for=\"[2001:db8::1]\";host=\"a.example:8443\";proto=https"
        );
        assert_eq!(element("192.0.2.1", ""), "for=192.0.2.1;proto=https");
        assert_eq!(element("192.0.2.1", "a\"b"), "for=192.0.2.1;proto=https");
    }

    #[test]
    fn an_absolute_target_goes_on_as_its_path() {
        let mut head = RequestHeader::build("GET", b"http://a.example/b?c", None).unwrap();
        origin_form(&mut head);
        assert_eq!(head.raw_path(), b"/b?c");
    }
}
