//! What answers say of limits: the fields of draft-ietf-httpapi-ratelimit-headers-11, and the older
//! ones that begin with `X-`.

use crate::limit::Standing;
use crate::reply::whole_seconds;
use crate::value::{Period, Rate};
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use std::time::Duration;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// One limit's item of `RateLimit-Policy` (§3): the quota and the window, in seconds. A month of the
/// calendar has no fixed number of them, and a window of less than a second no whole one, so that
/// they are left out.
pub fn policy(name: &str, rate: Rate) -> String {
    let quota = rate.units;
    match rate.per {
        Period::Span(span) if span.subsec_nanos() == 0 => {
            format!("\"{name}\";q={quota};w={}", span.as_secs())
        }
        _ => format!("\"{name}\";q={quota}"),
    }
}

/// What is told of one limit.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// The limit's name.
    pub name: &'a str,
    /// Its item of `RateLimit-Policy`.
    pub policy: &'a str,
    /// What is left.
    pub standing: Standing,
}

/// Adds the standard's fields; what a service says of its own limits stays beside them.
pub fn write_standard<'a>(fields: &mut HeaderMap, said: impl Iterator<Item = Said<'a>> + Clone) {
    // Without `fmt`, and on the stack for two limits: this is done for each answer.
    let mut policies = Line::new();
    let mut limits = Line::new();
    for Said { name, policy, standing } in said {
        if !policies.is_empty() {
            policies.extend_from_slice(b", ");
            limits.extend_from_slice(b", ");
        }
        policies.extend_from_slice(policy.as_bytes());
        limits.push(b'"');
        limits.extend_from_slice(name.as_bytes());
        limits.extend_from_slice(b"\";r=");
        write_number(standing.remaining, &mut limits);
        limits.extend_from_slice(b";t=");
        write_number(seconds(standing.reset), &mut limits);
    }
    if policies.is_empty() {
        return;
    }
    for (name, list) in [(POLICY, policies), (LIMIT, limits)] {
        // Names of limits are tokens, and the rest is digits.
        if let Ok(list) = HeaderValue::from_bytes(&list) {
            fields.append(name, list);
        }
    }
}

/// The value of a field, as it is made.
type Line = SmallVec<[u8; 128]>;

/// Writes a number in decimal digits.
fn write_number(mut number: u64, line: &mut Line) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return line.extend_from_slice(&digits[first..]);
        }
    }
}

/// Sets the older fields, which have room for one limit: the one of which the smallest part is left.
pub fn write_older<'a>(fields: &mut HeaderMap, said: impl Iterator<Item = Said<'a>>) {
    let part = |standing: &Standing| standing.remaining as f64 / standing.limit.max(1) as f64;
    let standings = said.map(|said| said.standing);
    let Some(least) = standings.min_by(|one, other| part(one).total_cmp(&part(other))) else {
        return;
    };
    fields.insert(X_LIMIT, least.limit.into());
    fields.insert(X_REMAINING, least.remaining.into());
    fields.insert(X_RESET, seconds(least.reset).into());
}

/// A time in seconds, rounded up, since all is not there before.
fn seconds(span: Duration) -> u64 {
    if span.is_zero() { 0 } else { whole_seconds(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &'static str, remaining: u64) -> Said<'static> {
        let standing = Standing { limit: 100, remaining, reset: Duration::from_millis(29_500) };
        Said { name, policy: "\"plan\";q=100;w=60", standing }
    }

    #[test]
    fn a_policy_says_its_quota_and_its_window() {
        let policy = |rate: &str| policy("plan", rate.parse().unwrap());
        assert_eq!(policy("100/h"), "\"plan\";q=100;w=3600");
        assert_eq!(policy("100/month"), "\"plan\";q=100");
        assert_eq!(policy("1/250ms"), "\"plan\";q=1");
    }

    #[test]
    fn numbers_are_written_as_everybody_writes_them() {
        for number in [0, 7, 10, 999, 1_000_000, u64::MAX] {
            let mut line = Line::new();
            write_number(number, &mut line);
            assert_eq!(line[..], *number.to_string().as_bytes());
        }
    }

    #[test]
    fn several_limits_stand_side_by_side() {
        let mut fields = HeaderMap::new();
        fields.insert(LIMIT, HeaderValue::from_static("\"theirs\";r=1"));
        write_standard(&mut fields, [said("plan", 50), said("per-ip", 3)].into_iter());
        let lines: Vec<_> = fields.get_all(LIMIT).iter().collect();
        assert_eq!(lines[1], "\"plan\";r=50;t=30, \"per-ip\";r=3;t=30");
        assert_eq!(fields[POLICY], "\"plan\";q=100;w=60, \"plan\";q=100;w=60");
    }

    #[test]
    fn the_older_fields_tell_of_the_limit_that_is_nearest() {
        let mut fields = HeaderMap::new();
        write_older(&mut fields, [said("plan", 50), said("per-ip", 3)].into_iter());
        let value = |name| fields[&name].to_str().unwrap().to_owned();
        assert_eq!([value(X_LIMIT), value(X_REMAINING), value(X_RESET)], ["100", "3", "30"]);
    }

    #[test]
    fn where_nothing_is_limited_nothing_is_said() {
        let mut fields = HeaderMap::new();
        write_standard(&mut fields, [].into_iter());
        write_older(&mut fields, [].into_iter());
        assert!(fields.is_empty());
    }
}
