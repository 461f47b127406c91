//! A service as a test wants it to behave, which remembers what it saw.

use super::wait::{eventually, within};
use super::wire::{Framing, Head, Stream, Wire};
use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// An HTTP/1.1 server on an address of its own; it ends with the value.
pub struct Origin {
    address: String,
    log: Log,
    accepting: JoinHandle<()>,
}

/// What an origin saw of one request.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The target, byte for byte.
    pub target: String,
    /// The whole head.
    pub head: Head,
    /// The body, as far as it was read.
    pub body: Vec<u8>,
}

impl Seen {
    /// The one value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }
}

#[derive(Default, Clone)]
struct Log(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    requests: Vec<Seen>,
    connections: usize,
}

impl Log {
    fn connection(&self) -> usize {
        let mut noted = self.0.lock().unwrap();
        noted.connections += 1;
        noted.connections - 1
    }

    fn request(&self, seen: Seen) -> usize {
        let mut noted = self.0.lock().unwrap();
        noted.requests.push(seen);
        noted.requests.len() - 1
    }

    fn body(&self, request: usize, part: &[u8]) {
        self.0.lock().unwrap().requests[request].body.extend_from_slice(part);
    }
}

/// One request that an origin has to answer.
pub struct Call {
    /// The request's head; its body is read by [`Call::part`] or [`Call::body`].
    pub seen: Seen,
    wire: Wire,
    framing: Framing,
    log: Log,
    number: usize,
    keep: bool,
}

impl Call {
    /// Reads the next part of the body as soon as there is any; `None` at its end.
    pub async fn part(&mut self) -> Option<Bytes> {
        let part = self.wire.part(&mut self.framing).await.ok()??;
        self.log.body(self.number, &part);
        Some(part)
    }

