//! The stream of one client connection, as Pingora reads and writes it.
//!
//! It adds what Pingora's own streams lack: it keeps the limits of the connection's phase (a
//! total time for a head, for idleness, for a request), tells HTTP/2's preface from an HTTP/1
//! request without waiting for bytes that may never come, and sends the head and the first part
//! of an answer in one packet.

use super::preface::{PREFACE, Spoken, Told, tell};
use crate::exchange::Connection;
use async_trait::async_trait;
use pingora::http::ResponseHeader;
use pingora::protocols::l4::socket::SocketAddr as PeerAddress;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use std::fmt::Debug;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

/// How much is gathered before it is written where a flush is sure to follow: a small chunk with
/// what frames it, or some frames of HTTP/2.
const GATHERED: usize = 8 * 1024;

/// What becomes of the next write. Pingora flushes after each chunk, but a body of known length
/// only at its end, so there a part must not wait for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It is gathered: its flush follows.
    Gathered,
    /// It takes the head that was gathered with it.
    WithHead,
    /// It goes at once, being a part of a body of known length.
    Through,
}

/// What is below: TCP, or TLS over it.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + Sync + Debug + 'static {
    /// The socket's descriptor.
    fn descriptor(&self) -> RawFd;

    /// What was agreed on by TLS, if it is TLS.
    fn agreed(&self) -> Option<(SslDigest, Option<ALPN>)>;
}

impl Transport for TcpStream {
    fn descriptor(&self) -> RawFd {
        self.as_raw_fd()
    }

    fn agreed(&self) -> Option<(SslDigest, Option<ALPN>)> {
        None
    }
}

impl Transport for TlsStream<TcpStream> {
    fn descriptor(&self) -> RawFd {
        self.get_ref().0.as_raw_fd()
    }

    fn agreed(&self) -> Option<(SslDigest, Option<ALPN>)> {
        let (_, session) = self.get_ref();
        let cipher = session
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or_default();
        let version =
            session.protocol_version().and_then(|version| version.as_str()).unwrap_or_default();
        let alpn = match session.alpn_protocol() {
            Some(b"h2") => Some(ALPN::H2),
            Some(b"http/1.1") => Some(ALPN::H1),
            _ => None,
        };
        Some((SslDigest::new(cipher, version, None, None, Vec::new()), alpn))
    }
}

/// The stream of one client connection.
#[derive(Debug)]
pub struct Client<S: Transport> {
    transport: S,
    connection: Arc<Connection>,
    spoken: Spoken,
    tls: Option<Arc<SslDigest>>,
    alpn: Option<ALPN>,
    socket: Arc<SocketDigest>,
    /// Carries the connection to the hooks: of what a digest may hold, this alone is free for any
    /// type, on plain connections too.
    hooks: Arc<ProxyDigest>,
    /// What was read to tell the protocol, and not yet given to Pingora.
    replay: Vec<u8>,
    /// What is to be written; gives its memory back when it has been.
    gathered: Vec<u8>,
    next: Next,
    /// Fires at a limit, or before one that has moved since: then it is set anew.
    alarm: Pin<Box<Sleep>>,
    is_set: bool,
}

impl<S: Transport> Client<S> {
    /// A connection that was just accepted, and shaken hands with.
    pub fn new(transport: S, connection: Arc<Connection>, spoken: Spoken) -> Self {
        let socket = SocketDigest::from_raw_fd(transport.descriptor());
        drop(socket.peer_addr.set(Some(PeerAddress::Inet(connection.peer))));
        let head = ResponseHeader::build(200, None).expect("200 is a status");
        let user_data: Box<dyn std::any::Any + Send + Sync> = Box::new(Arc::clone(&connection));
        let (tls, alpn) = transport.agreed().unzip();
        let alpn = alpn.flatten();
        if alpn == Some(ALPN::H2) {
            connection.set_multiplexed();
        }
        Client {
            transport,
            connection,
            spoken,
            tls: tls.map(Arc::new),
            alpn,
            socket: Arc::new(socket),
            hooks: Arc::new(ProxyDigest::new(Box::new(head), Some(user_data))),
            replay: Vec::new(),
            gathered: Vec::new(),
            next: Next::Gathered,
            alarm: Box::pin(tokio::time::sleep(Duration::ZERO)),
            is_set: false,
        }
    }

    /// The connection that it is the stream of.
    pub fn connection(&self) -> Arc<Connection> {
        Arc::clone(&self.connection)
    }

