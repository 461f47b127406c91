//! What it costs to find a route, and that it costs the same among ten routes and among ten
//! thousand; what it costs to normalise a path. Figures of one run compare with each other; across
//! runs machines differ more.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};
use sluicegate::exchange::PathRules;
use sluicegate::route::{Asked, Condition, Host, Matcher, Outcome, PathPattern, Rule, Test};
use std::hint::black_box;

/// How many routes a configuration has.
const COUNTS: [usize; 3] = [10, 1_000, 10_000];

/// Rules as configurations have them: ten a host, of which two are exact, four templates and two
/// prefixes; one has a version in a header; and one is the host's everything else.
fn rules(count: usize) -> Vec<Rule> {
    let paths = PathRules::default();
    let rule = |number: usize| {
        let (host, kind) = (number / 10, number % 10);
        let host = match host % 4 {
            3 => format!("*.tenant-{host}.example.com"),
            _ => format!("host-{host}.example.com"),
        };
        let things = format!("/api/v1/things-{kind}");
        let path = match kind {
            0 | 1 => PathPattern::exact(&things, paths),
            2 | 3 => PathPattern::template(&format!("{things}/{{id}}"), paths),
            4 | 5 => PathPattern::template(&format!("{things}/{{id}}/parts/{{part}}"), paths),
            6 | 7 => PathPattern::prefix(&things, paths),
            8 => PathPattern::prefix("/api/v1/things-6", paths),
            _ => PathPattern::prefix("/", paths),
        };
        let version = Condition {
            name: http::HeaderName::from_static("x-api-version"),
            test: Test::Equals(vec!["2".to_owned()]),
        };
        Rule {
            hosts: vec![host.parse().unwrap()],
            paths: vec![path.unwrap()],
            methods: vec![Method::GET, Method::POST],
            headers: if kind == 8 { vec![version] } else { Vec::new() },
            query: Vec::new(),
        }
    };
    (0..count).map(rule).collect()
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match");
    for count in COUNTS {
        let matcher = Matcher::compile(&rules(count)).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-api-version", HeaderValue::from_static("2"));
        // Hosts in the middle of the file; the wildcard's is the nearest that is one.
        let (exact, below) = match count {
            10 => (0, None),
            count => (count / 20, Some(count / 80 * 4 + 3)),
        };
        let exact = format!("host-{exact}.example.com");
        for (name, path) in [
            ("exact", "/api/v1/things-1"),
            ("template", "/api/v1/things-5/12345/parts/7"),
            ("prefix", "/api/v1/things-7/12345/parts/7"),
            ("header", "/api/v1/things-6/12345"),
            ("root", "/somewhere/else/altogether"),
        ] {
            bench(&mut group, name, count, &matcher, &exact, path, &headers);
        }
        // Only the root has it: what a client can make the search do at most.
        for (name, path) in [
            ("8,000 slashes", "/".repeat(8_000)),
            ("8,000 bytes", "/api/v1".to_owned() + &"x".repeat(8_000)),
        ] {
            bench(&mut group, name, count, &matcher, &exact, &path, &headers);
        }
        if let Some(below) = below {
            let host = format!("api.tenant-{below}.example.com");
            let path = "/api/v1/things-5/12345/parts/7";
            bench(&mut group, "wildcard", count, &matcher, &host, path, &headers);
        }
    }
    group.finish();
}

fn bench(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    count: usize,
    matcher: &Matcher,
    host: &str,
    path: &str,
    headers: &HeaderMap,
) {
    let find = || {
        let host = Host::parse(black_box(host).as_bytes()).unwrap();
        let path = black_box(path);
        matcher.find(&Asked {
            host,
            path,
            method: &Method::GET,
            headers: Some(headers),
            query: None,
        })
    };
    assert!(matches!(find(), Outcome::Found { .. }), "{name}");
    group.bench_function(BenchmarkId::new(name, count), |bencher| bencher.iter(find));
}

/// Ten thousand routes, each asked for in turn: what the processor's caches do not hide.
fn scattered(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match scattered");
    for count in COUNTS {
        let matcher = Matcher::compile(&rules(count)).unwrap();
        let headers = HeaderMap::new();
        let asked: Vec<(String, String)> = (0..count)
            .filter(|number| number / 10 % 4 != 3)
            .map(|number| {
                let host = format!("host-{}.example.com", number / 10);
                (host, format!("/api/v1/things-{}/12345/parts/7", number % 10))
            })
            .collect();
        // A stride that is prime to every count, so that neighbours do not follow each other.
        let mut at = 0;
        group.bench_function(BenchmarkId::new("routes", count), |bencher| {
            bencher.iter(|| {
                at = (at + 7_919) % asked.len();
                let (host, path) = &asked[at];
                let host = Host::parse(host.as_bytes()).unwrap();
                let method = &Method::GET;
                matcher.find(&Asked { host, path, method, headers: Some(&headers), query: None })
            });
        });
    }
    group.finish();
}

fn normalising(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("normalise");
    let slashes = "/".repeat(8_000);
    for (name, path) in [
        ("plain, 7 bytes", "/orders"),
        ("plain, 37 bytes", "/api/v1/users/1234567/orders/7654321x"),
        ("reserved", "/api/v1/users/jane@example.com/orders"),
        ("encoded", "/api/v1/users/J%C3%BCrgen/orders"),
        ("to rewrite", "/api/v1/./users/%7Ejane/../orders"),
        ("8,000 slashes", &slashes),
    ] {
        let rules = PathRules::default();
        group.bench_function(name, |bencher| bencher.iter(|| rules.normalise(black_box(path))));
    }
    group.finish();
}

fn hosts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("host");
    for (name, host) in [("plain", "api.example.com"), ("with port", "api.example.com:8443")] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| Host::parse(black_box(host).as_bytes()).is_some());
        });
    }
    group.finish();
}

criterion_group!(benches, matching, scattered, normalising, hosts);
criterion_main!(benches);
