//! What policies cost a request, and what a configuration costs to
//! compile. Figures of one run compare with each other; across runs machines differ more.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::HeaderValue;
use sluicegate::config::Loaded;
use sluicegate::exchange::{
    Authentication, Connection, Consumer, Facts, Identity, Listener, PathRules, Response, Timeouts,
};
use sluicegate::exchange::{Trace, UpstreamRequest, request_id};
use sluicegate::jose::{Algorithm, Signer};
use sluicegate::policy::authorize::{Asked, Authorize, Verdict};
use sluicegate::policy::{Block, Build, Chain, Compiler, Kind, Request, Scope, States};
use sluicegate::shared::Shared;
use sluicegate::snapshot;
use sluicegate::telemetry::metrics::Way;
use sluicegate::upstream::ask::Nobody;
use sluicegate::value::CidrSet;
use std::fmt::Write;
use std::hint::black_box;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

fn facts() -> Facts {
    let timeouts = Timeouts::default();
    let trusted_proxies = CidrSet::default();
    let paths = PathRules::default();
    let listener = Arc::new(Listener { name: "bench".into(), trusted_proxies, paths, timeouts });
    let peer = SocketAddr::from(([192, 0, 2, 1], 4711));
    let now = Instant::now();
    Facts {
        started: now,
        time: SystemTime::now(),
        request_id: request_id::keep_or_make(None, SystemTime::now()),
        trace: Trace::keep_or_make(&http::HeaderMap::new()),
        client: peer.ip(),
        names: None,
        parameters: None,
        cause: None,
        limited: None,
        authentication: Authentication::default(),
        connection: Arc::new(Connection::new(listener, peer, false, now)),
    }
}

fn chain(yaml: &str) -> Chain {
    let block: Block = serde_yaml::from_str(yaml).unwrap();
    let scope = Scope { id: 0, at: Vec::new(), name: "policies".to_owned(), block: &block };
    Compiler::default().compile(&[scope], &mut Vec::new()).unwrap().0
}

fn policies(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut facts = facts();
    let request = http::Request::get("/api/users/1?a=b").header("host", "api.example.com");
    let client = request.body(()).unwrap().into_parts().0;
    let mut group = criterion.benchmark_group("policies");
    for (name, yaml) in [
        ("none", "auth: none"),
        ("filter and size", "{ip_filter: {deny: [203.0.113.0/24]}, request_size: {body: 1MiB}}"),
        ("cors", "cors: {origins: [\"https://app.example.com\"], credentials: true}"),
        (
            "transform",
            "transform: {request: {path: {strip_prefix: /api}, headers: {set: {x-a: b}}}, \
             response: {headers: {set: {x-client: $(client.ip)}}}}",
        ),
    ] {
        let chain = chain(yaml);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut states = States::default();
                let mut upstream = client.clone();
                let mut answer = http::Response::new(()).into_parts().0;
                let mut request = Request { head: &client, facts: &mut facts, services: &Nobody };
                let judged = runtime.block_on(chain.on_request(&mut request, &mut states));
                let head = &mut upstream;
                let mut request = UpstreamRequest { head, client: &client, facts: &facts };
                let forwarded = chain.on_upstream_request(&mut request, &mut states);
                let head = &mut answer;
                let mut response = Response { head, client: &client, facts: &facts };
                chain.on_response(&mut response, &mut states);
                black_box((judged.is_ok(), forwarded.is_ok(), answer.headers))
            });
        });
    }
    group.finish();
}

