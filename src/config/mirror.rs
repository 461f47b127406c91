//! Copies of a route's requests, which go to a second service.

use crate::answer::Backend;
use crate::answer::mirror::{Compare, Mirror};
use crate::value::{BodyPath, ByteSize, Duration, HeaderName, Invalid, Name, Percent};
use http::header::SET_COOKIE;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time;

/// Copies of requests, which go to a second service; no client sees its answers, or waits for them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Mirror")]
pub struct MirrorConfig {
    /// The service that gets the copies.
    pub service: Name,
    /// Which part of the requests is copied: `100%` where it is left out.
    #[serde(default = "all")]
    pub sample: Percent,
    /// How long the service may take for the whole of an answer: 5 seconds where it is left out.
    /// With `diff`, the client's answer is waited for as long again.
    #[serde(default = "five_seconds")]
    pub timeout: Duration,
    /// The longest body that is copied of a request, and compared of an answer, up to 1 MiB: 64 KiB
    /// where it is left out. Requests with longer bodies are not mirrored, longer answers are
    /// compared by status and fields alone.
    #[serde(default = "sixty_four_kibibytes")]
    pub max_body: ByteSize,
    /// What is compared of the two answers beside their statuses; nothing is compared where it is
    /// left out. Differences are counted, and the last are kept, with excerpts of the values, for
    /// whoever may read the admin API.
    pub diff: Option<DiffConfig>,
}

/// What is compared of two answers, beside their statuses and their bodies: those that are both
/// JSON by their structure, all others byte by byte, compressed ones not at all.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Diff")]
pub struct DiffConfig {
    /// Header fields that are compared; none where it is left out.
    pub headers: Vec<HeaderName>,
    /// Places in JSON bodies that may differ, such as `body.generatedAt`; `body` alone leaves bodies
    /// of every kind out. None where it is left out.
    pub ignore: Vec<BodyPath>,
}

/// The longest body that may be asked for. Both answers and the request are held in memory, and
/// read by a thread that has a core to share.
const LONGEST_BODY: ByteSize = ByteSize(1 << 20);

fn all() -> Percent {
    Percent::new(100)
}

fn five_seconds() -> Duration {
    Duration::new(time::Duration::from_secs(5))
}

fn sixty_four_kibibytes() -> ByteSize {
    ByteSize(64 << 10)
}

impl MirrorConfig {
    /// Turns what was typed into what it means; `backend` is what its service is.
    ///
    /// # Errors
    ///
    /// Refuses a time in which nothing can answer, a body that is too long to hold, and fields that
    /// hold secrets.
    pub fn compile(&self, backend: Backend) -> Result<Mirror, Invalid> {
        if self.timeout.is_zero() {
            let message = "a time of zero would fail every copy";
            return Err(Invalid::new(message).under("timeout"));
        }
        if self.max_body > LONGEST_BODY {
            let message = format!(
                "{} is more than is held of a body, write {LONGEST_BODY} or less",
                self.max_body
            );
            return Err(Invalid::new(message).under("max_body"));
        }
        let compare = self.diff.as_ref().map(DiffConfig::compile).transpose();
        Ok(Mirror {
            backend,
            sample: self.sample,
            timeout: *self.timeout,
            max_body: usize::try_from(self.max_body.0).expect("1 MiB is a size on any machine"),
            compare: compare.map_err(|invalid| invalid.under("diff"))?,
            samples: Arc::default(),
        })
    }
}

impl DiffConfig {
    fn compile(&self) -> Result<Compare, Invalid> {
        let mut headers = Vec::with_capacity(self.headers.len());
        for (number, name) in self.headers.iter().enumerate() {
            let name = name.clone().into_inner();
            if name == SET_COOKIE {
                let message = "`set-cookie` differs in each answer, and a sample would show \
                               somebody's session";
                return Err(Invalid::new(message).under(number).under("headers"));
            }
            headers.push(name);
        }
        Ok(Compare { headers, ignore: self.ignore.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(rest: &str) -> Result<Mirror, String> {
        let config: MirrorConfig = serde_yaml::from_str(&format!("{{service: orders_v2{rest}}}"))
            .map_err(|error| error.to_string())?;
        config.compile(Backend::sample("orders_v2")).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn all_is_copied_and_nothing_compared_where_nothing_is_said() {
        let mirror = compile("").unwrap();
        assert_eq!((mirror.timeout.as_secs(), mirror.max_body), (5, 65_536));
        assert!(mirror.compare.is_none() && mirror.takes(0) && mirror.takes(u64::MAX));
    }

    #[test]
    fn a_sample_is_its_part_of_the_requests() {
        let tenth = compile(", sample: 10%").unwrap();
        let taken = (0..1000).filter(|n| tenth.takes(n * (u64::MAX / 999))).count();
        assert_eq!(taken, 100);
        assert!(!compile(", sample: 0%").unwrap().takes(0));
    }

    #[test]
    fn what_is_compared_is_read() {
        let yaml =
            ", diff: {headers: [Content-Type], ignore: [body.generatedAt, \"body.items[].at\"]}";
        let compare = compile(yaml).unwrap().compare.unwrap();
        assert_eq!(compare.headers, ["content-type"]);
        assert_eq!(compare.ignore.len(), 2);
    }

    #[test]
    fn nonsense_is_refused_at_its_place() {
        for (rest, refusal) in [
            (", timeout: 0s", "timeout: a time of zero"),
            (", max_body: 2MiB", "max_body: 2MiB is more than is held of a body, write 1MiB"),
            (", diff: {headers: [set-cookie]}", "diff.headers[0]: `set-cookie` differs"),
            (", diff: {ignore: [items]}", "diff.ignore[0]: `items` is no place in a body"),
        ] {
            let told = compile(rest).unwrap_err();
            assert!(told.starts_with(refusal), "{told}");
        }
    }
}
