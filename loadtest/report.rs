//! The figures: each round's as it comes, the medians at the end, all of them in a file.

use super::{Arguments, Failure};
use crate::contender::Contender;
use crate::machine;
use crate::round::Round;
use crate::scenario::Scenario;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

/// The figures of a run.
pub struct Report {
    path: PathBuf,
    file: File,
    scenario: Scenario,
    rounds: Vec<(Contender, Round)>,
    contenders: Vec<Contender>,
}

impl Report {
    /// Begins a run's file.
    pub fn begin(arguments: &Arguments, machine: &Value) -> Result<Report, Failure> {
        fs::create_dir_all(&arguments.runs)?;
        let path = arguments.runs.join(format!("{}.jsonl", machine::now()));
        let file = File::create(&path)?;
        let contenders = arguments.only.clone();
        let scenario = arguments.scenario;
        let mut report = Report { path, file, scenario, rounds: Vec::new(), contenders };
        report.write(&json!({
            "kind": "run", "machine": machine, "scenario": scenario.name(), "rounds": arguments.rounds,
            "seconds": arguments.seconds, "warmup": arguments.warmup,
            "connections": arguments.connections, "plain": arguments.plain,
        }))?;
        Ok(report)
    }

    /// Adds a round.
    pub fn add(
        &mut self,
        contender: Contender,
        number: usize,
        round: Round,
    ) -> Result<(), Failure> {
        let calls = round.calls.map(|calls| format!(", {calls:.4} calls of the store a request"));
        let calls = calls.unwrap_or_default();
        println!(
            "{number}  {contender:<17} {:6.2} µs  {:6.0}/s  core {:3.0} %, others {:3.0} %{calls}",
            round.cpu(),
            round.seen.rate,
            round.busy * 100.0,
            round.queued * 100.0,
        );
        self.write(&json!({
            "kind": "round", "round": number, "contender": contender.name(),
            "cpu_us": round.cpu(), "user_us": round.user, "system_us": round.system,
            "busy": round.busy, "others": round.queued, "waits": round.waits, "wrk": round.seen.json(),
            "store_calls": round.calls,
            "peak_rss_bytes": round.memory.peak, "pss_bytes": round.memory.proportional,
        }))?;
        self.rounds.push((contender, round));
        Ok(())
    }

    /// Prints the medians.
    pub fn end(mut self) -> Result<(), Failure> {
        println!("\nMedians; CPU µs per request, times what the others need:\n");
        let against = self.scenario.against();
        let [one, two, three] = against.map(|(column, _)| column);
        println!(
            "{:<17} {:>6} {:>6} {:>6} {:>13} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>5} {:>6} {:>6} {:>7} {:>7}",
            "contender",
            "CPU",
            "user",
            "system",
            "least..most",
            one,
            two,
            three,
            "req/s",
            "p50 ms",
            "p99 ms",
            "core",
            "others",
            "waits",
            "RSS MiB",
            "PSS MiB",
        );
        for contender in self.contenders.clone() {
            let median = |of: fn(&Round) -> f64| self.median(contender, of);
            let (least, most) = self.extremes(contender);
            let ratio = |(_, other)| match self.median(other, Round::cpu) {
                0.0 => "-".to_owned(),
                cpu => format!("{:.2}", median(Round::cpu) / cpu),
            };
            let [one, two, three] = against.map(ratio);
            println!(
                "{contender:<17} {:6.2} {:6.2} {:6.2} {:>13} {one:>7} {two:>8} {three:>8} \
                 {:8.0} {:8.2} {:8.2} {:>4.0}% {:>5.0}% {:6.3} {:7.1} {:7.1}",
                median(Round::cpu),
                median(|round| round.user),
                median(|round| round.system),
                format!("{least:.2}..{most:.2}"),
                median(|round| round.seen.rate),
                median(|round| round.seen.p50),
                median(|round| round.seen.p99),
                median(|round| round.busy) * 100.0,
                median(|round| round.queued) * 100.0,
                median(|round| round.waits),
                median(|round| round.memory.peak as f64) / f64::from(1 << 20),
                median(|round| round.memory.proportional as f64) / f64::from(1 << 20),
            );
        }
        let medians: serde_json::Map<_, _> = self
            .contenders
            .iter()
            .map(|&each| (each.name().to_owned(), self.median(each, Round::cpu).into()))
            .collect();
        self.write(&json!({"kind": "medians", "cpu_us": medians}))?;
        println!("\nEach round: {}", self.path.display());
        Ok(())
    }

    /// Zero if the contender did not run.
    fn median(&self, contender: Contender, of: fn(&Round) -> f64) -> f64 {
        let values = self.values(contender, of);
        match values.len() {
            0 => 0.0,
            length if length % 2 == 1 => values[length / 2],
            length => (values[length / 2 - 1] + values[length / 2]) / 2.0,
        }
    }

    fn extremes(&self, contender: Contender) -> (f64, f64) {
        let values = self.values(contender, Round::cpu);
        let end = |value: Option<&f64>| value.copied().unwrap_or_default();
        (end(values.first()), end(values.last()))
    }

    /// In ascending order.
    fn values(&self, contender: Contender, of: fn(&Round) -> f64) -> Vec<f64> {
        let of_contender = self.rounds.iter().filter(|(other, _)| *other == contender);
        let mut values: Vec<_> = of_contender.map(|(_, round)| of(round)).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    fn write(&mut self, line: &Value) -> std::io::Result<()> {
        writeln!(self.file, "{line}")
    }
}
