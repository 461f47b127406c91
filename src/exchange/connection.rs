//! What the door knows of one client connection, and the limits of its present phase.
//!
//! The stream that reads the connection (`server/client.rs`) and the hooks that answer its
//! requests (`proxy.rs`) run on one thread, one after the other. They share this through an
//! `Arc` and tell each other by plain loads and stores, so that a request arms no timer.

use super::{ClientCertificate, PathRules};
use crate::lock::lock;
use crate::value::CidrSet;
use http::HeaderValue;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What one listener means to its connections.
#[derive(Debug)]
pub struct Listener {
    /// Its name, as metrics and logs call it.
    pub name: Arc<str>,
    /// The proxies in front of it whose word about the client is taken.
    pub trusted_proxies: CidrSet,
    /// What it does with paths.
    pub paths: PathRules,
    /// How long it waits for what.
    pub timeouts: Timeouts,
}

/// How long a listener waits for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For a whole request head, from its first byte (of a new connection: from its acceptance).
    pub head: Duration,
    /// For each next part of a request body, and for each part of an answer to be taken.
    pub body: Duration,
    /// For the next request on a connection.
    pub keep_alive: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(60),
            keep_alive: Duration::from_secs(75),
        }
    }
}

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The next request; nothing of it has come.
    Idle,
    /// The rest of a head.
    Head,
    /// A service, or the client's body.
    Busy,
}

/// No moment: a deadline that is not set.
const NEVER: u64 = u64::MAX;

/// One client connection.
#[derive(Debug)]
pub struct Connection {
    /// The listener that accepted it.
    pub listener: Arc<Listener>,
    /// The address at the other end.
    pub peer: SocketAddr,
    /// The same without the port, as the value of a field.
    pub address: HeaderValue,
    /// Whether it is inside TLS.
    pub tls: bool,
    /// The certificate that the client has proved to be its, where the listener asked for one and
    /// found it good.
    pub certificate: Option<Box<ClientCertificate>>,
    /// Whether the peer is a trusted proxy; decided once, since neither changes.
    pub trusted: bool,
    accepted: Instant,
    /// Microseconds since `accepted` at which the present phase began.
    since: AtomicU64,
    /// Microseconds since `accepted` at which the request must be answered.
    deadline: AtomicU64,
    /// Microseconds since `accepted` at which the gateway last wrote, or began to wait.
    waiting_since: AtomicU64,
    /// For how many microseconds the service may say nothing, where the connection keeps that.
    patience: AtomicU64,
    /// Microseconds since `accepted` at which the present attempt must have brought an answer.
    attempt: AtomicU64,
    /// Whether the present attempt's time is over.
    attempt_over: AtomicBool,
    /// How many requests it has brought.
    requests: AtomicU32,
    reading_head: AtomicBool,
    multiplexed: AtomicBool,
    in_flight: AtomicU32,
    timed_out: AtomicBool,
    refused: AtomicBool,
    forwarded: Mutex<Option<(Option<HeaderValue>, HeaderValue)>>,
}

impl Connection {
    /// A connection that was just accepted: it owes a head.
    pub fn new(listener: Arc<Listener>, peer: SocketAddr, tls: bool, now: Instant) -> Self {
        Connection {
            certificate: None,
            trusted: listener.trusted_proxies.contains(peer.ip()),
            address: HeaderValue::from_str(&peer.ip().to_canonical().to_string())
                .expect("an address is digits, letters, dots and colons"),
            listener,
            peer,
            tls,
            accepted: now,
            since: AtomicU64::new(0),
            deadline: AtomicU64::new(NEVER),
            waiting_since: AtomicU64::new(0),
            patience: AtomicU64::new(NEVER),
            attempt: AtomicU64::new(NEVER),
            attempt_over: AtomicBool::new(false),
            requests: AtomicU32::new(0),
            reading_head: AtomicBool::new(true),
            multiplexed: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            timed_out: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            forwarded: Mutex::new(None),
        }
    }

    /// The scheme that the client used.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Says that it speaks HTTP/2: bytes may then come without a head, and requests at once.
    pub fn set_multiplexed(&self) {
        self.multiplexed.store(true, Relaxed);
    }

    /// What its `Forwarded` says for a host: nearly every request of a connection names the same.
    pub fn forwarded(
        &self,
        host: Option<&HeaderValue>,
        make: impl FnOnce() -> HeaderValue,
    ) -> HeaderValue {
        let mut last = lock(&self.forwarded);
        match &*last {
            Some((of, value)) if of.as_ref() == host => value.clone(),
            _ => last.insert((host.cloned(), make())).1.clone(),
        }
    }

