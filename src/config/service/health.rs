//! How a service's endpoints are checked.

#[cfg(test)]
mod tests;

use crate::upstream::health::{Check, HttpProbe, Probe, Thresholds};
use crate::value::{
    Duration, Fields, Invalid, Method, OneOrMany, Pattern, Percent, StatusRange, Template,
};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration as Time;

/// Active health checks: each endpoint is asked by exactly one of `path`, `tcp` and `grpc`. One
/// that fails gets no requests until it is well again, and one that is discovered later gets none
/// before its first check while others are well.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HealthCheck")]
pub struct HealthCheckConfig {
    /// Asks by HTTP for this path, which may have a query.
    pub path: Option<String>,
    /// Only connects (`true`), with the handshake where the service has TLS.
    pub tcp: Option<bool>,
    /// Asks by gRPC's health protocol for this service; for the whole server where it is empty.
    pub grpc: Option<String>,
    /// From one check to the next, at least 10 milliseconds. 5 seconds where it is left out.
    pub interval: Option<Duration>,
    /// How long one check may take in all, at most the interval. 1 second where it is left out,
    /// or the interval if that is shorter.
    pub timeout: Option<Duration>,
    /// How much of the interval chance may add or take away, so that not all endpoints are asked
    /// at once. 20% where it is left out.
    pub jitter: Option<Percent>,
    /// How many failed checks in a row make a healthy endpoint unhealthy. 3 where it is left out.
    /// The first check of a new endpoint decides at once.
    pub unhealthy_after: Option<u32>,
    /// How many good checks in a row make an unhealthy endpoint healthy. 2 where it is left out.
    pub healthy_after: Option<u32>,
    /// The method of a check by `path`. GET where it is left out.
    pub method: Option<Method>,
    /// The `Host` of a check by `path` or `grpc`; the endpoint's where it is left out.
    pub host: Option<String>,
    /// Further header fields of a check by `path` or `grpc`; none where it is left out.
    pub headers: Fields,
    /// What the answer to a check by `path` has to be; any success (2xx) where it is left out.
    pub expect: Option<ExpectConfig>,
    /// The port that is asked; the endpoint's where it is left out.
    pub port: Option<u16>,
}

/// What the answer to a check has to be.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HealthCheckExpect")]
pub struct ExpectConfig {
    /// Its status is one of these: `200`, `2xx` or `200..299`. 2xx where it is left out.
    pub status: Option<OneOrMany<StatusRange>>,
    /// Its body matches this as a whole, white space at its ends left out; any body does where it
    /// is left out. At most 64 KiB are read.
    pub body: Option<Pattern>,
}

/// How often an endpoint is asked, where nothing is said.
const INTERVAL: Time = Time::from_secs(5);
/// More often than this would be load rather than a check.
const SHORTEST: Time = Time::from_millis(10);
/// How long a check may take, where nothing is said.
const TIMEOUT: Time = Time::from_secs(1);

impl HealthCheckConfig {
    /// Compiles what was typed.
    ///
    /// # Errors
    ///
    /// Refuses what asks in no way or in several, what never ends, and what does not fit the way in
    /// which it asks.
    pub fn compile(&self) -> Result<Check, Invalid> {
        let interval = self.interval.map_or(INTERVAL, Duration::get);
        if interval < SHORTEST {
            let message = "an interval under 10ms would be load rather than a check";
            return Err(Invalid::new(message).under("interval"));
        }
        let timeout = self.timeout.map_or(TIMEOUT.min(interval), Duration::get);
        if timeout.is_zero() {
            let message = "a time of zero would fail every check";
            return Err(Invalid::new(message).under("timeout"));
        }
        if timeout > interval {
            let interval = Duration::new(interval);
            let message = format!("a check that may outlast the interval, {interval}, is no check");
            return Err(Invalid::new(message).under("timeout"));
        }
        if self.port == Some(0) {
            let message = "`0` is no port, a port is a number from 1 to 65535";
            return Err(Invalid::new(message).under("port"));
        }
        Ok(Check {
            probe: self.probe()?,
            port: self.port,
            interval,
            jitter: self.jitter.unwrap_or(Percent::new(20)),
            timeout,
            thresholds: Thresholds {
                healthy_after: count("healthy_after", self.healthy_after, 2)?,
                unhealthy_after: count("unhealthy_after", self.unhealthy_after, 3)?,
            },
        })
    }

