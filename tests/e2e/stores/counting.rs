//! What the scripts count, against a number that is counted by hand.

use super::{bucket, exactly, plan, store_at};
use crate::support::{Redis, eventually};
use sluicegate::limit::{Claim, Kind, Plan, Time, Windows};
use sluicegate::store::Store;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;

const LIMIT: u32 = 40;

/// Limits in periods so long that no time passes in a test but by chance once a month.
fn long() -> [Plan; 6] {
    [
        plan(Kind::FixedWindow, "40/month"),
        plan(Kind::FixedWindow, "40/30d"),
        plan(Kind::SlidingWindowCounter, "40/30d"),
        plan(Kind::SlidingWindowLog, "40/30d"),
        bucket(LIMIT),
        Plan { kind: Kind::LeakyBucket, ..bucket(LIMIT) },
    ]
}

/// Limits in periods so short that a test can wait for their end.
fn short() -> [Plan; 5] {
    [
        plan(Kind::FixedWindow, "4/200ms"),
        plan(Kind::SlidingWindowCounter, "4/200ms"),
        plan(Kind::SlidingWindowLog, "4/200ms"),
        plan(Kind::TokenBucket, "4/200ms"),
        plan(Kind::LeakyBucket, "4/200ms"),
    ]
}

fn now() -> Time {
    Time::of(SystemTime::now())
}

/// The naive model: what is taken, and nothing else.
struct Model {
    taken: u32,
    most: u32,
}

impl Model {
    fn new(plan: &Plan) -> Model {
        // The counter forgets what is charged beyond twice the limit.
        let is_counter = plan.kind == Kind::SlidingWindowCounter;
        Model { taken: 0, most: if is_counter { 2 * LIMIT } else { u32::MAX } }
    }

    fn left(&self) -> u32 {
        LIMIT.saturating_sub(self.taken)
    }

    fn claim(&mut self, claim: Claim) -> u32 {
        let Claim { least, want } = claim;
        let units = match self.left() {
            left if left < least => 0,
            _ if want <= least => least,
            left => want.min(left),
        };
        self.taken += units;
        units
    }
}

async fn agrees(store: &Store, plan: &Plan, key: &[u8], random: &mut fastrand::Rng) {
    let mut model = Model::new(plan);
    for step in 0..60 {
        let told = format!("step {step} of {plan:?}");
        let units = random.u32(1..=12);
        let left = match random.u8(0..10) {
            0..=4 => {
                let claim = Claim { least: units, want: units + random.u32(0..=10) };
                let grant = store.claim(plan, key, claim).await.unwrap();
                assert_eq!(grant.units, model.claim(claim), "{told}: {claim:?}");
                assert_eq!(grant.units == 0, grant.retry_after != Some(Duration::ZERO), "{told}");
                grant.standing
            }
            5..=6 => {
                model.taken = model.taken.saturating_sub(units);
                store.give_back(plan, key, units, now()).await.unwrap()
            }
            7 => {
                model.taken = (model.taken + units).min(model.most);
                store.charge(plan, key, units).await.unwrap()
            }
            8 if random.u8(0..4) == 0 => {
                model.taken = 0;
                store.forget(key).await.unwrap();
                store.standing(plan, key).await.unwrap()
            }
            _ => store.standing(plan, key).await.unwrap(),
        };
        assert_eq!((left.limit, left.remaining), (LIMIT.into(), model.left().into()), "{told}");
        assert_eq!(left.reset.is_zero(), model.taken == 0, "{told}");
    }
}

#[tokio::test]
async fn each_algorithm_counts_as_one_counts_by_hand() {
    let redis = Redis::start().await;
    let store = store_at(&redis).await;
    let mut random = fastrand::Rng::with_seed(7);
    for (number, plan) in long().iter().enumerate() {
        for run in 0..4 {
            agrees(&store, plan, format!("{number}:{run}").as_bytes(), &mut random).await;
        }
    }
}