    /// Waits for bytes, but not beyond the limit of the connection's phase.
    fn poll_transport(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.transport).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                if buf.filled().len() > before {
                    self.connection.bytes_came();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                // Pingora listens to the client while it waits for the service: what there is of
                // the answer must not wait with it. A failure is for the next write to tell.
                if !self.gathered.is_empty() {
                    drop(self.poll_gathered(cx, &[]));
                }
                self.poll_limit(cx).map(Err)
            }
            failed => failed,
        }
    }

    /// Ready when the limit is reached. The alarm is set once and left to ring too early rather
    /// than moved with each request: moving it would cost every request a turn of the timer
    /// wheel, ringing costs a connection one now and then.
    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let Some(limit) = self.connection.limit() else {
                return Poll::Pending;
            };
            if !self.is_set || self.alarm.deadline().into_std() > limit {
                self.alarm.as_mut().reset(limit.into());
                self.is_set = true;
            }
            ready!(self.alarm.as_mut().poll(cx));
            self.is_set = false;
            let now = Instant::now();
            if self.connection.limit().is_some_and(|limit| now >= limit) {
                self.connection.expire(now);
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Reads until the first bytes tell the protocol.
    async fn told(&mut self) -> io::Result<Told> {
        loop {
            let told = tell(&self.replay);
            if told != Told::Nothing {
                return Ok(told);
            }
            let mut bytes = [0; PREFACE.len()];
            let mut buf = ReadBuf::new(&mut bytes[self.replay.len()..]);
            poll_fn(|cx| self.poll_transport(cx, &mut buf)).await?;
            if buf.filled().is_empty() {
                return Ok(Told::Http1);
            }
            self.replay.extend_from_slice(buf.filled());
        }
    }

    /// Writes what was gathered, and `more` in the same packets where they have room for it; how
    /// much of `more` was written.
    fn poll_gathered(&mut self, cx: &mut Context<'_>, more: &[u8]) -> Poll<io::Result<usize>> {
        while !self.gathered.is_empty() {
            let transport = Pin::new(&mut self.transport);
            // For one part alone the kernel is quicker with a plain write.
            let written = ready!(match more {
                [] => transport.poll_write(cx, &self.gathered),
                more => {
                    let parts = [IoSlice::new(&self.gathered), IoSlice::new(more)];
                    transport.poll_write_vectored(cx, &parts)
                }
            })?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if written >= self.gathered.len() {
                let of_more = written - self.gathered.len();
                self.gathered = Vec::new();
                return Poll::Ready(Ok(of_more));
            }
            self.gathered.drain(..written);
        }
        Poll::Ready(Ok(0))
    }
}

impl<S: Transport> AsyncRead for Client<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.replay.is_empty() {
            return self.poll_transport(cx, buf);
        }
        let length = self.replay.len().min(buf.remaining());
        buf.put_slice(&self.replay[..length]);
        self.replay.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl<S: Transport> AsyncWrite for Client<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.connection.bytes_go();
        if this.next == Next::Gathered && this.gathered.len() + buf.len() <= GATHERED {
            if this.gathered.is_empty() {
                this.gathered.reserve(GATHERED);
                if buf.starts_with(b"HTTP/1.") {
                    this.next = Next::WithHead;
                }
            }
            this.gathered.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        if this.next == Next::WithHead {
            this.next = Next::Through;
        }
        match ready!(this.poll_gathered(cx, buf))? {
            0 => Pin::new(&mut this.transport).poll_write(cx, buf),
            written => Poll::Ready(Ok(written)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_gathered(cx, &[]))?;
        self.next = Next::Gathered;
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_gathered(cx, &[]))?;
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

/// Pingora drops the stream of an answer that breaks off; what was gathered of it goes before the
/// end, as far as the socket takes it at once.
impl<S: Transport> Drop for Client<S> {
    fn drop(&mut self) {
        if !self.gathered.is_empty() {
            drop(self.poll_gathered(&mut Context::from_waker(Waker::noop()), &[]));
        }
    }
}

#[async_trait]
impl<S: Transport> Peek for Client<S> {
    /// Answers Pingora's question whether this is HTTP/2: false would mean that it is, since not
    /// every stream can be asked; zeros mean that it is not.
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        let told = match self.spoken {
            Spoken::Http1 => Told::Http1,
            Spoken::H2c => Told::H2c,
            Spoken::Either => self.told().await?,
        };
        if told == Told::H2c {
            self.connection.set_multiplexed();
            return Ok(false);
        }
        buf.fill(0);
        Ok(true)
    }
}

#[async_trait]
impl<S: Transport> Shutdown for Client<S> {
    async fn shutdown(&mut self) {
        // A client that has left needs no farewell.
        drop(AsyncWriteExt::shutdown(self).await);
    }
}

impl<S: Transport> UniqueID for Client<S> {
    fn id(&self) -> UniqueIDType {
        self.transport.descriptor()
    }
}

impl<S: Transport> Ssl for Client<S> {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.tls.clone()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.alpn.clone()
    }
}

impl<S: Transport> GetTimingDigest for Client<S> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl<S: Transport> GetProxyDigest for Client<S> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.hooks))
    }
}

impl<S: Transport> GetSocketDigest for Client<S> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.socket))
    }
}
