//! The command line: arguments, then the library.

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use sluicegate::config::{Report, schema};
use sluicegate::console::Console;
use sluicegate::server::{self, End};
use sluicegate::shared::Shared;
use sluicegate::snapshot::{self, Compiled, Overview};
use sluicegate::{telemetry, version};
use std::io::{ErrorKind, Write};
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
    /// Prints the routes of a configuration in the order in which they are tried, with the policies
    /// that hold for each and where each comes from.
    Routes {
        /// The configuration.
        #[arg(value_name = "FILE")]
        config: PathBuf,
        /// How it is said.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Shows the limits of a gateway that runs, or how one caller stands with one of them.
    ///
    /// Exits with 1 when the gateway cannot be asked, or does not know the limit.
    RateLimits {
        /// The configuration that it runs with: it says where its admin listener is.
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
        /// A limit, by its name or by its scope and name (`routes.login:attempts`).
        #[arg(requires = "key")]
        limit: Option<String>,
        /// The caller: what the limit's key becomes for it, such as its address.
        #[arg(long)]
        key: Option<String>,
        /// The tier that the caller is in, where the limit has tiers.
        #[arg(long)]
        tier: Option<String>,
        /// Lets the caller begin anew.
        #[arg(long, requires = "limit", conflicts_with = "tier")]
        reset: bool,
    },
    /// Prints the JSON Schema (draft 2020-12) of configurations, for editors.
    Schema {
        /// As a schema, or as a reference to read.
        #[arg(long, value_enum, default_value_t)]
        format: SchemaFormat,
    },
    /// Prints what makes a shell complete this program's arguments.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Prints the manual page.
    Man,
}

/// How the schema is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum SchemaFormat {
    /// JSON Schema.
    #[default]
    Json,
    /// A reference in Markdown.
    Markdown,
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
        Command::Routes { config, format } => routes(&config, format),
        Command::RateLimits { config, limit, key, tier, reset } => {
            let asked = Console::of(&config).and_then(|console| match limit.zip(key) {
                None => console.limits().map(Some),
                Some((limit, key)) if reset => console.reset(&limit, &key).map(|()| None),
                Some((limit, key)) => console.caller(&limit, &key, tier.as_deref()).map(Some),
            });
            match asked {
                Ok(Some(answer)) => print(format!("{answer:#}\n").as_bytes()),
                Ok(None) => ExitCode::SUCCESS,
                Err(error) => fail(&error),
            }
        }
        Command::Schema { format } => schema(format),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "sluicegate", &mut text);
            print(&text)
        }
        Command::Man => {
            let mut text = Vec::new();
            match clap_mangen::Man::new(Arguments::command()).render(&mut text) {
                Ok(()) => print(&text),
                Err(error) => fail(&error),
            }
        }
    }
}

fn run(config: &Path) -> ExitCode {
    telemetry::log::init();
    let compiled = match snapshot::load(config, &Shared::default()) {
        Ok((compiled, remarks)) => {
            eprint!("{remarks}");
            compiled
        }
        Err(report) => return refuse(&report),
    };
    match server::run(compiled) {
        Ok(End::Drained) => ExitCode::SUCCESS,
        Ok(End::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => fail(&error),
    }
}

fn check(config: &Path, format: Format) -> ExitCode {
    let loaded = snapshot::load(config, &Shared::default());
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

fn routes(config: &Path, format: Format) -> ExitCode {
    match (Overview::read(config), format) {
        (Ok(overview), Format::Text) => print(overview.to_string().as_bytes()),
        (Ok(overview), Format::Json) => match serde_json::to_string_pretty(&overview) {
            Ok(json) => print(format!("{json}\n").as_bytes()),
            Err(error) => fail(&error),
        },
        (Err(report), _) => refuse(&report),
    }
}

fn schema(format: SchemaFormat) -> ExitCode {
    match format {
        SchemaFormat::Markdown => print(schema::reference().as_bytes()),
        SchemaFormat::Json => match serde_json::to_string_pretty(&schema::schema()) {
            Ok(json) => print(format!("{json}\n").as_bytes()),
            Err(error) => fail(&error),
        },
    }
}

/// Prints to standard output. Who stops reading (`| head`) has read enough.
fn print(text: &[u8]) -> ExitCode {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => fail(&error),
        _ => ExitCode::SUCCESS,
    }
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
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
