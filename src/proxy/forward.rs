//! The request on its way to a service.

use super::arrive::address as stated_address;
use super::attempt::{backend, routed};
use super::exchange::Exchange;
use super::head::edit_request;
use super::respond::in_time;
use crate::answer::Backend;
use crate::exchange::{Connection, UpstreamRequest, drop_claims, host, one_cookie_line};
use crate::reply::Rejection;
use crate::upstream::Budget;
use crate::upstream::grpc::{self, GRPC_TIMEOUT};
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, FORWARDED, HOST, PROXY_AUTHORIZATION, UPGRADE, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Version, request};
use pingora::http::RequestHeader;
use pingora::{Error, ErrorType, Result};
use std::fmt::Write;
use std::net::IpAddr;
use std::time::Instant;

/// How many fields a request gets on its way, so that its map grows once: id and trace,
/// `Forwarded` and its elders, `Via`, and some for the policies.
const ADDED_ON_THE_WAY: usize = 10;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Makes the head fit for the service. Pingora has dropped the hop-by-hop fields and those that
/// `Connection` names.
///
/// `is_complete` says that no body follows.
pub fn head(
    client: &request::Parts,
    head: &mut RequestHeader,
    is_complete: bool,
    exchange: &mut Exchange,
) -> Result<()> {
    let judged = edit_request(head, |head| {
        let Exchange { view, facts, states, attempts, route, tunnel, deadline, mirroring, .. } =
            &mut *exchange;
        let backend = backend(view, *route, attempts);
        let service = &backend.service;
        let route = routed(&view.snapshot.routes, *route);
        let fields = &mut head.headers;
        // A copy has room for what it copies alone.
        fields.reserve(ADDED_ON_THE_WAY);
        // What the gateway vouches for is set here and not on the client's head, from which
        // `Connection` could take it away.
        fields.insert(&view.snapshot.request_id_header, facts.request_id.clone());
        facts.trace.set(fields);
        // Of HTTP/2 requests Pingora drops no field, since most of these cannot be in them.
        if client.version == Version::HTTP_2 {
            fields.remove(PROXY_AUTHORIZATION);
        }
        // Pingora takes `Upgrade` alone for a wish, of any request of HTTP/1.1.
        if !*tunnel && fields.remove(UPGRADE).is_some() {
            fields.remove(CONNECTION);
        }
        if !facts.connection.trusted {
            drop_claims(fields, &view.snapshot.request_id_header);
        }
        forwarded(client, fields, &facts.connection);
        one_cookie_line(client, fields);
        // RFC 9110 §7.6.3: each intermediary adds itself.
        fields.append(VIA, via(client.version));
        if service.plan.preserve_host {
            fields.entry(HOST).or_insert_with(|| {
                HeaderValue::from_bytes(host(client)).unwrap_or(HeaderValue::from_static(""))
            });
        } else if let Some(endpoint) = &attempts.endpoint {
            fields.insert(HOST, endpoint.host.clone());
        }
        say_what_is_left(fields, backend, *deadline);
        let mut request = UpstreamRequest { head, client, facts };
        route.chain.on_upstream_request(&mut request, states)?;
        if let Some(mirroring) = mirroring {
            mirroring.request_head(head);
            if is_complete {
                mirroring.request_end();
            }
        }
        Ok(())
    });
    judged.or_else(|rejection| refused(exchange, rejection))
}

/// Says how much time the service has, where it wants to know.
fn say_what_is_left(fields: &mut HeaderMap, backend: &Backend, deadline: Option<Instant>) {
    let is_grpc = backend.service.plan.blueprint.is_grpc;
    let header = backend.timeouts.budget_header.as_ref();
    if !is_grpc && header.is_none() {
        return;
    }
    let Some(left) = Budget::left(deadline, Instant::now()).get() else {
        // What a client says in this field is no more than hearsay.
        header.into_iter().for_each(|header| drop(fields.remove(header)));
        return;
    };
    if is_grpc {
        fields.insert(GRPC_TIMEOUT, grpc::timeout_value(left));
    }
    if let Some(header) = header {
        let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        fields.insert(header, HeaderValue::from(millis));
    }
}

/// Lets the policies see a part of the body.
pub fn body(part: &mut Option<Bytes>, is_last: bool, exchange: &mut Exchange) -> Result<()> {
    in_time(exchange)?;
    let Exchange { view, states, route, .. } = &mut *exchange;
    let judged = routed(&view.snapshot.routes, *route).chain.on_request_body(part, states);
    if let (Some(mirroring), true) = (&mut exchange.mirroring, judged.is_ok()) {
        part.iter().for_each(|part| mirroring.request_part(part));
        if is_last {
            mirroring.request_end();
        }
    }
    judged.or_else(|rejection| refused(exchange, rejection))
}

/// Ends the attempt; what the policy says is answered when Pingora comes to tell the client.
fn refused(exchange: &mut Exchange, rejection: Rejection) -> Result<()> {
    exchange.rejection = Some(rejection);
    Error::e_explain(ErrorType::InternalError, "a policy refused the request")
}

