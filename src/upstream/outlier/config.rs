//! What may be typed about outliers, and what it means.

use crate::value::{self, Invalid, Percent};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// How many requests a share is made of where nothing else is said.
const MIN_REQUESTS: u32 = 100;

/// Which endpoints of a service get nothing for a while, because requests fail there that do not
/// fail elsewhere.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "OutlierDetection")]
pub struct Config {
    /// How many answers with a status of 5xx, with no other answer between them, eject an endpoint.
    /// 5 where it is left out; 0 for none.
    pub consecutive_5xx: Option<u32>,
    /// How many attempts without a whole answer (no connection, a reset, a timeout, an answer that
    /// breaks off), with no whole one between them, eject an endpoint. 5 where it is left out; 0 for
    /// none.
    pub consecutive_failures: Option<u32>,
    /// Ejects an endpoint of whose requests within an interval a smaller share than this succeeded:
    /// got an answer other than 5xx. No share where it is left out.
    pub success_rate_below: Option<Percent>,
    /// How many requests an endpoint must have had within an interval before `success_rate_below`
    /// counts. 100 where it is left out.
    pub min_requests: Option<u32>,
    /// How often shares are looked at, and after how long without an ejection an endpoint is
    /// forgiven one; at least 100 milliseconds. 10 seconds where it is left out.
    pub interval: Option<value::Duration>,
    /// How long an endpoint is ejected: so long the first time, twice as long the second, and so
    /// on. 30 seconds where it is left out.
    pub eject_for: Option<value::Duration>,
    /// The longest time for which an endpoint is ejected, at least `eject_for`. 5 minutes where it
    /// is left out, or `eject_for` if that is longer.
    pub max_eject_for: Option<value::Duration>,
    /// The share of the endpoints that may be ejected at once. One of two or more always may, and
    /// the last one never. 50% where it is left out.
    pub max_ejected: Option<Percent>,
}

/// When endpoints are ejected, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many of what in a row.
    pub limits: Limits,
    /// Which share of the requests of an interval must succeed.
    pub success_rate: Option<SuccessRate>,
    /// How often shares are looked at, and how long it takes to be forgiven an ejection.
    pub interval: Duration,
    /// How long the first ejection lasts.
    pub eject_for: Duration,
    /// How long any ejection lasts at most.
    pub max_eject_for: Duration,
    /// The share of the endpoints that may be ejected at once.
    pub max_ejected: Percent,
}

/// How many in a row are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Answers with a status of 5xx.
    pub consecutive_5xx: Option<u32>,
    /// Attempts without an answer.
    pub consecutive_failures: Option<u32>,
}

/// The share of its requests that an endpoint must serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuccessRate {
    /// The smallest share that is good enough.
    pub below: Percent,
    /// How many requests an interval must hold for the share to mean something; at least one.
    pub min_requests: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            limits: Limits { consecutive_5xx: Some(5), consecutive_failures: Some(5) },
            success_rate: None,
            interval: Duration::from_secs(10),
            eject_for: Duration::from_secs(30),
            max_eject_for: Duration::from_secs(300),
            max_ejected: Percent::new(50),
        }
    }
}

