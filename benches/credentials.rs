//! What it costs to find a credential in a request and to know whom it belongs to. Figures of one
//! run compare with each other; across runs machines differ more.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::request::Parts;
use sluicegate::credential::{ApiKeys, Authorization, KeyHash, Place, find_one};
use std::hint::black_box;

/// The head of a request with credentials in every place, and others beside them.
fn head() -> Parts {
    let token = format!("{}.{}.{}", "a".repeat(36), "b".repeat(400), "c".repeat(342));
    let mut request = http::Request::get("/orders?page=2&sort=-created&key=abc&lang=en");
    for (name, value) in [
        ("host", "api.example.com"),
        ("accept", "application/json"),
        ("user-agent", "bench/1"),
        ("x-api-key", "9f86d081884c7d659a2feaa0c55ad015"),
        ("cookie", "theme=dark; lang=en; session=abcdefgh; consent=all"),
    ] {
        request = request.header(name, value);
    }
    let request = request.header("authorization", format!("Bearer {token}"));
    request.body(()).expect("a request").into_parts().0
}

fn authorization(criterion: &mut Criterion) {
    let bearer = head();
    let mut basic = head();
    let value = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    basic.headers.insert("authorization", value.parse().expect("a value"));
    let mut group = criterion.benchmark_group("authorization");
    for (name, head) in [("bearer", &bearer), ("basic", &basic)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| Authorization::read(black_box(&head.headers)).is_ok());
        });
    }
    group.finish();
}

fn places(criterion: &mut Criterion) {
    let head = head();
    let mut group = criterion.benchmark_group("place");
    for word in ["header.authorization", "header.x-api-key", "cookie.session", "query.key"] {
        let place: Place = word.parse().expect("a place");
        group.bench_function(word, |bencher| {
            bencher.iter(|| place.find(black_box(&head)).is_ok());
        });
    }
    let places = ["header.authorization", "cookie.absent"].map(|word| word.parse().expect("one"));
    group.bench_function("two places", |bencher| {
        bencher.iter(|| find_one(black_box(&places), black_box(&head)).is_ok());
    });
    group.finish();
}

fn api_keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("api_key");
    for count in [10, 10_000] {
        let mut keys = ApiKeys::new();
        for number in 0..count {
            keys.insert(KeyHash::of(&format!("key-{number:028}")), number);
        }
        let (known, stranger) = (format!("key-{:028}", count / 2), format!("yek-{:028}", 1));
        group.bench_function(BenchmarkId::new("known", count), |bencher| {
            bencher.iter(|| keys.find(black_box(&known)).copied());
        });
        group.bench_function(BenchmarkId::new("unknown", count), |bencher| {
            bencher.iter(|| keys.find(black_box(&stranger)).copied());
        });
    }
    group.finish();
}

criterion_group!(benches, authorization, places, api_keys);
criterion_main!(benches);
