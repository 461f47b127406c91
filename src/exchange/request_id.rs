//! The id that one request carries through the gateway, its log, its services and its answer.

use http::HeaderValue;
use std::time::SystemTime;

/// The longest id that is kept from a client, in bytes.
const LONGEST: usize = 128;

/// Keeps a client's id when it is sane, else makes one.
///
/// Sane is 1 to 128 bytes of letters, digits and `-._~+/=@:`: nothing that a log, a header or a
/// shell would read as more than text.
pub fn keep_or_make(theirs: Option<&HeaderValue>, now: SystemTime) -> HeaderValue {
    match theirs {
        Some(id) if is_sane(id.as_bytes()) => id.clone(),
        _ => make(now),
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len())
        && id.iter().all(|&b| b.is_ascii_alphanumeric() || b"-._~+/=@:".contains(&b))
}

/// Makes a UUID version 7 (RFC 9562 §5.7): sorted by time, so that a log can be searched by it.
///
/// An id need not be unguessable, so its random part comes from the fast generator.
fn make(now: SystemTime) -> HeaderValue {
    let millis =
        now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let mut random = [0; 10];
    fastrand::fill(&mut random);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    let mut text = uuid::Uuid::encode_buffer();
    let text = id.hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).expect("a UUID is hexadecimal digits and hyphens")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn kept(id: &[u8]) -> bool {
        let id = HeaderValue::from_bytes(id).unwrap();
        keep_or_make(Some(&id), SystemTime::now()) == id
    }

    #[test]
    fn a_sane_id_is_kept() {
        assert!(kept(b"01920f2e-6b7c-7d3a"));
        assert!(kept(b"Root=1-67891233-abcdef012345678912345678"));
        assert!(kept(&[b'a'; 128]));
    }

    #[test]
    fn an_id_with_odd_characters_or_length_is_replaced() {
        assert!(!kept(b""));
        assert!(!kept(b"a b"));
        assert!(!kept(b"a\"b"));
        assert!(!kept(b"caf\xc3\xa9"));
        assert!(!kept(&[b'a'; 129]));
    }

    #[test]
    fn a_made_id_is_a_version_7_uuid_of_its_moment() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(0x0192_0f2e_6b7c);
        let id = make(now);
        let id = uuid::Uuid::parse_str(id.to_str().unwrap()).unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(&id.as_bytes()[..6], &[0x01, 0x92, 0x0f, 0x2e, 0x6b, 0x7c]);
        assert_ne!(make(now), make(now));
    }
}
