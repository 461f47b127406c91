//! Somebody who calls itself something else each time.

use super::{behind_a_proxy, let_through, of, statuses};
use crate::support::{Client, Gateway, Setup, within};
use futures_util::future::join_all;
use std::fmt::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How many addresses there are: as many as a build that is not optimised serves in a few seconds.
/// How many connections send them, and how many each sends at once.
const ADDRESSES: usize = if cfg!(debug_assertions) { 30_000 } else { 200_000 };
const CONNECTIONS: usize = 4;
const BATCH: usize = 50;

const ROUTES: &str = r#"
policies: {auth: none}
routes:
  - name: all
    match: {path: {prefix: /}}
    respond: {status: 204}
    policies: {rate_limit: [{name: own, key: $(client.ip), limit: 9/d, memory: 256KiB, headers: none}]}
"#;

/// The bytes of memory that a gateway holds.
fn resident(gateway: &Gateway) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// Sends a request of each of these addresses over one connection, many at once.
async fn flood(gateway: &Gateway, addresses: std::ops::Range<usize>) {
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let mut answers = vec![0; 64 * 1024];
    for first in addresses.clone().step_by(BATCH) {
        let batch = first..(first + BATCH).min(addresses.end);
        let mut bytes = String::new();
        for number in batch.clone() {
            let [_, a, b, c] = u32::try_from(number).unwrap().to_be_bytes();
            let address = format!("100.{a}.{b}.{c}");
            write!(bytes, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\n\r\n")
                .unwrap();
        }
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut left = batch.len();
        let mut ends = 0;
        while left > 0 {
            let read = within("answers", stream.read(&mut answers)).await.unwrap();
            assert!(read > 0, "the gateway hung up with {left} answers to come");
            for byte in &answers[..read] {
                ends = match (ends, byte) {
                    (0 | 2, b'\r') | (1 | 3, b'\n') => ends + 1,
                    (_, b'\r') => 1,
                    _ => 0,
                };
                if ends == 4 {
                    ends = 0;
                    left -= 1;
                }
            }
        }
    }
}

#[tokio::test]
async fn many_addresses_take_no_more_memory_than_the_limit_may() {
    let gateway = behind_a_proxy(Setup::new(ROUTES)).threads(2).start().await;
    let mut client: Client = gateway.connect().await;
    // What any gateway needs that serves so many connections is there before.
    join_all((0..CONNECTIONS).map(|_| flood(&gateway, 0..1_000))).await;
    let used_up: Vec<u16> = statuses(&mut client, 12, &of("203.0.113.1")).await;
    assert!(used_up[9..].iter().all(|status| *status == 429), "{used_up:?}");
    let before = resident(&gateway);
    let share = ADDRESSES / CONNECTIONS;
    join_all((0..CONNECTIONS).map(|number| flood(&gateway, number * share..(number + 1) * share)))
        .await;
    let grown = resident(&gateway).saturating_sub(before);
    // The allocator keeps some megabytes of its own.
    assert!(grown < 8 << 20, "{grown} bytes more");
    let metrics = gateway.metrics().await;
    let of_limit = |name| metrics.value(name, &[("limit", "routes.all:own")]).unwrap();
    assert!(of_limit("gateway_rate_limit_memory_bytes") <= 256.0 * 1024.0);
    assert!(of_limit("gateway_rate_limit_evicted_total") > 0.0);
    // And who had used up its share is not forgiven for that.
    let_through(&statuses(&mut client, 1, &of("203.0.113.1")).await, 0);
}
