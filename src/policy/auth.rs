//! The auth decision of a route: a route that has none does not pass the check.
//!
//! So far there is one decision, `none`: anyone may ask. Ways to find out who is asking will be
//! further settings of this kind.

use super::{Kind, Setting};
use crate::value::Invalid;
use crate::value::schema::word_schema;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny};

/// How a route finds out who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// It does not: anyone may ask.
    Open,
}

/// The settings of [`Auth`], beside `none`: there are no others yet.
#[derive(Debug, Clone, Copy)]
pub struct Config(Auth);

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Err(D::Error::custom("`none` is the only auth decision that this version knows"))
    }
}

word_schema!(Config, "Auth", "How a route finds out who is asking; so far it does not.", {"const": "none"});

impl Kind for Auth {
    type Config = Config;

    /// `none` is a decision here, not the lack of one.
    fn fold(_outer: Option<Config>, inner: Setting<Config>) -> Option<Config> {
        match inner {
            Setting::Off => Some(Config(Auth::Open)),
            Setting::Set(config) => Some(config),
        }
    }

    fn compile(config: &Config) -> Result<Self, Invalid> {
        Ok(config.0)
    }
}
