//! Takes a credential out of a head that goes to a service, and leaves every other byte as it was.

use super::{Place, trim};
use crate::credential::Authorization;
use http::header::COOKIE;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};

impl Place {
    /// Takes what stands at the place out of a head, as often as it does. A head without it is
    /// not touched. An `Authorization` field of another scheme stays where it is.
    pub fn remove(&self, head: &mut Parts) {
        match self {
            Place::Bearer => match Authorization::read(&head.headers) {
                Ok(None | Some(Authorization::Basic(_) | Authorization::Other { .. })) => {}
                Ok(Some(Authorization::Bearer(_))) | Err(_) => {
                    Authorization::remove(&mut head.headers);
                }
            },
            Place::Header(name) => drop(head.headers.remove(name)),
            Place::Cookie(name) => remove_cookie(&mut head.headers, name),
            Place::Query(name) => {
                if let Some(uri) = without_parameter(&head.uri, name) {
                    head.uri = uri;
                }
            }
        }
    }
}

/// Whether a cookie has the name. One that some readers would take for it goes too.
fn is_cookie(pair: &[u8], name: &str) -> bool {
    let written = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
    pair.contains(&b'=') && trim(written) == name.as_bytes()
}

fn pairs(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|&byte| byte == b';')
}

fn remove_cookie(headers: &mut HeaderMap, name: &str) {
    let has_it = |line: &HeaderValue| pairs(line).any(|pair| is_cookie(pair, name));
    if !headers.get_all(COOKIE).iter().any(has_it) {
        return;
    }
    let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for line in lines {
        if !has_it(&line) {
            headers.append(COOKIE, line);
        } else if let Some(rest) = without_cookie(&line, name) {
            headers.append(COOKIE, rest);
        }
    }
}

/// A line without the cookie; nothing if that leaves none.
fn without_cookie(line: &HeaderValue, name: &str) -> Option<HeaderValue> {
    let mut rest = Vec::with_capacity(line.len());
    let kept = pairs(line).filter(|pair| !is_cookie(pair, name));
    for (position, pair) in kept.enumerate() {
        if position > 0 {
            rest.push(b';');
        }
        rest.extend_from_slice(pair);
    }
    // What stood behind the cookie may begin the line now, where its space parts nothing.
    let rest = rest.trim_ascii();
    // Parts of a value have only bytes that a value may have.
    if rest.is_empty() { None } else { HeaderValue::from_bytes(rest).ok() }
}

/// The target without the parameter; nothing if it does not have it.
fn without_parameter(uri: &Uri, name: &str) -> Option<Uri> {
    let query = uri.query()?;
    let is_it = |pair: &&str| super::parameter(pair, name).is_some();
    if !query.split('&').any(|pair| is_it(&pair)) {
        return None;
    }
    let mut target = String::with_capacity(uri.path().len() + query.len());
    target.push_str(uri.path());
    for (position, pair) in query.split('&').filter(|pair| !is_it(pair)).enumerate() {
        target.push(if position == 0 { '?' } else { '&' });
        target.push_str(pair);
    }
    let mut parts = uri.clone().into_parts();
    let target = PathAndQuery::try_from(target);
    parts.path_and_query = Some(target.expect("a target is still one with less of its query"));
    Some(Uri::from_parts(parts).expect("a target is still one with another path and query"))
}
