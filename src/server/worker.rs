//! One serving thread: its runtime, its gateway, its sockets.

use super::Error;
use super::door::{self, OpenDoor};
use crate::answer::Backends;
use crate::overload::WorkerGuard;
use crate::proxy::Gateway;
use crate::proxy::mirror::{AT_ONCE, Copies};
use crate::snapshot::{Current, Route, View};
use crate::telemetry::access_log::Lines;
use crate::telemetry::metrics::Metrics;
use crate::upstream::call::Caller;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use pingora::apps::{HttpServerOptions, ServerApp};
use pingora::protocols::http::v2::server::default_h2_options;
use pingora::server::configuration::ServerConf;
use pingora_proxy::HttpProxy;
use std::sync::Arc;
use std::thread;
use tokio::sync::{mpsc, oneshot, watch};

/// The most idle connections that a worker keeps to all services together.
const IDLE_TO_SERVICES: usize = 1024;
/// The most idle connections that a worker keeps for hedged requests and copies of requests.
const IDLE_TO_CALLS: usize = 256;

/// What a worker needs to begin.
pub struct Plan {
    /// Its number.
    pub number: usize,
    /// The core that it is pinned to.
    pub core: Option<usize>,
    /// Its sockets.
    pub doors: Vec<OpenDoor>,
    /// What it serves by.
    pub view: View,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// What it sheds by, where the gateway's overload is watched.
    pub overload: Option<Arc<WorkerGuard>>,
    /// Where it writes its access log.
    pub access_log: Lines,
    /// Becomes true when no new requests are taken any more.
    pub shutdown: watch::Receiver<bool>,
}

/// A serving thread, as the main thread sees it.
pub struct Worker {
    metrics: Arc<Metrics>,
    ready: Option<oneshot::Receiver<Result<(), Error>>>,
    ended: oneshot::Receiver<()>,
}

impl Worker {
    /// Starts the thread.
    pub fn start(plan: Plan) -> Result<Worker, Error> {
        let metrics = Arc::clone(&plan.metrics);
        let (is_ready, ready) = oneshot::channel();
        let (has_ended, ended) = oneshot::channel();
        thread::Builder::new()
            .name(format!("worker-{}", plan.number))
            .spawn(move || {
                serve(plan, is_ready);
                drop(has_ended);
            })
            .map_err(Error::Thread)?;
        Ok(Worker { metrics, ready: Some(ready), ended })
    }

    /// What it counts.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Waits until it accepts connections, or says why it does not.
    pub async fn ready(&mut self) -> Result<(), Error> {
        match self.ready.take() {
            None => Ok(()),
            Some(ready) => ready.await.unwrap_or_else(|_| {
                Err(Error::Thread(std::io::Error::other("a worker ended before it was ready")))
            }),
        }
    }

    /// Waits until nothing of its is in flight any more.
    pub async fn ended(&mut self) {
        // The thread sends nothing: the channel closes when it ends, even by a panic.
        drop((&mut self.ended).await);
    }
}

fn serve(plan: Plan, ready: oneshot::Sender<Result<(), Error>>) {
    // A receiver that is gone is a main thread that is ending.
    let began = plan.core.map_or(Ok(()), pin).and_then(|()| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().map_err(Error::Thread)
    });
    match began {
        Ok(runtime) => runtime.block_on(serve_until_drained(plan, ready)),
        Err(error) => drop(ready.send(Err(error))),
    }
}

fn pin(core: usize) -> Result<(), Error> {
    let mut cores = CpuSet::new();
    cores
        .set(core)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &cores))
        .map_err(|error| Error::Affinity { core, source: error.into() })
}

async fn serve_until_drained(plan: Plan, ready: oneshot::Sender<Result<(), Error>>) {
    let Plan { doors, view, metrics, access_log, mut shutdown, overload, .. } = plan;
    let access_log = Arc::new(access_log);
    let backends = || view.snapshot.routes.iter().filter_map(|route| route.answer.backends());
    let mirrors = backends().any(|backends| backends.mirror.is_some());
    let hedges = backends().any(Backends::are_hedged);
    let asks = view.snapshot.routes.iter().any(Route::asks_services);
    // Whoever makes calls of its own reads the system's authorities, which takes its time.
    let caller = (mirrors || hedges || asks).then(|| Arc::new(Caller::new(IDLE_TO_CALLS)));
    let copies = caller.clone().filter(|_| mirrors).map(|caller| Copies::new(caller, AT_ONCE));
    let current = Current::new(view);
    if let Some(overload) = &overload {
        tokio::spawn(Arc::clone(overload).measure_lag());
    }
    let gateway = Gateway {
        current,
        access_log: Arc::clone(&access_log),
        caller,
        copies,
        overload: overload.clone(),
    };
    let proxy = Arc::new(proxy(gateway));
    // Each request looks at this flag; one of its own spares the worker the others' cache line.
    let (set_draining, draining) = watch::channel(false);
    // Each connection holds a sender, so that the channel closes with the last of them.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    for door in doors {
        let metrics = Arc::new(metrics.listener(&door.name()));
        let house = door::House {
            proxy: Arc::clone(&proxy),
            draining: draining.clone(),
            open: open.clone(),
            metrics,
            overload: overload.as_ref().map(|overload| Arc::clone(&overload.guard)),
        };
        if let Err(error) = door.accept_in(house) {
            drop(ready.send(Err(Error::Thread(error))));
            return;
        }
    }
    drop(ready.send(Ok(())));
    drop(open);
    // A sender that is gone means the same as its word.
    drop(shutdown.wait_for(|&shutdown| shutdown).await);
    set_draining.send_replace(true);
    proxy.cleanup().await;
    while all_closed.recv().await.is_some() {}
    access_log.flush();
}

fn proxy(gateway: Gateway) -> HttpProxy<Gateway> {
    let conf = ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: IDLE_TO_SERVICES,
        ..ServerConf::default()
    };
    let mut proxy = HttpProxy::new(gateway, Arc::new(conf));
    let mut options = HttpServerOptions::default();
    // Asks each plain connection for its preface; the answer is the listener's (`preface.rs`).
    options.h2c = true;
    proxy.server_options = Some(options);
    proxy.h2_options = Some(default_h2_options());
    proxy.handle_init_modules();
    proxy
}
