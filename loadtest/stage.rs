//! What the contenders stand on: a directory, free ports, the origin, a sink for log lines.

use super::{Arguments, Failure};
use crate::contender::{floor, require};
use crate::http;
use crate::process::Process;
use crate::redis::Redis;
use crate::token::{SECRET, Tokens, secret_of_jwk};
use std::ffi::OsString;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};
use std::{fs, io, thread};

/// Where the configurations' templates are.
const TEMPLATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/loadtest/conf");
/// How long the origin's answer is.
const BODY_LENGTH: usize = 777;

/// What the contenders stand on. All of it goes when it is dropped.
pub struct Stage {
    /// The origin's answer.
    pub body: Vec<u8>,
    /// How many lines the sink has got.
    pub sunk: Arc<AtomicU64>,
    /// What requests carry.
    pub tokens: Tokens,
    /// What limits are counted in, where they are shared.
    pub redis: Option<Redis>,
    directory: PathBuf,
    origin_port: u16,
    sink_port: u16,
    // Dropped before the directory is removed: `Drop` of the stage stops it.
    origin: Option<Process>,
}

impl Stage {
    /// Makes the directory and the tokens, and starts the sink and the origin.
    pub fn set(arguments: &Arguments) -> Result<Stage, Failure> {
        let directory = std::env::temp_dir().join(format!("load-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let (sink_port, sunk) = sink()?;
        let file = directory.join("tokens");
        let now = SystemTime::now();
        let (scenario, keys) = (arguments.scenario, arguments.keys);
        let tokens = Tokens::prepare(scenario, now, arguments.tokens(), keys, file)?;
        let mut stage = Stage {
            body: body(),
            sunk,
            tokens,
            redis: None,
            directory,
            origin_port: free_port()?,
            sink_port,
            origin: None,
        };
        let log = stage.path("origin.log");
        let config = stage.config("origin.nginx.conf", stage.origin_port, None, &log, false)?;
        let errors = stage.path("origin-errors.log").into();
        let command = [require("nginx")?.into(), "-e".into(), errors, "-c".into(), config.into()];
        let origin = Process::start(&command, &arguments.load_cores, &log)?;
        let origin = stage.origin.insert(origin);
        http::wait_for(stage.origin_port, &[], origin, Duration::from_secs(10))?;
        if arguments.scenario.has_store() {
            let output = stage.path("redis.log");
            stage.redis = Some(Redis::start(free_port()?, &arguments.load_cores, &output)?);
        }
        Ok(stage)
    }

    /// A file in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A port that nobody listens on.
    pub fn free_port(&self) -> io::Result<u16> {
        free_port()
    }

    /// Writes the configuration that a template makes.
    pub fn config(
        &self,
        template: &str,
        listen: u16,
        admin: Option<u16>,
        log: &Path,
        limits: bool,
    ) -> Result<PathBuf, Failure> {
        let when = |holds: bool| if holds { "" } else { "# " };
        let source = Path::new(TEMPLATES).join(template);
        let text = fs::read_to_string(&source)
            .map_err(|error| format!("{} cannot be read: {error}", source.display()))?
            .replace("@DIR@", &self.directory.display().to_string())
            .replace("@LOG@", &log.display().to_string())
            .replace("@LISTEN@", &listen.to_string())
            .replace("@ADMIN@", &admin.unwrap_or_default().to_string())
            .replace("@ORIGIN@", &self.origin_port.to_string())
            .replace("@SINK@", &self.sink_port.to_string())
            .replace("@SECRET@", SECRET)
            .replace("@IF_TOKENS_RECUR@", when(self.tokens.recur()))
            .replace("@IF_LIMITED@", when(limits && self.redis.is_none()))
            .replace("@IF_SHARED@", when(limits && self.redis.is_some()))
            .replace("@REDIS@", &self.redis.as_ref().map_or(0, |redis| redis.port).to_string())
            .replace("@SECRET_BASE64@", &secret_of_jwk())
            .replace("@BODY@", &String::from_utf8_lossy(&self.body));
        let config = self.path(template);
        fs::write(&config, text)?;
        Ok(config)
    }

    /// How the floor is started.
    pub fn floor(&self, port: u16, door: &[&str]) -> Vec<OsString> {
        let addresses = [
            format!("--listen=127.0.0.1:{port}"),
            format!("--upstream=127.0.0.1:{}", self.origin_port),
        ];
        let mut command = vec![floor().into_os_string()];
        command.extend(addresses.map(OsString::from));
        command.extend(door.iter().map(OsString::from));
        command
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.origin = None;
        self.redis = None;
        // What cannot be removed is a temporary directory's own to clean up.
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// A JSON document of exactly the length that it should have.
fn body() -> Vec<u8> {
    let items: Vec<_> = (0..12)
        .map(|id| format!("{{\"id\":{id},\"name\":\"item {id:03}\",\"price\":{}}}", 100 + id))
        .collect();
    let start = format!("{{\"items\":[{}],\"note\":\"", items.join(","));
    let note = "x".repeat(BODY_LENGTH - start.len() - "\"}".len());
    format!("{start}{note}\"}}").into_bytes()
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Takes log lines and counts them.
fn sink() -> io::Result<(u16, Arc<AtomicU64>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let lines = Arc::new(AtomicU64::new(0));
    let sunk = Arc::clone(&lines);
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let lines = Arc::clone(&lines);
            thread::spawn(move || {
                let mut bytes = vec![0; 256 * 1024];
                while let Ok(read @ 1..) = connection.read(&mut bytes) {
                    lines.fetch_add(count_lines(&bytes[..read]), Relaxed);
                }
            });
        }
    });
    Ok((port, sunk))
}

/// Counts the lines of a file that has had time to be written to: until it has as many as it
/// should, or does not grow any more.
pub fn lines_of(log: &Path, expected: u64) -> u64 {
    settled(expected, || fs::read(log).map_or(0, |text| count_lines(&text)))
}

/// Reads a count until it is as high as expected, but not for long.
pub fn settled(expected: u64, mut read: impl FnMut() -> u64) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let count = read();
        if count >= expected || Instant::now() > deadline {
            return count;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}