    /// Whether a limit of its was reached.
    pub fn timed_out(&self) -> bool {
        self.timed_out.load(Relaxed)
    }

    /// Says that the limit was reached. Where that is an attempt's and not the request's, it is no
    /// end of the connection: another attempt may follow.
    pub fn expire(&self, now: Instant) {
        let is_attempts = self.phase() == Phase::Busy && self.at(now) < self.deadline.load(Relaxed);
        if is_attempts {
            self.attempt_over.store(true, Relaxed);
            self.attempt.store(NEVER, Relaxed);
            self.patience.store(NEVER, Relaxed);
        } else {
            self.timed_out.store(true, Relaxed);
        }
    }

    /// Whether the present attempt's time is over, as the connection keeps it.
    pub fn is_attempt_over(&self) -> bool {
        self.attempt_over.load(Relaxed)
    }

    /// Begins an attempt: sets, or with `None` lifts, the moment by which it must have brought an
    /// answer. A multiplexed connection keeps none.
    pub fn begin_attempt(&self, limit: Option<Instant>) {
        if !self.multiplexed.load(Relaxed) {
            self.attempt_over.store(false, Relaxed);
            self.attempt.store(limit.map_or(NEVER, |limit| self.at(limit)), Relaxed);
        }
    }

    /// Says that the present attempt has brought an answer.
    pub fn attempt_answered(&self) {
        self.attempt.store(NEVER, Relaxed);
    }

    /// Whether the request in flight is the first that it has brought; each is on a multiplexed
    /// connection, whose requests come without waiting for each other.
    pub fn is_first_request(&self) -> bool {
        self.requests.load(Relaxed) <= 1 || self.multiplexed.load(Relaxed)
    }

    /// Whether a head of its could not be read, and was answered so.
    pub fn was_refused(&self) -> bool {
        self.refused.load(Relaxed)
    }

    /// Says that something is written to the client. Before a head is complete that can only be
    /// Pingora's word that it could not be read; HTTP/2 has settings to send.
    pub fn bytes_go(&self) {
        if self.phase() == Phase::Head && !self.multiplexed.load(Relaxed) {
            self.refused.store(true, Relaxed);
        }
        // What goes to the client came from the service, and a client that is slow to take it
        // does not make the service slow.
        if self.patience.load(Relaxed) != NEVER {
            self.waiting_since.store(self.at(Instant::now()), Relaxed);
        }
    }

    /// Says that bytes came: between requests, the first of a head.
    pub fn bytes_came(&self) {
        if self.in_flight.load(Relaxed) == 0
            && !self.reading_head.load(Relaxed)
            && !self.multiplexed.load(Relaxed)
        {
            self.reading_head.store(true, Relaxed);
            self.since.store(self.at(Instant::now()), Relaxed);
        }
    }

    /// Says that a head is complete; the guard says when its exchange is over.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.reading_head.store(false, Relaxed);
        self.requests.store(self.requests.load(Relaxed).saturating_add(1), Relaxed);
        self.in_flight.store(self.in_flight.load(Relaxed) + 1, Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Sets, or with `None` lifts, the moment by which the request in flight must be answered.
    ///
    /// A multiplexed connection has none: its streams are not read by this connection's reader.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        if !self.multiplexed.load(Relaxed) {
            let at = deadline.map_or(NEVER, |deadline| self.at(deadline));
            self.deadline.store(at, Relaxed);
        }
    }

    /// Sets, or with `None` lifts, how long the service may leave the request in flight without a
    /// word: Pingora's own read time cannot be changed while an attempt lasts, and also runs while
    /// it is the client who is silent. A multiplexed connection keeps none.
    pub fn set_patience(&self, patience: Option<Duration>) {
        if !self.multiplexed.load(Relaxed) {
            self.waiting_since.store(self.at(Instant::now()), Relaxed);
            let micros = patience.map_or(NEVER, |patience| patience.as_micros() as u64);
            self.patience.store(micros, Relaxed);
        }
    }

    /// What it is waiting for.
    pub fn phase(&self) -> Phase {
        if self.in_flight.load(Relaxed) > 0 {
            Phase::Busy
        } else if self.reading_head.load(Relaxed) {
            Phase::Head
        } else {
            Phase::Idle
        }
    }

    /// When the present phase must be over, if it must.
    pub fn limit(&self) -> Option<Instant> {
        let timeouts = &self.listener.timeouts;
        let micros = match self.phase() {
            Phase::Busy => {
                let waiting_since = self.waiting_since.load(Relaxed);
                let silent = waiting_since.saturating_add(self.patience.load(Relaxed));
                let attempt = self.attempt.load(Relaxed);
                return match self.deadline.load(Relaxed).min(silent).min(attempt) {
                    NEVER => None,
                    limit => self.accepted.checked_add(Duration::from_micros(limit)),
                };
            }
            Phase::Head => timeouts.head,
            Phase::Idle => timeouts.keep_alive,
        };
        let since = Duration::from_micros(self.since.load(Relaxed));
        self.accepted.checked_add(since)?.checked_add(micros)
    }

    fn at(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.accepted).as_micros() as u64
    }
}

