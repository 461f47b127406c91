//! The merge rule: what the scopes of a route mean together.

use super::*;
use crate::exchange::{Authentication, Connection, Facts, Listener, PathRules, Timeouts, Trace};
use crate::upstream::ask::Nobody;
use crate::value::CidrSet;
use http::HeaderValue;
use std::net::{IpAddr, SocketAddr};
use std::time::{Instant, SystemTime};

fn compile(blocks: &[&str]) -> (Chain, Stages) {
    let blocks: Vec<Block> =
        blocks.iter().map(|yaml| serde_yaml::from_str(yaml).unwrap()).collect();
    Compiler::default().compile(&scopes(&blocks), &mut Vec::new()).unwrap()
}

fn scopes(blocks: &[Block]) -> Vec<Scope<'_>> {
    let scope = |(id, block)| Scope {
        id,
        at: vec!["scope".into(), id.into()],
        name: format!("scope.{id}"),
        block,
    };
    blocks.iter().enumerate().map(scope).collect()
}

/// Whether a client at `address` gets past the chain.
async fn lets_in(chain: &Chain, address: &str) -> bool {
    let client: IpAddr = address.parse().unwrap();
    let listener = Arc::new(Listener {
        name: "test".into(),
        trusted_proxies: CidrSet::default(),
        paths: PathRules::default(),
        timeouts: Timeouts::default(),
    });
    let now = Instant::now();
    let mut facts = Facts {
        started: now,
        time: SystemTime::UNIX_EPOCH,
        request_id: HeaderValue::from_static("id"),
        trace: Trace::keep_or_make(&http::HeaderMap::new()),
        client,
        names: None,
        parameters: None,
        cause: None,
        limited: None,
        authentication: Authentication::default(),
        connection: Arc::new(Connection::new(listener, SocketAddr::new(client, 1), false, now)),
    };
    let head = http::Request::new(()).into_parts().0;
    let mut request = Request { head: &head, facts: &mut facts, services: &Nobody };
    chain.on_request(&mut request, &mut States::default()).await.is_ok()
}

#[tokio::test]
async fn denials_of_all_scopes_count_and_nothing_clears_them() {
    let (chain, _) = compile(&[
        "ip_filter: {deny: [192.0.2.0/24]}",
        "ip_filter: none",
        "ip_filter: {deny: [198.51.100.0/24]}",
    ]);
    assert!(!lets_in(&chain, "192.0.2.1").await);
    assert!(!lets_in(&chain, "198.51.100.1").await);
    assert!(lets_in(&chain, "203.0.113.1").await);
}

#[tokio::test]
async fn the_most_specific_allowance_counts_whole() {
    let (chain, _) =
        compile(&["ip_filter: {allow: [10.0.0.0/8]}", "ip_filter: {allow: [192.0.2.0/24]}"]);
    assert!(lets_in(&chain, "192.0.2.1").await);
    assert!(!lets_in(&chain, "10.0.0.1").await);
    let (chain, _) = compile(&["ip_filter: {allow: [10.0.0.0/8]}", "ip_filter: none"]);
    assert!(lets_in(&chain, "192.0.2.1").await);
}

#[test]
fn the_most_specific_object_counts_whole_and_none_switches_it_off() {
    let (_, stages) = compile(&["timeouts: {read: 3s, write: 3s}", "timeouts: {read: 1s}"]);
    let timeouts = stages.timeouts.unwrap();
    assert_eq!(timeouts.read.as_secs(), 1);
    assert_eq!(timeouts.write, crate::upstream::Timeouts::default().write);
    let (_, stages) = compile(&["timeouts: {read: 3s}", "timeouts: none"]);
    assert!(stages.timeouts.is_none());
}

#[test]
fn an_inherited_auth_decision_counts_and_a_missing_one_is_missing() {
    assert!(compile(&["auth: none", "{}"]).0.auth().is_some());
    assert!(compile(&["{}", "{}"]).0.auth().is_none());
}

#[test]
fn routes_that_say_the_same_share_what_is_compiled() {
    let blocks: Vec<Block> = ["request_size: {body: 1KiB}", "{}", "{}"]
        .iter()
        .map(|yaml| serde_yaml::from_str(yaml).unwrap())
        .collect();
    let mut compiler = Compiler::default();
    let mut compiled = |route: usize| {
        let scopes = scopes(&blocks);
        let [global, one, other] = &scopes[..] else { unreachable!() };
        let pick = |scope: &Scope<'_>| Scope {
            id: scope.id,
            at: Vec::new(),
            name: String::new(),
            block: &blocks[scope.id],
        };
        let route = if route == 1 { one } else { other };
        let picked = [pick(global), pick(route)];
        compiler.compile(&picked, &mut Vec::new()).unwrap().0.request_size.unwrap()
    };
    assert!(Arc::ptr_eq(&compiled(1), &compiled(2)));
}

#[test]
fn a_mistake_is_told_at_the_most_specific_scope_that_had_a_say() {
    let blocks: Vec<Block> = ["timeouts: {read: 1s}", "timeouts: {read: 0s}"]
        .iter()
        .map(|yaml| serde_yaml::from_str(yaml).unwrap())
        .collect();
    let mut compiler = Compiler::default();
    let mut wrong = Vec::new();
    // Told once, however many routes say so.
    assert!(compiler.compile(&scopes(&blocks), &mut wrong).is_none());
    assert!(compiler.compile(&scopes(&blocks), &mut wrong).is_none());
    let told: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["scope[1].timeouts.read: a time of zero would fail every request"]);
}

#[test]
fn an_unknown_policy_and_an_unknown_setting_are_refused() {
    let refusal = |yaml: &str| serde_yaml::from_str::<Block>(yaml).unwrap_err().to_string();
    assert!(refusal("ip_filtre: {}").contains("unknown field `ip_filtre`"));
    assert!(refusal("ip_filter: {denny: []}").contains("unknown field `denny`"));
    assert!(refusal("auth: {jwt: {}}").contains("missing field `issuer`"));
}
