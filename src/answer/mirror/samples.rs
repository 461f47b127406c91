//! The last differences of a route, for whoever may read the admin API.

use super::diff::{Comparison, Difference};
use super::excerpt::excerpt;
use crate::lock::lock;
use crate::telemetry::access_log::rfc3339;
use http::{HeaderValue, Method};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

/// How many samples are kept of a route.
pub const KEPT: usize = 20;

/// The longest path that is kept, in bytes.
const LONGEST_PATH: usize = 256;

/// One pair of answers that differed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// When the request came, as RFC 3339 has it.
    pub time: String,
    /// The request's id, by which the access log tells more of it.
    pub request_id: String,
    /// Its method.
    pub method: String,
    /// Its path, shortened, and without the query, which may hold secrets.
    pub path: String,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// How many more there were.
    pub more: usize,
    /// Whether bodies were left out that should have been compared.
    pub body_skipped: bool,
}

/// Which request two answers are to.
#[derive(Debug, Clone)]
pub struct About {
    /// When it came.
    pub time: SystemTime,
    /// Its id.
    pub request_id: HeaderValue,
    /// Its method.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
}

impl Sample {
    /// What is kept of two answers that differed.
    pub fn new(about: &About, found: Comparison) -> Self {
        let Comparison { differences, more, body_skipped } = found;
        Sample {
            time: rfc3339(about.time),
            request_id: String::from_utf8_lossy(about.request_id.as_bytes()).into_owned(),
            method: about.method.as_str().to_owned(),
            path: excerpt(about.path.as_bytes(), LONGEST_PATH),
            differences,
            more,
            body_skipped,
        }
    }
}

/// The last samples of one route, which all workers share.
///
/// They are behind a lock, because a worker takes it only where two answers differed, away from
/// the thread that serves, and for no longer than it takes to move a pointer.
#[derive(Debug, Default)]
pub struct Samples(Mutex<VecDeque<Arc<Sample>>>);

impl Samples {
    /// Keeps a sample, and forgets the oldest where there are enough.
    pub fn add(&self, sample: Sample) {
        let sample = Arc::new(sample);
        let mut kept = lock(&self.0);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(sample);
    }

    /// The samples, the oldest first.
    pub fn kept(&self) -> Vec<Arc<Sample>> {
        lock(&self.0).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sample(number: u64) -> Sample {
        let about = About {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(number),
            request_id: HeaderValue::from(number),
            method: Method::GET,
            path: format!("/{}", "a".repeat(300)),
        };
        let difference =
            Difference { path: "status".to_owned(), primary: Some("200".to_owned()), mirror: None };
        let found = Comparison { differences: vec![difference], more: 1, body_skipped: true };
        Sample::new(&about, found)
    }

    #[test]
    fn the_last_samples_are_kept() {
        let samples = Samples::default();
        (0..KEPT as u64 + 5).for_each(|number| samples.add(sample(number)));
        let kept = samples.kept();
        assert_eq!(kept.len(), KEPT);
        assert_eq!((&*kept[0].request_id, &*kept[KEPT - 1].request_id), ("5", "24"));
    }

    #[test]
    fn a_sample_reads_as_json() {
        let mut value = serde_json::to_value(sample(1)).unwrap();
        assert_eq!(value["path"].take().as_str().map(str::len), Some(256 + '…'.len_utf8()));
        let expected = serde_json::json!({
            "time": "1970-01-01T00:00:00.001Z",
            "requestId": "1",
            "method": "GET",
            "path": null,
            "differences": [{"path": "status", "primary": "200", "mirror": null}],
            "more": 1,
            "bodySkipped": true,
        });
        assert_eq!(value, expected);
    }
}
