//! One check of one endpoint.

use super::{CheckError, grpc};
use crate::upstream::call::{CallError, Caller};
use crate::value::{Pattern, StatusRange};
use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};
use pingora::http::RequestHeader;
use pingora::upstreams::peer::HttpPeer;
use tokio::time::Instant;

/// How much of a body is read: an endpoint that is well says so in a few words.
const LARGEST: usize = 64 << 10;

/// What an endpoint is asked.
#[derive(Debug, Clone)]
pub enum Probe {
    /// A request of HTTP, in the version that the service is spoken to.
    Http(HttpProbe),
    /// A connection alone, with the handshake where the service has TLS.
    Tcp,
    /// gRPC's health protocol (`grpc.health.v1.Health/Check`), over HTTP/2.
    Grpc {
        /// The service that is asked for; the whole server where it is empty.
        service: Box<str>,
        /// What `:authority` says, where it is not the endpoint's own.
        host: Option<HeaderValue>,
        /// Metadata.
        headers: HeaderMap,
    },
}

/// A request, and what its answer has to be.
#[derive(Debug, Clone)]
pub struct HttpProbe {
    /// Its method.
    pub method: Method,
    /// Its path, and its query if it has one.
    pub path: PathAndQuery,
    /// Its `Host`, where it is not the endpoint's own.
    pub host: Option<HeaderValue>,
    /// Its further header fields.
    pub headers: HeaderMap,
    /// The statuses of which the answer has to have one.
    pub status: Vec<StatusRange>,
    /// What the answer's body has to match, but for white space at its ends.
    pub body: Option<Pattern>,
}

impl Probe {
    /// Asks an endpoint, and returns before the deadline.
    pub(super) async fn ask(
        &self,
        caller: &Caller,
        peer: &HttpPeer,
        host: &HeaderValue,
        deadline: Instant,
    ) -> Result<(), CheckError> {
        match self {
            Probe::Http(probe) => probe.ask(caller, peer, host, deadline).await,
            Probe::Tcp => Ok(caller.connect(peer, Some(deadline)).await?),
            Probe::Grpc { service, host: own, headers } => {
                let host = own.as_ref().unwrap_or(host);
                let head = head(&Method::POST, grpc::PATH, host, headers)?;
                grpc::ask(caller, peer, head, service, deadline).await
            }
        }
    }
}

impl HttpProbe {
    async fn ask(
        &self,
        caller: &Caller,
        peer: &HttpPeer,
        host: &HeaderValue,
        deadline: Instant,
    ) -> Result<(), CheckError> {
        let host = self.host.as_ref().unwrap_or(host);
        let head = head(&self.method, self.path.as_str(), host, &self.headers)?;
        let mut answering = caller.open(peer, head, Bytes::new(), Some(deadline)).await?;
        let status = answering.head().status;
        if !self.status.iter().any(|range| range.contains(status)) {
            return Err(CheckError::Status(status));
        }
        let mut body = Vec::new();
        while let Some(part) = answering.next_part().await? {
            body.extend_from_slice(&part);
            if body.len() > LARGEST {
                // A body that nobody asked about may be as large as it likes; it is broken off.
                return match self.body {
                    Some(_) => Err(CallError::TooLarge(LARGEST).into()),
                    None => Ok(()),
                };
            }
        }
        answering.finish().await?;
        match &self.body {
            Some(pattern) if !pattern.matches(body.trim_ascii()) => Err(CheckError::Body),
            _ => Ok(()),
        }
    }
}

fn head(
    method: &Method,
    path: &str,
    host: &HeaderValue,
    headers: &HeaderMap,
) -> Result<RequestHeader, CallError> {
    let mut head = RequestHeader::build(method.clone(), path.as_bytes(), None)?;
    head.insert_header(HOST, host)?;
    for (name, value) in headers {
        head.append_header(name, value)?;
    }
    Ok(head)
}
