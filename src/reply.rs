//! The one place where an error becomes a response.
//!
//! A [`Rejection`] lists what HTTP has to say, not which policy says it, so that a new policy
//! adds none. Every one becomes a problem document (RFC 9457); what is inside, addresses and
//! causes, goes to the log.

use crate::exchange::Unproven;
use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT, WWW_AUTHENTICATE};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Why an exchange goes no further.
#[derive(Debug)]
pub enum Stop {
    /// The gateway has the answer: a policy's, or the route's own.
    Reply(Reply),
    /// The request is refused, or could not be served.
    Reject(Rejection),
    /// The client has left: there is nobody to answer.
    Gone,
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Stop::Reject(rejection)
    }
}

/// An answer that the gateway gives by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its header fields; `Content-Length` is added when it is written.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body.
    pub body: Bytes,
}

/// Why the gateway refuses a request, or has no answer for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// 400: the request means nothing definite.
    BadRequest(&'static str),
    /// 401, or 400 where it is not clear what was shown: nobody knows who is asking.
    Unauthenticated {
        /// Why not.
        why: Unproven,
        /// The values of `WWW-Authenticate` (RFC 9110 §11.6.1).
        challenges: Arc<[HeaderValue]>,
    },
    /// 403: the client may not have this. The reason is in the log alone.
    Forbidden,
    /// 403: a token that says more would do (RFC 6750 §3.1).
    InsufficientScope {
        /// The value of `WWW-Authenticate`.
        challenge: HeaderValue,
    },
    /// 404: no route matches.
    NotFound,
    /// 404: the route makes another path of this request, but it lacks what that is made of.
    NoPath,
    /// 405: a route matches but for the method; `Allow` names those that would fit.
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: HeaderValue,
    },
    /// 413: the body is larger than the route takes.
    ContentTooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// 415: the body is not of the kind that the route takes.
    UnsupportedMediaType {
        /// The value of `Accept` (RFC 9110 §15.5.16).
        accept: &'static str,
    },
    /// 429: the client has had its share (RFC 6585 §4).
    QuotaExceeded {
        /// The limit that it is over.
        limit: Arc<str>,
        /// When the same request would be admitted, if nothing else comes. None where it never
        /// would.
        retry_after: Option<Duration>,
    },
    /// 431: the head is larger than the route takes.
    HeadersTooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// 408: the client did not send its body in time.
    RequestTimeout,
    /// 500: the gateway is at fault.
    Internal,
    /// 501: the request needs something of HTTP that the gateway does not do.
    NotImplemented(&'static str),
    /// 502: the service cannot be reached, or its answer means nothing.
    BadGateway {
        /// The service's name.
        service: Arc<str>,
    },
    /// 503: the service cannot be asked at present: it has no endpoint, no place, or a circuit is open.
    Unavailable {
        /// The service's name.
        service: Arc<str>,
        /// When it may be worth to ask again.
        retry_after: Duration,
    },
    /// 503: nobody can say at present whether a credential is good.
    Undecided,
    /// 503: nobody can say at present whether the client has had its share.
    Uncounted,
    /// 503: the gateway itself has too much to do. Why is in the log alone.
    Overloaded {
        /// When it may be worth to ask again.
        retry_after: Duration,
    },
    /// 504: the service did not answer in time.
    GatewayTimeout {
        /// The service's name.
        service: Arc<str>,
    },
}

/// When it is worth to ask again where nobody could say whether a credential is good, or a share
/// used up.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// What a problem document says of the request that it answers.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The request's id.
    pub request_id: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its path, without the query.
    pub path: &'a str,
}

/// A problem document (RFC 9457 §3), with the members that this gateway adds (§3.2).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    /// `about:blank` where the status says it all (RFC 9457 §4.2.1).
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    violated: Option<[&'a str; 1]>,
}

