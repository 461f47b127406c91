//! Sockets that accept clients, and what becomes of a connection.

use super::Error;
use super::client::{Client, Transport};
use super::preface::Spoken;
use crate::exchange::{Connection, Phase};
use crate::overload::Guard;
use crate::proxy::Gateway;
use crate::snapshot::Door;
use crate::telemetry::metrics::{ListenerMetrics, Refused};
use pingora::apps::ServerApp;
use pingora_proxy::HttpProxy;
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

/// How many connections may wait to be accepted; the kernel's own limit may be lower.
const BACKLOG: i32 = 65_535;
/// How long accepting rests after an error that does not pass by itself, as a lack of descriptors.
const REST: Duration = Duration::from_millis(50);

/// A bound socket of one worker.
#[derive(Debug)]
pub struct OpenDoor {
    socket: std::net::TcpListener,
    listener: Arc<crate::exchange::Listener>,
    spoken: Spoken,
    tls: Option<Arc<ServerConfig>>,
    cap: Arc<Cap>,
}

/// What a worker's connections are served with.
#[derive(Clone)]
pub struct House {
    /// The proxy that serves them.
    pub proxy: Arc<HttpProxy<Gateway>>,
    /// Becomes true when no new requests are taken any more.
    pub draining: watch::Receiver<bool>,
    /// Held while a connection is open.
    pub open: mpsc::Sender<()>,
    /// What is counted of the listener.
    pub metrics: Arc<ListenerMetrics>,
    /// What says whether connections are accepted, where the gateway's overload is watched.
    pub overload: Option<Arc<Guard>>,
}

/// The connections of a listener, over all workers, and how many there may be.
#[derive(Debug)]
struct Cap {
    open: AtomicU32,
    most: u32,
}

/// Binds the sockets of all workers: for each worker, one for each door.
pub fn bind(doors: &[Door], workers: usize) -> Result<Vec<Vec<OpenDoor>>, Error> {
    let mut bound: Vec<Vec<OpenDoor>> = (0..workers).map(|_| Vec::new()).collect();
    for door in doors {
        let failed = |source| Error::Bind {
            what: format!("listener `{}`", door.listener.name),
            address: door.address,
            source,
        };
        // A second gateway would share the address unseen; a socket that shares with nobody
        // finds it out.
        drop(listen(door.address, false).map_err(failed)?);
        let most = door.max_connections.unwrap_or(u32::MAX);
        let cap = Arc::new(Cap { open: AtomicU32::new(0), most });
        for worker in &mut bound {
            worker.push(OpenDoor {
                socket: listen(door.address, true).map_err(failed)?,
                listener: Arc::clone(&door.listener),
                spoken: Spoken::of(door),
                tls: door.tls.clone(),
                cap: Arc::clone(&cap),
            });
        }
    }
    Ok(bound)
}

fn listen(address: SocketAddr, shared: bool) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl OpenDoor {
    /// The listener's name.
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.listener.name)
    }

    /// Accepts connections on this thread, until the house drains.
    pub fn accept_in(self, house: House) -> std::io::Result<()> {
        let OpenDoor { socket, listener, spoken, tls, cap } = self;
        let socket = TcpListener::from_std(socket)?;
        let tls = tls.map(TlsAcceptor::from);
        let entrance = Arc::new(Entrance { listener, spoken, tls, cap, house });
        tokio::spawn(entrance.accept(socket));
        Ok(())
    }
}

/// A door that is open: what each of its connections needs.
struct Entrance {
    listener: Arc<crate::exchange::Listener>,
    spoken: Spoken,
    tls: Option<TlsAcceptor>,
    cap: Arc<Cap>,
    house: House,
}

impl Entrance {
    async fn accept(self: Arc<Self>, socket: TcpListener) {
        let mut draining = self.house.draining.clone();
        let mut accepting = self.house.overload.as_ref().map(|overload| overload.accepting());
        loop {
            let accepted = tokio::select! {
                accepted = accept(&socket, accepting.as_mut()) => accepted,
                _ = draining.wait_for(|&draining| draining) => return,
            };
            match accepted {
                Ok((stream, peer)) => match Place::take(&self) {
                    Some(place) => drop(tokio::spawn(place.serve(stream, peer))),
                    None => self.house.metrics.refused(Refused::Limit),
                },
                // A client that left before it was accepted is no reason to rest.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    self.house.metrics.refused(Refused::Accept);
                    tracing::warn!(%error, listener = &*self.listener.name, "accepting rests");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

/// Accepts a connection, once connections are accepted; until then they wait in the backlog.
async fn accept(
    socket: &TcpListener,
    accepting: Option<&mut watch::Receiver<bool>>,
) -> std::io::Result<(TcpStream, SocketAddr)> {
    let Some(accepting) = accepting else { return socket.accept().await };
    loop {
        // The sender lives as long as the guard, which the house holds.
        drop(accepting.wait_for(|&accepting| accepting).await);
        tokio::select! {
            // Another thread's last connection pauses this one's accepting too.
            biased;
            _ = accepting.wait_for(|&accepting| !accepting) => {}
            accepted = socket.accept() => return accepted,
        }
    }
}

/// One of the connections that may be open; given back when it is dropped.
struct Place {
    entrance: Arc<Entrance>,
    _open: mpsc::Sender<()>,
}

impl Place {
    fn take(entrance: &Arc<Entrance>) -> Option<Place> {
        let Cap { open, most } = &*entrance.cap;
        if open.fetch_add(1, Relaxed) >= *most {
            open.fetch_sub(1, Relaxed);
            return None;
        }
        entrance.house.metrics.opened();
        if let Some(overload) = &entrance.house.overload {
            overload.opened();
        }
        Some(Place { entrance: Arc::clone(entrance), _open: entrance.house.open.clone() })
    }

    async fn serve(self, stream: TcpStream, peer: SocketAddr) {
        let Entrance { listener, tls, spoken, house, .. } = &*self.entrance;
        // An answer should not wait for the acknowledgement of the one before (RFC 896).
        drop(stream.set_nodelay(true));
        let accepted = Instant::now();
        let connection = |tls| Arc::new(Connection::new(Arc::clone(listener), peer, tls, accepted));
        let Some(acceptor) = tls else {
            let client = Client::new(stream, connection(false), *spoken);
            return house.serve(client).await;
        };
        let handshake = tokio::time::timeout(listener.timeouts.handshake, acceptor.accept(stream));
        match handshake.await {
            Ok(Ok(stream)) => {
                house.serve(Client::new(stream, connection(true), *spoken)).await;
            }
            Ok(Err(_)) => house.metrics.refused(Refused::Handshake),
            Err(_) => house.metrics.refused(Refused::HandshakeTimeout),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.entrance.cap.open.fetch_sub(1, Relaxed);
        self.entrance.house.metrics.closed();
        if let Some(overload) = &self.entrance.house.overload {
            overload.closed();
        }
    }
}

impl House {
    async fn serve<S: Transport>(&self, client: Client<S>) {
        let connection = client.connection();
        self.proxy.process_new(Box::new(client), &self.draining).await;
        // What ends before its head is complete never came to the hooks, so it is counted here.
        if connection.phase() == Phase::Head {
            if connection.timed_out() {
                self.metrics.refused(Refused::HeadTimeout);
            } else if connection.was_refused() {
                self.metrics.refused(Refused::MalformedHead);
            }
        }
    }
}
