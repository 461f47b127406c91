//! How many requests of one caller are in flight at once.

use super::{behind_a_proxy, of, over};
use crate::support::{Client, Gateway, Origin, Setup, eventually};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A gateway that lets two requests of an address be in flight, and a service that answers one for
/// each permit that it gets.
async fn two_at_once() -> (Gateway, Origin, Arc<Semaphore>) {
    let (origin, permits) = Origin::held().await;
    let policy = "concurrency_limit: [{name: at-once, key: $(client.ip), limit: 2}]";
    let gateway = behind_a_proxy(Setup::one_route(policy)).with("app", &origin).start().await;
    (gateway, origin, permits)
}

/// Asks for an address, and does not wait for the answer.
async fn asking(gateway: &Gateway, address: &str) -> Client {
    let mut client = gateway.connect().await;
    client.send(of(address)).await;
    client
}

#[tokio::test]
async fn the_third_request_of_a_caller_is_refused_and_that_of_another_is_not() {
    let (gateway, origin, permits) = two_at_once().await;
    let mut asked = [asking(&gateway, "203.0.113.1").await, asking(&gateway, "203.0.113.1").await];
    origin.request(2).await;
    over(&gateway.request(&of("203.0.113.1")).await, "at-once");
    let mut other = asking(&gateway, "203.0.113.2").await;
    origin.request(3).await;
    permits.add_permits(3);
    for client in asked.iter_mut().chain([&mut other]) {
        assert_eq!(client.response().await.text(), "done");
    }
}

#[tokio::test]
async fn an_answer_that_is_over_gives_its_place_back() {
    let (gateway, origin, permits) = two_at_once().await;
    let [mut first, _second] =
        [asking(&gateway, "203.0.113.1").await, asking(&gateway, "203.0.113.1").await];
    origin.request(2).await;
    over(&first_of(&gateway).await, "at-once");
    permits.add_permits(2);
    assert_eq!(first.response().await.status, 200);
    permits.add_permits(20);
    eventually("a place", async || (first_of(&gateway).await.status == 200).then_some(())).await;
}

/// One more request of the same caller.
async fn first_of(gateway: &Gateway) -> crate::support::Response {
    gateway.request(&of("203.0.113.1")).await
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_place_back() {
    let (gateway, origin, permits) = two_at_once().await;
    let first = asking(&gateway, "203.0.113.1").await;
    let _second = asking(&gateway, "203.0.113.1").await;
    origin.request(2).await;
    over(&first_of(&gateway).await, "at-once");
    drop(first);
    let mut next = eventually("the place of who has left", async || {
        let mut next = asking(&gateway, "203.0.113.1").await;
        // Whoever is let in reaches the service, which does not answer yet.
        tokio::select! {
            _ = next.response() => None,
            _ = origin.request(3) => Some(next),
        }
    })
    .await;
    permits.add_permits(3);
    assert_eq!(next.response().await.text(), "done");
}
