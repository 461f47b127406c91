//! A request arrives: it becomes an exchange, and is routed and judged.

use super::Gateway;
use super::ask::Asker;
use super::exchange::{Attempts, Exchange};
use super::head::edit_request;
use super::{admit, framing, login, target};
use crate::exchange::{
    Authentication, Connection, Facts, References, Trace, connection_options, host, request_id,
};
use crate::overload::{CLASS, RETRY_AFTER};
use crate::policy::{Request, States, cors};
use crate::reply::{Rejection, Stop};
use crate::route::{Asked, Host, Outcome};
use crate::snapshot::Snapshot;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Version, request};
use pingora::http::RequestHeader;
use pingora::protocols::http::authority::raw_target_authority;
use pingora::{Error, ErrorType, Result};
use pingora_proxy::Session;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Begins an exchange: pins the view, and gives the request its id and its trace.
pub fn begin(gateway: &Gateway, session: &mut Session) -> Result<Exchange> {
    let connection = Arc::clone(connection(session)?);
    let in_flight = connection.begin();
    let (started, time) = (Instant::now(), SystemTime::now());
    let view = gateway.current.pin();
    let body = connection.listener.timeouts.body;
    session.set_read_timeout(Some(body));
    session.set_write_timeout(Some(body));
    // Without it, what a client sent ahead (RFC 9112 §9.3.2) would be dropped.
    session.set_pipelining_enabled(true);

    let framed = framing::framed(session.req_header());
    if framed.is_err() {
        // Nobody knows where the next request begins.
        session.set_keepalive(None);
    }
    let formed = framed.and(target::well_formed(session));
    if session.req_header().version == Version::HTTP_10 {
        // RFC 9110 §15.2: it knows no interim answers.
        session.as_downstream_mut().set_ignore_info_resp(true);
    }

    let head = session.req_header_mut();
    name_host(head)?;
    let tunnel = asks_for_tunnel(head);
    let normalised = edit_request(head, |head| {
        view.snapshot.vouched.strip(&mut head.headers);
        target::normalise(head, connection.listener.paths)
    });
    let fields = &head.headers;
    let theirs = fields.get(&view.snapshot.request_id_header);
    let facts = Facts {
        started,
        time,
        request_id: request_id::keep_or_make(theirs, time),
        trace: Trace::keep_or_make(fields),
        client: client(fields, &connection),
        names: None,
        parameters: None,
        cause: None,
        limited: None,
        authentication: Authentication::default(),
        connection,
    };
    Ok(Exchange {
        facts,
        view,
        states: States::default(),
        route: None,
        deadline: None,
        is_hasty: false,
        tunnel,
        attempts: Attempts::default(),
        mirroring: None,
        // Its id and its line in the log it has all the same.
        rejection: formed.and(normalised).err(),
        in_flight,
        admitted: None,
    })
}

/// Finds the route and runs its policies; stops where one of them has the answer.
pub async fn judge(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<(), Stop> {
    if let Some(rejection) = exchange.rejection.take() {
        return Err(rejection.into());
    }
    let head = session.req_header();
    let Exchange { view, facts, states, .. } = exchange;
    let snapshot = &view.snapshot;
    let host = well_formed(head)?;
    let index = match find(snapshot, host, head) {
        Outcome::Found { rule, path } => {
            facts.parameters = view.parameters(rule, path);
            facts.names = Some(view.names(rule));
            rule
        }
        Outcome::MethodNotAllowed(allow) => {
            return Err(Rejection::MethodNotAllowed { allow }.into());
        }
        Outcome::NotFound => return Err(Rejection::NotFound.into()),
    };
    exchange.route = Some(index);
    let route = &snapshot.routes[index];
    // Before anything is spent on it: credentials are dear to check.
    if let Some(overload) = &gateway.overload {
        match overload.admit(route.priority, || fastrand::u32(..CLASS)) {
            Ok(admitted) => exchange.admitted = Some(admitted),
            Err(reason) => {
                facts.cause = Some(reason.cause().to_owned());
                return Err(Rejection::Overloaded { retry_after: RETRY_AFTER }.into());
            }
        }
    }
    if let Some(limit) = route.time {
        exchange.deadline = facts.started.checked_add(limit);
        facts.connection.set_deadline(exchange.deadline);
    }
    let deadline = exchange.deadline;
    let services = &Asker { caller: gateway.caller.as_ref(), view, deadline };
    route.chain.on_request(&mut Request { head, facts, services }, states).await?;
    if route.answer.login().is_some() {
        return Err(login::serve(gateway, session, exchange).await);
    }
    match route.answer.reply(References { head, facts }) {
        Some(reply) => Err(Stop::Reply(reply?)),
        None => admit::admit(gateway, session, exchange).await,
    }
}

/// Finds the route. A preflight is matched as the request that it asks leave for, whose route
/// answers it; where that route does not, or there is none, it is an `OPTIONS` request like any
/// other.
fn find(snapshot: &Snapshot, host: Host<'_>, head: &request::Parts) -> Outcome {
    if let Some(method) = cors::preflight(head) {
        let found = snapshot.matcher.find(&asked(head, host, Some(&method)));
        if let Outcome::Found { rule, .. } = found
            && snapshot.routes[rule].chain.answers_preflights()
        {
            return found;
        }
    }
    snapshot.matcher.find(&asked(head, host, None))
}

/// What the search for a route reads of a request: of what a preflight asks leave for, no fields
/// are known yet.
fn asked<'a>(head: &'a request::Parts, host: Host<'a>, preflight: Option<&'a Method>) -> Asked<'a> {
    Asked {
        host,
        path: head.uri.path(),
        method: preflight.unwrap_or(&head.method),
        headers: preflight.is_none().then_some(&head.headers),
        query: head.uri.query(),
    }
}

