//! The target of a request, before anything is decided by it: it is of a form that HTTP has, and
//! its path is normalised in the head itself, so that routes, policies, references, the log and
//! the service see one and the same path. The query is not touched.

use crate::exchange::PathRules;
use crate::reply::Rejection;
use http::uri::PathAndQuery;
use http::{Method, Uri, request};
use pingora::protocols::http::authority::{RawTargetAuthority, raw_target_authority};
use pingora_proxy::Session;
use std::borrow::Cow;

/// Refuses a target that is none of the four forms of RFC 9112 §3.2 for its method, or has a
/// fragment: Pingora would drop the one and take `/` in the place of the other.
pub fn well_formed(session: &Session) -> Result<(), Rejection> {
    let head = session.req_header();
    let target = head.raw_path();
    let has_form = match target {
        [b'/', ..] => true,
        b"*" => head.method == Method::OPTIONS,
        _ if head.method == Method::CONNECT => true,
        target => matches!(raw_target_authority(target), RawTargetAuthority::Absolute { .. }),
    };
    if !has_form {
        return Err(Rejection::BadRequest("the target is of no form that requests have"));
    }
    if session.is_http2() {
        return Ok(());
    }
    // What is left of a request line is the place where the target ended.
    let raw = session.as_downstream().to_h1_raw();
    let line = raw.trim_ascii_start();
    let target_at = head.method.as_str().len() + 1;
    let fragment =
        [target_at, target_at + target.len()].iter().any(|at| line.get(*at) == Some(&b'#'));
    if fragment {
        return Err(Rejection::BadRequest(
            "the target has a fragment, which is for the client alone",
        ));
    }
    Ok(())
}

/// Normalises the path of a head, if it has one.
pub fn normalise(head: &mut request::Parts, rules: PathRules) -> Result<(), Rejection> {
    let path = head.uri.path();
    // The whole server (RFC 9112 §3.2.4) and a tunnel's other end (§3.2.3) have no path.
    if !path.starts_with('/') {
        return Ok(());
    }
    let Cow::Owned(mut target) = rules.normalise(path).map_err(Rejection::BadRequest)? else {
        return Ok(());
    };
    if let Some(query) = head.uri.query() {
        target.push('?');
        target.push_str(query);
    }
    let refused = |_| Rejection::BadRequest("the target is too long");
    let mut parts = head.uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(refused)?);
    head.uri = Uri::from_parts(parts).expect("a target that had a path has another one");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(target: &str) -> Result<String, Rejection> {
        let mut head = http::Request::get(target).body(()).unwrap().into_parts().0;
        normalise(&mut head, PathRules::default())?;
        Ok(head.uri.to_string())
    }

    #[test]
    fn the_query_stays_as_it_is() {
        for query in ["", "?", "?a=%2f..%2F&&x=/../y", "?%zz?"] {
            assert_eq!(normal(&format!("/x/../%61{query}")).unwrap(), format!("/a{query}"));
            assert_eq!(normal(&format!("/a{query}")).unwrap(), format!("/a{query}"));
        }
    }

    #[test]
    fn an_authority_stays_where_it_is() {
        let normal = normal("http://a.example:8080//b/./c?d").unwrap();
        assert_eq!(normal, "http://a.example:8080/b/c?d");
    }

    #[test]
    fn what_has_no_path_is_left_alone() {
        assert_eq!(normal("*").unwrap(), "*");
        assert_eq!(normal("a.example:443").unwrap(), "a.example:443");
    }

    #[test]
    fn a_path_that_is_refused_stays_as_it_came() {
        let mut head = http::Request::get("/a%2fb").body(()).unwrap().into_parts().0;
        assert!(matches!(
            normalise(&mut head, PathRules::default()),
            Err(Rejection::BadRequest(_))
        ));
        assert_eq!(head.uri.path(), "/a%2fb");
    }
}
