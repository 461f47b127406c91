//! What went wrong with an attempt, in the words of metrics and of answers.

use crate::reply::Rejection;
use crate::telemetry::metrics::UpstreamError;
use pingora::{Error, ErrorType};
use std::sync::Arc;

/// A failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure(pub UpstreamError);

/// Finds what an error that came from a service means.
pub fn classify(error: &Error) -> Failure {
    Failure(match error.etype() {
        ErrorType::ConnectTimedout => UpstreamError::ConnectTimeout,
        ErrorType::TLSHandshakeFailure
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::InvalidCert
        | ErrorType::HandshakeError => UpstreamError::Tls,
        ErrorType::ConnectRefused
        | ErrorType::ConnectNoRoute
        | ErrorType::ConnectError
        | ErrorType::ConnectProxyFailure
        | ErrorType::BindError
        | ErrorType::SocketError => UpstreamError::Connect,
        ErrorType::ReadTimedout => UpstreamError::ReadTimeout,
        ErrorType::WriteTimedout => UpstreamError::WriteTimeout,
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError => {
            UpstreamError::Closed
        }
        ErrorType::InvalidHTTPHeader
        | ErrorType::H1Error
        | ErrorType::H2Error
        | ErrorType::H2Downgrade
        | ErrorType::InvalidH2
        | ErrorType::UnknownError => UpstreamError::Protocol,
        _ => UpstreamError::Other,
    })
}

impl Failure {
    /// What the client is told: 504 for a service that was too slow, else 502.
    pub fn rejection(self, service: Arc<str>) -> Rejection {
        match self.0 {
            UpstreamError::ConnectTimeout
            | UpstreamError::ReadTimeout
            | UpstreamError::WriteTimeout
            | UpstreamError::Deadline => Rejection::GatewayTimeout { service },
            _ => Rejection::BadGateway { service },
        }
    }
}
