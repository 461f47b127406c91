//! The command line: arguments, then the library.

use clap::{Parser, Subcommand};
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
    /// Compiles a configuration as serving it would, and says what is wrong with it. Exits with 0
    /// when nothing is, else with 1.
    Check {
        /// The configuration.
        #[arg(value_name = "FILE")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { config } => run(&config),
        Command::Check { config } => check(&config),
    }
}

fn run(config: &Path) -> ExitCode {
    telemetry::log::init();
    let Some(compiled) = load(config) else {
        return ExitCode::FAILURE;
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

fn check(config: &Path) -> ExitCode {
    let Some(compiled) = load(config) else {
        return ExitCode::FAILURE;
    };
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

/// Reads and compiles, or says what is wrong.
fn load(config: &Path) -> Option<Compiled> {
    snapshot::load(config).map_err(|mistake| eprintln!("error: {mistake}")).ok()
}
