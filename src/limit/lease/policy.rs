//! What leases of one limit go by: how large they are, how long they last, how long a no counts.

use crate::limit::{Kind, Plan, nanos};
use crate::value::Period;
use std::time::Duration;

/// How units of one limit are leased; made once for each limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeasePolicy {
    /// How many units there ever are at once: of the window, or of the bucket.
    pub(super) limit: u32,
    /// The most that one call asks for ahead of need. Below two nothing is leased.
    pub(super) most: u32,
    /// How long a lease should last, in nanoseconds: what is asked for is spent in about that time.
    pub(super) lasts: u64,
    /// How long a lease may last before what is left of it goes back, in nanoseconds.
    pub(super) life: u64,
    /// How long the store is not asked again where it has nothing, in nanoseconds; at least.
    pub(super) pause: u64,
    /// How long a call may be under way, in nanoseconds: one of which nothing was heard for longer
    /// was given up, and another may follow.
    pub(super) patience: u64,
    /// Whether what is leased in a window is void in the next.
    pub(super) in_windows: bool,
}

impl LeasePolicy {
    /// How long a lease should last where nothing else was asked for.
    ///
    /// A caller with ten requests a second at one gateway gets by with a call for every ten. A tenth
    /// of that time would take a call for each of its requests.
    pub const BATCH: Duration = Duration::from_secs(1);

    /// Leases hold at most one unit of so many.
    const SHARE: u32 = 10;

    /// Leases that last about as long as `batch`, but no longer than a tenth of the period, and hold
    /// at most a tenth of the limit. `timeout` is how long a call to the store may take.
    pub fn new(plan: &Plan, batch: Duration, timeout: Duration) -> Self {
        let units = plan.rate.units.get();
        // A month that is a day or two short changes nothing: the batch is shorter than its tenth.
        let period = match plan.rate.per {
            Period::Span(span) => nanos(span),
            Period::Month => nanos(Duration::from_secs(28 * 86_400)),
        };
        let lasts = nanos(batch).min(period / 10).max(1);
        let limit = plan.limit();
        // While nobody asks a full bucket overflows, so that a small one is asked more often.
        let fills = u64::from(limit).saturating_mul(period / u64::from(units));
        LeasePolicy {
            limit,
            most: (limit / Self::SHARE).max(1),
            lasts,
            life: lasts.saturating_mul(2),
            pause: (lasts / 2).min(fills / 2),
            patience: nanos(timeout),
            in_windows: plan.kind == Kind::FixedWindow,
        }
    }

    /// The most that one gateway ever holds unspent of one caller's units: h in the formulas.
    pub fn hold(&self) -> u32 {
        if self.most < 2 { 0 } else { self.most.saturating_add(self.most / 2) }
    }

    /// How long a lease may last before what is left of it goes back: λ in the formulas.
    pub fn life(&self) -> Duration {
        Duration::from_nanos(self.life)
    }

    /// The longest time for which a refusal counts before the store is asked again.
    pub fn longest_pause(&self) -> Duration {
        Duration::from_nanos(self.lasts)
    }
}
