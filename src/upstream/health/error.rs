//! Why a check failed, in the words that the admin listener and the log show.

use crate::upstream::call::CallError;
use http::StatusCode;

/// What a check found.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There was no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The answer has a status that is not expected.
    #[error("status {}", .0.as_u16())]
    Status(StatusCode),
    /// The answer's body is not what is expected.
    #[error("body does not match")]
    Body,
    /// gRPC's call failed with this code, or without one.
    #[error("{}", code(.0))]
    Grpc(Option<u32>),
    /// The answer holds no message of gRPC's health protocol.
    #[error("the answer is no HealthCheckResponse")]
    Malformed,
    /// The service says of itself that it does not serve.
    #[error("{0}")]
    NotServing(&'static str),
}

/// Says a code of gRPC with its name, where it is one that a health service is known to answer.
fn code(code: &Option<u32>) -> String {
    match code {
        Some(5) => "grpc-status 5 (NOT_FOUND): it does not know the service".to_owned(),
        Some(12) => "grpc-status 12 (UNIMPLEMENTED): it has no health service".to_owned(),
        Some(code) => format!("grpc-status {code}"),
        None => "no grpc-status".to_owned(),
    }
}
