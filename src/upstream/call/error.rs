//! What goes wrong with a call, in words that an operator reads in one glance.

use crate::telemetry::metrics::UpstreamError;
use crate::upstream::{Failure, classify};
use pingora::ErrorType;

/// A call that has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It took longer than it may in all.
    #[error("timed out")]
    TimedOut,
    /// The answer's body has more bytes than this.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The connection or the answer failed.
    #[error("{}", words(.0))]
    Failed(#[from] Box<pingora::Error>),
}

impl CallError {
    /// Whether nothing of the request can have come to the service.
    pub fn sent_nothing(&self) -> bool {
        self.failure().0 == UpstreamError::Connect
    }

    /// Returns what it means to metrics and to a client.
    pub fn failure(&self) -> Failure {
        match self {
            CallError::TimedOut => Failure(UpstreamError::Deadline),
            CallError::TooLarge(_) => Failure(UpstreamError::Other),
            CallError::Failed(error) => classify(error),
        }
    }
}

/// Says what an error means; its causes stay in the source.
fn words(error: &pingora::Error) -> &'static str {
    match error.etype() {
        ErrorType::ConnectRefused => "connection refused",
        ErrorType::ConnectNoRoute => "no route to the address",
        ErrorType::ConnectTimedout => "connecting timed out",
        ErrorType::TLSHandshakeTimedout => "the TLS handshake timed out",
        ErrorType::InvalidCert => "the certificate is not valid",
        ErrorType::TLSHandshakeFailure | ErrorType::HandshakeError => "the TLS handshake failed",
        ErrorType::ReadTimedout => "reading timed out",
        ErrorType::WriteTimedout => "writing timed out",
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError => {
            "connection closed"
        }
        _ => match classify(error).0 {
            UpstreamError::Connect => "cannot connect",
            UpstreamError::Protocol => "the answer is not HTTP",
            _ => "the call failed",
        },
    }
}
