//! Calls that the gateway makes by itself, apart from Pingora's proxying: health checks, mirrored
//! and hedged requests, whatever else asks a service something on its own account.
//!
//! A call is one exchange on a pooled connection, HTTP/1.1 or HTTP/2 as the peer says. Each worker
//! has a caller of its own, and so has the main thread, since what waits for a pooled connection to
//! close runs on the thread that made it.

mod answering;
mod error;
mod lease;
#[cfg(test)]
mod tests;

pub use answering::Answering;
pub use error::CallError;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method};
use lease::Lease;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::upstreams::peer::HttpPeer;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Makes calls, and keeps the connections that they may use again.
pub struct Caller {
    connector: Arc<Connector>,
}

/// What one call may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long it may take in all, from connecting to the last byte of the answer, whatever the
    /// service does meanwhile.
    pub deadline: Duration,
    /// How many bytes the answer's body may have.
    pub body: usize,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its head; never an interim one (1xx).
    pub head: ResponseHeader,
    /// Its body.
    pub body: Bytes,
    /// Its trailers; HTTP/1.1's are not read.
    pub trailers: Option<HeaderMap>,
}

impl Caller {
    /// Returns a caller that keeps so many unused connections of each protocol.
    ///
    /// It reads the system's certificate authorities, which takes some milliseconds.
    pub fn new(pool_size: usize) -> Self {
        Caller { connector: Arc::new(Connector::new(Some(ConnectorOptions::new(pool_size)))) }
    }

    /// Makes one call and returns its whole answer.
    ///
    /// The head has a `Host` and a path; what frames the body is set here. A request that may be
    /// repeated (RFC 9110 §9.2.2) and whose pooled connection the service had closed meanwhile is
    /// sent once more on another. Nothing is left of a call whose future is dropped, nor of one
    /// that fails: its HTTP/1.1 connection closes, its HTTP/2 stream is reset.
    ///
    /// # Errors
    ///
    /// Says what went wrong with the connection or the answer, or which limit it crossed.
    pub async fn call(
        &self,
        peer: &HttpPeer,
        head: RequestHeader,
        body: Bytes,
        limits: Limits,
    ) -> Result<Answer, CallError> {
        let deadline = Instant::now() + limits.deadline;
        let mut answering = self.open(peer, head, body, Some(deadline)).await?;
        let head = answering.head().clone();
        let mut body = Body::Empty;
        while let Some(part) = answering.next_part().await? {
            if body.len() + part.len() > limits.body {
                return Err(CallError::TooLarge(limits.body));
            }
            body.push(part);
        }
        let trailers = answering.finish().await?;
        Ok(Answer { head, body: body.into_bytes(), trailers })
    }

    /// Makes one call and returns as soon as its answer has a head; the body comes in parts.
    ///
    /// All of it, the body too, is over at `deadline`. The peer's own times for connecting,
    /// reading and writing hold for each wait beside that, and they alone where there is no
    /// deadline. The rest is as for [`Caller::call`].
    ///
    /// # Errors
    ///
    /// Says what went wrong before the answer's head was there.
    pub async fn open(
        &self,
        peer: &HttpPeer,
        mut head: RequestHeader,
        body: Bytes,
        deadline: Option<Instant>,
    ) -> Result<Answering, CallError> {
        frame(&mut head, body.len())?;
        within(deadline, self.exchange(peer, head, body, deadline)).await
    }

    /// Makes a connection of its own, with the handshake where the peer has TLS, and closes it.
    ///
    /// # Errors
    ///
    /// Says why there is no connection.
    pub async fn connect(
        &self,
        peer: &HttpPeer,
        deadline: Option<Instant>,
    ) -> Result<(), CallError> {
        let mut alone = peer.clone();
        // A key under which no connection is ever kept, so that none can be found.
        alone.group_key = !peer.group_key;
        // A connection of HTTP/2 whose only stream is taken is not kept for others either.
        alone.options.max_h2_streams = 1;
        if !alone.is_tls() {
            alone.options.set_http_version(1, 1);
        }
        let connect = async {
            self.connector.get_http_session(&alone).await?;
            Ok(())
        };
        within(deadline, connect).await
    }

    async fn exchange(
        &self,
        peer: &HttpPeer,
        head: RequestHeader,
        body: Bytes,
        deadline: Option<Instant>,
    ) -> pingora::Result<Answering> {
        let (mut lease, reused) = Lease::take(&self.connector, peer).await?;
        // A copy for a second try, which only a pooled connection may need.
        let again = (reused && head.method.is_idempotent()).then(|| head.clone());
        match (lease.ask(head, body.clone()).await, again) {
            (Ok(()), _) => {}
            (Err(error), Some(head)) if lease::had_closed(&error) => {
                lease = Lease::take_fresh(&self.connector, peer).await?;
                lease.ask(head, body).await?;
            }
            (Err(error), _) => return Err(error),
        }
        Ok(Answering::new(lease, deadline))
    }
}

/// Says how long the body is (RFC 9110 §8.6): nothing of an empty one, unless the method is one
/// whose requests usually have a body.
fn frame(head: &mut RequestHeader, length: usize) -> pingora::Result<()> {
    head.remove_header(&TRANSFER_ENCODING);
    head.remove_header(&CONTENT_LENGTH);
    let has_body = [Method::POST, Method::PUT, Method::PATCH].contains(&head.method);
    if length > 0 || has_body {
        head.insert_header(CONTENT_LENGTH, HeaderValue::from(length))?;
    }
    Ok(())
}

/// Waits until the deadline at most.
async fn within<T>(
    deadline: Option<Instant>,
    wait: impl Future<Output = pingora::Result<T>>,
) -> Result<T, CallError> {
    let done = match deadline {
        Some(deadline) => {
            tokio::time::timeout_at(deadline, wait).await.map_err(|_| CallError::TimedOut)?
        }
        None => wait.await,
    };
    Ok(done?)
}

/// A body as it comes: most come in one part, which need not be copied.
enum Body {
    Empty,
    One(Bytes),
    Many(BytesMut),
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Body::Empty => 0,
            Body::One(part) => part.len(),
            Body::Many(parts) => parts.len(),
        }
    }

    fn push(&mut self, part: Bytes) {
        *self = match std::mem::replace(self, Body::Empty) {
            Body::Empty => Body::One(part),
            Body::One(first) => {
                let mut parts = BytesMut::with_capacity(first.len() + part.len());
                parts.extend_from_slice(&first);
                parts.extend_from_slice(&part);
                Body::Many(parts)
            }
            Body::Many(mut parts) => {
                parts.extend_from_slice(&part);
                Body::Many(parts)
            }
        };
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Body::Empty => Bytes::new(),
            Body::One(part) => part,
            Body::Many(parts) => parts.freeze(),
        }
    }
}
