//! A client that sends exactly what a test says.

use super::wait::within;
use super::wire::{Framing, Head, Stream, Wire};
use bytes::Bytes;
use std::net::SocketAddr;
use tokio::net::{TcpSocket, TcpStream};

/// One connection of a client.
pub struct Client {
    wire: Wire,
    framing: Framing,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: Vec<u8>,
}

impl Response {
    /// The one value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        let parsed = serde_json::from_slice(&self.body);
        parsed
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// Fails the test unless this is a problem document with this status, and gives it.
    #[track_caller]
    pub fn problem(&self, status: u16) -> serde_json::Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.get("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string(), "{problem}");
        assert!(problem["detail"].is_string(), "{problem}");
        assert_eq!(problem["requestId"].as_str(), self.get("x-request-id"), "{problem}");
        problem
    }
}

impl Client {
    /// Connects over TCP.
    pub async fn connect(address: SocketAddr) -> Client {
        let stream = within("connecting", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client::over(stream)
    }

    /// Connects over TCP, from an address of one's own.
    pub async fn connect_from(from: [u8; 4], address: SocketAddr) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        Client::over(within("connecting", socket.connect(address)).await.unwrap())
    }

    /// Speaks over a connection that there is already.
    pub fn over(stream: impl Stream + 'static) -> Client {
        Client { wire: Wire::new(Box::new(stream)), framing: Framing::Length(0) }
    }

    /// Sends exactly these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within("sending", self.wire.send(bytes.as_ref())).await.unwrap();
    }

    /// Sends these bytes unless the other side has closed the connection.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        within("sending", self.wire.send(bytes.as_ref())).await.is_ok()
    }

    /// Asks for a target and reads the response; the connection stays open.
    pub async fn get(&mut self, target: &str) -> Response {
        self.request(&format!("GET {target} HTTP/1.1\r\nHost: gateway.test\r\n\r\n")).await
    }

    /// Sends a request and reads the response; the connection stays open.
    pub async fn request(&mut self, request: &str) -> Response {
        self.send(request).await;
        match request.starts_with("HEAD ") {
            true => self.response_to_head().await,
            false => self.response().await,
        }
    }

    /// Reads a response, passing over interim ones.
    pub async fn response(&mut self) -> Response {
        let response = self.final_head().await;
        self.with_body(response).await
    }

    /// Reads a response to a `HEAD` request, passing over interim ones.
    pub async fn response_to_head(&mut self) -> Response {
        let response = self.final_head().await;
        self.framing = Framing::Length(0);
        response
    }

    /// Reads the next head, interim or not. Its body is read by [`Client::part`].
    pub async fn head(&mut self) -> Response {
        let head = within("a response head", self.wire.head()).await.unwrap();
        let head = head.expect("the connection ended where a response should have begun");
        let status = head.start.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status in {:?}", head.start));
        let bodiless = matches!(status, 100..=199 | 204 | 304);
        self.framing = head.framing(false, bodiless);
        Response { status, head, body: Vec::new() }
    }

    /// Reads the next part of the body as soon as there is any; `None` at its end, and an error
    /// where the connection ended first.
    pub async fn part(&mut self) -> std::io::Result<Option<Bytes>> {
        within("a part of the body", self.wire.part(&mut self.framing)).await
    }

    /// Waits until the other side closes the connection, and says how many heads came before.
    pub async fn closed(&mut self) -> usize {
        let mut heads = 0;
        loop {
            match within("the end of the connection", self.wire.head()).await {
                Ok(Some(head)) => {
                    heads += 1;
                    let mut framing = head.framing(false, false);
                    let rest = within("the end of the connection", self.wire.rest(&mut framing));
                    if rest.await.is_err() {
                        return heads;
                    }
                }
                // A reset, or an end inside a head, is an end as well.
                Ok(None) | Err(_) => return heads,
            }
        }
    }

    /// Gives the connection to who goes on with it.
    pub fn into_inner(self) -> Box<dyn Stream> {
        self.wire.into_inner()
    }

    async fn final_head(&mut self) -> Response {
        loop {
            let response = self.head().await;
            if response.status == 101 || response.status >= 200 {
                return response;
            }
        }
    }

    async fn with_body(&mut self, mut response: Response) -> Response {
        let body = within("a response body", self.wire.rest(&mut self.framing)).await;
        response.body = body.expect("a whole body");
        response
    }
}
