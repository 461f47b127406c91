//! Query strings without their secrets.

use super::json;

/// What stands in the place of a masked value.
pub(super) const MASK: &[u8] = b"***";

/// Appends the inside of a string value: the query as it was spelled, with `***` for the
/// values of the parameters named. Names are compared as decoded, so that a spelling such as
/// `%74oken` hides nothing from us.
pub(super) fn masked(out: &mut Vec<u8>, query: &[u8], names: &[Box<[u8]>]) {
    if names.is_empty() {
        return json::text(out, query);
    }
    for (position, parameter) in query.split(|&byte| byte == b'&').enumerate() {
        if position > 0 {
            out.push(b'&');
        }
        match parameter.iter().position(|&byte| byte == b'=') {
            Some(end) if names.iter().any(|name| names_it(&parameter[..end], name)) => {
                json::text(out, &parameter[..=end]);
                out.extend_from_slice(MASK);
            }
            _ => json::text(out, parameter),
        }
    }
}

/// Whether `spelled` is `name`, percent-encoded or not.
fn names_it(spelled: &[u8], name: &[u8]) -> bool {
    // Decoding never makes a name longer, and makes it three times shorter at most.
    spelled.len() >= name.len() && (spelled == name || decoded(spelled).eq(name.iter().copied()))
}

/// Decodes as forms are: `+` is a space, and a `%` without two hex digits is itself.
fn decoded(mut spelled: &[u8]) -> impl Iterator<Item = u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    std::iter::from_fn(move || {
        if let [b'%', high, low, rest @ ..] = spelled
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            spelled = rest;
            return Some((high * 16 + low) as u8);
        }
        let (&first, rest) = spelled.split_first()?;
        spelled = rest;
        Some(if first == b'+' { b' ' } else { first })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked_text(query: &str, names: &[&str]) -> String {
        let names: Vec<Box<[u8]>> = names.iter().map(|name| name.as_bytes().into()).collect();
        let mut out = Vec::new();
        masked(&mut out, query.as_bytes(), &names);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_of_named_parameters_are_masked_and_the_rest_is_as_spelled() {
        for (query, expected) in [
            ("token=s&a=1", "token=***&a=1"),
            ("a=1&token=s=t&token=u", "a=1&token=***&token=***"),
            ("%74o%6B%65n=s", "%74o%6B%65n=***"),
            ("api+key=s&api%20key=s", "api+key=***&api%20key=***"),
            ("tokens=1&Token=2&tok=3", "tokens=1&Token=2&tok=3"),
            ("token", "token"),
            ("token=", "token=***"),
            ("a=token%3Dx&&", "a=token%3Dx&&"),
            ("100%=1&%4=2&%zz=3", "100%=1&%4=2&%zz=3"),
            ("", ""),
        ] {
            assert_eq!(masked_text(query, &["token", "api key"]), expected);
        }
    }

    proptest! {
        #[test]
        fn no_spelling_of_a_name_shows_its_value(
            encoded in prop::collection::vec((any::<bool>(), any::<bool>()), 5),
            before in "[a-z&=%]{0,8}",
        ) {
            let mut name = String::new();
            for (letter, (encode, upper)) in "token".chars().zip(encoded) {
                match (encode, upper) {
                    (true, true) => name += &format!("%{:02X}", u32::from(letter)),
                    (true, false) => name += &format!("%{:02x}", u32::from(letter)),
                    _ => name.push(letter),
                }
            }
            let query = format!("{before}&{name}=S3CRET");
            prop_assert_eq!(masked_text(&query, &["token"]).contains("S3CRET"), false);
        }
    }
}
