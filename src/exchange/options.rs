//! What a message says of its connection alone (RFC 9110 §7.6.1).

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName};

/// What the fields `Connection` of a message name.
pub fn connection_options(fields: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = fields.get_all(CONNECTION).iter();
    let options = lines.flat_map(|line| line.as_bytes().split(|&b| b == b','));
    options.map(<[u8]>::trim_ascii)
}

/// Drops the fields that `Connection` names, and these.
pub fn drop_of_the_connection(fields: &mut HeaderMap, others: &[HeaderName]) {
    let named = connection_options(fields).filter_map(|name| HeaderName::from_bytes(name).ok());
    let named: Vec<HeaderName> = named.collect();
    named.iter().chain(others).for_each(|name| drop(fields.remove(name)));
}
