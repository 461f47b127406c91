//! What a full compartment does, by hand and with many threads.

use super::*;
use crate::upstream::adaptive;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

const LONG: Duration = Duration::from_secs(600);

fn bulkhead(requests: u32, pending: u32) -> Arc<Bulkhead> {
    let limits =
        Limits { requests: Some(requests), pending, pending_timeout: LONG, ..Limits::default() };
    Arc::new(Bulkhead::new(limits, Instant::now()))
}

type Entering<'a> = Pin<Box<dyn Future<Output = Result<Permit, Full>> + Send + 'a>>;

/// A future that enters, after it was polled once.
fn enter(bulkhead: &Arc<Bulkhead>) -> (Entering<'_>, Poll<Result<Permit, Full>>) {
    let mut entering: Entering<'_> = Box::pin(bulkhead.enter(Priority::Normal, None));
    let first = poll(&mut entering);
    (entering, first)
}

fn poll(entering: &mut Entering<'_>) -> Poll<Result<Permit, Full>> {
    entering.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

async fn now(bulkhead: &Arc<Bulkhead>) -> Permit {
    bulkhead.enter(Priority::Normal, None).await.unwrap()
}

#[tokio::test]
async fn a_place_comes_back_when_its_permit_is_dropped() {
    let bulkhead = bulkhead(2, 0);
    let first = now(&bulkhead).await;
    let _second = now(&bulkhead).await;
    assert_eq!(bulkhead.figures().requests, 2);
    let refused = bulkhead.enter(Priority::Normal, None).await.unwrap_err();
    assert_eq!(refused, Full::Queue(Limit::Requests));
    drop(first);
    let _third = now(&bulkhead).await;
    assert_eq!(bulkhead.figures().requests, 2);
}

#[tokio::test]
async fn those_who_wait_are_served_in_their_order_and_not_overtaken() {
    let bulkhead = bulkhead(1, 3);
    let holder = now(&bulkhead).await;
    let (mut first, _) = enter(&bulkhead);
    let (mut second, _) = enter(&bulkhead);
    assert_eq!(bulkhead.figures().pending, 2);
    drop(holder);
    // The place that is free again belongs to the first, whoever asks before it looks.
    let (mut late, poll_late) = enter(&bulkhead);
    assert!(poll_late.is_pending());
    assert!(poll(&mut second).is_pending());
    let Poll::Ready(Ok(permit)) = poll(&mut first) else { panic!("the first has its place") };
    drop(permit);
    assert!(poll(&mut late).is_pending());
    assert!(matches!(poll(&mut second), Poll::Ready(Ok(_))));
    assert!(matches!(poll(&mut late), Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn only_so_many_may_wait() {
    let bulkhead = bulkhead(1, 2);
    let _holder = now(&bulkhead).await;
    let (_first, _) = enter(&bulkhead);
    let (_second, _) = enter(&bulkhead);
    let (_third, refused) = enter(&bulkhead);
    assert!(matches!(refused, Poll::Ready(Err(Full::Queue(Limit::Requests)))));
    assert_eq!((bulkhead.figures().pending, bulkhead.figures().queue_full), (2, 1));
}

#[tokio::test]
async fn one_who_leaves_while_waiting_leaves_nothing_behind() {
    let bulkhead = bulkhead(1, 1);
    let holder = now(&bulkhead).await;
    let (waiting, _) = enter(&bulkhead);
    drop(waiting);
    assert_eq!(bulkhead.figures().pending, 0);
    // This one leaves after the place was given to it and before it could look.
    let (served, _) = enter(&bulkhead);
    drop(holder);
    drop(served);
    let figures = bulkhead.figures();
    assert_eq!((figures.pending, figures.requests), (0, 0));
    let (_, place) = enter(&bulkhead);
    assert!(matches!(place, Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn a_wait_ends_with_its_time_or_with_that_of_the_exchange() {
    let short = Duration::from_millis(5);
    let limits = Limits { connections: Some(1), pending_timeout: short, ..Limits::default() };
    let bulkhead = Arc::new(Bulkhead::new(limits, Instant::now()));
    let _holder = bulkhead.connect(None).await.unwrap();
    let refused = |left| {
        let bulkhead = Arc::clone(&bulkhead);
        async move { bulkhead.connect(left).await.unwrap_err() }
    };
    assert_eq!(refused(None).await, Full::Timeout(Limit::Connections));
    assert_eq!(refused(Some(LONG)).await, Full::Timeout(Limit::Connections));
    assert_eq!(refused(Some(short / 5)).await, Full::Deadline(Limit::Connections));
    assert_eq!(refused(Some(Duration::ZERO)).await, Full::Deadline(Limit::Connections));
    let figures = bulkhead.figures();
    assert_eq!((figures.pending_timeout, figures.deadline, figures.pending), (2, 2, 0));
    // Exchanges have no limit here, and connections of others do not count for them.
    let _exchange = bulkhead.enter(Priority::Low, None).await.unwrap();
    assert_eq!((bulkhead.figures().requests, bulkhead.figures().connections), (1, 1));
}

#[tokio::test]
async fn the_limit_that_adapts_sheds_the_less_important_first_and_at_once() {
    let settings = adaptive::Settings { initial: 10, ..adaptive::Settings::default() };
    let limits = Limits { adaptive: Some(settings), ..Limits::default() };
    let bulkhead = Arc::new(Bulkhead::new(limits, Instant::now()));
    let mut permits = Vec::new();
    for (priority, places) in [(Priority::Low, 8), (Priority::Normal, 9), (Priority::High, 10)] {
        while let Ok(permit) = bulkhead.enter(priority, None).await {
            permits.push(permit);
        }
        assert_eq!(permits.len(), places, "{priority:?}");
    }
    assert_eq!((bulkhead.figures().shed, bulkhead.figures().adaptive), (3, Some(10)));
}

#[tokio::test]
async fn samples_move_the_limit_that_adapts() {
    let limits = Limits { adaptive: Some(adaptive::Settings::default()), ..Limits::default() };
    let began = Instant::now();
    let bulkhead = Arc::new(Bulkhead::new(limits, began));
    for sample in 0..2_000 {
        bulkhead.sample(began + Duration::from_millis(sample), Duration::from_millis(9), true);
    }
    assert!(bulkhead.figures().adaptive < Some(100));
}

/// Lets tasks of eight threads, each with a runtime of its own, enter and leave at random.
fn crowd(
    bulkhead: &Arc<Bulkhead>,
    most: u32,
    left: fn(&mut fastrand::Rng) -> Option<Duration>,
) -> u32 {
    let inside = AtomicU32::new(0);
    let served = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (inside, served) = (&inside, &served);
            scope.spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                let tasks = (0..8).map(|task| async move {
                    let mut random = fastrand::Rng::with_seed(thread * 8 + task);
                    for _ in 0..100 {
                        let entering = bulkhead.enter(Priority::Normal, left(&mut random));
                        let Ok(permit) = entering.await else { continue };
                        assert!(inside.fetch_add(1, Relaxed) < most);
                        for _ in 0..random.u32(..4) {
                            tokio::task::yield_now().await;
                        }
                        inside.fetch_sub(1, Relaxed);
                        served.fetch_add(1, Relaxed);
                        drop(permit);
                    }
                });
                runtime.block_on(futures_util::future::join_all(tasks));
            });
        }
    });
    served.into_inner()
}

#[test]
fn threads_never_exceed_the_bound_and_nobody_waits_for_ever() {
    let bulkhead = bulkhead(5, 64);
    let served = crowd(&bulkhead, 5, |_| None);
    assert_eq!(served, 8 * 8 * 100);
    let figures = bulkhead.figures();
    assert_eq!((figures.requests, figures.pending), (0, 0));
}

#[test]
fn threads_whose_time_runs_out_leave_nothing_behind() {
    let bulkhead = bulkhead(3, 20);
    let served = crowd(&bulkhead, 3, |random| Some(Duration::from_micros(random.u64(..2_000))));
    let figures = bulkhead.figures();
    assert_eq!((figures.requests, figures.pending), (0, 0));
    let refused = figures.queue_full + figures.deadline;
    assert_eq!(u64::from(served) + refused, 8 * 8 * 100);
}
