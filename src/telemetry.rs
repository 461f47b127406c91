//! What the gateway tells about itself: metrics, the access log and its own log.
//!
//! Everything here is built so that telling costs a request next to nothing and can
//! never hold it up. Each worker counts into its own [`metrics::Metrics`] and formats
//! into its own [`access_log::Lines`]; what is shared between cores is touched only
//! when somebody scrapes, or when a buffer of lines is full. The scrape adds the
//! workers up in [`exposition::render`], so that readers see one gateway.

pub mod access_log;
pub mod exposition;
pub mod log;
pub mod metrics;
pub mod process;
