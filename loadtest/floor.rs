//! The floor: a Pingora proxy with nothing on it. What the gateway costs more than this is ours.
//!
//! It is what a careful user of Pingora would write to forward everything to one upstream:
//! connections kept on both sides, the peer prepared once, no modules, no log, the gateway's
//! allocator and build. Its door, the way in which it accepts connections, is a choice, so that
//! the doors can be compared.

use async_trait::async_trait;
use clap::{Parser, ValueEnum};
use pingora::apps::ServerApp;
use pingora::listeners::TcpSocketOptions;
use pingora::modules::http::HttpModules;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType, l4,
};
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{Server, ShutdownWatch};
use pingora::services::listening::Service;
use pingora::upstreams::peer::HttpPeer;
use pingora_proxy::{HttpProxy, ProxyHttp, Session, http_proxy};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 65_535;
/// How many idle connections a thread keeps to the upstream: more than any run has open.
const IDLE_TO_UPSTREAM: usize = 1024;

/// A Pingora proxy with nothing on it.
#[derive(Clone, Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where to forward to.
    #[arg(long, value_name = "ADDRESS")]
    upstream: SocketAddr,
    /// How many threads serve, each with a socket of its own.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How connections are accepted.
    #[arg(long, value_enum, default_value_t = Door::Loop)]
    door: Door,
    /// What the loop door gathers of an answer before it writes; 0 writes each part at once.
    /// Pingora's services gather 1,460 bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 8192)]
    write_buffer: usize,
}

/// A way to accept connections.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Door {
    /// A Pingora service of one thread per thread.
    Services,
    /// An accept loop of our own on each thread.
    Loop,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    exit_on_signals()?;
    match arguments.door {
        Door::Services => serve_by_services(&arguments),
        Door::Loop => serve_by_loops(&arguments),
    }
}

/// Nothing here is worth a drain, so either signal ends the process at once.
fn exit_on_signals() -> io::Result<()> {
    let runtime = runtime()?;
    let (mut terminate, mut interrupt) = {
        let _entered = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        std::process::exit(0);
    });
    Ok(())
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Forwards everything to one peer.
struct Floor {
    peer: HttpPeer,
}

#[async_trait]
impl ProxyHttp for Floor {
    type CTX = ();

    fn new_ctx(&self) {}

    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }
}

/// One thread's proxy: none is shared, as none of the gateway's is.
fn proxy(conf: &Arc<ServerConf>, upstream: SocketAddr) -> HttpProxy<Floor> {
    http_proxy(conf, Floor { peer: HttpPeer::new(upstream, false, String::new()) })
}

fn conf() -> Arc<ServerConf> {
    Arc::new(ServerConf {
        threads: 1,
        work_stealing: false,
        upstream_keepalive_pool_size: IDLE_TO_UPSTREAM,
        ..ServerConf::default()
    })
}

fn serve_by_services(arguments: &Arguments) -> io::Result<()> {
    let conf = conf();
    let own = ServerConf { threads: 1, work_stealing: false, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(Opt::default(), own);
    server.bootstrap();
    for number in 0..arguments.threads {
        let mut service = Service::new(format!("floor-{number}"), proxy(&conf, arguments.upstream));
        service.threads = Some(1);
        let mut options = TcpSocketOptions::default();
        options.so_reuseport = Some(true);
        service.add_tcp_with_settings(&key(arguments.listen, number), options);
        server.add_service(service);
    }
    server.run_forever()
}

/// Pingora keeps sockets under their addresses' spelling, and services that spell an address alike
/// share one. Zeros before the port make a spelling for each.
fn key(address: SocketAddr, number: usize) -> String {
    let port = format!("{:0>number$}{}", "", address.port());
    match address {
        SocketAddr::V4(address) => format!("{}:{port}", address.ip()),
        SocketAddr::V6(address) => format!("[{}]:{port}", address.ip()),
    }
}

fn serve_by_loops(arguments: &Arguments) -> io::Result<()> {
    let conf = conf();
    let threads: Vec<_> = (0..arguments.threads)
        .map(|_| {
            let arguments = arguments.clone();
            let proxy = Arc::new(proxy(&conf, arguments.upstream));
            thread::spawn(move || runtime()?.block_on(accept(&arguments, &proxy)))
        })
        .collect();
    threads.into_iter().try_for_each(|thread| thread.join().expect("a thread does not panic"))
}

async fn accept(arguments: &Arguments, proxy: &Arc<HttpProxy<Floor>>) -> io::Result<()> {
    let socket = match arguments.listen {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(arguments.listen)?;
    let listener = socket.listen(BACKLOG)?;
    let (_never, shutdown) = watch::channel(false);
    loop {
        let (stream, _) = listener.accept().await?;
        // Pingora's own door does so too.
        stream.set_nodelay(true)?;
        let stream: Stream = match arguments.write_buffer {
            0 => Box::new(l4::stream::Stream::from(stream)),
            bytes => Box::new(Gathering(BufWriter::with_capacity(bytes, stream))),
        };
        tokio::spawn(serve(Arc::clone(proxy), stream, shutdown.clone()));
    }
}

async fn serve(proxy: Arc<HttpProxy<Floor>>, stream: Stream, shutdown: ShutdownWatch) {
    let mut next = Some(stream);
    while let Some(stream) = next {
        next = proxy.process_new(stream, &shutdown).await;
    }
}

/// A stream that writes an answer's head and body together. Only Pingora itself can give its own
/// streams a buffer.
#[derive(Debug)]
struct Gathering(BufWriter<TcpStream>);

impl AsyncRead for Gathering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.0.get_mut()).poll_read(cx, buf)
    }
}

impl AsyncWrite for Gathering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Gathering {
    async fn shutdown(&mut self) {
        // The connection ends either way.
        drop(AsyncWriteExt::shutdown(&mut self.0).await);
    }
}

impl UniqueID for Gathering {
    fn id(&self) -> UniqueIDType {
        self.0.get_ref().as_raw_fd()
    }
}

impl Ssl for Gathering {}

impl Peek for Gathering {}

impl GetTimingDigest for Gathering {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Gathering {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }

    fn set_proxy_digest(&mut self, _: ProxyDigest) {}
}

impl GetSocketDigest for Gathering {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}
