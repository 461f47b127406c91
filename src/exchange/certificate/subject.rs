//! Names of the directory as strings (RFC 4514).

use std::fmt::Write;
use x509_parser::asn1_rs::{Oid, ToDer};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The short names that are registered for types of attributes (RFC 4514 §3, RFC 4519).
const SHORT: [(&str, &str); 17] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.12", "title"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "GN"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.97", "organizationIdentifier"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// Writes a name, its last part first (RFC 4514 §2.1).
pub(super) fn text(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (position, part) in parts.into_iter().rev().enumerate() {
        for (place, attribute) in part.iter().enumerate() {
            match (position, place) {
                (0, 0) => {}
                (_, 0) => text.push(','),
                _ => text.push('+'),
            }
            write_attribute(&mut text, attribute);
        }
    }
    text
}

/// The most specific common name.
pub(super) fn common_name(name: &X509Name<'_>) -> Option<Box<str>> {
    let names: Vec<_> = name.iter_common_name().collect();
    names.last()?.as_str().ok().map(Into::into)
}

/// Writes bytes in lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn write_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let short = short(attribute.attr_type());
    match short {
        Some(name) => text.push_str(name),
        None => text.push_str(&attribute.attr_type().to_id_string()),
    }
    text.push('=');
    // A type without a short name, and a value without a string, are told by their encoding
    // (RFC 4514 §2.4).
    match (short, attribute.as_str()) {
        (Some(_), Ok(value)) => write_value(text, value),
        _ => {
            let encoded = attribute.attr_value().to_der_vec().unwrap_or_default();
            text.push('#');
            text.push_str(&hex(&encoded));
        }
    }
}

fn short(kind: &Oid<'_>) -> Option<&'static str> {
    let kind = kind.to_id_string();
    SHORT.iter().find(|(id, _)| *id == kind).map(|(_, name)| *name)
}

/// Escapes what means something else in the string (RFC 4514 §2.4), and control characters, which
/// have no place in a log.
fn write_value(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (position, character) in value.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', character]),
            '#' if position == 0 => text.push_str("\\#"),
            ' ' if position == 0 || position == last => text.push_str("\\ "),
            control if control.is_control() => {
                for byte in control.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a string does not fail.
                    let _ = write!(text, "\\{byte:02x}");
                }
            }
            other => text.push(other),
        }
    }
}
