//! The gateway's own overload: when it refuses requests, and when it stops to accept connections.
//!
//! A service's limits protect the service. What stands here protects the gateway itself, from more
//! requests than it may have at once, from a thread that does not come round in time, and from
//! running out of memory; `docs/decisions/0020-shedding-load.md` says why these are the signals.
//! This file is what threads share; the rules are pure and stand below (`lag.rs`, `watermark.rs`),
//! as does the reading of memory (`memory.rs`).

mod lag;
pub mod memory;
#[cfg(test)]
mod tests;
mod watermark;

pub use watermark::Watermark;

use crate::lock::lock;
use crate::upstream::adaptive::Priority;
pub use lag::CLASS;
use lag::Lag;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often a worker measures how late it wakes.
const TICK: Duration = Duration::from_millis(10);

/// When it may be worth to ask again: overload passes or is answered by the less important's
/// absence within some windows of the lag, and a client that waits for longer is a client lost.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the gateway bears.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Settings {
    /// The most requests in flight, over all workers.
    pub in_flight: Option<u32>,
    /// How late a worker may wake before it sheds.
    pub lag: Option<Duration>,
    /// The resident bytes from which on every request is shed.
    pub shed_memory: Option<u64>,
    /// The resident bytes from which on no connection is accepted.
    pub pause_memory: Option<u64>,
    /// The number of open connections from which on no other is accepted.
    pub pause_connections: Option<u64>,
    /// Whether an overloaded gateway says that it is not ready.
    pub fail_readiness: bool,
}

/// Why a request was shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// As many requests are in flight as may be.
    InFlight,
    /// The thread does not come round in time.
    Lag,
    /// The process has too much memory.
    Memory,
}

impl Reason {
    /// Every reason, in the order in which a request is asked about them.
    pub const ALL: [Reason; 3] = [Reason::InFlight, Reason::Lag, Reason::Memory];

    /// The reason in one word, for metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Reason::InFlight => "in_flight",
            Reason::Lag => "lag",
            Reason::Memory => "memory",
        }
    }

    /// The reason in a sentence, for the access log.
    pub const fn cause(self) -> &'static str {
        match self {
            Reason::InFlight => "shed: as many requests are in flight as may be",
            Reason::Lag => "shed: the worker is late",
            Reason::Memory => "shed: memory is short",
        }
    }
}

/// Every class, by its number.
pub const PRIORITIES: [Priority; 3] = [Priority::Low, Priority::Normal, Priority::High];

/// What is known of the whole process's load; one for a process.
#[derive(Debug)]
pub struct Guard {
    /// What it bears.
    pub settings: Settings,
    in_flight: AtomicU32,
    connections: AtomicU64,
    memory: AtomicU64,
    /// How many classes are shed for memory's sake, the lowest first.
    memory_sheds: AtomicUsize,
    marks: Mutex<Marks>,
    accepting: watch::Sender<bool>,
    workers: Vec<Arc<Load>>,
}

/// The marks that remember on which side of them one is.
#[derive(Debug)]
struct Marks {
    /// Of each class.
    shed: [Option<Watermark>; 3],
    pause_memory: Option<Watermark>,
    pause_connections: Option<Watermark>,
}

/// What one worker writes, on a cache line that others only read when somebody scrapes.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Load {
    lag_micros: AtomicU64,
    lag_level: AtomicU32,
    shed: [[AtomicU64; 3]; 3],
}

impl Guard {
    /// A process that has done nothing yet, with so many workers.
    pub fn new(settings: Settings, workers: usize) -> Arc<Self> {
        let shed = |class: Priority| {
            // A share of bytes is taken of kilobytes, which fit.
            let kilobytes = |bytes: u64| u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
            let share = |bytes| u64::from(class.share(kilobytes(bytes))) << 10;
            settings.shed_memory.map(share).map(Watermark::new)
        };
        Arc::new(Guard {
            settings,
            in_flight: AtomicU32::new(0),
            connections: AtomicU64::new(0),
            memory: AtomicU64::new(0),
            memory_sheds: AtomicUsize::new(0),
            marks: Mutex::new(Marks {
                shed: PRIORITIES.map(shed),
                pause_memory: settings.pause_memory.map(Watermark::new),
                pause_connections: settings.pause_connections.map(Watermark::new),
            }),
            accepting: watch::Sender::new(true),
            workers: (0..workers).map(|_| Arc::default()).collect(),
        })
    }

    /// The guard as a worker sees it.
    pub fn worker(self: &Arc<Self>, number: usize) -> Arc<WorkerGuard> {
        let load = Arc::clone(&self.workers[number]);
        Arc::new(WorkerGuard { guard: Arc::clone(self), load })
    }

    /// Says how many bytes the process has resident.
    pub fn remember_memory(&self, resident: u64) {
        self.memory.store(resident, Relaxed);
        let mut marks = lock(&self.marks);
        let shed = marks.shed.iter_mut().flatten().map(|mark| mark.look(resident));
        self.memory_sheds.store(shed.filter(|&is_over| is_over).count(), Relaxed);
        self.review(&mut marks);
    }

