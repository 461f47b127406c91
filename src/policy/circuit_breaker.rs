//! When nobody asks a service for a while, and what answers meanwhile. The proxy's stages ask the
//! breaker for leave, and tell it what became of each attempt.

use super::{Build, Kind};
use crate::answer::respond::{self, Respond};
use crate::upstream::breaker::{FailureRate, Settings};
use crate::value::{self, Fields, Invalid, Name, Percent, Reference, Template};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// The window's tenths are counted by a number that must not come round too soon.
const SHORTEST_WINDOW: Duration = Duration::from_secs(1);

/// How many requests a share is made of where nothing else is said.
const MIN_REQUESTS: u32 = 20;

/// When a service is not asked any more: after too many failures, or too large a share of them,
/// until a few requests have shown that it is back. A failure is an attempt that found no
/// connection, was not answered in time or broke off, or an answer with a status of 5xx.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CircuitBreaker")]
pub struct Config {
    /// How many failures within `window` open the circuit, whatever succeeds between them. 5 where
    /// it and `failure_rate` are left out; where only `failure_rate` is given, no number does.
    pub failures: Option<u32>,
    /// The share of the requests within `window` that opens the circuit when it fails, looked at
    /// with each failure; no share where it is left out. Beside `failures`, whichever comes first.
    pub failure_rate: Option<Percent>,
    /// How many requests `window` must hold before `failure_rate` counts. 20 where it is left out.
    pub min_requests: Option<u32>,
    /// For how long an outcome counts, from 1 second; it may count for a tenth longer. 60 seconds
    /// where it is left out.
    pub window: Option<value::Duration>,
    /// How long an open circuit refuses before it lets a probe in. It does not grow when probes
    /// fail. 30 seconds where it is left out.
    pub open_for: Option<value::Duration>,
    /// How many probes must succeed in a row to close the circuit; one that fails opens it again.
    /// 3 where it is left out.
    pub successes: Option<u32>,
    /// How many probes may be under way at once. 1 where it is left out.
    pub probes: Option<u32>,
    /// How long the head of an answer may take; a slower one counts as a failure, and reaches the
    /// client all the same. No limit where it is left out.
    pub slow_after: Option<value::Duration>,
    /// Whether each endpoint has a circuit of its own, so that one that fails leaves the others in
    /// use. One circuit for the whole service where it is left out.
    pub per_endpoint: bool,
    /// What answers while the circuit is open; a problem document with status 503 and `Retry-After`
    /// where it is left out.
    pub fallback: Option<FallbackConfig>,
}

/// What answers while the circuit is open: a fixed answer, or another service.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Fallback")]
pub struct FallbackConfig {
    /// The status of a fixed answer, from 200 to 599; 503 where it is left out.
    pub status: Option<u16>,
    /// The header fields of a fixed answer. One whose value refers to what the request does not
    /// have is left out.
    pub headers: Option<Fields>,
    /// The body of a fixed answer, escaped as that of `respond`; none where it is left out.
    pub body: Option<Template>,
    /// The service that is asked instead, by its name. It stands alone.
    pub service: Option<Name>,
}

/// The compiled breaker of a scope.
#[derive(Debug)]
pub struct CircuitBreaker {
    /// When a circuit opens and closes.
    pub settings: Settings,
    /// Whether each endpoint has a circuit of its own.
    pub per_endpoint: bool,
    /// What answers while it is open, if that is not a refusal.
    pub fallback: Option<Fallback>,
}

/// What answers while a circuit is open. Each way to answer without the service is a variant.
#[derive(Debug)]
pub enum Fallback {
    /// The gateway, with what the configuration says.
    Respond(Arc<Respond>),
    /// Another service, whose name is yet to be found.
    Service(Name),
}

impl Kind for CircuitBreaker {
    type Config = Config;

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        let fallback = config.fallback.as_ref().map(Fallback::compile).transpose();
        let fallback = fallback.map_err(|invalid| invalid.under("fallback"))?;
        let settings = settings(config)?;
        Ok(CircuitBreaker { settings, per_endpoint: config.per_endpoint, fallback })
    }

    fn references(&self) -> Vec<&Reference> {
        match &self.fallback {
            Some(Fallback::Respond(respond)) => respond.references().collect(),
            Some(Fallback::Service(_)) | None => Vec::new(),
        }
    }
}

impl Fallback {
    fn compile(config: &FallbackConfig) -> Result<Self, Invalid> {
        let FallbackConfig { status, headers, body, service } = config;
        let is_answer = status.is_some() || headers.is_some() || body.is_some();
        match service {
            Some(_) if is_answer => Err(Invalid::new(
                "another service answers with a status, fields and a body of its own: leave out \
                 either `service` or the rest",
            )
            .under("service")),
            Some(name) => Ok(Fallback::Service(name.clone())),
            None if !is_answer => Err(Invalid::new(
                "what answers is missing: a `status`, `headers` and a `body`, or another `service`",
            )),
            None => {
                let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE.as_u16());
                let headers = headers.clone().unwrap_or_default();
                let respond = respond::Config { status, headers, body: body.clone() };
                Respond::compile(&respond).map(Arc::new).map(Fallback::Respond)
            }
        }
    }
}

