//! What a row of verdicts means for an endpoint. It is pure: a standing is a plain value, which
//! goes from one configuration to the next.

use serde::Serialize;

/// How many verdicts in a row change an endpoint's state; each at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Good ones, for an endpoint that is unhealthy.
    pub healthy_after: u32,
    /// Bad ones, for an endpoint that is healthy.
    pub unhealthy_after: u32,
}

/// What is known of an endpoint's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was not checked yet.
    #[default]
    Unknown,
    /// It is well.
    Healthy,
    /// It is not.
    Unhealthy,
}

/// A state that came about just now, and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The state that was.
    pub from: State,
    /// The state that is.
    pub to: State,
}

/// An endpoint's state, and how many verdicts in a row spoke against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    state: State,
    against: u32,
}

impl Standing {
    /// Returns the state.
    pub fn state(self) -> State {
        self.state
    }

    /// Tells whether the endpoint may get requests: until it was checked it counts as well, or a
    /// start would refuse every request until the first checks are back.
    pub fn is_available(self) -> bool {
        self.state != State::Unhealthy
    }

    /// Takes a verdict, and returns the change that it makes. The first one of an endpoint decides
    /// at once, as it does in Envoy: there is nothing that it could contradict.
    pub fn take(&mut self, good: bool, thresholds: Thresholds) -> Option<Change> {
        let said = if good { State::Healthy } else { State::Unhealthy };
        let needed = match self.state {
            State::Unknown => 1,
            State::Healthy => thresholds.unhealthy_after,
            State::Unhealthy => thresholds.healthy_after,
        };
        if said == self.state {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        if self.against < needed {
            return None;
        }
        let change = Change { from: self.state, to: said };
        *self = Standing { state: said, against: 0 };
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const THRESHOLDS: Thresholds = Thresholds { healthy_after: 2, unhealthy_after: 3 };

    fn after(verdicts: &[bool]) -> Standing {
        let mut standing = Standing::default();
        for &good in verdicts {
            standing.take(good, THRESHOLDS);
        }
        standing
    }

    #[test]
    fn an_endpoint_is_available_until_its_first_check_says_otherwise() {
        assert!(after(&[]).is_available());
        assert_eq!(after(&[true]).state(), State::Healthy);
        assert_eq!(after(&[false]).state(), State::Unhealthy);
        assert!(!after(&[false]).is_available());
    }

    #[test]
    fn verdicts_in_a_row_change_the_state_and_a_contrary_one_starts_the_count_anew() {
        assert!(after(&[true, false, false]).is_available());
        assert!(!after(&[true, false, false, false]).is_available());
        assert!(after(&[true, false, false, true, false, false]).is_available());
        assert!(!after(&[false, true, false, true]).is_available());
        assert!(after(&[false, true, true]).is_available());
    }

    #[test]
    fn a_change_is_told_once() {
        let mut standing = Standing::default();
        let mut take =
            |good| standing.take(good, THRESHOLDS).map(|change| (change.from, change.to));
        assert_eq!(take(true), Some((State::Unknown, State::Healthy)));
        assert_eq!([take(true), take(false), take(false)], [None; 3]);
        assert_eq!(take(false), Some((State::Healthy, State::Unhealthy)));
        assert_eq!([take(false), take(true)], [None; 2]);
        assert_eq!(take(true), Some((State::Unhealthy, State::Healthy)));
    }

    /// The state by its definition: the first verdict decides, after it only as many contrary ones
    /// in a row as are needed.
    fn defined(verdicts: &[bool], thresholds: Thresholds) -> State {
        let mut state = State::Unknown;
        let mut since = 0;
        for end in 1..=verdicts.len() {
            let row = |good: bool| {
                verdicts[since..end].iter().rev().take_while(|&&verdict| verdict == good).count()
            };
            let next = match state {
                State::Unknown if verdicts[end - 1] => State::Healthy,
                State::Unknown => State::Unhealthy,
                State::Healthy if row(false) >= thresholds.unhealthy_after as usize => {
                    State::Unhealthy
                }
                State::Unhealthy if row(true) >= thresholds.healthy_after as usize => {
                    State::Healthy
                }
                state => state,
            };
            if next != state {
                (state, since) = (next, end);
            }
        }
        state
    }

    proptest! {
        #[test]
        fn the_state_is_what_its_definition_says(
            verdicts in prop::collection::vec(any::<bool>(), 0..60),
            healthy_after in 1_u32..5,
            unhealthy_after in 1_u32..5,
        ) {
            let thresholds = Thresholds { healthy_after, unhealthy_after };
            let mut standing = Standing::default();
            for (count, &good) in verdicts.iter().enumerate() {
                standing.take(good, thresholds);
                prop_assert_eq!(standing.state(), defined(&verdicts[..=count], thresholds));
            }
        }

        #[test]
        fn an_endpoint_that_flaps_faster_than_the_thresholds_stays_as_it_is(
            rows in prop::collection::vec((1_usize..3, 1_usize..4), 0..20),
        ) {
            // At most 2 bad ones in a row, where 3 are needed.
            let mut standing = after(&[true]);
            for (bad, good) in rows {
                for good in (0..bad).map(|_| false).chain((0..good).map(|_| true)) {
                    prop_assert_eq!(standing.take(good, THRESHOLDS), None);
                }
            }
        }
    }
}
