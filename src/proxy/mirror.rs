//! Copies of requests, which go to a second service.

pub mod diff;
mod excerpt;
pub mod samples;
pub mod seen;