impl Rejection {
    /// The status that says it.
    pub fn status(&self) -> StatusCode {
        match self {
            Rejection::BadRequest(_) => StatusCode::BAD_REQUEST,
            Rejection::Unauthenticated { why: Unproven::Ambiguous, .. } => StatusCode::BAD_REQUEST,
            Rejection::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Rejection::Forbidden | Rejection::InsufficientScope { .. } => StatusCode::FORBIDDEN,
            Rejection::NotFound | Rejection::NoPath => StatusCode::NOT_FOUND,
            Rejection::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Rejection::ContentTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Rejection::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Rejection::QuotaExceeded { .. } => StatusCode::TOO_MANY_REQUESTS,
            Rejection::HeadersTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Rejection::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Rejection::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Rejection::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Rejection::BadGateway { .. } => StatusCode::BAD_GATEWAY,
            Rejection::Unavailable { .. }
            | Rejection::Undecided
            | Rejection::Uncounted
            | Rejection::Overloaded { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Rejection::GatewayTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn detail(&self, about: &About<'_>) -> String {
        match self {
            Rejection::BadRequest(why) | Rejection::NotImplemented(why) => (*why).to_owned(),
            Rejection::Unauthenticated { why, .. } => detail(*why).to_owned(),
            Rejection::Forbidden => "this request is not permitted".to_owned(),
            Rejection::InsufficientScope { .. } => {
                "the token does not permit this request".to_owned()
            }
            Rejection::Undecided => "credentials cannot be checked at present".to_owned(),
            Rejection::Uncounted => "requests cannot be counted at present".to_owned(),
            Rejection::Overloaded { .. } => "the gateway has too much to do at present".to_owned(),
            Rejection::NotFound => format!("no route matches {} {}", about.method, about.path),
            Rejection::NoPath => {
                "the request lacks what the path for the service is made of".to_owned()
            }
            Rejection::MethodNotAllowed { .. } => {
                format!("{} is not allowed for {}", about.method, about.path)
            }
            Rejection::ContentTooLarge { limit } => {
                format!("the body is larger than {limit} bytes")
            }
            Rejection::UnsupportedMediaType { accept } => {
                format!("the body is not {accept}, without an encoding")
            }
            Rejection::HeadersTooLarge { limit } => {
                format!("the request head is larger than {limit} bytes")
            }
            Rejection::QuotaExceeded { limit, retry_after: Some(_) } => {
                format!("the quota of `{limit}` is used up")
            }
            Rejection::QuotaExceeded { limit, retry_after: None } => {
                format!("this request costs more than the quota of `{limit}` ever has")
            }
            Rejection::RequestTimeout => "the request body did not come in time".to_owned(),
            Rejection::Internal => "the gateway could not handle this request".to_owned(),
            Rejection::BadGateway { service } => {
                format!("service {service} cannot be reached or gave no valid answer")
            }
            Rejection::Unavailable { service, .. } => {
                format!("service {service} cannot be asked at present")
            }
            Rejection::GatewayTimeout { service } => {
                format!("service {service} did not answer in time")
            }
        }
    }

    fn service(&self) -> Option<&str> {
        match self {
            Rejection::BadGateway { service }
            | Rejection::Unavailable { service, .. }
            | Rejection::GatewayTimeout { service } => Some(service),
            _ => None,
        }
    }

    /// The problem's type and title, where the status does not say it all.
    fn kind(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Rejection::Unauthenticated { why, .. } => Some(kind(*why)),
            Rejection::InsufficientScope { .. } => {
                Some(("urn:x-sluicegate:problem:insufficient-scope", "Insufficient Scope"))
            }
            Rejection::QuotaExceeded { .. } => Some((
                "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "Quota Exceeded",
            )),
            Rejection::Overloaded { .. } => {
                Some(("urn:x-sluicegate:problem:overloaded", "Gateway Overloaded"))
            }
            _ => None,
        }
    }

    /// The limits that the request is over (draft-ietf-httpapi-ratelimit-headers-11 §5).
    fn violated(&self) -> Option<[&str; 1]> {
        match self {
            Rejection::QuotaExceeded { limit, .. } => Some([limit]),
            _ => None,
        }
    }

    fn challenges(&self) -> &[HeaderValue] {
        match self {
            Rejection::Unauthenticated { challenges, .. } => challenges,
            Rejection::InsufficientScope { challenge } => std::slice::from_ref(challenge),
            _ => &[],
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Rejection::Undecided | Rejection::Uncounted => Some(ASK_AGAIN.as_secs()),
            Rejection::Unavailable { retry_after, .. } | Rejection::Overloaded { retry_after } => {
                Some(retry_after.as_secs().max(1))
            }
            // Who comes back a part of a second too early would be refused again.
            Rejection::QuotaExceeded { retry_after, .. } => retry_after.map(whole_seconds),
            _ => None,
        }
    }

    /// The answer that tells the client.
    pub fn reply(&self, about: &About<'_>) -> Reply {
        let status = self.status();
        let (kind, title) = self.kind().unwrap_or_else(|| ("about:blank", title(status)));
        let problem = Problem {
            r#type: kind,
            title,
            status: status.as_u16(),
            detail: self.detail(about),
            request_id: about.request_id,
            path: matches!(self, Rejection::NotFound | Rejection::MethodNotAllowed { .. })
                .then_some(about.path),
            service: self.service(),
            retry_after: self.retry_after(),
            violated: self.violated(),
        };
        let mut headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
            // A refusal says what holds now, for this client; no cache may repeat it.
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        if let Rejection::UnsupportedMediaType { accept } = self {
            headers.push((ACCEPT, HeaderValue::from_static(accept)));
        }
        if let Rejection::MethodNotAllowed { allow } = self {
            headers.push((ALLOW, allow.clone()));
        }
        let challenges = self.challenges().iter().cloned();
        headers.extend(challenges.map(|challenge| (WWW_AUTHENTICATE, challenge)));
        if let Some(seconds) = problem.retry_after {
            headers.push((RETRY_AFTER, HeaderValue::from(seconds)));
        }
        let mut body = serde_json::to_vec(&problem).expect("strings and numbers serialise");
        // Whoever reads it in a terminal gets the prompt on a line of its own.
        body.push(b'\n');
        Reply { status, headers, body: body.into() }
    }
}

/// A time in seconds, rounded up; at least one.
pub fn whole_seconds(span: Duration) -> u64 {
    let part = u64::from(span.subsec_nanos() > 0);
    span.as_secs().saturating_add(part).max(1)
}

fn detail(why: Unproven) -> &'static str {
    match why {
        Unproven::Missing => "this request needs credentials",
        Unproven::Expired => "the credentials have expired",
        Unproven::Invalid => "the credentials are not valid here",
        Unproven::Ambiguous => "the request has more than one credential",
    }
}

/// The type and the title of the problem that nobody knows who is asking.
fn kind(why: Unproven) -> (&'static str, &'static str) {
    match why {
        Unproven::Missing => {
            ("urn:x-sluicegate:problem:credentials-missing", "Credentials Missing")
        }
        Unproven::Expired => {
            ("urn:x-sluicegate:problem:credentials-expired", "Credentials Expired")
        }
        Unproven::Invalid => {
            ("urn:x-sluicegate:problem:credentials-invalid", "Credentials Invalid")
        }
        Unproven::Ambiguous => {
            ("urn:x-sluicegate:problem:credentials-ambiguous", "Credentials Ambiguous")
        }
    }
}

/// A status in words, as RFC 9110 §15 has them; the library's are older for some.
fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
        status => status.canonical_reason().unwrap_or("Error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About<'static> = About { request_id: "id-1", method: "GET", path: "/a\"b" };

