//! What answers a route: a service, which Pingora's proxying reaches, or the gateway itself.
//!
//! Each answer that the gateway gives by itself has a file below `answer/`. It makes a [`Reply`],
//! which leaves by the same door as a refusal, so that the policies of the route see it too.

pub mod mirror;
pub mod redirect;
pub mod respond;
pub mod split;

use crate::exchange::References;
use crate::reply::{Rejection, Reply};
use crate::upstream::{Service, Timeouts};
use crate::value::Reference;
use redirect::Redirect;
use respond::Respond;
use std::sync::Arc;

/// What answers a route.
#[derive(Debug)]
pub enum Answer {
    /// A service, by way of Pingora's proxying.
    Service(Backend),
    /// The gateway, with what the configuration says.
    Respond(Respond),
    /// The gateway, with another place to ask.
    Redirect(Redirect),
}

/// A service as one route uses it.
#[derive(Debug)]
pub struct Backend {
    /// The service.
    pub service: Arc<Service>,
    /// Its number in the snapshot.
    pub index: usize,
    /// The times of an attempt.
    pub timeouts: Timeouts,
}

impl Answer {
    /// The service that answers, if one does.
    pub fn backend(&self) -> Option<&Backend> {
        match self {
            Answer::Service(backend) => Some(backend),
            Answer::Respond(_) | Answer::Redirect(_) => None,
        }
    }

    /// What the gateway answers by itself; none where a service is to be asked.
    pub fn reply(&self, references: References<'_>) -> Option<Result<Reply, Rejection>> {
        match self {
            Answer::Service(_) => None,
            Answer::Respond(respond) => Some(Ok(respond.reply(references))),
            Answer::Redirect(redirect) => Some(redirect.reply(references)),
        }
    }

    /// What its templates refer to.
    pub fn references(&self) -> Vec<&Reference> {
        match self {
            Answer::Service(_) => Vec::new(),
            Answer::Respond(respond) => respond.references().collect(),
            Answer::Redirect(redirect) => redirect.references().collect(),
        }
    }
}
