//! The trace that a request belongs to (W3C Trace Context).

use http::{HeaderName, HeaderValue};
use pingora::Result;
use pingora::http::RequestHeader;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// `00-` and the trace id, the parent's id and the flags (§3.2.2), in hexadecimal.
const LENGTH: usize = 55;

/// Leaves a trace as it came; makes one where there is none or it cannot be read, and then drops
/// the state that would have belonged to it (§3.3.1.1).
pub fn keep_or_make(head: &mut RequestHeader) -> Result<()> {
    let mut lines = head.headers.get_all(TRACEPARENT).iter();
    let kept = lines.next().is_some_and(|line| is_valid(line.as_bytes()));
    if kept && lines.next().is_none() {
        return Ok(());
    }
    head.remove_header(&TRACESTATE);
    head.insert_header(TRACEPARENT, make())
}

/// The trace id of a request that has passed [`keep_or_make`].
pub fn trace_id(head: &RequestHeader) -> Option<&[u8]> {
    head.headers.get(TRACEPARENT)?.as_bytes().get(3..35)
}

/// A version that this gateway does not know is read by the rules of the one it knows, and may
/// have more behind it (§3.2.4). Ids of all zeros are invalid (§3.2.2.3).
fn is_valid(line: &[u8]) -> bool {
    let hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let Some((known, more)) = line.split_at_checked(LENGTH) else {
        return false;
    };
    let (version, trace, parent, flags) =
        (&known[..2], &known[3..35], &known[36..52], &known[53..]);
    let dashes = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
    let some = |id: &[u8]| id.iter().any(|&b| b != b'0');
    dashes
        && [version, trace, parent, flags].into_iter().all(hex)
        && some(trace)
        && some(parent)
        && match version {
            b"ff" => false,
            b"00" => more.is_empty(),
            _ => more.is_empty() || more[0] == b'-',
        }
}

/// A new trace, marked as sampled: a service whose sampler follows its parent's would otherwise
/// record nothing, where without a gateway it decided for itself.
fn make() -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut random = [0_u8; 24];
    fastrand::fill(&mut random);
    // Neither id may be all zeros.
    random[15] |= 1;
    random[23] |= 1;
    let mut line = *b"00-00000000000000000000000000000000-0000000000000000-01";
    let places = (3..35).chain(36..52);
    let nibbles = random.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    for (place, nibble) in places.zip(nibbles) {
        line[place] = DIGITS[usize::from(nibble)];
    }
    HeaderValue::from_bytes(&line).expect("a trace parent is hexadecimal digits and hyphens")
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn head(lines: &[&str]) -> RequestHeader {
        let mut head = RequestHeader::build("GET", b"/", None).unwrap();
        head.insert_header("tracestate", "a=1").unwrap();
        for line in lines {
            head.append_header("traceparent", *line).unwrap();
        }
        head
    }

    #[test]
    fn a_valid_trace_passes_unchanged_with_its_state() {
        let mut head = head(&[VALID]);
        keep_or_make(&mut head).unwrap();
        assert_eq!(head.headers["traceparent"], VALID);
        assert_eq!(head.headers["tracestate"], "a=1");
        assert_eq!(trace_id(&head).unwrap(), b"0af7651916cd43dd8448eb211c80319c");
    }

    #[test]
    fn a_trace_that_is_made_is_valid_and_starts_without_state() {
        let upper = VALID.to_ascii_uppercase();
        let zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        for lines in [&[][..], &["x"], &[&upper], &[zero], &[VALID, VALID]] {
            let mut head = head(lines);
            keep_or_make(&mut head).unwrap();
            let made = head.headers["traceparent"].as_bytes();
            assert!(is_valid(made) && made != VALID.as_bytes(), "{lines:?}");
            assert!(!head.headers.contains_key("tracestate"));
        }
    }

    #[test]
    fn a_later_version_may_say_more() {
        assert!(is_valid(b"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"));
        assert!(!is_valid(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"));
        assert!(!is_valid(b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    }
}
