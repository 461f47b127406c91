//! The real gateway, as an operator starts and stops it.

use super::client::{Client, Response};
use super::h2::H2Client;
use super::metrics::Metrics;
use super::port::Port;
use super::wait::{PATIENCE, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fmt::{Display, Write};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpStream;

/// A route for everything, to the service `<app>`.
pub const ONE_SERVICE: &str = r#"
policies: {auth: none}
services:
  app: {url: "http://<app>"}
routes:
  - name: all
    match: {path: {prefix: /}}
    service: app
"#;

/// A gateway that is to be started: a document without the parts that every test needs.
pub struct Setup {
    document: String,
    listener: String,
    second: Option<String>,
    admin: String,
    access_log: Option<String>,
    threads: usize,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Setup {
    /// Begins with services, routes and policies. The version, one listener, the admin listener,
    /// the access log and one thread are added.
    pub fn new(document: &str) -> Setup {
        Setup {
            document: document.to_owned(),
            listener: String::new(),
            second: None,
            admin: String::new(),
            access_log: Some(String::new()),
            threads: 1,
            environment: Vec::new(),
        }
    }

    /// Begins with [`ONE_SERVICE`], whose route has these policies.
    pub fn one_route(policies: &str) -> Setup {
        Setup::new(&format!("{ONE_SERVICE}    policies: {{{policies}}}\n"))
    }

    /// Adds policies to the last route of the document, which has none so far.
    pub fn route_policies(mut self, policies: &str) -> Setup {
        writeln!(self.document, "    policies: {{{policies}}}").unwrap();
        self
    }

    /// Puts an address in the place of `<name>`.
    pub fn with(mut self, name: &str, address: impl Display) -> Setup {
        let place = format!("<{name}>");
        assert!(self.document.contains(&place), "{place} is not in the document");
        self.document = self.document.replace(&place, &address.to_string());
        self
    }

    /// Adds settings to the listener.
    pub fn listener(mut self, settings: &str) -> Setup {
        self.listener = format!(", {settings}");
        self
    }

    /// Adds a second listener, [`Gateway::second`], with these settings.
    pub fn second_listener(mut self, settings: &str) -> Setup {
        self.second = Some(settings.to_owned());
        self
    }

    /// Adds settings to the admin listener.
    pub fn admin(mut self, settings: &str) -> Setup {
        self.admin = format!(", {settings}");
        self
    }

    /// Adds settings to the access log.
    pub fn access_log(mut self, settings: &str) -> Setup {
        self.access_log = Some(format!(", {settings}"));
        self
    }

    /// Leaves the access log to what it does by itself.
    pub fn access_log_to_stdout(mut self) -> Setup {
        self.access_log = None;
        self
    }

    /// Serves on so many threads.
    pub fn threads(mut self, count: usize) -> Setup {
        self.threads = count;
        self
    }

    /// Sets an environment variable to a path.
    pub fn environment(mut self, name: &'static str, path: PathBuf) -> Setup {
        self.environment.push((name, path));
        self
    }

    /// Starts the gateway and waits until it is ready.
    pub async fn start(self) -> Gateway {
        let folder = tempfile::tempdir().unwrap();
        let ports = [Port::reserve(), Port::reserve(), Port::reserve()];
        let [main, second, admin] = ports.each_ref().map(|port| port.address);
        let log = folder.path().join("access.log");
        let mut text = String::new();
        writeln!(text, "version: 1\nthreads: {}\nlisteners:", self.threads).unwrap();
        writeln!(text, "  - {{name: main, address: \"{main}\"{}}}", self.listener).unwrap();
        if let Some(settings) = self.second {
            writeln!(text, "  - {{name: second, address: \"{second}\", {settings}}}").unwrap();
        }
        writeln!(text, "admin: {{address: \"{admin}\"{}}}", self.admin).unwrap();
        if let Some(settings) = self.access_log {
            let path = log.display();
            writeln!(text, "telemetry: {{access_log: {{path: {path}{settings}}}}}").unwrap();
        }
        text.push_str(&self.document);
        let file = folder.path().join("gateway.yaml");
        fs::write(&file, &text).unwrap();
        let child = gateway_command()
            .args(["run", "-c"])
            .arg(&file)
            .envs(self.environment)
            .stdout(File::create(folder.path().join("stdout")).unwrap())
            .stderr(File::create(folder.path().join("stderr")).unwrap())
            .spawn()
            .expect("the gateway starts");
        let mut gateway =
            Gateway { address: main, second, admin, folder, child, text, _ports: ports };
        eventually("the gateway to be ready", async || {
            if let Some(status) = gateway.child.try_wait().unwrap() {
                panic!("the gateway ended with {status} before it was ready");
            }
            (gateway.readiness().await == Some(200)).then_some(())
        })
        .await;
        gateway
    }
}

/// A gateway that runs; it ends with the value.
pub struct Gateway {
    /// The address of the listener `main`.
    pub address: SocketAddr,
    /// The address of the listener `second`, if there is one.
    pub second: SocketAddr,
    /// The address of the admin listener.
    pub admin: SocketAddr,
    folder: TempDir,
    child: Child,
    text: String,
    _ports: [Port; 3],
}

impl Gateway {
    /// Starts a gateway that hands everything to one origin.
    pub async fn before(origin: &impl Display) -> Gateway {
        Setup::new(ONE_SERVICE).with("app", origin).start().await
    }

    /// Opens a connection.
    pub async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Opens a connection of HTTP/2 with prior knowledge.
    pub async fn connect_h2(&self) -> H2Client {
        H2Client::over(TcpStream::connect(self.address).await.unwrap()).await
    }

    /// Asks for a target, on a connection of its own.
    pub async fn get(&self, target: &str) -> Response {
        self.connect().await.get(target).await
    }

    /// Sends a request, on a connection of its own.
    pub async fn request(&self, request: &str) -> Response {
        self.connect().await.request(request).await
    }

    /// Asks the admin listener for a path.
    pub async fn ask(&self, path: &str) -> Response {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: admin.test\r\nConnection: close\r\n\r\n");
        Client::connect(self.admin).await.request(&request).await
    }

    /// What `/readyz` answers; `None` where nobody answers.
    pub async fn readiness(&self) -> Option<u16> {
        // Reserved, but not yet or no longer listened on, it refuses connections.
        let probe = TcpStream::connect(self.admin).await.ok()?;
        let mut probe = Client::over(probe);
        let request = "GET /readyz HTTP/1.1\r\nHost: admin.test\r\nConnection: close\r\n\r\n";
        probe.try_send(request).await.then_some(())?;
        Some(probe.response().await.status)
    }

    /// Scrapes the metrics.
    pub async fn metrics(&self) -> Metrics {
        let response = self.ask("/metrics").await;
        assert_eq!(response.status, 200);
        Metrics(response.text().to_owned())
    }

    /// Waits until a metric has a value; counting follows the end of a response.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        let deadline = Instant::now() + PATIENCE / 4;
        loop {
            let metrics = self.metrics().await;
            let value = metrics.value(name, labels);
            if value.unwrap_or(0.0) == expected {
                return;
            }
            let late = Instant::now() > deadline;
            assert!(!late, "{name}{labels:?} is {value:?}, not {expected}, in\n{}", metrics.0);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the access log has so many lines, and reads them; each must be JSON.
    pub async fn access_log(&self, lines: usize) -> Vec<Value> {
        let path = self.folder.path().join("access.log");
        let whole = |text: &str| text.ends_with('\n') && text.lines().count() >= lines;
        let text = eventually("the access log's lines", async || {
            fs::read_to_string(&path).ok().filter(|text| whole(text))
        })
        .await;
        assert_eq!(text.lines().count(), lines, "{text}");
        let parsed = text.lines().map(serde_json::from_str);
        parsed.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// What it has said on its standard error so far.
    pub fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    /// A path beside its configuration.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        eventually("the gateway's end", async || self.child.try_wait().unwrap()).await
    }

    /// Sends it SIGTERM and waits for its end: how it ended, and how long that took.
    pub async fn terminate(&mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        self.signal(Signal::SIGTERM);
        (self.ended().await, asked.elapsed())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- configuration\n{}\n--- gateway's stderr\n{}", self.text, self.said());
        }
    }
}

/// The gateway's binary, without arguments.
pub fn gateway_command() -> Command {
    let binary = std::env::var("SLUICEGATE_BIN").ok();
    let binary = binary.or_else(|| option_env!("CARGO_BIN_EXE_sluicegate").map(str::to_owned));
    Command::new(binary.expect("SLUICEGATE_BIN names the binary where cargo does not"))
}

/// Runs `sluicegate check` on a file: whether it passed, and all that it said.
pub fn check(file: &Path) -> (bool, String) {
    let output = gateway_command().arg("check").arg(file).output().expect("the gateway starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).expect("it says text"))
}
