//! Asks one endpoint again and again, until it is told to stop.

#[cfg(test)]
mod tests;

use super::{Change, Check, CheckError, Standing, State};
use crate::upstream::call::Caller;
use http::HeaderValue;
use pingora::upstreams::peer::HttpPeer;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

/// How many checks may run at once in the process: however many endpoints hang, the checks take no
/// more descriptors than this. Those that wait for a place begin, and are timed, when they get it.
static RUNNING: Semaphore = Semaphore::const_new(256);

/// An endpoint that is checked.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The name of its service, for the log.
    pub service: Arc<str>,
    /// Its address as it was written or found, for the log.
    pub endpoint: Arc<str>,
    /// The `Host` that it is asked for, where the check has none of its own.
    pub host: HeaderValue,
    /// Where it is, and how it is spoken to.
    pub peer: HttpPeer,
}

/// What one check said.
#[derive(Debug)]
pub struct Verdict {
    /// Where the endpoint stands with it.
    pub standing: Standing,
    /// The change of its state, if this check made one.
    pub change: Option<Change>,
    /// Why the check failed, if it did; its words are for operators.
    pub failure: Option<CheckError>,
    /// When the check began.
    pub at: SystemTime,
    /// How long it took.
    pub took: Duration,
}

/// Checks an endpoint for ever, from the standing that it has: dropping the future is the end of
/// it, and of a check that is under way. `report` gets each verdict; it should not wait.
///
/// A new endpoint is asked at once, but for the jitter that spreads a thousand of them; one whose
/// standing is known is asked somewhere in its interval, since others began with it.
pub async fn keep_checked(
    check: Arc<Check>,
    subject: Subject,
    caller: Arc<Caller>,
    standing: Standing,
    report: impl FnMut(Verdict),
) -> Infallible {
    let chance = fastrand::Rng::new();
    keep(&RUNNING, &check, &subject, &caller, standing, chance, report).await
}

async fn keep(
    places: &Semaphore,
    check: &Check,
    subject: &Subject,
    caller: &Caller,
    mut standing: Standing,
    mut chance: fastrand::Rng,
    mut report: impl FnMut(Verdict),
) -> Infallible {
    let peer = check.peer(&subject.peer);
    let mut next = Instant::now() + check.first_pause(standing, chance.f64());
    loop {
        sleep_until(next).await;
        let place = places.acquire().await.expect("the semaphore is never closed");
        let (at, began) = (SystemTime::now(), Instant::now());
        let asked = check.probe.ask(caller, &peer, &subject.host, began + check.timeout).await;
        let took = began.elapsed();
        drop(place);
        let change = standing.take(asked.is_ok(), check.thresholds);
        let failure = asked.err();
        if let Some(change) = change {
            log(subject, change, failure.as_ref());
        }
        report(Verdict { standing, change, failure, at, took });
        next = began + check.pause(chance.f64());
    }
}

/// Says a change once, to operators. That a new endpoint is well is what everybody expects.
fn log(subject: &Subject, change: Change, failure: Option<&CheckError>) {
    let (service, endpoint) = (&*subject.service, &*subject.endpoint);
    match (change.from, failure) {
        (_, Some(failure)) => {
            tracing::warn!(service, endpoint, reason = %failure, "endpoint is unhealthy");
        }
        (State::Unknown, None) => tracing::debug!(service, endpoint, "endpoint is healthy"),
        (_, None) => tracing::info!(service, endpoint, "endpoint is healthy again"),
    }
}