    /// Reads the rest of the body.
    pub async fn body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(part) = self.part().await {
            body.extend_from_slice(&part);
        }
        body
    }

    /// Whether the rest of the body comes to its end.
    pub async fn body_is_whole(&mut self) -> bool {
        loop {
            match self.wire.part(&mut self.framing).await {
                Ok(Some(part)) => self.log.body(self.number, &part),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Sends exactly these bytes; a gateway that is gone does not mind.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.wire.send(bytes.as_ref()).await;
    }

    /// Reads the body, for which it asks if it has to, and answers.
    pub async fn reply(&mut self, status: u16, fields: &str, body: impl AsRef<[u8]>) {
        if self.seen.head.lists("expect", "100-continue") {
            self.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        self.body().await;
        let body = body.as_ref();
        let head =
            format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
        let mut bytes = head.into_bytes();
        if self.seen.method != "HEAD" {
            bytes.extend_from_slice(body);
        }
        self.send(bytes).await;
    }

    /// Waits until the gateway closes the connection.
    pub async fn until_closed(&mut self) {
        while let Ok(Some(_)) = self.wire.head().await {}
    }

    /// Closes the connection after this request.
    pub fn close(mut self) -> Call {
        self.keep = false;
        self
    }
}

impl Origin {
    /// Starts a server on a free port of 127.0.0.1 that answers by `handler`.
    pub async fn start<F>(handler: impl Fn(Call) -> F + Send + Sync + 'static) -> Origin
    where
        F: Future<Output = Call> + Send + 'static,
    {
        Origin::at("127.0.0.1:0", handler).await
    }

    /// Starts a server that answers a request for each permit that it gets.
    pub async fn held() -> (Origin, Arc<Semaphore>) {
        let permits = Arc::new(Semaphore::new(0));
        let taken = Arc::clone(&permits);
        let origin = Origin::start(move |mut call: Call| {
            let permits = Arc::clone(&taken);
            async move {
                permits.acquire().await.unwrap().forget();
                call.reply(200, "", "done").await;
                call
            }
        })
        .await;
        (origin, permits)
    }

    /// Starts a server that answers everything with 200 and this text.
    pub async fn saying(text: &'static str) -> Origin {
        Origin::start(move |mut call| async move {
            call.reply(200, "Content-Type: text/plain\r\n", text).await;
            call
        })
        .await
    }

    /// Starts a server on a TCP address.
    pub async fn at<F>(address: &str, handler: impl Fn(Call) -> F + Send + Sync + 'static) -> Origin
    where
        F: Future<Output = Call> + Send + 'static,
    {
        let handler = Arc::new(handler);
        Origin::raw(address, move |stream, _, log| {
            serve(Box::new(stream), log, Arc::clone(&handler))
        })
        .await
    }

    /// Starts a server that resets each of its connections where others close theirs.
    pub async fn resetting<F>(handler: impl Fn(Call) -> F + Send + Sync + 'static) -> Origin
    where
        F: Future<Output = Call> + Send + 'static,
    {
        let handler = Arc::new(handler);
        Origin::raw("127.0.0.1:0", move |stream, _, log| {
            stream.set_zero_linger().unwrap();
            serve(Box::new(stream), log, Arc::clone(&handler))
        })
        .await
    }

    /// Starts a server inside TLS.
    pub async fn tls<F>(
        acceptor: TlsAcceptor,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Origin
    where
        F: Future<Output = Call> + Send + 'static,
    {
        let handler = Arc::new(handler);
        Origin::raw("127.0.0.1:0", move |stream, _, log| {
            let (acceptor, handler) = (acceptor.clone(), Arc::clone(&handler));
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(Box::new(stream), log, handler).await;
                }
            }
        })
        .await
    }

    /// Starts a server on a Unix socket.
    pub fn unix<F>(path: &Path, handler: impl Fn(Call) -> F + Send + Sync + 'static) -> Origin
    where
        F: Future<Output = Call> + Send + 'static,
    {
        let listener = UnixListener::bind(path).unwrap();
        let (log, handler) = (Log::default(), Arc::new(handler));
        let noted = log.clone();
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                noted.connection();
                let handler = Arc::clone(&handler);
                connections.spawn(serve(Box::new(stream), noted.clone(), handler));
            }
        });
        Origin { address: format!("unix:{}", path.display()), log, accepting }
    }

    /// Starts a server that does with each connection, whose number it is told, as it likes.
    pub async fn connections<F>(
        handler: impl Fn(TcpStream, usize) -> F + Send + Sync + 'static,
    ) -> Origin
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Origin::raw("127.0.0.1:0", move |stream, connection, _| handler(stream, connection)).await
    }

    async fn raw<F>(
        address: &str,
        handler: impl Fn(TcpStream, usize, Log) -> F + Send + 'static,
    ) -> Origin
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let log = Log::default();
        let noted = log.clone();
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                connections.spawn(handler(stream, noted.connection(), noted.clone()));
            }
        });
        Origin { address: address.to_string(), log, accepting }
    }

    /// Where it listens, as a configuration writes it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its port; fails the test where it has none.
    pub fn port(&self) -> u16 {
        self.address.parse::<SocketAddr>().expect("this origin listens on TCP").port()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Seen> {
        self.log.0.lock().unwrap().requests.clone()
    }

    /// The last request; fails the test where there was none.
    #[track_caller]
    pub fn last(&self) -> Seen {
        self.requests().pop().expect("the origin saw a request")
    }

    /// How many connections there were so far.
    pub fn connections_made(&self) -> usize {
        self.log.0.lock().unwrap().connections
    }

    /// Waits until so many requests were seen, and gives the last of them.
    pub async fn request(&self, number: usize) -> Seen {
        eventually("a request at the origin", async || self.requests().into_iter().nth(number - 1))
            .await
    }

    /// Stops listening and cuts every connection.
    pub async fn stop(mut self) {
        self.accepting.abort();
        let _ = within("the origin's end", &mut self.accepting).await;
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve<H, F>(stream: Box<dyn Stream>, log: Log, handler: Arc<H>)
where
    H: Fn(Call) -> F,
    F: Future<Output = Call>,
{
    let mut wire = Wire::new(stream);
    while let Ok(Some(head)) = wire.head().await {
        let mut words = head.start.split(' ').map(str::to_owned);
        let method = words.next().unwrap_or_default();
        let target = words.next().unwrap_or_default();
        let framing = head.framing(true, false);
        let seen = Seen { method, target, head, body: Vec::new() };
        let number = log.request(seen.clone());
        let call = Call { seen, wire, framing, log: log.clone(), number, keep: true };
        let mut call = handler(call).await;
        if !call.keep {
            return;
        }
        // What the handler left of the body would be taken for the next request.
        call.body().await;
        wire = call.wire;
    }
}
