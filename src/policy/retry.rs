//! When an attempt that failed is made again. The proxy's stages make them.

use super::{Build, Kind};
use crate::upstream::retry::{Backoff, Condition, Conditions, Methods, Retry, RetryLimit};
use crate::value::{self, Invalid, OneOrMany, Percent, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Which failures are tried again, how often and when. `none` is as if nothing were said: another
/// endpoint for what could not be connected to, and no more; `attempts: 1` is no retries at all. A
/// connection that had closed in the pool is replaced once, whatever is said.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Retry")]
pub struct Config {
    /// How many tries a request gets, the first one included: from 1, which means no retries, to
    /// 10. 2 where it is left out.
    pub attempts: Option<u32>,
    /// What has to happen for another try. `[connect_failure, refused_stream, reset]` where it is
    /// left out: with idempotent methods these do no harm, while an answer or silence may well mean
    /// that the service has too much to do already.
    pub retry_on: Option<OneOrMany<Condition>>,
    /// Which requests may be repeated although the service may have acted on them: `idempotent`,
    /// `any`, or a list of methods. `idempotent` where it is left out: the methods of RFC 9110
    /// §9.2.2 and requests with an `Idempotency-Key`. What was never sent, as after
    /// `connect_failure` and `refused_stream`, is repeated whatever the method.
    pub methods: Methods,
    /// How long one try may take from the end of the upload until the answer's head is there. Where
    /// it is left out, and between an HTTP/2 client and an HTTP/2 service, only the service's
    /// timeouts end a try.
    pub per_try_timeout: Option<value::Duration>,
    /// How long to wait before a try: at random between nothing and the first time, which doubles
    /// with each retry up to the second. A service whose `Retry-After` asks for more than the
    /// second is not tried again. `25ms..250ms` where it is left out.
    pub backoff: Option<Span>,
    /// How many retries the service gets: a share of its requests of the last ten seconds, or a map
    /// of that share and a floor. `20%`, and 3 a second beside it, where it is left out.
    pub budget: Option<BudgetConfig>,
    /// A second try beside one that is slow to answer; none where it is left out.
    pub hedge: Option<HedgeConfig>,
}

/// When a second try is made beside the first. Whichever answers first is the client's, and the
/// other is dropped. This is for GET and HEAD without a body, to a service with another endpoint,
/// and not for gRPC. The second try counts as one of `attempts` and is paid for from the budget.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Hedge")]
pub struct HedgeConfig {
    /// How long the first try is waited for alone. The time within which 95 of 100 requests are
    /// answered is a good one: it costs five more requests in a hundred.
    pub after: value::Duration,
}

/// A retry budget: a share, or its parts.
#[derive(Debug, Clone)]
pub enum BudgetConfig {
    /// `20%`: this share.
    Share(Percent),
    /// The share and the floor.
    Parts(BudgetParts),
}

/// How many retries a service gets.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RetryBudget")]
pub struct BudgetParts {
    /// Retries, as a share of the requests of the last ten seconds. `20%` where it is left out.
    pub share: Option<Percent>,
    /// Retries a second beside that share, at most 100000, so that a service with few requests gets
    /// some too. 3 where it is left out.
    pub min_per_second: Option<u32>,
}

impl Kind for Retry {
    type Config = Config;

    fn compile(config: &Config, _: &Build) -> Result<Self, Invalid> {
        let attempts = config.attempts.unwrap_or(Retry::DEFAULT.attempts);
        if !(1..=10).contains(&attempts) {
            let message = format!("{attempts} is out of range: write 1 (no retries) to 10 tries");
            return Err(Invalid::new(message).under("attempts"));
        }
        if config.per_try_timeout.is_some_and(|time| time.is_zero()) {
            let message = "a time of zero would fail every try";
            return Err(Invalid::new(message).under("per_try_timeout"));
        }
        let hedge = config.hedge.as_ref().map(|hedge| hedge_after(hedge, attempts)).transpose()?;
        let on = match &config.retry_on {
            // A connection that was closed in the pool says nothing of the service.
            Some(conditions) => {
                conditions.iter().copied().collect::<Conditions>().with_pooled_closed()
            }
            None => Conditions::NONE
                .with(Condition::ConnectFailure)
                .with(Condition::RefusedStream)
                .with(Condition::Reset),
        };
        let backoff = match config.backoff {
            Some(Span { from, to }) => Backoff { base: *from, max: *to },
            None => Backoff { base: Duration::from_millis(25), max: Duration::from_millis(250) },
        };
        Ok(Retry {
            attempts,
            on,
            methods: config.methods.clone(),
            per_try_timeout: config.per_try_timeout.map(|time| *time),
            backoff,
            budget: limit(config.budget.as_ref()).map_err(|invalid| invalid.under("budget"))?,
            hedge,
        })
    }
}

fn hedge_after(hedge: &HedgeConfig, attempts: u32) -> Result<Duration, Invalid> {
    if hedge.after.is_zero() {
        let message = "after no time, every request would be sent twice";
        return Err(Invalid::new(message).under("after").under("hedge"));
    }
    if attempts < 2 {
        let message = "a hedge is a second try, so it needs `attempts: 2` or more";
        return Err(Invalid::new(message).under("hedge"));
    }
    Ok(*hedge.after)
}

fn limit(config: Option<&BudgetConfig>) -> Result<RetryLimit, Invalid> {
    let fallback = Retry::DEFAULT.budget;
    match config {
        None => Ok(fallback),
        Some(BudgetConfig::Share(share)) => Ok(RetryLimit { share: *share, ..fallback }),
        Some(BudgetConfig::Parts(parts)) => {
            let min_per_second = parts.min_per_second.unwrap_or(fallback.min_per_second);
            if min_per_second > RetryLimit::MOST_PER_SECOND {
                let message = format!("at most {} retries a second", RetryLimit::MOST_PER_SECOND);
                return Err(Invalid::new(message).under("min_per_second"));
            }
            let share = parts.share.unwrap_or(fallback.share);
            if share.millionths() == 0 && min_per_second == 0 {
                let message = "this allows no retry at all: write `attempts: 1` to mean that";
                return Err(Invalid::new(message));
            }
            Ok(RetryLimit { share, min_per_second })
        }
    }
}

impl<'de> Deserialize<'de> for BudgetConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BudgetVisitor)
    }
}