    fn body(rejection: &Rejection) -> serde_json::Value {
        serde_json::from_slice(&rejection.reply(&ABOUT).body).unwrap()
    }

    #[test]
    fn a_problem_names_the_request_and_the_path() {
        let problem = body(&Rejection::NotFound);
        assert_eq!(problem["status"], 404);
        assert_eq!(problem["title"], "Not Found");
        assert_eq!(problem["requestId"], "id-1");
        assert_eq!(problem["path"], "/a\"b");
    }

    #[test]
    fn a_method_that_does_not_fit_is_told_which_would() {
        let allow = HeaderValue::from_static("GET, POST");
        let reply = Rejection::MethodNotAllowed { allow: allow.clone() }.reply(&ABOUT);
        assert_eq!(reply.status, 405);
        assert!(reply.headers.contains(&(ALLOW, allow)));
    }

    #[test]
    fn who_has_had_its_share_is_told_when_to_come_back() {
        let limit = Arc::from("plan");
        let retry_after = Some(Duration::from_millis(29_001));
        let rejection = Rejection::QuotaExceeded { limit, retry_after };
        let problem = body(&rejection);
        assert_eq!(problem["status"], 429);
        assert!(problem["type"].as_str().unwrap().ends_with("#quota-exceeded"));
        assert_eq!(problem["violated-policies"][0], "plan");
        assert_eq!(problem["retryAfter"], 30);
        let reply = rejection.reply(&ABOUT);
        assert!(reply.headers.contains(&(RETRY_AFTER, HeaderValue::from(30))));
    }

    #[test]
    fn what_never_will_be_admitted_is_not_told_to_come_back() {
        let rejection = Rejection::QuotaExceeded { limit: Arc::from("plan"), retry_after: None };
        assert!(body(&rejection).get("retryAfter").is_none());
    }

    #[test]
    fn a_service_without_endpoints_says_when_to_come_back() {
        let service = Arc::from("users");
        let rejection = Rejection::Unavailable { service, retry_after: Duration::from_secs(5) };
        let problem = body(&rejection);
        assert_eq!(
            (problem["service"].as_str(), problem["retryAfter"].as_u64()),
            (Some("users"), Some(5))
        );
        let reply = rejection.reply(&ABOUT);
        assert!(reply.headers.contains(&(RETRY_AFTER, HeaderValue::from(5))));
    }
}
