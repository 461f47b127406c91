//! Services that are asked on the gateway's own account, by the worker that needs the answer.

use crate::snapshot::View;
use crate::upstream::ask::{Ask, AskError, Whom};
use crate::upstream::balance::Asked;
use crate::upstream::call::{Answer, CallError, Caller, Limits};
use crate::upstream::{Budget, Endpoint, Timeouts};
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderName, request};
use pingora::http::RequestHeader;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

/// A worker, as what asks services.
pub struct Asker<'a> {
    /// What it makes calls with; there where a route needs that.
    pub caller: Option<&'a Arc<Caller>>,
    /// The view that the exchange is served by.
    pub view: &'a View,
    /// When the exchange is over that waits for the answer.
    pub deadline: Option<Instant>,
}

impl Ask for Asker<'_> {
    fn request_id(&self) -> &HeaderName {
        &self.view.snapshot.request_id_header
    }

    fn ask<'a>(
        &'a self,
        whom: &'a Whom,
        head: request::Parts,
        body: Bytes,
        limits: Limits,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, AskError>> + Send + 'a>> {
        // It waits for a service anyway, and only routes that ask one come here.
        Box::pin(self.ask_twice(whom, head, body, limits))
    }
}

impl Asker<'_> {
    async fn ask_twice(
        &self,
        whom: &Whom,
        head: request::Parts,
        body: Bytes,
        limits: Limits,
    ) -> Result<Answer, AskError> {
        let caller = self.caller.ok_or(AskError::NoEndpoint)?;
        let own = Instant::now().checked_add(limits.deadline);
        let deadline = own.into_iter().chain(self.deadline).min();
        let is_safe = head.method.is_safe();
        let mut tried: Vec<Arc<Endpoint>> = Vec::new();
        loop {
            let now = Instant::now();
            let endpoint = self.pick(whom, &tried, now).ok_or(AskError::NoEndpoint)?;
            let budget = Budget::left(deadline, now);
            let peer = endpoint.peer(&Timeouts::default(), budget);
            let mut head = RequestHeader::from(head.clone());
            head.insert_header(HOST, endpoint.host.clone()).map_err(CallError::from)?;
            let limits = Limits { deadline: budget.cap(limits.deadline), ..limits };
            let occupied = Arc::clone(&endpoint).occupy();
            let answer = caller.call(&peer, head, body.clone(), limits).await;
            drop(occupied);
            match answer {
                // It is asked of two endpoints at most, and of the second with what time is left.
                Err(error) if tried.is_empty() && (is_safe || error.sent_nothing()) => {
                    tracing::debug!(service = &**whom.service.name(), %error, "asking another endpoint");
                    tried.push(endpoint);
                }
                answer => return Ok(answer?),
            }
        }
    }

    /// Picks an endpoint; one that was not tried before, while there is one.
    fn pick(&self, whom: &Whom, tried: &[Arc<Endpoint>], now: Instant) -> Option<Arc<Endpoint>> {
        let mut asked = Asked {
            turn: &self.view.service(whom.index).turn,
            random: || fastrand::u64(..),
            key: None,
            now,
            in_flight: whom.service.state.in_flight(),
        };
        let closed = |endpoint: &Endpoint| {
            let breaker = endpoint.live.breaker.as_ref();
            breaker.is_some_and(|breaker| !breaker.lets_in(now))
        };
        whom.service.roster().pick(&mut asked, tried, closed).cloned()
    }
}
