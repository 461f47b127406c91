//! The head of an attempt that the gateway makes by itself.

use crate::exchange::connection_options;
use crate::proxy::exchange::Exchange;
use crate::proxy::forward;
use crate::proxy::head::{as_http1, edit_request};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, PROXY_AUTHORIZATION, TE, TRAILER};
use http::header::{TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, request};
use pingora::Result;
use pingora::http::RequestHeader;

/// What belongs to the client's connection, whatever `Connection` says (RFC 9110 §7.6.1), and what
/// is said to the next proxy alone (§11.7.2). `Expect` is about a body, and there is none.
const OF_THE_CONNECTION: [HeaderName; 12] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Makes the head for the exchange's present endpoint, and the body if a policy gives it one.
///
/// # Errors
///
/// Says that a policy refused it; the exchange has the rejection.
pub fn make(client: &RequestHeader, exchange: &mut Exchange) -> Result<(RequestHeader, Bytes)> {
    let mut head = client.clone();
    edit_request(&mut head, |head| {
        of_the_connection(client).for_each(|name| drop(head.headers.remove(name)));
        as_http1(head);
    });
    forward::head(client, &mut head, true, exchange)?;
    let mut body = None;
    forward::body(&mut body, true, exchange)?;
    Ok((head, body.unwrap_or_default()))
}

/// The fields of a request that end with the client's connection.
fn of_the_connection(client: &request::Parts) -> impl Iterator<Item = HeaderName> {
    let named = connection_options(&client.headers);
    let named = named.filter_map(|option| HeaderName::from_bytes(option).ok());
    named.chain(OF_THE_CONNECTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connection_names_ends_with_it_and_so_does_what_always_does() {
        let mut head = http::Request::get("/").body(()).unwrap().into_parts().0;
        head.headers.append(CONNECTION, "close, X-Hop".parse().unwrap());
        head.headers.append(CONNECTION, "x-other".parse().unwrap());
        let names: Vec<HeaderName> = of_the_connection(&head).collect();
        for name in ["x-hop", "x-other", "connection", "te", "upgrade", "proxy-authorization"] {
            assert!(names.contains(&HeaderName::from_static(name)), "{name} stays");
        }
        assert!(!names.contains(&http::header::HOST));
    }
}
