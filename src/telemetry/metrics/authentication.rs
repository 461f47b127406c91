//! What is counted of who is asking: by which way, and how it went.

use super::Metrics;
use prometheus::{IntCounter, IntCounterVec};
use std::sync::OnceLock;

/// A way to find out who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// A signed token.
    Jwt,
    /// A token that its issuer is asked about.
    Introspection,
    /// A key.
    ApiKey,
    /// A user's name and password.
    Basic,
    /// The certificate of the client's connection.
    Mtls,
    /// A cookie that the gateway made.
    Session,
    /// A service that is asked.
    ForwardAuth,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proof {
    /// It was found out.
    Known,
    /// No credential was shown, and none is needed.
    Anonymous,
    /// No credential was shown.
    Missing,
    /// What was shown is not good any more.
    Expired,
    /// What was shown proves nothing.
    Invalid,
    /// More than one was shown, and nobody could say which one is meant.
    Ambiguous,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 7] = [
        Way::Jwt,
        Way::Introspection,
        Way::ApiKey,
        Way::Basic,
        Way::Mtls,
        Way::Session,
        Way::ForwardAuth,
    ];

    /// Its name, as the configuration has it.
    pub const fn name(self) -> &'static str {
        match self {
            Way::Jwt => "jwt",
            Way::Introspection => "introspection",
            Way::ApiKey => "api_key",
            Way::Basic => "basic",
            Way::Mtls => "mtls",
            Way::Session => "session",
            Way::ForwardAuth => "forward_auth",
        }
    }
}

impl Proof {
    const COUNT: usize = 6;

    const fn name(self) -> &'static str {
        match self {
            Proof::Known => "known",
            Proof::Anonymous => "anonymous",
            Proof::Missing => "missing",
            Proof::Expired => "expired",
            Proof::Invalid => "invalid",
            Proof::Ambiguous => "ambiguous",
        }
    }
}

/// The samples of one route, resolved on first use: only what really occurred is exported.
pub(super) struct Authentications {
    route: Box<str>,
    family: IntCounterVec,
    /// By way, where the first place is for none, and outcome.
    counts: [[OnceLock<IntCounter>; Proof::COUNT]; Way::ALL.len() + 1],
}

impl Authentications {
    pub fn new(metrics: &Metrics, route: &str) -> Self {
        Authentications {
            route: route.into(),
            family: metrics.authentications.clone(),
            counts: [const { [const { OnceLock::new() }; Proof::COUNT] }; Way::ALL.len() + 1],
        }
    }

    pub fn count(&self, way: Option<Way>, proof: Proof) {
        let place = way.map_or(0, |way| way as usize + 1);
        let count = self.counts[place][proof as usize].get_or_init(|| {
            let way = way.map_or("none", Way::name);
            self.family.with_label_values(&[&*self.route, way, proof.name()])
        });
        count.inc();
    }
}
