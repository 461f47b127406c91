//! The words of `retry_on`, and the set of them that a try's outcome is held against.

use super::Outcome;
use crate::value::schema::word_schema;
use crate::value::{Invalid, deserialize_quantity, nearest};
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;

/// One thing that may have another try follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// `connect_failure`: there was no connection.
    ConnectFailure,
    /// `refused_stream`: the service said that it did not look at the request.
    RefusedStream,
    /// `reset`: the connection or the stream broke before the answer's head was there.
    Reset,
    /// `timeout`: the service was silent for longer than `per_try_timeout` or the read timeout.
    Timeout,
    /// `5xx`: any answer from 500 to 599.
    ServerError,
    /// `gateway_error`: 502, 503 or 504.
    GatewayError,
    /// `retriable_4xx`: 408, 409 or 429.
    Retriable4xx,
    /// One status from 400 to 599.
    Status(StatusCode),
    /// `grpc_…`: one status of gRPC, in the head of an answer.
    Grpc(u8),
}

/// The words that are no numbers.
const WORDS: [(&str, Condition); 12] = [
    ("connect_failure", Condition::ConnectFailure),
    ("refused_stream", Condition::RefusedStream),
    ("reset", Condition::Reset),
    ("timeout", Condition::Timeout),
    ("5xx", Condition::ServerError),
    ("gateway_error", Condition::GatewayError),
    ("retriable_4xx", Condition::Retriable4xx),
    // The numbers are those of gRPC's "Status codes and their use in gRPC".
    ("grpc_cancelled", Condition::Grpc(1)),
    ("grpc_deadline_exceeded", Condition::Grpc(4)),
    ("grpc_resource_exhausted", Condition::Grpc(8)),
    ("grpc_internal", Condition::Grpc(13)),
    ("grpc_unavailable", Condition::Grpc(14)),
];

impl FromStr for Condition {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some((_, condition)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(*condition);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let status = text.parse().ok().filter(|status| (400..600).contains(status));
            let status = status.and_then(|status| StatusCode::from_u16(status).ok());
            return status.map(Condition::Status).ok_or_else(|| {
                Invalid::new(format!("`{text}` is no status of a failure, those are 400 to 599"))
            });
        }
        let words = WORDS.iter().map(|(word, _)| *word);
        let meant = match WORDS.iter().find(|(word, _)| word.strip_prefix("grpc_") == Some(text)) {
            Some((word, _)) => Some(*word),
            None => nearest(text, words.clone()),
        };
        let hint = match meant {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write a status, or {}", words.collect::<Vec<_>>().join(", ")),
        };
        Err(Invalid::new(format!("`{text}` is nothing to retry on: {hint}")))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, WORDS.iter().find(|(_, condition)| condition == self)) {
            (_, Some((word, _))) => f.write_str(word),
            (Condition::Status(status), _) => f.write_str(status.as_str()),
            (condition, _) => write!(f, "{condition:?}"),
        }
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_quantity(deserializer, "a word such as `connect_failure`, or a status")
    }
}

word_schema!(
    Condition,
    "RetryCondition",
    "connect_failure, refused_stream, reset, timeout, 5xx, gateway_error (502, 503, 504), \
     retriable_4xx (408, 409, 429), a status from 400 to 599, or for gRPC grpc_unavailable, \
     grpc_resource_exhausted, grpc_deadline_exceeded, grpc_cancelled, grpc_internal.",
    {"type": ["string", "integer"], "examples": ["connect_failure", 503, "gateway_error"]}
);

/// A set of conditions, as bits: every answer is held against it, and most are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// One bit for each [`Event`].
    events: u8,
    /// One bit for each status from 400 to 599.
    statuses: [u64; 4],
    /// One bit for each status of gRPC.
    grpc: u32,
}

/// The outcomes that are no answers, as bits.
struct Event;

impl Event {
    const CONNECT: u8 = 1;
    const REFUSED: u8 = 2;
    const POOLED: u8 = 4;
    const RESET: u8 = 8;
    const TIMEOUT: u8 = 16;
}

impl Conditions {
    /// Nothing is repeated.
    pub const NONE: Conditions = Conditions { events: 0, statuses: [0; 4], grpc: 0 };

    /// Adds what a word stands for.
    #[must_use]
    pub const fn with(mut self, condition: Condition) -> Self {
        match condition {
            Condition::ConnectFailure => self.events |= Event::CONNECT,
            Condition::RefusedStream => self.events |= Event::REFUSED,
            // A connection that is closed in the pool has broken like any other.
            Condition::Reset => self.events |= Event::RESET | Event::POOLED,
            Condition::Timeout => self.events |= Event::TIMEOUT,
            Condition::ServerError => {
                let mut status = 500;
                while status < 600 {
                    self = self.with_status(status);
                    status += 1;
                }
            }
            Condition::GatewayError => {
                self = self.with_status(502).with_status(503).with_status(504);
            }
            // A request that came too slowly and may come again (RFC 9110 §15.5.9), one that lost a
            // race (§15.5.10), and one too many for now (RFC 6585 §4). Not 425: it answers an
            // `Early-Data` field, and then it must reach the client (RFC 8470 §5.2).
            Condition::Retriable4xx => {
                self = self.with_status(408).with_status(409).with_status(429);
            }
            Condition::Status(status) => self = self.with_status(status.as_u16()),
            Condition::Grpc(status) => self.grpc |= 1 << status,
        }
        self
    }

