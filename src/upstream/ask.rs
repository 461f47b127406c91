//! Questions that the gateway asks a service on its own account, while a request waits for the
//! answer: whether credentials are good, whether a request may pass.

use super::Service;
use super::call::{Answer, CallError, Limits};
use bytes::Bytes;
use http::{HeaderName, request};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// A service that is asked so, as one snapshot knows it.
#[derive(Clone)]
pub struct Whom {
    /// The service.
    pub service: Arc<Service>,
    /// Its number in the snapshot.
    pub index: usize,
}

/// What can ask services. A worker can; it is a trait so that who needs an answer does not need to
/// know the worker.
pub trait Ask: Sync {
    /// The field in which services are told the id of a request.
    fn request_id(&self) -> &HeaderName;

    /// Asks an endpoint of a service, and waits for the whole answer. A request that is safe to
    /// repeat, or of which nothing was sent, goes to another endpoint once where the first fails.
    fn ask<'a>(
        &'a self,
        whom: &'a Whom,
        head: request::Parts,
        body: Bytes,
        limits: Limits,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, AskError>> + Send + 'a>>;
}

/// Why a service did not answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// None of its endpoints can be asked.
    #[error("no endpoint can be asked")]
    NoEndpoint,
    /// It was asked in vain.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Nobody can be asked: for tests of what asks nobody.
#[derive(Debug, Default)]
pub struct Nobody;

impl Ask for Nobody {
    fn request_id(&self) -> &HeaderName {
        static NAME: HeaderName = HeaderName::from_static("x-request-id");
        &NAME
    }

    fn ask<'a>(
        &'a self,
        _: &'a Whom,
        _: request::Parts,
        _: Bytes,
        _: Limits,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, AskError>> + Send + 'a>> {
        Box::pin(std::future::ready(Err(AskError::NoEndpoint)))
    }
}

impl fmt::Debug for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Whom").field(self.service.name()).finish()
    }
}