#[tokio::test]
async fn what_is_refused_is_there_when_it_was_said_to_be() {
    let redis = Redis::start().await;
    let store = store_at(&redis).await;
    for plan in short() {
        let key = format!("{:?}", plan.kind).into_bytes();
        // A window of the clock may end meanwhile, and a bucket fills: what is refused is looked for.
        let refused = loop {
            let grant = store.claim(&plan, &key, exactly(3)).await.unwrap();
            if grant.units == 0 {
                break grant;
            }
        };
        let wait = refused.retry_after.unwrap();
        assert!(!wait.is_zero() && wait <= Duration::from_millis(400), "{plan:?}: {wait:?}");
        tokio::time::sleep(wait + Duration::from_millis(1)).await;
        assert_eq!(store.claim(&plan, &key, exactly(3)).await.unwrap().units, 3, "{plan:?}");
    }
}

#[tokio::test]
async fn more_than_there_ever_is_never_comes() {
    let redis = Redis::start().await;
    let store = store_at(&redis).await;
    for plan in long() {
        let grant = store.claim(&plan, b"much", exactly(LIMIT + 1)).await.unwrap();
        assert_eq!((grant.units, grant.retry_after), (0, None), "{plan:?}");
    }
}

#[tokio::test]
async fn a_month_ends_when_the_calendar_says() {
    let redis = Redis::start().await;
    let store = store_at(&redis).await;
    let plan = plan(Kind::FixedWindow, "5/month");
    let began = now();
    let grant = store.claim(&plan, b"month", exactly(1)).await.unwrap();
    let month = Windows::new(plan.rate.per);
    let end = month.start(month.index(began) + 1);
    let off = began.plus(grant.standing.reset).0.abs_diff(end.0);
    assert!(off < 5_000_000_000, "{:?} after {began:?} is not {end:?}", grant.standing.reset);
}

#[tokio::test]
async fn a_caller_that_is_as_good_as_new_is_not_stored() {
    let redis = Redis::start().await;
    let store = store_at(&redis).await;
    for plan in long() {
        store.claim(&plan, b"one", exactly(1)).await.unwrap();
        assert_eq!(redis.ask(&["DBSIZE"]).await.unwrap(), redis::Value::Int(1), "{plan:?}");
        store.give_back(&plan, b"one", 1, now()).await.unwrap();
        assert_eq!(redis.ask(&["DBSIZE"]).await.unwrap(), redis::Value::Int(0), "{plan:?}");
    }
    for plan in short() {
        let key = format!("{:?}", plan.kind).into_bytes();
        store.claim(&plan, &key, exactly(1)).await.unwrap();
    }
    eventually("keys that expire", async || {
        (redis.ask(&["DBSIZE"]).await.unwrap() == redis::Value::Int(0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn two_stores_share_what_is_in_one_redis() {
    let redis = Redis::start().await;
    let (one, other) = (store_at(&redis).await, store_at(&redis).await);
    for plan in long() {
        let key = format!("{plan:?}").into_bytes();
        assert_eq!(one.claim(&plan, &key, exactly(30)).await.unwrap().units, 30);
        assert_eq!(other.claim(&plan, &key, exactly(11)).await.unwrap().units, 0, "{plan:?}");
        assert_eq!(other.claim(&plan, &key, exactly(10)).await.unwrap().units, 10, "{plan:?}");
        assert_eq!(one.standing(&plan, &key).await.unwrap().remaining, 0, "{plan:?}");
    }
}

#[tokio::test]
async fn no_more_than_the_limit_is_granted_to_who_claim_at_once() {
    let redis = Redis::start().await;
    let stores = [store_at(&redis).await, store_at(&redis).await].map(Arc::new);
    for plan in long() {
        let mut claimers = JoinSet::new();
        for number in 0..8 {
            let store = Arc::clone(&stores[number % 2]);
            claimers.spawn(async move {
                let key = format!("{plan:?}").into_bytes();
                let mut granted = 0;
                for _ in 0..10 {
                    let claim = Claim { least: 1, want: 1 + u32::try_from(number).unwrap() % 3 };
                    granted += store.claim(&plan, &key, claim).await.unwrap().units;
                }
                granted
            });
        }
        assert_eq!(claimers.join_all().await.iter().sum::<u32>(), LIMIT, "{plan:?}");
    }
}
