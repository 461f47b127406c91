//! The end of an attempt that nothing else would end.
//!
//! Pingora has a time for each read, so that a service which sends its head byte by byte may take
//! for ever. The stream of an HTTP/1.1 client keeps the time of the attempt that it waits for
//! (`exchange/connection.rs`); that of an HTTP/2 client carries many requests, and cannot be woken
//! for one of them. There a task watches: it shuts the connection to the service when the time is
//! over. HTTP/2 services need none, since Pingora waits for their head as a whole.

use super::attempt::backend;
use super::exchange::Exchange;
use crate::upstream::Protocol;
use nix::sys::socket::{Shutdown, shutdown};
use pingora_proxy::Session;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;
use tokio::task::AbortHandle;

/// Watches an attempt until it is dropped, which it must be before its connection is another's.
#[derive(Debug)]
pub struct Watch {
    task: AbortHandle,
    is_over: Arc<AtomicBool>,
}

impl Watch {
    /// Whether it has ended the attempt.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Begins to watch an attempt that has a connection, if it needs that.
pub fn begin(session: &mut Session, exchange: &mut Exchange, connection: RawFd) {
    let backend = backend(&exchange.view, exchange.route, &exchange.attempts);
    if !session.is_http2() || backend.service.plan.blueprint.protocol != Protocol::Http1 {
        return;
    }
    exchange.attempts.held.connection_to_watch = Some(connection);
    // Where the client still has to send, it is not the service that takes its time.
    let began = exchange.attempts.began.filter(|_| session.is_body_done());
    arm(exchange, connection, began);
}

/// The request is whole: it is the service's turn.
pub fn uploaded(exchange: &mut Exchange) {
    if let Some(connection) = exchange.attempts.held.connection_to_watch {
        arm(exchange, connection, Some(Instant::now()));
    }
}

/// Watches the time of the exchange, and from a moment on that of the try.
fn arm(exchange: &mut Exchange, connection: RawFd, began: Option<Instant>) {
    let backend = backend(&exchange.view, exchange.route, &exchange.attempts);
    let per_try = backend.retry().per_try_timeout;
    let per_try = began.zip(per_try).and_then(|(began, time)| began.checked_add(time));
    let limit = per_try.into_iter().chain(exchange.deadline).min();
    exchange.attempts.held.watch = limit.map(|limit| watch(limit, connection));
}

fn watch(limit: Instant, connection: RawFd) -> Watch {
    let is_over = Arc::new(AtomicBool::new(false));
    let rings = Arc::clone(&is_over);
    // The task runs on the thread of the attempt, so that it never runs between the end of the
    // connection and its own.
    let task = tokio::spawn(async move {
        tokio::time::sleep_until(limit.into()).await;
        rings.store(true, Relaxed);
        // A connection that the service has closed meanwhile needs no shutting.
        let _ = shutdown(connection, Shutdown::Both);
    });
    Watch { task: task.abort_handle(), is_over }
}
