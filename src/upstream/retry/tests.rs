//! What is repeated, and what is not.

use super::*;

const POST: Tried<'static> = Tried {
    count: 1,
    method: &Method::POST,
    has_idempotency_key: false,
    body_replayable: true,
    answer_begun: false,
    left: None,
    needs: Duration::ZERO,
    elsewhere: false,
};

const GET: Tried<'static> = Tried { method: &Method::GET, ..POST };

fn retry() -> Retry {
    Retry {
        attempts: 3,
        on: ["connect_failure", "refused_stream", "reset", "timeout", "503"]
            .iter()
            .map(|word| word.parse().unwrap())
            .collect(),
        backoff: Backoff { base: Duration::from_millis(25), max: Duration::from_millis(250) },
        ..Retry::DEFAULT
    }
}

fn answered(status: u16, retry_after: Option<u64>) -> Outcome {
    Outcome::Answered(Answer {
        status: StatusCode::from_u16(status).unwrap(),
        grpc_status: None,
        retry_after: retry_after.map(Duration::from_millis),
    })
}

/// Decides with a fresh budget and the longest wait.
fn decide(retry: &Retry, outcome: Outcome, tried: Tried<'_>) -> Decision {
    let now = Instant::now();
    retry.decide(&outcome, &tried, &RetryBudget::new(now), now, u64::MAX)
}

fn millis(wait: u64) -> Decision {
    Decision::After(Duration::from_millis(wait))
}

#[test]
fn what_was_never_sent_is_repeated_whatever_the_method() {
    for outcome in [Outcome::ConnectFailed, Outcome::Refused] {
        assert_eq!(decide(&retry(), outcome, POST), millis(25));
    }
}

#[test]
fn what_the_service_may_have_acted_on_is_repeated_only_if_idempotent() {
    let keyed = Tried { has_idempotency_key: true, ..POST };
    for outcome in [Outcome::Reset, Outcome::TimedOut, answered(503, None)] {
        assert_eq!(decide(&retry(), outcome, POST), Decision::No(NoRetry::Method));
        assert_eq!(decide(&retry(), outcome, GET), millis(25));
        assert_eq!(decide(&retry(), outcome, keyed), millis(25));
    }
}

#[test]
fn the_default_repeats_once_and_only_what_is_harmless() {
    let default = Retry::DEFAULT;
    assert_eq!(decide(&default, Outcome::ConnectFailed, POST), millis(0));
    assert_eq!(decide(&default, Outcome::PooledClosed, GET), millis(0));
    assert_eq!(decide(&default, Outcome::PooledClosed, POST), Decision::No(NoRetry::Method));
    for outcome in [Outcome::Reset, Outcome::TimedOut, answered(502, None), answered(503, None)] {
        assert_eq!(decide(&default, outcome, GET), Decision::No(NoRetry::Outcome));
    }
    let again = Tried { count: 2, ..GET };
    assert_eq!(decide(&default, Outcome::ConnectFailed, again), Decision::No(NoRetry::Attempts));
}

#[test]
fn a_success_is_not_repeated_and_costs_the_budget_nothing() {
    let now = Instant::now();
    let budget = RetryBudget::new(now);
    let decision = retry().decide(&answered(200, None), &GET, &budget, now, 0);
    assert_eq!(decision, Decision::No(NoRetry::Outcome));
    assert_eq!(budget.counts(now), (0, 0));
}

#[test]
fn an_answer_that_began_and_a_body_that_is_gone_end_it() {
    let begun = Tried { answer_begun: true, ..GET };
    assert_eq!(decide(&retry(), Outcome::Reset, begun), Decision::No(NoRetry::AnswerBegun));
    let gone = Tried { body_replayable: false, ..GET };
    assert_eq!(decide(&retry(), Outcome::Reset, gone), Decision::No(NoRetry::Body));
}

#[test]
fn attempts_count_the_first_one() {
    let tried = |count| Tried { count, ..GET };
    assert_eq!(decide(&retry(), Outcome::Reset, tried(2)), millis(50));
    assert_eq!(decide(&retry(), Outcome::Reset, tried(3)), Decision::No(NoRetry::Attempts));
}

#[test]
fn the_service_may_ask_for_a_wait_up_to_the_longest() {
    assert_eq!(decide(&retry(), answered(503, Some(0)), GET), millis(25));
    assert_eq!(decide(&retry(), answered(503, Some(250)), GET), millis(275));
    let longer = decide(&retry(), answered(503, Some(251)), GET);
    assert_eq!(longer, Decision::No(NoRetry::RetryAfter));
}

#[test]
fn a_try_that_cannot_end_in_time_is_not_begun() {
    let left = |left, needs| Tried {
        left: Some(Duration::from_millis(left)),
        needs: Duration::from_millis(needs),
        ..GET
    };
    let late = Decision::No(NoRetry::Deadline);
    assert_eq!(decide(&retry(), Outcome::Reset, left(26, 0)), millis(25));
    assert_eq!(decide(&retry(), Outcome::Reset, left(25, 0)), late);
    assert_eq!(decide(&retry(), Outcome::Reset, left(30, 5)), late);
    assert_eq!(decide(&Retry::DEFAULT, Outcome::ConnectFailed, left(0, 0)), late);
}

#[test]
fn an_empty_budget_ends_it_and_pays_for_nothing_else() {
    let now = Instant::now();
    let budget = RetryBudget::new(now);
    let retry =
        Retry { budget: RetryLimit { min_per_second: 0, ..Retry::DEFAULT.budget }, ..retry() };
    let decide = |tried: Tried<'_>| retry.decide(&Outcome::Reset, &tried, &budget, now, u64::MAX);
    assert_eq!(decide(GET), Decision::No(NoRetry::Budget));
    (0..5).for_each(|_| budget.deposit(now));
    assert_eq!(decide(POST), Decision::No(NoRetry::Method));
    assert_eq!(decide(GET), millis(25));
    assert_eq!(decide(GET), Decision::No(NoRetry::Budget));
}

#[test]
fn one_try_gets_no_more_than_is_left() {
    let second = Duration::from_secs(1);
    let retry = Retry { per_try_timeout: Some(second), ..retry() };
    assert_eq!(retry.per_try(None), Some(second));
    assert_eq!(retry.per_try(Some(second * 2)), Some(second));
    assert_eq!(retry.per_try(Some(second / 2)), Some(second / 2));
    assert_eq!(Retry::DEFAULT.per_try(None), None);
}
