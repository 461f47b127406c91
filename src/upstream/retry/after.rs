//! `Retry-After`, by which a service says when it wants to be asked again (RFC 9110 §10.2.3).

use http::HeaderValue;
use std::time::{Duration, SystemTime};

/// Reads how long a `Retry-After` field asks to wait: so many seconds, or until a date in any of
/// the three formats of RFC 9110 §5.6.7. A date that has passed asks for no wait. A value that is
/// neither says nothing, and digits beyond what a number holds ask for the longest wait there is.
pub fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim_ascii();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Duration> {
        // Sun, 06 Nov 1994 08:49:07 GMT.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_747);
        retry_after(&HeaderValue::from_str(text).unwrap(), now)
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(read(date), Some(Duration::from_secs(30)), "{date}");
        }
    }

    #[test]
    fn a_date_that_has_passed_asks_for_no_wait() {
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_says_nothing_and_a_huge_number_means_never() {
        for nonsense in ["", "soon", "-1", "+1", "1.5", "5s"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
        assert_eq!(read(&"9".repeat(40)), Some(Duration::MAX));
    }
}
