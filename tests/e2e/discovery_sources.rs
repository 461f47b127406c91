//! Sources of endpoints, by the library's own API: DNS against a small real name server, files on
//! a real file system, and Consul against a stand-in.

use crate::support::{Consul, Member, NameServer, eventually};
use hickory_proto::op::ResponseCode::{NXDomain, Refused, ServFail};
use hickory_proto::rr::RecordType::{A, AAAA, SRV};
use sluicegate::config::read_endpoints;
use sluicegate::upstream::discovery::{
    self, Dns, File, Found, Kind, Names, Source, Trouble, Update, follow,
};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const NAME: &str = "orders.test";
const RECORDS: &str = "_http._tcp.orders.test";

/// A source that is watched; it ends with the value.
struct Watched {
    updates: watch::Receiver<Update>,
    watching: JoinHandle<()>,
}

impl Watched {
    fn new(source: Source) -> Watched {
        let (sender, updates) = watch::channel(Update::Pending);
        Watched { updates, watching: tokio::spawn(source.watch(sender)) }
    }

    fn host(server: &NameServer) -> Watched {
        Watched::new(Source::Dns(Dns::host(asking(server), NAME, 80)))
    }

    fn srv(server: &NameServer) -> Watched {
        Watched::new(Source::Dns(Dns::srv(asking(server), RECORDS)))
    }

    fn now(&self) -> Update {
        self.updates.borrow().clone()
    }

    /// Waits until these are the endpoints.
    async fn lists(&self, wanted: &[&str]) -> Arc<[Found]> {
        eventually(&format!("the endpoints {wanted:?}"), async || match self.now() {
            Update::Found(list) if told(&list) == wanted => Some(list),
            _ => None,
        })
        .await
    }

    /// Waits until there is trouble of this kind.
    async fn is_in_trouble(&self, kind: Kind) -> Trouble {
        eventually(&format!("trouble: {kind:?}"), async || match self.now() {
            Update::Trouble(trouble) if trouble.kind == kind => Some(trouble),
            _ => None,
        })
        .await
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

fn asking(server: &NameServer) -> Names {
    Names::asking(vec![server.address()])
}

fn told(list: &[Found]) -> Vec<String> {
    list.iter().map(|found| found.address.to_string()).collect()
}

/// Waits until a name was asked for so many times more.
async fn asked_again(server: &NameServer, name: &str, kind: hickory_proto::rr::RecordType) {
    let before = server.asked(name, kind);
    eventually("two more questions", async || {
        (server.asked(name, kind) > before + 1).then_some(())
    })
    .await;
}

// DNS: names

#[tokio::test]
async fn every_address_of_both_families_is_an_endpoint() {
    let server = NameServer::start().await;
    server.addresses(NAME, 60, &["10.0.0.2", "10.0.0.1", "fd00::1"]);
    let watched = Watched::host(&server);
    let list = watched.lists(&["10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80"]).await;
    assert!(list.iter().all(|found| found.name.as_deref() == Some(NAME)));
    assert!(list.iter().all(|found| (found.weight, found.priority) == (1, 0)));
}

#[tokio::test]
async fn a_name_is_asked_for_again_when_its_time_to_live_ends() {
    let server = NameServer::start().await;
    server.addresses(NAME, 1, &["10.0.0.1"]);
    let watched = Watched::host(&server);
    watched.lists(&["10.0.0.1:80"]).await;
    server.addresses(NAME, 3600, &["10.0.0.2"]);
    watched.lists(&["10.0.0.2:80"]).await;
    // An hour is not over in this test, so nobody asks any more.
    let asked = server.asked(NAME, A);
    tokio::task::yield_now().await;
    assert_eq!(server.asked(NAME, A), asked);
}

#[tokio::test]
async fn a_time_to_live_of_zero_is_no_flood() {
    let server = NameServer::start().await;
    server.addresses(NAME, 0, &["10.0.0.1"]);
    let began = Instant::now();
    let _watched = Watched::host(&server);
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
    let mut watched = Watched::host(&server);
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
        let watched = Watched::host(&server);
        let list = watched.lists(&["10.0.0.1:80"]).await;
        assert_eq!(list[0].name.as_deref(), Some(NAME), "the name that was asked for counts");
    }
}

#[tokio::test]
async fn an_answer_cut_short_is_asked_for_by_tcp() {
    let server = NameServer::start().await;
    server.truncate();
    server.addresses(NAME, 60, &["10.0.0.1"]);
    Watched::host(&server).lists(&["10.0.0.1:80"]).await;
    assert!(server.by_tcp() > 0);
}

#[tokio::test]
async fn each_kind_of_trouble_is_told_and_ends() {
    let server = NameServer::start().await;
    let watched = Watched::host(&server);
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
    let watched = Watched::host(&server);
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
    let mut watched = Watched::host(&server);
    watched.lists(&["10.0.0.1:80", "[fd00::1]:80"]).await;
    watched.updates.mark_unchanged();
    server.fail(NAME, A, Some(ServFail));
    asked_again(&server, NAME, AAAA).await;
    assert!(!watched.updates.has_changed().unwrap());
    server.addresses(NAME, 1, &["10.0.0.2"]);
    server.fail(NAME, A, None);
    watched.lists(&["10.0.0.2:80"]).await;
}

// DNS: SRV records

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
    let watched = Watched::srv(&server);
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
    let mut watched = Watched::srv(&server);
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
    Watched::srv(&server).lists(&[]).await;
}

