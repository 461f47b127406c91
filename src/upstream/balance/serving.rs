//! Who of a service's endpoints gets requests: by priority, by health, and by age.

use super::{Share, Shares};
use crate::value::Percent;
use std::collections::BTreeMap;
use std::time::Duration;

/// How an endpoint stands when shares are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its weight; with none it gets no requests and counts for nothing.
    pub weight: u32,
    /// The group that it belongs to; that of the lowest number serves first.
    pub priority: u8,
    /// Whether it may be asked: resolved, healthy, not ejected.
    pub available: bool,
    /// For how long it has been there and available without a break. One that was there when the
    /// gateway started is as old as it gets ([`Duration::MAX`]): it has not just been born.
    pub age: Duration,
}

/// What decides who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A group serves where at least this share of its weight is available.
    pub failover_below: Percent,
    /// Where less than this share of all weight is available, all serve, healthy or not: then the
    /// checks are more likely wrong than everything down, and the few that are left would fall next.
    pub panic_below: Option<Percent>,
    /// How long it takes an endpoint that comes, or comes back, to get from a tenth of its weight to
    /// all of it.
    pub slow_start: Option<Duration>,
}

/// In how many steps an endpoint gets its weight: a tenth with each. Shares are in tenths therefore.
pub const SLOW_START_STEPS: u32 = 10;

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// What is available of the group of this priority.
    Group(u8),
    /// What is available of any group, since too little is of each.
    Mixed,
    /// All, since so few are available that nobody can believe it.
    Panic,
    /// Nobody.
    Nobody,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// Who gets requests, by their positions in what was asked about; empty only where nobody is
    /// available and [`Rules::panic_below`] does not apply.
    pub shares: Shares,
    /// On what grounds.
    pub stage: Stage,
    /// After what time the next endpoint gets a step further, so that the shares have to be made
    /// anew. They have to be made anew as well when a standing changes, which callers know.
    pub next_change: Option<Duration>,
}

/// Weights of endpoints, together.
#[derive(Clone, Copy, Default)]
struct Weights {
    available: u64,
    all: u64,
}

impl Weights {
    fn add(&mut self, standing: &Standing) {
        let weight = u64::from(standing.weight);
        self.all += weight;
        if standing.available {
            self.available += weight;
        }
    }

    /// Whether at least a share of all is available.
    fn reaches(self, share: Percent) -> bool {
        share.is_reached(self.available, self.all)
    }
}

/// Decides who serves, and with what weight.
pub fn serving(standings: &[Standing], rules: &Rules) -> Serving {
    let stage = stage(standings, rules);
    let serves = |standing: &Standing| match stage {
        Stage::Group(priority) => standing.available && standing.priority == priority,
        Stage::Mixed => standing.available,
        Stage::Panic => true,
        Stage::Nobody => false,
    };
    let mut shares = Shares { each: Vec::new(), whole: 0, endpoints: 0 };
    let mut next_change: Option<Duration> = None;
    for (index, standing) in standings.iter().enumerate().filter(|(_, one)| one.weight > 0) {
        shares.whole += u64::from(standing.weight) * u64::from(SLOW_START_STEPS);
        shares.endpoints += 1;
        if !serves(standing) {
            continue;
        }
        let (tenths, next) = slow_start(standing.age, rules.slow_start);
        let weight = standing.weight.saturating_mul(tenths);
        shares.each.push(Share { index: index as u32, weight });
        next_change = next_change.into_iter().chain(next).min();
    }
    Serving { shares, stage, next_change }
}

fn stage(standings: &[Standing], rules: &Rules) -> Stage {
    let mut all = Weights::default();
    let mut groups: BTreeMap<u8, Weights> = BTreeMap::new();
    for standing in standings {
        all.add(standing);
        groups.entry(standing.priority).or_default().add(standing);
    }
    if all.all > 0 && rules.panic_below.is_some_and(|share| !all.reaches(share)) {
        return Stage::Panic;
    }
    let serves = |group: &Weights| group.available > 0 && group.reaches(rules.failover_below);
    match groups.iter().find(|(_, group)| serves(group)) {
        Some((priority, _)) => Stage::Group(*priority),
        None if all.available > 0 => Stage::Mixed,
        None => Stage::Nobody,
    }
}

