//! What must hold whatever the threads do to each other.

use super::*;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

const THREADS: usize = 8;

/// Runs the same on all threads at once, and adds up what they return.
fn on_all_threads(run: impl Fn(usize) -> u64 + Sync) -> u64 {
    std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(move || run(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

fn is_opening(change: Option<Change>) -> u64 {
    u64::from(matches!(change, Some(Change::Opened(_))))
}

#[test]
fn no_more_probes_than_allowed_are_ever_under_way() {
    let probes = 3;
    let settings = Settings {
        failures: Some(3),
        open_for: Duration::from_millis(20),
        successes: 4,
        probes,
        ..by_rate()
    };
    let start = Instant::now();
    let breaker = Breaker::new(settings, THREADS, start);
    let (clock, under_way, seen) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let openings = on_all_threads(|worker| {
        let mut random = fastrand::Rng::with_seed(worker as u64);
        let mut openings = 0;
        for _ in 0..20_000 {
            let now = start + Duration::from_millis(clock.fetch_add(1, SeqCst) / 4);
            let Ok(pass) = breaker.admit(worker, now) else { continue };
            let is_probe = pass.is_probe();
            if is_probe {
                let others = under_way.fetch_add(1, SeqCst);
                assert!(others < probes as usize, "{others} others");
                seen.fetch_max(others + 1, SeqCst);
                std::thread::yield_now();
                // The place is free from when the outcome is told, which is after this.
                under_way.fetch_sub(1, SeqCst);
            }
            openings += match random.u8(0..10) {
                0..2 => is_opening(pass.failed(now)),
                2 => 0,
                _ => is_opening(pass.succeeded(now, Duration::ZERO)),
            };
        }
        openings
    });
    assert!(openings > 100, "only {openings} openings");
    assert_eq!(openings, breaker.opened_total());
    assert!(seen.into_inner() > 1, "the probes were never under way at once");
}

#[test]
fn failures_at_once_open_it_once() {
    for _ in 0..50 {
        let now = Instant::now();
        let breaker = Breaker::new(Settings::default(), THREADS, now);
        let together = Barrier::new(THREADS);
        let openings = on_all_threads(|worker| {
            let pass = breaker.admit(worker, now).unwrap();
            together.wait();
            is_opening(pass.failed(now))
        });
        assert_eq!((openings, breaker.opened_total()), (1, 1));
    }
}

#[test]
fn no_success_is_lost_to_the_share() {
    let now = Instant::now();
    let breaker = Breaker::new(by_rate(), THREADS, now);
    on_all_threads(|worker| {
        for _ in 0..1_000 {
            // Half of the threads share a worker's number, which no worker does.
            let pass = breaker.admit(worker / 2, now).unwrap();
            pass.succeeded(now, Duration::ZERO);
        }
        0
    });
    let mut opened = None;
    let failures = 1
        + (0..)
            .take_while(|_| {
                opened = breaker.admit(0, now).unwrap().failed(now);
                opened.is_none()
            })
            .count();
    assert_eq!(failures, 8_000);
    let reason = Reason::FailureRate { failures: 8_000, requests: 16_000 };
    assert_eq!(opened, Some(Change::Opened(reason)));
}
