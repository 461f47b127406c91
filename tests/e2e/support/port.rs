//! Ports that no other test gets while this one needs them.

use std::net::SocketAddr;
use tokio::net::TcpSocket;

/// A port that is bound but not listened on: the system gives it to nobody who asks for any port,
/// and still lets the gateway, which names it, listen there. Until it does, connections to it are
/// refused.
///
/// Without it, two gateways of tests that run at once could be given one port, and both would get
/// it, since gateways share theirs between threads (`SO_REUSEPORT`).
#[derive(Debug)]
pub struct Port {
    /// The address with the port.
    pub address: SocketAddr,
    _bound: TcpSocket,
}

impl Port {
    /// Reserves a port of 127.0.0.1.
    pub fn reserve() -> Port {
        let bound = TcpSocket::new_v4().unwrap();
        bound.set_reuseaddr(true).unwrap();
        bound.set_reuseport(true).unwrap();
        bound.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Port { address: bound.local_addr().unwrap(), _bound: bound }
    }
}
