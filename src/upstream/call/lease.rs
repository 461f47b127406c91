//! A connection, or a stream of one, while one call uses it.

use bytes::Bytes;
use http::StatusCode;
use pingora::connectors::http::Connector;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, RetryType};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use tokio::runtime::Handle;

/// How many interim answers (1xx) may come before the answer: no service sends more than a few.
const INTERIM: usize = 32;

/// A session that goes back to the pool, or that closes.
pub(super) struct Lease {
    session: Option<HttpSession>,
    /// Whether the service took the whole request.
    sent: bool,
    connector: Arc<Connector>,
    peer: HttpPeer,
}

impl Lease {
    /// Takes a connection from the pool or makes one, and tells whether it was used before.
    pub async fn take(
        connector: &Arc<Connector>,
        peer: &HttpPeer,
    ) -> pingora::Result<(Self, bool)> {
        let (session, reused) = connector.get_http_session(peer).await?;
        let session = Some(session);
        // The pool's key comes from the whole peer, which therefore stays with the session.
        let peer = peer.clone();
        Ok((Lease { session, sent: false, connector: Arc::clone(connector), peer }, reused))
    }

    /// Takes a connection that nobody used, by closing those of HTTP/1.1 that were kept: where the
    /// service closed one, it closed the others too. HTTP/2 tells of a closed connection, so that
    /// what is kept of it is good.
    pub async fn take_fresh(connector: &Arc<Connector>, peer: &HttpPeer) -> pingora::Result<Self> {
        loop {
            let (lease, reused) = Lease::take(connector, peer).await?;
            if !reused || matches!(lease.session, Some(HttpSession::H2(_))) {
                return Ok(lease);
            }
        }
    }

    /// The session; it is there until the lease ends.
    pub fn session(&mut self) -> &mut HttpSession {
        self.session.as_mut().expect("only the end of the lease takes the session")
    }

    /// The head of the last answer that was read.
    pub fn head(&self) -> Option<&ResponseHeader> {
        self.session.as_ref().and_then(HttpSession::response_header)
    }

    /// Sends a request and reads the head of its answer.
    pub async fn ask(&mut self, head: RequestHeader, body: Bytes) -> pingora::Result<()> {
        let (read, write) = (self.peer.options.read_timeout, self.peer.options.write_timeout);
        let session = self.session();
        session.set_read_timeout(read);
        session.set_write_timeout(write);
        let head = Box::new(head);
        match &mut *session {
            HttpSession::H2(stream) => stream.write_request_header(head, body.is_empty())?,
            _ => session.write_request_header(head).await?,
        }
        let sent = send(session, body).await;
        // A service may answer before it took the whole body, and close (RFC 9112 §9.3): its
        // answer says more than that it closed.
        let answered = read_head(session).await;
        match (sent, answered) {
            (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(error),
            (sent, Ok(())) => {
                self.sent = sent.is_ok();
                Ok(())
            }
        }
    }

    /// Gives the connection back after a whole exchange; any other is closed.
    pub async fn end(mut self) {
        if !self.sent || !self.session().response_done() {
            return;
        }
        let session = self.session.take().expect("the lease ends once");
        let idle = self.peer.options.idle_timeout;
        self.connector.release_http_session(session, &self.peer, idle).await;
    }
}

impl Drop for Lease {
    /// Ends what was not completed. Dropping the session closes a connection of HTTP/1.1 and
    /// resets a stream of HTTP/2; that stream's connection has to be told of it, or it would never
    /// count as idle.
    fn drop(&mut self) {
        let Some(session @ HttpSession::H2(_)) = self.session.take() else {
            return;
        };
        // Outside of a runtime there is nobody left to keep a connection for.
        if Handle::try_current().is_ok() {
            let idle = self.peer.options.idle_timeout;
            let release = self.connector.release_http_session(session, &self.peer, idle);
            // It waits for nothing where the session is of HTTP/2, so that one poll is all of it.
            let _ = pin!(release).poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// Sends the body and its end.
async fn send(session: &mut HttpSession, body: Bytes) -> pingora::Result<()> {
    if !body.is_empty() {
        session.write_request_body(body, true).await?;
    }
    session.finish_request_body().await
}

/// Reads the answer's head, past the interim ones (RFC 9110 §15.2).
async fn read_head(session: &mut HttpSession) -> pingora::Result<()> {
    for _ in 0..=INTERIM {
        session.read_response_header().await?;
        let status = session.response_header().map(|head| head.status);
        match status {
            Some(StatusCode::SWITCHING_PROTOCOLS) => {
                return Error::e_explain(ErrorType::H1Error, "an upgrade that nobody asked for");
            }
            Some(status) if status.is_informational() => {}
            _ => return Ok(()),
        }
    }
    Error::e_explain(ErrorType::H1Error, "too many interim answers")
}

/// Whether an error means that the service had closed a pooled connection before the request came
/// to it.
pub(super) fn had_closed(error: &Error) -> bool {
    match error.retry {
        RetryType::ReusedOnly | RetryType::Decided(true) => true,
        RetryType::Decided(false) => *error.etype() == ErrorType::WriteError,
    }
}
