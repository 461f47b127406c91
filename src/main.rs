//! The command line: arguments, then the library.

use clap::{Parser, Subcommand, ValueEnum};
use sluicegate::config::Report;
use sluicegate::server::{self, End};
use sluicegate::snapshot::{self, Compiled};
use sluicegate::{telemetry, version};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Pages of small objects that come and go with each request are what this allocator is fast at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a shell reports of a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// An API gateway on Pingora: one YAML file, one process, one thread per core.
#[derive(Parser)]
#[command(name = "sluicegate", version = version::TEXT)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves what a configuration says, until SIGTERM (drains) or SIGINT (stops at once).
    Run {
        /// The configuration.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Compiles a configuration as serving it would, and says what is wrong with it.
    ///
    /// Exits with 0 when nothing is, even if there is something to remark; with 1 when the
    /// configuration cannot be served or read; with 2 when the command line is wrong.
    Check {
        /// The configuration.
        #[arg(value_name = "FILE")]
        config: PathBuf,
        /// How it is said.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// How something is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document.
    Json,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { config } => run(&config),
        Command::Check { config, format } => check(&config, format),
    }
}

fn run(config: &Path) -> ExitCode {
    telemetry::log::init();
    let compiled = match snapshot::load(config) {
        Ok((compiled, remarks)) => {
            eprint!("{remarks}");
            compiled
        }
        Err(report) => return refuse(&report),
    };
    match server::run(compiled) {
        Ok(End::Drained) => ExitCode::SUCCESS,
        Ok(End::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(config: &Path, format: Format) -> ExitCode {
    let loaded = snapshot::load(config);
    if format == Format::Json {
        let (ok, report) = match &loaded {
            Ok((_, remarks)) => (true, remarks),
            Err(report) => (false, report),
        };
        println!("{}", serde_json::json!({ "ok": ok, "mistakes": report.0 }));
        return if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let (compiled, remarks) = match loaded {
        Ok(sound) => sound,
        Err(report) => return refuse(&report),
    };
    eprint!("{remarks}");
    let Compiled { snapshot, process } = compiled;
    println!(
        "{}: ok: {} listeners, {} routes, {} services",
        config.display(),
        process.doors.len(),
        snapshot.routes.len(),
        snapshot.services.len()
    );
    ExitCode::SUCCESS
}

/// Says what is wrong with a configuration.
fn refuse(report: &Report) -> ExitCode {
    eprint!("{report}");
    let count = report.errors();
    if count > 1 {
        eprintln!("{count} errors");
    }
    ExitCode::FAILURE
}
