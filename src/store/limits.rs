//! Limits that several gateways share: each algorithm as a script that Redis runs as a whole.
//!
//! The scripts go by Redis's clock, keep one key for each caller, and let it expire when it is as
//! good as new. Their arithmetic is whole numbers below 2^53, which Lua's doubles hold exactly: the
//! products that algorithms need are kept there by a clock as coarse as they ask for (`tick`).
//! Fixed windows and the log need no products, and have microseconds whatever the limit.

use super::{Store, StoreError};
use crate::limit::{Claim, Grant, Kind, Plan, Standing, Time};
use crate::value::Period;
use redis::Value;
use std::sync::LazyLock;
use std::time::Duration;

/// A script and the hash that Redis knows it by.
#[derive(Debug)]
struct Source {
    text: &'static str,
    hash: String,
}

impl Source {
    fn new(text: &'static str) -> Self {
        Source { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }
}

macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Source> = LazyLock::new(|| {
            Source::new(concat!(include_str!("limits/common.lua"), include_str!($file)))
        });
    };
}

script!(FIXED, "limits/fixed.lua");
script!(COUNTER, "limits/counter.lua");
script!(LOG, "limits/log.lua");
script!(BUCKET, "limits/bucket.lua");

/// One run of a script, on the key of one caller. The key changes with the plan: what is stored is
/// read as the plan that stored it would.
#[derive(Debug)]
pub struct Run {
    source: &'static Source,
    key: Vec<u8>,
    operation: &'static str,
    arguments: [u64; 7],
}

impl Run {
    /// Takes as many units as are wanted and there, where the least that is needed is.
    pub fn claim(plan: &Plan, key: &[u8], claim: Claim) -> Self {
        Run::new(plan, key, "claim", claim, Time::default())
    }

    /// Gives back units that were taken at `taken` and are not to count; nothing where their window
    /// is over. The sliding log takes them from the oldest of its entries, a bucket what has not drained
    /// since.
    pub fn give_back(plan: &Plan, key: &[u8], units: u32, taken: Time) -> Self {
        Run::new(plan, key, "give", Claim { least: 0, want: units }, taken)
    }

    /// Takes units whose number only showed afterwards, whether or not they are there.
    pub fn charge(plan: &Plan, key: &[u8], units: u32) -> Self {
        Run::new(plan, key, "charge", Claim { least: 0, want: units }, Time::default())
    }

    /// Says what is left, and takes nothing.
    pub fn standing(plan: &Plan, key: &[u8]) -> Self {
        Run::new(plan, key, "standing", Claim { least: 0, want: 0 }, Time::default())
    }

    fn new(plan: &Plan, key: &[u8], operation: &'static str, claim: Claim, taken: Time) -> Self {
        let source: &'static Source = match plan.kind {
            Kind::FixedWindow => &FIXED,
            Kind::SlidingWindowCounter => &COUNTER,
            Kind::SlidingWindowLog => &LOG,
            Kind::TokenBucket | Kind::LeakyBucket => &BUCKET,
        };
        let limit = u64::from(plan.limit());
        let (period, tick) = match (plan.kind, plan.rate.per) {
            (Kind::FixedWindow, Period::Month) => (0, 1),
            (Kind::FixedWindow | Kind::SlidingWindowLog, per) => (micros(per), 1),
            (_, per) => {
                let (period, tick) = (micros(per), tick(limit, micros(per)));
                (period.div_ceil(tick), tick)
            }
        };
        let rate = u64::from(plan.rate.units.get());
        let (least, want) = (u64::from(claim.least), u64::from(claim.want));
        let arguments = [least, want, limit, period, tick, rate, taken.0 / 1_000];
        Run { source, key: key.to_vec(), operation, arguments }
    }

    /// The command that runs it: by its hash, or with its text where Redis does not know it, which
    /// it does from then on.
    pub fn command(&self, with_text: bool) -> redis::Cmd {
        let mut command = redis::cmd(if with_text { "EVAL" } else { "EVALSHA" });
        command.arg(if with_text { self.source.text } else { &self.source.hash });
        command.arg(1).arg(&self.key).arg(self.operation).arg(&self.arguments);
        command
    }
}

/// A period in microseconds. Months differ, and only windows of the calendar can begin with one: for
/// all else it is the mean of the Gregorian calendar's, 30 days and some ten hours.
fn micros(per: Period) -> u64 {
    const MONTH: u64 = 2_629_746_000_000;
    match per {
        Period::Span(span) => u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1),
        Period::Month => MONTH,
    }
}

