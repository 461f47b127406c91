//! Asking a service whether a request may pass, as Traefik's ForwardAuth and nginx's `auth_request`
//! do. Its answer of 200 to 299 lets the request pass, and its fields say who is asking; any other is
//! the client's answer.

use super::found::Found;
use super::maker::Maker;
use crate::exchange::{Facts, drop_claims, drop_of_the_connection, host, one_cookie_line};
use crate::policy::Build;
use crate::reply::Reply;
use crate::telemetry::metrics::Way;
use crate::upstream::ask::{Ask, Whom};
use crate::upstream::call::{Answer, Limits};
use crate::value::{Duration, HeaderName, Invalid, Name};
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HeaderValue, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, RANGE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, Uri, request};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time;

/// How long the service may take, where nothing is said.
const TIMEOUT: time::Duration = time::Duration::from_secs(2);

/// How much of an answer that the client gets is read, in bytes.
const LARGEST: usize = 64 * 1024;

/// A service that says whether a request may pass.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ForwardAuth")]
pub struct Config {
    /// The service. It gets a GET with the client's header fields and no body, and answers with 64
    /// KiB at the most; `X-Forwarded-Method`,
    /// `X-Forwarded-Uri`, `X-Forwarded-Host`, `X-Forwarded-Proto` and `X-Forwarded-For` say what was
    /// asked, by whom.
    pub service: Name,
    /// Where it is asked; `/` where it is left out.
    pub path: Option<String>,
    /// How long it may take; 2 seconds where it is left out.
    pub timeout: Option<Duration>,
    /// Claims of the identity, and the fields of the service's answer that they are made of, such as
    /// `sub: x-auth-user`. One whose field is missing is left out.
    #[serde(default)]
    pub claims: BTreeMap<String, HeaderName>,
}

/// Who is asked.
#[derive(Debug)]
pub struct Forward {
    whom: Whom,
    uri: Uri,
    limits: Limits,
    claims: Vec<(String, http::HeaderName)>,
    maker: Maker,
}

impl Forward {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    ///
    /// Refuses a service that is not there, and what is no path.
    pub fn compile(config: &Config, build: &Build) -> Result<Self, Invalid> {
        let whom = build.service(&config.service).map_err(|invalid| invalid.under("service"))?;
        let path = config.path.as_deref().unwrap_or("/");
        let uri = Uri::try_from(path).ok().filter(|_| path.starts_with('/')).ok_or_else(|| {
            Invalid::new(format!("`{path}` is no path, which begins with `/`")).under("path")
        })?;
        let claims = config.claims.iter();
        let claims = claims.map(|(claim, field)| (claim.clone(), field.clone().into_inner()));
        Ok(Forward {
            whom,
            uri,
            limits: Limits {
                deadline: config.timeout.map_or(TIMEOUT, |timeout| *timeout),
                body: LARGEST,
            },
            claims: claims.collect(),
            maker: Maker::new(&build.vouched, &build.consumers, &[]),
        })
    }

    /// Asks about a request.
    pub async fn check(&self, head: &request::Parts, facts: &Facts, services: &dyn Ask) -> Found {
        let question = self.question(head, facts, services);
        match services.ask(&self.whom, question, Bytes::new(), self.limits).await {
            Ok(answer) if answer.head.status.is_success() => {
                let claims = self.claims(&answer.head.headers);
                Found::Known(self.maker.of_claims(Way::ForwardAuth, Arc::new(claims), None))
            }
            Ok(answer) if answer.head.status.is_server_error() => {
                let status = answer.head.status.as_u16();
                Found::Undecided(format!("the service that decides answered {status}").into())
            }
            Ok(answer) => Found::Answered(reply(answer)),
            Err(error) => Found::Undecided(format!("the service that decides: {error}").into()),
        }
    }

