//! What a policy sees of one request, and what the gateway knows about it.
//!
//! State has three homes. [`Facts`] are for all to read; a policy's own `State` is seen by it
//! alone (`policy.rs`); the fields of one stage stay in that stage (`proxy.rs`).

mod assertion;
mod certificate;
mod claims;
mod connection;
mod cookie_line;
mod field;
mod identity;
mod normalise;
mod options;
mod parameters;
pub mod request_id;
#[cfg(test)]
pub(crate) mod sample;
mod trace;
mod vouched;

pub use assertion::{Asserted, Assertion, signers};
pub use certificate::{AlternativeName, BadCertificate, ClientCertificate};
pub use claims::drop_claims;
pub use connection::{Connection, InFlight, Listener, Phase, Timeouts};
pub use cookie_line::one_cookie_line;
pub use field::FieldValue;
pub use identity::{Authentication, Claimed, Consumer, Identity, Unproven, find_claim};
pub use normalise::{EmptySegments, EncodedSlashes, PathRules};
pub use options::{connection_options, drop_of_the_connection};
pub use parameters::Parameters;
pub use trace::Trace;
pub use vouched::Vouched;

use crate::value::{Reference, Source};
use http::{HeaderValue, request, response};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// What is known of one request, whoever asks.
#[derive(Debug)]
pub struct Facts {
    /// When its head was complete, on the clock that never steps.
    pub started: Instant,
    /// The same moment on the wall clock, for logs and ids.
    pub time: SystemTime,
    /// The request id, kept from the client or made; fit for a header as it is.
    pub request_id: HeaderValue,
    /// The trace that it belongs to, kept from the client or made.
    pub trace: Trace,
    /// The client's address, as far as trusted proxies vouch for it; otherwise the peer's.
    pub client: IpAddr,
    /// What its route is called, once that is known.
    pub names: Option<Arc<Names>>,
    /// Where the path's named parts are found, once the route is known and if it names any.
    pub parameters: Option<Arc<Parameters>>,
    /// What went wrong, for the log alone.
    pub cause: Option<String>,
    /// The limit that it is over, if one has refused it.
    pub limited: Option<Arc<str>>,
    /// Who is asking, as far as that was asked.
    pub authentication: Authentication,
    /// The connection that it came on.
    pub connection: Arc<Connection>,
}

impl Facts {
    /// The request id as text; an id is visible ASCII by construction.
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// Who is asking, where that was found out.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        match &self.authentication {
            Authentication::Known(identity) => Some(identity),
            _ => None,
        }
    }
}

/// What a route and the service that answers it are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The route's name.
    pub route: Box<str>,
    /// The service's, where there is exactly one.
    pub service: Option<Box<str>>,
}

/// A request on its way to a service: an owned copy of the head, made anew for each attempt.
#[derive(Debug)]
pub struct UpstreamRequest<'a> {
    /// The head that the service will get.
    pub head: &'a mut request::Parts,
    /// The client's head, for references.
    pub client: &'a request::Parts,
    /// What is known of the request.
    pub facts: &'a Facts,
}

/// An answer on its way out, whoever made it.
#[derive(Debug)]
pub struct Response<'a> {
    /// The head that the client will get.
    pub head: &'a mut response::Parts,
    /// The client's request head, for references.
    pub client: &'a request::Parts,
    /// What is known of the request.
    pub facts: &'a Facts,
}

/// The host that a request names: the authority of HTTP/2 or of an absolute target, else `Host`.
pub fn host(head: &request::Parts) -> &[u8] {
    if let Some(authority) = head.uri.authority() {
        return authority.as_str().as_bytes();
    }
    head.headers.get(http::header::HOST).map_or(b"".as_slice(), HeaderValue::as_bytes)
}

/// Resolves the `$(…)` of templates against one request.
#[derive(Debug, Clone, Copy)]
pub struct References<'a> {
    /// The client's head.
    pub head: &'a request::Parts,
    /// What is known of the request.
    pub facts: &'a Facts,
}

impl Source for References<'_> {
    fn value(&self, reference: &Reference) -> Option<Cow<'_, [u8]>> {
        match reference {
            Reference::ClientIp => Some(self.facts.client.to_string().into_bytes().into()),
            Reference::RequestId => Some(self.facts.request_id.as_bytes().into()),
            Reference::RequestMethod => Some(self.head.method.as_str().as_bytes().into()),
            Reference::RequestHost => Some(host(self.head).into()),
            Reference::RequestPath => Some(self.head.uri.path().as_bytes().into()),
            Reference::RouteName => Some(self.facts.names.as_ref()?.route.as_bytes().into()),
            Reference::ServiceName => {
                Some(self.facts.names.as_ref()?.service.as_ref()?.as_bytes().into())
            }
            Reference::Header(name) => self.head.headers.get(name).map(|v| v.as_bytes().into()),
            Reference::Query(name) => query(self.head.uri.query()?, name),
            Reference::Path(name) => {
                self.facts.parameters.as_ref()?.value(self.head.uri.path(), name)
            }
            Reference::Cookie(name) => cookie(self.head, name).map(Cow::Borrowed),
            Reference::Identity(name) => self.facts.identity()?.text(name),
            Reference::Consumer(field) => self.facts.identity()?.consumer.as_ref()?.text(*field),
            // It is known to a login alone, which has a source of its own.
            Reference::Answer(_) => None,
        }
    }
}

/// The first value of a query parameter, percent-decoded, `+` left as it is.
fn query<'a>(query: &'a str, name: &str) -> Option<Cow<'a, [u8]>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key: Cow<'_, [u8]> = percent_encoding::percent_decode_str(key).into();
        (*key == *name.as_bytes()).then(|| percent_encoding::percent_decode_str(value).into())
    })
}

/// The first cookie of a name (RFC 6265 §4.2.1).
fn cookie<'a>(head: &'a request::Parts, name: &str) -> Option<&'a [u8]> {
    let lines = head.headers.get_all(http::header::COOKIE).iter();
    lines.flat_map(|line| line.as_bytes().split(|&b| b == b';')).find_map(|pair| {
        let pair = pair.trim_ascii();
        let value = pair.strip_prefix(name.as_bytes())?;
        value.strip_prefix(b"=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &str, fields: &[(&'static str, &'static str)]) -> request::Parts {
        let mut head = http::Request::get(target).body(()).unwrap().into_parts().0;
        for (name, value) in fields {
            head.headers.append(*name, HeaderValue::from_static(value));
        }
        head
    }

    #[test]
    fn a_query_parameter_is_found_by_its_decoded_name_and_value() {
        let value = query("a=1&b%5B%5D=x%20y&b[]=z", "b[]").unwrap();
        assert_eq!(&*value, b"x y");
        assert_eq!(query("a=1", "b"), None);
        assert_eq!(query("flag&a=1", "flag").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn a_cookie_is_found_across_lines_and_not_by_a_prefix_of_its_name() {
        let head = head("/", &[("cookie", "aa=1; b=2"), ("cookie", "a=3")]);
        assert_eq!(cookie(&head, "a"), Some(&b"3"[..]));
        assert_eq!(cookie(&head, "b"), Some(&b"2"[..]));
        assert_eq!(cookie(&head, "c"), None);
    }

    #[test]
    fn the_host_is_the_field_where_the_target_names_none() {
        assert_eq!(host(&head("/", &[("host", "a.example:80")])), b"a.example:80");
        assert_eq!(host(&head("/", &[])), b"");
    }
}