// Files

fn write(path: &Path, ports: &[u16]) {
    let lines: String =
        ports.iter().map(|port| format!("- {{address: \"127.0.0.1:{port}\"}}\n")).collect();
    fs::write(path, if lines.is_empty() { "[]".to_owned() } else { lines }).unwrap();
}

fn watched_file(path: &Path) -> Watched {
    Watched::new(Source::File(File::new(path.to_owned(), read_endpoints)))
}

#[tokio::test]
async fn a_file_is_read_again_however_it_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endpoints.yaml");
    write(&path, &[1]);
    let watched = watched_file(&path);
    watched.lists(&["127.0.0.1:1"]).await;
    // In place, with the same size.
    write(&path, &[2]);
    watched.lists(&["127.0.0.1:2"]).await;
    // By renaming, as editors do.
    let other = folder.path().join(".endpoints.yaml.new");
    write(&other, &[3]);
    fs::rename(&other, &path).unwrap();
    watched.lists(&["127.0.0.1:3"]).await;
    // Taken away, and written anew.
    fs::remove_file(&path).unwrap();
    watched.is_in_trouble(Kind::Absent).await;
    write(&path, &[4, 5]);
    watched.lists(&["127.0.0.1:4", "127.0.0.1:5"]).await;
    // Behind a symbolic link that turns elsewhere, as Kubernetes does.
    let (elsewhere, link) = (folder.path().join("elsewhere.yaml"), folder.path().join("link"));
    write(&elsewhere, &[6]);
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    fs::rename(&link, &path).unwrap();
    watched.lists(&["127.0.0.1:6"]).await;
}

#[tokio::test]
async fn a_broken_file_says_where_and_counts_again_once_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endpoints.yaml");
    write(&path, &[1]);
    let watched = watched_file(&path);
    watched.lists(&["127.0.0.1:1"]).await;
    fs::write(&path, "- address: 127.0.0.1:1\n- address: nowhere\n").unwrap();
    let trouble = watched.is_in_trouble(Kind::Malformed).await;
    let place = format!("{}: line 2, column 12", path.display());
    assert!(trouble.message.starts_with(&place), "{trouble}");
    write(&path, &[2]);
    watched.lists(&["127.0.0.1:2"]).await;
}

#[tokio::test]
async fn a_file_that_is_not_there_yet_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endpoints.json");
    let watched = watched_file(&path);
    watched.is_in_trouble(Kind::Absent).await;
    fs::write(&path, r#"{"endpoints": [{"address": "127.0.0.1:1", "weight": 3}]}"#).unwrap();
    assert_eq!(watched.lists(&["127.0.0.1:1"]).await[0].weight, 3);
}

