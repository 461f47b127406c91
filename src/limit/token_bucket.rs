//! A bucket of tokens: what is not asked for is saved up, as far as the bucket holds it.
//!
//! In any time `t`, a caller is admitted at most `burst + units × t / period`, exactly; `gcra.rs`
//! says by which arithmetic, and what a step of the clock does. A request that costs more than the
//! bucket holds is never admitted. One that was charged afterwards for more than there was owes the
//! rest, and is admitted when that has come in.

use super::Plan;
use super::gcra::{Bucket, Gcra};
use std::time::Duration;

/// The algorithm `token_bucket`.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket(Gcra);

impl TokenBucket {
    /// A bucket as large as the plan's burst, into which a token falls every period over units.
    pub fn new(plan: &Plan) -> Self {
        TokenBucket(Gcra::new(plan, 0, Duration::ZERO))
    }
}

impl Bucket for TokenBucket {
    fn gcra(&self) -> &Gcra {
        &self.0
    }
}
