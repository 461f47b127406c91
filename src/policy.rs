//! What may happen to an exchange on the way, whatever answers it.
//!
//! A policy is one file below `policy/` and one line in the list at the end of this file. From
//! that list a macro makes the YAML block, the compiled chain of a route, the private state of
//! each request and the straight-line code that runs them: nothing is looked up, and nothing is
//! virtual, while a request passes.

pub mod auth;
pub mod authorize;
pub mod circuit_breaker;
pub mod concurrency_limit;
pub mod cors;
pub mod deprecation;
pub mod ip_filter;
pub mod rate_limit;
pub mod request_size;
pub mod retry;
pub mod timeouts;
pub mod transform;

mod build;
mod exempt;
mod key;
mod named;
mod setting;
#[cfg(test)]
mod tests;

pub use build::Build;
pub use setting::Setting;

use crate::exchange::{Facts, Response, UpstreamRequest};
use crate::reply::{Rejection, Stop};
use crate::upstream::ask::Ask;
use crate::value::{Invalid, Reference, Step};
use bytes::Bytes;
use http::{StatusCode, request};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// One kind of thing that a `policies:` block may set.
pub trait Kind: Sized + Send + Sync + 'static {
    /// What is typed.
    type Config: DeserializeOwned + JsonSchema + Clone + Debug;

    /// Whether what outer scopes say counts beside what the most specific says.
    const ACCUMULATES: bool = false;

    /// Joins what a more specific scope says to what the scopes around it say.
    ///
    /// The most specific whole object counts, and `none` switches the kind off. A kind that
    /// accumulates over scopes says so here.
    fn fold(_outer: Option<Self::Config>, inner: Setting<Self::Config>) -> Option<Self::Config> {
        match inner {
            Setting::Off => None,
            Setting::Set(config) => Some(config),
        }
    }

    /// Takes in what one scope says, before it is joined to what others say: for kinds of which
    /// each scope's share means something by itself. Runs once for each scope.
    ///
    /// # Errors
    ///
    /// Refuses what means nothing; it is told at this scope.
    fn said(config: Self::Config, _scope: &str, _build: &Build) -> Result<Self::Config, Invalid> {
        Ok(config)
    }

    /// Turns what was typed into what it means.
    fn compile(config: &Self::Config, build: &Build) -> Result<Self, Invalid>;

    /// Lists what its templates refer to, so that a route can be told of what it does not have.
    fn references(&self) -> Vec<&Reference> {
        Vec::new()
    }
}

/// A request on its way in, as a policy sees it.
pub struct Request<'a> {
    /// The client's head.
    pub head: &'a request::Parts,
    /// What is known of it.
    pub facts: &'a mut Facts,
    /// What asks a service on the policy's own account.
    pub services: &'a dyn Ask,
}

impl Request<'_> {
    /// Refuses a request that is over a limit; the cause is for the log.
    fn over(&mut self, limit: &Arc<str>, cause: String, retry_after: Option<Duration>) -> Stop {
        self.facts.cause = Some(cause);
        self.facts.limited = Some(Arc::clone(limit));
        Rejection::QuotaExceeded { limit: Arc::clone(limit), retry_after }.into()
    }
}

/// A kind that acts on the exchange itself, by the hooks that it fills in.
pub trait Policy: Kind {
    /// What it remembers of one request; seen by this policy alone.
    type State: Default + Send + Sync;

    /// Acts on a routed request before anybody asks who is asking: what is judged here need not be
    /// known. Runs once for each request, before any policy's [`Policy::on_request`].
    fn on_arrival(
        &self,
        _request: &mut Request<'_>,
        _state: &mut Self::State,
    ) -> impl Future<Output = Result<(), Stop>> + Send {
        async { Ok(()) }
    }

    /// Acts on a routed request, before anything answers it; who is asking is known once `auth` has
    /// had its turn. Runs once for each request.
    fn on_request(
        &self,
        _request: &mut Request<'_>,
        _state: &mut Self::State,
    ) -> impl Future<Output = Result<(), Stop>> + Send {
        async { Ok(()) }
    }

