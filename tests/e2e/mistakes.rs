//! What makes no sense of a service is told by `check`, with its place.

use crate::support::check;
use std::fs;

/// A document whose service has these settings, each on a line of its own from line 5 on.
fn document(settings: &[&str]) -> String {
    format!(
        "version: 1\nlisteners: [{{name: main, address: 127.0.0.1:18080}}]\nservices:\n  app:\n    \
         {}\nroutes: [{{name: all, match: {{path: {{prefix: /}}}}, service: app, \
         policies: {{auth: none}}}}]\n",
        settings.join("\n    ")
    )
}

/// Fails the test unless the check refuses a service with these settings, at this line, in these
/// words.
#[track_caller]
fn refused(settings: &[&str], line: usize, words: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    fs::write(&file, document(settings)).unwrap();
    let (passed, said) = check(&file);
    assert!(!passed, "{settings:?} passed: {said}");
    let place = format!("{}:{line}:", file.display());
    assert!(said.contains(&place) && said.contains(words), "{place} and {words} in {said}");
}

const URL: &str = "url: http://127.0.0.1:7101";

#[test]
fn two_places_for_endpoints_are_refused() {
    let exactly = "exactly one of `url`, `endpoints`, `dns`, `file` and `consul`";
    refused(&[URL, "dns: app.internal:80"], 4, exactly);
    refused(&["keep: 1m"], 4, exactly);
    let several = "one of `dns`, `file` and `consul`, not several";
    refused(&["dns: app.internal:80", "file: endpoints.yaml"], 4, several);
}

#[test]
fn an_endpoint_that_stands_there_twice_is_refused() {
    let twice = "endpoints: [{address: 10.0.0.1:80}, {address: 10.0.0.1:80}]";
    refused(&[twice], 5, "10.0.0.1:80 stands here twice, give it a `weight`");
}

#[test]
fn a_key_without_consistent_hash_is_refused() {
    let alone = "`key` means something to `consistent_hash` alone";
    refused(&[URL, "load_balancing: {key: $(client.ip)}"], 6, alone);
    refused(&[URL, "load_balancing: {algorithm: random, key: $(client.ip)}"], 6, alone);
}

#[test]
fn an_algorithm_that_is_none_is_refused_with_the_one_that_was_meant() {
    refused(&[URL, "load_balancing: round_robbin"], 6, "round_robin");
    refused(&[URL, "load_balancing: round_robbin"], 6, "did you mean `round_robin`?");
}

#[test]
fn a_check_that_asks_in_no_way_or_in_several_is_refused() {
    let exactly = "exactly one of `path`, `tcp` and `grpc` is needed";
    refused(&[URL, "health_check: {interval: 1s}"], 6, exactly);
    refused(&[URL, "health_check: {path: /health, tcp: true}"], 6, exactly);
}

#[test]
fn a_check_that_may_outlast_its_interval_is_refused() {
    let outlasts = "a check that may outlast the interval, 1s, is no check";
    refused(&[URL, "health_check: {path: /health, interval: 1s, timeout: 2s}"], 6, outlasts);
}

#[test]
fn an_outlier_detection_that_ejects_nobody_is_refused() {
    let nothing = "outlier_detection: {consecutive_5xx: 0, consecutive_failures: 0}";
    refused(&[URL, nothing], 6, "nothing would ever be ejected");
}

#[test]
fn a_name_without_a_port_is_refused() {
    refused(&["dns: {name: app.internal}"], 5, "`app.internal` needs a `port`");
}