// Consul

fn consul(agent: &Consul) -> discovery::Consul {
    discovery::Consul::new(&agent.url(), "shipping").unwrap().wait(Duration::from_secs(60))
}

fn watched_consul(consul: discovery::Consul) -> Watched {
    Watched::new(Source::Consul(consul))
}

/// The index of each question so far; 0 where there was none.
fn indexes(agent: &Consul) -> Vec<u64> {
    let index = |target: &str| {
        let rest = target.split_once("index=")?.1;
        rest.split('&').next()?.parse().ok()
    };
    agent.requests().iter().map(|seen| index(&seen.target).unwrap_or(0)).collect()
}

/// Waits until Consul is asked with this index.
async fn blocked_at(agent: &Consul, index: u64) {
    eventually("a blocking query", async || (indexes(agent).last() == Some(&index)).then_some(()))
        .await;
}

#[tokio::test]
async fn instances_that_pass_are_endpoints_with_their_weights() {
    let agent = Consul::start().await;
    agent.register(
        "shipping",
        &[
            Member { weight: 5, ..Member::at("10.0.0.1", 80) },
            Member::at("", 81),
            Member { passing: false, ..Member::at("10.0.0.3", 80) },
        ],
    );
    let watched = watched_consul(consul(&agent));
    let list = watched.lists(&["10.0.0.1:80", "127.0.0.1:81"]).await;
    assert_eq!((list[0].weight, list[0].healthy), (5, Some(true)));
    let target = agent.requests()[0].target.clone();
    assert_eq!(target, "/v1/health/service/shipping?passing=1");
}

#[tokio::test]
async fn a_change_is_told_at_once_and_nothing_is_asked_until_then() {
    let agent = Consul::start().await;
    agent.register("shipping", &[Member::at("10.0.0.1", 80)]);
    let watched = watched_consul(consul(&agent));
    watched.lists(&["10.0.0.1:80"]).await;
    blocked_at(&agent, 11).await;
    let target = agent.requests()[1].target.clone();
    assert!(target.ends_with("&index=11&wait=60000ms"), "{target}");
    // A minute's wait is not over: the answer comes with the change.
    agent.register("shipping", &[Member::at("10.0.0.2", 80)]);
    watched.lists(&["10.0.0.2:80"]).await;
    blocked_at(&agent, 12).await;
    assert_eq!(indexes(&agent), [0, 11, 12]);
}

#[tokio::test]
async fn a_change_elsewhere_is_no_news_and_only_moves_the_index() {
    let agent = Consul::start().await;
    agent.register("shipping", &[Member::at("10.0.0.1", 80)]);
    let mut watched = watched_consul(consul(&agent));
    watched.lists(&["10.0.0.1:80"]).await;
    watched.updates.mark_unchanged();
    blocked_at(&agent, 11).await;
    agent.touch();
    blocked_at(&agent, 12).await;
    assert!(!watched.updates.has_changed().unwrap());
}

#[tokio::test]
async fn a_wait_that_ends_without_a_change_is_begun_again() {
    let agent = Consul::start().await;
    agent.register("shipping", &[Member::at("10.0.0.1", 80)]);
    let mut watched = watched_consul(consul(&agent).wait(Duration::from_secs(1)));
    watched.lists(&["10.0.0.1:80"]).await;
    watched.updates.mark_unchanged();
    eventually("three waits", async || (indexes(&agent).len() > 3).then_some(())).await;
    assert_eq!(indexes(&agent)[..4], [0, 11, 11, 11]);
    assert!(!watched.updates.has_changed().unwrap());
}

#[tokio::test]
async fn an_index_that_goes_back_begins_anew() {
    let agent = Consul::start().await;
    agent.register("shipping", &[Member::at("10.0.0.1", 80)]);
    let watched = watched_consul(consul(&agent));
    watched.lists(&["10.0.0.1:80"]).await;
    blocked_at(&agent, 11).await;
    agent.restore(3);
    blocked_at(&agent, 3).await;
    assert_eq!(indexes(&agent), [0, 11, 0, 3]);
    // An index of zero would never wait.
    agent.restore(0);
    blocked_at(&agent, 1).await;
}

