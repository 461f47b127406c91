//! Base64url without padding (RFC 7515 §2), in its canonical spelling alone: were padding,
//! whitespace or stray last bits let through, one token would have many spellings, and whoever
//! counts or bars tokens by their text would see many tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Reads a text; none if it is not the one spelling of some bytes.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Writes bytes.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_spelling() {
        assert_eq!(decode("Zg"), Some(b"f".to_vec()));
        assert_eq!(decode("-_8"), Some(vec![0xfb, 0xff]));
        for text in ["Zg==", "Zg=", "Zh", "Zv", "+/8", "Z", "Z g", "Zg\n", " Zg", "Zg.", "Zm9\0"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
        assert_eq!(encode(&[0xfb, 0xff]), "-_8");
    }
}
