//! A worker's side of the access log: format, buffer, hand over, never wait.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntCounter;
use tokio::runtime::Handle;

use super::line::{Entry, Layout};
use super::options::Options;
use super::time::Clock;

/// How many bytes of lines make a buffer full: a few hundred requests share a handover and a write.
const FULL: usize = 256 * 1024;

/// What a buffer is allocated with: a full one and the line that made it so.
const CAPACITY: usize = FULL + 4 * 1024;

/// A buffer that a huge line has grown beyond this is not used again.
const LARGEST_KEPT: usize = 2 * CAPACITY;

/// How long a line may stay in a buffer that does not fill.
const PATIENCE: Duration = Duration::from_millis(20);

/// How many buffers may wait for the disk, full or not.
pub(super) const WAITING: usize = 512;

/// How many bytes of lines may wait in them.
const WAITING_BYTES: usize = 16 * 1024 * 1024;

/// How many empty buffers are kept for reuse.
const SPARE: usize = 8;

/// A worker's buffer of lines.
///
/// It may be shared between threads, but is meant for one: its lock is then never contended.
/// Inside a Tokio runtime, which must have its timer enabled, lines are handed over in batches;
/// outside of one, each at once.
pub struct Lines {
    /// Absent when the log is off.
    worker: Option<Arc<Worker>>,
}

impl Lines {
    pub(super) fn of(worker: Arc<Worker>) -> Lines {
        Lines { worker: Some(worker) }
    }

    /// Returns lines that go nowhere.
    pub fn off() -> Lines {
        Lines { worker: None }
    }

    /// Whether lines go anywhere, so that an entry is worth putting together.
    pub fn enabled(&self) -> bool {
        self.worker.is_some()
    }

    /// Formats the entry's line into the buffer. Does not allocate unless a buffer is new or a
    /// line is longer than any before, and never waits for the disk.
    pub fn write(&self, entry: &Entry<'_>) {
        let Some(worker) = &self.worker else {
            return;
        };
        let mut guard = worker.lock();
        let buffer = &mut *guard;
        worker.shared.layout.write(&mut buffer.bytes, &mut buffer.clock, entry);
        buffer.lines += 1;
        if buffer.bytes.len() >= FULL {
            return worker.hand_over(buffer);
        }
        if buffer.timed {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return worker.hand_over(buffer);
        };
        buffer.timed = true;
        // A runtime that is shutting down drops the task right here, and that takes the lock.
        drop(guard);
        let due = Due(Arc::clone(worker));
        runtime.spawn(async move {
            let _due = due;
            tokio::time::sleep(PATIENCE).await;
        });
    }

    /// Hands over what is in the buffer.
    pub fn flush(&self) {
        if let Some(worker) = &self.worker {
            worker.flush();
        }
    }
}

/// Hands the buffer over when its time has come, or when the runtime ends before that.
struct Due(Arc<Worker>);

impl Drop for Due {
    fn drop(&mut self) {
        let mut buffer = self.0.lock();
        buffer.timed = false;
        self.0.hand_over(&mut buffer);
    }
}

/// One worker's buffer and its way to the thread that writes.
pub(super) struct Worker {
    buffer: Mutex<Buffer>,
    shared: Arc<Shared>,
}

struct Buffer {
    bytes: Vec<u8>,
    lines: u64,
    /// Whether a [`Due`] is on its way.
    timed: bool,
    clock: Clock,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>) -> Worker {
        let buffer = Buffer {
            bytes: Vec::with_capacity(CAPACITY),
            lines: 0,
            timed: false,
            clock: Clock::new(),
        };
        Worker { buffer: Mutex::new(buffer), shared }
    }

    pub(super) fn flush(&self) {
        self.hand_over(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        // A panic while formatting leaves a torn line at worst.
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self, buffer: &mut Buffer) {
        if buffer.lines == 0 {
            return;
        }
        let batch = Batch {
            bytes: std::mem::take(&mut buffer.bytes),
            lines: std::mem::take(&mut buffer.lines),
        };
        let control = &self.shared.control;
        buffer.bytes = match self.shared.send(batch) {
            Ok(()) => control.spare(),
            Err(batch) => control.lost(batch),
        };
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.flush();
    }
}

/// What all workers share, and touch only when they hand over.
pub(super) struct Shared {
    layout: Layout,
    sender: SyncSender<Message>,
    pub(super) control: Arc<Control>,
}

impl Shared {
    /// Returns it with the end of the channel that its messages come out of.
    pub(super) fn new(options: &Options, dropped: IntCounter) -> (Shared, Receiver<Message>) {
        let (sender, messages) = sync_channel(WAITING);
        let control = Control {
            reopen: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            dropped,
            waiting: AtomicUsize::new(0),
            spare: Mutex::default(),
        };
        let shared = Shared { layout: Layout::new(options), sender, control: Arc::new(control) };
        (shared, messages)
    }

    /// Sends a batch on its way, or gives it back where too much is waiting already.
    fn send(&self, batch: Batch) -> Result<(), Batch> {
        let size = batch.bytes.len();
        let before = self.control.waiting.fetch_add(size, Ordering::Relaxed);
        let sent = match before + size > WAITING_BYTES {
            true => Err(TrySendError::Full(Message::Batch(batch))),
            false => self.sender.try_send(Message::Batch(batch)),
        };
        let (Err(TrySendError::Full(Message::Batch(batch)))
        | Err(TrySendError::Disconnected(Message::Batch(batch)))) = sent
        else {
            return Ok(());
        };
        self.control.waiting.fetch_sub(size, Ordering::Relaxed);
        Err(batch)
    }

    /// Makes the thread look at [`Control`].
    pub(super) fn wake(&self) {
        // With a full channel it is awake and looks after its next message.
        let _ = self.sender.try_send(Message::Wake);
    }
}

/// What comes through the channel.
pub(super) enum Message {
    Batch(Batch),
    Wake,
}

/// A buffer of whole lines.
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

/// What workers and the thread that writes tell each other beside the channel.
pub(super) struct Control {
    pub(super) reopen: AtomicBool,
    pub(super) closing: AtomicBool,
    pub(super) dropped: IntCounter,
    /// How many bytes are on their way to the disk.
    waiting: AtomicUsize,
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Control {
    /// Takes back the buffer of a batch that is dealt with; for reuse, unless that would need
    /// waiting.
    pub(super) fn recycle(&self, mut bytes: Vec<u8>) {
        self.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
        bytes.clear();
        if bytes.capacity() <= LARGEST_KEPT
            && let Ok(mut spare) = self.spare.try_lock()
            && spare.len() < SPARE
        {
            spare.push(bytes);
        }
    }

    /// Reads and clears the request to open the file anew.
    pub(super) fn take_reopen(&self) -> bool {
        self.reopen.swap(false, Ordering::Acquire)
    }

    fn spare(&self) -> Vec<u8> {
        let recycled = self.spare.try_lock().ok().and_then(|mut s| s.pop());
        recycled.unwrap_or_else(|| Vec::with_capacity(CAPACITY))
    }

    /// Counts a batch that nobody takes as dropped, and returns its buffer, empty.
    fn lost(&self, batch: Batch) -> Vec<u8> {
        let Batch { mut bytes, lines } = batch;
        self.dropped.inc_by(lines);
        if bytes.capacity() > LARGEST_KEPT {
            return self.spare();
        }
        bytes.clear();
        bytes
    }
}
