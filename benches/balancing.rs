//! What it costs to choose an endpoint, by each algorithm and among few and many, and to build a
//! ring. Figures of one run compare with each other; across runs machines differ more.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sluicegate::upstream::balance::{
    Algorithm, Asked, Balancer, Bound, Candidate, Latency, Share, Shares, Turn, hash_key,
};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How many endpoints a service has.
const COUNTS: [u32; 3] = [3, 100, 1_000];

struct Endpoint {
    key: String,
    in_flight: AtomicU32,
    latency: Latency,
}

impl Candidate for Endpoint {
    fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn latency(&self) -> &Latency {
        &self.latency
    }
}

/// Endpoints with a few requests in flight, which took a few milliseconds each.
fn endpoints(count: u32, now: Instant) -> Vec<Endpoint> {
    let endpoint = |number: u32| {
        let latency = Latency::new(now);
        latency.observe(now, Duration::from_millis(u64::from(number % 7) + 3));
        let key = format!("10.0.{}.{}:8080", number / 256, number % 256);
        Endpoint { key, in_flight: AtomicU32::new(number % 5), latency }
    };
    (0..count).map(endpoint).collect()
}

/// Shares of unequal weights, of which the mean is 5.5.
fn shares(count: u32) -> Shares {
    (0..count).map(|index| Share { index, weight: index % 10 + 1 }).collect::<Vec<_>>().into()
}

fn picking(criterion: &mut Criterion) {
    let algorithms = [
        ("round_robin", Algorithm::RoundRobin),
        ("random", Algorithm::Random),
        ("least_request", Algorithm::LeastRequest),
        ("peak_ewma", Algorithm::PeakEwma),
        ("consistent_hash", Algorithm::ConsistentHash { bound: None }),
        ("bounded", Algorithm::ConsistentHash { bound: Some(Bound::new(1.25).unwrap()) }),
    ];
    let mut group = criterion.benchmark_group("pick");
    for (name, algorithm) in algorithms {
        for count in COUNTS {
            let now = Instant::now();
            let endpoints = endpoints(count, now);
            let key_of = |index: u32| endpoints[index as usize].key.as_str();
            let balancer = Balancer::new(algorithm, &shares(count), key_of);
            let in_flight = endpoints.iter().map(|one| u64::from(one.in_flight())).sum();
            let turn = Turn::new(7);
            let mut generator = fastrand::Rng::with_seed(7);
            let mut number = 0u64;
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| {
                    number += 1;
                    let key = algorithm.reads_key().then(|| hash_key(&number.to_le_bytes()));
                    let random = || generator.u64(..);
                    let mut asked = Asked { turn: &turn, random, key, now, in_flight };
                    black_box(balancer.pick(&endpoints, &mut asked))
                });
            });
        }
    }
    group.finish();
}

fn building(criterion: &mut Criterion) {
    let endpoints = endpoints(1_000, Instant::now());
    let shares = shares(1_000);
    let key_of = |index: u32| endpoints[index as usize].key.as_str();
    let mut group = criterion.benchmark_group("build");
    group.sample_size(10);
    for (name, algorithm) in [
        ("round_robin", Algorithm::RoundRobin),
        ("random", Algorithm::Random),
        ("consistent_hash", Algorithm::ConsistentHash { bound: None }),
    ] {
        group.bench_function(BenchmarkId::new(name, 1_000), |bencher| {
            bencher.iter(|| Balancer::new(algorithm, &shares, key_of));
        });
    }
    group.finish();
}

fn observing(criterion: &mut Criterion) {
    let start = Instant::now();
    let latency = Latency::new(start);
    let mut passed = Duration::ZERO;
    criterion.bench_function("observe", |bencher| {
        bencher.iter(|| {
            passed += Duration::from_micros(100);
            latency.observe(start + passed, black_box(Duration::from_millis(3)));
        });
    });
}

criterion_group!(benches, picking, building, observing);
criterion_main!(benches);
