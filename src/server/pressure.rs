//! What a scrape tells of the gateway's own overload, where that is watched.

use super::figures::raise;
use crate::overload::{Guard, PRIORITIES, Reason};
use crate::telemetry::metrics::register;
use prometheus::core::{AtomicU64, GenericCounterVec};
use prometheus::{Gauge, IntGauge, Opts, Registry};

/// The families of the gateway's overload, and what they were at the last scrape.
pub struct Pressure {
    registry: Registry,
    shed: GenericCounterVec<AtomicU64>,
    in_flight: IntGauge,
    limit: IntGauge,
    lag: Gauge,
    memory: IntGauge,
    accepting: IntGauge,
}

impl Pressure {
    /// Makes the families, with nothing in them yet.
    pub fn new() -> Self {
        let registry = Registry::new();
        let gauge = |name, help| register(&registry, IntGauge::new(name, help));
        let shed = Opts::new(
            "gateway_shed_requests_total",
            "Requests that the gateway refused for its own sake, by priority and reason.",
        );
        Pressure {
            shed: register(&registry, GenericCounterVec::new(shed, &["priority", "reason"])),
            in_flight: gauge("gateway_in_flight", "Requests in flight, tunnels among them."),
            limit: gauge(
                "gateway_in_flight_limit",
                "How many requests may be in flight; 0 where nothing is said of it.",
            ),
            lag: register(
                &registry,
                Gauge::new(
                    "gateway_worker_lag_seconds",
                    "How late the latest worker woke, at the best moment of its last window.",
                ),
            ),
            memory: gauge(
                "gateway_watched_memory_bytes",
                "Resident memory at the last look; 0 where it is not watched.",
            ),
            accepting: gauge(
                "gateway_accepting",
                "Whether connections are accepted (1), or wait in the backlog (0).",
            ),
            registry,
        }
    }

    /// Looks at the guard, and returns what is to be rendered.
    pub fn look(&self, guard: &Guard) -> &Registry {
        for priority in PRIORITIES {
            for reason in Reason::ALL {
                let labels = &[priority.label(), reason.label()];
                raise(&self.shed, labels, guard.shed(priority, reason));
            }
        }
        self.in_flight.set(guard.in_flight().into());
        self.limit.set(guard.settings.in_flight.unwrap_or(0).into());
        self.lag.set(guard.lag().as_secs_f64());
        self.memory.set(i64::try_from(guard.memory()).unwrap_or(i64::MAX));
        self.accepting.set(guard.accepts().into());
        &self.registry
    }
}