/// One request in flight; dropped when its exchange is over, even by a panic.
#[derive(Debug)]
pub struct InFlight(Arc<Connection>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let connection = &self.0;
        let left = connection.in_flight.load(Relaxed) - 1;
        connection.in_flight.store(left, Relaxed);
        if left == 0 {
            connection.deadline.store(NEVER, Relaxed);
            connection.patience.store(NEVER, Relaxed);
            connection.attempt.store(NEVER, Relaxed);
            connection.attempt_over.store(false, Relaxed);
            connection.since.store(connection.at(Instant::now()), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(accepted: Instant) -> Arc<Connection> {
        let listener = Listener {
            name: "test".into(),
            trusted_proxies: CidrSet::default(),
            paths: PathRules::default(),
            timeouts: Timeouts::default(),
        };
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        Arc::new(Connection::new(Arc::new(listener), peer, false, accepted))
    }

    #[test]
    fn a_new_connection_owes_a_head() {
        let now = Instant::now();
        let connection = connection(now);
        assert_eq!(connection.phase(), Phase::Head);
        assert_eq!(connection.limit(), Some(now + Timeouts::default().head));
    }

    #[test]
    fn a_request_in_flight_has_no_limit_but_its_deadline() {
        let now = Instant::now();
        let connection = connection(now);
        let in_flight = connection.begin();
        assert_eq!(connection.limit(), None);
        connection.set_deadline(Some(now + Duration::from_secs(3)));
        assert_eq!(connection.limit(), Some(now + Duration::from_secs(3)));
        drop(in_flight);
        assert_eq!(connection.phase(), Phase::Idle);
    }

    #[test]
    fn the_services_silence_ends_with_each_write_to_the_client() {
        let accepted = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        let connection = connection(accepted);
        let in_flight = connection.begin();
        let patience = Duration::from_secs(3);
        connection.set_patience(Some(patience));
        let first = connection.limit().unwrap();
        assert!(first >= accepted + Duration::from_secs(60) + patience);
        connection.bytes_go();
        assert!(connection.limit().unwrap() >= first);
        connection.set_deadline(Some(accepted + Duration::from_secs(61)));
        assert_eq!(connection.limit(), Some(accepted + Duration::from_secs(61)));
        connection.set_deadline(None);
        connection.set_patience(None);
        assert_eq!(connection.limit(), None);
        drop(in_flight);
    }

    #[test]
    fn an_attempts_time_ends_the_attempt_and_the_requests_time_the_connection() {
        let now = Instant::now();
        let connection = connection(now);
        let in_flight = connection.begin();
        let (attempt, request) = (now + Duration::from_secs(1), now + Duration::from_secs(3));
        connection.set_deadline(Some(request));
        connection.begin_attempt(Some(attempt));
        assert_eq!(connection.limit(), Some(attempt));
        connection.expire(attempt);
        assert!(connection.is_attempt_over() && !connection.timed_out());
        connection.begin_attempt(None);
        assert!(!connection.is_attempt_over());
        assert_eq!(connection.limit(), Some(request));
        connection.expire(request);
        assert!(connection.timed_out());
        drop(in_flight);
    }

    #[test]
    fn the_first_byte_of_the_next_head_ends_idleness() {
        let connection = connection(Instant::now());
        drop(connection.begin());
        assert_eq!(connection.phase(), Phase::Idle);
        connection.bytes_came();
        assert_eq!(connection.phase(), Phase::Head);
    }

    #[test]
    fn a_multiplexed_connection_stays_idle_between_requests_whatever_it_reads() {
        let connection = connection(Instant::now());
        connection.set_multiplexed();
        drop(connection.begin());
        connection.bytes_came();
        assert_eq!(connection.phase(), Phase::Idle);
    }
}
