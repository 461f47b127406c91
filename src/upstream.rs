//! Services: backends and their endpoints, and which of them gets the next attempt.

pub mod adaptive;
mod address;
pub mod ask;
pub mod balance;
pub mod breaker;
pub mod bulkhead;
pub mod call;
pub mod discovery;
mod endpoint;
mod failure;
pub mod grpc;
pub mod health;
mod keeper;
mod live;
pub mod outlier;
mod padded;
mod report;
pub mod retry;
mod roster;
#[cfg(test)]
pub(crate) mod scripted;
mod service;
mod state;
mod timeouts;

pub use address::{Address, InvalidAddress};
pub use endpoint::{Blueprint, Endpoint, Occupied};
pub use failure::{Failure, classify};
pub use keeper::Keeper;
pub use live::{Checked, Guards, Live};
pub use report::{EndpointState, ServiceReport};
pub use roster::{Balancing, Roster};
pub use service::{HashKey, Origin, Plan, Reuse, Service};
pub use state::State;
pub use timeouts::{Budget, Timeouts};

/// How a service is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by ALPN inside TLS, else with prior knowledge.
    H2,
}
