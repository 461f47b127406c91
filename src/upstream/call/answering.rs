//! An answer whose body has yet to come.

use super::lease::Lease;
use super::{CallError, within};
use bytes::Bytes;
use http::HeaderMap;
use pingora::http::ResponseHeader;
use pingora::protocols::http::client::HttpSession;
use tokio::time::Instant;

/// An answer that has begun. Dropping it ends the exchange where it is.
pub struct Answering {
    lease: Lease,
    deadline: Option<Instant>,
    /// Whether the body is over. HTTP/2 would not say so while trailers wait to be read.
    over: bool,
}

impl Answering {
    pub(super) fn new(lease: Lease, deadline: Option<Instant>) -> Self {
        Answering { lease, deadline, over: false }
    }

    /// Returns the answer's head; never an interim one (1xx).
    pub fn head(&self) -> &ResponseHeader {
        self.lease.head().expect("an answer begins with its head")
    }

    /// Waits for the next part of the body; `None` at its end. A dropped wait loses nothing.
    ///
    /// # Errors
    ///
    /// Says that the deadline came, or that the body ended too early.
    pub async fn next_part(&mut self) -> Result<Option<Bytes>, CallError> {
        // Many empty parts are one wait, not a busy caller.
        loop {
            let part = within(self.deadline, self.lease.session().read_response_body()).await?;
            if part.as_ref().is_none_or(|part| !part.is_empty()) {
                self.over = part.is_none();
                return Ok(part);
            }
        }
    }

    /// Ends the exchange after the last part: returns the trailers (HTTP/2's alone), and gives the
    /// connection back to the pool. Before the last part it breaks the body off.
    ///
    /// # Errors
    ///
    /// Says that the deadline came, or that the trailers cannot be read.
    pub async fn finish(mut self) -> Result<Option<HeaderMap>, CallError> {
        let trailers = match self.lease.session() {
            HttpSession::H2(stream) if self.over => {
                within(self.deadline, stream.read_trailers()).await?
            }
            _ => None,
        };
        let end = async {
            self.lease.end().await;
            Ok(())
        };
        within(self.deadline, end).await?;
        Ok(trailers)
    }
}
