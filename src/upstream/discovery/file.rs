//! Endpoints from a file that something else writes.
//!
//! The file is looked at once a second rather than watched through the kernel: inotify is silent on
//! network file systems and on the other side of an overlay, it has to watch the folder, since
//! editors and Kubernetes replace files and symbolic links by renaming, and one `stat` a second
//! costs nothing. A change is its modification and change times, its inode or its size.
//!
//! A file that is just being written is left alone until it rests: half a list reads like a whole
//! one. Writers who rename a finished file into place are never seen half way. What cannot be read
//! leaves the last good list as it was.

use super::{Found, Kind, Reporter, Trouble};
use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the file is looked at.
const POLL: Duration = Duration::from_secs(1);
/// How long it must not have changed before it is read.
const REST: Duration = Duration::from_millis(100);
/// How often it is looked at whether it rests: one that never does is read as it is.
const MOST_LOOKS: usize = 50;
/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Reads the text of a file into endpoints, or says what is wrong with it, at which line and
/// column. It is an argument because the reader of YAML belongs to the configuration.
pub type Parse = fn(&str) -> Result<Vec<Found>, String>;

/// A file that is watched.
#[derive(Debug, Clone)]
pub struct File {
    path: PathBuf,
    parse: Parse,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl File {
    /// A list of endpoints that stands at `path`.
    pub fn new(path: PathBuf, parse: Parse) -> Self {
        File { path, parse }
    }

    /// Looks for ever, and tells what changed.
    pub async fn watch(self, reporter: Reporter) {
        let mut last = None;
        loop {
            let state = self.state().await;
            if last.as_ref() != Some(&state) {
                // At the start nothing is known, and waiting would only prolong that.
                let (state, read) = match (&last, state) {
                    (None, state) => (state, self.read().await),
                    (Some(_), state) => self.read_at_rest(state).await,
                };
                match read {
                    Ok(list) => reporter.found(list),
                    Err(trouble) => reporter.trouble(trouble),
                }
                last = Some(state);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Reads the file when it has not changed for a while, nor while it was read.
    async fn read_at_rest(
        &self,
        mut state: Option<State>,
    ) -> (Option<State>, Result<Vec<Found>, Trouble>) {
        for _ in 0..MOST_LOOKS {
            tokio::time::sleep(REST).await;
            let rested = self.state().await;
            if rested == state {
                let read = self.read().await;
                if self.state().await == state {
                    return (state, read);
                }
            }
            state = rested;
        }
        (state, self.read().await)
    }

    async fn state(&self) -> Option<State> {
        let path = self.path.clone();
        // A file system may hang, and the main thread has other things to do.
        let state = tokio::task::spawn_blocking(move || State::of(&path));
        state.await.ok()?.ok()
    }

    async fn read(&self) -> Result<Vec<Found>, Trouble> {
        let File { path, parse } = self.clone();
        let read = tokio::task::spawn_blocking(move || match text(&path) {
            Ok(text) => parse(&text).map_err(|wrong| {
                Trouble::new(Kind::Malformed, format!("{}: {wrong}", path.display()))
            }),
            Err(error) => {
                let kind = match error.kind() {
                    io::ErrorKind::NotFound => Kind::Absent,
                    io::ErrorKind::PermissionDenied => Kind::Refused,
                    io::ErrorKind::InvalidData => Kind::Malformed,
                    _ => Kind::Failed,
                };
                Err(Trouble::new(kind, format!("{} cannot be read: {error}", path.display())))
            }
        });
        read.await.unwrap_or_else(|error| {
            Err(Trouble::new(Kind::Failed, format!("{}: {error}", self.path.display())))
        })
    }
}

impl State {
    fn of(path: &Path) -> io::Result<State> {
        let file = std::fs::metadata(path)?;
        Ok(State {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

/// The text of a file, if it is one and not too large.
fn text(path: &Path) -> io::Result<String> {
    let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(invalid("it is no file".to_owned()));
    }
    let mut text = String::new();
    std::fs::File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(invalid(format!("it has more than {LARGEST} bytes")));
    }
    Ok(text)
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {}", self.path.display())
    }
}
