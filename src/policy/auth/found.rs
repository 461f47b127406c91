//! What a way to find out who is asking comes to.

use crate::exchange::{Claimed, Identity, Unproven};
use crate::reply::Reply;
use crate::telemetry::metrics::Way;
use std::borrow::Cow;
use std::sync::Arc;

/// What a way comes to.
pub enum Found {
    /// The client showed no credential of this kind.
    Nothing,
    /// It is known who is asking.
    Known(Arc<Identity>),
    /// What the client showed proves nothing.
    Refused(Refused),
    /// Nobody can say at present whether it does; why is for the log.
    Undecided(Cow<'static, str>),
    /// Somebody else has said what the client is to be answered.
    Answered(Reply),
}

/// A credential that proves nothing.
#[derive(Debug)]
pub struct Refused {
    /// Its kind; none where nobody could say which of several counts.
    pub way: Option<Way>,
    /// What is wrong with it, as the client may know.
    pub why: Unproven,
    /// What is wrong with it, for the log: without the credential, and without any part of it.
    pub reason: Cow<'static, str>,
    /// Whom it claims to be, where it says so.
    pub claimed: Option<Claimed>,
}

impl Refused {
    /// There was none.
    pub fn missing() -> Self {
        Refused {
            way: None,
            why: Unproven::Missing,
            reason: "no credential was shown".into(),
            claimed: None,
        }
    }

    /// There was more than one.
    pub fn repeated() -> Self {
        Refused {
            why: Unproven::Ambiguous,
            reason: "there are several lines of Authorization".into(),
            ..Refused::missing()
        }
    }

    /// A credential that is not valid.
    pub fn invalid(way: Way, reason: impl Into<Cow<'static, str>>) -> Self {
        Refused { way: Some(way), why: Unproven::Invalid, reason: reason.into(), claimed: None }
    }
}

impl From<Refused> for Found {
    fn from(refused: Refused) -> Self {
        Found::Refused(refused)
    }
}
