//! Checks passwords away from the threads that serve, a few at a time, and remembers for a short
//! while what came out.

use super::PasswordHash;
use super::recent::{Mark, Recent};
use crate::lock::lock;
use aws_lc_rs::{hmac, rand};
use hashbrown::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use zeroize::{Zeroize, Zeroizing};

/// How many checks may wait for their turn.
const WAITING: usize = 64;
/// For how long a password that was right is not checked again.
const GOOD_FOR: Duration = Duration::from_secs(5 * 60);
/// For how long one that was wrong is not.
const BAD_FOR: Duration = Duration::from_secs(10);
/// How many of each are remembered: half a megabyte in all.
const REMEMBERED: usize = 1_024;

/// That too many passwords wait to be checked. The request may come again (503).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords wait to be checked")]
pub struct Busy;

/// Checks passwords for the whole process; it outlives a reload.
///
/// A check is slow by design, so no more run at once than was said, 64 wait, and others are
/// refused. What came out is remembered under an HMAC with a key that is made at the start and
/// never leaves: the memory of the gateway has neither a password nor a fast hash of one that could
/// be guessed against without that key. Right and wrong passwords are remembered apart, so that
/// guesses push out nothing that was right.
pub struct Verifier {
    key: hmac::Key,
    /// Those that wait or are being checked.
    line: Arc<Semaphore>,
    /// Those that are being checked.
    turns: Arc<Semaphore>,
    /// Shared by the workers, behind a lock that is held for one look. The HMAC before it takes
    /// several times as long, and a set for each worker would check every password once for each.
    good: Mutex<Recent>,
    bad: Mutex<Recent>,
    /// Those that somebody has checked, each with what closes when that is over.
    flights: Flights,
}

type Flights = Arc<Mutex<HashMap<Mark, watch::Receiver<()>>>>;

/// A check that is under way; it is over when this is dropped.
struct Flight {
    mark: Mark,
    flights: Flights,
    _closes: watch::Sender<()>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        lock(&self.flights).remove(&self.mark);
    }
}

impl Verifier {
    /// Makes one that checks so many passwords at once, at least one: as many as there are cores.
    pub fn new(at_once: usize) -> Self {
        let mut key = [0; 32];
        rand::fill(&mut key).expect("the system gives random bytes");
        let verifier = Verifier::with_key(at_once, &key);
        key.zeroize();
        verifier
    }

    /// Makes one that remembers under a known key.
    pub(super) fn with_key(at_once: usize, key: &[u8; 32]) -> Self {
        let at_once = at_once.clamp(1, 1_024);
        Verifier {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            line: Arc::new(Semaphore::new(at_once + WAITING)),
            turns: Arc::new(Semaphore::new(at_once)),
            good: Mutex::new(Recent::new(GOOD_FOR, REMEMBERED)),
            bad: Mutex::new(Recent::new(BAD_FOR, REMEMBERED)),
            flights: Flights::default(),
        }
    }

    /// Begins a check, or says what closes when the one that is under way is over.
    fn begin(&self, mark: Mark) -> Result<Flight, watch::Receiver<()>> {
        let mut flights = lock(&self.flights);
        if let Some(first) = flights.get(&mark) {
            return Err(first.clone());
        }
        let (closes, over) = watch::channel(());
        flights.insert(mark, over);
        Ok(Flight { mark, flights: Arc::clone(&self.flights), _closes: closes })
    }

    /// Computes the mark of several texts. Each begins with its length, so that no two lists of
    /// texts have one mark.
    pub(super) fn mark(&self, texts: &[&[u8]]) -> Mark {
        let mut context = hmac::Context::with_key(&self.key);
        for text in texts {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text);
        }
        let mut mark = [0; 32];
        mark.copy_from_slice(context.sign().as_ref());
        mark
    }

    /// What is remembered of a mark.
    fn remembered(&self, mark: &Mark, now: Instant) -> Option<bool> {
        if lock(&self.good).contains(mark, now) {
            return Some(true);
        }
        lock(&self.bad).contains(mark, now).then_some(false)
    }

    /// Whether a user's password is the one of a stored hash, and whether it counts: for a user
    /// that nobody knows, a hash is checked all the same, and never matches.
    pub(super) async fn verify(
        &self,
        user: &str,
        password: &str,
        hash: &Arc<PasswordHash>,
        counts: bool,
        now: Instant,
    ) -> Result<bool, Busy> {
        let mark = self.mark(&[
            user.as_bytes(),
            password.as_bytes(),
            hash.text().as_bytes(),
            &[u8::from(counts)],
        ]);
        if let Some(remembered) = self.remembered(&mark, now) {
            return Ok(remembered);
        }
        // A client with many connections shows the same on all of them: one check is enough, and the
        // others take no place. Where the first has left, another is the first.
        let _flight = loop {
            match self.begin(mark) {
                Ok(flight) => break flight,
                Err(mut first) => drop(first.changed().await),
            }
            if let Some(remembered) = self.remembered(&mark, now) {
                return Ok(remembered);
            }
        };
        let place = Arc::clone(&self.line).try_acquire_owned().map_err(|_| Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Busy)?;
        // Somebody else may have asked the same while this one waited.
        if let Some(remembered) = self.remembered(&mark, now) {
            return Ok(remembered);
        }
        let password = Zeroizing::new(password.to_owned());
        let hash = Arc::clone(hash);
        // Place and turn go with the check, since it runs on when nobody waits for it any more.
        let check = tokio::task::spawn_blocking(move || {
            let matches = hash.verify(password.as_bytes());
            drop((place, turn));
            matches
        });
        // A check that did not run to its end has found out nothing.
        let matches = check.await.map_err(|_| Busy)? && counts;
        lock(if matches { &self.good } else { &self.bad }).insert(mark, now);
        Ok(matches)
    }

    /// How many checks wait or run.
    #[cfg(test)]
    pub(super) fn line(&self) -> &Arc<Semaphore> {
        &self.line
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(…)")
    }
}
