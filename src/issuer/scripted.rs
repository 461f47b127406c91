//! Issuers for tests: pages that are in memory, and a server that says what it is told to say.

use super::fetch::{Fetch, Fetched};
use super::{Address, Failure, Trouble};
use crate::lock::lock;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Pages by their addresses; what is not there is answered with 404.
#[derive(Default)]
pub(super) struct Pages {
    pages: Mutex<HashMap<String, String>>,
    asked: Mutex<Vec<String>>,
    down: Mutex<bool>,
    slow: AtomicU64,
    max_age: Mutex<Option<Duration>>,
}

/// The failure that a page which is not there gives.
pub(super) fn status(address: &str) -> Failure {
    Failure::new(Trouble::Status, format!("`{address}` answers 404"))
}

impl Pages {
    pub(super) fn put(&self, address: &str, page: &str) {
        lock(&self.pages).insert(address.to_owned(), page.to_owned());
    }

    pub(super) fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }

    pub(super) fn set_down(&self, down: bool) {
        *lock(&self.down) = down;
    }

    /// Makes each answer take so many milliseconds. It is the page of when it was asked for.
    pub(super) fn set_slow(&self, millis: u64) {
        self.slow.store(millis, Relaxed);
    }

    pub(super) fn set_max_age(&self, age: Duration) {
        *lock(&self.max_age) = Some(age);
    }
}

impl Fetch for Arc<Pages> {
    async fn get(&self, address: &Address, accept: &'static str) -> Result<Fetched, Failure> {
        Pages::get(self, address, accept).await
    }
}

impl Fetch for Pages {
    async fn get(&self, address: &Address, _: &'static str) -> Result<Fetched, Failure> {
        lock(&self.asked).push(address.to_string());
        if *lock(&self.down) {
            return Err(Failure::new(Trouble::Silent, "down"));
        }
        // A page is what it was when it was asked for: what changes under way comes too late.
        let page = lock(&self.pages).get(&address.to_string()).cloned();
        let slow = self.slow.load(Relaxed);
        if slow > 0 {
            tokio::time::sleep(Duration::from_millis(slow)).await;
        }
        let body = page.ok_or_else(|| status(&address.to_string()))?.into_bytes();
        Ok(Fetched { body, max_age: *lock(&self.max_age) })
    }
}

/// A whole answer.
pub(super) fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A server on this machine that answers whatever it is asked with one text.
pub(super) struct Scripted {
    address: SocketAddr,
    says: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    pub(super) async fn says(text: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let says = Arc::new(Mutex::new(text.to_owned()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (text, seen) = (Arc::clone(&says), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(serve(connection, Arc::clone(&text), Arc::clone(&seen)));
            }
        });
        Scripted { address, says, asked, task }
    }

    pub(super) fn at(&self, path: &str) -> Address {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    pub(super) fn now_says(&self, text: &str) {
        text.clone_into(&mut lock(&self.says));
    }

    pub(super) fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut connection: TcpStream,
    says: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
) {
    while let Some(request) = read(&mut connection).await {
        lock(&asked).push(request);
        let text = lock(&says).clone();
        if connection.write_all(text.as_bytes()).await.is_err() || text.contains("close") {
            return;
        }
    }
}

/// A request with its body, whose head is in lower case; none at the end of the connection.
async fn read(connection: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.lines().map(|line| match line.split_once(": ") {
                Some((name, value)) => format!("{}: {value}\r\n", name.to_ascii_lowercase()),
                None => format!("{line}\r\n"),
            });
            let head: String = head.collect();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(format!("{head}\r\n{body}"));
            }
        }
        if connection.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}
