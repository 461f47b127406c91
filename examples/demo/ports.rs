//! The ports of the demo. They are fixed, so that what is printed can be typed again tomorrow; if
//! one is taken, `DEMO_PORT_SHIFT` moves them all.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;

/// A port that `conf/demo.yaml` names, and who listens there.
#[derive(Debug, Clone, Copy)]
pub struct Port {
    number: u16,
    owner: &'static str,
}

impl Port {
    pub const GATEWAY: Port = Port { number: 8080, owner: "the gateway" };
    pub const ADMIN: Port = Port { number: 9000, owner: "the gateway's admin listener" };
    pub const USERS: Port = Port { number: 7101, owner: "the users service" };
    pub const ORDERS: Port = Port { number: 7102, owner: "the orders service" };
    pub const PRODUCTS: Port = Port { number: 7103, owner: "the products service" };
    pub const PRODUCTS_TOO: Port = Port { number: 7104, owner: "the products service's second" };
    /// Nobody listens there, and that is the point.
    pub const REVIEWS: Port = Port { number: 7109, owner: "the reviews service, which is down" };

    const ALL: [Port; 7] = [
        Port::GATEWAY,
        Port::ADMIN,
        Port::USERS,
        Port::ORDERS,
        Port::PRODUCTS,
        Port::PRODUCTS_TOO,
        Port::REVIEWS,
    ];
}

/// Where the demo's ports are in this run.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    shift: u16,
}

impl Ports {
    /// Reads `DEMO_PORT_SHIFT`, by which every port is moved up; by nothing where it is not set.
    pub fn from_environment() -> Result<Self, String> {
        let Ok(typed) = std::env::var("DEMO_PORT_SHIFT") else {
            return Ok(Ports { shift: 0 });
        };
        let largest = u16::MAX - Port::ALL.iter().map(|port| port.number).max().unwrap_or(0);
        match typed.parse() {
            Ok(shift) if shift <= largest => Ok(Ports { shift }),
            _ => Err(format!("DEMO_PORT_SHIFT={typed} is no number from 0 to {largest}")),
        }
    }

    /// Where a port is in this run.
    pub fn address(&self, port: Port) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port.number + self.shift).into()
    }

    /// Says which ports somebody else has, all at once.
    ///
    /// The gateway shares its port between its threads (`SO_REUSEPORT`), and so would share it with
    /// a gateway that was left running; a listener that does not share finds out.
    pub fn check_free(&self) -> Result<(), String> {
        let taken = Port::ALL.iter().filter(|port| {
            let bound = std::net::TcpListener::bind(self.address(**port));
            bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
        });
        let taken: Vec<&Port> = taken.collect();
        if taken.is_empty() {
            return Ok(());
        }
        let mut message = String::from("these ports of the demo are in use:\n\n");
        for port in &taken {
            let address = self.address(**port);
            let _ = writeln!(message, "  {address}  wanted by {}", port.owner);
        }
        let first = self.address(*taken[0]).port();
        let _ = write!(
            message,
            "\nSee who has one:       ss -ltnp 'sport = :{first}'\n\
             Or move the whole demo: DEMO_PORT_SHIFT={} make demo",
            self.shift + 1000
        );
        Err(message)
    }

    /// Listens on a port.
    pub async fn bind(&self, port: Port) -> Result<TcpListener, String> {
        let address = self.address(port);
        let bound = TcpListener::bind(address).await;
        bound.map_err(|error| format!("{} cannot listen on {address}: {error}", port.owner))
    }

    /// The configuration with its ports moved; none where they stay.
    pub fn moved(&self, yaml: &str) -> Option<String> {
        (self.shift != 0).then(|| {
            Port::ALL.iter().fold(yaml.to_owned(), |yaml, port| {
                let from = format!("127.0.0.1:{}", port.number);
                yaml.replace(&from, &self.address(*port).to_string())
            })
        })
    }
}
