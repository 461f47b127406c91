//! A limit that follows the health of the service behind it: less is let through to one that is
//! slow or fails, and all again when it is well.
//!
//! [`Health`] watches, and keeps the factor by which the rate is multiplied: additive increase and
//! multiplicative decrease, as TCP does it (Chiu and Jain, 1989: of the linear controls, the one
//! that ends fair), once for each short window of samples. What tells that a window was bad:
//!
//! - the share of failures reached a threshold, as in Envoy's admission control filter, which
//!   rejects in proportion to it;
//! - the latency gradient, the time without load over the mean time of the window, fell below what
//!   is tolerated: the measure of Netflix's concurrency-limits and of Envoy's adaptive concurrency
//!   filter, which set by it what may be in flight and not what may begin. The rate is multiplied by
//!   the gradient, at least halved by one window as there;
//! - a breaker is open, which takes the factor to its floor at once.
//!
//! The time without load follows quicker windows down slowly, and is measured anew where the factor
//! has lain on its floor for some windows: with so little let through, the time that it takes is the
//! time without load, even if that is longer than it once was.
//!
//! The limiter itself, [`Adaptive`], is a token bucket that is filled by the factor times the rate.

mod bucket;
mod health;
#[cfg(test)]
mod tests;

pub use bucket::{Adaptive, Bucket};
pub use health::{Health, Settings};