    /// Counts a connection that was accepted.
    pub fn opened(&self) {
        let open = self.connections.fetch_add(1, Relaxed) + 1;
        if self.settings.pause_connections.is_some_and(|most| open >= most) {
            self.review(&mut lock(&self.marks));
        }
    }

    /// Counts the end of a connection.
    pub fn closed(&self) {
        self.connections.fetch_sub(1, Relaxed);
        // The lock is for those who close while nobody accepts.
        if !*self.accepting.borrow() {
            self.review(&mut lock(&self.marks));
        }
    }

    /// Decides whether connections are accepted, under the lock of the marks.
    fn review(&self, marks: &mut Marks) {
        let is_over = |mark: &mut Option<Watermark>, value| {
            mark.as_mut().is_some_and(|mark| mark.look(value))
        };
        let full = is_over(&mut marks.pause_connections, self.connections.load(Relaxed));
        let heavy = is_over(&mut marks.pause_memory, self.memory.load(Relaxed));
        let accepts = !full && !heavy;
        let changed = self.accepting.send_if_modified(|now| {
            let differs = *now != accepts;
            *now = accepts;
            differs
        });
        if changed && accepts {
            tracing::info!("accepting goes on");
        } else if changed {
            tracing::warn!(full, heavy, "accepting pauses, the backlog waits");
        }
    }

    /// Whether connections are accepted, and when that changes.
    pub fn accepting(&self) -> watch::Receiver<bool> {
        self.accepting.subscribe()
    }

    /// Whether connections are accepted.
    pub fn accepts(&self) -> bool {
        *self.accepting.borrow()
    }

    /// The requests in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// The resident bytes, as far as they are watched.
    pub fn memory(&self) -> u64 {
        self.memory.load(Relaxed)
    }

    /// How late the latest worker wakes.
    pub fn lag(&self) -> Duration {
        let micros = self.workers.iter().map(|load| load.lag_micros.load(Relaxed));
        Duration::from_micros(micros.max().unwrap_or(0))
    }

    /// How many requests of a class were shed for a reason.
    pub fn shed(&self, priority: Priority, reason: Reason) -> u64 {
        let count = |load: &Arc<Load>| load.shed[priority as usize][reason as usize].load(Relaxed);
        self.workers.iter().map(count).sum()
    }

    /// For which reasons requests are shed at present, the least important at least.
    pub fn sheds(&self) -> impl Iterator<Item = Reason> {
        let is_so = |reason: &Reason| match reason {
            Reason::InFlight => {
                let most = self.settings.in_flight;
                most.is_some_and(|most| self.in_flight() >= Priority::Low.share(most))
            }
            Reason::Lag => self.workers.iter().any(|load| load.lag_level.load(Relaxed) > 0),
            Reason::Memory => self.memory_sheds.load(Relaxed) > 0,
        };
        Reason::ALL.into_iter().filter(is_so)
    }
}

/// The guard as one worker sees it.
#[derive(Debug)]
pub struct WorkerGuard {
    /// The process's.
    pub guard: Arc<Guard>,
    load: Arc<Load>,
}

impl WorkerGuard {
    /// Lets a request in, or says why not; the chance, below [`CLASS`], is drawn where a class is shed in
    /// part.
    ///
    /// It costs an addition on a line that all workers share, one more when the request is over,
    /// and two loads. Whoever is being refused is counted for that moment, so that one request more
    /// may be refused for each worker; more than may be in flight never are.
    pub fn admit(
        self: &Arc<Self>,
        priority: Priority,
        chance: impl FnOnce() -> u32,
    ) -> Result<Admitted, Reason> {
        let guard = &self.guard;
        let before = guard.in_flight.fetch_add(1, Relaxed);
        // Whoever is refused gives its place back by dropping this.
        let admitted = Admitted(Arc::clone(self));
        let most = guard.settings.in_flight;
        let reason = if most.is_some_and(|most| before >= priority.share(most)) {
            Reason::InFlight
        } else if lag::is_shed(self.load.lag_level.load(Relaxed), priority, chance) {
            Reason::Lag
        } else if guard.memory_sheds.load(Relaxed) > priority as usize {
            Reason::Memory
        } else {
            return Ok(admitted);
        };
        self.load.shed[priority as usize][reason as usize].fetch_add(1, Relaxed);
        Err(reason)
    }

    /// Measures on the worker's own thread how late it wakes, where that is asked for; never ends
    /// then. Its hundred timers a second are the whole cost.
    pub async fn measure_lag(self: Arc<Self>) {
        let Some(target) = self.guard.settings.lag else { return };
        let mut lag = Lag::new(target, Instant::now());
        loop {
            let due = Instant::now() + TICK;
            tokio::time::sleep_until(due.into()).await;
            let now = Instant::now();
            if lag.woke(now, now.saturating_duration_since(due)) {
                let micros = u64::try_from(lag.standing().as_micros()).unwrap_or(u64::MAX);
                self.load.lag_micros.store(micros, Relaxed);
                self.load.lag_level.store(lag.level(), Relaxed);
            }
        }
    }
}

/// A request in flight; counted until it is dropped, even by a panic.
#[derive(Debug)]
pub struct Admitted(Arc<WorkerGuard>);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.guard.in_flight.fetch_sub(1, Relaxed);
    }
}