fn settings(config: &Config) -> Result<Settings, Invalid> {
    let standard = Settings::default();
    let many = |name: &str, typed: Option<u32>, zero: &str| match typed {
        Some(0) => Err(Invalid::new(zero).under(name)),
        typed => Ok(typed),
    };
    let time = |name: &str, typed: Option<value::Duration>, zero: &str| match typed {
        Some(time) if time.is_zero() => Err(Invalid::new(zero).under(name)),
        typed => Ok(typed.map(value::Duration::get)),
    };
    let failures = many("failures", config.failures, "no failure at all would open the circuit")?;
    let failure_rate = failure_rate(config)?;
    let window = time("window", config.window, "nothing counts in a window of no time")?;
    let window = window.unwrap_or(standard.window);
    if window < SHORTEST_WINDOW {
        return Err(Invalid::new("a window has at least 1s").under("window"));
    }
    let open_for = time("open_for", config.open_for, "an open circuit would refuse nothing")?;
    let successes = many("successes", config.successes, "a circuit closes after 1 at least")?;
    let probes = many("probes", config.probes, "without a probe an open circuit stays open")?;
    let slow = "every answer would be too slow";
    Ok(Settings {
        failures: if failure_rate.is_some() { failures } else { failures.or(standard.failures) },
        failure_rate,
        window,
        open_for: open_for.unwrap_or(standard.open_for),
        successes: successes.unwrap_or(standard.successes),
        probes: probes.unwrap_or(standard.probes),
        slow_after: time("slow_after", config.slow_after, slow)?,
    })
}

fn failure_rate(config: &Config) -> Result<Option<FailureRate>, Invalid> {
    let Some(share) = config.failure_rate else {
        let refusal = "it is for `failure_rate`, which is missing";
        return match config.min_requests {
            Some(_) => Err(Invalid::new(refusal).under("min_requests")),
            None => Ok(None),
        };
    };
    if share == Percent::default() {
        let refusal = "no failure at all would open the circuit";
        return Err(Invalid::new(refusal).under("failure_rate"));
    }
    match config.min_requests.unwrap_or(MIN_REQUESTS) {
        0 => Err(Invalid::new("a share is of 1 request at least").under("min_requests")),
        min_requests => Ok(Some(FailureRate { share, min_requests })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(yaml: &str) -> Result<CircuitBreaker, Invalid> {
        CircuitBreaker::compile(&serde_yaml::from_str(yaml).unwrap(), &Build::default())
    }

    fn refusal(yaml: &str) -> String {
        compile(yaml).unwrap_err().to_string()
    }

    #[test]
    fn what_is_left_out_is_as_its_sentence_says() {
        let breaker = compile("{}").unwrap();
        assert_eq!(breaker.settings, Settings::default());
        assert!(!breaker.per_endpoint && breaker.fallback.is_none());
        let rate = compile("{failure_rate: 50%}").unwrap().settings;
        let share = Percent::new(50);
        assert_eq!(rate.failure_rate, Some(FailureRate { share, min_requests: 20 }));
        assert_eq!(rate.failures, None);
    }

    #[test]
    fn everything_that_is_typed_counts() {
        let settings = compile(
            "{failures: 9, failure_rate: 25%, min_requests: 7, window: 10s, open_for: 5s, \
             successes: 2, probes: 4, slow_after: 2s, per_endpoint: true}",
        )
        .unwrap()
        .settings;
        let expected = Settings {
            failures: Some(9),
            failure_rate: Some(FailureRate { share: Percent::new(25), min_requests: 7 }),
            window: Duration::from_secs(10),
            open_for: Duration::from_secs(5),
            successes: 2,
            probes: 4,
            slow_after: Some(Duration::from_secs(2)),
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn a_breaker_that_could_not_work_is_refused() {
        for (yaml, begin) in [
            ("{failures: 0}", "failures: no failure at all"),
            ("{failure_rate: 0%}", "failure_rate: no failure at all"),
            ("{failure_rate: 5%, min_requests: 0}", "min_requests: a share is of"),
            ("{min_requests: 5}", "min_requests: it is for `failure_rate`"),
            ("{window: 0s}", "window: nothing counts"),
            ("{window: 500ms}", "window: a window has at least 1s"),
            ("{open_for: 0s}", "open_for: an open circuit"),
            ("{successes: 0}", "successes: a circuit closes"),
            ("{probes: 0}", "probes: without a probe"),
            ("{slow_after: 0s}", "slow_after: every answer"),
        ] {
            let refusal = refusal(yaml);
            assert!(refusal.starts_with(begin), "{yaml}: {refusal}");
        }
    }

    #[test]
    fn a_fallback_is_an_answer_or_a_service() {
        let fallback = |yaml: &str| compile(&format!("{{fallback: {yaml}}}"));
        let named = fallback("{service: spare}").unwrap().fallback;
        assert!(matches!(named, Some(Fallback::Service(name)) if &name == "spare"));
        let fixed = fallback("{status: 200, headers: {x-from: gateway}, body: '[]'}").unwrap();
        assert!(matches!(fixed.fallback, Some(Fallback::Respond(_))));
        let both = fallback("{service: spare, body: a}").unwrap_err().to_string();
        assert!(both.starts_with("fallback.service: another service answers"), "{both}");
        let neither = fallback("{}").unwrap_err().to_string();
        assert!(neither.starts_with("fallback: what answers is missing"), "{neither}");
        let status = fallback("{status: 99}").unwrap_err().to_string();
        assert!(status.starts_with("fallback.status: 99 is no status"), "{status}");
    }

    #[test]
    fn a_fixed_answer_has_status_503_and_says_what_it_refers_to() {
        let breaker = compile("{fallback: {body: 'no $(path.id)'}}").unwrap();
        assert_eq!(breaker.references().len(), 1);
        let Some(Fallback::Respond(respond)) = &breaker.fallback else { panic!("{breaker:?}") };
        assert!(format!("{respond:?}").contains("503"));
    }
}
