//! Endpoints by DNS, asked of a small real name server.

use super::Watched;
use crate::support::{NameServer, eventually};
use hickory_proto::op::ResponseCode::{NXDomain, Refused, ServFail};
use hickory_proto::rr::RecordType::{self, A, AAAA, SRV};
use sluicegate::upstream::discovery::{Dns, Kind, Names, Source};
use std::time::{Duration, Instant};

const NAME: &str = "orders.test";
const RECORDS: &str = "_http._tcp.orders.test";

fn host(server: &NameServer) -> Watched {
    Watched::new(Source::Dns(Dns::host(asking(server), NAME, 80)))
}

fn srv(server: &NameServer) -> Watched {
    Watched::new(Source::Dns(Dns::srv(asking(server), RECORDS)))
}

fn asking(server: &NameServer) -> Names {
    Names::asking(vec![server.address()])
}

/// Waits until a name was asked for so many times more.
async fn asked_again(server: &NameServer, name: &str, kind: RecordType) {
    let before = server.asked(name, kind);
    eventually("two more questions", async || {
        (server.asked(name, kind) > before + 1).then_some(())
    })
    .await;
}

// Names

#[tokio::test]
async fn every_address_of_both_families_is_an_endpoint() {
    let server = NameServer::start().await;
    server.addresses(NAME, 60, &["10.0.0.2", "10.0.0.1", "fd00::1"]);
    let watched = host(&server);
    let list = watched.lists(&["10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80"]).await;
    assert!(list.iter().all(|found| found.name.as_deref() == Some(NAME)));
    assert!(list.iter().all(|found| (found.weight, found.priority) == (1, 0)));
}

#[tokio::test]
async fn a_name_is_asked_for_again_when_its_time_to_live_ends() {
    let server = NameServer::start().await;
    server.addresses(NAME, 1, &["10.0.0.1"]);
    let watched = host(&server);
    watched.lists(&["10.0.0.1:80"]).await;
    server.addresses(NAME, 1, &["10.0.0.2"]);
    watched.lists(&["10.0.0.2:80"]).await;
}

