//! gRPC's health protocol (`grpc.health.v1`). Its two messages have one field each, so they are
//! written and read here by hand: a code generator would be more to build than to read.

use super::CheckError;
use crate::upstream::call::{CallError, Caller, Limits};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use pingora::http::RequestHeader;
use pingora::upstreams::peer::HttpPeer;
use tokio::time::Instant;

/// The method that is called.
pub(super) const PATH: &str = "/grpc.health.v1.Health/Check";
/// The one serving status (`HealthCheckResponse.ServingStatus`) that means that it serves.
const SERVING: u64 = 1;
/// How large an answer may be: its message has two bytes.
const LARGEST: usize = 4 << 10;

/// Asks whether a service serves.
pub(super) async fn ask(
    caller: &Caller,
    peer: &HttpPeer,
    mut head: RequestHeader,
    service: &str,
    deadline: Instant,
) -> Result<(), CheckError> {
    let left = deadline.saturating_duration_since(Instant::now());
    // Eight digits are all that the field may have.
    let timeout = format!("{}m", left.as_millis().clamp(1, 99_999_999));
    let fields = [("te", "trailers"), ("content-type", "application/grpc")];
    for (name, value) in fields.into_iter().chain([("grpc-timeout", timeout.as_str())]) {
        head.insert_header(name, value).map_err(CallError::from)?;
    }
    let limits = Limits { deadline: left, body: LARGEST };
    let answer = caller.call(peer, head, request(service), limits).await?;
    if answer.head.status != StatusCode::OK {
        return Err(CheckError::Status(answer.head.status));
    }
    // An answer without a message may say its code in its head.
    let code = answer.trailers.as_ref().and_then(code).or_else(|| code(&answer.head.headers));
    if code != Some(0) {
        return Err(CheckError::Grpc(code));
    }
    match response(&answer.body).ok_or(CheckError::Malformed)? {
        SERVING => Ok(()),
        0 => Err(CheckError::NotServing("UNKNOWN")),
        2 => Err(CheckError::NotServing("NOT_SERVING")),
        3 => Err(CheckError::NotServing("SERVICE_UNKNOWN")),
        _ => Err(CheckError::NotServing("a serving status that is not known")),
    }
}

fn code(fields: &HeaderMap) -> Option<u32> {
    fields.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// Writes a `HealthCheckRequest` (field 1, `service`, a string) with the five bytes before it: not
/// compressed, and its length.
fn request(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(1 << 3 | 2);
        put_varint(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("the name is as long as a config's line"));
    framed.put_slice(&message);
    framed.freeze()
}

/// Reads a `HealthCheckResponse` (field 1, `status`, an enum) with the five bytes before it, past
/// fields that are not known. None where it is not one.
fn response(mut framed: &[u8]) -> Option<u64> {
    let (prefix, message) = framed.split_at_checked(5)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    // No encoding was offered, so nothing may be compressed.
    if prefix[0] != 0 || usize::try_from(length).ok()? != message.len() {
        return None;
    }
    framed = message;
    let mut status = 0;
    while !framed.is_empty() {
        let tag = take_varint(&mut framed)?;
        let skipped = match tag & 7 {
            0 => {
                let value = take_varint(&mut framed)?;
                if tag >> 3 == 1 {
                    status = value;
                }
                0
            }
            1 => 8,
            2 => usize::try_from(take_varint(&mut framed)?).ok()?,
            5 => 4,
            _ => return None,
        };
        framed = framed.get(skipped..)?;
    }
    Some(status)
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_the_bytes_that_protobuf_says() {
        assert_eq!(&request("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&request("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        let long = request(&"x".repeat(300));
        assert_eq!(&long[..8], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn a_response_is_read_past_fields_that_are_not_known() {
        assert_eq!(response(b"\0\0\0\0\x02\x08\x01"), Some(1));
        assert_eq!(response(b"\0\0\0\0\0"), Some(0));
        let more = b"\0\0\0\0\x11\x12\x02hi\x08\x02\x1d\0\0\0\0\x21\0\0\0\0\0\0\0\0";
        let mut more = more.to_vec();
        more[4] = u8::try_from(more.len() - 5).unwrap();
        assert_eq!(response(&more), Some(2));
    }

    #[test]
    fn what_is_no_response_is_refused() {
        for bytes in [&b""[..], b"\0\0\0\0", b"\x01\0\0\0\x02\x08\x01", b"\0\0\0\0\x03\x08\x01"] {
            assert_eq!(response(bytes), None, "{bytes:?}");
        }
        assert_eq!(response(b"\0\0\0\0\x02\x0a\x09"), None);
        assert_eq!(response(b"\0\0\0\0\x01\x08"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_can_panic_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = response(&bytes);
            let mut framed = vec![0, 0, 0, 0, u8::try_from(bytes.len()).unwrap()];
            framed.extend(bytes);
            let _ = response(&framed);
        }

        #[test]
        fn numbers_of_any_size_are_written_and_read(value: u64) {
            let mut bytes = BytesMut::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(take_varint(&mut &bytes[..]), Some(value));
        }
    }
}
