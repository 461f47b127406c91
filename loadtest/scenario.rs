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
}

impl Scenario {
    /// The name that it has in arguments and reports.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Forward => "forward",
            Scenario::Full => "full",
            Scenario::FullNew => "full-new",
        }
    }

    /// Whether its requests carry tokens.
    pub fn has_tokens(self) -> bool {
        self != Scenario::Forward
    }

    /// Who is measured if nothing else is said.
    fn contenders(self) -> Vec<Contender> {
        use Contender::{Envoy, Floor, Gateway, GatewayPlain, HAProxy, Nginx};
        match self {
            Scenario::Forward => vec![Gateway, Floor, Nginx, HAProxy],
            Scenario::Full | Scenario::FullNew => vec![Gateway, GatewayPlain, HAProxy, Envoy],
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
        }
    }

    /// Why a contender has no part in it, if it has none.
    fn excludes(self, contender: Contender) -> Option<&'static str> {
        match (contender, self.has_tokens()) {
            (Contender::Nginx, true) => Some("the nginx that is free does not check tokens"),
            (Contender::GatewayGuarded, true) => Some("it is measured in forward"),
            (Contender::GatewayPlain, false) => Some("there, it is the gateway itself"),
            (Contender::Envoy, false) => Some("it is measured in full and full-new"),
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
