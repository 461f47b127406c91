//! What an error of Pingora's means for a retry.

use super::Outcome;
use crate::telemetry::metrics::UpstreamError;
use crate::upstream::classify;
use pingora::{Error, ErrorType};

impl Outcome {
    /// Finds what an error that came from a service means, before anything of its answer was there;
    /// `reused` says that the connection came from the pool. `None` is never repeated: an answer
    /// that is no HTTP will be none the next time, and what is not known may be anything.
    ///
    /// Pingora's own mark, whether an error is worth a retry, tells apart what has the same type.
    /// It has to be asked before the proxy marks the error anew.
    pub fn of(error: &Error, reused: bool) -> Option<Outcome> {
        match classify(error).0 {
            // TLS too: what is wrong with one endpoint's certificate need not be with another's,
            // and nothing was sent.
            UpstreamError::Connect | UpstreamError::ConnectTimeout | UpstreamError::Tls => {
                Some(Outcome::ConnectFailed)
            }
            UpstreamError::ReadTimeout | UpstreamError::WriteTimeout => Some(Outcome::TimedOut),
            UpstreamError::Closed if reused && is_marked(error, reused) => {
                Some(Outcome::PooledClosed)
            }
            UpstreamError::Closed => Some(Outcome::Reset),
            // Pingora marks two errors of this type, each of which says that the stream was not
            // processed: RST_STREAM with REFUSED_STREAM, and a stream above the last one of a
            // GOAWAY. Any other is a stream that broke.
            UpstreamError::Protocol if *error.etype() == ErrorType::H2Error => {
                Some(if is_marked(error, reused) { Outcome::Refused } else { Outcome::Reset })
            }
            _ => None,
        }
    }
}

/// Whether Pingora calls it worth a retry.
fn is_marked(error: &Error, reused: bool) -> bool {
    let mut mark = error.retry;
    mark.decide_reuse(reused);
    mark.retry()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pingora::RetryType;

    fn outcome(kind: ErrorType, retry: RetryType, reused: bool) -> Option<Outcome> {
        let mut error = Error::new_up(kind);
        error.retry = retry;
        Outcome::of(&error, reused)
    }

    #[test]
    fn a_closed_connection_counts_as_closed_in_the_pool_only_if_it_came_from_there() {
        for kind in [ErrorType::ConnectionClosed, ErrorType::ReadError] {
            let outcome = |retry, reused| outcome(kind.clone(), retry, reused);
            assert_eq!(outcome(RetryType::ReusedOnly, true), Some(Outcome::PooledClosed));
            assert_eq!(outcome(RetryType::ReusedOnly, false), Some(Outcome::Reset));
            assert_eq!(outcome(RetryType::Decided(false), true), Some(Outcome::Reset));
        }
    }

    #[test]
    fn a_stream_was_refused_only_if_it_was_not_processed() {
        let outcome = |mark| outcome(ErrorType::H2Error, RetryType::Decided(mark), true);
        assert_eq!(outcome(true), Some(Outcome::Refused));
        assert_eq!(outcome(false), Some(Outcome::Reset));
    }

    #[test]
    fn what_failed_before_anything_was_sent_is_a_connection_that_failed() {
        for kind in [
            ErrorType::ConnectRefused,
            ErrorType::ConnectTimedout,
            ErrorType::TLSHandshakeFailure,
            ErrorType::InvalidCert,
        ] {
            let outcome = outcome(kind, RetryType::Decided(false), false);
            assert_eq!(outcome, Some(Outcome::ConnectFailed));
        }
    }

    #[test]
    fn silence_is_a_timeout_and_nonsense_is_nothing() {
        let outcome = |kind| outcome(kind, RetryType::Decided(true), true);
        assert_eq!(outcome(ErrorType::ReadTimedout), Some(Outcome::TimedOut));
        for kind in [ErrorType::InvalidHTTPHeader, ErrorType::InvalidH2, ErrorType::H2Downgrade] {
            assert_eq!(outcome(kind.clone()), None, "{kind:?}");
        }
        assert_eq!(outcome(ErrorType::InternalError), None);
    }
}