impl Config {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    ///
    /// Refuses times that are too short, a longest time that is shorter than the first, and settings
    /// by which nothing would ever be ejected.
    pub fn compile(&self) -> Result<Settings, Invalid> {
        let standard = Settings::default();
        let limit = |typed: Option<u32>, standard: Option<u32>| match typed {
            Some(0) => None,
            Some(limit) => Some(limit),
            None => standard,
        };
        let Limits { consecutive_5xx, consecutive_failures } = standard.limits;
        let limits = Limits {
            consecutive_5xx: limit(self.consecutive_5xx, consecutive_5xx),
            consecutive_failures: limit(self.consecutive_failures, consecutive_failures),
        };
        let success_rate = self.success_rate()?;
        if success_rate.is_none()
            && limits == (Limits { consecutive_5xx: None, consecutive_failures: None })
        {
            return Err(Invalid::new(
                "nothing would ever be ejected: leave `outlier_detection` out, or give a limit",
            ));
        }
        let interval = self.interval.map_or(standard.interval, value::Duration::get);
        if interval < Duration::from_millis(100) {
            return Err(Invalid::new("an interval has at least 100ms").under("interval"));
        }
        let eject_for = self.eject_for.map_or(standard.eject_for, value::Duration::get);
        if eject_for.is_zero() {
            return Err(
                Invalid::new("an ejected endpoint would be back at once").under("eject_for")
            );
        }
        let max_eject_for = match self.max_eject_for {
            None => standard.max_eject_for.max(eject_for),
            Some(most) if *most < eject_for => {
                let first = value::Duration::new(eject_for);
                let message = format!("{most} is shorter than the first ejection, {first}");
                return Err(Invalid::new(message).under("max_eject_for"));
            }
            Some(most) => *most,
        };
        let max_ejected = self.max_ejected.unwrap_or(standard.max_ejected);
        Ok(Settings { limits, success_rate, interval, eject_for, max_eject_for, max_ejected })
    }

    fn success_rate(&self) -> Result<Option<SuccessRate>, Invalid> {
        match (self.success_rate_below, self.min_requests) {
            (None, None) => Ok(None),
            (None, Some(_)) => {
                let refusal = "it is for `success_rate_below`, which is missing";
                Err(Invalid::new(refusal).under("min_requests"))
            }
            (Some(below), _) if below == Percent::default() => {
                let refusal = "no share is below 0%";
                Err(Invalid::new(refusal).under("success_rate_below"))
            }
            (_, Some(0)) => {
                Err(Invalid::new("a share is of 1 request at least").under("min_requests"))
            }
            (Some(below), typed) => {
                let min_requests = typed.unwrap_or(MIN_REQUESTS);
                Ok(Some(SuccessRate { below, min_requests }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(yaml: &str) -> Result<Settings, Invalid> {
        serde_yaml::from_str::<Config>(yaml).unwrap().compile()
    }

    #[test]
    fn what_is_left_out_is_as_its_sentence_says() {
        assert_eq!(compile("{}").unwrap(), Settings::default());
        let rate = compile("{success_rate_below: 80%}").unwrap().success_rate.unwrap();
        assert_eq!((rate.below, rate.min_requests), (Percent::new(80), 100));
        let long = compile("{eject_for: 10m}").unwrap();
        assert_eq!(long.max_eject_for, long.eject_for);
    }

    #[test]
    fn everything_that_is_typed_counts() {
        let settings = compile(
            "{consecutive_5xx: 3, consecutive_failures: 0, success_rate_below: 90%, \
             min_requests: 7, interval: 1s, eject_for: 2s, max_eject_for: 9s, max_ejected: 10%}",
        );
        let expected = Settings {
            limits: Limits { consecutive_5xx: Some(3), consecutive_failures: None },
            success_rate: Some(SuccessRate { below: Percent::new(90), min_requests: 7 }),
            interval: Duration::from_secs(1),
            eject_for: Duration::from_secs(2),
            max_eject_for: Duration::from_secs(9),
            max_ejected: Percent::new(10),
        };
        assert_eq!(settings, Ok(expected));
    }

    #[test]
    fn settings_that_could_not_work_are_refused() {
        for (yaml, begin) in [
            ("{consecutive_5xx: 0, consecutive_failures: 0}", "nothing would ever be ejected"),
            ("{min_requests: 5}", "min_requests: it is for `success_rate_below`"),
            ("{success_rate_below: 0%}", "success_rate_below: no share is below"),
            ("{success_rate_below: 9%, min_requests: 0}", "min_requests: a share is of"),
            ("{interval: 0s}", "interval: an interval has at least"),
            ("{eject_for: 0s}", "eject_for: an ejected endpoint"),
            ("{max_eject_for: 5s}", "max_eject_for: 5s is shorter than the first ejection, 30s"),
        ] {
            let refusal = compile(yaml).unwrap_err().to_string();
            assert!(refusal.starts_with(begin), "{yaml}: {refusal}");
        }
    }
}
