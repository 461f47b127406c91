//! Who issues tokens: where its keys are, fetched in the background and kept while it is down.
//!
//! An issuer's keys are read by every thread and changed by one task on the main thread. They are
//! never dropped for their age: an issuer that is down signs nothing, and what it has signed stays
//! as good as it was. A key that is not known is asked for at once, and whoever brings a token with
//! it waits, so that an issuer may change its keys whenever it likes.

mod address;
mod desk;
mod failure;
mod fetch;
pub mod introspection;
mod keeper;
mod metadata;
mod permits;
mod plan;
mod report;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use failure::Trouble;
pub use metadata::Metadata;
pub use plan::Plan;
pub use report::Report;

use crate::lock::lock;
use arc_swap::ArcSwapOption;
use desk::{Desk, PATIENCE, Step};
use failure::Failure;
use report::Figures;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

/// How many requests may wait for an issuer at once.
const WAITING: usize = 1024;

/// Keys as an issuer publishes them.
pub trait KeySet: Sized + Send + Sync + 'static {
    /// Reads a document. Keys of kinds that are not known are left out (RFC 7517 §5).
    ///
    /// # Errors
    ///
    /// Says why it is no key set, without a word of the keys themselves, since it is for the log.
    fn parse(document: &[u8]) -> Result<Self, String>;

    /// How many keys can be used.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a key has this name (`kid`, RFC 7517 §4.5).
    fn has(&self, kid: &str) -> bool;

    /// Whether a key of these is missing in, or another one in, a newer set: what was checked with
    /// these has to be checked again.
    fn lost(&self, newer: &Self) -> bool;
}

/// Why there is no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The issuer has no key of this name: the token is not its.
    #[error("the issuer has no such key")]
    Unknown,
    /// The issuer could not be asked, or too many wait for it, so that nothing can be said.
    #[error("the issuer could not be asked")]
    Unavailable,
}

/// An issuer. It outlives reloads.
pub struct Issuer<K> {
    plan: Plan,
    keys: ArcSwapOption<K>,
    generation: AtomicU64,
    metadata: watch::Sender<Option<Arc<Metadata>>>,
    desk: Mutex<Desk>,
    /// How many rounds have come to their end.
    rounds: watch::Sender<u64>,
    /// Wakes the keeper.
    wake: Notify,
    waiting: AtomicUsize,
    /// Held by whoever keeps it.
    keeping: tokio::sync::Mutex<()>,
    figures: Figures,
}

impl<K: KeySet> Issuer<K> {
    /// Makes an issuer of which nothing is known. Nobody is asked anything before it is
    /// [kept](Issuer::keep).
    pub fn new(plan: Plan) -> Self {
        Issuer {
            plan,
            keys: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            metadata: watch::Sender::new(None),
            desk: Mutex::default(),
            rounds: watch::Sender::new(0),
            wake: Notify::new(),
            waiting: AtomicUsize::new(0),
            keeping: tokio::sync::Mutex::new(()),
            figures: Figures::default(),
        }
    }

    /// What is to be known of it.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The keys, as they are known now; none before it has answered for the first time.
    pub fn keys(&self) -> Option<Arc<K>> {
        self.keys.load_full()
    }

    /// Grows whenever a key was lost or changed, and not when some were added. What was found out
    /// with the keys of one generation holds for as long as that lasts. Read it *before* the keys:
    /// it grows after they have changed.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Follows the metadata: none before they are known, and for ever where the plan says where the
    /// keys are.
    pub fn metadata(&self) -> watch::Receiver<Option<Arc<Metadata>>> {
        self.metadata.subscribe()
    }

    /// Waits until it was asked for the first time, whatever came of it.
    pub async fn first_answer(&self) {
        // The issuer holds the other end, so that it cannot be gone.
        drop(self.rounds.subscribe().wait_for(|rounds| *rounds > 0).await);
    }

    /// The keys, once there are any: waits for 5 seconds at most.
    ///
    /// # Errors
    ///
    /// Says that the issuer has not told any.
    pub async fn loaded(&self) -> Result<Arc<K>, Missing> {
        match self.keys() {
            Some(keys) => Ok(keys),
            None => self.wait(None, |_| true).await.map_err(|_| Missing::Unavailable),
        }
    }

