//! What operators see of a service: who of its endpoints serves and why the others do not.

use super::balance::serving::Stage;
use super::breaker::{self, Breaker};
use super::health;
use super::{Endpoint, Service};
use crate::telemetry::access_log::rfc3339;
use serde::Serialize;
use std::time::{Duration, Instant};

/// A service at one moment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceReport {
    /// Its name.
    pub name: String,
    /// Who serves: `priority N` alone, `mixed` priorities, all in a `panic`, or `nobody`.
    pub serving: String,
    /// Attempts in flight at all its endpoints.
    pub in_flight: u64,
    /// How often an endpoint was ejected.
    pub ejections: u64,
    /// Its retry budget over the last ten seconds.
    pub retry_budget: BudgetReport,
    /// Its circuits: one for each way in which routes break it.
    pub circuits: Vec<CircuitReport>,
    /// Its compartment, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsReport>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointReport>,
}

/// The requests and the retries of the last ten seconds.
#[derive(Debug, Serialize)]
pub struct BudgetReport {
    /// Requests.
    pub requests: u64,
    /// Retries that were paid for.
    pub retries: u64,
}

/// A circuit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CircuitReport {
    /// `closed`, `half_open` or `open`.
    pub state: breaker::State,
    /// How often it has opened.
    pub opened: u64,
    /// How many requests it has refused.
    pub refused: u64,
    /// Why it opened last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a compartment holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitsReport {
    /// Exchanges in flight.
    pub requests: u32,
    /// Attempts in flight.
    pub connections: u32,
    /// Exchanges and attempts that wait.
    pub pending: u32,
    /// The limit that adapts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive: Option<u32>,
    /// How many were refused by it.
    pub shed: u64,
    /// How many were refused because too many waited.
    pub queue_full: u64,
    /// How many waited in vain.
    pub pending_timeout: u64,
    /// How many had no time left to wait in.
    pub deadline: u64,
}

/// An endpoint.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointReport {
    /// Its address.
    pub address: String,
    /// The name that it was found by, where that is not its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `up`, `unhealthy` or `ejected`.
    pub state: EndpointState,
    /// For how many milliseconds it stays ejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returns_in_ms: Option<u128>,
    /// Its weight.
    pub weight: u32,
    /// Its priority.
    pub priority: u8,
    /// Attempts in flight.
    pub in_flight: u32,
    /// What the last health check found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthReport>,
    /// Its own circuit, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit: Option<CircuitReport>,
}

/// Whether an endpoint can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// It can.
    Up,
    /// Its health checks fail.
    Unhealthy,
    /// It was ejected, because requests failed there.
    Ejected,
}

/// What a health check found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthReport {
    /// `unknown`, `healthy` or `unhealthy`, as the checks in a row say.
    pub state: health::State,
    /// When the last check began.
    pub checked: String,
    /// How many milliseconds it took.
    pub took_ms: u128,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl ServiceReport {
    /// Looks at a service.
    pub fn of(service: &Service, now: Instant) -> Self {
        let roster = service.roster();
        let (requests, retries) = service.state.budget.counts(now);
        ServiceReport {
            name: service.name().to_string(),
            serving: match roster.stage() {
                Stage::Group(priority) => format!("priority {priority}"),
                Stage::Mixed => "mixed".to_owned(),
                Stage::Panic => "panic".to_owned(),
                Stage::Nobody => "nobody".to_owned(),
            },
            in_flight: service.state.in_flight(),
            ejections: service.state.ejected(),
            retry_budget: BudgetReport { requests, retries },
            circuits: service.state.breakers().iter().map(|one| circuit(one, now)).collect(),
            limits: service.bulkhead.as_ref().map(|bulkhead| {
                let figures = bulkhead.figures();
                LimitsReport {
                    requests: figures.requests,
                    connections: figures.connections,
                    pending: figures.pending,
                    adaptive: figures.adaptive,
                    shed: figures.shed,
                    queue_full: figures.queue_full,
                    pending_timeout: figures.pending_timeout,
                    deadline: figures.deadline,
                }
            }),
            endpoints: roster.endpoints().iter().map(|one| endpoint(one, now)).collect(),
        }
    }
}

fn circuit(breaker: &Breaker, now: Instant) -> CircuitReport {
    CircuitReport {
        state: breaker.state(now),
        opened: breaker.opened_total(),
        refused: breaker.refusals(),
        reason: breaker.last_reason().map(|reason| reason.to_string()),
    }
}

fn endpoint(endpoint: &Endpoint, now: Instant) -> EndpointReport {
    let live = &endpoint.live;
    let ejected = live.ejected();
    let name = endpoint.key.strip_suffix(&*endpoint.address).map(|name| name.trim_end_matches('@'));
    EndpointReport {
        address: endpoint.address.to_string(),
        name: name.filter(|name| !name.is_empty()).map(str::to_owned),
        state: match ejected {
            _ if !live.is_healthy() => EndpointState::Unhealthy,
            Some(_) => EndpointState::Ejected,
            None => EndpointState::Up,
        },
        returns_in_ms: ejected.map(|until| until.saturating_duration_since(now).as_millis()),
        weight: endpoint.weight,
        priority: endpoint.priority,
        in_flight: live.in_flight(),
        health: live.checked().map(|checked| HealthReport {
            state: live.health().state(),
            checked: rfc3339(checked.at),
            took_ms: Duration::as_millis(&checked.took),
            failure: checked.failure,
        }),
        circuit: live.breaker.as_ref().map(|breaker| circuit(breaker, now)),
    }
}