    /// Adds connections that are closed in the pool, without the other ways in which they break.
    #[must_use]
    pub const fn with_pooled_closed(mut self) -> Self {
        self.events |= Event::POOLED;
        self
    }

    const fn with_status(mut self, status: u16) -> Self {
        let bit = status as usize - 400;
        self.statuses[bit / 64] |= 1 << (bit % 64);
        self
    }

    /// Whether an outcome is in the set.
    pub fn hold(&self, outcome: &Outcome) -> bool {
        let event = match outcome {
            Outcome::ConnectFailed => Event::CONNECT,
            Outcome::Refused => Event::REFUSED,
            Outcome::PooledClosed => Event::POOLED,
            Outcome::Reset => Event::RESET,
            Outcome::TimedOut => Event::TIMEOUT,
            Outcome::Answered(answer) => {
                let grpc = answer.grpc_status.and_then(|status| 1_u32.checked_shl(status.into()));
                return self.holds_status(answer.status)
                    || grpc.is_some_and(|bit| self.grpc & bit != 0);
            }
        };
        self.events & event != 0
    }

    fn holds_status(&self, status: StatusCode) -> bool {
        let Some(bit) = usize::from(status.as_u16()).checked_sub(400) else { return false };
        self.statuses.get(bit / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }
}

impl FromIterator<Condition> for Conditions {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Self {
        conditions.into_iter().fold(Conditions::NONE, Conditions::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::retry::Answer;

    fn refusal(text: &str) -> String {
        text.parse::<Condition>().unwrap_err().to_string()
    }

    fn repeated(word: &str) -> Vec<u16> {
        let conditions = Conditions::NONE.with(word.parse().unwrap());
        let holds = |status: &u16| {
            let status = StatusCode::from_u16(*status).unwrap();
            conditions.hold(&Outcome::Answered(Answer {
                status,
                grpc_status: None,
                retry_after: None,
            }))
        };
        (100..1000).filter(holds).collect()
    }

    #[test]
    fn a_word_for_statuses_means_these_and_no_others() {
        assert_eq!(repeated("503"), [503]);
        assert_eq!(repeated("400"), [400]);
        assert_eq!(repeated("599"), [599]);
        assert_eq!(repeated("gateway_error"), [502, 503, 504]);
        assert_eq!(repeated("retriable_4xx"), [408, 409, 429]);
        assert_eq!(repeated("5xx"), (500..600).collect::<Vec<_>>());
        assert!(repeated("connect_failure").is_empty());
        assert!(repeated("grpc_unavailable").is_empty());
    }

    #[test]
    fn a_status_of_grpc_is_found_in_an_answer_of_200() {
        let conditions = Conditions::NONE.with("grpc_unavailable".parse().unwrap());
        let answer = |grpc_status| {
            let status = StatusCode::OK;
            Outcome::Answered(Answer { status, grpc_status, retry_after: None })
        };
        assert!(conditions.hold(&answer(Some(14))));
        for other in [None, Some(0), Some(13), Some(46), Some(255)] {
            assert!(!conditions.hold(&answer(other)), "{other:?}");
        }
    }

    #[test]
    fn every_word_is_written_as_it_is_read() {
        for (word, condition) in WORDS {
            assert_eq!(word.parse::<Condition>().unwrap(), condition);
            assert_eq!(condition.to_string(), word);
        }
        assert_eq!("429".parse::<Condition>().unwrap().to_string(), "429");
    }

    #[test]
    fn what_is_no_word_hears_what_was_meant() {
        assert!(refusal("connect-failure").contains("did you mean `connect_failure`?"));
        assert!(refusal("unavailable").contains("did you mean `grpc_unavailable`?"));
        assert!(refusal("200").contains("400 to 599"));
        assert!(refusal("99999999").contains("400 to 599"));
        assert!(refusal("whatever happens").contains("write a status, or connect_failure"));
    }

    #[test]
    fn reset_covers_what_the_pool_had_closed() {
        let conditions = Conditions::NONE.with(Condition::Reset);
        assert!(conditions.hold(&Outcome::PooledClosed) && conditions.hold(&Outcome::Reset));
        assert!(!conditions.hold(&Outcome::TimedOut));
        let pooled = Conditions::NONE.with_pooled_closed();
        assert!(pooled.hold(&Outcome::PooledClosed) && !pooled.hold(&Outcome::Reset));
    }
}
