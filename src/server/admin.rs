//! The admin listener: health for probes, metrics for Prometheus, and what operators want to know
//! of services and issuers.

mod limits;

use super::Error;
use super::figures::Figures;
use super::pressure::Pressure;
use crate::overload::{Guard, Reason};
use crate::snapshot::{Admin, Snapshot};
use crate::telemetry::exposition::{CONTENT_TYPE, render};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process::Process;
use crate::upstream::ServiceReport;
use crate::version;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

/// Whether the process can serve.
#[derive(Debug)]
pub struct Health {
    generation: u64,
    ready: AtomicBool,
}

impl Health {
    /// A process that cannot serve yet.
    pub fn new(generation: u64) -> Self {
        Health { generation, ready: AtomicBool::new(false) }
    }

    /// Says whether it can.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Relaxed);
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Relaxed)
    }
}

/// What the handlers answer from.
struct Admitted {
    metrics: Vec<Arc<Metrics>>,
    process: Process,
    health: Arc<Health>,
    snapshot: Arc<Snapshot>,
    figures: Figures,
    /// What the process bears, and its figures, where that is watched.
    overload: Option<(Arc<Guard>, Pressure)>,
    token: Option<String>,
}

/// Binds the admin listener.
pub fn bind(config: &Admin) -> Result<TcpListener, Error> {
    let address = config.address;
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| Error::Bind { what: "the admin listener".to_owned(), address, source })
}

/// What the admin listener answers.
pub fn router(
    config: &Admin,
    metrics: Vec<Arc<Metrics>>,
    process: Process,
    health: Arc<Health>,
    snapshot: Arc<Snapshot>,
    overload: Option<Arc<Guard>>,
) -> Router {
    let admitted = Arc::new(Admitted {
        metrics,
        process,
        health,
        snapshot,
        figures: Figures::new(),
        overload: overload.map(|guard| (guard, Pressure::new())),
        token: config.token.clone(),
    });
    let guarded = Router::new()
        .route("/metrics", get(exposition))
        .route("/services", get(services))
        .route("/mirrors", get(mirrors))
        .route("/issuers", get(issuers))
        .route("/stores", get(stores))
        .route("/rate-limits", get(limits::all))
        .route("/rate-limits/{id}", get(limits::standing).delete(limits::reset))
        .route_layer(from_fn_with_state(Arc::clone(&admitted), lets_in));
    Router::new()
        .route("/health", get(report))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .merge(guarded)
        .with_state(admitted)
}

/// Serves the admin listener for as long as the process runs.
pub async fn serve(listener: TcpListener, router: Router) {
    let served = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => axum::serve(listener, router).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, "the admin listener has ended");
    }
}

async fn report(State(admitted): State<Arc<Admitted>>) -> Response {
    let ready = admitted.health.is_ready();
    let report = json!({
        "status": if ready { "ok" } else { "unavailable" },
        "version": version::PACKAGE,
        "commit": version::COMMIT,
        "generation": format!("{:016x}", admitted.health.generation),
    });
    let json = [(header::CONTENT_TYPE, "application/json")];
    (status(ready), json, report.to_string()).into_response()
}

async fn readiness(State(admitted): State<Arc<Admitted>>) -> Response {
    let overload = admitted.overload.as_ref().map(|(guard, _)| &**guard);
    let why = overload.map(overloaded).unwrap_or_default();
    let fails = !why.is_empty() && overload.is_some_and(|guard| guard.settings.fail_readiness);
    let ready = admitted.health.is_ready() && !fails;
    let word = if ready { "ready" } else { "not ready" };
    let mut text = format!("{word}{why}\n");
    // It serves without them, as its limits say, so that this is for people to read.
    for store in admitted.snapshot.stores.iter().filter(|store| !store.is_up()) {
        text.push_str(&format!("store {} is down\n", store.name()));
    }
    (status(ready), text).into_response()
}

async fn exposition(State(admitted): State<Arc<Admitted>>) -> Response {
    let workers = admitted.metrics.iter().map(|metrics| metrics.registry());
    let services = admitted.figures.look(&admitted.snapshot);
    let overload = admitted.overload.as_ref().map(|(guard, pressure)| pressure.look(guard));
    let text = render(workers.chain([admitted.process.registry(), services]).chain(overload));
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

/// The services: who of their endpoints serves, and why the others do not.
async fn services(State(admitted): State<Arc<Admitted>>) -> Response {
    let now = Instant::now();
    let services = admitted.snapshot.services.iter();
    let services: Vec<_> = services.map(|service| ServiceReport::of(service, now)).collect();
    json_of(&json!({ "services": services }))
}

/// The issuers of tokens: which of their keys are known, and since when, and how it is to ask them.
async fn issuers(State(admitted): State<Arc<Admitted>>) -> Response {
    let issuers = admitted.snapshot.issuers();
    let introspectors = admitted.snapshot.introspectors();
    json_of(&json!({
        "issuers": issuers.iter().map(|issuer| issuer.report()).collect::<Vec<_>>(),
        "introspection": introspectors.iter().map(|one| one.report()).collect::<Vec<_>>(),
    }))
}

/// The stores that several gateways share: whether they answer, and how it is to ask them.
async fn stores(State(admitted): State<Arc<Admitted>>) -> Response {
    let stores = admitted.snapshot.stores.iter();
    json_of(&json!({ "stores": stores.map(|store| store.report()).collect::<Vec<_>>() }))
}

/// The last answers of mirrors that differed from those that clients got.
async fn mirrors(State(admitted): State<Arc<Admitted>>) -> Response {
    let routes = admitted.snapshot.routes.iter();
    let mirrors = routes.filter_map(|route| {
        let mirror = route.answer.backends()?.mirror.as_ref()?;
        let kept = mirror.samples.kept();
        Some(json!({
            "route": &*route.name,
            "service": &**mirror.backend.service.name(),
            "differences": kept.iter().map(|sample| &**sample).collect::<Vec<_>>(),
        }))
    });
    json_of(&json!({ "mirrors": mirrors.collect::<Vec<_>>() }))
}

fn json_of(value: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// Why the gateway sheds at present, or accepts nobody; nothing where it does neither.
fn overloaded(guard: &Guard) -> String {
    let accept = (!guard.accepts()).then_some("accept");
    let why: Vec<&str> = guard.sheds().map(Reason::label).chain(accept).collect();
    if why.is_empty() { String::new() } else { format!(", overloaded: {}", why.join(", ")) }
}

fn status(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Lets a caller through who has shown the token.
async fn lets_in(State(admitted): State<Arc<Admitted>>, request: Request, next: Next) -> Response {
    if admitted.lets_in(request.headers()) {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"admin\"")];
    (StatusCode::UNAUTHORIZED, challenge).into_response()
}

impl Admitted {
    /// Whether a caller has the token, if one is asked for.
    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.split_once(' '));
        given.is_some_and(|(scheme, given)| {
            scheme.eq_ignore_ascii_case("bearer") && same(given.as_bytes(), token.as_bytes())
        })
    }
}

/// Compares in a time that tells nothing of where two texts differ.
fn same(given: &[u8], token: &[u8]) -> bool {
    let pairs = given.iter().zip(token);
    given.len() == token.len() && pairs.fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_same() {
        assert!(same(b"secret", b"secret"));
        assert!(!same(b"secre", b"secret"));
        assert!(!same(b"secreT", b"secret"));
        assert!(!same(b"", b"secret"));
    }
}