/// How many tenths of its weight an endpoint of an age has, and when it gets the next.
fn slow_start(age: Duration, window: Option<Duration>) -> (u32, Option<Duration>) {
    let Some(window) = window.filter(|window| age < *window) else {
        return (SLOW_START_STEPS, None);
    };
    // The first tenth is there at once, the last when the window ends.
    let rises = u128::from(SLOW_START_STEPS - 1);
    let done = age.as_nanos() * rises / window.as_nanos();
    let next = (window.as_nanos() * (done + 1)).div_ceil(rises) - age.as_nanos();
    let next = u64::try_from(next).unwrap_or(u64::MAX);
    (done as u32 + 1, Some(Duration::from_nanos(next)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OLD: Duration = Duration::MAX;
    const WINDOW: Duration = Duration::from_secs(90);
    const RULES: Rules =
        Rules { failover_below: Percent::new(50), panic_below: None, slow_start: None };

    fn at(priority: u8, available: bool) -> Standing {
        Standing { weight: 2, priority, available, age: OLD }
    }

    fn indexes(serving: &Serving) -> Vec<u32> {
        serving.shares.each.iter().map(|share| share.index).collect()
    }

    #[test]
    fn the_first_group_that_has_enough_serves_alone() {
        let all = [at(1, true), at(0, true), at(0, false), at(1, true)];
        let found = serving(&all, &RULES);
        assert_eq!((indexes(&found), found.stage), (vec![1], Stage::Group(0)));
    }

    #[test]
    fn a_group_with_too_little_left_is_passed_over() {
        let all = [at(0, true), at(0, false), at(0, false), at(7, true)];
        let found = serving(&all, &RULES);
        assert_eq!((indexes(&found), found.stage), (vec![3], Stage::Group(7)));
    }

    #[test]
    fn where_no_group_has_enough_what_is_left_of_all_serves() {
        let all =
            [at(0, true), at(0, false), at(0, false), at(1, true), at(1, false), at(1, false)];
        let found = serving(&all, &RULES);
        assert_eq!((indexes(&found), found.stage), (vec![0, 3], Stage::Mixed));
    }

    #[test]
    fn a_group_counts_by_weight() {
        let mut all = [at(0, true), at(0, false), at(1, true)];
        all[0].weight = 1;
        assert_eq!(serving(&all, &RULES).stage, Stage::Group(1));
        all[0].weight = 2;
        assert_eq!(serving(&all, &RULES).stage, Stage::Group(0));
    }

    #[test]
    fn a_group_of_which_nobody_is_left_never_serves() {
        let rules = Rules { failover_below: Percent::new(0), ..RULES };
        assert_eq!(serving(&[at(0, false), at(1, true)], &rules).stage, Stage::Group(1));
    }

    #[test]
    fn panic_is_off_unless_asked_for() {
        let none = [at(0, false), at(1, false)];
        let found = serving(&none, &RULES);
        assert_eq!((indexes(&found), found.stage), (vec![], Stage::Nobody));
        let rules = Rules { panic_below: Some(Percent::new(20)), ..RULES };
        let found = serving(&none, &rules);
        assert_eq!((indexes(&found), found.stage), (vec![0, 1], Stage::Panic));
    }

    #[test]
    fn just_as_much_as_the_bound_is_no_panic() {
        let rules = Rules { panic_below: Some(Percent::new(20)), ..RULES };
        let mut all = [at(0, false); 5];
        all[4].available = true;
        assert_eq!(serving(&all, &rules).stage, Stage::Mixed);
        all[4].weight = 1;
        assert_eq!(serving(&all, &rules).stage, Stage::Panic);
    }

    #[test]
    fn one_without_weight_gets_nothing_even_in_panic() {
        let rules = Rules { panic_below: Some(Percent::new(100)), ..RULES };
        let mut all = [at(0, false), at(0, true)];
        all[1].weight = 0;
        assert_eq!(indexes(&serving(&all, &rules)), [0]);
        all[0].weight = 0;
        assert_eq!(serving(&all, &rules).stage, Stage::Nobody);
    }

    #[test]
    fn a_newcomer_starts_with_a_tenth_and_says_when_it_gets_more() {
        let rules = Rules { slow_start: Some(WINDOW), ..RULES };
        let mut all = [at(0, true), at(0, true)];
        all[1].age = Duration::ZERO;
        let found = serving(&all, &rules);
        assert_eq!(found.shares.each[0].weight, 20);
        assert_eq!(found.shares.each[1].weight, 2);
        assert_eq!(found.next_change, Some(Duration::from_secs(10)));
        assert_eq!((found.shares.whole, found.shares.endpoints), (40, 2));
    }

    #[test]
    fn one_that_gets_nothing_makes_nobody_wait_for_its_steps() {
        let rules = Rules { slow_start: Some(WINDOW), ..RULES };
        let mut all = [at(0, true), at(1, true)];
        all[1].age = Duration::ZERO;
        assert_eq!(serving(&all, &rules).next_change, None);
    }

    proptest! {
        #[test]
        fn each_step_is_a_tenth_and_the_last_ends_the_window(window in 1u64..1u64 << 60) {
            let window = Duration::from_nanos(window);
            let (mut age, mut steps) = (Duration::ZERO, Vec::new());
            loop {
                let (tenths, next) = slow_start(age, Some(window));
                steps.push(tenths);
                let exact = 1.0 + 9.0 * age.as_secs_f64() / window.as_secs_f64();
                prop_assert!((f64::from(tenths) - exact).abs() <= 1.0);
                let Some(next) = next else { break };
                prop_assert!(next > Duration::ZERO);
                age += next;
            }
            prop_assert_eq!(age, window);
            prop_assert!(steps.is_sorted() && steps.last() == Some(&10) && steps.len() <= 10);
        }

        #[test]
        fn somebody_serves_while_somebody_is_available(
            standings in prop::collection::vec(
                (1u32..=1_000, 0u8..4, any::<bool>())
                    .prop_map(|(weight, priority, available)| {
                        Standing { weight, priority, available, age: OLD }
                    }),
                0..50,
            ),
            failover_below in 0u32..=100,
        ) {
            let rules = Rules { failover_below: Percent::new(failover_below), ..RULES };
            let found = serving(&standings, &rules);
            let available = standings.iter().any(|standing| standing.available);
            prop_assert_eq!(!found.shares.each.is_empty(), available);
            for share in &found.shares.each {
                prop_assert!(standings[share.index as usize].available);
            }
        }
    }
}