    /// What the service is asked: the client's fields, but for those of a body that it does not get.
    fn question(
        &self,
        client: &request::Parts,
        facts: &Facts,
        services: &dyn Ask,
    ) -> request::Parts {
        let (mut head, ()) = http::Request::new(()).into_parts();
        (head.method, head.uri) = (Method::GET, self.uri.clone());
        let fields = &mut head.headers;
        *fields = client.headers.clone();
        drop_of_the_connection(fields, &OF_THE_CONNECTION);
        OF_THE_CONTENT.iter().for_each(|name| drop(fields.remove(name)));
        one_cookie_line(client, fields);
        let is_trusted = facts.connection.trusted;
        if !is_trusted {
            // What a stranger says of who it is and what it asks for is no more than hearsay.
            drop_claims(fields, services.request_id());
            fields.remove(FORWARDED);
        }
        let target = client.uri.path_and_query().map_or("/", |target| target.as_str());
        let said = [
            (FORWARDED_METHOD, HeaderValue::from_str(client.method.as_str()).ok()),
            (FORWARDED_URI, HeaderValue::from_str(target).ok()),
            (FORWARDED_HOST, HeaderValue::from_bytes(host(client)).ok()),
            (FORWARDED_PROTO, Some(HeaderValue::from_static(facts.connection.scheme()))),
            (FORWARDED_FOR, HeaderValue::from_str(&facts.client.to_string()).ok()),
        ];
        for (name, value) in said {
            let is_proxys = is_trusted && [FORWARDED_HOST, FORWARDED_PROTO].contains(&name);
            if !(is_proxys && fields.contains_key(&name)) {
                fields.remove(&name);
                value.into_iter().for_each(|value| drop(fields.insert(&name, value)));
            }
        }
        fields.insert(services.request_id(), facts.request_id.clone());
        facts.trace.set(fields);
        head
    }

    fn claims(&self, fields: &HeaderMap) -> Map<String, Value> {
        let claim = |(claim, field): &(String, http::HeaderName)| {
            // Several lines are one list (RFC 9110 §5.3).
            let lines: Vec<&[u8]> =
                fields.get_all(field).iter().map(HeaderValue::as_bytes).collect();
            let value = String::from_utf8(lines.join(&b", "[..])).ok()?;
            (!value.is_empty()).then(|| (claim.clone(), Value::from(value)))
        };
        self.claims.iter().filter_map(claim).collect()
    }
}

/// The service's answer, for the client: where to log in, for instance.
fn reply(answer: Answer) -> Reply {
    let mut fields = answer.head.headers.clone();
    drop_of_the_connection(&mut fields, &OF_THE_CONNECTION);
    fields.remove(CONTENT_LENGTH);
    // A cache that kept it would answer others with it.
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let mut headers = Vec::with_capacity(fields.len());
    let mut last = None;
    for (name, value) in fields {
        last = name.or(last);
        headers.extend(last.clone().map(|name| (name, value)));
    }
    Reply { status: answer.head.status, headers, body: answer.body }
}

/// What belongs to a connection. `Proxy-` fields are for the next proxy alone (§11.7).
const OF_THE_CONNECTION: [http::HeaderName; 9] = [
    CONNECTION,
    http::HeaderName::from_static("keep-alive"),
    http::HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What is said of a body, which the service does not get, and of what the client has already of
/// the answer to its request, which is not the answer to this one.
const OF_THE_CONTENT: [http::HeaderName; 8] = [
    CONTENT_LENGTH,
    EXPECT,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
];

const FORWARDED_METHOD: http::HeaderName = http::HeaderName::from_static("x-forwarded-method");
const FORWARDED_URI: http::HeaderName = http::HeaderName::from_static("x-forwarded-uri");
const FORWARDED_HOST: http::HeaderName = http::HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: http::HeaderName = http::HeaderName::from_static("x-forwarded-proto");
const FORWARDED_FOR: http::HeaderName = http::HeaderName::from_static("x-forwarded-for");
