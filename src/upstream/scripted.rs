//! Services for tests: real sockets on loopback, with connections that do what the test says.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use pingora::upstreams::peer::HttpPeer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A service that serves until its test ends, and counts its connections.
pub struct Scripted {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Scripted {
    /// Starts one; `serve` gets each connection and its number, from zero.
    pub async fn new<F>(serve: impl Fn(usize, TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(count.fetch_add(1, Ordering::SeqCst), connection));
            }
        });
        Scripted { address, connections }
    }

    /// Starts one of HTTP/1.1 that answers every request with these bytes.
    pub async fn says(answer: impl Into<String>) -> Self {
        let answer: Arc<str> = answer.into().into();
        Self::new(move |_, mut connection| {
            let answer = Arc::clone(&answer);
            async move {
                while read_request(&mut connection).await.is_some() {
                    connection.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        })
        .await
    }

    /// Starts one that takes every connection and never says a word.
    pub async fn silent() -> Self {
        Self::new(|_, connection| async move {
            std::future::pending::<()>().await;
            drop(connection);
        })
        .await
    }

    /// Starts one of HTTP/2 in plain text that answers every request, once its body is there, with
    /// what `answer` makes of it: a head, a body and trailers.
    pub async fn h2(
        answer: impl Fn(Request<Bytes>) -> (Response<()>, Bytes, Option<HeaderMap>)
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self::new(move |_, connection| {
            let answer = answer.clone();
            async move {
                let mut connection = h2::server::handshake(connection).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let answer = answer.clone();
                    tokio::spawn(async move {
                        let (head, mut parts) = request.into_parts();
                        let mut body = Vec::new();
                        while let Some(part) = parts.data().await {
                            body.extend_from_slice(&part.unwrap());
                        }
                        let (response, body, trailers) =
                            answer(Request::from_parts(head, body.into()));
                        let bare = body.is_empty() && trailers.is_none();
                        let mut stream = respond.send_response(response, bare).unwrap();
                        if !bare {
                            stream.send_data(body, trailers.is_none()).unwrap();
                        }
                        if let Some(trailers) = trailers {
                            stream.send_trailers(trailers).unwrap();
                        }
                    });
                }
            }
        })
        .await
    }

    /// How many connections it has had.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The peer that it is, spoken to in HTTP/1.1.
    pub fn peer(&self) -> HttpPeer {
        HttpPeer::new(self.address, false, String::new())
    }

    /// The peer that it is, spoken to in HTTP/2.
    pub fn h2_peer(&self) -> HttpPeer {
        let mut peer = self.peer();
        peer.options.set_http_version(2, 2);
        peer.options.max_h2_streams = 100;
        peer
    }
}

/// Reads a request of HTTP/1.1 with its `Content-Length`; `None` where the connection ends.
pub async fn read_request(connection: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        let mut part = [0; 4096];
        match connection.read(&mut part).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => request.extend_from_slice(&part[..length]),
        }
    }
}
