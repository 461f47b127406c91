//! One contender's turn: started, proved, warmed up, measured, proved again, stopped.

use super::{Arguments, Failure};
use crate::contender::{Contender, Start};
use crate::http::{self, Client};
use crate::process::{Memory, Process};
use crate::proof;
use crate::stage::{Stage, lines_of, settled};
use crate::wrk::{self, Seen};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How long a contender may take to start.
const PATIENCE: Duration = Duration::from_secs(20);
/// What the gateway counts requests in.
const REQUESTS: &str = "gateway_requests_total";

/// What a turn gave.
#[derive(Debug, Clone)]
pub struct Round {
    /// Microseconds of the contender's own time in its code, for each request.
    pub user: f64,
    /// Microseconds of it in the kernel.
    pub system: f64,
    /// How much of its core the contender used.
    pub busy: f64,
    /// For how much of the time something else had that core.
    pub queued: f64,
    /// How often the contender waited for something to do, for each request: the less it is
    /// loaded, the more often it is woken for few of them, and each time costs.
    pub waits: f64,
    /// What wrk saw.
    pub seen: Seen,
    /// How many calls a store got, for each request, where there is one.
    pub calls: Option<f64>,
    /// The contender's memory at the end.
    pub memory: Memory,
}

impl Round {
    /// Microseconds of the contender's time for each request.
    pub fn cpu(&self) -> f64 {
        self.user + self.system
    }
}

/// Runs one contender's turn.
pub fn run(stage: &Stage, arguments: &Arguments, contender: Contender) -> Result<Round, Failure> {
    let start = contender.start(stage, arguments)?;
    let sunk = stage.sunk.load(Relaxed);
    let output = stage.path(&format!("{contender}.log"));
    let mut process = Process::start(&start.command, &arguments.core, &output)?;
    http::wait_for(start.port, &stage.tokens.fields(0), &mut process, PATIENCE)?;
    let proved = 1 + proof::prove(stage, arguments, contender, start.port)?;
    let mut used = proof::tokens_used();
    let load = |used, seconds| {
        wrk::load(start.port, &stage.tokens.carried(used), arguments.connections, seconds)
    };
    let warmed = match arguments.warmup {
        0 => 0,
        seconds => load(used, seconds)?.requests,
    };
    // wrk makes one request to see whether it can, and does not wait for the last on a connection.
    used += warmed + arguments.connections + 1;

    let (before, waited, queued) = (process.cpu()?, process.waits()?, process.queued());
    let calls = || stage.redis.as_ref().map(|redis| redis.calls()).transpose();
    let called = calls()?;
    let began = Instant::now();
    let seen = load(used, arguments.seconds)?;
    let took = began.elapsed();
    let (after, waits) = (process.cpu()?, process.waits()? - waited);
    let called = calls()?.zip(called).map(|(after, before)| after.saturating_sub(before));
    let queued = process.queued().saturating_sub(queued);
    let memory = process.memory()?;

    if contender.works(arguments.plain) {
        let least = proved + warmed + seen.requests;
        // At the end of each of its runs wrk leaves an unanswered request on every connection.
        let most = least + 2 * arguments.connections;
        account(stage, &start, sunk, least..=most)?;
    }
    process.must_run()?;
    process.stop();

    let each = |part: Duration| part.as_secs_f64() * 1e6 / seen.requests as f64;
    let (user, system) = (after.user - before.user, after.system - before.system);
    Ok(Round {
        user: each(user),
        system: each(system),
        busy: (user + system).as_secs_f64() / took.as_secs_f64(),
        queued: queued.as_secs_f64() / took.as_secs_f64(),
        waits: waits as f64 / seen.requests as f64,
        calls: called.map(|calls| calls as f64 / seen.requests as f64),
        seen,
        memory,
    })
}

/// Proves that each request was written down, and by the gateway counted too.
fn account(
    stage: &Stage,
    start: &Start,
    sunk: u64,
    requests: std::ops::RangeInclusive<u64>,
) -> Result<(), Failure> {
    let least = *requests.start();
    let (lines, may_lose) = match &start.log {
        Some(log) => (lines_of(log, least), 0),
        // HAProxy loses lines that it has made if the sink does not keep up with its ring.
        None => (settled(least, || stage.sunk.load(Relaxed) - sunk), least / 10),
    };
    if !(least - may_lose..=*requests.end()).contains(&lines) {
        return Err(format!("{least} requests, but {lines} lines in its log").into());
    }
    if let Some(admin) = start.admin {
        let counted = settled(least, || counted(admin).unwrap_or_default());
        if !requests.contains(&counted) {
            return Err(format!("{least} requests, but {counted} in its metrics").into());
        }
    }
    Ok(())
}

/// The requests that the gateway's metrics count.
fn counted(admin: u16) -> Result<u64, Failure> {
    let answer = Client::connect(admin)?.get("/metrics", &[])?;
    let text = String::from_utf8(answer.body)?;
    let samples = text.lines().filter(|line| {
        line.strip_prefix(REQUESTS).is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(values.sum::<f64>() as u64)
}