    fn probe(&self) -> Result<Probe, Invalid> {
        if self.tcp == Some(false) {
            let message = "write `tcp: true`, or leave it out";
            return Err(Invalid::new(message).under("tcp"));
        }
        match (&self.path, self.tcp, &self.grpc) {
            (Some(path), None, None) => Ok(Probe::Http(self.http(path)?)),
            (None, Some(_), None) => {
                self.refuse_for(
                    "a check by `tcp`",
                    &[
                        ("method", self.method.is_some()),
                        ("host", self.host.is_some()),
                        ("headers", self.headers.iter().next().is_some()),
                        ("expect", self.expect.is_some()),
                    ],
                )?;
                Ok(Probe::Tcp)
            }
            (None, None, Some(service)) => {
                self.refuse_for(
                    "a check by `grpc`",
                    &[("method", self.method.is_some()), ("expect", self.expect.is_some())],
                )?;
                let service = service.as_str().into();
                Ok(Probe::Grpc { service, host: self.host()?, headers: self.headers()? })
            }
            _ => Err(Invalid::new("exactly one of `path`, `tcp` and `grpc` is needed")),
        }
    }

    /// Refuses the first field that was typed and that means nothing here.
    fn refuse_for(&self, what: &str, typed: &[(&str, bool)]) -> Result<(), Invalid> {
        match typed.iter().find(|(_, typed)| *typed) {
            Some((field, _)) => {
                let message =
                    format!("{what} has no `{field}`, only one by `path` may have it all");
                Err(Invalid::new(message).under(*field))
            }
            None => Ok(()),
        }
    }

    fn http(&self, path: &str) -> Result<HttpProbe, Invalid> {
        let path = match path.parse::<PathAndQuery>() {
            Ok(parsed) if path.starts_with('/') && parsed.as_str() == path => parsed,
            _ => {
                let message = format!("`{path}` is no path, write it as `/health`");
                return Err(Invalid::new(message).under("path"));
            }
        };
        let method = self.method.clone().map_or(http::Method::GET, Method::into_inner);
        if method == http::Method::CONNECT {
            let message = "CONNECT asks for a tunnel and not for an answer, use `tcp`";
            return Err(Invalid::new(message).under("method"));
        }
        let expect = self.expect.clone().unwrap_or_default();
        if method == http::Method::HEAD && expect.body.is_some() {
            let message = "the answer to HEAD has no body, use GET";
            return Err(Invalid::new(message).under("body").under("expect"));
        }
        Ok(HttpProbe {
            method,
            path,
            host: self.host()?,
            headers: self.headers()?,
            status: expect.status.map_or(vec![StatusRange::SUCCESS], OneOrMany::into_vec),
            body: expect.body,
        })
    }

    fn host(&self) -> Result<Option<HeaderValue>, Invalid> {
        let Some(host) = &self.host else {
            return Ok(None);
        };
        let refusal = || {
            let message = format!("`{host}` is no host, write it as `api.example.com`");
            Invalid::new(message).under("host")
        };
        match host.parse::<Authority>() {
            Ok(authority) if !host.contains('@') && !authority.host().is_empty() => {
                HeaderValue::from_str(host).map(Some).map_err(|_| refusal())
            }
            _ => Err(refusal()),
        }
    }

    fn headers(&self) -> Result<HeaderMap, Invalid> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.iter() {
            let place = |invalid: Invalid| invalid.under(name.as_str()).under("headers");
            if **name == http::header::HOST {
                return Err(place(Invalid::new("write it as `host`, beside `headers`")));
            }
            headers.insert(name.editable().map_err(place)?, literal(value).map_err(place)?);
        }
        Ok(headers)
    }
}

/// A field's value, which no request can fill in: none asks for a check.
fn literal(value: &Template) -> Result<HeaderValue, Invalid> {
    let Some(text) = value.as_literal() else {
        return Err(Invalid::new("a check belongs to no request that could be referred to"));
    };
    HeaderValue::from_str(text).map_err(|_| Invalid::new("no field may have this value"))
}

/// A threshold, at least 1.
fn count(field: &str, typed: Option<u32>, fallback: u32) -> Result<u32, Invalid> {
    match typed {
        Some(0) => Err(Invalid::new("at least 1 check is needed to change anything").under(field)),
        typed => Ok(typed.unwrap_or(fallback)),
    }
}
