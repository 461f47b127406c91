//! The gateway as a child process: the same program that one would install.

use crate::Stop;
use crate::ports::{Port, Ports};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// The project's folder; the paths in `conf/demo.yaml` start there.
const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

/// How long it may take to be ready. It takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// The running gateway.
pub struct Gateway {
    child: Child,
    admin: std::net::SocketAddr,
}

impl Gateway {
    /// Starts the program that was built beside this one.
    pub fn start(ports: &Ports) -> Result<Self, String> {
        let profile = profile_folder()?;
        let program = profile.join("sluicegate");
        if !program.exists() {
            return Err(format!(
                "there is no {}; `make demo` builds it together with the demo",
                program.display()
            ));
        }
        // The folder of the access log.
        let logs = Path::new(PROJECT).join("target");
        std::fs::create_dir_all(&logs)
            .map_err(|error| format!("{} cannot be made: {error}", logs.display()))?;
        let child = Command::new(&program)
            .args(["run", "-c"])
            .arg(configuration(ports, &profile)?)
            .current_dir(PROJECT)
            // Ctrl-C reaches every process of a terminal's group, and SIGINT would stop the
            // gateway at once. In a group of its own it hears SIGTERM from us, and drains.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        Ok(Gateway { child, admin: ports.address(Port::ADMIN) })
    }

    /// Waits until it says that it can serve.
    pub async fn ready(&mut self) -> Result<(), String> {
        let admin = self.admin;
        let answered = async {
            while !is_ready(admin).await.unwrap_or(false) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            ended = self.child.wait() => Err(match ended {
                Ok(status) => format!("the gateway did not start: {status}"),
                Err(error) => format!("the gateway is lost: {error}"),
            }),
            answered = timeout(PATIENCE, answered) => answered
                .map_err(|_| format!("the gateway is not ready after {PATIENCE:?}")),
        }
    }

    /// Waits for it to end, and says how it did.
    pub async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Asks it to finish what it is doing and to end; whoever asks twice does not want to wait.
    pub async fn stop(mut self, stop: &mut Stop) -> Result<(), String> {
        println!("\nStopping: requests in flight may finish. Ctrl-C again stops at once.");
        // No id: it has ended and was waited for. Its id would be somebody else's by now.
        if let Some(id) = self.child.id() {
            let id = Pid::from_raw(i32::try_from(id).expect("Linux's process ids are positive"));
            kill(id, Signal::SIGTERM).map_err(|error| format!("SIGTERM was not sent: {error}"))?;
        }
        let status: ExitStatus = tokio::select! {
            ended = self.child.wait() => ended.map_err(|error| error.to_string())?,
            () = stop.asked() => {
                let killed = self.child.kill().await;
                return killed.map_err(|error| format!("the gateway is still running: {error}"));
            }
        };
        match status.success() {
            true => Ok(()),
            false => Err(format!("the gateway did not end well: {status}")),
        }
    }
}

/// The folder of the build, `target/demo` as a rule: this program is in its `examples`.
fn profile_folder() -> Result<PathBuf, String> {
    let me = std::env::current_exe().map_err(|error| format!("where am I? {error}"))?;
    let folder = me.parent().and_then(Path::parent).map(Path::to_owned);
    folder.ok_or_else(|| format!("{} is in no build folder", me.display()))
}

/// The configuration: `conf/demo.yaml`, or a copy of it with other ports.
fn configuration(ports: &Ports, profile: &Path) -> Result<PathBuf, String> {
    let original = Path::new(PROJECT).join("conf/demo.yaml");
    let yaml = std::fs::read_to_string(&original)
        .map_err(|error| format!("{} cannot be read: {error}", original.display()))?;
    let Some(moved) = ports.moved(&yaml) else {
        return Ok(original);
    };
    let copy = profile.join("demo.yaml");
    std::fs::write(&copy, moved)
        .map_err(|error| format!("{} cannot be written: {error}", copy.display()))?;
    Ok(copy)
}

/// Asks the admin listener; an error where nobody listens yet.
async fn is_ready(admin: std::net::SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}
