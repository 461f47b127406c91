//! Who is measured, and how each is started.

use super::{Arguments, Failure};
use crate::stage::Stage;
use clap::ValueEnum;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// Sluicegate.
    Gateway,
    /// The same with health checks, ejection, a retry policy and a circuit breaker.
    GatewayGuarded,
    /// Pingora with nothing on it, behind a door like the gateway's.
    Floor,
    /// The same behind Pingora's own door.
    FloorServices,
    /// The same behind an accept loop that leaves Pingora's streams as they are.
    FloorUnbuffered,
    /// nginx.
    Nginx,
    /// HAProxy.
    #[value(name = "haproxy")]
    HAProxy,
}

/// How a contender is started, and where it is then found.
pub struct Start {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// The port that it serves on.
    pub port: u16,
    /// The gateway's admin port.
    pub admin: Option<u16>,
    /// The file that it writes its log to.
    pub log: Option<PathBuf>,
}

impl Contender {
    /// The name that it has in arguments and tables.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Gateway => "gateway",
            Contender::GatewayGuarded => "gateway-guarded",
            Contender::Floor => "floor",
            Contender::FloorServices => "floor-services",
            Contender::FloorUnbuffered => "floor-unbuffered",
            Contender::Nginx => "nginx",
            Contender::HAProxy => "haproxy",
        }
    }

    /// Whether it is asked for more than forwarding: an id, forwarded headers, a line in a log.
    pub fn works(self, plain: bool) -> bool {
        match self {
            Contender::Gateway | Contender::GatewayGuarded => true,
            Contender::Nginx | Contender::HAProxy => !plain,
            Contender::Floor | Contender::FloorServices | Contender::FloorUnbuffered => false,
        }
    }

    /// Says how it is started; its configuration is written.
    pub fn start(self, stage: &Stage, arguments: &Arguments) -> Result<Start, Failure> {
        let port = stage.free_port()?;
        let mut start = Start { command: Vec::new(), port, admin: None, log: None };
        let mut config = |template, admin| {
            let log = stage.path(&format!("{self}-access.log"));
            // A run's log is counted, so each begins with none.
            drop(std::fs::remove_file(&log));
            let file = stage.config(template, port, admin, &log)?;
            start.admin = admin;
            start.log = self.works(arguments.plain).then_some(log);
            Ok::<OsString, Failure>(file.into())
        };
        start.command = match self {
            Contender::Gateway | Contender::GatewayGuarded => {
                let template = match self {
                    Contender::GatewayGuarded => "sluicegate.guarded.yaml",
                    _ => "sluicegate.yaml",
                };
                let file = config(template, Some(stage.free_port()?))?;
                let program = gateway(arguments).into_os_string();
                vec![program, "run".into(), "-c".into(), file]
            }
            Contender::Floor => stage.floor(port, &["--door=loop", "--write-buffer=8192"]),
            Contender::FloorServices => stage.floor(port, &["--door=services"]),
            Contender::FloorUnbuffered => stage.floor(port, &["--door=loop", "--write-buffer=0"]),
            Contender::Nginx => {
                let template = if arguments.plain { "nginx.plain.conf" } else { "nginx.conf" };
                let file = config(template, None)?;
                let errors = stage.path("nginx-errors.log").into();
                vec![require("nginx")?.into(), "-e".into(), errors, "-c".into(), file]
            }
            Contender::HAProxy => {
                let template = if arguments.plain { "haproxy.plain.cfg" } else { "haproxy.cfg" };
                let file = config(template, None)?;
                // Its lines go to a sink of ours.
                start.log = None;
                vec![require("haproxy")?.into(), "-db".into(), "-f".into(), file]
            }
        };
        Ok(start)
    }

    fn program(self, arguments: &Arguments) -> Result<PathBuf, Failure> {
        let built = |path: PathBuf| match path.is_file() {
            true => Ok(path),
            false => Err(format!("{} is not built: `make load` builds it", path.display()).into()),
        };
        match self {
            Contender::Gateway | Contender::GatewayGuarded => built(gateway(arguments)),
            Contender::Nginx => require("nginx"),
            Contender::HAProxy => require("haproxy"),
            _ => built(floor()),
        }
    }
}

impl Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The gateway's program.
pub fn gateway(arguments: &Arguments) -> PathBuf {
    arguments.gateway.clone().unwrap_or_else(|| beside().join("../sluicegate"))
}

/// The floor's program.
pub fn floor() -> PathBuf {
    beside().join("floor")
}

/// The directory of this program, where cargo puts the examples.
fn beside() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.parent().map(Path::to_owned).unwrap_or_default()
}

/// Sees to it that all contenders can be started, or leaves those out that cannot.
pub fn present(arguments: &mut Arguments) -> Result<(), Failure> {
    let missing: Vec<_> = arguments
        .only
        .iter()
        .filter_map(|&contender| Some((contender, contender.program(arguments).err()?)))
        .collect();
    for (contender, failure) in missing {
        if !arguments.allow_missing {
            return Err(format!("{failure}; --allow-missing leaves {contender} out").into());
        }
        eprintln!("left out: {failure}");
        arguments.only.retain(|&other| other != contender);
    }
    Ok(())
}

/// Finds an installed program. Not every user's path has the directories of servers.
pub fn require(program: &str) -> Result<PathBuf, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
        .ok_or_else(|| {
            let package = if program == "nginx" { "nginx-light" } else { program };
            format!("{program} is not installed: apt-get install {package}").into()
        })
}
