//! What a line says: the fields of an entry in their fixed order.

use std::fmt::Display;
use std::io::Write;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName};

use super::options::{Format, Masked, Options};
use super::time::Clock;
use super::{json, query};

/// Room for a line of usual length, made at once rather than piece by piece.
const USUAL: usize = 768;

/// What there is to say about one request. What is text here holds nothing that JSON escapes:
/// names that were checked, tokens and words of the protocol. What clients chose freely is bytes.
pub struct Entry<'a> {
    /// When the request arrived.
    pub time: SystemTime,
    /// The id that the client was given too.
    pub request_id: &'a str,
    /// The client's address, as trusted proxies told it.
    pub client: IpAddr,
    /// The listener's name.
    pub listener: &'a str,
    /// The request's method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The host asked for, as sent.
    pub host: &'a [u8],
    /// The path, without the query.
    pub path: &'a [u8],
    /// The query, without its `?`.
    pub query: Option<&'a [u8]>,
    /// The protocol, like `HTTP/1.1`.
    pub protocol: &'a str,
    /// The route that matched.
    pub route: Option<&'a str>,
    /// The service that answered, or should have.
    pub service: Option<&'a str>,
    /// The service's endpoint of the last attempt.
    pub endpoint: Option<&'a dyn Display>,
    /// What the client got.
    pub status: u16,
    /// The time from the request head to the end of the response.
    pub duration: Duration,
    /// The time that the service took.
    pub upstream: Option<Duration>,
    /// The bytes of the request's body.
    pub bytes_in: u64,
    /// The bytes of the response's body.
    pub bytes_out: u64,
    /// How often the service was tried.
    pub attempts: u32,
    /// The trace's id, as hex text.
    pub trace_id: Option<&'a str>,
    /// The consumer that asked, where it is one.
    pub consumer: Option<&'a str>,
    /// Who asked, where that was found out. It may be any text.
    pub subject: Option<&'a str>,
    /// What went wrong, in words for the operator.
    pub error: Option<&'a str>,
    /// The request's headers, of which those in [`Options::headers`] are logged.
    pub headers: &'a HeaderMap,
}

/// The options as they concern a line, prepared once.
pub(super) struct Layout {
    slow: Duration,
    masked_parameters: Box<[Box<[u8]>]>,
    headers: Box<[Header]>,
}

struct Header {
    name: HeaderName,
    /// The name as a JSON key, up to the quote that begins the value.
    key: Box<[u8]>,
    masked: bool,
}

impl Layout {
    pub(super) fn new(options: &Options) -> Layout {
        let Format::Json = options.format;
        let masked_parameters = options.mask.iter().filter_map(|masked| match masked {
            Masked::Query(name) => Some(name.as_bytes().into()),
            Masked::Header(_) => None,
        });
        let headers = options.headers.iter().map(|name| Header {
            name: name.clone(),
            // Header names are tokens, in which nothing needs escaping.
            key: format!("\"{name}\":\"").into_bytes().into(),
            masked: options.mask.contains(&Masked::Header(name.clone())),
        });
        Layout {
            slow: options.slow.unwrap_or(Duration::MAX),
            masked_parameters: masked_parameters.collect(),
            headers: headers.collect(),
        }
    }

    /// Appends one line with its end.
    pub(super) fn write(&self, out: &mut Vec<u8>, clock: &mut Clock, entry: &Entry<'_>) {
        let slow = entry.duration >= self.slow;
        out.reserve(USUAL);
        put(out, br#"{"time":""#);
        clock.write(out, entry.time);
        put(
            out,
            if slow {
                br#"","level":"warn","request_id":"#
            } else {
                br#"","level":"info","request_id":"#
            },
        );
        json::plain(out, entry.request_id);
        put(out, br#","client":""#);
        address(out, entry.client);
        put(out, br#"","listener":"#);
        json::plain(out, entry.listener);
        put(out, br#","method":"#);
        json::plain(out, entry.method);
        put(out, br#","scheme":"#);
        json::plain(out, entry.scheme);
        put(out, br#","host":"#);
        json::string(out, entry.host);
        put(out, br#","path":"#);
        json::string(out, entry.path);
        if let Some(query) = entry.query {
            put(out, br#","query":""#);
            query::masked(out, query, &self.masked_parameters);
            out.push(b'"');
        }
        put(out, br#","protocol":"#);
        json::plain(out, entry.protocol);
        named(out, br#","route":"#, entry.route);
        named(out, br#","service":"#, entry.service);
        if let Some(endpoint) = entry.endpoint {
            put(out, br#","endpoint":"#);
            json::display(out, endpoint);
        }
        put(out, br#","status":"#);
        json::integer(out, entry.status.into());
        put(out, br#","duration_ms":"#);
        json::milliseconds(out, entry.duration);
        if slow {
            put(out, br#","slow":true"#);
        }
        if let Some(upstream) = entry.upstream {
            put(out, br#","upstream_ms":"#);
            json::milliseconds(out, upstream);
        }
        put(out, br#","bytes_in":"#);
        json::integer(out, entry.bytes_in);
        put(out, br#","bytes_out":"#);
        json::integer(out, entry.bytes_out);
        put(out, br#","attempts":"#);
        json::integer(out, entry.attempts.into());
        named(out, br#","trace_id":"#, entry.trace_id);
        named(out, br#","consumer":"#, entry.consumer);
        optional(out, br#","subject":"#, entry.subject.map(str::as_bytes));
        optional(out, br#","error":"#, entry.error.map(str::as_bytes));
        self.write_headers(out, entry.headers);
        put(out, b"}\n");
    }

    /// Appends the headers that are to be logged and were sent, if any. Several values of one
    /// header are joined by commas, as RFC 9110 §5.2 has it.
    fn write_headers(&self, out: &mut Vec<u8>, sent: &HeaderMap) {
        let mut before: &[u8] = br#","headers":{"#;
        for header in &self.headers {
            let mut values = sent.get_all(&header.name).iter();
            let Some(first) = values.next() else {
                continue;
            };
            put(out, before);
            before = b",";
            put(out, &header.key);
            if header.masked {
                put(out, query::MASK);
            } else {
                json::text(out, first.as_bytes());
                for value in values {
                    put(out, b", ");
                    json::text(out, value.as_bytes());
                }
            }
            out.push(b'"');
        }
        if before == b"," {
            out.push(b'}');
        }
    }
}

fn named(out: &mut Vec<u8>, key: &[u8], name: Option<&str>) {
    if let Some(name) = name {
        put(out, key);
        json::plain(out, name);
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

fn optional(out: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    if let Some(value) = value {
        put(out, key);
        json::string(out, value);
    }
}

fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            json::integer(out, a.into());
            for octet in [b, c, d] {
                out.push(b'.');
                json::integer(out, octet.into());
            }
        }
        IpAddr::V6(address) => write!(out, "{address}").expect("a Vec takes all bytes"),
    }
}

#[cfg(test)]
mod tests;
