//! What keeps a service's endpoints up to date: one task on the main thread for each service.
//!
//! It follows where they come from, checks their health, ejects those where requests fail, and
//! publishes a roster whenever who may serve has changed. Workers never wait for any of it.

use super::call::Caller;
use super::discovery::{Found, Source, follow};
use super::health::{Check, Subject, keep_checked};
use super::outlier::{Change, Ejections};
use super::state::Kept;
use super::{Endpoint, Live, Origin, Roster, Service};
use crate::lock::lock;
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

/// Keeps a service until it is dropped.
#[derive(Debug)]
pub struct Keeper {
    task: JoinHandle<()>,
    first: watch::Receiver<bool>,
}

impl Keeper {
    /// Begins to keep a service. Its endpoints are checked by `caller`, which may be left out where
    /// nothing says that they are to be.
    pub fn start(service: &Arc<Service>, caller: Option<Arc<Caller>>) -> Self {
        let (told, first) = watch::channel(false);
        let task = tokio::spawn(keep(Arc::clone(service), caller, told));
        Keeper { task, first }
    }

    /// Waits until every origin was asked once, whatever came of it.
    pub async fn first_answer(&mut self) {
        // A keeper that is gone has nothing more to say.
        drop(self.first.wait_for(|&told| told).await);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The longest that a keeper sleeps: nothing depends on it.
const IDLE: Duration = Duration::from_secs(3600);

async fn keep(service: Arc<Service>, caller: Option<Arc<Caller>>, told: watch::Sender<bool>) {
    let mut origins = Origins::follow(&service);
    let mut checks = Checks::new(&service, caller);
    let mut endpoints: Vec<Arc<Endpoint>> = Vec::new();
    loop {
        let now = Instant::now();
        if let Some(found) = origins.changed() {
            endpoints = service.endpoints_of(&found, now);
            checks.follow(&endpoints);
        }
        let due = review(&service, &endpoints, now);
        let roster = Roster::new(endpoints.clone(), &service.plan.balancing, now);
        let change = roster.next_change().map(|after| now + after);
        service.publish(roster);
        if origins.all_told() {
            told.send_replace(true);
        }
        let next = due.into_iter().chain(change).min().unwrap_or(now + IDLE);
        tokio::select! {
            () = service.state.wake.notified() => {}
            () = tokio::time::sleep_until(next.into()) => {}
        }
    }
}

/// Decides who can serve; when that has to be looked at again.
fn review(service: &Service, endpoints: &[Arc<Endpoint>], now: Instant) -> Option<Instant> {
    let mut kept = service.state.kept();
    let Kept { ejections, .. } = &mut *kept;
    match service.plan.guards.outlier {
        Some(settings) => {
            let ejections = ejections.get_or_insert_with(|| Ejections::new(settings, now));
            ejections.adopt(settings, now);
        }
        // Whom an earlier configuration has ejected, nobody would bring back.
        None => *ejections = None,
    }
    let mut due = None;
    if let Some(ejections) = &mut kept.ejections {
        let healthy = endpoints.iter().filter(|endpoint| endpoint.live.is_healthy());
        let watched: Vec<_> = healthy
            .filter_map(|endpoint| Some((&*endpoint.key, endpoint.live.tally.as_ref()?)))
            .collect();
        for (endpoint, change) in ejections.review(&watched, now) {
            let ejected = &service.state.ejected;
            let service = &**service.name();
            match change {
                Change::Ejected { reason, lasts } => {
                    ejected.fetch_add(1, Relaxed);
                    tracing::warn!(service, endpoint, %reason, ?lasts, "endpoint ejected");
                }
                Change::Returned => tracing::info!(service, endpoint, "endpoint serves again"),
            }
        }
        due = ejections.due();
    }
    for endpoint in endpoints {
        let until = kept.ejections.as_ref().and_then(|ejections| ejections.until(&endpoint.key));
        endpoint.live.set_ejected(until, now);
    }
    due
}

/// The checks of a service's endpoints, one task for each.
struct Checks {
    service: Arc<Service>,
    caller: Option<Arc<Caller>>,
    running: HashMap<Box<str>, (Arc<Live>, AbortHandle)>,
    /// Ends those that run when this is dropped.
    tasks: JoinSet<()>,
}

impl Checks {
    fn new(service: &Arc<Service>, caller: Option<Arc<Caller>>) -> Self {
        let service = Arc::clone(service);
        Checks { service, caller, running: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Checks these endpoints from now on, and no others.
    fn follow(&mut self, endpoints: &[Arc<Endpoint>]) {
        let check = self.service.plan.check.clone();
        let Some((check, caller)) = check.zip(self.caller.clone()) else {
            endpoints.iter().for_each(|endpoint| endpoint.live.forget_health());
            return;
        };
        let mut before = std::mem::take(&mut self.running);
        for endpoint in endpoints {
            let known = before.remove(&endpoint.key);
            let same = known.filter(|(live, _)| Arc::ptr_eq(live, &endpoint.live));
            let task = same.map_or_else(|| self.check(&check, &caller, endpoint), |(_, task)| task);
            self.running.insert(endpoint.key.clone(), (Arc::clone(&endpoint.live), task));
        }
        before.values().for_each(|(_, task)| task.abort());
        // What is over has nothing to say, and should not be kept for that.
        while self.tasks.try_join_next().is_some() {}
    }

    fn check(
        &mut self,
        check: &Arc<Check>,
        caller: &Arc<Caller>,
        endpoint: &Arc<Endpoint>,
    ) -> AbortHandle {
        let subject = Subject {
            service: Arc::clone(self.service.name()),
            endpoint: (&*endpoint.key).into(),
            host: endpoint.host.clone(),
            peer: endpoint.template().clone(),
        };
        let (check, caller) = (Arc::clone(check), Arc::clone(caller));
        let (live, state) = (Arc::clone(&endpoint.live), Arc::clone(&self.service.state));
        self.tasks.spawn(async move {
            let standing = live.health();
            let report = |verdict| {
                if live.take(&verdict) {
                    state.wake.notify_one();
                }
            };
            match keep_checked(check, subject, caller, standing, report).await {}
        })
    }
}

/// What the origins of a service have told so far.
struct Origins {
    told: Arc<Mutex<Told>>,
    /// Follows those that change, for as long as this lives.
    _following: JoinSet<()>,
}

/// A list for each origin; none for one that has told none yet.
struct Told {
    lists: Vec<Option<Vec<Found>>>,
    is_new: bool,
}

impl Origins {
    /// Begins to follow the origins of a service; it is woken when one of them tells something.
    fn follow(service: &Arc<Service>) -> Self {
        let origins = &service.plan.origins;
        let lists = origins.iter().map(|origin| match origin {
            Origin::Fixed(found) => Some(vec![found.clone()]),
            Origin::Named { .. } | Origin::Discovered(_) => None,
        });
        let told = Arc::new(Mutex::new(Told { lists: lists.collect(), is_new: true }));
        let mut following = JoinSet::new();
        for (number, origin) in origins.iter().enumerate() {
            let (source, as_written) = match origin {
                Origin::Fixed(_) => continue,
                Origin::Named { source, weight, priority } => (source, Some((*weight, *priority))),
                Origin::Discovered(source) => (source, None),
            };
            let told = Arc::clone(&told);
            following.spawn(follow_one(Arc::clone(service), source.clone(), move |found| {
                let mut list = found.to_vec();
                if let Some((weight, priority)) = as_written {
                    list.iter_mut().for_each(|found| {
                        found.weight = weight;
                        found.priority = priority;
                    });
                }
                let mut told = lock(&told);
                told.lists[number] = Some(list);
                told.is_new = true;
            }));
        }
        Origins { told, _following: following }
    }

    /// All that was told, if that is something new.
    fn changed(&mut self) -> Option<Vec<Found>> {
        let mut told = lock(&self.told);
        let is_new = std::mem::take(&mut told.is_new);
        is_new.then(|| told.lists.iter().flatten().flatten().cloned().collect())
    }

    /// Whether each has told something.
    fn all_told(&self) -> bool {
        lock(&self.told).lists.iter().all(Option::is_some)
    }
}

async fn follow_one(service: Arc<Service>, source: Source, tell: impl Fn(&[Found]) + Send) {
    let state = &service.state;
    let publish = |found: Arc<[Found]>| {
        tell(&found);
        state.wake.notify_one();
    };
    follow(service.name(), source, service.plan.keep, publish).await;
}
