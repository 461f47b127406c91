//! Tells clients that what they use is going to end: since when they should not use it any more
//! (RFC 9745), from when on it may be gone (RFC 8594), and where they read what to do.

use super::{Build, Kind, Policy};
use crate::exchange::Response;
use crate::value::{Invalid, Moment};
use http::header::LINK;
use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// What is deprecated, and until when it works. At least one of the two dates is needed.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Deprecation")]
pub struct Config {
    /// Since when it is deprecated, or will be: `2026-01-01` or a moment as RFC 3339 writes it.
    pub since: Option<Moment>,
    /// From when on it may no longer answer; not before `since`.
    pub sunset: Option<Moment>,
    /// Where to read about it: `https://…`, or `/…` on the same host.
    pub link: Option<String>,
}

/// The fields, as they are written.
#[derive(Debug)]
pub struct Deprecation {
    since: Option<HeaderValue>,
    sunset: Option<HeaderValue>,
    link: Option<HeaderValue>,
}

impl Kind for Deprecation {
    type Config = Config;

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        let Config { since, sunset, link } = config;
        if since.is_none() && sunset.is_none() {
            return Err(Invalid::new("at least one of `since` and `sunset` is needed"));
        }
        // RFC 9745 §4.
        if let (Some(since), Some(sunset)) = (since, sunset)
            && sunset < since
        {
            let message = "it cannot be gone before it is deprecated, which `since` says";
            return Err(Invalid::new(message).under("sunset"));
        }
        let field = |text: String| HeaderValue::try_from(text).expect("dates are visible ASCII");
        Ok(Deprecation {
            // A date of RFC 9651 §3.3.7.
            since: since.map(|since| field(format!("@{}", since.unix()))),
            sunset: sunset.map(|sunset| field(sunset.to_string())),
            link: link
                .as_deref()
                .map(|link| self::link(link).map_err(|invalid| invalid.under("link")))
                .transpose()?,
        })
    }
}

/// A link to what is said about the deprecation (RFC 9745 §3).
fn link(target: &str) -> Result<HeaderValue, Invalid> {
    let begins = ["https://", "http://", "/"].iter().any(|start| target.starts_with(start));
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"');
    match HeaderValue::try_from(format!("<{target}>; rel=\"deprecation\"")) {
        Ok(link) if begins && target.chars().all(fits) => Ok(link),
        _ => {
            let like = "write `https://HOST/PATH` or `/PATH`";
            Err(Invalid::new(format!("`{target}` is nothing to link to, {like}")))
        }
    }
}

impl Policy for Deprecation {
    type State = ();

    /// Each date is one item (RFC 9745 §2, RFC 8594 §3), so that of the gateway takes the place of
    /// a service's; links are a list, to which one is added (RFC 8288 §3).
    fn on_response(&self, response: &mut Response<'_>, _: &mut ()) {
        let fields = &mut response.head.headers;
        if let Some(since) = &self.since {
            fields.insert(DEPRECATION, since.clone());
        }
        if let Some(sunset) = &self.sunset {
            fields.insert(SUNSET, sunset.clone());
        }
        if let Some(link) = &self.link {
            fields.append(LINK, link.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(yaml: &str) -> Result<Deprecation, Invalid> {
        Deprecation::compile(&serde_yaml::from_str(yaml).unwrap(), &Build::default())
    }

    fn refusal(yaml: &str) -> String {
        compile(yaml).unwrap_err().to_string()
    }

    #[test]
    fn the_fields_are_as_their_standards_write_them() {
        let link = "https://example.com/migrate";
        let yaml = format!("{{since: 2023-06-30T23:59:59Z, sunset: 2024-06-30, link: {link}}}");
        let Deprecation { since, sunset, link } = compile(&yaml).unwrap();
        assert_eq!(since.unwrap(), "@1688169599");
        assert_eq!(sunset.unwrap(), "Sun, 30 Jun 2024 00:00:00 GMT");
        assert_eq!(link.unwrap(), "<https://example.com/migrate>; rel=\"deprecation\"");
    }

    #[test]
    fn what_ends_before_it_is_deprecated_is_refused() {
        let dates = "{since: 2026-01-02, sunset: 2026-01-01T23:59:59Z}";
        assert!(refusal(dates).starts_with("sunset: it cannot be gone before"));
        assert!(compile("{since: 2026-01-01, sunset: 2026-01-01}").is_ok());
    }

    #[test]
    fn what_says_nothing_or_leads_nowhere_is_refused() {
        assert!(refusal("{link: /a}").contains("at least one"));
        for link in ["a", "https://a/>; rel=\\\"x", "/a b", "ftp://a"] {
            let refusal = refusal(&format!("{{since: 2026-01-01, link: \"{link}\"}}"));
            assert!(refusal.contains("nothing to link to"), "{link}");
        }
    }
}
