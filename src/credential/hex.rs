//! Digests of SHA-256 as people write them. Errors are the caller's, who knows what may be told.

/// Reads 64 hexadecimal digits of any case.
pub(super) fn digest(text: &str) -> Option<[u8; 32]> {
    let text: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(digest)
}

fn digit(character: u8) -> Option<u8> {
    // A digit is less than 16, so that it fits.
    char::from(character).to_digit(16).map(|digit| digit as u8)
}
