//! The story of a request: Pingora's hooks in the order in which they are called.
//!
//! Each hook is short and says what happens; how is told in the chapters below `proxy/`.
//! A request passes `early_request_filter` (it gets an id and pins a view), `request_filter`
//! (it is routed and judged), `upstream_peer` (an endpoint is chosen), `upstream_request_filter`
//! (its head is made fit for the service), `request_body_filter` for each part of its body,
//! `response_filter` (the answer's head is made fit for the client) and `logging`. What fails on
//! the way ends in `fail_to_proxy`. Where attempts are hedged, `proxy_upstream_filter` makes them and
//! answers, by the same chapters.

mod admit;
mod arrive;
mod ask;
mod attempt;
mod exchange;
mod fail;
mod finish;
mod forward;
mod framing;
mod head;
mod hedge;
mod login;
pub mod mirror;
mod outcome;
mod respond;
mod rest;
mod target;
mod watch;

pub use exchange::Exchange;

use crate::overload::WorkerGuard;
use crate::snapshot::Current;
use crate::telemetry::access_log::Lines;
use crate::upstream::call::Caller;
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use mirror::Copies;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, Result};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

/// One worker's gateway.
pub struct Gateway {
    /// The view that it serves by.
    pub current: Current,
    /// Where it writes its access log.
    pub access_log: Arc<Lines>,
    /// What it makes calls with beside Pingora's proxying, where a route needs that.
    pub caller: Option<Arc<Caller>>,
    /// What it sends copies of requests with, where a route has any.
    pub copies: Option<Copies>,
    /// What it sheds requests by, where the gateway's overload is watched.
    pub overload: Option<Arc<WorkerGuard>>,
}

#[async_trait]
impl ProxyHttp for Gateway {
    /// None until the head has been read; each hook but the first finds an exchange.
    type CTX = Option<Box<Exchange>>;

    fn new_ctx(&self) -> Self::CTX {
        None
    }

    /// Pingora's own modules do what policies do here, and cost each request an allocation.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    /// The head is complete: the exchange begins, before anything can be refused.
    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<()> {
        *ctx = Some(Box::new(arrive::begin(self, session)?));
        Ok(())
    }

    /// Routes the request and lets the policies judge it; true when it is answered already.
    async fn request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<bool> {
        let exchange = begun(ctx);
        match arrive::judge(self, session, exchange).await {
            Ok(()) => Ok(false),
            Err(stop) => {
                respond::stop(session, exchange, stop).await?;
                Ok(true)
            }
        }
    }

    /// Serves a request whose attempts are hedged; false when it is answered.
    async fn proxy_upstream_filter(
        &self,
        session: &mut Session,
        ctx: &mut Self::CTX,
    ) -> Result<bool> {
        hedge::serve(self, session, begun(ctx)).await
    }

    /// Chooses the endpoint of an attempt.
    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut Self::CTX,
    ) -> Result<Box<HttpPeer>> {
        attempt::peer(session, begun(ctx)).await
    }

    /// An attempt has a connection.
    async fn connected_to_upstream(
        &self,
        session: &mut Session,
        _reused: bool,
        _: &HttpPeer,
        connection: RawFd,
        _: Option<&Digest>,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        watch::begin(session, begun(ctx), connection);
        Ok(())
    }

    /// Makes the head fit for the service. It is a copy, made anew for each attempt.
    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream_request: &mut RequestHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        let is_complete = session.as_downstream_mut().is_body_empty();
        forward::head(session.req_header(), upstream_request, is_complete, begun(ctx))
    }

    /// Lets the policies see a part of the body.
    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        let exchange = begun(ctx);
        attempt::uploaded(exchange, end_of_stream);
        forward::body(body, end_of_stream, exchange)
    }

    /// The head of an answer has come: what it means for the service, and whether it is the one
    /// that the client gets.
    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        outcome::head(session, head, begun(ctx))
    }

    /// A part of the service's answer passes.
    fn upstream_response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        _is_last: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        outcome::part(body.as_ref(), begun(ctx));
        Ok(None)
    }

    /// The answer's trailers have come: gRPC says there how it went.
    fn upstream_response_trailer_filter(
        &self,
        _: &mut Session,
        trailers: &mut HeaderMap,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        outcome::trailers(trailers, begun(ctx));
        Ok(())
    }

    /// Makes the answer's head fit for the client.
    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        respond::upstream_head(session, response, begun(ctx))
    }

    /// Ends an exchange that takes too long even though its answer keeps coming.
    fn response_body_filter(
        &self,
        _: &mut Session,
        _: &mut Option<Bytes>,
        _end_of_stream: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        respond::in_time(begun(ctx))?;
        Ok(None)
    }

    /// An endpoint could not be connected to.
    fn fail_to_connect(
        &self,
        session: &mut Session,
        _: &HttpPeer,
        ctx: &mut Self::CTX,
        mut error: Box<Error>,
    ) -> Box<Error> {
        outcome::not_connected(session, begun(ctx), &mut error);
        error
    }

    /// An attempt failed after it was connected.
    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Self::CTX,
        reused: bool,
    ) -> Box<Error> {
        outcome::broken(session, begun(ctx), error, reused)
    }

    /// Tells the client what it may know of a failure, if it can still be told.
    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Self::CTX,
    ) -> FailToProxy {
        fail::tell(session, error, ctx.as_deref_mut()).await
    }

    /// The exchange is over, however it went.
    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Self::CTX) {
        if let Some(exchange) = ctx.take() {
            finish::record(self, session, error, *exchange);
        }
    }

    /// Failures are in the access log and the metrics, each once.
    fn suppress_error_log(&self, _: &Session, _: &Self::CTX, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        _: &Self::CTX,
        _: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

fn begun(ctx: &mut Option<Box<Exchange>>) -> &mut Exchange {
    ctx.as_deref_mut().expect("early_request_filter begins the exchange before any other hook")
}
