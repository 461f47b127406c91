//! What may be said of a limit that adapts, and what it means.

use crate::value::{self, Invalid, Percent};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// A limit of what is in flight that adapts to how long answers take.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Adaptive")]
pub struct Config {
    /// The limit never falls below this; at least 1. 10 where it is left out. It must be enough to
    /// serve something, and too little to overload anything.
    pub min: Option<u32>,
    /// The limit never rises above this, at most 1000000. 1000 where it is left out.
    pub max: Option<u32>,
    /// Where the limit begins, until it has seen answers. 100 where it is left out, or the nearest
    /// that `min` and `max` allow.
    pub initial: Option<u32>,
    /// How much longer than without load answers may take before the limit falls. `25%` where it is
    /// left out. Services whose times vary with what is asked of them need more.
    pub tolerance: Option<Percent>,
    /// How often the time without load is measured anew, if there is no quiet moment before: the
    /// limit is halved for a moment, so that nothing waits. From 1s on; `30s` where it is left out.
    pub measure_every: Option<value::Duration>,
}

/// The bounds of a limit and what it tolerates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The lowest limit; at least one.
    pub min: u32,
    /// The highest limit; no less than the lowest.
    pub max: u32,
    /// The first limit, between the two.
    pub initial: u32,
    /// How much longer than without load things may take, as a share of that time.
    pub tolerance: f64,
    /// How often the time without load is measured.
    pub measure_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            min: 10,
            max: 1000,
            initial: 100,
            tolerance: 0.25,
            measure_every: Duration::from_secs(30),
        }
    }
}

impl Settings {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    /// Refuses bounds that leave nothing between them, and times that are too short to measure in.
    pub fn compile(config: &Config) -> Result<Self, Invalid> {
        let fallback = Settings::default();
        let min = config.min.unwrap_or(fallback.min.min(config.max.unwrap_or(u32::MAX)));
        let max = config.max.unwrap_or(fallback.max.max(min));
        if min == 0 {
            let message = "a limit of zero would refuse everything, and learn nothing";
            return Err(Invalid::new(message).under("min"));
        }
        if max > 1_000_000 {
            return Err(Invalid::new(format!("{max} is too large: at most 1000000")).under("max"));
        }
        if max < min {
            let message = format!("{max} is less than `min`, {min}");
            return Err(Invalid::new(message).under("max"));
        }
        let initial = config.initial.unwrap_or(fallback.initial.clamp(min, max));
        if !(min..=max).contains(&initial) {
            let message = format!("{initial} is not between `min`, {min}, and `max`, {max}");
            return Err(Invalid::new(message).under("initial"));
        }
        let measure_every = config.measure_every.map_or(fallback.measure_every, |time| *time);
        if measure_every < Duration::from_secs(1) {
            let message = "measuring takes some hundred milliseconds: write 1s or more";
            return Err(Invalid::new(message).under("measure_every"));
        }
        let tolerance = config.tolerance.map_or(fallback.tolerance, Percent::ratio);
        Ok(Settings { min, max, initial, tolerance, measure_every })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(yaml: &str) -> Result<Settings, String> {
        let config: Config = serde_yaml::from_str(yaml).map_err(|error| error.to_string())?;
        Settings::compile(&config).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(compile("{}"), Ok(Settings::default()));
        let settings = compile("{min: 5, max: 50, tolerance: 50%, measure_every: 10s}").unwrap();
        assert_eq!((settings.min, settings.max, settings.initial), (5, 50, 50));
        assert_eq!(settings.tolerance, 0.5);
    }

    #[test]
    fn one_bound_alone_moves_the_other_aside() {
        let settings = |yaml| compile(yaml).map(|settings| (settings.min, settings.max));
        assert_eq!(settings("{min: 5000}"), Ok((5000, 5000)));
        assert_eq!(settings("{max: 4}"), Ok((4, 4)));
    }

    #[test]
    fn bounds_that_leave_nothing_are_refused() {
        let refusal = |yaml| compile(yaml).unwrap_err();
        assert!(refusal("{min: 0}").starts_with("min: a limit of zero"));
        assert!(refusal("{max: 0}").contains("zero"));
        assert!(refusal("{min: 20, max: 10}").contains("10 is less than `min`, 20"));
        assert!(refusal("{max: 1000001}").contains("at most 1000000"));
        assert!(refusal("{initial: 5}").contains("not between"));
        assert!(refusal("{measure_every: 10ms}").contains("1s or more"));
    }
}
