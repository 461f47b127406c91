//! What outlives a reload, under stable names.
//!
//! A configuration is compiled against this: what it names is found here as it was left, so that a
//! reload forgets neither who is healthy nor who was ejected.

use crate::lock::lock;
use crate::upstream::State;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What outlives a reload.
#[derive(Debug, Default)]
pub struct Shared {
    services: Mutex<HashMap<Box<str>, Arc<State>>>,
}

impl Shared {
    /// What is known of the service of a name.
    pub fn service(&self, name: &str) -> Arc<State> {
        let mut services = lock(&self.services);
        let state = services.entry(name.into());
        Arc::clone(state.or_insert_with(|| Arc::new(State::new(Instant::now()))))
    }
}
