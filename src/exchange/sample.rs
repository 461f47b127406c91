//! An exchange for unit tests, which is like any other.

use super::{Authentication, Connection, Facts, Listener, PathRules, Timeouts, Trace, request_id};
use crate::value::CidrSet;
use http::HeaderMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// What is known of a request in plain text from 192.0.2.1.
pub fn facts() -> Facts {
    let listener = Listener {
        name: "test".into(),
        trusted_proxies: CidrSet::default(),
        paths: PathRules::default(),
        timeouts: Timeouts::default(),
    };
    let peer = SocketAddr::from(([192, 0, 2, 1], 4711));
    let now = Instant::now();
    Facts {
        started: now,
        time: SystemTime::UNIX_EPOCH,
        request_id: request_id::keep_or_make(None, SystemTime::UNIX_EPOCH),
        trace: Trace::keep_or_make(&HeaderMap::new()),
        client: peer.ip(),
        names: None,
        parameters: None,
        cause: None,
        limited: None,
        authentication: Authentication::default(),
        connection: Arc::new(Connection::new(Arc::new(listener), peer, false, now)),
    }
}
