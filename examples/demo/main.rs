//! What `make demo` runs: three small services, and the gateway of `conf/demo.yaml` before them.
//!
//! The services live in this process and the gateway is a child of it, the same program that one
//! would install. Ctrl-C ends both.

mod gateway;
mod orders;
mod ports;
mod products;
mod service;
mod tour;
mod users;

use gateway::Gateway;
use ports::{Port, Ports};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nerror: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let mut stop = Stop::new()?;
    let ports = Ports::from_environment()?;
    ports.check_free()?;

    let products = Arc::new(products::Products);
    tokio::spawn(service::serve(ports.bind(Port::USERS).await?, Arc::new(users::Users)));
    tokio::spawn(service::serve(ports.bind(Port::ORDERS).await?, Arc::new(orders::Orders::new())));
    tokio::spawn(service::serve(ports.bind(Port::PRODUCTS).await?, Arc::clone(&products)));
    tokio::spawn(service::serve(ports.bind(Port::PRODUCTS_TOO).await?, products));

    let mut gateway = Gateway::start(&ports)?;
    tokio::select! {
        ready = gateway.ready() => ready?,
        () = stop.asked() => return gateway.stop(&mut stop).await,
    }
    tour::print(&ports);
    tokio::select! {
        () = stop.asked() => gateway.stop(&mut stop).await,
        ended = gateway.ended() => Err(format!("the gateway has ended by itself: {ended}")),
    }
}

/// Whoever wants the demo to end: Ctrl-C, SIGTERM, or a terminal that is closed.
pub struct Stop([Signal; 3]);

impl Stop {
    fn new() -> Result<Self, String> {
        let on = |kind| signal(kind).map_err(|error| format!("signals cannot be heard: {error}"));
        Ok(Stop([
            on(SignalKind::interrupt())?,
            on(SignalKind::terminate())?,
            on(SignalKind::hangup())?,
        ]))
    }

    /// Waits until the demo is asked to end.
    pub async fn asked(&mut self) {
        let Stop([interrupt, terminate, hangup]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