/// Whether a request asks for a tunnel (RFC 9110 §7.8). WebSocket is the one protocol that Pingora
/// passes on (RFC 6455 §4.1); to it, a field `Upgrade` alone would be a request for one.
fn asks_for_tunnel(head: &request::Parts) -> bool {
    let Some(protocol) = head.headers.get(UPGRADE) else {
        return false;
    };
    let has_body =
        head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING);
    let mut options = connection_options(&head.headers);
    head.version == Version::HTTP_11
        && head.method == Method::GET
        && !has_body
        && protocol.as_bytes().eq_ignore_ascii_case(b"websocket")
        && options.any(|option| option.eq_ignore_ascii_case(b"upgrade"))
}

/// Lets a target in absolute form name the host of a client that predates `Host`; a `Host` that
/// says otherwise was refused by Pingora (RFC 9112 §3.2.2).
fn name_host(head: &mut RequestHeader) -> Result<()> {
    let raw = head.raw_path();
    let has_host = head.headers.contains_key(HOST);
    // Of later versions it is an error to have none (RFC 9112 §3.2).
    if head.version != Version::HTTP_10 || raw.first() == Some(&b'/') || has_host {
        return Ok(());
    }
    let named = raw_target_authority(raw).authority().map(HeaderValue::from_bytes);
    match named {
        Some(Ok(host)) => head.insert_header(HOST, host),
        _ => Ok(()),
    }
}

/// Refuses what Pingora's parser lets pass and no service should have to make sense of; the host
/// of what is left.
fn well_formed(head: &request::Parts) -> Result<Host<'_>, Rejection> {
    // RFC 9112 §3.2: a request of HTTP/1.1 without Host is answered with 400.
    let host = host(head);
    let may_lack = host.is_empty() || head.uri.authority().is_some();
    if may_lack && head.version == Version::HTTP_11 && !head.headers.contains_key(HOST) {
        return Err(Rejection::BadRequest("an HTTP/1.1 request needs a Host header"));
    }
    // RFC 3986 §2: a URI is made of ASCII; anything else is percent-encoded.
    if !head.uri.query().is_none_or(str::is_ascii) {
        return Err(Rejection::BadRequest(
            "the target has characters that must be percent-encoded",
        ));
    }
    // RFC 9112 §3.2: a Host that is none is answered with 400.
    Host::parse(host).ok_or(Rejection::BadRequest("the host is no host name or address"))
}

/// The connection that a request came on; the door hangs it on every stream.
fn connection(session: &Session) -> Result<&Arc<Connection>> {
    let digest = session.digest().and_then(|digest| digest.proxy_digest.as_ref());
    let data = digest.and_then(|digest| digest.user_data.as_ref());
    data.and_then(|data| data.downcast_ref()).ok_or_else(|| {
        Error::explain(ErrorType::InternalError, "a stream that did not come through the door")
    })
}

/// The client's address: of the addresses that the proxies in front passed on, the last that is
/// not a trusted proxy itself. Those before it are hearsay.
fn client(fields: &HeaderMap, connection: &Connection) -> IpAddr {
    let peer = connection.peer.ip().to_canonical();
    if !connection.trusted {
        return peer;
    }
    let lines = fields.get_all("x-forwarded-for").iter();
    let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    let mut client = peer;
    for hop in hops {
        let Some(hop) = address(hop.trim()) else {
            break;
        };
        client = hop;
        if !connection.listener.trusted_proxies.contains(client) {
            break;
        }
    }
    client
}

/// An address of `X-Forwarded-For`; some proxies add the port.
pub fn address(text: &str) -> Option<IpAddr> {
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let bare = bracketed.unwrap_or(text);
    let address = bare
        .parse()
        .or_else(|_| text.parse().map(|with_port: std::net::SocketAddr| with_port.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Listener, PathRules, Timeouts};
    use crate::value::CidrSet;

    fn client_of(peer: &str, trusted: &str, forwarded: &[&str]) -> String {
        let trusted_proxies: CidrSet = [trusted.parse().unwrap()].into_iter().collect();
        let timeouts = Timeouts::default();
        let paths = PathRules::default();
        let listener = Arc::new(Listener { name: "test".into(), trusted_proxies, paths, timeouts });
        let peer = std::net::SocketAddr::new(peer.parse().unwrap(), 1);
        let connection = Connection::new(listener, peer, false, Instant::now());
        let mut fields = HeaderMap::new();
        for line in forwarded {
            fields.append("x-forwarded-for", line.parse().unwrap());
        }
        client(&fields, &connection).to_string()
    }

    #[test]
    fn a_stranger_is_who_it_connects_as() {
        assert_eq!(client_of("192.0.2.1", "10.0.0.0/8", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn the_last_address_that_is_not_a_trusted_proxy_is_the_client() {
        let lines = ["203.0.113.9, 198.51.100.7", "10.0.0.2"];
        assert_eq!(client_of("10.0.0.1", "10.0.0.0/8", &lines), "198.51.100.7");
        assert_eq!(client_of("10.0.0.1", "10.0.0.0/8", &["[2001:db8::1]:443"]), "2001:db8::1");
    }

    #[test]
    fn a_chain_that_cannot_be_read_ends_at_the_last_trusted_proxy() {
        assert_eq!(client_of("10.0.0.1", "10.0.0.0/8", &["198.51.100.7, unknown"]), "10.0.0.1");
        assert_eq!(client_of("10.0.0.1", "10.0.0.0/8", &[]), "10.0.0.1");
    }
}
