//! The thread's side of the access log: take what was handed over, write it, carry on.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::lines::{Batch, Control, Message};
use super::options::Target;

/// How long to wait for a pipe that is full and, being non-blocking, says so.
const PIPE_PAUSE: Duration = Duration::from_millis(1);

/// How long batches gather between two looks at the channel. A thread found waiting costs the
/// worker a system call to wake it; under load it should be found resting instead.
const REST: Duration = Duration::from_millis(5);

/// Takes batches until it is told to close, or until nobody is left to send any.
pub(super) struct Writer {
    sink: Sink,
    messages: Receiver<Message>,
    control: Arc<Control>,
}

impl Writer {
    pub(super) fn new(sink: Sink, messages: Receiver<Message>, control: Arc<Control>) -> Writer {
        Writer { sink, messages, control }
    }

    pub(super) fn run(mut self) {
        while !self.control.closing.load(Ordering::Acquire) {
            let Ok(message) = self.messages.recv() else {
                return;
            };
            self.take(message);
            self.take_waiting();
            std::thread::sleep(REST);
        }
        // What was sent before the close is in the channel when the close is seen.
        self.take_waiting();
    }

    fn take_waiting(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        if self.control.take_reopen() {
            self.sink.reopen();
        }
        if let Message::Batch(Batch { bytes, lines }) = message {
            let lost = self.sink.write(&bytes);
            debug_assert!(lost <= lines);
            self.control.dropped.inc_by(lost);
            self.control.recycle(bytes);
        }
    }
}

/// Where lines end up, and how that went so far.
pub(super) struct Sink {
    out: Box<dyn Write + Send>,
    /// What to open again; absent for standard output.
    path: Option<PathBuf>,
    /// Whether the last write failed, so that each failure is reported once.
    failing: bool,
    /// Whether what was written last is not a whole line.
    torn: bool,
}

impl Sink {
    /// Opens the target; `None` where there is nothing to write to.
    pub(super) fn open(target: &Target) -> io::Result<Option<Sink>> {
        match target {
            Target::Off => Ok(None),
            Target::Stdout => {
                // A duplicate, because the library's own handle has a buffer and a lock.
                let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
                Ok(Some(Sink::new(Box::new(stdout), None)))
            }
            Target::File(path) => {
                let file = append(path)?;
                Ok(Some(Sink::new(Box::new(file), Some(path.clone()))))
            }
        }
    }

    fn new(out: Box<dyn Write + Send>, path: Option<PathBuf>) -> Sink {
        Sink { out, path, failing: false, torn: false }
    }

    fn reopen(&mut self) {
        let Some(path) = &self.path else {
            return;
        };
        match append(path) {
            Ok(file) => {
                self.out = Box::new(file);
                self.torn = false;
            }
            Err(error) => tracing::warn!(
                %error,
                path = %path.display(),
                "access log cannot be reopened, lines go to the old file"
            ),
        }
    }

    /// Writes whole lines and returns how many of them were lost.
    fn write(&mut self, lines: &[u8]) -> u64 {
        let mut rest = lines;
        match self.try_write(&mut rest) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("access log can be written again");
                }
                0
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "access log cannot be written, lines are dropped");
                }
                rest.iter().filter(|&&byte| byte == b'\n').count() as u64
            }
        }
    }

    /// Writes what it can of `rest`, and leaves in it what it could not.
    fn try_write(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        if self.torn {
            // What follows a torn line must not become its end.
            self.write_some(b"\n")?;
            self.torn = false;
        }
        while !rest.is_empty() {
            let written = self.write_some(rest)?;
            self.torn = rest[written - 1] != b'\n';
            *rest = &rest[written..];
        }
        Ok(())
    }

    /// Writes at least one byte.
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.out.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(PIPE_PAUSE);
                }
                result => return result,
            }
        }
    }
}

/// Opens a file at its end. Others may not read it: it tells who asked for what.
fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;

    /// Does with each write what it was told, then takes everything.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        answers: VecDeque<io::Result<usize>>,
        written: Vec<u8>,
    }

    impl Disk {
        fn that(answers: impl IntoIterator<Item = io::Result<usize>>) -> (Disk, Sink) {
            let disk = Disk::default();
            disk.0.lock().unwrap().answers.extend(answers);
            (disk.clone(), Sink::new(Box::new(disk), None))
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().written.clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.lock().unwrap();
            let taken = state.answers.pop_front().unwrap_or(Ok(bytes.len()))?;
            state.written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn full() -> io::Result<usize> {
        Err(ErrorKind::StorageFull.into())
    }

    #[test]
    fn lines_are_whole_again_after_a_torn_one() {
        let (disk, mut sink) = Disk::that([Ok(6), full(), full(), Ok(1), Ok(2)]);
        assert_eq!(sink.write(b"{\"a\"}\n{\"b\"}\n{\"c\"}\n"), 2);
        assert_eq!(disk.text(), "{\"a\"}\n");
        assert_eq!(sink.write(b"{\"d\"}\n"), 1);
        assert_eq!(sink.write(b"{\"e\"}\n"), 0);
        assert_eq!(disk.text(), "{\"a\"}\n{\"e\"}\n");

        let (disk, mut sink) = Disk::that([Ok(8), full(), full()]);
        assert_eq!(sink.write(b"{\"a\"}\n{\"b\"}\n{\"c\"}\n"), 2);
        assert_eq!(sink.write(b"{\"d\"}\n"), 1);
        assert_eq!(sink.write(b"{\"e\"}\n"), 0);
        assert_eq!(disk.text(), "{\"a\"}\n{\"\n{\"e\"}\n");
    }

    #[test]
    fn write_that_was_interrupted_or_would_block_is_tried_again() {
        let interrupted = Err(ErrorKind::Interrupted.into());
        let (disk, mut sink) = Disk::that([interrupted, Err(ErrorKind::WouldBlock.into())]);
        assert_eq!(sink.write(b"{}\n"), 0);
        assert_eq!(disk.text(), "{}\n");
    }

    #[test]
    fn disk_that_takes_nothing_loses_the_lines_and_does_not_hang() {
        let (_, mut sink) = Disk::that([Ok(0)]);
        assert_eq!(sink.write(b"{}\n{}\n"), 2);
    }

    #[test]
    fn full_device_is_not_the_end() {
        let target = Target::File("/dev/full".into());
        let mut sink = Sink::open(&target).unwrap().unwrap();
        assert_eq!(sink.write(b"{}\n"), 1);
        assert_eq!(sink.write(b"{}\n{}\n"), 2);
    }
}
