use crate::config::Loaded;
use crate::shared::Shared;
use proptest::prelude::*;
use std::path::Path;

const SOUND: &str = "\
version: 1
listeners: [{name: a, address: 127.0.0.1:1, trusted_proxies: [10.0.0.0/8]}]
policies: {auth: none, timeouts: {read: 1s}, cors: {origins: \"*\"}}
services: &s
  app:
    url: \"http://127.0.0.1:2\"
    load_balancing: {algorithm: consistent_hash, key: $(client.ip), headroom: 20%, slow_start: 5s}
    health_check: {path: /h, interval: 5s, expect: {status: [200, 2xx], body: \"o.*\"}}
    outlier_detection: {consecutive_5xx: 5, max_ejected: 50%}
    limits: {requests: 9, pending: 2, pending_timeout: 1s, adaptive: {min: 5}}
    policies:
      retry: {attempts: 2, retry_on: [reset, 502], backoff: 25ms..250ms, budget: 20%}
      circuit_breaker: {failures: 5, failure_rate: 50%, fallback: {service: two}}
  two: {dns: \"two.example:80\", keep: 1m}
routes:
  - name: one
    match: {hosts: a.example, path: {template: \"/a/{b}\"}, headers: {x-v: 1}}
    backends: [{service: app, weight: 9}, {service: two, weight: 0, when: {query: {v: 2}}}]
    split_key: $(cookie.c)
    mirror: {service: two, sample: 10%, diff: {ignore: [\"body.a[].b\"]}}
    priority: low
    policies: {transform: {request: {headers: {set: {x-b: $(path.b ?? client.ip)}}}}}
";

fn compile(text: &str) -> String {
    let loaded = Loaded::from_text(Path::new("a.yaml"), text.to_owned());
    match super::compile(loaded, &Shared::default()) {
        Ok((_, remarks)) => remarks.to_string(),
        Err(report) => report.to_string(),
    }
}

#[test]
fn the_sample_is_sound() {
    let told = compile(SOUND);
    assert!(told.lines().all(|line| !line.starts_with("error")), "{told}");
}

proptest! {
    #[test]
    fn nothing_typed_makes_it_panic(
        at in 0..SOUND.len(),
        length in 0_usize..12,
        typed in "[-a-z0-9:{}\\[\\]\"'$().,*&!?#|>%@\\\\é \n\t]{0,6}",
    ) {
        let mut text = SOUND.to_owned();
        text.replace_range(at..(at + length).min(SOUND.len()), &typed);
        compile(&text);
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        compile(&text);
    }
}
