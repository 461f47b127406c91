//! What a run's figures depend on, besides the gateway: the machine, and the rivals' versions.

use crate::contender::{envoy, require};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

/// The facts of this machine; none says whose it is.
pub fn facts() -> Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, model)| model);
    json!({
        "cores": available_parallelism().map_or(0, usize::from),
        "cpu": model,
        "kernel": said("uname", &["-sr"], 2),
        "nginx": version("nginx", 3),
        "haproxy": version("haproxy", 3),
        "envoy": version_of_envoy(),
        "wrk": version("wrk", 2),
    })
}

/// The time, as files are named by it.
pub fn now() -> String {
    said("date", &["-u", "+%Y%m%dT%H%M%SZ"], 1).unwrap_or_else(|| "undated".to_owned())
}

fn version(program: &str, words: usize) -> Option<String> {
    said(require(program).ok()?.to_str()?, &["-v"], words)
}

/// Envoy says where it is, then which commit, version and kind of build it is.
fn version_of_envoy() -> Option<String> {
    let said = said(envoy().ok()?.to_str()?, &["--version"], 3)?;
    Some(format!("envoy {}", said.split('/').rev().nth(3)?))
}

/// The first words that a program says, on whichever of its outputs.
fn said(program: &str, arguments: &[&str], words: usize) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let words: Vec<_> = text.split_ascii_whitespace().take(words).collect();
    Some(words.join(" "))
}
