use super::*;
use crate::upstream::health::{HttpProbe, Probe, Thresholds};
use crate::upstream::scripted::{Scripted, read_request};
use crate::value::Percent;
use http::HeaderMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const THRESHOLDS: Thresholds = Thresholds { healthy_after: 2, unhealthy_after: 3 };

/// Asks every few milliseconds, and has patience with each answer.
fn check() -> Check {
    let probe = HttpProbe {
        method: http::Method::GET,
        path: "/health".parse().unwrap(),
        host: None,
        headers: HeaderMap::new(),
        status: vec!["2xx".parse().unwrap()],
        body: None,
    };
    Check {
        probe: Probe::Http(probe),
        port: None,
        interval: Duration::from_millis(10),
        jitter: Percent::new(20),
        timeout: Duration::from_secs(10),
        thresholds: THRESHOLDS,
    }
}

fn subject(service: &Scripted) -> Subject {
    Subject {
        service: "items".into(),
        endpoint: service.address.to_string().into(),
        host: HeaderValue::from_static("items.test"),
        peer: service.peer(),
    }
}

/// Keeps a service checked.
fn keep_checking(
    service: &Scripted,
    standing: Standing,
) -> (JoinHandle<()>, mpsc::UnboundedReceiver<Verdict>) {
    let (check, subject, caller) = (check().into(), subject(service), Caller::new(4).into());
    let (tell, told) = mpsc::unbounded_channel();
    let report = move |verdict| drop(tell.send(verdict));
    let keeping = tokio::spawn(async move {
        keep_checked(check, subject, caller, standing, report).await;
    });
    (keeping, told)
}

#[tokio::test]
async fn an_endpoint_falls_and_comes_back_by_the_thresholds() {
    let well = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&well);
    let service = Scripted::new(move |_, mut connection| {
        let says = Arc::clone(&says);
        async move {
            while read_request(&mut connection).await.is_some() {
                let answer = match says.load(Ordering::SeqCst) {
                    true => "HTTP/1.1 204 No Content\r\n\r\n",
                    false => "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n",
                };
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let (keeping, mut told) = keep_checking(&service, Standing::default());
    let first = told.recv().await.unwrap();
    assert_eq!(first.change, Some(Change { from: State::Unknown, to: State::Healthy }));
    for (now, needed, reason) in [(false, 3, Some("status 503")), (true, 2, None)] {
        well.store(now, Ordering::SeqCst);
        // A check that was under way meanwhile may still say what was.
        let mut row = 0;
        let turning = loop {
            let verdict = told.recv().await.unwrap();
            row = if verdict.failure.is_none() == now { row + 1 } else { 0 };
            if verdict.change.is_some() {
                break verdict;
            }
        };
        assert_eq!((row, turning.standing.is_available()), (needed, now));
        assert_eq!(turning.failure.map(|failure| failure.to_string()).as_deref(), reason);
    }
    keeping.abort();
}

#[tokio::test]
async fn a_connection_is_used_for_the_next_check_too() {
    let service = Scripted::says("HTTP/1.1 204 No Content\r\n\r\n").await;
    let (keeping, mut told) = keep_checking(&service, Standing::default());
    for _ in 0..3 {
        assert!(told.recv().await.unwrap().failure.is_none());
    }
    keeping.abort();
    assert_eq!(service.connections(), 1);
}

#[tokio::test]
async fn a_standing_outlives_the_keeper() {
    let mut unhealthy = Standing::default();
    unhealthy.take(false, THRESHOLDS);
    let service = Scripted::says("HTTP/1.1 204 No Content\r\n\r\n").await;
    let (keeping, mut told) = keep_checking(&service, unhealthy);
    let first = told.recv().await.unwrap();
    assert!(first.change.is_none() && !first.standing.is_available());
    assert!(told.recv().await.unwrap().standing.is_available());
    keeping.abort();
}

#[tokio::test]
async fn a_keeper_that_is_aborted_takes_its_check_with_it() {
    let open = Arc::new(AtomicUsize::new(0));
    let (count, (tell, mut told)) = (Arc::clone(&open), mpsc::unbounded_channel());
    let service = Scripted::new(move |_, mut connection| {
        let (count, tell) = (Arc::clone(&count), tell.clone());
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            while read_request(&mut connection).await.is_some() {
                tell.send(()).unwrap();
            }
            count.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await;
    let (keeping, mut verdicts) = keep_checking(&service, Standing::default());
    told.recv().await.unwrap();
    keeping.abort();
    assert!(keeping.await.unwrap_err().is_cancelled());
    assert!(verdicts.recv().await.is_none());
    while open.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn no_more_checks_run_at_once_than_there_are_places() {
    let service = Scripted::silent().await;
    let places = Arc::new(Semaphore::new(2));
    let caller = Arc::new(Caller::new(4));
    let keeping = |_| {
        let (places, caller) = (Arc::clone(&places), Arc::clone(&caller));
        let (check, subject) = (check(), subject(&service));
        tokio::spawn(async move {
            let chance = fastrand::Rng::with_seed(1);
            keep(&places, &check, &subject, &caller, Standing::default(), chance, drop).await;
        })
    };
    let keepers: Vec<_> = (0..6).map(keeping).collect();
    while service.connections() < 2 {
        tokio::task::yield_now().await;
    }
    // Each of the others has come to the door by now, or could have.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!((service.connections(), places.available_permits()), (2, 0));
    keepers.iter().for_each(JoinHandle::abort);
}
