//! The main thread: it begins the serving, watches over it, and ends it.

use super::admin::{self, Health};
use super::worker::{self, Worker};
use super::{End, Error, door, stores};
use crate::overload::{Guard, memory};
use crate::snapshot::{Compiled, Process, Snapshot, View};
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::process::Process as Figures;
use crate::upstream::Keeper;
use crate::upstream::call::Caller;
use crate::version;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long the start waits for name servers and for issuers of tokens; who is later is not known
/// until then.
const FIRST_ANSWERS: Duration = Duration::from_secs(2);

/// How often the process's memory is read: often enough for what allocates fast, and a few
/// microseconds of the main thread each.
const LOOK_AT_MEMORY: Duration = Duration::from_millis(250);

/// How many connections of health checks are kept for the next one.
const IDLE_CHECKS: usize = 1024;

/// Serves a compiled document until the process is told to end.
pub async fn run(compiled: Compiled) -> Result<End, Error> {
    let Compiled { snapshot, process } = compiled;
    let mut signals = Signals::new().map_err(Error::Thread)?;
    let figures = Figures::new(version::PACKAGE, version::COMMIT);
    let access_log = AccessLog::open(process.access_log.clone(), figures.access_log_dropped())
        .map_err(|source| Error::AccessLog { target: process.access_log.path.clone(), source })?;
    let admin = process.admin.as_ref().map(admin::bind).transpose()?;
    let snapshot = Arc::new(snapshot);
    stores::keep(&snapshot.stores)?;
    let _keepers = keep(&snapshot).await;

    let (shutdown, is_shutdown) = watch::channel(false);
    let overload = process.overload.map(|settings| Guard::new(settings, process.threads));
    if let Some(overload) = &overload {
        tokio::spawn(watch_memory(Arc::clone(overload)));
    }
    let mut workers = start(&process, &snapshot, &access_log, overload.as_ref(), is_shutdown)?;
    let health = Arc::new(Health::new(snapshot.generation));
    if let (Some(listener), Some(config)) = (admin, &process.admin) {
        let metrics = workers.iter().map(Worker::metrics).collect();
        let (health, snapshot) = (Arc::clone(&health), Arc::clone(&snapshot));
        let router = admin::router(config, metrics, figures, health, snapshot, overload);
        tokio::spawn(admin::serve(listener, router));
    }
    for worker in &mut workers {
        worker.ready().await?;
    }
    health.set_ready(true);
    announce(&process, workers.len());

    let end = loop {
        match signals.next().await {
            Asked::Reopen => access_log.reopen(),
            Asked::Interrupt => break End::Interrupted,
            Asked::Terminate => {
                health.set_ready(false);
                tracing::info!(grace = ?process.grace, "draining");
                shutdown.send_replace(true);
                break drain(&mut workers, &mut signals, process.grace).await;
            }
        }
    };
    tracing::info!(?end, "stopped");
    access_log.close();
    Ok(end)
}

/// What keeps up to date what a snapshot knows of others, until it is dropped.
struct Keepers {
    _services: Vec<Keeper>,
    /// Those of issuers of tokens.
    _issuers: JoinSet<()>,
}

/// Begins to keep the services and the issuers of tokens, and waits for what all of them know at
/// once; the slow ones come in later.
async fn keep(snapshot: &Snapshot) -> Keepers {
    // It reads the system's authorities, which takes its time.
    let checks = snapshot.services.iter().any(|service| service.plan.check.is_some());
    let caller = checks.then(|| Arc::new(Caller::new(IDLE_CHECKS)));
    let start = |service| Keeper::start(service, caller.clone());
    let mut keepers: Vec<Keeper> = snapshot.services.iter().map(start).collect();
    let mut tasks = JoinSet::new();
    let issuers = snapshot.issuers();
    for issuer in issuers.iter().map(Arc::clone) {
        tasks.spawn(async move { issuer.keep().await });
    }
    for introspector in snapshot.introspectors() {
        tasks.spawn(introspector.keep());
    }
    let all = async {
        for keeper in &mut keepers {
            keeper.first_answer().await;
        }
        for issuer in &issuers {
            issuer.first_answer().await;
        }
        for store in &snapshot.stores {
            store.first_answer().await;
        }
    };
    drop(timeout(FIRST_ANSWERS, all).await);
    Keepers { _services: keepers, _issuers: tasks }
}

/// Binds every socket before the first connection is taken, since a process that cannot have all
/// of its addresses serves nobody; then starts the threads.
fn start(
    process: &Process,
    snapshot: &Arc<Snapshot>,
    access_log: &AccessLog,
    overload: Option<&Arc<Guard>>,
    shutdown: watch::Receiver<bool>,
) -> Result<Vec<Worker>, Error> {
    let doors = door::bind(&process.doors, process.threads)?;
    let plan = |(number, doors)| {
        let metrics = Arc::new(Metrics::new());
        worker::Plan {
            number,
            core: process.affinity.iter().cycle().nth(number).copied(),
            doors,
            view: View::new(Arc::clone(snapshot), &metrics, number),
            metrics,
            overload: overload.map(|overload| overload.worker(number)),
            access_log: access_log.lines(),
            shutdown: shutdown.clone(),
        }
    };
    doors.into_iter().enumerate().map(plan).map(Worker::start).collect()
}

/// Reads the process's memory a few times a second, where somebody wants to know it.
async fn watch_memory(overload: Arc<Guard>) {
    let settings = &overload.settings;
    if settings.shed_memory.is_none() && settings.pause_memory.is_none() {
        return;
    }
    loop {
        match memory::resident(Path::new("/")) {
            Some(resident) => overload.remember_memory(resident),
            None => tracing::warn!("the resident memory cannot be read"),
        }
        tokio::time::sleep(LOOK_AT_MEMORY).await;
    }
}

fn announce(process: &Process, threads: usize) {
    for door in &process.doors {
        let (name, address) = (&*door.listener.name, door.address);
        tracing::info!(name, %address, tls = door.tls.is_some(), "listening");
    }
    tracing::info!(threads, "ready");
}

/// Lets what is in flight come to its end: until all has, or the time is over, or a second signal
/// says that it must not take that long.
async fn drain(workers: &mut [Worker], signals: &mut Signals, grace: Duration) -> End {
    let ended = async {
        for worker in workers {
            worker.ended().await;
        }
    };
    tokio::select! {
        () = ended => End::Drained,
        () = tokio::time::sleep(grace) => {
            tracing::warn!("the grace time is over, what is still in flight is cut");
            End::Drained
        }
        () = signals.second() => End::Interrupted,
    }
}

/// What the operator asks the process for.
enum Asked {
    Terminate,
    Interrupt,
    Reopen,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reopen: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reopen: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Terminate,
            _ = self.interrupt.recv() => Asked::Interrupt,
            _ = self.reopen.recv() => Asked::Reopen,
        }
    }

    /// Waits for a signal that ends the process, when one of them has come before.
    async fn second(&mut self) {
        while let Asked::Reopen = self.next().await {}
    }
}
