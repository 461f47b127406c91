//! What is counted about the copies of a route's requests.

use super::Metrics;
use super::cause::Causes;

/// The handles of one mirrored route on one worker.
pub struct MirrorMetrics {
    outcomes: Causes<{ Mirrored::Failed as usize + 1 }>,
    results: Causes<{ Compared::Skipped as usize + 1 }>,
}

impl MirrorMetrics {
    pub(super) fn new(metrics: &Metrics, route: &str) -> MirrorMetrics {
        MirrorMetrics {
            outcomes: Causes::new(&metrics.mirror_requests, route),
            results: Causes::new(&metrics.mirror_comparisons, route),
        }
    }

    /// Counts what became of a request that was chosen to be mirrored.
    pub fn mirrored(&self, outcome: Mirrored) {
        self.outcomes.count(outcome as usize, outcome.as_str());
    }

    /// Counts what came of comparing two answers. `different` of all is the rate of difference.
    pub fn compared(&self, result: Compared) {
        self.results.count(result as usize, result.as_str());
    }
}

/// What became of a request that was chosen to be mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirrored {
    /// The service answered the copy.
    Answered,
    /// There was nothing to copy: the body was too long or did not come whole, or the request asks
    /// for a tunnel.
    Skipped,
    /// As many copies were under way as may be.
    Dropped,
    /// The service did not answer the copy, or not in time, or none of its endpoints could be
    /// asked.
    Failed,
}

impl Mirrored {
    /// Returns the value of the `outcome` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mirrored::Answered => "answered",
            Mirrored::Skipped => "skipped",
            Mirrored::Dropped => "dropped",
            Mirrored::Failed => "failed",
        }
    }
}

/// What came of comparing two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Nothing differed.
    Same,
    /// Something differed.
    Different,
    /// Nothing differed, but bodies were not compared; or the client's answer took too long.
    Skipped,
}

impl Compared {
    /// Returns the value of the `result` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Compared::Same => "same",
            Compared::Different => "different",
            Compared::Skipped => "skipped",
        }
    }
}
