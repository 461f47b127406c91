//! HTTP/2: a client, and an origin that speaks it in plain text.

use super::wait::within;
use super::wire::Stream;
use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request, Response};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// One HTTP/2 connection of a client.
pub struct H2Client {
    sender: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

/// A response over HTTP/2.
#[derive(Debug)]
pub struct H2Response {
    /// Its status.
    pub status: u16,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
    /// Its trailers, if it had any.
    pub trailers: Option<HeaderMap>,
}

impl H2Client {
    /// Speaks HTTP/2 with prior knowledge over a connection.
    pub async fn over(stream: impl Stream + 'static) -> H2Client {
        let handshake = within("the HTTP/2 preface", h2::client::handshake(stream));
        let (sender, connection) = handshake.await.unwrap();
        let driver = tokio::spawn(async move { drop(connection.await) });
        H2Client { sender, driver }
    }

    /// Asks for a target.
    pub async fn get(&self, target: &str) -> H2Response {
        let uri = format!("http://gateway.test{target}");
        self.request(Request::get(uri).body(()).unwrap(), "").await.expect("a response")
    }

    /// Sends a request with a body.
    pub async fn request(
        &self,
        request: Request<()>,
        body: impl Into<Bytes>,
    ) -> Result<H2Response, h2::Error> {
        let body = body.into();
        let mut sender = within("room for a stream", self.sender.clone().ready()).await?;
        let (response, mut sending) = sender.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            sending.send_data(body, true)?;
        }
        H2Client::read(response).await
    }

    /// Begins a request whose body is sent by the caller.
    pub async fn begin(&self, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
        let mut sender = within("room for a stream", self.sender.clone().ready()).await.unwrap();
        sender.send_request(request, false).unwrap()
    }

    /// Reads a response.
    pub async fn read(response: ResponseFuture) -> Result<H2Response, h2::Error> {
        let (head, mut incoming) = within("a response head", response).await?.into_parts();
        let mut body = Vec::new();
        while let Some(part) = within("a part of the body", incoming.data()).await {
            let part = part?;
            incoming.flow_control().release_capacity(part.len())?;
            body.extend_from_slice(&part);
        }
        let trailers = within("the end of the response", incoming.trailers()).await?;
        Ok(H2Response { status: head.status.as_u16(), headers: head.headers, body, trailers })
    }

    /// Waits until the other side has closed the connection.
    pub async fn closed(self) {
        within("the end of the connection", self.driver).await.unwrap();
    }
}

/// An origin that speaks HTTP/2 in plain text: it answers 200 with `over h2`, the request's body
/// and the trailer `x-checksum: 42`.
pub struct H2Origin {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request<()>>>>,
    accepting: JoinHandle<()>,
}

impl H2Origin {
    /// Starts it on a free port of 127.0.0.1.
    pub async fn start() -> H2Origin {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&requests);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                connections.spawn(async move {
                    let mut connection = h2::server::handshake(stream).await?;
                    while let Some(call) = connection.accept().await {
                        let (request, mut answer) = call?;
                        let noted = Arc::clone(&noted);
                        tokio::spawn(async move {
                            let (head, mut incoming) = request.into_parts();
                            noted.lock().unwrap().push(Request::from_parts(head, ()));
                            let mut body = b"over h2".to_vec();
                            while let Some(part) = incoming.data().await {
                                let part = part?;
                                incoming.flow_control().release_capacity(part.len())?;
                                body.extend_from_slice(&part);
                            }
                            let head = Response::builder().header("trailer", "x-checksum");
                            let mut sending =
                                answer.send_response(head.body(()).unwrap(), false)?;
                            sending.send_data(body.into(), false)?;
                            let mut trailers = HeaderMap::new();
                            trailers.insert("x-checksum", "42".parse().unwrap());
                            sending.send_trailers(trailers)
                        });
                    }
                    Ok::<(), h2::Error>(())
                });
            }
        });
        H2Origin { address, requests, accepting }
    }

    /// The heads of all requests so far.
    pub fn requests(&self) -> Vec<Request<()>> {
        self.requests.lock().unwrap().clone()
    }
}

impl fmt::Display for H2Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Drop for H2Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