#[tokio::test]
async fn a_time_to_live_of_zero_is_no_flood() {
    let server = NameServer::start().await;
    server.addresses(NAME, 0, &["10.0.0.1"]);
    let began = Instant::now();
    let _watched = host(&server);
    eventually("four questions", async || (server.asked(NAME, A) >= 4).then_some(())).await;
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_long_time_to_live_is_bounded() {
    let server = NameServer::start().await;
    server.addresses(NAME, 86_400, &["10.0.0.1"]);
    let second = Duration::from_secs(1);
    let dns = Dns::host(asking(&server), NAME, 80).bounded(second, second);
    let watched = Watched::new(Source::Dns(dns));
    watched.lists(&["10.0.0.1:80"]).await;
    server.addresses(NAME, 86_400, &["10.0.0.2"]);
    watched.lists(&["10.0.0.2:80"]).await;
}

#[tokio::test]
async fn the_same_answers_in_another_order_are_no_change() {
    let server = NameServer::start().await;
    server.addresses(NAME, 1, &["10.0.0.1", "10.0.0.2"]);
    let mut watched = host(&server);
    watched.lists(&["10.0.0.1:80", "10.0.0.2:80"]).await;
    watched.updates.mark_unchanged();
    server.addresses(NAME, 1, &["10.0.0.2", "10.0.0.1"]);
    asked_again(&server, NAME, A).await;
    assert!(!watched.updates.has_changed().unwrap());
}

#[tokio::test]
async fn aliases_are_followed_whoever_follows_them() {
    for lazy in [false, true] {
        let server = NameServer::start().await;
        if lazy {
            server.leave_aliases();
        }
        server.alias(NAME, 60, "green.test");
        server.alias("green.test", 60, "eu.green.test");
        server.addresses("eu.green.test", 60, &["10.0.0.1"]);
        let watched = host(&server);
        let list = watched.lists(&["10.0.0.1:80"]).await;
        assert_eq!(list[0].name.as_deref(), Some(NAME), "the name that was asked for counts");
    }
}

#[tokio::test]
async fn an_answer_cut_short_is_asked_for_by_tcp() {
    let server = NameServer::start().await;
    server.truncate();
    server.addresses(NAME, 60, &["10.0.0.1"]);
    host(&server).lists(&["10.0.0.1:80"]).await;
    assert!(server.by_tcp() > 0);
}

#[tokio::test]
async fn each_kind_of_trouble_is_told_and_ends() {
    let server = NameServer::start().await;
    let watched = host(&server);
    let trouble = watched.is_in_trouble(Kind::Absent).await;
    assert_eq!(trouble.message, "orders.test does not exist");
    server.addresses(NAME, 1, &["10.0.0.1"]);
    watched.lists(&["10.0.0.1:80"]).await;
    for (code, kind) in
        [(ServFail, Kind::Failed), (Refused, Kind::Refused), (NXDomain, Kind::Absent)]
    {
        for family in [A, AAAA] {
            server.fail(NAME, family, Some(code));
        }
        let trouble = watched.is_in_trouble(kind).await;
        assert!(trouble.message.contains(NAME), "{trouble}");
        for family in [A, AAAA] {
            server.fail(NAME, family, None);
        }
        watched.lists(&["10.0.0.1:80"]).await;
    }
    server.forget(NAME);
    watched.is_in_trouble(Kind::Absent).await;
}

#[tokio::test]
async fn a_server_that_goes_silent_is_asked_until_it_answers() {
    let server = NameServer::start().await;
    server.addresses(NAME, 1, &["10.0.0.1"]);
    let watched = host(&server);
    watched.lists(&["10.0.0.1:80"]).await;
    server.silent(true);
    let trouble = watched.is_in_trouble(Kind::Silent).await;
    assert!(trouble.message.contains("no name server answers"), "{trouble}");
    server.silent(false);
    watched.lists(&["10.0.0.1:80"]).await;
}

#[tokio::test]
async fn one_family_that_fails_takes_nothing_away() {
    let server = NameServer::start().await;
    server.addresses(NAME, 1, &["10.0.0.1", "fd00::1"]);
    let mut watched = host(&server);
    watched.lists(&["10.0.0.1:80", "[fd00::1]:80"]).await;
    watched.updates.mark_unchanged();
    server.fail(NAME, A, Some(ServFail));
    asked_again(&server, NAME, AAAA).await;
    assert!(!watched.updates.has_changed().unwrap());
    server.addresses(NAME, 1, &["10.0.0.2"]);
    server.fail(NAME, A, None);
    watched.lists(&["10.0.0.2:80"]).await;
}

// SRV records

#[tokio::test]
async fn records_say_port_priority_and_weight() {
    let server = NameServer::start().await;
    server.srv(
        RECORDS,
        60,
        &[(10, 60, 8001, "a.test"), (10, 20, 8002, "b.test"), (20, 0, 8003, "c.test")],
    );
    server.addresses("a.test", 60, &["10.0.0.1"]);
    server.addresses("b.test", 60, &["10.0.0.2"]);
    server.addresses("c.test", 60, &["10.0.0.3"]);
    let watched = srv(&server);
    let list = watched.lists(&["10.0.0.1:8001", "10.0.0.2:8002", "10.0.0.3:8003"]).await;
    let shares: Vec<_> = list.iter().map(|found| (found.priority, found.weight)).collect();
    assert_eq!(shares, [(0, 3), (0, 1), (1, 1)]);
    assert_eq!(list[0].name.as_deref(), Some("a.test"));
}

#[tokio::test]
async fn targets_that_come_go_and_fail_change_only_themselves() {
    let server = NameServer::start().await;
    server.srv(RECORDS, 1, &[(0, 1, 80, "a.test"), (0, 1, 80, "b.test")]);
    server.addresses("a.test", 1, &["10.0.0.1"]);
    server.addresses("b.test", 1, &["10.0.0.2"]);
    let mut watched = srv(&server);
    watched.lists(&["10.0.0.1:80", "10.0.0.2:80"]).await;
    // What one target was is remembered while it cannot be resolved.
    watched.updates.mark_unchanged();
    server.fail("b.test", A, Some(ServFail));
    asked_again(&server, "b.test", A).await;
    assert!(!watched.updates.has_changed().unwrap());
    // One that does not exist is no endpoint, and neither is one that is no target any more.
    server.fail("b.test", A, Some(NXDomain));
    watched.lists(&["10.0.0.1:80"]).await;
    server.srv(RECORDS, 1, &[(0, 1, 81, "a.test")]);
    watched.lists(&["10.0.0.1:81"]).await;
    server.fail(RECORDS, SRV, Some(ServFail));
    watched.is_in_trouble(Kind::Failed).await;
}

#[tokio::test]
async fn a_target_of_the_root_says_that_nothing_is_there() {
    let server = NameServer::start().await;
    server.srv(RECORDS, 60, &[(0, 0, 0, ".")]);
    srv(&server).lists(&[]).await;
}