/// Says who the client is and what it asked for: added to what a trusted proxy said, in the place
/// of what anyone else said (RFC 7239, and the older fields that services read).
fn forwarded(client: &request::Parts, fields: &mut HeaderMap, connection: &Connection) {
    let scheme = HeaderValue::from_static(connection.scheme());
    let host = client.headers.get(HOST).cloned();
    let host = host.or_else(|| HeaderValue::from_bytes(host_of(client)?).ok());
    let element = connection.forwarded(host.as_ref(), || element(connection, host.as_ref()));
    let address = connection.address.clone();
    if connection.trusted {
        let translated = translated(client, &element);
        fields.insert(FORWARDED, translated.unwrap_or_else(|| listed(client, &FORWARDED, element)));
        fields.insert(X_FORWARDED_FOR, listed(client, &X_FORWARDED_FOR, address));
        fields.entry(X_FORWARDED_PROTO).or_insert(scheme);
        if let Some(host) = host {
            fields.entry(X_FORWARDED_HOST).or_insert(host);
        }
        return;
    }
    fields.insert(FORWARDED, element);
    fields.insert(X_FORWARDED_FOR, address);
    fields.insert(X_FORWARDED_PROTO, scheme);
    match host {
        Some(host) => drop(fields.insert(X_FORWARDED_HOST, host)),
        None => drop(fields.remove(X_FORWARDED_HOST)),
    }
}

/// The authority of an HTTP/2 request that has no `Host`.
fn host_of(client: &request::Parts) -> Option<&[u8]> {
    Some(host(client)).filter(|host| !host.is_empty())
}

/// What a proxy in front said, several lines as one list (RFC 9110 §5.3), and what is added.
fn listed(client: &request::Parts, name: &HeaderName, added: HeaderValue) -> HeaderValue {
    let mut said = client.headers.get_all(name).iter().peekable();
    if said.peek().is_none() {
        return added;
    }
    let mut list = BytesMut::with_capacity(128);
    for said in said {
        list.extend_from_slice(said.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(added.as_bytes());
    value(list)
}

/// What a proxy in front said in `X-Forwarded-For` alone, as elements of `Forwarded` (RFC 7239
/// §7.4), so that the two fields agree on who the client is.
fn translated(client: &request::Parts, added: &HeaderValue) -> Option<HeaderValue> {
    if client.headers.contains_key(FORWARDED) {
        return None;
    }
    let mut list = BytesMut::with_capacity(128);
    for line in client.headers.get_all(X_FORWARDED_FOR) {
        for address in line.to_str().ok()?.split(',') {
            match stated_address(address.trim())? {
                IpAddr::V4(address) => write!(list, "for={address}, "),
                IpAddr::V6(address) => write!(list, "for=\"[{address}]\", "),
            }
            .expect("a buffer takes what is written to it");
        }
    }
    list.extend_from_slice(added.as_bytes());
    Some(value(list))
}

/// One element of `Forwarded`.
fn element(connection: &Connection, host: Option<&HeaderValue>) -> HeaderValue {
    let mut element = BytesMut::with_capacity(96);
    let peer = connection.peer.ip().to_canonical();
    let host = host.map_or(&b""[..], HeaderValue::as_bytes);
    write_element(&mut element, peer, connection.scheme(), host);
    value(element)
}

/// Writes an element (RFC 7239 §4): IPv6 addresses are bracketed and quoted (§6), and a host that
/// is no token is quoted.
fn write_element(element: &mut BytesMut, peer: IpAddr, scheme: &str, host: &[u8]) {
    let written = match peer {
        IpAddr::V4(peer) => write!(element, "for={peer}"),
        IpAddr::V6(peer) => write!(element, "for=\"[{peer}]\""),
    };
    written.expect("a buffer takes what is written to it");
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._".contains(b);
    // A host has no quotes or backslashes; one that does is left out.
    if !host.is_empty() && !host.iter().any(|b| matches!(b, b'"' | b'\\')) {
        let quote: &[u8] = if host.iter().all(plain) { b"" } else { b"\"" };
        let parts: [&[u8]; 4] = [b";host=", quote, host, quote];
        parts.iter().for_each(|part| element.extend_from_slice(part));
    }
    element.extend_from_slice(b";proto=");
    element.extend_from_slice(scheme.as_bytes());
}

/// The value that was written, which is made of other values and of visible ASCII.
fn value(written: BytesMut) -> HeaderValue {
    HeaderValue::from_maybe_shared(written.freeze()).unwrap_or(HeaderValue::from_static(""))
}

/// What the gateway calls itself, with the version of the message that it got.
pub fn via(version: Version) -> HeaderValue {
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
        let mut element = BytesMut::new();
        write_element(&mut element, peer.parse().unwrap(), "https", host.as_bytes());
        String::from_utf8(element.to_vec()).unwrap()
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
    fn several_lines_of_a_proxy_become_one_list() {
        let mut client = http::Request::new(()).into_parts().0;
        let added = HeaderValue::from_static("10.0.0.1");
        assert_eq!(listed(&client, &X_FORWARDED_FOR, added.clone()), "10.0.0.1");
        for said in ["192.0.2.1", "192.0.2.2, 192.0.2.3"] {
            client.headers.append(X_FORWARDED_FOR, HeaderValue::from_static(said));
        }
        let list = listed(&client, &X_FORWARDED_FOR, added);
        assert_eq!(list, "192.0.2.1, 192.0.2.2, 192.0.2.3, 10.0.0.1");
    }
}
