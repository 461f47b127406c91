//! Lets pages of other origins use what is here, as the Fetch standard has it (§3.2).
//!
//! It is the browser that keeps a page from what it may not have; the gateway tells it what that
//! is. So nothing is refused here: an origin that may not is told nothing, and its preflight gets
//! an answer without leave, which is all that a browser needs to stop. It tells on each answer,
//! whoever gave it, because a page that cannot read an error cannot handle it; and `Vary` says so
//! whether there was an `Origin` or not, because a cache keeps either answer for both.

mod origins;

pub use origins::Origin;

use super::{Build, Kind, Policy, Request};
use crate::exchange::Response;
use crate::reply::{Reply, Stop};
use crate::value::{Duration, HeaderName, Invalid, Method, OneOrMany};
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode, request};
use origins::Origins;
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt::Display;

const REQUEST_PRIVATE_NETWORK: http::HeaderName =
    http::HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: http::HeaderName =
    http::HeaderName::from_static("access-control-allow-private-network");

/// What an answer may say about other origins. Where this policy holds, it alone says it.
const SAID: [http::HeaderName; 7] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
    ALLOW_PRIVATE_NETWORK,
];

/// Which pages may use what is here, and how. `*` stands for all; where credentials are let
/// through, browsers take it for a name like any other, so it is refused.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Cors")]
pub struct Config {
    /// The origins of these pages: `https://app.example.com`, `https://*.example.com` for all hosts
    /// below a domain, `"*"`, or `"null"`, which pages in files and sandboxes have.
    pub origins: OneOrMany<Origin>,
    /// Methods that they may use; GET, HEAD and POST where it is left out, which browsers let
    /// through anyway.
    pub methods: Option<OneOrMany<Method>>,
    /// Request headers that they may send beside the few that every page may. `"*"` does not cover
    /// `authorization`, which is named beside it.
    pub headers: Option<OneOrMany<HeaderName>>,
    /// Response headers that they may read beside the few that every page may.
    pub expose: Option<OneOrMany<HeaderName>>,
    /// Whether cookies and credentials are let through; not where it is left out.
    #[serde(default)]
    pub credentials: bool,
    /// How long a browser may remember what it was told, in whole seconds; 5 seconds, by itself,
    /// where it is left out.
    pub max_age: Option<Duration>,
    /// Whether public pages may reach this gateway in a private network; not where it is left out.
    #[serde(default)]
    pub private_network: bool,
}

/// The compiled policy: all but the origin is known before a request comes.
#[derive(Debug)]
pub struct Cors {
    origins: Origins,
    credentials: bool,
    expose: Option<HeaderValue>,
    methods: HeaderValue,
    headers: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
    private_network: bool,
}

/// Whether the request is a preflight, which is told more.
#[derive(Debug, Default)]
pub struct Preflight(bool);

impl Kind for Cors {
    type Config = Config;

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        let origins = Origins::compile(&config.origins);
        let cors = Cors {
            origins: origins.map_err(|invalid| invalid.under("origins"))?,
            credentials: config.credentials,
            expose: config.expose.as_deref().map(list),
            methods: config
                .methods
                .as_deref()
                .map_or(HeaderValue::from_static("GET, HEAD, POST"), list),
            headers: config.headers.as_deref().map(list),
            max_age: config.max_age.map(|age| age.as_secs().into()),
            private_network: config.private_network,
        };
        let any = |name: &HeaderName| name.as_str() == "*";
        let stands_for_all = [
            ("origins", matches!(cors.origins, Origins::Any)),
            ("methods", config.methods.iter().flat_map(|all| all.iter()).any(|m| **m == "*")),
            ("headers", config.headers.iter().flat_map(|all| all.iter()).any(any)),
            ("expose", config.expose.iter().flat_map(|all| all.iter()).any(any)),
        ];
        match stands_for_all.iter().find(|(_, all)| *all && cors.credentials) {
            Some((key, _)) => {
                let message = "`*` does not go with `credentials: true`, name what is meant";
                Err(Invalid::new(message).under(*key))
            }
            None => Ok(cors),
        }
    }
}

