//! Endpoints that come and go while the gateway serves.

use crate::balancing::{QUICK_CHECK, answers, at, counted, served_by};
use crate::services::service;
use crate::support::{Call, Consul, Gateway, Member, NameServer, Origin, Port, eventually, within};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use tokio::sync::Notify;
use tokio::task::JoinSet;

async fn unavailable(gateway: &Gateway) {
    let response = eventually("a refusal", async || {
        Some(gateway.get("/").await).filter(|response| response.status != 200)
    })
    .await;
    assert_eq!(response.problem(503)["service"], "app");
}

/// An origin at an address, on a port of another one.
async fn beside(host: &str, port: u16, says: &'static str) -> Origin {
    Origin::at(&format!("{host}:{port}"), move |mut call: Call| async move {
        call.reply(200, "", says).await;
        call
    })
    .await
}

// DNS

#[tokio::test]
async fn addresses_that_a_name_server_adds_and_removes_come_and_go() {
    let port = Port::reserve();
    let _one = at(&port, "one").await;
    let _two = beside("127.0.0.2", port.address.port(), "two").await;
    let dns = NameServer::start().await;
    dns.addresses("app.test", 1, &["127.0.0.1"]);
    let setup = service("{dns: {name: app.test, port: <port>, server: <dns>}}");
    let setup = setup.with("port", port.address.port()).with("dns", dns.address());
    let gateway = setup.start().await;
    served_by(&gateway, &["one"]).await;
    dns.addresses("app.test", 1, &["127.0.0.1", "127.0.0.2"]);
    served_by(&gateway, &["one", "two"]).await;
    dns.addresses("app.test", 1, &["127.0.0.2"]);
    served_by(&gateway, &["two"]).await;
}

#[tokio::test]
async fn srv_records_say_the_port_the_priority_and_the_weight() {
    let port = Port::reserve();
    let first = at(&port, "first").await;
    let (heavy, light) = (Origin::saying("heavy").await, Origin::saying("light").await);
    let dns = NameServer::start().await;
    dns.addresses("node.test", 1, &["127.0.0.1"]);
    dns.srv(
        "_http._tcp.app.test",
        1,
        &[
            (0, 1, port.address.port(), "node.test"),
            (1, 3, heavy.port(), "node.test"),
            (1, 1, light.port(), "node.test"),
        ],
    );
    let setup =
        service(&format!("{{dns: {{srv: _http._tcp.app.test, server: <dns>}}, {QUICK_CHECK}}}"));
    let gateway = setup.with("dns", dns.address()).start().await;
    served_by(&gateway, &["first"]).await;
    first.stop().await;
    served_by(&gateway, &["heavy", "light"]).await;
    // Until the first is known to be dead, each request finds that out, and goes to any other.
    let mut client = gateway.connect().await;
    eventually("shares by weight", async || {
        let told = answers(&mut client, 40).await;
        (counted(&told).into_iter().eq([("heavy", 30), ("light", 10)])).then_some(())
    })
    .await;
}

// Files

/// Replaces the file as a careful writer does: by renaming a finished one into place.
fn rewrite(file: &Path, text: &str) {
    let finished = file.with_extension("new");
    fs::write(&finished, text).unwrap();
    fs::rename(finished, file).unwrap();
}

