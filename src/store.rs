//! Stores that several gateways share (Redis, Valkey): what one of them counts, all of them know.
//!
//! A store is asked by workers and answers on a thread of its own, which keeps the connections of all
//! stores. A worker waits for an answer no longer than [`Settings::timeout`], and not at all for a
//! store that is known to be down: five calls in a row that fail make it so, and it is asked again
//! once it has answered a `PING`.

pub mod config;
mod connection;
pub mod failure;
mod keeper;
pub mod limits;
pub mod report;
pub mod settings;
pub mod url;

pub use config::StoreConfig;
pub use failure::{Cause, StoreError};
pub use report::Report;
pub use settings::Settings;

use crate::lock::lock;
use keeper::{Job, Kept, What};
use redis::{Cmd, Value};
use report::Figures;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;

/// How many calls may wait for one store. Beyond that it is slower than it is asked, and who waited
/// longer would only be answered later.
const MOST: usize = 4096;

/// A store, as workers see it. All threads share it, and it outlives a reload.
pub struct Store {
    kept: Arc<Kept>,
    jobs: mpsc::Sender<Job>,
    /// What its keeper begins with, until it has begun.
    waiting: Mutex<Option<mpsc::Receiver<Job>>>,
}

impl Store {
    /// A store that is not asked anything yet: it is down until [`Store::start`] has connected it.
    pub fn new(settings: Settings) -> Self {
        let (jobs, waiting) = mpsc::channel(MOST);
        let figures = Figures::new(SystemTime::now());
        let tried = watch::Sender::new(false);
        let kept = Arc::new(Kept { settings, figures, broken: Notify::new(), tried });
        Store { kept, jobs, waiting: Mutex::new(Some(waiting)) }
    }

    /// Begins to keep its connection on a runtime, unless that has begun.
    pub fn start(&self, runtime: &Handle) {
        if let Some(jobs) = lock(&self.waiting).take() {
            runtime.spawn(keeper::keep(Arc::clone(&self.kept), jobs));
        }
    }

    /// Waits until it is up, or it was tried in vain to connect.
    pub async fn first_answer(&self) {
        // The sender lives as long as the store.
        drop(self.kept.tried.subscribe().wait_for(|tried| *tried).await);
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.kept.settings.name
    }

    /// How it is reached.
    pub fn settings(&self) -> &Settings {
        &self.kept.settings
    }

    /// How long a call may take.
    pub fn timeout(&self) -> Duration {
        self.kept.settings.timeout
    }

    /// Whether it is asked.
    pub fn is_up(&self) -> bool {
        self.kept.figures.is_up()
    }

    /// How it is.
    pub fn report(&self) -> Report {
        self.kept.figures.report(self.name())
    }

    /// A key of its own, made of parts.
    pub fn key(&self, parts: &[&[u8]]) -> Vec<u8> {
        let prefix = self.kept.settings.prefix.as_bytes();
        let mut key =
            Vec::with_capacity(prefix.len() + parts.iter().map(|part| part.len()).sum::<usize>());
        key.extend_from_slice(prefix);
        parts.iter().for_each(|part| key.extend_from_slice(part));
        key
    }

    /// Asks it to do a command.
    ///
    /// # Errors
    ///
    /// It does not answer in time, cannot be reached, or refuses. Whether it has done it is unknown
    /// where it is late or its connection failed.
    pub async fn call(&self, command: Cmd) -> Result<Value, StoreError> {
        self.ask(What::Command(command)).await
    }

    /// Runs a script of a limit.
    async fn script(&self, run: limits::Run) -> Result<Value, StoreError> {
        self.ask(What::Script(run)).await
    }

    async fn ask(&self, what: What) -> Result<Value, StoreError> {
        let Kept { figures, settings, broken, .. } = &*self.kept;
        let began = Instant::now();
        let asked = async {
            if !figures.is_up() {
                return Err(StoreError::Down);
            }
            let _place = figures.begin(MOST).ok_or(StoreError::Full)?;
            let (answer, waits) = oneshot::channel();
            self.jobs.try_send(Job { what, answer }).map_err(|_| StoreError::Full)?;
            match timeout(settings.timeout, waits).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(StoreError::Connection("its keeper has ended".into())),
                Err(_) => Err(StoreError::Timeout),
            }
        };
        let outcome = asked.await;
        if figures.count(&outcome, began.elapsed()) {
            // Until it answers a new connection, nobody waits for it any more.
            let why = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
            figures.down(self.name(), &why, SystemTime::now());
            broken.notify_one();
        }
        outcome
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("settings", &self.kept.settings).finish_non_exhaustive()
    }
}
