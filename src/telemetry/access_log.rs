//! One JSON line per request, written where no request waits for it.
//!
//! Each worker formats into a buffer of its own ([`Lines`]) and hands it over to one
//! background thread through a bounded channel, when it is full or some milliseconds old.
//! A disk that is slow or full costs lines, which are counted, and never a request.
//!
//! An access log ends when it is closed, or when it and its last [`Lines`] are dropped: a
//! reload that opens another one leaves requests in flight their old one.

mod json;
mod line;
mod lines;
mod options;
mod query;
mod time;
mod writer;

use crate::lock::lock;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus::IntCounter;

pub use line::Entry;
pub use lines::Lines;
pub use options::{Format, Invalid, Masked, Options, Target};
pub use time::rfc3339;

use lines::{Shared, Worker};
use writer::{Sink, Writer};

/// How long [`AccessLog::close`] waits for a disk or a reader that has stopped.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// The access log of a process.
pub struct AccessLog {
    /// Absent when the log is off.
    running: Option<Running>,
}

struct Running {
    shared: Arc<Shared>,
    workers: Mutex<Vec<Weak<Worker>>>,
    thread: JoinHandle<()>,
    /// Disconnects when the thread has written everything and ends.
    done: Receiver<()>,
}

impl AccessLog {
    /// Opens the target and starts the thread that writes to it. Lines that cannot be written
    /// are counted in `dropped`.
    ///
    /// # Errors
    ///
    /// Returns why the file could not be opened or the thread not be started.
    pub fn open(options: Options, dropped: IntCounter) -> io::Result<AccessLog> {
        let Some(sink) = Sink::open(&options.path)? else {
            return Ok(AccessLog { running: None });
        };
        let (shared, messages) = Shared::new(&options, dropped);
        let shared = Arc::new(shared);
        let (running, done) = sync_channel(0);
        let writer = Writer::new(sink, messages, Arc::clone(&shared.control));
        let thread =
            std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
                let _running = running;
                writer.run();
            })?;
        Ok(AccessLog { running: Some(Running { shared, workers: Mutex::default(), thread, done }) })
    }

    /// Returns a buffer for one worker to write its lines to.
    pub fn lines(&self) -> Lines {
        let Some(running) = &self.running else {
            return Lines::off();
        };
        let worker = Arc::new(Worker::new(Arc::clone(&running.shared)));
        let mut workers = lock(&running.workers);
        workers.retain(|worker| worker.strong_count() > 0);
        workers.push(Arc::downgrade(&worker));
        Lines::of(worker)
    }

    /// Opens the file anew by its path before the next line is written: call it after the file
    /// was renamed for rotation. Where that fails, lines go on to the old file.
    pub fn reopen(&self) {
        if let Some(running) = &self.running {
            running.shared.control.reopen.store(true, Ordering::Release);
            running.shared.wake();
        }
    }

    /// Writes what all workers have buffered and ends the thread. Lines written afterwards
    /// count as dropped. Waits five seconds at most for a disk or reader that has stopped.
    pub fn close(self) {
        let Some(running) = self.running else {
            return;
        };
        let workers = running.workers.into_inner().unwrap_or_else(PoisonError::into_inner);
        for worker in workers.iter().filter_map(Weak::upgrade) {
            worker.flush();
        }
        running.shared.control.closing.store(true, Ordering::Release);
        running.shared.wake();
        match running.done.recv_timeout(CLOSE_LIMIT) {
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("access log could not be written to its end");
            }
            // A panic of the thread was reported when it happened.
            _ => drop(running.thread.join()),
        }
    }
}

#[cfg(test)]
mod tests;
