//! What is wrong with a limit is said with its place.

use crate::check::refused;

/// Fails the test unless a limit is refused for what stands at a text in it, naming each word.
#[track_caller]
fn wrong(limit: &str, at: &str, words: &[&str]) {
    let line = format!("    - {{{limit}}}");
    let column = line.find(at).expect("the place is in the line") + 1;
    let text = format!(
        "version: 1\nlisteners: [{{name: main, address: \"127.0.0.1:18080\"}}]\npolicies:\n  \
         auth: none\n  rate_limit:\n{line}\nservices: {{app: {{url: \"http://127.0.0.1:18081\"}}}}\n\
         routes: [{{name: all, match: {{path: {{prefix: /}}}}, service: app}}]\n"
    );
    refused(&text, 6, Some(column), words);
}

#[test]
fn an_algorithm_that_there_is_not_is_refused() {
    let limit = "name: own, key: a, limit: 1/s, algorithm: token_buket";
    wrong(limit, "token_buket", &["token_buket", "token_bucket"]);
}

#[test]
fn a_setting_that_there_is_not_is_refused() {
    wrong("name: own, key: a, limit: 1/s, brust: 5", "brust", &["brust", "burst"]);
}

#[test]
fn a_rate_that_is_none_is_refused() {
    for (rate, word) in
        [("100", "100/15m"), ("0/s", "0"), ("5/fortnight", "fortnight"), ("1/0s", "1ms")]
    {
        wrong(&format!("name: own, key: a, limit: {rate}"), rate, &[rate, word]);
    }
}

#[test]
fn a_window_has_no_burst() {
    let limit = "name: own, key: a, limit: 5/s, algorithm: fixed_window, burst: 10";
    wrong(limit, "10", &["token_bucket"]);
}

#[test]
fn only_a_leaky_bucket_lets_requests_wait() {
    let limit = "name: own, key: a, limit: 5/s, queue: {length: 3}";
    wrong(limit, "queue", &["leaky_bucket"]);
}

#[test]
fn only_a_fixed_window_counts_by_months() {
    let limit = "name: own, key: a, limit: 5/month, algorithm: token_bucket";
    wrong(limit, "5/month", &["fixed_window", "30d"]);
    let tiers = "name: own, key: a, limit: 5/h, tiers: {free: 9/month}";
    wrong(tiers, "9/month", &["fixed_window", "30d"]);
}

#[test]
fn a_cost_that_no_limit_ever_has_is_refused() {
    wrong("name: own, key: a, limit: 5/s, cost: 60", "60", &["5/s"]);
    let tiers = "name: own, key: a, tiers: {free: 5/s, paid: 100/s}, cost: 60";
    wrong(tiers, "60", &["5/s"]);
    // A bucket never holds more than its burst, however much comes in.
    let bucket = "name: own, key: a, algorithm: token_bucket, limit: 100/s, burst: 5, cost: 60";
    wrong(bucket, "60", &["100/s"]);
}

#[test]
fn a_limit_says_how_much() {
    wrong("name: own, key: a", "{name", &["limit", "tiers"]);
}

#[test]
fn a_store_that_there_is_not_is_refused() {
    wrong("name: own, key: a, limit: 5/s, store: shared", "shared", &["shared"]);
}

#[test]
fn nothing_is_shared_without_a_store() {
    wrong("name: own, key: a, limit: 5/s, sharing: exact", "exact", &["store"]);
    wrong("name: own, key: a, limit: 5/s, on_store_error: deny", "deny", &["store"]);
}

#[test]
fn a_key_knows_nothing_of_the_answer() {
    wrong("name: own, key: $(answer.status), limit: 5/s", "$(answer", &["answer.status"]);
}

#[test]
fn what_is_charged_by_the_answer_counts_for_all() {
    let limit = "name: own, key: a, limit: 5/s, cost_header: x-cost, count: failures";
    wrong(limit, "failures", &["count"]);
}
