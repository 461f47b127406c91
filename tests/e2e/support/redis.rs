//! Real Redis servers on free ports: one, a master with its sentinel, a cluster.

use super::port::Port;
use super::wait::{eventually, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use redis::{RedisResult, Value};
use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server that runs; it ends with the value.
pub struct Redis {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it listens inside TLS, or for its cluster, if it was told to.
    pub second: SocketAddr,
    folder: TempDir,
    child: Option<Child>,
    is_sentinel: bool,
    _ports: [Port; 2],
}

impl fmt::Display for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Redis {
    /// Starts one that keeps nothing on disk.
    pub async fn start() -> Redis {
        Redis::with("").await
    }

    /// Starts one with more lines in its configuration, in which `<second>` is its second port.
    pub async fn with(settings: &str) -> Redis {
        Redis::launch(settings, false).await
    }

    /// Starts a replica, and waits until it has what its master has.
    pub async fn replica_of(master: &Redis) -> Redis {
        let port = master.address.port();
        let replica = Redis::with(&format!("replicaof 127.0.0.1 {port}\n")).await;
        eventually("a replica that follows", async || {
            let told = replica.info("INFO", "replication").await;
            told.contains("master_link_status:up").then_some(())
        })
        .await;
        replica
    }

    /// Starts a sentinel that alone decides over `mymaster`, and waits until it knows a replica.
    pub async fn sentinel_of(master: &Redis) -> Redis {
        let port = master.address.port();
        let settings = format!(
            "sentinel monitor mymaster 127.0.0.1 {port} 1\n\
             sentinel down-after-milliseconds mymaster 300\n\
             sentinel failover-timeout mymaster 2000\n"
        );
        let sentinel = Redis::launch(&settings, true).await;
        eventually("a sentinel that knows the replica", async || {
            let answer = sentinel.ask(&["SENTINEL", "REPLICAS", "mymaster"]).await;
            matches!(answer, Ok(Value::Array(replicas)) if !replicas.is_empty()).then_some(())
        })
        .await;
        sentinel
    }

    /// Starts three masters that share the slots of a cluster, and waits until it serves.
    pub async fn cluster() -> [Redis; 3] {
        const SLOTS: u16 = 16_384;
        let settings = "cluster-enabled yes\ncluster-port <second>\n";
        let (one, two, three) =
            tokio::join!(Redis::with(settings), Redis::with(settings), Redis::with(settings));
        let nodes = [one, two, three];
        for (node, from) in nodes.iter().zip([0, 5_461, 10_922]) {
            let to = if from == 10_922 { SLOTS - 1 } else { from + 5_460 };
            let (from, to) = (from.to_string(), to.to_string());
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]).await.unwrap();
        }
        for node in &nodes[1..] {
            let (port, bus) = (node.address.port().to_string(), node.second.port().to_string());
            nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await.unwrap();
        }
        for node in &nodes {
            eventually("a cluster that serves", async || {
                node.info("CLUSTER", "INFO").await.contains("cluster_state:ok").then_some(())
            })
            .await;
        }
        nodes
    }

    async fn launch(settings: &str, is_sentinel: bool) -> Redis {
        let folder = tempfile::tempdir().unwrap();
        let ports = [Port::reserve(), Port::reserve()];
        let [address, second] = ports.each_ref().map(|port| port.address);
        let settings = settings.replace("<second>", &second.port().to_string());
        let mut text = format!(
            "port {}\nbind 127.0.0.1\ndir {}\n{settings}",
            address.port(),
            folder.path().display()
        );
        if !is_sentinel {
            // A replica is there at once, and nothing is written for anybody.
            text.push_str("save \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n");
        }
        // A sentinel writes what it learns into its own configuration.
        fs::write(folder.path().join("redis.conf"), text).unwrap();
        let mut redis = Redis { address, second, folder, child: None, is_sentinel, _ports: ports };
        redis.restart().await;
        redis
    }

    /// Starts it again after [`Redis::stop`], on the same port: it knows nothing any more.
    pub async fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new("redis-server");
        command.arg(self.folder.path().join("redis.conf"));
        if self.is_sentinel {
            command.arg("--sentinel");
        }
        let spawned = command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn();
        self.child = Some(match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("redis-server is missing: scripts/setup.sh test installs it")
            }
            Err(error) => panic!("redis-server does not start: {error}"),
        });
        eventually("a Redis that answers", async || {
            // Whether who asks has to be let in first is another matter.
            let mut stream = TcpStream::connect(self.address).await.ok()?;
            stream.write_all(b"PING\r\n").await.ok()?;
            let mut answer = [0; 8];
            let read = stream.read(&mut answer).await.ok()?;
            (answer[..read].starts_with(b"+PONG") || answer[..read].starts_with(b"-NOAUTH"))
                .then_some(())
        })
        .await;
    }

    /// Kills it, without a word to its clients.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Lets it stand still: connections stay open, and nothing is answered.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Asks it, as the default user without a password.
    pub async fn ask(&self, words: &[&str]) -> RedisResult<Value> {
        let client = redis::Client::open(format!("redis://{}", self.address))?;
        let connection = client.get_multiplexed_async_connection();
        let mut connection = within("a connection to Redis", connection).await?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        within("Redis's answer", command.query_async(&mut connection)).await
    }

    /// What a command tells as text.
    pub async fn info(&self, command: &str, about: &str) -> String {
        let answer = self.ask(&[command, about]).await.unwrap();
        redis::from_redis_value(answer).unwrap()
    }

    /// How often scripts were run, by their text or their hash.
    pub async fn scripts_run(&self) -> u64 {
        let told = self.info("INFO", "commandstats").await;
        let calls = told.lines().filter_map(|line| {
            let (name, figures) = line.split_once(":calls=")?;
            let is_script = ["cmdstat_eval", "cmdstat_evalsha"].contains(&name);
            let calls = figures.split(',').next()?.parse::<u64>().ok()?;
            is_script.then_some(calls)
        });
        calls.sum()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("--- log of the Redis at {}\n{log}", self.address);
        }
    }
}
