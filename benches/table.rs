//! What it costs to find a caller's state, and to count what it has in flight. Figures of one run
//! compare with each other; across runs machines differ more.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use pingora_limits::inflight::Inflight;
use sluicegate::limit::concurrency::Concurrency;
use sluicegate::limit::key::{Key, KeyHasher};
use sluicegate::limit::table::{Figures, Table};
use sluicegate::value::ByteSize;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

/// How many callers there are.
const KEYS: [u64; 2] = [10, 10_000_000];

/// How many threads ask.
const THREADS: [u64; 2] = [1, 2];

fn key(hasher: &KeyHasher, number: u64) -> Key {
    hasher.hash(&number.to_le_bytes())
}

/// Does something so many times on each of so many threads, with numbers that differ, and tells how
/// long it took.
fn on_threads(threads: u64, times: u64, job: impl Fn(u64) + Sync) -> Duration {
    let job = &job;
    let work = move |thread: u64| {
        let mut generator = fastrand::Rng::with_seed(thread);
        let start = Instant::now();
        for _ in 0..times {
            job(generator.u64(..));
        }
        start.elapsed()
    };
    thread::scope(|scope| {
        let running: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        running.into_iter().map(|one| one.join().expect("no job panics")).max().unwrap_or_default()
    })
}

fn tables(criterion: &mut Criterion) {
    let hasher = KeyHasher::new([1, 2]);
    let mut group = criterion.benchmark_group("table");
    group.bench_function("hash", |bencher| {
        bencher.iter(|| key(&hasher, black_box(7)));
    });
    for keys in KEYS {
        let table = Table::<u64>::new(ByteSize(512 << 20), 0).expect("there is enough memory");
        let weight = |state: &u64| u32::try_from(*state).unwrap_or(u32::MAX);
        let ask = |number: u64| {
            let key = key(&hasher, number % keys);
            black_box(table.with(key, weight, |state| {
                *state += 1;
                *state
            }));
        };
        (0..keys).for_each(ask);
        let Figures { entries, bytes, evicted, .. } = table.figures();
        println!("{entries} of {keys} callers in {bytes} bytes, {evicted} forgotten");
        for threads in THREADS {
            group.bench_function(BenchmarkId::new(format!("with/{threads}"), keys), |bencher| {
                bencher.iter_custom(|times| on_threads(threads, times, ask));
            });
        }
    }
    group.finish();
}

fn in_flight(criterion: &mut Criterion) {
    let hasher = KeyHasher::new([1, 2]);
    let most = NonZeroU32::MAX;
    let mut group = criterion.benchmark_group("in_flight");
    for keys in [10, 10_000] {
        let exact = Concurrency::new();
        let _held: Vec<_> = (0..keys).map(|one| exact.enter(key(&hasher, one), most)).collect();
        let sketch = Inflight::new();
        let _counted: Vec<_> = (0..keys).map(|one| sketch.incr(key(&hasher, one), 1)).collect();
        for threads in THREADS {
            let name = |what| BenchmarkId::new(format!("{what}/{threads}"), keys);
            group.bench_function(name("exact"), |bencher| {
                let job = |number| drop(exact.enter(key(&hasher, number % keys), most));
                bencher.iter_custom(|times| on_threads(threads, times, job));
            });
            group.bench_function(name("sketch"), |bencher| {
                let job = |number| drop(sketch.incr(key(&hasher, number % keys), 1));
                bencher.iter_custom(|times| on_threads(threads, times, job));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, tables, in_flight);
criterion_main!(benches);