impl Policy for Cors {
    type State = Preflight;

    /// Answers a preflight: what it asks for is said in [`Policy::on_response`]. Any other
    /// `OPTIONS` goes on.
    async fn on_arrival(
        &self,
        request: &mut Request<'_>,
        state: &mut Preflight,
    ) -> Result<(), Stop> {
        if preflight(request.head).is_none() {
            return Ok(());
        }
        *state = Preflight(true);
        let (status, headers) = (StatusCode::NO_CONTENT, Vec::new());
        Err(Stop::Reply(Reply { status, headers, body: Bytes::new() }))
    }

    fn on_response(&self, response: &mut Response<'_>, state: &mut Preflight) {
        let client = &response.client.headers;
        let fields = &mut response.head.headers;
        drop_what_others_said(fields);
        self.vary(fields, state);
        let Some(origin) = self.allowed(client) else {
            return;
        };
        fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            let credentials = HeaderValue::from_static("true");
            fields.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials);
        }
        if let Preflight(true) = state {
            self.give_leave(client, fields);
        } else if let Some(expose) = &self.expose {
            fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }
}

impl Cors {
    /// What the answer says of the request's origin, if it may have the answer. Where all may, it
    /// says so to all, so that one answer is good for everyone.
    fn allowed(&self, client: &HeaderMap) -> Option<HeaderValue> {
        let listed = match &self.origins {
            Origins::Any => return Some(HeaderValue::from_static("*")),
            Origins::Listed(listed) => listed,
        };
        let origin = client.get(ORIGIN)?;
        listed.iter().any(|known| known.matches(origin)).then(|| origin.clone())
    }

    /// Says what the answer depends on (the Fetch standard, "CORS protocol and HTTP caches").
    fn vary(&self, fields: &mut HeaderMap, Preflight(is_preflight): &Preflight) {
        let by_origin = matches!(self.origins, Origins::Listed(_));
        if by_origin && !varies_by_origin(fields) {
            fields.append(VARY, HeaderValue::from_static("Origin"));
        }
        if *is_preflight {
            fields.append(
                VARY,
                HeaderValue::from_static(match self.private_network {
                    false => "Access-Control-Request-Method, Access-Control-Request-Headers",
                    true => {
                        "Access-Control-Request-Method, Access-Control-Request-Headers, \
                         Access-Control-Request-Private-Network"
                    }
                }),
            );
        }
    }

    /// Says what a page may do; what it asked for is for the browser to compare.
    fn give_leave(&self, client: &HeaderMap, fields: &mut HeaderMap) {
        fields.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        if let Some(headers) = &self.headers {
            fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
        }
        if let Some(max_age) = &self.max_age {
            fields.insert(ACCESS_CONTROL_MAX_AGE, max_age.clone());
        }
        let asked = client.get(REQUEST_PRIVATE_NETWORK).is_some_and(|asked| asked == "true");
        if self.private_network && asked {
            fields.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
        }
    }
}

/// The method of the request that a preflight asks leave for; none where the request is no
/// preflight (the Fetch standard, "CORS-preflight request").
pub fn preflight(head: &request::Parts) -> Option<http::Method> {
    if head.method != http::Method::OPTIONS || !head.headers.contains_key(ORIGIN) {
        return None;
    }
    let requested = head.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    http::Method::from_bytes(requested.as_bytes()).ok()
}

/// Most answers say nothing, and one look at their names costs less than seven searches.
fn drop_what_others_said(fields: &mut HeaderMap) {
    if fields.keys().any(|name| name.as_str().starts_with("access-control-")) {
        for name in &SAID {
            fields.remove(name);
        }
    }
}

fn varies_by_origin(fields: &HeaderMap) -> bool {
    let lines = fields.get_all(VARY).iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut names = names.map(<[u8]>::trim_ascii);
    names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"))
}

fn list(names: &[impl Display]) -> HeaderValue {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    // RFC 9110 §5.6.2.
    HeaderValue::try_from(names.join(", ")).expect("names and methods are tokens")
}

#[cfg(test)]
mod tests;
