//! What a scrape tells of limits, of those who are refused most, and of the stores.

use super::raise;
use crate::policy::rate_limit::Report;
use crate::snapshot::Snapshot;
use crate::telemetry::metrics::register;
use prometheus::core::{AtomicU64, GenericCounterVec};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// The families.
pub struct Figures {
    decisions: GenericCounterVec<AtomicU64>,
    callers: IntGaugeVec,
    bytes: IntGaugeVec,
    evicted: GenericCounterVec<AtomicU64>,
    talkers: IntCounterVec,
    store_up: IntGaugeVec,
    store_calls: GenericCounterVec<AtomicU64>,
    store_errors: GenericCounterVec<AtomicU64>,
    store_in_flight: IntGaugeVec,
}

impl Figures {
    /// Makes the families, with nothing in them yet.
    pub fn new(registry: &Registry) -> Self {
        let gauge = |name, help, labels: &[&str]| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let counter = |name, help, labels: &[&str]| {
            register(registry, GenericCounterVec::new(Opts::new(name, help), labels))
        };
        Figures {
            decisions: counter(
                "gateway_rate_limit_decisions_total",
                "Requests that a limit has refused, would have refused if it did not only observe, \
                 or let wait.",
                &["limit", "outcome"],
            ),
            callers: gauge(
                "gateway_rate_limit_callers",
                "Callers that a limit remembers.",
                &["limit"],
            ),
            bytes: gauge(
                "gateway_rate_limit_memory_bytes",
                "The memory that a limit takes to remember callers.",
                &["limit"],
            ),
            evicted: counter(
                "gateway_rate_limit_evicted_total",
                "Callers that a limit has forgotten because there was no room.",
                &["limit"],
            ),
            talkers: register(
                registry,
                IntCounterVec::new(
                    // The workers count those who have no name here, under the same name.
                    Opts::new(
                        "gateway_rate_limited_requests_total",
                        "Requests that a limit has refused, by client: those refused most by name, \
                         all others as `other`.",
                    ),
                    &["client_id", "route"],
                ),
            ),
            store_up: gauge("gateway_store_up", "Whether a store answers.", &["store"]),
            store_calls: counter("gateway_store_calls_total", "Calls to a store.", &["store"]),
            store_errors: counter(
                "gateway_store_errors_total",
                "Calls to a store that failed, by cause.",
                &["store", "cause"],
            ),
            store_in_flight: gauge(
                "gateway_store_in_flight",
                "Calls that a store is doing.",
                &["store"],
            ),
        }
    }

    /// Looks at the limits and the stores.
    pub fn look(&self, snapshot: &Snapshot) {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        for limit in snapshot.limits() {
            let report = Report::of(&limit);
            let name = &[report.id.as_str()];
            self.callers.with_label_values(name).set(whole(report.callers));
            self.bytes.with_label_values(name).set(whole(report.bytes));
            raise(&self.evicted, name, report.evicted);
            for (outcome, count) in [
                ("refused", report.refused),
                ("observed", report.observed),
                ("queued", report.queued),
            ] {
                raise(&self.decisions, &[&report.id, outcome], count);
            }
        }
        // A series goes with its seat, and one that comes again begins at zero.
        self.talkers.reset();
        for talker in snapshot.talkers.figures() {
            let labels = [&*talker.client, &*talker.route];
            self.talkers.with_label_values(&labels).inc_by(talker.refused);
        }
        for store in &snapshot.stores {
            let report = store.report();
            let name = &[&*report.store];
            self.store_up.with_label_values(name).set(report.up.into());
            self.store_in_flight.with_label_values(name).set(whole(report.in_flight));
            raise(&self.store_calls, name, report.calls);
            for (cause, count) in report.errors {
                raise(&self.store_errors, &[&report.store, cause.word()], count);
            }
        }
    }
}
