//! The access log from a worker's write to the file, and what may go wrong between.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::lines::{Message, WAITING};
use super::*;

fn dropped() -> IntCounter {
    IntCounter::new("dropped", "dropped").unwrap()
}

fn to(path: &Path) -> Options {
    Options { path: Target::File(path.to_owned()), ..Options::default() }
}

fn write(lines: &Lines, request_id: &str) {
    lines.write(&Entry {
        time: SystemTime::UNIX_EPOCH,
        request_id,
        client: IpAddr::from([127, 0, 0, 1]),
        listener: "public",
        method: "GET",
        scheme: "http",
        host: b"localhost",
        path: b"/",
        query: None,
        protocol: "HTTP/1.1",
        route: None,
        service: None,
        endpoint: None,
        status: 200,
        duration: Duration::from_millis(1),
        upstream: None,
        bytes_in: 0,
        bytes_out: 0,
        attempts: 0,
        trace_id: None,
        consumer: None,
        subject: None,
        error: None,
        headers: &HeaderMap::new(),
    });
}

fn request_ids(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["request_id"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// Returns a buffer whose batches nobody takes out of the channel.
fn stuck() -> (Lines, Receiver<Message>, IntCounter) {
    let dropped = dropped();
    let (shared, messages) = Shared::new(&Options::default(), dropped.clone());
    let worker = Arc::new(Worker::new(Arc::new(shared)));
    (Lines::of(worker), messages, dropped)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn batch(messages: &Receiver<Message>) -> Option<u64> {
    match messages.try_recv() {
        Ok(Message::Batch(batch)) => Some(batch.lines),
        _ => None,
    }
}

#[test]
fn close_writes_what_every_worker_has_buffered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let dropped = dropped();
    let log = AccessLog::open(to(&path), dropped.clone()).unwrap();
    let workers: Vec<Lines> = (0..3).map(|_| log.lines()).collect();
    runtime().block_on(async {
        for n in 0..1000 {
            write(&workers[n % 3], &n.to_string());
        }
        log.close();
    });

    let mut ids: Vec<usize> = request_ids(&path).iter().map(|id| id.parse().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..1000).collect::<Vec<_>>());
    assert_eq!(dropped.get(), 0);
}

#[test]
fn line_written_after_the_close_counts_as_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let dropped = dropped();
    let log = AccessLog::open(to(&dir.path().join("a.log")), dropped.clone()).unwrap();
    let lines = log.lines();
    log.close();
    write(&lines, "late");
    assert_eq!(dropped.get(), 1);
}

#[test]
fn lines_outlive_the_log_that_a_reload_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    let log = AccessLog::open(to(&path), dropped()).unwrap();
    let lines = log.lines();
    let thread = {
        let AccessLog { running } = log;
        running.unwrap().thread
    };
    write(&lines, "in flight");
    drop(lines);
    thread.join().unwrap();
    assert_eq!(request_ids(&path), ["in flight"]);
}

#[test]
fn existing_file_is_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    for id in ["first", "second"] {
        let log = AccessLog::open(to(&path), dropped()).unwrap();
        write(&log.lines(), id);
        log.close();
    }
    assert_eq!(request_ids(&path), ["first", "second"]);
}

#[test]
fn lines_go_to_the_new_file_after_a_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let (path, rotated) = (dir.path().join("a.log"), dir.path().join("a.log.1"));
    let log = AccessLog::open(to(&path), dropped()).unwrap();
    let lines = log.lines();
    write(&lines, "before");
    while fs::metadata(&path).unwrap().len() == 0 {
        std::thread::yield_now();
    }
    fs::rename(&path, &rotated).unwrap();
    log.reopen();
    write(&lines, "after");
    log.close();
    assert_eq!(request_ids(&rotated), ["before"]);
    assert_eq!(request_ids(&path), ["after"]);
}

#[test]
fn rotation_into_nowhere_keeps_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("logs");
    fs::create_dir(&inner).unwrap();
    let log = AccessLog::open(to(&inner.join("a.log")), dropped()).unwrap();
    let moved = dir.path().join("moved");
    fs::rename(&inner, &moved).unwrap();
    log.reopen();
    write(&log.lines(), "kept");
    log.close();
    assert_eq!(request_ids(&moved.join("a.log")), ["kept"]);
}

#[test]
fn file_that_cannot_be_opened_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    assert!(AccessLog::open(to(&dir.path().join("no/a.log")), dropped()).is_err());
}

#[test]
fn full_device_costs_lines_and_nothing_else() {
    let dropped = dropped();
    let log = AccessLog::open(to(Path::new("/dev/full")), dropped.clone()).unwrap();
    let lines = log.lines();
    for _ in 0..10 {
        write(&lines, "lost");
    }
    log.close();
    assert_eq!(dropped.get(), 10);
}

#[test]
fn log_that_is_off_takes_lines_and_does_nothing() {
    let options = Options { path: Target::Off, ..Options::default() };
    let log = AccessLog::open(options, dropped()).unwrap();
    let lines = log.lines();
    assert!(!lines.enabled());
    write(&lines, "nowhere");
    lines.flush();
    log.reopen();
    log.close();
}

#[test]
fn line_is_handed_over_at_once_without_a_runtime() {
    let (lines, messages, _) = stuck();
    write(&lines, "a");
    assert_eq!(batch(&messages), Some(1));
}

#[test]
fn lines_wait_for_each_other_and_are_handed_over_in_time() {
    let (lines, messages, _) = stuck();
    runtime().block_on(async {
        for round in 1..=2 {
            write(&lines, "a");
            write(&lines, "b");
            assert_eq!(batch(&messages), None, "round {round}");
            let handed_over = loop {
                match batch(&messages) {
                    Some(lines) => break lines,
                    None => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            };
            assert_eq!(handed_over, 2);
        }
    });
}

#[test]
fn runtime_that_ends_leaves_no_line_behind() {
    let (lines, messages, _) = stuck();
    let runtime = runtime();
    runtime.block_on(async { write(&lines, "a") });
    drop(runtime);
    assert_eq!(batch(&messages), Some(1));
}

#[test]
fn full_buffer_is_handed_over_before_its_time() {
    let (lines, messages, _) = stuck();
    runtime().block_on(async {
        let mut written = 0;
        let handed_over = loop {
            write(&lines, "a");
            written += 1;
            if let Some(lines) = batch(&messages) {
                break lines;
            }
        };
        assert_eq!(handed_over, written);
        assert!(written > 10);
    });
}

#[test]
fn full_channel_drops_lines_and_counts_them() {
    let (lines, messages, dropped) = stuck();
    for _ in 0..WAITING + 7 {
        write(&lines, "a");
    }
    assert_eq!(dropped.get(), 7);

    assert_eq!(batch(&messages), Some(1));
    write(&lines, "b");
    assert_eq!(dropped.get(), 7);
}

#[test]
fn bytes_that_wait_are_bounded_whatever_the_number_of_buffers() {
    let (lines, messages, dropped) = stuck();
    let long = "a".repeat(1024 * 1024);
    for _ in 0..20 {
        write(&lines, &long);
    }
    // Each line is a little longer than its id, so that sixteen do not fit.
    assert_eq!(dropped.get(), 5);
    assert_eq!(std::iter::from_fn(|| batch(&messages)).sum::<u64>(), 15);
}
