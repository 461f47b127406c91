//! What a scrape tells of services and of issuers of tokens. It is read when somebody scrapes, from what workers and keepers
//! know anyway, so that it costs no request anything.

mod limits;

use crate::snapshot::Snapshot;
use crate::telemetry::metrics::register;
use crate::upstream::{EndpointState, ServiceReport};
use prometheus::core::{AtomicU64, GenericCounterVec};
use prometheus::{IntGaugeVec, Opts, Registry};
use std::time::Instant;

/// The families of services, and what they were at the last scrape.
pub struct Figures {
    registry: Registry,
    circuit: IntGaugeVec,
    opened: GenericCounterVec<AtomicU64>,
    circuit_refused: GenericCounterVec<AtomicU64>,
    endpoints: IntGaugeVec,
    ejections: GenericCounterVec<AtomicU64>,
    in_flight: IntGaugeVec,
    pending: IntGaugeVec,
    limit: IntGaugeVec,
    refused: GenericCounterVec<AtomicU64>,
    issuer_keys: IntGaugeVec,
    issuer_answered: IntGaugeVec,
    issuer_fetches: GenericCounterVec<AtomicU64>,
    limits: limits::Figures,
}

impl Figures {
    /// Makes the families, with nothing in them yet.
    pub fn new() -> Self {
        let registry = Registry::new();
        let gauge = |name, help, labels: &[&str]| {
            register(&registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let counter = |name, help, labels: &[&str]| {
            register(&registry, GenericCounterVec::new(Opts::new(name, help), labels))
        };
        Figures {
            circuit: gauge(
                "gateway_circuit_breaker_status",
                "Whether a service's circuit is closed (0), half-open (1) or open (2).",
                &["service"],
            ),
            opened: counter(
                "gateway_circuit_breaker_opened_total",
                "How often a service's circuits have opened.",
                &["service"],
            ),
            circuit_refused: counter(
                "gateway_circuit_breaker_refused_total",
                "Requests that an open circuit has refused.",
                &["service"],
            ),
            endpoints: gauge(
                "gateway_service_endpoints",
                "A service's endpoints: up, unhealthy or ejected.",
                &["service", "state"],
            ),
            ejections: counter(
                "gateway_service_ejections_total",
                "How often an endpoint was ejected because requests failed there.",
                &["service"],
            ),
            in_flight: gauge(
                "gateway_service_in_flight",
                "Attempts in flight at a service.",
                &["service"],
            ),
            pending: gauge(
                "gateway_service_pending",
                "Requests that wait for a place at a service.",
                &["service"],
            ),
            limit: gauge(
                "gateway_service_adaptive_limit",
                "How many requests a service bears at once, as the limit that adapts has found.",
                &["service"],
            ),
            refused: counter(
                "gateway_service_refused_total",
                "Requests that found no place at a service, by reason.",
                &["service", "reason"],
            ),
            issuer_keys: gauge(
                "gateway_issuer_keys",
                "How many keys are known of an issuer of tokens.",
                &["issuer"],
            ),
            issuer_answered: gauge(
                "gateway_issuer_answered_timestamp_seconds",
                "When an issuer of tokens last answered well.",
                &["issuer"],
            ),
            issuer_fetches: counter(
                "gateway_issuer_fetches_total",
                "How often an issuer of tokens was asked for its keys, by how it went.",
                &["issuer", "outcome"],
            ),
            limits: limits::Figures::new(&registry),
            registry,
        }
    }

    /// Looks at the services and issuers, and returns what is to be rendered.
    pub fn look(&self, snapshot: &Snapshot) -> &Registry {
        let now = Instant::now();
        for service in &snapshot.services {
            let report = ServiceReport::of(service, now);
            let name = &[report.name.as_str()];
            // Where each endpoint has its own circuit, the service is as open as all of them are.
            let each = report.endpoints.iter().filter_map(|endpoint| endpoint.circuit.as_ref());
            let worst = report.circuits.iter().map(|circuit| circuit.state).max();
            let state = worst.or_else(|| each.clone().map(|circuit| circuit.state).min());
            if let Some(state) = state {
                self.circuit.with_label_values(name).set(state as i64);
            }
            let circuits = || report.circuits.iter().chain(each.clone());
            if circuits().next().is_some() {
                raise(&self.opened, name, circuits().map(|circuit| circuit.opened).sum());
                raise(&self.circuit_refused, name, circuits().map(|circuit| circuit.refused).sum());
            }
            for (state, label) in [
                (EndpointState::Up, "up"),
                (EndpointState::Unhealthy, "unhealthy"),
                (EndpointState::Ejected, "ejected"),
            ] {
                let count = report.endpoints.iter().filter(|one| one.state == state).count();
                let gauge = self.endpoints.with_label_values(&[&report.name, label]);
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
            raise(&self.ejections, name, report.ejections);
            let in_flight = i64::try_from(report.in_flight).unwrap_or(i64::MAX);
            self.in_flight.with_label_values(name).set(in_flight);
            if let Some(limits) = &report.limits {
                self.pending.with_label_values(name).set(limits.pending.into());
                if let Some(adaptive) = limits.adaptive {
                    self.limit.with_label_values(name).set(adaptive.into());
                }
                for (reason, count) in [
                    ("shed", limits.shed),
                    ("queue_full", limits.queue_full),
                    ("pending_timeout", limits.pending_timeout),
                    ("deadline", limits.deadline),
                ] {
                    raise(&self.refused, &[&report.name, reason], count);
                }
            }
        }
        for issuer in snapshot.issuers() {
            let report = issuer.report();
            let name = &[&*report.issuer];
            let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            self.issuer_keys.with_label_values(name).set(whole(report.keys as u64));
            if let Some(answered) = report.succeeded {
                self.issuer_answered.with_label_values(name).set(whole(answered));
            }
            raise(&self.issuer_fetches, &[&report.issuer, "ok"], report.fetched);
            raise(&self.issuer_fetches, &[&report.issuer, "failed"], report.failed);
        }
        self.limits.look(snapshot);
        &self.registry
    }
}

/// Brings a counter up to what was counted elsewhere. What begins anew there, as the circuits of an
/// endpoint that came back do, counts on from where it is.
pub fn raise(counter: &GenericCounterVec<AtomicU64>, labels: &[&str], to: u64) {
    let counter = counter.with_label_values(labels);
    counter.inc_by(to.saturating_sub(counter.get()));
}
