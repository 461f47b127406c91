//! Endpoints that Consul knows, asked of a stand-in, and what follows a source.

use super::{Watched, told};
use crate::support::{Authority, Consul, Member, Origin, Port, eventually};
use sluicegate::upstream::discovery::{self, Kind, Source, Update, follow};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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
async fn nobody_at_its_address_is_trouble() {
    let nobody = Port::reserve();
    let address = format!("http://{}", nobody.address);
    let watched = watched_consul(discovery::Consul::new(&address, "shipping").unwrap());
    let trouble = watched.is_in_trouble(Kind::Silent).await;
    assert!(trouble.message.contains("does not answer"), "{trouble}");
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
async fn a_certificate_that_nobody_vouches_for_gets_no_token() {
    let authority = Authority::new();
    let agent = Origin::tls(authority.acceptor(&["http/1.1"]), |mut call| async move {
        call.reply(200, "X-Consul-Index: 1\r\n", "[]").await;
        call
    })
    .await;
    let address = format!("https://{agent}");
    let asked = discovery::Consul::new(&address, "shipping").unwrap().token("sesame").unwrap();
    let watched = watched_consul(asked);
    eventually("trouble", async || match watched.now() {
        Update::Trouble(trouble) => Some(trouble),
        _ => None,
    })
    .await;
    assert!(agent.requests().is_empty());
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
