//! What is asked of the contenders: to forward, or to find out first who is asking.

use crate::contender::Contender;
use crate::{Arguments, Failure};
use clap::ValueEnum;

/// What is asked of the contenders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// To forward, with a request id, forwarded headers, a log and metrics.
    Forward,
    /// The same, and to check the token that each request carries and tell the origin whose it is;
    /// it is the same token each time, so that a verdict may be kept.
    Full,
    /// The same with a new token for each request.
    FullNew,
    /// `full`, and to limit what each address may ask for, by a limit that nobody reaches.
    Limited,
    /// `full`, and to limit what each of many keys may ask for, in a Redis that gateways share.
    LimitedRedis,
}

impl Scenario {
    /// The name that it has in arguments and reports.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Forward => "forward",
            Scenario::Full => "full",
            Scenario::FullNew => "full-new",
            Scenario::Limited => "limited",
            Scenario::LimitedRedis => "limited-redis",
        }
    }

    /// Whether its requests carry tokens.
    pub fn has_tokens(self) -> bool {
        self != Scenario::Forward
    }

    /// Whether a contender limits what callers may ask for.
    pub fn limits(self, contender: Contender) -> bool {
        matches!(self, Scenario::Limited | Scenario::LimitedRedis)
            && matches!(contender, Contender::Gateway | Contender::HAProxy | Contender::Envoy)
    }

    /// Whether its limits are counted in a store.
    pub fn has_store(self) -> bool {
        self == Scenario::LimitedRedis
    }

    /// Who is measured if nothing else is said.
    fn contenders(self) -> Vec<Contender> {
        use Contender::{Envoy, Floor, Gateway, GatewayPlain, GatewayUnlimited, HAProxy, Nginx};
        match self {
            Scenario::Forward => vec![Gateway, Floor, Nginx, HAProxy],
            Scenario::Full | Scenario::FullNew => vec![Gateway, GatewayPlain, HAProxy, Envoy],
            Scenario::Limited => vec![Gateway, GatewayUnlimited, HAProxy, Envoy],
            Scenario::LimitedRedis => vec![Gateway, GatewayUnlimited],
        }
    }

    /// What the ratios are to, each with its column's name.
    pub fn against(self) -> [(&'static str, Contender); 3] {
        let haproxy = ("/haproxy", Contender::HAProxy);
        match self {
            Scenario::Forward => {
                [("/floor", Contender::Floor), ("/nginx", Contender::Nginx), haproxy]
            }
            Scenario::Full | Scenario::FullNew => {
                [("/plain", Contender::GatewayPlain), haproxy, ("/envoy", Contender::Envoy)]
            }
            Scenario::Limited | Scenario::LimitedRedis => {
                let without = ("/without", Contender::GatewayUnlimited);
                [without, haproxy, ("/envoy", Contender::Envoy)]
            }
        }
    }

    /// Why a contender has no part in it, if it has none.
    fn excludes(self, contender: Contender) -> Option<&'static str> {
        match (contender, self.has_tokens()) {
            (Contender::Nginx, true) => Some("the nginx that is free does not check tokens"),
            (Contender::GatewayGuarded, true) => Some("it is measured in forward"),
            (Contender::GatewayPlain, false) => Some("there, it is the gateway itself"),
            (Contender::Envoy, false) => Some("it is measured where requests carry tokens"),
            (Contender::HAProxy | Contender::Envoy, true) if self.has_store() => {
                Some("it does not count in a Redis by itself")
            }
            (Contender::GatewayUnlimited, _)
                if !matches!(self, Scenario::Limited | Scenario::LimitedRedis) =>
            {
                Some("there, it is the gateway itself")
            }
            _ => None,
        }
    }
}

/// Chooses the contenders if the arguments do not, and refuses those that have no part.
pub fn settle(arguments: &mut Arguments) -> Result<(), Failure> {
    let scenario = arguments.scenario;
    if arguments.plain && scenario.has_tokens() {
        return Err("--plain is for the scenario forward".into());
    }
    if arguments.only.is_empty() {
        arguments.only = scenario.contenders();
    }
    match arguments.only.iter().find_map(|&each| Some((each, scenario.excludes(each)?))) {
        None => Ok(()),
        Some((contender, why)) => {
            Err(format!("{contender} has no part in {}: {why}", scenario.name()).into())
        }
    }
}