impl JsonSchema for BudgetConfig {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RetryBudgetOrShare".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let share = generator.subschema_for::<Percent>();
        let parts = generator.subschema_for::<BudgetParts>();
        json_schema!({"anyOf": [share, parts]})
    }
}

/// Tells a share from its parts by their shape, so that an error inside keeps its place.
struct BudgetVisitor;

impl<'de> Visitor<'de> for BudgetVisitor {
    type Value = BudgetConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a share such as `20%`, or a map of `share` and `min_per_second`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<BudgetConfig, E> {
        Percent::deserialize(StrDeserializer::new(text)).map(BudgetConfig::Share)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<BudgetConfig, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<BudgetConfig, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BudgetConfig, A::Error> {
        BudgetParts::deserialize(MapAccessDeserializer::new(map)).map(BudgetConfig::Parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(yaml: &str) -> Result<Retry, String> {
        let config: Config = serde_yaml::from_str(yaml).map_err(|error| error.to_string())?;
        Retry::compile(&config, &Build::default()).map_err(|invalid| invalid.to_string())
    }

    fn refusal(yaml: &str) -> String {
        compile(yaml).unwrap_err()
    }

    #[test]
    fn everything_that_may_be_written_is_understood() {
        let retry = compile(
            "{attempts: 4, retry_on: [connect_failure, 502, 503], methods: any, \
             per_try_timeout: 1s, backoff: 10ms..100ms, \
             budget: {share: 10%, min_per_second: 0}, hedge: {after: 100ms}}",
        );
        let expected = Retry {
            attempts: 4,
            on: ["connect_failure", "502", "503"]
                .iter()
                .map(|word| word.parse::<Condition>().unwrap())
                .collect::<Conditions>()
                .with_pooled_closed(),
            methods: Methods::Any,
            per_try_timeout: Some(Duration::from_secs(1)),
            backoff: Backoff { base: Duration::from_millis(10), max: Duration::from_millis(100) },
            budget: RetryLimit { share: Percent::new(10), min_per_second: 0 },
            hedge: Some(Duration::from_millis(100)),
        };
        assert_eq!(retry, Ok(expected));
    }

    #[test]
    fn an_empty_block_repeats_what_does_no_harm() {
        let retry = compile("{}").unwrap();
        assert_eq!((retry.attempts, &retry.methods), (2, &Methods::Idempotent));
        assert_eq!(retry.backoff.max, Duration::from_millis(250));
        assert_eq!(retry.budget, RetryLimit { share: Percent::new(20), min_per_second: 3 });
        assert_eq!(
            compile("{budget: 20%, retry_on: [connect_failure, refused_stream, reset]}"),
            Ok(retry)
        );
    }

    #[test]
    fn what_could_not_work_is_refused_with_a_reason() {
        assert!(refusal("{attempts: 0}").starts_with("attempts: 0 is out of range"));
        assert!(refusal("{attempts: 11}").contains("to 10 tries"));
        assert!(refusal("{per_try_timeout: 0s}").contains("would fail every try"));
        assert!(refusal("{budget: 20}").contains("write 20%"));
        assert!(refusal("{budget: {share: 0%, min_per_second: 0}}").contains("`attempts: 1`"));
        let most = refusal("{budget: {min_per_second: 100001}}");
        assert!(most.starts_with("budget.min_per_second: at most 100000"), "{most}");
        assert!(refusal("{retry_on: [conect_failure]}").contains("`connect_failure`"));
        assert!(refusal("{backoff: 25ms}").contains("25ms..250ms"));
        assert!(refusal("{hedge: {after: 0s}}").starts_with("hedge.after: after no time"));
        assert!(refusal("{attempts: 1, hedge: {after: 1s}}").contains("`attempts: 2`"));
        assert!(refusal("{hedge: {}}").contains("missing field"));
    }
}
