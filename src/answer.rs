//! What answers a route.
//!
//! So far a service does, which Pingora's proxying reaches; answers that the gateway makes by
//! itself become further variants, each with a file below `answer/`.

use crate::upstream::{Service, Timeouts};
use std::sync::Arc;

/// What answers a route.
#[derive(Debug)]
pub enum Answer {
    /// A service, by way of Pingora's proxying.
    Service(Backend),
}

/// A service as one route uses it.
#[derive(Debug)]
pub struct Backend {
    /// The service.
    pub service: Arc<Service>,
    /// Its number in the snapshot.
    pub index: usize,
    /// The times of an attempt, and of the exchange.
    pub timeouts: Timeouts,
}
