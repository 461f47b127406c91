//! What gRPC says in header fields: how long a call may take, and how it went.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::time::Duration;

/// How long a call may take ("gRPC over HTTP2", `Timeout`).
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// How a call went.
pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// How long a call may take, where its client says so: up to eight digits and a unit.
pub fn timeout(fields: &HeaderMap) -> Option<Duration> {
    let text = fields.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// What is left of a call's time, as a field says it: in the finest unit that takes it.
pub fn timeout_value(left: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let units = [(1, 'n'), (1_000, 'u'), (1_000_000, 'm'), (1_000_000_000, 'S')];
    let nanos = left.as_nanos();
    let fits = units.iter().find(|(scale, _)| nanos / scale <= MOST);
    let text = match fits {
        Some((scale, unit)) => format!("{}{unit}", nanos / scale),
        None => format!("{}M", (nanos / 60_000_000_000).min(MOST)),
    };
    HeaderValue::from_str(&text).expect("digits and a letter are visible ASCII")
}

/// How a call went, where the fields say so.
pub fn status(fields: &HeaderMap) -> Option<u8> {
    fields.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

/// A status as HTTP would have it, as the mapping of google.rpc.Code goes: 5xx are the service's
/// failures. UNIMPLEMENTED (12) is 501 there; it is the caller who asked for what is not, so it is
/// no sign of a service that fails.
pub fn as_http(status: u8) -> StatusCode {
    match status {
        0 => StatusCode::OK,
        4 => StatusCode::GATEWAY_TIMEOUT,
        14 => StatusCode::SERVICE_UNAVAILABLE,
        2 | 13 | 15 => StatusCode::INTERNAL_SERVER_ERROR,
        8 => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::BAD_REQUEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Option<Duration> {
        let mut fields = HeaderMap::new();
        fields.insert(GRPC_TIMEOUT, HeaderValue::from_static(text));
        timeout(&fields)
    }

    #[test]
    fn a_timeout_has_up_to_eight_digits_and_a_unit() {
        assert_eq!(read("100m"), Some(Duration::from_millis(100)));
        assert_eq!(read("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for wrong in ["", "m", "100", "100x", "123456789m", "-1S", "1.5S"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_left_is_written_in_the_finest_unit_that_takes_it() {
        assert_eq!(timeout_value(Duration::from_millis(50)), "50000000n");
        assert_eq!(timeout_value(Duration::from_secs(5)), "5000000u");
        assert_eq!(timeout_value(Duration::from_secs(5_000_000)), "5000000S");
        assert_eq!(timeout_value(Duration::ZERO), "0n");
    }

    #[test]
    fn only_the_services_own_failures_are_5xx() {
        let failing: Vec<u8> = (0..=16).filter(|&code| as_http(code).is_server_error()).collect();
        assert_eq!(failing, [2, 4, 13, 14, 15]);
    }
}
