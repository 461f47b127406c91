//! An origin that speaks HTTP/2 in plain text and does with each stream as a test says: what gRPC
//! services do, and what no service should.

use super::wait::within;
use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response, request};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// An HTTP/2 server on a free port of 127.0.0.1; it ends with the value.
pub struct StreamOrigin {
    address: SocketAddr,
    noted: Arc<Mutex<Noted>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Noted {
    requests: Vec<Request<()>>,
    connections: usize,
}

/// One stream that an origin has to answer.
pub struct StreamCall {
    /// The request's head.
    pub head: request::Parts,
    /// How many streams the origin had before this one.
    pub number: usize,
    incoming: RecvStream,
    unread: BytesMut,
    answer: SendResponse<Bytes>,
}

impl StreamOrigin {
    /// Starts a server that answers by `handler`.
    pub async fn start<F>(handler: impl Fn(StreamCall) -> F + Send + Sync + 'static) -> StreamOrigin
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (noted, handler) = (Arc::new(Mutex::new(Noted::default())), Arc::new(handler));
        let notes = Arc::clone(&noted);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                notes.lock().unwrap().connections += 1;
                connections.spawn(serve(stream, Arc::clone(&notes), Arc::clone(&handler)));
            }
        });
        StreamOrigin { address, noted, accepting }
    }

    /// The heads of all requests so far.
    pub fn requests(&self) -> Vec<Request<()>> {
        self.noted.lock().unwrap().requests.clone()
    }

    /// How many connections there were so far.
    pub fn connections_made(&self) -> usize {
        self.noted.lock().unwrap().connections
    }
}

async fn serve<H, F>(stream: TcpStream, noted: Arc<Mutex<Noted>>, handler: Arc<H>)
where
    H: Fn(StreamCall) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut calls = JoinSet::new();
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, answer))) = connection.accept().await {
        let (head, incoming) = request.into_parts();
        let number = {
            let mut noted = noted.lock().unwrap();
            noted.requests.push(Request::from_parts(head.clone(), ()));
            noted.requests.len() - 1
        };
        let call = StreamCall { head, number, incoming, unread: BytesMut::new(), answer };
        calls.spawn(handler(call));
    }
}

impl StreamCall {
    /// Reads the next message of gRPC; `None` after the last.
    pub async fn message(&mut self) -> Option<Bytes> {
        message(&mut self.incoming, &mut self.unread).await
    }

    /// Begins an answer whose messages follow.
    pub fn begin(&mut self) -> SendStream<Bytes> {
        self.begin_with("content-type", "application/grpc")
    }

    /// Begins an answer with this field, whose body follows.
    pub fn begin_with(&mut self, name: &str, value: &str) -> SendStream<Bytes> {
        let head = Response::builder().header(name, value).body(()).unwrap();
        self.answer.send_response(head, false).expect("the stream is open")
    }

    /// Answers with a head alone that says how the call went, as a call does that fails at once.
    pub fn refuse(mut self, grpc_status: u8) {
        let head = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", u16::from(grpc_status));
        let _ = self.answer.send_response(head.body(()).unwrap(), true);
    }

    /// Reads one message, and answers with one, and that the call went so.
    pub async fn reply(mut self, text: &str, grpc_status: u8) {
        self.message().await;
        let mut sending = self.begin();
        let _ = sending.send_data(framed(text), false);
        let _ = sending.send_trailers(went(grpc_status));
    }

    /// Ends the stream without an answer.
    pub fn reset(mut self, reason: Reason) {
        self.answer.send_reset(reason);
    }
}

/// A message as gRPC frames it: not compressed, its length, itself.
pub fn framed(text: &str) -> Bytes {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.into()
}

/// Trailers that say how a call went.
pub fn went(grpc_status: u8) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", u16::from(grpc_status).into());
    trailers
}

/// Reads the next message of gRPC, which may come in parts; `None` after the last, or where the
/// stream breaks off.
pub async fn message(incoming: &mut RecvStream, unread: &mut BytesMut) -> Option<Bytes> {
    loop {
        if let Some(length) = unread.get(1..5) {
            let end = 5 + u32::from_be_bytes(length.try_into().unwrap()) as usize;
            if unread.len() >= end {
                return Some(unread.split_to(end).freeze().slice(5..));
            }
        }
        let part = within("a part of a message", incoming.data()).await?.ok()?;
        incoming.flow_control().release_capacity(part.len()).ok()?;
        unread.extend_from_slice(&part);
    }
}

impl fmt::Display for StreamOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Drop for StreamOrigin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
