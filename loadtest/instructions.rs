//! Instructions per request, for differences that are too small for a clock.
//!
//! The gateway and the floor run under valgrind's callgrind, first for a few requests and then
//! for many; what the second count has more is the requests' own.

use super::{Arguments, Failure};
use crate::contender::{self, Contender};
use crate::http::{self, Client};
use crate::process::{self, Process};
use crate::proof;
use crate::scenario;
use crate::stage::Stage;
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

/// How long a contender may take to start, slowed down as it is.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many connections ask in step: enough for wake-ups to be shared as under load.
const CONNECTIONS: u64 = 16;
/// Valgrind counts a string instruction once for each byte that it moves, which says nothing of
/// what it costs; without these the C library copies by vectors.
const NO_STRING_INSTRUCTIONS: &str = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-ERMS,-FSRM";

/// Counts and prints.
pub fn count(mut arguments: Arguments) -> Result<(), Failure> {
    if arguments.requests <= arguments.baseline {
        return Err("--requests must be more than --baseline".into());
    }
    scenario::settle(&mut arguments)?;
    arguments
        .only
        .retain(|each| !matches!(each, Contender::Nginx | Contender::HAProxy | Contender::Envoy));
    process::move_to(&arguments.load_cores)?;
    contender::require("valgrind")?;
    contender::present(&mut arguments)?;
    let stage = Stage::set(&arguments)?;
    println!("Instructions per request in user space, under callgrind:\n");
    for &contender in &arguments.only {
        let few = run(&stage, &arguments, contender, arguments.baseline)?;
        let many = run(&stage, &arguments, contender, arguments.requests)?;
        let requests = in_step(arguments.requests) - in_step(arguments.baseline);
        println!("{contender:<17} {:8.0}", (many - few) as f64 / requests as f64);
    }
    Ok(())
}

/// What one process executes to serve so many requests.
fn run(
    stage: &Stage,
    arguments: &Arguments,
    contender: Contender,
    requests: u64,
) -> Result<u64, Failure> {
    let start = contender.start(stage, arguments)?;
    let counts = stage.path("callgrind.out");
    let mut command: Vec<OsString> =
        ["env", NO_STRING_INSTRUCTIONS, "valgrind", "--tool=callgrind"].map(Into::into).into();
    command.push(format!("--callgrind-out-file={}", counts.display()).into());
    command.extend(start.command);
    let output = stage.path(&format!("{contender}.log"));
    let mut process = Process::start(&command, &arguments.core, &output)?;
    http::wait_for(start.port, &stage.tokens.fields(0), &mut process, PATIENCE)?;
    proof::prove(stage, arguments, contender, start.port)?;

    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Client::connect(start.port)?);
    }
    let mut used = proof::tokens_used();
    for _ in 0..in_step(requests) / CONNECTIONS {
        for client in &mut clients {
            client.ask(proof::PATH, &stage.tokens.fields(used))?;
            used += 1;
        }
        for client in &mut clients {
            let answer = client.answer()?;
            if answer.status != 200 || answer.body != stage.body {
                return Err(format!("{contender} answers {}", answer.status).into());
            }
        }
    }
    process.must_run()?;
    process.stop();

    let counts = fs::read_to_string(counts)?;
    let total = counts
        .lines()
        .find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    Ok(total.ok_or("callgrind gave no total")?.trim().parse()?)
}

/// The requests that are asked when each connection asks equally often.
fn in_step(requests: u64) -> u64 {
    requests / CONNECTIONS * CONNECTIONS
}
