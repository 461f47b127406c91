//! What an operator asks a gateway that runs, from the command line: it goes to the admin listener.

use crate::config::Report;
use crate::shared::Shared;
use crate::snapshot;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// How long a gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration that says where the admin listener is cannot be read.
    #[error("{0}")]
    Config(Report),
    /// It has no admin listener.
    #[error("{0} has no `admin` listener, which this asks")]
    NoAdmin(String),
    /// The gateway cannot be asked.
    #[error("the gateway at {address} cannot be asked: {source}")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// It has no answer to this.
    #[error("{0}")]
    Refused(String),
}

/// A gateway that runs.
pub struct Console {
    address: String,
    token: Option<String>,
}

impl Console {
    /// The gateway that runs with a configuration.
    ///
    /// # Errors
    ///
    /// Tells what is wrong with the configuration, or that it has no admin listener.
    pub fn of(config: &Path) -> Result<Self, Error> {
        let (compiled, _) = snapshot::load(config, &Shared::default()).map_err(Error::Config)?;
        let admin = compiled.process.admin;
        let admin = admin.ok_or_else(|| Error::NoAdmin(config.display().to_string()))?;
        let mut address = admin.address;
        if address.ip().is_unspecified() {
            // What listens everywhere listens here too.
            address.set_ip(match address.ip() {
                std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        Ok(Console { address: format!("http://{address}"), token: admin.token })
    }

    /// Lists the limits.
    ///
    /// # Errors
    ///
    /// Says why there is no answer.
    pub fn limits(&self) -> Result<Value, Error> {
        self.ask(Method::GET, "/rate-limits")
    }

    /// Says how a caller stands with a limit.
    ///
    /// # Errors
    ///
    /// Says why there is no answer.
    pub fn caller(&self, limit: &str, key: &str, tier: Option<&str>) -> Result<Value, Error> {
        let tier = tier.map(|tier| format!("&tier={}", encoded(tier))).unwrap_or_default();
        self.ask(Method::GET, &format!("{}{tier}", target(limit, key)))
    }

    /// Lets a caller begin anew with a limit.
    ///
    /// # Errors
    ///
    /// Says why it does not.
    pub fn reset(&self, limit: &str, key: &str) -> Result<(), Error> {
        self.ask(Method::DELETE, &target(limit, key)).map(drop)
    }

    fn ask(&self, method: Method, target: &str) -> Result<Value, Error> {
        drop(rustls::crypto::ring::default_provider().install_default());
        let unreachable = |source| Error::Unreachable { address: self.address.clone(), source };
        let asked = async {
            let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
            let mut request = client.request(method, format!("{}{target}", self.address));
            if let Some(token) = &self.token {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await?;
            Ok((answer.status(), answer.text().await?))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::Refused(error.to_string()))?;
        let (status, text) = runtime.block_on(asked).map_err(unreachable)?;
        match status {
            StatusCode::NO_CONTENT => Ok(Value::Null),
            status if status.is_success() => serde_json::from_str(&text)
                .map_err(|_| Error::Refused("the gateway's answer is no JSON".to_owned())),
            StatusCode::UNAUTHORIZED => {
                Err(Error::Refused("the gateway does not take the token of `admin`".to_owned()))
            }
            status if text.trim().is_empty() => {
                Err(Error::Refused(format!("the gateway answered {status}")))
            }
            _ => Err(Error::Refused(text.trim().to_owned())),
        }
    }
}

fn target(limit: &str, key: &str) -> String {
    format!("/rate-limits/{}?key={}", encoded(limit), encoded(key))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
