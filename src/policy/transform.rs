//! Rewrites the path and the header fields of requests, and the header fields of answers.

mod fields;
mod path;
mod replacement;

use super::{Build, Kind, Policy, Request};
use crate::exchange::{References, Response, UpstreamRequest};
use crate::reply::{Rejection, Stop};
use crate::value::{Invalid, Reference};
use http::Uri;
use http::header::HOST;
use http::uri::PathAndQuery;
use schemars::JsonSchema;
use serde::Deserialize;
use std::mem;

/// What is rewritten, each way.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Transform")]
pub struct Config {
    /// The request, as the service gets it.
    pub request: RequestConfig,
    /// The answer, as the client gets it.
    pub response: ResponseConfig,
}

/// What is rewritten of a request.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RequestTransform")]
pub struct RequestConfig {
    /// Its path; the query stays as it came.
    pub path: Option<path::Config>,
    /// Its header fields.
    pub headers: fields::Config,
}

/// What is rewritten of an answer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ResponseTransform")]
pub struct ResponseConfig {
    /// Its header fields.
    pub headers: fields::Config,
}

/// The compiled rewriting.
#[derive(Debug)]
pub struct Transform {
    path: Option<path::Rewrite>,
    request: fields::Edits,
    response: fields::Edits,
}

impl Kind for Transform {
    type Config = Config;

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        let within = |part: &'static str, side: &'static str| {
            move |invalid: Invalid| invalid.under(part).under(side)
        };
        let Config { request, response } = config;
        let fields = &request.headers;
        // RFC 9112 §3.2: a request has exactly one.
        let refused = "a request has exactly one `host`: it can only be `set`";
        if fields.add.get(&HOST).is_some() {
            return Err(within("headers", "request")(
                Invalid::new(refused).under("host").under("add"),
            ));
        }
        if let Some(index) = fields.remove.iter().position(|name| **name == HOST) {
            let invalid = Invalid::new(refused).under(index).under("remove");
            return Err(within("headers", "request")(invalid));
        }
        let path = request.path.as_ref().map(path::Rewrite::compile).transpose();
        Ok(Transform {
            path: path.map_err(within("path", "request"))?,
            request: fields::Edits::compile(&request.headers)
                .map_err(within("headers", "request"))?,
            response: fields::Edits::compile(&response.headers)
                .map_err(within("headers", "response"))?,
        })
    }

    fn references(&self) -> Vec<&Reference> {
        let path = self.path.iter().flat_map(path::Rewrite::references);
        let fields = self.request.references().chain(self.response.references());
        path.chain(fields).collect()
    }
}

impl Policy for Transform {
    /// The target that the service gets, where it is another one.
    type State = Option<PathAndQuery>;

    /// Makes the path before anything is connected to: whether there is one does not depend on
    /// the service.
    async fn on_request(
        &self,
        request: &mut Request<'_>,
        target: &mut Option<PathAndQuery>,
    ) -> Result<(), Stop> {
        let references = References { head: request.head, facts: request.facts };
        if let Some(path) = &self.path {
            *target = path.of(&request.head.uri, references)?;
        }
        Ok(())
    }

    fn on_upstream_request(
        &self,
        request: &mut UpstreamRequest<'_>,
        target: &mut Option<PathAndQuery>,
    ) -> Result<(), Rejection> {
        let references = References { head: request.client, facts: request.facts };
        // An attempt that is repeated finds it again.
        if let Some(target) = target {
            let mut parts = mem::take(&mut request.head.uri).into_parts();
            parts.path_and_query = Some(target.clone());
            request.head.uri = Uri::from_parts(parts).map_err(|_| Rejection::NoPath)?;
        }
        self.request.apply(&mut request.head.headers, references);
        Ok(())
    }

    fn on_response(&self, response: &mut Response<'_>, _: &mut Option<PathAndQuery>) {
        let references = References { head: response.client, facts: response.facts };
        self.response.apply(&mut response.head.headers, references);
    }
}