#[tokio::test]
async fn a_file_that_is_rewritten_counts_and_a_broken_one_changes_nothing() {
    let (one, two) = (Origin::saying("one").await, Origin::saying("two").await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("endpoints.yaml");
    rewrite(&file, &format!("- address: {one}\n"));
    let gateway = service("{file: <file>}").with("file", file.display()).start().await;
    served_by(&gateway, &["one"]).await;
    rewrite(&file, &format!("- address: {one}\n- address: {two}\n"));
    served_by(&gateway, &["one", "two"]).await;
    rewrite(&file, "- address: [\n");
    eventually("the trouble to be told", async || {
        gateway.said().contains("endpoints cannot be discovered").then_some(())
    })
    .await;
    served_by(&gateway, &["one", "two"]).await;
    rewrite(&file, &format!("- address: {two}\n"));
    served_by(&gateway, &["two"]).await;
}

// Consul

fn member(origin: &Origin) -> Member {
    Member::at("127.0.0.1", origin.port())
}

#[tokio::test]
async fn instances_that_consul_adds_and_removes_come_and_go() {
    let (one, two) = (Origin::saying("one").await, Origin::saying("two").await);
    let consul = Consul::start().await;
    consul.register("shop", &[member(&one)]);
    let setup = service("{consul: {address: <consul>, service: shop}}");
    let gateway = setup.with("consul", consul.url()).start().await;
    served_by(&gateway, &["one"]).await;
    consul.register("shop", &[member(&one), member(&two)]);
    served_by(&gateway, &["one", "two"]).await;
    consul.register("shop", &[Member { passing: false, ..member(&one) }, member(&two)]);
    served_by(&gateway, &["two"]).await;
}

#[tokio::test]
async fn an_empty_answer_keeps_the_last_endpoints_for_a_while_and_then_there_are_none() {
    let one = Origin::saying("one").await;
    let consul = Consul::start().await;
    consul.register("shop", &[member(&one)]);
    let setup = service("{consul: {address: <consul>, service: shop}, keep: 2s}");
    let gateway = setup.with("consul", consul.url()).start().await;
    served_by(&gateway, &["one"]).await;
    consul.register("shop", &[]);
    eventually("the empty answer", async || {
        gateway.said().contains("discovery finds no endpoint").then_some(())
    })
    .await;
    answers(&mut gateway.connect().await, 10).await;
    unavailable(&gateway).await;
    consul.register("shop", &[member(&one)]);
    eventually("the service to be back", async || {
        (gateway.get("/").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_request_at_an_endpoint_that_is_removed_goes_on_to_its_end() {
    let go_on = Arc::new(Notify::new());
    let gate = Arc::clone(&go_on);
    let old = Origin::start(move |mut call: Call| {
        let gate = Arc::clone(&gate);
        async move {
            call.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst").await;
            gate.notified().await;
            call.send("-last").await;
            call
        }
    })
    .await;
    let new = Origin::saying("new").await;
    let consul = Consul::start().await;
    consul.register("shop", &[member(&old)]);
    let setup = service("{consul: {address: <consul>, service: shop}}");
    let gateway = setup.with("consul", consul.url()).start().await;
    let mut client = gateway.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.part().await.unwrap().unwrap(), "first");
    consul.register("shop", &[member(&new)]);
    eventually("the change", async || {
        (gateway.said().matches("endpoints changed").count() == 2).then_some(())
    })
    .await;
    served_by(&gateway, &["new"]).await;
    go_on.notify_one();
    assert_eq!(client.part().await.unwrap().unwrap(), "-last");
    assert_eq!(client.part().await.unwrap(), None);
}

// Many

/// How much memory the gateway has, in KiB.
fn resident_kib(gateway: &Gateway) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How many descriptors the gateway has open.
fn descriptors(gateway: &Gateway) -> usize {
    fs::read_dir(format!("/proc/{}/fd", gateway.id())).unwrap().count()
}

/// A thousand addresses, of which those of the two origins alone are listened on.
fn thousand(round: usize, one: &Origin, two: &Origin) -> String {
    let mut text = format!("- address: {one}\n- address: {two}\n");
    for number in 0..998 {
        let (high, low) = (number / 250, number % 250 + 1);
        writeln!(text, "- address: 127.{}.{high}.{low}:9", 10 + round).unwrap();
    }
    text
}

#[tokio::test]
async fn a_thousand_endpoints_that_change_each_second_cost_no_client_an_error() {
    let (one, two) = (Origin::saying("one").await, Origin::saying("two").await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("endpoints.yaml");
    let few = format!("- address: {one}\n- address: {two}\n");
    rewrite(&file, &few);
    let check = "health_check: {tcp: true, interval: 1s}";
    let setup = service(&format!("{{file: <file>, {check}}}"));
    let gateway = Arc::new(setup.with("file", file.display()).start().await);
    served_by(&gateway, &["one", "two"]).await;
    let open = descriptors(&gateway);
    let (done, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (asking, ending, counting) =
        (Arc::clone(&gateway), Arc::clone(&is_over), Arc::clone(&done));
    let mut load = JoinSet::new();
    load.spawn(async move {
        let mut client = asking.connect().await;
        while !ending.load(Relaxed) {
            answers(&mut client, 5).await;
            counting.fetch_add(5, Relaxed);
        }
    });
    // What a thousand cost is seen in the first round; those that follow cost no more.
    let mut resident = 0;
    for round in 0..4 {
        rewrite(&file, &thousand(round, &one, &two));
        eventually("the change", async || {
            (gateway.said().matches("\"endpoints\":1000").count() == round + 1).then_some(())
        })
        .await;
        let until = done.load(Relaxed) + 50;
        eventually("requests", async || (done.load(Relaxed) >= until).then_some(())).await;
        if round == 0 {
            resident = resident_kib(&gateway);
        }
    }
    rewrite(&file, &few);
    eventually("few endpoints again", async || (descriptors(&gateway) <= open + 20).then_some(()))
        .await;
    is_over.store(true, Relaxed);
    // A client that got anything but a 200 has panicked.
    within("the load's end", load.join_next()).await.unwrap().unwrap();
    let now = resident_kib(&gateway);
    assert!(now < resident + 64 * 1024, "{resident} KiB have become {now} KiB");
}