/// How many microseconds one step of the clock has: one, or as many tens as it takes for the limit
/// times its period to stay below 2^51, so that sums of four such products stay below 2^53. A
/// million units an hour still have microseconds; where it is coarser, many units come each step.
fn tick(limit: u64, period: u64) -> u64 {
    const MOST: u128 = 1 << 51;
    let mut tick = 1;
    while u128::from(limit) * u128::from(period.div_ceil(tick)) > MOST && tick < period {
        tick *= 10;
    }
    tick
}

impl Store {
    /// Asks for units of a limit: see [`Run::claim`].
    ///
    /// # Errors
    ///
    /// The store did not answer in time or refused to. Whether the units were taken is then unknown.
    pub async fn claim(&self, plan: &Plan, key: &[u8], claim: Claim) -> Result<Grant, StoreError> {
        self.run(plan, Run::claim(plan, key, claim)).await
    }

    /// Gives units back: see [`Run::give_back`].
    ///
    /// # Errors
    ///
    /// As [`Store::claim`].
    pub async fn give_back(
        &self,
        plan: &Plan,
        key: &[u8],
        units: u32,
        taken: Time,
    ) -> Result<Standing, StoreError> {
        let run = Run::give_back(plan, key, units, taken);
        self.run(plan, run).await.map(|grant| grant.standing)
    }

    /// Takes units whose number only showed afterwards: see [`Run::charge`].
    ///
    /// # Errors
    ///
    /// As [`Store::claim`].
    pub async fn charge(
        &self,
        plan: &Plan,
        key: &[u8],
        units: u32,
    ) -> Result<Standing, StoreError> {
        self.run(plan, Run::charge(plan, key, units)).await.map(|grant| grant.standing)
    }

    /// Says what is left, and takes nothing.
    ///
    /// # Errors
    ///
    /// As [`Store::claim`].
    pub async fn standing(&self, plan: &Plan, key: &[u8]) -> Result<Standing, StoreError> {
        self.run(plan, Run::standing(plan, key)).await.map(|grant| grant.standing)
    }

    /// Forgets what a caller has taken.
    ///
    /// # Errors
    ///
    /// As [`Store::claim`].
    pub async fn forget(&self, key: &[u8]) -> Result<(), StoreError> {
        let mut command = redis::cmd("DEL");
        command.arg(key);
        self.call(command).await.map(drop)
    }

    async fn run(&self, plan: &Plan, run: Run) -> Result<Grant, StoreError> {
        read(&self.script(run).await?, plan.limit().into()).ok_or(StoreError::Answer)
    }
}

/// Reads what the scripts answer, of a plan's [`Plan::limit`]: units, what is left, and two times in
/// microseconds. None where it has another shape.
fn read(answer: &Value, limit: u64) -> Option<Grant> {
    let Value::Array(parts) = answer else { return None };
    let [Value::Int(units), Value::Int(left), Value::Int(reset), Value::Int(retry)] = parts[..]
    else {
        return None;
    };
    let standing = Standing {
        limit,
        remaining: u64::try_from(left).ok()?,
        reset: Duration::from_micros(u64::try_from(reset).ok()?),
    };
    let retry_after = u64::try_from(retry).ok().map(Duration::from_micros);
    Some(Grant { units: u32::try_from(units).ok()?, standing, retry_after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_stay_whole_in_a_double_however_large_a_limit_is() {
        let day = 86_400_000_000;
        for limit in [1, 1_000, 1_000_000, u64::from(u32::MAX)] {
            for period in [1_000, 1_000_000, day, 31 * day, 36_500 * day] {
                let tick = tick(limit, period);
                assert!(limit * period.div_ceil(tick) <= 1 << 51, "{limit} in {period} by {tick}");
            }
        }
        assert_eq!(tick(1_000_000, 3_600_000_000 / 2), 1, "microseconds, where they fit");
    }

    #[test]
    fn an_answer_of_another_shape_is_none() {
        let numbers =
            |numbers: &[i64]| Value::Array(numbers.iter().copied().map(Value::Int).collect());
        assert_eq!(read(&numbers(&[1, 2, 3]), 9), None);
        assert_eq!(read(&numbers(&[1, -2, 3, 0]), 9), None);
        assert_eq!(read(&Value::Okay, 9), None);
        let grant = read(&numbers(&[1, 2, 3, -1]), 9).unwrap();
        assert_eq!((grant.units, grant.standing.remaining, grant.retry_after), (1, 2, None));
    }
}