#[tokio::test]
async fn failures_are_told_and_their_end_is_seen_without_a_change() {
    let agent = Consul::start().await;
    agent.register("shipping", &[Member::at("10.0.0.1", 80)]);
    let watched = watched_consul(consul(&agent));
    watched.lists(&["10.0.0.1:80"]).await;
    for (status, text, kind) in [
        (500, "No cluster leader", Kind::Failed),
        (403, "ACL not found", Kind::Refused),
        (200, "<html>", Kind::Malformed),
        (301, "", Kind::Refused),
    ] {
        agent.fail(Some((status, text)));
        let trouble = watched.is_in_trouble(kind).await;
        assert!(trouble.message.contains("Consul"), "{trouble}");
        agent.fail(None);
        watched.lists(&["10.0.0.1:80"]).await;
    }
}

#[tokio::test]
async fn nobody_at_its_address_is_trouble_that_ends() {
    let agent = Consul::start().await;
    let nobody = crate::support::Port::reserve();
    let address = format!("http://{}", nobody.address);
    let watched = watched_consul(discovery::Consul::new(&address, "shipping").unwrap());
    let trouble = watched.is_in_trouble(Kind::Silent).await;
    assert!(trouble.message.contains("does not answer"), "{trouble}");
    drop(agent);
}

#[tokio::test]
async fn token_tag_and_datacenter_are_said() {
    let agent = Consul::start().await;
    agent.ask_for_token("sesame");
    agent.register(
        "shipping",
        &[
            Member { tags: vec!["blue".into()], ..Member::at("10.0.0.1", 80) },
            Member { tags: vec!["green".into()], ..Member::at("10.0.0.2", 80) },
        ],
    );
    let watched = watched_consul(consul(&agent));
    let trouble = watched.is_in_trouble(Kind::Refused).await;
    assert!(trouble.message.contains("403") && trouble.message.contains("denied"), "{trouble}");
    let asked = consul(&agent).token("sesame").unwrap().tag("green").datacenter("dc1");
    let watched = watched_consul(asked);
    watched.lists(&["10.0.0.2:80"]).await;
    let target = agent.requests().pop().unwrap().target;
    assert!(target.contains("tag=green&dc=dc1"), "{target}");
}

#[tokio::test]
async fn answers_without_an_index_are_no_flood() {
    let agent = Consul::start().await;
    agent.without_index();
    agent.register("shipping", &[Member::at("10.0.0.1", 80)]);
    let watched = watched_consul(consul(&agent));
    watched.lists(&["10.0.0.1:80"]).await;
    agent.register("shipping", &[Member::at("10.0.0.2", 80)]);
    watched.lists(&["10.0.0.2:80"]).await;
    assert!(indexes(&agent).len() <= 3, "{:?}", indexes(&agent));
}

// What follows a source

#[tokio::test]
async fn the_last_list_is_published_for_as_long_as_it_is_kept() {
    let agent = Consul::start().await;
    agent.register("shipping", &[Member::at("10.0.0.1", 80)]);
    let published: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let noting = Arc::clone(&published);
    let (source, keep) = (Source::Consul(consul(&agent)), Duration::from_secs(2));
    let following = tokio::spawn(async move {
        follow("shipping", source, keep, |list| noting.lock().unwrap().push(told(&list))).await;
    });
    let lists = async |wanted: usize| {
        eventually("another list", async || {
            let published = published.lock().unwrap().clone();
            (published.len() >= wanted).then_some(published)
        })
        .await
    };
    assert_eq!(lists(1).await, [["10.0.0.1:80"]]);
    let began = Instant::now();
    agent.register("shipping", &[]);
    assert_eq!(lists(2).await[1], Vec::<String>::new());
    assert!(began.elapsed() >= Duration::from_millis(1900), "{:?}", began.elapsed());
    agent.register("shipping", &[Member::at("10.0.0.2", 80)]);
    assert_eq!(lists(3).await[2], ["10.0.0.2:80"]);
    following.abort();
}
