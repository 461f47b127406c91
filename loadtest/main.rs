//! The load test: what a request costs in the gateway, beside the floor, nginx, HAProxy and Envoy.
//!
//! Each contender in turn has a core to itself, round after round; the origin and wrk are on the
//! other cores. No round counts unless its contender has proved that it did the work. `README.md`
//! beside this file says what is measured and how to read it.

mod contender;
mod http;
mod instructions;
mod machine;
mod process;
mod proof;
mod redis;
mod report;
mod round;
mod scenario;
mod stage;
mod token;
mod wrk;

use clap::Parser;
use contender::Contender;
use report::Report;
use scenario::Scenario;
use stage::Stage;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// What went wrong, told to whoever runs the load test.
pub type Failure = Box<dyn Error>;

/// Measures what a request costs in the gateway, the floor, nginx, HAProxy and Envoy.
#[derive(Parser)]
#[command(name = "load")]
pub struct Arguments {
    /// What is asked of the contenders.
    #[arg(long, value_enum, default_value_t = Scenario::Forward)]
    scenario: Scenario,
    /// How often each contender runs.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each run is measured.
    #[arg(long, default_value_t = 6)]
    seconds: u32,
    /// How long each run is warmed up before.
    #[arg(long, default_value_t = 1)]
    warmup: u32,
    /// How many connections wrk keeps busy.
    #[arg(long, default_value_t = 64)]
    connections: u64,
    /// The core that the contenders have in turn.
    #[arg(long, default_value = "0", value_name = "CORE")]
    core: String,
    /// The cores of the origin, of wrk and of this program, as taskset reads them.
    #[arg(long, default_value = "1", value_name = "CORES")]
    load_cores: String,
    /// The contenders; if none are named: gateway, floor, nginx and haproxy in `forward`, else
    /// gateway, gateway-plain (with limits: gateway-unlimited), haproxy and envoy.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Contender>,
    /// How many tokens `full-new` has for each of its rounds; if it is not said, 80,000 for each
    /// second.
    #[arg(long)]
    tokens: Option<u64>,
    /// How many keys the requests of `limited-redis` have, in turn.
    #[arg(long, default_value_t = 1000)]
    keys: u64,
    /// Lets nginx and HAProxy forward and do no more: no id, no forwarded headers, no log.
    #[arg(long)]
    plain: bool,
    /// Leaves out the contenders that are not installed.
    #[arg(long)]
    allow_missing: bool,
    /// Counts instructions under valgrind instead of measuring time: the gateway and the floor.
    #[arg(long)]
    instructions: bool,
    /// How many requests the instructions are counted over.
    #[arg(long, default_value_t = 20_000)]
    requests: u64,
    /// How many requests a first count takes, which is then subtracted: what starting costs.
    #[arg(long, default_value_t = 2_000)]
    baseline: u64,
    /// The gateway's program, if it is not the one that was built beside this.
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
    /// Where the raw figures are written.
    #[arg(long, value_name = "DIRECTORY", default_value = "loadtest/runs")]
    runs: PathBuf,
}

impl Arguments {
    /// How many tokens wrk is to find in its file: more than any contender answers requests in a
    /// round.
    fn tokens(&self) -> u64 {
        // Instructions are counted without wrk.
        if self.instructions {
            return 0;
        }
        self.tokens.unwrap_or(80_000 * u64::from(self.warmup + self.seconds))
    }
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse() {
        arguments if arguments.instructions => instructions::count(arguments),
        arguments => measure(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(mut arguments: Arguments) -> Result<(), Failure> {
    scenario::settle(&mut arguments)?;
    let facts = machine::facts();
    process::move_to(&arguments.load_cores)?;
    contender::require("wrk")?;
    contender::present(&mut arguments)?;
    let stage = Stage::set(&arguments)?;
    let mut report = Report::begin(&arguments, &facts)?;
    for number in 1..=arguments.rounds {
        for &contender in &arguments.only {
            let round = round::run(&stage, &arguments, contender)
                .map_err(|failure| format!("{contender}, round {number}: {failure}"))?;
            report.add(contender, number, round)?;
        }
    }
    report.end()
}
