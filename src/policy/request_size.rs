//! Refuses requests that are larger than a route takes.

use super::{Build, Kind, Policy, Request};
use crate::exchange::UpstreamRequest;
use crate::reply::{Rejection, Stop};
use crate::value::{ByteSize, Invalid};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request;
use schemars::JsonSchema;
use serde::Deserialize;

/// How large a request may be.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RequestSize")]
pub struct Config {
    /// The body, in bytes as they come; no limit where it is left out. Refused with 413.
    pub body: Option<ByteSize>,
    /// The head: the target and all header fields, as they would stand in HTTP/1.1. Refused with
    /// 431.
    pub headers: Option<ByteSize>,
}

/// The compiled limits.
#[derive(Debug)]
pub struct RequestSize {
    body: Option<u64>,
    headers: Option<u64>,
}

/// What has come of the body in this attempt, in bytes.
#[derive(Debug, Default)]
pub struct Received(u64);

impl Kind for RequestSize {
    type Config = Config;

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        Ok(RequestSize {
            body: config.body.map(|size| size.0),
            headers: config.headers.map(|size| size.0),
        })
    }
}

impl Policy for RequestSize {
    type State = Received;

    async fn on_arrival(&self, request: &mut Request<'_>, _: &mut Received) -> Result<(), Stop> {
        if let Some(limit) = self.headers
            && head_size(request.head) > limit
        {
            return Err(Rejection::HeadersTooLarge { limit }.into());
        }
        // A length that was announced spares both sides the transfer.
        if let Some(limit) = self.body
            && announced(request.head).is_some_and(|length| length > limit)
        {
            return Err(Rejection::ContentTooLarge { limit }.into());
        }
        Ok(())
    }

    fn on_upstream_request(
        &self,
        _: &mut UpstreamRequest<'_>,
        received: &mut Received,
    ) -> Result<(), Rejection> {
        *received = Received::default();
        Ok(())
    }

    fn on_request_body(
        &self,
        part: &mut Option<Bytes>,
        received: &mut Received,
    ) -> Result<(), Rejection> {
        let (Some(limit), Some(part)) = (self.body, part) else {
            return Ok(());
        };
        received.0 += part.len() as u64;
        if received.0 > limit {
            return Err(Rejection::ContentTooLarge { limit });
        }
        Ok(())
    }
}

fn head_size(head: &request::Parts) -> u64 {
    /// `: ` and CRLF around each field.
    const AROUND: usize = 4;
    let fields = head.headers.iter();
    let fields: usize =
        fields.map(|(name, value)| name.as_str().len() + value.len() + AROUND).sum();
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    (target + fields) as u64
}

fn announced(head: &request::Parts) -> Option<u64> {
    head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_counted_as_it_stands_on_the_wire() {
        let head = http::Request::get("/a").header("host", "x").body(()).unwrap().into_parts().0;
        assert_eq!(head_size(&head), "/a".len() as u64 + "host: x\r\n".len() as u64);
    }

    #[test]
    fn parts_of_a_body_add_up_until_the_limit_and_start_anew_with_an_attempt() {
        let limits = RequestSize { body: Some(4), headers: None };
        let mut received = Received::default();
        let mut part = Some(Bytes::from_static(b"abc"));
        assert!(limits.on_request_body(&mut part, &mut received).is_ok());
        assert!(limits.on_request_body(&mut part, &mut received).is_err());
        let mut received = Received::default();
        assert!(limits.on_request_body(&mut part, &mut received).is_ok());
    }
}