    /// Acts on the copy of the head that goes to a service. Runs once for each attempt.
    fn on_upstream_request(
        &self,
        _request: &mut UpstreamRequest<'_>,
        _state: &mut Self::State,
    ) -> Result<(), Rejection> {
        Ok(())
    }

    /// Acts on a part of the request's body on its way to a service. An attempt that repeats the
    /// request repeats its parts, after [`Policy::on_upstream_request`].
    fn on_request_body(
        &self,
        _part: &mut Option<Bytes>,
        _state: &mut Self::State,
    ) -> Result<(), Rejection> {
        Ok(())
    }

    /// Acts on the head of the answer, whoever gave it. Runs once, in the reverse order.
    fn on_response(&self, _response: &mut Response<'_>, _state: &mut Self::State) {}

    /// Learns how the exchange went, when it is over. Runs once, whoever answered and however it
    /// ended.
    fn on_finish(&self, _finished: &Finished<'_>, _state: &mut Self::State) {}
}

/// An exchange that is over.
#[derive(Debug)]
pub struct Finished<'a> {
    /// What the client got; nothing where it left before it had an answer.
    pub status: Option<StatusCode>,
    /// What is known of the request.
    pub facts: &'a Facts,
    /// How long it took.
    pub duration: Duration,
}

/// A place where a `policies:` block stands.
#[derive(Debug)]
pub struct Scope<'a> {
    /// Its number; the same number is the same block.
    pub id: usize,
    /// Where in the document it stands.
    pub at: Vec<Step>,
    /// Its name, which it keeps where others come and go.
    pub name: String,
    /// What it says.
    pub block: &'a Block,
}

/// That a block says something of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The kind, as it is written.
    pub kind: &'static str,
    /// Whether it says `none`.
    pub is_off: bool,
    /// Whether outer scopes count beside it.
    pub accumulates: bool,
}

impl Said {
    fn of<K: Kind>(kind: &'static str, setting: Option<&Setting<K::Config>>) -> Option<Said> {
        let is_off = matches!(setting?, Setting::Off);
        Some(Said { kind, is_off, accumulates: K::ACCUMULATES })
    }
}

/// What was compiled of one kind, so that routes that say the same share it, and what is wrong is
/// told once.
struct Memo<K: Kind> {
    /// By the scopes that had a say in it.
    compiled: HashMap<Vec<usize>, Result<Option<Arc<K>>, Told>>,
    /// What each scope says.
    said: HashMap<usize, Result<Setting<K::Config>, Told>>,
}

impl<K: Kind> Default for Memo<K> {
    fn default() -> Self {
        Memo { compiled: HashMap::new(), said: HashMap::new() }
    }
}

/// It is wrong, and that was told.
#[derive(Debug, Clone, Copy)]
struct Told;

/// Finds what the scopes, the least specific first, mean for one kind.
fn resolve<K: Kind>(
    name: &'static str,
    memo: &mut Memo<K>,
    scopes: &[Scope<'_>],
    build: &Build,
    wrong: &mut Vec<Invalid>,
    setting: impl Fn(&Block) -> Option<&Setting<K::Config>>,
) -> Result<Option<Arc<K>>, Told> {
    let said = || scopes.iter().filter_map(|scope| Some((scope, setting(scope.block)?)));
    let key: Vec<usize> = said().map(|(scope, _)| scope.id).collect();
    if let Some(known) = memo.compiled.get(&key) {
        return known.clone();
    }
    let mut tell = |mut invalid: Invalid, scope: Option<&Scope<'_>>| {
        invalid.at.insert(0, name.into());
        let at = scope.map_or(&[][..], |scope| &scope.at);
        invalid.at.splice(0..0, at.iter().cloned());
        wrong.push(invalid);
        Told
    };
    let mut config = Ok(None);
    for (scope, setting) in said() {
        let inner = memo.said.entry(scope.id).or_insert_with(|| match setting {
            Setting::Off => Ok(Setting::Off),
            Setting::Set(config) => K::said(config.clone(), &scope.name, build)
                .map(Setting::Set)
                .map_err(|invalid| tell(invalid, Some(scope))),
        });
        config = match (config, inner) {
            (Ok(outer), Ok(inner)) => Ok(K::fold(outer, inner.clone())),
            _ => Err(Told),
        };
    }
    let compiled = config.and_then(|config| {
        let compiled = config.map(|config| K::compile(&config, build)).transpose();
        // The most specific scope had the last word, so the mistake is most likely there.
        let last = said().last().map(|(scope, _)| scope);
        compiled.map(|kind| kind.map(Arc::new)).map_err(|invalid| tell(invalid, last))
    });
    memo.compiled.insert(key, compiled.clone());
    compiled
}

