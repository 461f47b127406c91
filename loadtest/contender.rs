//! Who is measured, and how each is started.

use super::{Arguments, Failure};
use crate::scenario::Scenario;
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
    /// The same as in `full` without its auth: tokens go through unread.
    GatewayPlain,
    /// The same as in `limited` without its limit.
    GatewayUnlimited,
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
    /// Envoy.
    Envoy,
}

/// One thread, nothing but trouble said, and what it has logged written once a second, not every
/// ten seconds.
const ENVOY_ARGUMENTS: [&str; 7] = [
    "--concurrency",
    "1",
    "--log-level",
    "error",
    "--file-flush-interval-msec",
    "1000",
    "--disable-hot-restart",
];

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
            Contender::GatewayPlain => "gateway-plain",
            Contender::GatewayUnlimited => "gateway-unlimited",
            Contender::Floor => "floor",
            Contender::FloorServices => "floor-services",
            Contender::FloorUnbuffered => "floor-unbuffered",
            Contender::Nginx => "nginx",
            Contender::HAProxy => "haproxy",
            Contender::Envoy => "envoy",
        }
    }

    /// Whether it is asked for more than forwarding: an id, forwarded headers, a line in a log.
    pub fn works(self, plain: bool) -> bool {
        match self {
            Contender::Gateway
            | Contender::GatewayGuarded
            | Contender::GatewayPlain
            | Contender::GatewayUnlimited
            | Contender::Envoy => true,
            Contender::Nginx | Contender::HAProxy => !plain,
            Contender::Floor | Contender::FloorServices | Contender::FloorUnbuffered => false,
        }
    }

    /// Whether it lets in nobody without a good token, and tells the origin whose it is.
    pub fn checks_tokens(self, scenario: Scenario) -> bool {
        let able = matches!(
            self,
            Contender::Gateway
                | Contender::GatewayUnlimited
                | Contender::HAProxy
                | Contender::Envoy
        );
        able && scenario.has_tokens()
    }

    /// The template of its configuration, if it has one.
    fn template(self, arguments: &Arguments) -> Option<&'static str> {
        Some(match (self, arguments.scenario.has_tokens()) {
            (Contender::Gateway, false) => "sluicegate.yaml",
            (Contender::Gateway | Contender::GatewayUnlimited, _) => "sluicegate.full.yaml",
            (Contender::GatewayPlain, _) => "sluicegate.full-plain.yaml",
            (Contender::GatewayGuarded, _) => "sluicegate.guarded.yaml",
            (Contender::Nginx, _) if arguments.plain => "nginx.plain.conf",
            (Contender::Nginx, _) => "nginx.conf",
            (Contender::HAProxy, true) => "haproxy.full.cfg",
            (Contender::HAProxy, false) if arguments.plain => "haproxy.plain.cfg",
            (Contender::HAProxy, false) => "haproxy.cfg",
            (Contender::Envoy, _) => "envoy.full.yaml",
            (Contender::Floor | Contender::FloorServices | Contender::FloorUnbuffered, _) => {
                return None;
            }
        })
    }

    /// Says how it is started; its configuration is written.
    pub fn start(self, stage: &Stage, arguments: &Arguments) -> Result<Start, Failure> {
        let port = stage.free_port()?;
        let mut start = Start { command: Vec::new(), port, admin: None, log: None };
        let mut config = OsString::new();
        if let Some(template) = self.template(arguments) {
            let log = stage.path(&format!("{self}-access.log"));
            // A run's log is counted, so each begins with none.
            drop(std::fs::remove_file(&log));
            start.admin = if self.is_gateway() { Some(stage.free_port()?) } else { None };
            let limits = arguments.scenario.limits(self);
            config = stage.config(template, port, start.admin, &log, limits)?.into();
            // HAProxy's lines go to a sink of ours.
            let writes_a_file = self.works(arguments.plain) && self != Contender::HAProxy;
            start.log = writes_a_file.then_some(log);
        }
        let program = self.program(arguments)?.into_os_string();
        start.command = match self {
            Contender::Gateway
            | Contender::GatewayGuarded
            | Contender::GatewayPlain
            | Contender::GatewayUnlimited => {
                vec![program, "run".into(), "-c".into(), config]
            }
            Contender::Floor => stage.floor(port, &["--door=loop", "--write-buffer=8192"]),
            Contender::FloorServices => stage.floor(port, &["--door=services"]),
            Contender::FloorUnbuffered => stage.floor(port, &["--door=loop", "--write-buffer=0"]),
            Contender::Nginx => {
                let errors = stage.path("nginx-errors.log").into();
                vec![program, "-e".into(), errors, "-c".into(), config]
            }
            Contender::HAProxy => vec![program, "-db".into(), "-f".into(), config],
            Contender::Envoy => {
                let mut command = vec![program, "-c".into(), config];
                command.extend(ENVOY_ARGUMENTS.map(OsString::from));
                command
            }
        };
        Ok(start)
    }

    fn is_gateway(self) -> bool {
        matches!(
            self,
            Contender::Gateway
                | Contender::GatewayGuarded
                | Contender::GatewayPlain
                | Contender::GatewayUnlimited
        )
    }

    fn program(self, arguments: &Arguments) -> Result<PathBuf, Failure> {
        let built = |path: PathBuf| match path.is_file() {
            true => Ok(path),
            false => Err(format!("{} is not built: `make load` builds it", path.display()).into()),
        };
        match self {
            _ if self.is_gateway() => built(gateway(arguments)),
            Contender::Nginx => require("nginx"),
            Contender::HAProxy => require("haproxy"),
            Contender::Envoy => envoy(),
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

/// Envoy's program: the one that `make load` installs into the build's folder, which Debian does
/// not have, or an installed one.
pub fn envoy() -> Result<PathBuf, Failure> {
    let own = beside().join("../../envoy/bin/envoy");
    if own.is_file() {
        return Ok(own);
    }
    require("envoy").map_err(|_| "envoy is not installed: `make load` installs it".into())
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
