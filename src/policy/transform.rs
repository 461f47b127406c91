//! Rewrites the path and the header fields of requests, and the header fields of answers.

mod fields;
mod path;
mod replacement;

use super::{Kind, Policy};
use crate::exchange::{References, Response, UpstreamRequest};
use crate::reply::Rejection;
use crate::value::{Invalid, Reference};
use schemars::JsonSchema;
use serde::Deserialize;

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

    fn compile(config: &Config) -> Result<Self, Invalid> {
        let within = |part: &'static str, side: &'static str| {
            move |invalid: Invalid| invalid.under(part).under(side)
        };
        let Config { request, response } = config;
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
    type State = ();

    fn on_upstream_request(
        &self,
        request: &mut UpstreamRequest<'_>,
        _: &mut (),
    ) -> Result<(), Rejection> {
        let references = References { head: request.client, facts: request.facts };
        if let Some(path) = &self.path {
            // A reference that has no value, or one that makes no path: there is no such page.
            path.apply(request.head, references).ok_or(Rejection::NotFound)?;
        }
        self.request.apply(&mut request.head.headers, references);
        Ok(())
    }

    fn on_response(&self, response: &mut Response<'_>, _: &mut ()) {
        let references = References { head: response.client, facts: response.facts };
        self.response.apply(&mut response.head.headers, references);
    }
}