macro_rules! policies {
    (
        chain { $($policy:ident: $Policy:ty,)+ }
        stages { $($stage:ident: $Stage:ty,)+ }
    ) => {
        /// What a `policies:` block may say, at any scope.
        #[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        #[schemars(rename = "Policies")]
        pub struct Block {
            $(#[doc = concat!("Settings of `", stringify!($policy), "`.")]
            pub $policy: Option<Setting<<$Policy as Kind>::Config>>,)+
            $(#[doc = concat!("Settings of `", stringify!($stage), "`.")]
            pub $stage: Option<Setting<<$Stage as Kind>::Config>>,)+
        }

        impl Block {
            /// Lists the kinds that it says something of, in the order of the list.
            pub fn said(&self) -> Vec<Said> {
                let mut said = Vec::new();
                $(said.extend(Said::of::<$Policy>(stringify!($policy), self.$policy.as_ref()));)+
                $(said.extend(Said::of::<$Stage>(stringify!($stage), self.$stage.as_ref()));)+
                said
            }
        }

        /// The policies of one route, in the order of the list.
        #[derive(Debug, Clone, Default)]
        pub struct Chain {
            $($policy: Option<Arc<$Policy>>,)+
        }

        /// What a route says to the stages that own a kind.
        #[derive(Debug, Clone, Default)]
        pub struct Stages {
            $(#[doc = concat!("What `", stringify!($stage), "` means here.")]
            pub $stage: Option<Arc<$Stage>>,)+
        }

        /// What the policies remember of one request.
        #[derive(Debug, Default)]
        pub struct States {
            $($policy: <$Policy as Policy>::State,)+
        }

        /// Compiles the blocks of one document.
        #[derive(Default)]
        pub struct Compiler {
            build: Build,
            $($policy: Memo<$Policy>,)+
            $($stage: Memo<$Stage>,)+
        }

        impl Compiler {
            /// A compiler of blocks that refer to what is built already.
            pub fn new(build: Build) -> Self {
                Compiler { build, ..Compiler::default() }
            }

            /// Finds what the scopes, the least specific first, mean together. Adds what is
            /// wrong with them; then there is no result.
            pub fn compile(
                &mut self,
                scopes: &[Scope<'_>],
                wrong: &mut Vec<Invalid>,
            ) -> Option<(Chain, Stages)> {
                // Every kind is looked at before the first that is wrong ends it.
                $(let $policy = resolve(
                    stringify!($policy), &mut self.$policy, scopes, &self.build, wrong,
                    |block| block.$policy.as_ref(),
                );)+
                $(let $stage = resolve(
                    stringify!($stage), &mut self.$stage, scopes, &self.build, wrong,
                    |block| block.$stage.as_ref(),
                );)+
                let chain = Chain { $($policy: $policy.ok()?,)+ };
                let stages = Stages { $($stage: $stage.ok()?,)+ };
                Some((chain, stages))
            }
        }

        impl Chain {
            /// Lists what the templates of its policies refer to.
            pub fn references(&self) -> Vec<&Reference> {
                let mut references = Vec::new();
                $(references.extend(self.$policy.iter().flat_map(|policy| policy.references()));)+
                references
            }

            /// Runs [`Policy::on_arrival`] of each, first to last, and then [`Policy::on_request`].
            pub async fn on_request(
                &self,
                request: &mut Request<'_>,
                states: &mut States,
            ) -> Result<(), Stop> {
                $(if let Some(policy) = &self.$policy {
                    policy.on_arrival(request, &mut states.$policy).await?;
                })+
                $(if let Some(policy) = &self.$policy {
                    policy.on_request(request, &mut states.$policy).await?;
                })+
                Ok(())
            }

            /// Runs [`Policy::on_upstream_request`], first to last.
            pub fn on_upstream_request(
                &self,
                request: &mut UpstreamRequest<'_>,
                states: &mut States,
            ) -> Result<(), Rejection> {
                $(if let Some(policy) = &self.$policy {
                    policy.on_upstream_request(request, &mut states.$policy)?;
                })+
                Ok(())
            }

            /// Runs [`Policy::on_request_body`], first to last.
            pub fn on_request_body(
                &self,
                part: &mut Option<Bytes>,
                states: &mut States,
            ) -> Result<(), Rejection> {
                $(if let Some(policy) = &self.$policy {
                    policy.on_request_body(part, &mut states.$policy)?;
                })+
                Ok(())
            }

            /// Runs [`Policy::on_response`], last to first.
            pub fn on_response(&self, response: &mut Response<'_>, states: &mut States) {
                policies!(@reversed self, response, states, [] $($policy)+);
            }

            /// Runs [`Policy::on_finish`], first to last.
            pub fn on_finish(&self, finished: &Finished<'_>, states: &mut States) {
                $(if let Some(policy) = &self.$policy {
                    policy.on_finish(finished, &mut states.$policy);
                })+
            }
        }
    };
    (@reversed $self:ident, $response:ident, $states:ident, [$($done:ident)*]) => {
        $(if let Some(policy) = &$self.$done {
            policy.on_response($response, &mut $states.$done);
        })*
    };
    (@reversed $self:ident, $response:ident, $states:ident, [$($done:ident)*] $next:ident $($rest:ident)*) => {
        policies!(@reversed $self, $response, $states, [$next $($done)*] $($rest)*)
    };
}

policies! {
    // In the order in which they see a request; they see its answer the other way round.
    chain {
        ip_filter: ip_filter::IpFilter,
        // Before `auth`, since a preflight carries no credentials.
        cors: cors::Cors,
        request_size: request_size::RequestSize,
        auth: auth::Auth,
        authorize: authorize::Authorize,
        deprecation: deprecation::Deprecation,
        transform: transform::Transform,
        concurrency_limit: concurrency_limit::ConcurrencyLimit,
        // Behind `transform`, so that it sees what a service says a request costs before that is
        // taken out of the answer.
        rate_limit: rate_limit::RateLimit,
    }
    // Kinds that a stage of the proxy owns: written in the same block, run by that stage.
    stages {
        timeouts: crate::upstream::Timeouts,
        retry: crate::upstream::retry::Retry,
        circuit_breaker: circuit_breaker::CircuitBreaker,
    }
}

impl Chain {
    /// Its auth decision, if it has one.
    pub fn auth(&self) -> Option<&auth::Auth> {
        self.auth.as_deref()
    }

    /// Whether who may ask depends on who is asking, which nobody finds out.
    pub fn judges_nobody(&self) -> bool {
        let is_open = self.auth.as_ref().is_some_and(|auth| auth.is_open());
        is_open && self.authorize.as_ref().is_some_and(|authorize| authorize.needs_identity())
    }

    /// Its limits, if it has any.
    pub fn rate_limit(&self) -> Option<&rate_limit::RateLimit> {
        self.rate_limit.as_deref()
    }

    /// Whether one of its policies answers preflights.
    pub fn answers_preflights(&self) -> bool {
        self.cors.is_some()
    }
}
