//! A Redis of the load test's own, and what it says of the calls that it got.

use crate::Failure;
use crate::contender::require;
use crate::process::Process;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long it may take to start, and to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// What gateways call: each is one request to the store.
const SCRIPTS: [&str; 2] = ["cmdstat_evalsha:calls=", "cmdstat_eval:calls="];

/// A running Redis, which keeps nothing on a disk.
pub struct Redis {
    /// The port that it listens on.
    pub port: u16,
    process: Process,
}

impl Redis {
    /// Starts it, and waits until it answers.
    pub fn start(port: u16, cores: &str, output: &Path) -> Result<Redis, Failure> {
        let mut command = vec![require("redis-server")?.into_os_string()];
        let arguments = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"];
        command.extend(arguments.map(Into::into));
        command.push(port.to_string().into());
        let mut redis = Redis { port, process: Process::start(&command, cores, output)? };
        let deadline = Instant::now() + PATIENCE;
        while redis.ask("PING").is_err() {
            redis.process.must_run()?;
            if Instant::now() > deadline {
                return Err("redis-server does not answer".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(redis)
    }

    /// How many calls of gateways it has answered.
    pub fn calls(&self) -> Result<u64, Failure> {
        let said = self.ask("INFO commandstats")?;
        let counts = said.lines().filter_map(|line| {
            let rest = SCRIPTS.iter().find_map(|script| line.strip_prefix(script))?;
            rest.split(',').next()?.parse::<u64>().ok()
        });
        Ok(counts.sum())
    }

    /// Asks it something, on a connection that it closes behind its answer.
    fn ask(&self, what: &str) -> Result<String, Failure> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
        connection.set_read_timeout(Some(PATIENCE))?;
        write!(connection, "{what}\r\nQUIT\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