    /// Keys among which is the one of this name. If it is not known the issuer is asked, and the
    /// answer is waited for, 5 seconds at most. Any thread may call it.
    ///
    /// Only an answer to a question that was asked after this call can say that there is no such
    /// key. Such names are remembered for a while, and in that time get a question only where there
    /// are enough of them left for others.
    ///
    /// # Errors
    ///
    /// Says whether there is no such key, or whether that is not known.
    pub async fn refreshed(&self, kid: &str) -> Result<Arc<K>, Missing> {
        if let Some(keys) = self.keys().filter(|keys| keys.has(kid)) {
            return Ok(keys);
        }
        if !lock(&self.desk).admits(kid, Instant::now()) {
            // It may have come since it was last looked for.
            return self.keys().filter(|keys| keys.has(kid)).ok_or(Missing::Unknown);
        }
        self.wait(Some(kid), |keys| keys.has(kid)).await
    }

    /// Keys that have changed since `than` was read: for a token that names no key, and that none of
    /// those has signed. The issuer is asked only where a question can be spared, since anyone can
    /// make up such a token; otherwise there is no wait.
    ///
    /// # Errors
    ///
    /// Says whether the keys are the same, or whether that is not known.
    pub async fn newer(&self, than: &Arc<K>) -> Result<Arc<K>, Missing> {
        let is_newer = |keys: &Arc<K>| !Arc::ptr_eq(keys, than);
        if let Some(keys) = self.keys().filter(is_newer) {
            return Ok(keys);
        }
        if !lock(&self.desk).can_spare(Instant::now()) {
            return Err(Missing::Unknown);
        }
        self.wait(None, is_newer).await
    }

    /// Waits for keys that will do.
    async fn wait(
        &self,
        kid: Option<&str>,
        will_do: impl Fn(&Arc<K>) -> bool,
    ) -> Result<Arc<K>, Missing> {
        let _place = Place::take(&self.waiting).ok_or(Missing::Unavailable)?;
        let outcome = timeout(PATIENCE, self.follow(kid, will_do)).await;
        outcome.unwrap_or(Err(Missing::Unavailable))
    }

    async fn follow(
        &self,
        kid: Option<&str>,
        will_do: impl Fn(&Arc<K>) -> bool,
    ) -> Result<Arc<K>, Missing> {
        let mut rounds = self.rounds.subscribe();
        let mut needed = None;
        loop {
            // Marked as seen before the desk is looked at, so that no end is missed.
            rounds.borrow_and_update();
            {
                let mut desk = lock(&self.desk);
                // Looked at with the desk held: keys are published before their round has ended.
                if let Some(keys) = self.keys().filter(&will_do) {
                    return Ok(keys);
                }
                let now = Instant::now();
                let needed = *needed.get_or_insert(desk.next());
                match desk.step(needed, now) {
                    Step::Wait => {}
                    Step::Ask => self.wake.notify_one(),
                    Step::Unavailable => return Err(Missing::Unavailable),
                    Step::Unknown => {
                        kid.into_iter().for_each(|kid| desk.is_absent(kid, now));
                        return Err(Missing::Unknown);
                    }
                }
            }
            if rounds.changed().await.is_err() {
                return Err(Missing::Unavailable);
            }
        }
    }

    /// Replaces the keys, then says so.
    fn publish(&self, keys: K) {
        let keys = Arc::new(keys);
        let before = self.keys.swap(Some(Arc::clone(&keys)));
        if before.is_some_and(|before| before.lost(&keys)) {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// How it is.
    pub fn report(&self) -> Report {
        let last = self.figures.last();
        Report {
            issuer: (&*self.plan.issuer).into(),
            keys: self.keys().map_or(0, |keys| keys.len()),
            generation: self.generation(),
            succeeded: last.succeeded,
            trouble: last.trouble,
            fetched: self.figures.good.load(Ordering::Relaxed),
            failed: self.figures.bad.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }
}

impl<K> fmt::Debug for Issuer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// A place among those who wait, given back when this is dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Place(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl KeySet for crate::jose::KeySet {
    fn parse(document: &[u8]) -> Result<Self, String> {
        // What anybody can fetch holds no secrets.
        let (keys, skipped) =
            crate::jose::KeySet::jwks(document, false).map_err(|invalid| invalid.to_string())?;
        for key in skipped {
            tracing::debug!(%key, "a published key is left out");
        }
        Ok(keys)
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn has(&self, kid: &str) -> bool {
        self.has_kid(kid)
    }

    fn lost(&self, newer: &Self) -> bool {
        self.lost(newer)
    }
}
