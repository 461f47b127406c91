//! What is known of a limit: for the admin listener and for metrics.

use super::Limit;
use crate::limit::Standing;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

/// How a limit is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The scope that says it, and its name: `policies:per-ip`.
    pub id: String,
    /// What each tier may have, by the tier's name; `*` are callers in none of them.
    pub rates: BTreeMap<String, String>,
    /// The store in which it counts together with other gateways, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Whether it refuses nothing.
    pub observe: bool,
    /// How many callers it remembers.
    pub callers: usize,
    /// The memory that this takes, in bytes.
    pub bytes: usize,
    /// How many callers were forgotten because there was no room.
    pub evicted: u64,
    /// How many requests it has refused.
    pub refused: u64,
    /// How many it would have refused, if it did not only observe.
    pub observed: u64,
    /// How many had to wait for their turn.
    pub queued: u64,
}

/// How one caller stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Caller {
    /// The tier that it was looked up in; `*` is none of them.
    pub tier: String,
    /// How many units it may have.
    pub limit: u64,
    /// How many of them are left.
    pub remaining: u64,
    /// After how many seconds all of them are there again, if it asks for nothing meanwhile.
    pub reset: f64,
}

impl Caller {
    /// Puts into words how a caller of a tier stands.
    pub fn of(tier: &str, standing: Standing) -> Self {
        Caller {
            tier: tier.to_owned(),
            limit: standing.limit,
            remaining: standing.remaining,
            reset: standing.reset.as_secs_f64(),
        }
    }
}

impl Report {
    /// Looks at a limit.
    pub fn of(limit: &Limit) -> Self {
        let figures = limit.counting().figures();
        Report {
            id: limit.id.to_string(),
            rates: limit.rates(),
            store: limit.counting().store().map(str::to_owned),
            observe: limit.observe,
            callers: figures.entries,
            bytes: figures.bytes,
            evicted: figures.evicted,
            refused: limit.counts.refused.load(Relaxed),
            observed: limit.counts.observed.load(Relaxed),
            queued: limit.counts.queued.load(Relaxed),
        }
    }
}
