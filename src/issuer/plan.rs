//! Which issuer, and how its keys are found: what the configuration says of it.

use super::{Address, metadata};
use crate::value::Invalid;
use std::sync::Arc;
use std::time::Duration;

/// What is to be known of an issuer. Two that are equal can share an [`Issuer`](super::Issuer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(super) issuer: Arc<str>,
    pub(super) source: Source,
    pub(super) refresh: Option<Duration>,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// From where its metadata say.
    Metadata(Address),
    /// From an address that is known.
    Keys(Address),
    /// None are wanted, only where its other endpoints are.
    Endpoints(Address),
}

impl Plan {
    /// Finds the keys by the metadata of an issuer: OpenID Connect Discovery 1.0 first, then RFC
    /// 8414.
    ///
    /// # Errors
    ///
    /// Refuses a name that is no URL, or has a query or a fragment.
    pub fn discovered(issuer: &str) -> Result<Self, Invalid> {
        Ok(Plan::new(issuer, Source::Metadata(metadata::base(issuer)?)))
    }

    /// Finds the endpoints of an issuer by its metadata, and wants no keys: for tokens that only it
    /// can read.
    ///
    /// # Errors
    ///
    /// Refuses a name that is no URL, or has a query or a fragment.
    pub fn endpoints(issuer: &str) -> Result<Self, Invalid> {
        Ok(Plan::new(issuer, Source::Endpoints(metadata::base(issuer)?)))
    }

    /// Takes the keys from an address (`jwks`). The issuer's name need not be a URL.
    ///
    /// # Errors
    ///
    /// Refuses what is no URL of a web server.
    pub fn keys(issuer: &str, address: &str) -> Result<Self, Invalid> {
        Ok(Plan::new(issuer, Source::Keys(address.parse()?)))
    }

    fn new(issuer: &str, source: Source) -> Self {
        Plan { issuer: issuer.into(), source, refresh: None }
    }

    /// Asks for the keys so often. Where nothing is said it is as often as `Cache-Control:
    /// max-age` says, which counts between a minute and an hour, and every 5 minutes without that.
    #[must_use]
    pub fn refresh(mut self, every: Duration) -> Self {
        self.refresh = Some(every);
        self
    }

    /// The issuer's name, as its tokens have it.
    pub fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// The address that is asked first.
    pub fn address(&self) -> &Address {
        match &self.source {
            Source::Metadata(address) | Source::Keys(address) | Source::Endpoints(address) => {
                address
            }
        }
    }
}