/// What it costs to find out who is asking: by a token that is known, and by tokens of which each is
/// new to the worker.
fn authenticating(criterion: &mut Criterion) {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut facts = facts();
    let yaml = format!("auth: {{jwt: {{issuer: bench, audience: api, secret: {SECRET}}}}}");
    let chain = chain(&yaml);
    let signer = Signer::from_secret(SECRET.as_bytes(), Algorithm::HS256).unwrap();
    let request = |number: usize| {
        let claims = serde_json::json!({"iss": "bench", "aud": "api", "sub": number.to_string(),
            "roles": ["reader", "writer"], "exp": 4_000_000_000_u64});
        let token = signer.sign("JWT", claims.as_object().unwrap()).unwrap();
        let request = http::Request::get("/api/users/1").header("host", "api.example.com");
        let request = request.header("authorization", format!("Bearer {token}"));
        request.body(()).unwrap().into_parts().0
    };
    let mut measure = |name: &str, requests: &[http::request::Parts]| {
        let mut requests = requests.iter().cycle();
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut states = States::default();
                let head = requests.next().unwrap();
                let mut request = Request { head, facts: &mut facts, services: &Nobody };
                assert!(runtime.block_on(chain.on_request(&mut request, &mut states)).is_ok());
            });
        });
    };
    measure("auth/known token", &[request(0)]);
    // More than are remembered, so that none of them is known when it comes round again.
    measure("auth/new token", &(1..50_000).map(request).collect::<Vec<_>>());
}

fn authorizing(criterion: &mut Criterion) {
    let yaml = "{all: [scope:orders.read, {claim: department, equals: sales}], not: [tag:blocked]}";
    let policy =
        Authorize::compile(&serde_yaml::from_str(yaml).unwrap(), &Build::default()).unwrap();
    let claims = serde_json::json!({"sub": "u1", "iss": "https://id.example.com", "exp": 1,
        "department": "sales"});
    let serde_json::Value::Object(claims) = claims else { unreachable!() };
    let consumer = Consumer { name: "acme".into(), ..Consumer::default() };
    let mut identity = Identity {
        roles: vec!["buyer".into()],
        scopes: ["openid", "profile", "orders.read"].map(Box::from).to_vec(),
        consumer: Some(Arc::new(consumer)),
        ..Identity::new(Way::Jwt, Arc::new(claims))
    };
    let mut measure = |name: &str, identity: &Identity| {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let client = [10, 0, 0, 1].into();
                let (method, time) = (&http::Method::GET, SystemTime::UNIX_EPOCH);
                let identity = Some(black_box(identity));
                let verdict = policy.decide(&Asked { identity, method, client, time });
                matches!(verdict, Verdict::Permitted)
            });
        });
    };
    measure("authorize/permitted", &identity);
    identity.scopes.pop();
    measure("authorize/refused", &identity);
}

fn ids(criterion: &mut Criterion) {
    let theirs = HeaderValue::from_static("01920f2e-6b7c-7d3a-8a55-0123456789ab");
    let now = SystemTime::now();
    criterion.bench_function("request id/kept", |bencher| {
        bencher.iter(|| request_id::keep_or_make(black_box(Some(&theirs)), now));
    });
    criterion.bench_function("request id/made", |bencher| {
        bencher.iter(|| request_id::keep_or_make(black_box(None), now));
    });
}

fn document(routes: usize) -> String {
    let mut text = "version: 1\nlisteners: [{name: http, address: 127.0.0.1:8080}]\n\
                    policies: {auth: none, request_size: {body: 1MiB}}\n\
                    services: {origin: {url: \"http://127.0.0.1:9\"}}\nroutes:\n"
        .to_owned();
    for number in 0..routes {
        writeln!(
            text,
            "  - {{name: r{number}, match: {{path: {{prefix: /r/{number}}}}}, service: origin}}"
        )
        .unwrap();
    }
    text
}

fn compiling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    for routes in [10, 1_000, 10_000] {
        let text = document(routes);
        group.bench_function(BenchmarkId::new("routes", routes), |bencher| {
            let read = || Loaded::from_text(Path::new("bench.yaml"), black_box(&text).clone());
            bencher.iter(|| snapshot::compile(read(), &Shared::default()).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, policies, authenticating, authorizing, ids, compiling);
criterion_main!(benches);
