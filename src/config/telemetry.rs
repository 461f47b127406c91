//! What is written down about requests.

use crate::telemetry::access_log::{Masked, Options, Target};
use crate::value::{Duration, HeaderName};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// What is written down about requests.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// The request id.
    pub request_id: RequestIdConfig,
    /// The access log.
    pub access_log: AccessLogConfig,
}

/// The request id.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestIdConfig {
    /// The header that carries it; `x-request-id` where it is left out.
    pub header: Option<HeaderName>,
}

/// The access log: one line a request.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLogConfig {
    /// How a line is written.
    pub format: LogFormat,
    /// Where it is written: `stdout`, `off` or a file; `stdout` where it is left out.
    pub path: Option<LogTarget>,
    /// From how long on a request's line is a warning; never where it is left out.
    pub slow: Option<Duration>,
    /// What is not written as it is: `header.NAME` or `query.NAME`. Credentials' own headers
    /// never are.
    pub mask: Vec<Mask>,
    /// Request headers that are written too.
    pub headers: Vec<HeaderName>,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object.
    #[default]
    Json,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget(pub Target);

impl<'de> Deserialize<'de> for LogTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(LogTarget(match text.as_str() {
            "stdout" => Target::Stdout,
            "off" => Target::Off,
            "" => return Err(D::Error::custom("`stdout`, `off` or a file is needed")),
            path => Target::File(path.into()),
        }))
    }
}

/// What is not written as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask(Masked);

impl<'de> Deserialize<'de> for Mask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Mask).map_err(D::Error::custom)
    }
}

impl AccessLogConfig {
    /// What it means.
    pub fn options(&self) -> Options {
        let mut options = Options::default();
        if let Some(LogTarget(target)) = &self.path {
            options.path = target.clone();
        }
        options.slow = self.slow.map(|slow| *slow);
        options.mask.extend(self.mask.iter().map(|Mask(masked)| masked.clone()));
        options.headers = self.headers.iter().map(|name| (**name).clone()).collect();
        options
    }
}
