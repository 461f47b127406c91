//! What is written down about requests.

use crate::telemetry::access_log::{Format, Masked, Options, Target};
use crate::value::schema::word_schema;
use crate::value::{Duration, HeaderName, deserialize_text};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Deserializer;
use std::fmt::Display;
use std::str::FromStr;

/// What is written down about requests.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Telemetry")]
pub struct TelemetryConfig {
    /// The request id.
    pub request_id: RequestIdConfig,
    /// The access log.
    pub access_log: AccessLogConfig,
}

/// The request id.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RequestId")]
pub struct RequestIdConfig {
    /// The header that carries it; `x-request-id` where it is left out.
    pub header: Option<HeaderName>,
}

/// The access log: one line a request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "AccessLog")]
pub struct AccessLogConfig {
    /// How a line is written: `json`.
    pub format: Option<Word<Format>>,
    /// Where it is written: `stdout`, `off` or a file; `stdout` where it is left out.
    pub path: Option<Word<Target>>,
    /// From how long on a request's line is a warning; never where it is left out.
    pub slow: Option<Duration>,
    /// What is not written as it is: `header.NAME` or `query.NAME`. The usual carriers of
    /// credentials never are.
    pub mask: Vec<Word<Masked>>,
    /// Request headers that are written too.
    pub headers: Vec<HeaderName>,
}

/// A word of the access log's own.
#[derive(Debug, Clone)]
pub struct Word<T>(T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a word").map(Word)
    }
}

word_schema!(
    Word<Format>,
    "LogFormat",
    "How a line of the access log is written.",
    {"enum": ["json"]}
);

word_schema!(
    Word<Target>,
    "LogTarget",
    "Where the access log goes: `stdout`, `off`, or the path of a file.",
    {"type": "string", "examples": ["stdout", "off", "/var/log/sluicegate/access.log"]}
);

word_schema!(
    Word<Masked>,
    "Masked",
    "A value that is not written as it is: `header.NAME` or `query.NAME`.",
    {"type": "string", "examples": ["header.authorization", "query.token"]}
);

impl AccessLogConfig {
    /// What it means.
    pub fn options(&self) -> Options {
        let mut options = Options::default();
        if let Some(Word(format)) = self.format {
            options.format = format;
        }
        if let Some(Word(path)) = &self.path {
            options.path = path.clone();
        }
        options.slow = self.slow.map(|slow| *slow);
        options.mask.extend(self.mask.iter().map(|Word(masked)| masked.clone()));
        options.headers = self.headers.iter().map(|name| (**name).clone()).collect();
        options
    }
}
