//! What is left of a request's body where the gateway answers without a service.
//!
//! On HTTP/1 the next request of a connection comes behind the body, so the body has to be read
//! before the connection can carry another. It is, where it is small: after the answer, which then
//! need not wait for it. Otherwise the connection is closed, and the client told so. On HTTP/2 an
//! answer ends its stream, and the rest of the body with it (RFC 9113 §8.1).

use http::header::{CONTENT_LENGTH, EXPECT};
use http::request;
use pingora::Result;
use pingora_proxy::Session;
use std::time::Duration;
use tokio::time::timeout;

/// The most bytes that are read for nothing but the connection: a handshake costs about as much.
const SMALL: u64 = 64 * 1024;

/// How long a client may take to send them.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lets the connection be kept where the rest of the body will be read; comes before the answer,
/// whose head says whether it is kept. True where there is a rest to [`read`].
pub fn announce(session: &mut Session) -> bool {
    if session.is_http2() || session.is_body_done() || !worth_reading(session.req_header()) {
        return false;
    }
    // Pingora would close the connection of every request whose body has not been read.
    session.as_downstream_mut().set_close_on_response_before_downstream_finish(false);
    true
}

/// Reads the rest of the body; where it turns out to be large or slow, the connection ends. The
/// client was not told, but may see an end at any time (RFC 9112 §9.5).
pub async fn read(session: &mut Session) {
    if !matches!(timeout(PATIENCE, ends_soon(session)).await, Ok(Ok(true))) {
        session.set_keepalive(None);
    }
}

async fn ends_soon(session: &mut Session) -> Result<bool> {
    let session = session.as_downstream_mut();
    // The client may wait for its answer before it sends more.
    session.finish_body().await?;
    let mut length = 0;
    while let Some(part) = session.read_request_body().await? {
        length += part.len() as u64;
        if length > SMALL {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A client that waits for `100 Continue` sends its body or does not (RFC 9110 §10.1.1), so after
/// another answer nobody knows where its next request begins.
fn worth_reading(head: &request::Parts) -> bool {
    let announced = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    !head.headers.contains_key(EXPECT)
        && announced.is_none_or(|length| length.parse().is_ok_and(|length: u64| length <= SMALL))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worth(name: &'static str, value: &'static str) -> bool {
        let request = http::Request::post("/").header(name, value);
        worth_reading(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_small_body_is_worth_its_connection() {
        assert!(worth("content-length", "65536"));
        assert!(worth("transfer-encoding", "chunked"));
    }

    #[test]
    fn a_large_body_or_one_that_may_never_come_is_not() {
        assert!(!worth("content-length", "65537"));
        assert!(!worth("content-length", "99999999999999999999999"));
        assert!(!worth("expect", "100-continue"));
    }
}
