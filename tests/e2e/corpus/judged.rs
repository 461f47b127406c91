//! What the gateway's library makes of the tokens, at the very second in which they were made.

use super::{AUDIENCE, Case, ISSUER, LEEWAY, key_set, verdicts};
use crate::support::Keys;
use sluicegate::jose::{Algorithm, KeySet, MAX_SIZE, Rules, Token, verify};
use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

/// When the tokens are made: in the middle of a second, so that no border is met by chance.
const NOW: Duration = Duration::from_millis(1_800_000_000_500);

fn is_accepted(case: &Case, keys: &KeySet) -> bool {
    let rules = Rules {
        issuer: ISSUER.into(),
        audience: vec![AUDIENCE.into()],
        algorithms: [case.algorithm].into_iter().collect(),
        leeway: Duration::from_secs(LEEWAY),
        typ: None,
        max_size: MAX_SIZE,
    };
    let token = Token::read(&case.token, MAX_SIZE);
    let claims = token.and_then(|token| verify(&token, keys, &rules, UNIX_EPOCH + NOW));
    // Nobody shows a certificate here, so a token that is bound to one is not good (RFC 8705 §3).
    claims.is_ok_and(|claims| claims.confirmation.is_none())
}

/// Fails the test unless all verdicts by the keys of each algorithm are right.
fn judge(keys: impl Fn(Algorithm) -> KeySet, counts: impl Fn(&Case) -> bool) {
    let keys: HashMap<&str, KeySet> =
        Algorithm::ALL.into_iter().map(|one| (one.name(), keys(one))).collect();
    let cases = verdicts(NOW.as_secs());
    let wrong = cases.iter().filter(|case| {
        counts(case) && is_accepted(case, &keys[case.algorithm.name()]) != case.accepted
    });
    let wrong: Vec<String> = wrong
        .map(|case| format!("{}: {}, accepted: {}", case.algorithm, case.name, case.accepted))
        .collect();
    assert!(wrong.is_empty(), "{} wrong verdicts:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_verdict_by_a_key_set_is_right_to_the_second() {
    let set = |algorithm| KeySet::jwks(key_set(algorithm).to_string().as_bytes(), true).unwrap().0;
    judge(set, |_| true);
}

#[test]
fn every_verdict_by_a_single_key_is_right_to_the_second() {
    let one = |algorithm: Algorithm| {
        let key = Keys::ours().of(algorithm);
        match algorithm.is_symmetric() {
            true => KeySet::secret(key.bytes(), [algorithm].into_iter().collect()).unwrap(),
            false => KeySet::pem(key.public_pem().as_bytes()).unwrap(),
        }
    };
    judge(one, |case| !case.by_kid);
}
