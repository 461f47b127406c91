//! What one decision of each algorithm costs, on a state that is at hand. Figures of one run
//! compare with each other; across runs machines differ more.

use criterion::{Criterion, criterion_group, criterion_main};
use sluicegate::limit::adaptive::{Health, Settings};
use sluicegate::limit::{
    Adaptive, Algorithm, FixedWindow, Kind, LeakyBucket, Plan, Queue, SlidingWindowCounter,
    SlidingWindowLog, Time, TokenBucket,
};
use sluicegate::value::Rate;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A moment of 2026.
const START: Time = Time(1_767_225_600_000_000_000);

fn plan(kind: Kind, rate: &str) -> Plan {
    let rate: Rate = rate.parse().expect("a rate");
    Plan { kind, rate, burst: NonZeroU32::new(100).expect("not zero") }
}

/// A caller who asks every so many nanoseconds.
fn decide<A: Algorithm>(criterion: &mut Criterion, name: &str, algorithm: &A, gap: u64) {
    let (mut state, mut now) = (A::State::default(), START);
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| {
            now.0 += gap;
            algorithm.take(black_box(&mut state), black_box(now), black_box(1))
        });
    });
}

fn limits(criterion: &mut Criterion) {
    // 1000 units a second, asked for half as often, and ten times as often.
    for (word, gap) in [("admitted", 2_000_000), ("nine of ten refused", 100_000)] {
        let name = |algorithm| format!("{algorithm}/{word}");
        let fixed = FixedWindow::new(&plan(Kind::FixedWindow, "1000/s"));
        decide(criterion, &name("fixed_window"), &fixed, gap);
        let log = SlidingWindowLog::new(&plan(Kind::SlidingWindowLog, "1000/s"));
        decide(criterion, &name("sliding_window_log"), &log, gap);
        let counter = SlidingWindowCounter::new(&plan(Kind::SlidingWindowCounter, "1000/s"));
        decide(criterion, &name("sliding_window_counter"), &counter, gap);
        let token = TokenBucket::new(&plan(Kind::TokenBucket, "1000/s"));
        decide(criterion, &name("token_bucket"), &token, gap);
        let queue = Queue { length: 100, longest: Duration::from_secs(1) };
        let leaky = LeakyBucket::new(&plan(Kind::LeakyBucket, "1000/s"), Some(queue));
        decide(criterion, &name("leaky_bucket"), &leaky, gap);
        let health = Arc::new(Health::new(Settings::default(), Instant::now()));
        let adaptive = Adaptive::new(&plan(Kind::TokenBucket, "1000/s"), health);
        decide(criterion, &name("adaptive"), &adaptive, gap);
    }
    let month = FixedWindow::new(&plan(Kind::FixedWindow, "1000000/month"));
    decide(criterion, "fixed_window/month", &month, 2_000_000);
}

fn health(criterion: &mut Criterion) {
    let began = Instant::now();
    let health = Health::new(Settings::default(), began);
    criterion.bench_function("health/observe", |bencher| {
        bencher.iter(|| health.observe(black_box(began), false, Duration::from_millis(3)));
    });
}

criterion_group!(benches, limits, health);
criterion_main!(benches);
