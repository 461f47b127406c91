//! Where copies of a route's requests go, and what of the two answers is compared.

pub mod diff;
mod excerpt;
pub mod samples;
pub mod seen;

use super::Backend;
use crate::value::{BodyPath, Percent};
use http::HeaderName;
use samples::Samples;
use std::sync::Arc;
use std::time::Duration;

/// What is mirrored of a route.
#[derive(Debug)]
pub struct Mirror {
    /// The service that gets the copies, and whose answers no client sees.
    pub backend: Backend,
    /// Which part of the requests is copied.
    pub sample: Percent,
    /// How long the whole exchange with the service may take.
    pub timeout: Duration,
    /// The longest body, in bytes, that is copied of a request or compared of an answer.
    pub max_body: usize,
    /// What is compared of the two answers; nothing where it is none.
    pub compare: Option<Compare>,
    /// The last answers that differed.
    pub samples: Arc<Samples>,
}

/// What is compared of the two answers beside their statuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compare {
    /// Header fields.
    pub headers: Vec<HeaderName>,
    /// Places in JSON bodies that may differ.
    pub ignore: Vec<BodyPath>,
}

impl Mirror {
    /// Whether a request is copied, by a number that is random in all of its bits.
    pub fn takes(&self, random: u64) -> bool {
        // The high half of the product is uniform below the whole, without a division.
        let at = ((u128::from(random) * u128::from(Percent::WHOLE)) >> 64) as u32;
        at < self.sample.millionths()
    }
}
