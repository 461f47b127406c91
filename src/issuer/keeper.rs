//! What keeps an issuer's keys up to date: one task on the main thread.

use super::fetch::{Fetch, Http};
use super::metadata::Metadata;
use super::plan::Source;
use super::{Address, Failure, Issuer, KeySet, Trouble};
use crate::lock::lock;
use aws_lc_rs::digest::{SHA256, digest};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How often keys are asked for where neither the operator nor the issuer says how often.
const REFRESH: Duration = Duration::from_secs(5 * 60);
/// The shortest time that `max-age` can say.
const SHORTEST: Duration = Duration::from_secs(60);
/// The longest time that `max-age` can say.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// For how long metadata hold while all is well.
const METADATA: Duration = Duration::from_secs(60 * 60);
/// The longest pause while an issuer is down.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What a key set may be sent as (RFC 7517 §8.5).
const ACCEPT: &str = "application/jwk-set+json, application/json";

/// What the keeper itself remembers from one round to the next.
#[derive(Debug, Default)]
struct Course {
    metadata: Option<(Arc<Metadata>, Instant)>,
    /// The SHA-256 of the keys that were read last: the same keys are no news.
    read: Option<[u8; 32]>,
    failures: u32,
}

impl<K: KeySet> Issuer<K> {
    /// Keeps the keys up to date, for ever. It belongs onto the main thread's runtime; a second one
    /// waits until the first is dropped, so that a reload may begin it anew.
    pub async fn keep(&self) {
        self.keep_by(&Http::default()).await;
    }

    pub(super) async fn keep_by<F: Fetch>(&self, fetch: &F) {
        let _only = self.keeping.lock().await;
        lock(&self.desk).abandon();
        let mut course = Course::default();
        let mut due = Instant::now();
        loop {
            self.wait_until(due).await;
            lock(&self.desk).begin();
            let outcome = self.round(fetch, &mut course).await;
            // Who says that it has no keys has answered: a key that is asked for is not there.
            let no_keys = |failure: &Failure| failure.trouble == Trouble::NoKeys;
            let answered = outcome.as_ref().err().is_none_or(no_keys);
            due = Instant::now() + self.judge(outcome, &mut course);
            // Whatever came of it is published before anyone who waits is told of its end.
            lock(&self.desk).end(answered, Instant::now());
            self.rounds.send_modify(|rounds| *rounds += 1);
        }
    }

    /// Waits until the next round is due, or somebody has asked for one and it is paid for.
    async fn wait_until(&self, due: Instant) {
        loop {
            let now = Instant::now();
            if now >= due {
                return;
            }
            let next = {
                let mut desk = lock(&self.desk);
                match desk.due(now) {
                    Some(asked) if asked <= now => {
                        desk.pay(now);
                        return;
                    }
                    Some(asked) => asked.min(due),
                    None => due,
                }
            };
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// Says what became of a round; for how long to pause.
    fn judge(&self, outcome: Result<Duration, Failure>, course: &mut Course) -> Duration {
        let issuer = &*self.plan.issuer;
        match outcome {
            Ok(pause) => {
                course.failures = 0;
                if self.figures.succeeded() {
                    tracing::info!(issuer, "issuer answers again");
                }
                pause
            }
            Err(failure) => {
                let trouble = failure.trouble;
                if self.figures.failed(&failure) {
                    let keys = self.keys().map_or(0, |keys| keys.len());
                    tracing::warn!(issuer, ?trouble, %failure, keys, "issuer has trouble");
                } else {
                    tracing::debug!(issuer, ?trouble, %failure, "issuer still has trouble");
                }
                let pause = pause(course.failures, fastrand::f64());
                course.failures = course.failures.saturating_add(1);
                pause
            }
        }
    }

    /// Asks once for everything; when to ask again.
    async fn round<F: Fetch>(&self, fetch: &F, course: &mut Course) -> Result<Duration, Failure> {
        let address = match &self.plan.source {
            Source::Keys(address) => address.clone(),
            Source::Metadata(base) => {
                let metadata = self.metadata_by(fetch, base, course).await?;
                let none = || Failure::new(Trouble::NoKeys, "the metadata have no `jwks_uri`");
                metadata.keys.clone().ok_or_else(none)?
            }
            Source::Endpoints(base) => {
                self.metadata_by(fetch, base, course).await?;
                return Ok(self.plan.refresh.unwrap_or(METADATA));
            }
        };
        let fetched = fetch.get(&address, ACCEPT).await?;
        let mut read = [0; 32];
        read.copy_from_slice(digest(&SHA256, &fetched.body).as_ref());
        if course.read != Some(read) {
            let keys = K::parse(&fetched.body)
                .map_err(|error| Failure::malformed(format!("the keys at `{address}`: {error}")))?;
            let is_empty = keys.is_empty();
            // An issuer that has no keys any more has withdrawn them, which is not that it is down.
            self.publish(keys);
            if is_empty {
                let message = format!("`{address}` has no key that can be used");
                return Err(Failure::new(Trouble::NoKeys, message));
            }
            course.read = Some(read);
        }
        let told = fetched.max_age.map(|age| age.clamp(SHORTEST, LONGEST));
        Ok(self.plan.refresh.or(told).unwrap_or(REFRESH))
    }

    /// The metadata: those that are known, while they hold and lead to keys.
    async fn metadata_by<F: Fetch>(
        &self,
        fetch: &F,
        base: &Address,
        course: &mut Course,
    ) -> Result<Arc<Metadata>, Failure> {
        let wants_keys = matches!(self.plan.source, Source::Metadata(_));
        if let Some((metadata, since)) = &course.metadata
            && since.elapsed() < METADATA
            && course.failures == 0
            && wants_keys
        {
            return Ok(Arc::clone(metadata));
        }
        match Metadata::ask(fetch, &self.plan.issuer, base).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                course.metadata = Some((Arc::clone(&metadata), Instant::now()));
                self.metadata.send_replace(Some(Arc::clone(&metadata)));
                Ok(metadata)
            }
            // Where the keys were an hour ago, they may well still be: an issuer whose metadata
            // cannot be had for a while should not miss a rotation. One that now names another
            // issuer, or leads out of TLS, is another thing.
            Err(failure) => match &course.metadata {
                Some((metadata, _))
                    if wants_keys
                        && matches!(failure.trouble, Trouble::Silent | Trouble::Status) =>
                {
                    Ok(Arc::clone(metadata))
                }
                _ => Err(failure),
            },
        }
    }
}

/// The pause after so many failures and one more: a second, then twice as long each time, up to a
/// minute. `random` is from 0 to 1; the second half of a pause is chance, so that gateways that
/// lost an issuer together do not come back to it together.
fn pause(failures: u32, random: f64) -> Duration {
    let whole = Duration::from_secs(2).saturating_mul(1 << failures.min(10));
    let whole = whole.min(LONGEST_PAUSE);
    whole.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_a_second_to_a_minute() {
        let least: Vec<f64> = (0..8).map(|failures| pause(failures, 0.0).as_secs_f64()).collect();
        assert_eq!(least, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert_eq!(pause(0, 1.0), Duration::from_secs(2));
        assert_eq!(pause(u32::MAX, 1.0), LONGEST_PAUSE);
    }
}
