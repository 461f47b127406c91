//! The trace that a request belongs to (W3C Trace Context).

use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// `00-` and the trace id, the parent's id and the flags (§3.2.2), in hexadecimal.
const LENGTH: usize = 55;

/// The trace of one request, fit for a header as it is.
#[derive(Debug, Clone)]
pub struct Trace {
    parent: HeaderValue,
    /// Whether it is the client's.
    kept: bool,
}

impl Trace {
    /// Keeps a client's trace as it came; makes one where there is none or it cannot be read.
    pub fn keep_or_make(fields: &HeaderMap) -> Self {
        let mut lines = fields.get_all(TRACEPARENT).iter();
        match (lines.next(), lines.next()) {
            (Some(line), None) if is_valid(line.as_bytes()) => {
                Trace { parent: line.clone(), kept: true }
            }
            _ => Trace { parent: make(), kept: false },
        }
    }

    /// Says which trace a message belongs to. The state of another trace goes (§3.3.1.1).
    pub fn set(&self, fields: &mut HeaderMap) {
        fields.insert(TRACEPARENT, self.parent.clone());
        if !self.kept {
            fields.remove(TRACESTATE);
        }
    }

    /// The trace's id, in hexadecimal.
    pub fn id(&self) -> &str {
        // By construction the line is text and long enough.
        self.parent.to_str().ok().and_then(|line| line.get(3..35)).unwrap_or_default()
    }
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
    let (trace, parent) = random.split_at(16);
    for (start, id) in [(3, trace), (36, parent)] {
        for (place, byte) in line[start..].chunks_exact_mut(2).zip(id) {
            place
                .copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
    HeaderValue::from_bytes(&line).expect("a trace parent is hexadecimal digits and hyphens")
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn fields(lines: &[&str]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        fields.insert(TRACESTATE, HeaderValue::from_static("a=1"));
        for line in lines {
            fields.append(TRACEPARENT, line.parse().unwrap());
        }
        fields
    }

    #[test]
    fn a_valid_trace_passes_unchanged_with_its_state() {
        let mut fields = fields(&[VALID]);
        let trace = Trace::keep_or_make(&fields);
        trace.set(&mut fields);
        assert_eq!(
            (&fields[TRACEPARENT], &fields[TRACESTATE]),
            (&VALID.parse().unwrap(), &"a=1".parse().unwrap())
        );
        assert_eq!(trace.id(), "0af7651916cd43dd8448eb211c80319c");
    }

    #[test]
    fn a_trace_that_is_made_is_valid_and_starts_without_state() {
        let upper = VALID.to_ascii_uppercase();
        let zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        for lines in [&[][..], &["x"], &[&upper], &[zero], &[VALID, VALID]] {
            let mut fields = fields(lines);
            Trace::keep_or_make(&fields).set(&mut fields);
            let made = fields[TRACEPARENT].as_bytes();
            assert!(is_valid(made) && made != VALID.as_bytes(), "{lines:?}");
            assert_eq!(fields.get_all(TRACEPARENT).iter().count(), 1);
            assert!(!fields.contains_key(TRACESTATE));
        }
    }

    #[test]
    fn a_later_version_may_say_more() {
        assert!(is_valid(b"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"));
        assert!(!is_valid(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"));
        assert!(!is_valid(b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    }
}
