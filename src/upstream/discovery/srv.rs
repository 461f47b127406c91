//! What the numbers of SRV records (RFC 2782) mean for endpoints.
//!
//! A record gives its target a share; its target may have several addresses, and each is an
//! endpoint of its own, so they divide that share among them. Priorities only have an order, so
//! they become ranks.

use std::collections::BTreeMap;

/// How much more often a target with a weight is chosen than one of weight 0 beside it: "a very
/// small chance of being selected" (RFC 2782).
const RARELY: u64 = 100;
/// The largest weight that comes out.
const HEAVIEST: u64 = 65_535;
/// The largest common multiple of counts of addresses that is worked with; beyond it, shares are
/// rounded.
const FINEST: u64 = 5_040;

/// One record: what it says, and how many addresses its target has.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Its priority; the lowest comes first.
    pub priority: u16,
    /// Its weight among those of its priority.
    pub weight: u16,
    /// How many endpoints share it.
    pub addresses: usize,
}

/// The rank of each record, and the weight of each of its endpoints, in the order given.
pub fn spread(shares: &[Share]) -> Vec<(u8, u32)> {
    let mut groups: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (number, share) in shares.iter().enumerate() {
        if share.addresses > 0 {
            groups.entry(share.priority).or_default().push(number);
        }
    }
    let mut spread = vec![(u8::MAX, 1); shares.len()];
    for (rank, numbers) in groups.values().enumerate() {
        let group: Vec<Share> = numbers.iter().map(|number| shares[*number]).collect();
        for (number, weight) in numbers.iter().zip(weights(&group)) {
            spread[*number] = (u8::try_from(rank).unwrap_or(u8::MAX), weight);
        }
    }
    spread
}

/// The weights of one priority's endpoints, as small as their ratios allow.
fn weights(group: &[Share]) -> Vec<u32> {
    let any_weight = group.iter().any(|share| share.weight > 0);
    let any_zero = group.iter().any(|share| share.weight == 0);
    let scale = if any_weight && any_zero { RARELY } else { 1 };
    let common = group.iter().fold(1, |common, share| {
        let count = share.addresses as u64;
        (common / divisor(common, count) * count).min(FINEST)
    });
    let mut weights: Vec<u64> = group
        .iter()
        .map(|share| match share.weight {
            0 => common / share.addresses as u64,
            weight => u64::from(weight) * scale * common / share.addresses as u64,
        })
        .map(|weight| weight.max(1))
        .collect();
    let shared = weights.iter().fold(0, |shared, weight| divisor(shared, *weight)).max(1);
    let heaviest = weights.iter().max().copied().unwrap_or(1) / shared;
    let coarser = heaviest.div_ceil(HEAVIEST).max(1);
    weights.iter_mut().for_each(|weight| *weight = (*weight / shared / coarser).max(1));
    weights.into_iter().map(|weight| weight as u32).collect()
}

/// The greatest common divisor.
fn divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(records: &[(u16, u16, usize)]) -> Vec<(u8, u32)> {
        let share = |&(priority, weight, addresses)| Share { priority, weight, addresses };
        spread(&records.iter().map(share).collect::<Vec<_>>())
    }

    #[test]
    fn priorities_become_ranks_and_weights_keep_their_ratio() {
        assert_eq!(of(&[(20, 10, 1), (10, 60, 1), (10, 20, 1)]), [(1, 1), (0, 3), (0, 1)]);
    }

    #[test]
    fn addresses_of_a_target_divide_its_share() {
        assert_eq!(of(&[(0, 10, 2), (0, 10, 1)]), [(0, 1), (0, 2)]);
        assert_eq!(of(&[(0, 1, 3), (0, 1, 2)]), [(0, 2), (0, 3)]);
    }

    #[test]
    fn no_weight_means_equal_shares_and_beside_weights_hardly_any() {
        assert_eq!(of(&[(0, 0, 1), (0, 0, 1)]), [(0, 1), (0, 1)]);
        assert_eq!(of(&[(0, 0, 1), (0, 2, 1)]), [(0, 1), (0, 200)]);
    }

    #[test]
    fn a_target_without_an_address_takes_no_rank() {
        assert_eq!(of(&[(1, 5, 0), (2, 5, 1)])[1], (0, 1));
    }

    proptest! {
        #[test]
        fn weights_are_positive_bounded_and_ordered(
            records in prop::collection::vec((0u16..3, any::<u16>(), 1usize..40), 1..30)
        ) {
            let spread = of(&records);
            for (one, a) in records.iter().zip(&spread) {
                prop_assert!(a.1 >= 1 && u64::from(a.1) <= HEAVIEST);
                for (other, b) in records.iter().zip(&spread) {
                    if one.0 == other.0 && one.1 <= other.1 && one.2 >= other.2 {
                        prop_assert!(a.1 <= b.1);
                    }
                    prop_assert_eq!(one.0.cmp(&other.0), a.0.cmp(&b.0));
                }
            }
        }
    }
}
