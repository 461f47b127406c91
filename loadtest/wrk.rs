//! wrk: started, and what it says understood.

use super::Failure;
use crate::contender::require;
use crate::proof::PATH;
use crate::token::Carried;
use serde_json::json;
use std::process::Command;

/// What wrk saw.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Requests that were answered.
    pub requests: u64,
    /// Requests a second.
    pub rate: f64,
    /// Half of the answers came within so many milliseconds.
    pub p50: f64,
    /// 99 of a hundred answers came within so many milliseconds.
    pub p99: f64,
}

/// What makes requests that carry new tokens.
const NEW_TOKENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/loadtest/conf/tokens.lua");
/// What makes requests of many keys.
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/loadtest/conf/keys.lua");

/// Loads a port, and fails on any error.
pub fn load(
    port: u16,
    carried: &Carried<'_>,
    connections: u64,
    seconds: u32,
) -> Result<Seen, Failure> {
    let mut command = Command::new(require("wrk")?);
    command
        .args(["--latency", "--threads", "1"])
        .args(["--connections", &connections.to_string()])
        .args(["--duration", &format!("{seconds}s")]);
    let url = format!("http://127.0.0.1:{port}{PATH}");
    match carried {
        Carried::Nothing => command.arg(url),
        Carried::Same(token) => {
            command.args(["--header", &format!("Authorization: Bearer {token}"), &url])
        }
        Carried::Keyed { token, keys } => {
            command.args(["--script", KEYS, &url, "--", token, &keys.to_string()])
        }
        Carried::New { file, offset } => {
            command.args(["--script", NEW_TOKENS, &url, "--"]).arg(file).arg(offset.to_string())
        }
    };
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("wrk: {said}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    understand(&said).ok_or_else(|| format!("wrk says: {said}").into())
}

/// Nothing if it tells of errors.
fn understand(said: &str) -> Option<Seen> {
    if said.contains("Socket errors") || said.contains("Non-2xx") {
        return None;
    }
    let after = |label: &str| {
        let line = said.lines().map(str::trim).find_map(|line| line.strip_prefix(label));
        line.map(str::trim)
    };
    let requests = said.lines().find(|line| line.contains(" requests in "))?;
    Some(Seen {
        requests: requests.split_ascii_whitespace().next()?.parse().ok()?,
        rate: after("Requests/sec:")?.parse().ok()?,
        p50: milliseconds(after("50%")?)?,
        p99: milliseconds(after("99%")?)?,
    })
}

fn milliseconds(text: &str) -> Option<f64> {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)];
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    Some(number.parse::<f64>().ok()? * factor)
}

impl Seen {
    /// As it stands in the raw figures.
    pub fn json(&self) -> serde_json::Value {
        json!({
            "requests": self.requests, "per_second": self.rate,
            "p50_ms": self.p50, "p99_ms": self.p99,
        })
    }
}
