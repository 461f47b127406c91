//! Weighted round robin without state but a counter: the static stride scheduler of gRFC A58.
//!
//! The endpoints stand in a row that is gone through again and again. In each pass one of weight
//! `w`, where the heaviest has `m`, is taken if a multiple of `m` lies between `w × pass` and
//! `w × (pass + 1)`: in `m` passes `w` times, at even distances. A58 has to round the weights and to
//! cut off those that stand out, since one of a thousand times the others' weight would have nearly
//! all of the row passed over at each turn. Here an endpoint that outweighs the mean stands in the
//! row several times instead, at even distances, with its weight divided. The row is then at most
//! twice as long as there are endpoints, and of each two looked at one is taken on average.

use super::Turn;

/// The row.
#[derive(Debug)]
pub(super) struct Stride {
    places: Box<[Place]>,
    /// The heaviest place's weight.
    most: u64,
}

#[derive(Debug)]
struct Place {
    /// Who stands here.
    position: u32,
    weight: u32,
    /// Where its multiples begin, so that equal weights are not all taken in the same pass.
    offset: u32,
}

impl Stride {
    /// A row for weights, none of which is zero.
    pub(super) fn new(weights: &[u32]) -> Self {
        let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let count = weights.len() as u64;
        // At least one, since no weight is zero; not used where there are none.
        let mean = sum.div_ceil(count.max(1)).max(1);
        let mut row = Vec::with_capacity(weights.len() * 2);
        for (position, weight) in weights.iter().copied().enumerate() {
            let parts = u64::from(weight).div_ceil(mean) as u32;
            let within = (position as f64 + 0.5) / count as f64;
            for part in 0..parts {
                let along = (f64::from(part) + within) / f64::from(parts);
                let weight = weight / parts + u32::from(part < weight % parts);
                row.push((along, Place { position: position as u32, weight, offset: 0 }));
            }
        }
        row.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let mut places: Box<[Place]> = row.into_iter().map(|(_, place)| place).collect();
        let most = places.iter().map(|place| u64::from(place.weight)).max().unwrap_or(1);
        // As if one walked along the row with what the weights before left over.
        let mut carried = 0;
        for place in &mut places {
            place.offset = carried as u32;
            carried = (carried + u64::from(place.weight)) % most;
        }
        Stride { places, most }
    }

    /// Whose turn it is; the turn goes on. Ends within one pass, since the heaviest is always taken.
    pub(super) fn next(&self, turn: &Turn) -> usize {
        let count = self.places.len() as u64;
        let mut now = turn.get();
        let mut pass = now / count % self.most;
        let mut along = now % count;
        loop {
            let place = &self.places[along as usize];
            now += 1;
            if self.takes(place, pass) {
                turn.set(now);
                return place.position as usize;
            }
            along += 1;
            if along == count {
                along = 0;
                pass = (pass + 1) % self.most;
            }
        }
    }

    /// Whether a place is taken in a pass. Neither product nor sum can overflow: both factors and
    /// what is added are below 2³².
    fn takes(&self, place: &Place, pass: u64) -> bool {
        let weight = u64::from(place.weight);
        weight == self.most
            || (weight * pass + u64::from(place.offset)) % self.most >= self.most - weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sequence(weights: &[u32], start: u64, length: usize) -> Vec<usize> {
        let (stride, turn) = (Stride::new(weights), Turn::default());
        turn.set(start);
        (0..length).map(|_| stride.next(&turn)).collect()
    }

    #[test]
    fn equal_weights_take_turns_in_order() {
        assert_eq!(sequence(&[7, 7, 7], 0, 7), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(sequence(&[1], 5, 3), [0, 0, 0]);
    }

    #[test]
    fn a_heavy_one_does_not_get_its_turns_in_a_lump() {
        let turns = sequence(&[6, 1, 1], 0, 8);
        let longest = turns.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
        assert!(longest <= Some(4), "{turns:?}");
    }

    #[test]
    fn a_row_is_at_most_twice_as_long_as_there_are_endpoints() {
        let mut weights = vec![1; 1_000];
        weights[500] = 1_000_000;
        assert!(Stride::new(&weights).places.len() <= 2_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn as_many_turns_as_the_weights_add_up_to_give_each_its_weight(
            weights in prop::collection::vec(1u32..=1_000, 1..100),
            start in 0u64..1_000_000,
        ) {
            let sum: u32 = weights.iter().sum();
            let mut counts = vec![0; weights.len()];
            for position in sequence(&weights, start, sum as usize) {
                counts[position] += 1;
            }
            prop_assert_eq!(counts, weights);
        }

        #[test]
        fn half_of_what_is_looked_at_is_taken(
            weights in prop::collection::vec(1u32..=1_000, 1..100),
        ) {
            let (stride, turn) = (Stride::new(&weights), Turn::default());
            let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
            for _ in 0..sum {
                stride.next(&turn);
            }
            // A whole period, and the weights are split into whole numbers.
            prop_assert!(turn.get() <= 2 * sum + 2 * weights.len() as u64, "{} of {sum}", turn.get());
        }

        #[test]
        fn no_gap_is_longer_than_thrice_the_fair_one(
            weights in prop::collection::vec(1u32..=1_000, 1..100),
            start in 0u64..1_000_000,
        ) {
            let sum: u32 = weights.iter().sum();
            let mut last = vec![None; weights.len()];
            for (at, position) in sequence(&weights, start, 2 * sum as usize).into_iter().enumerate() {
                if let Some(before) = last[position].replace(at) {
                    let fair = f64::from(sum) / f64::from(weights[position]);
                    let gap = (at - before) as f64;
                    prop_assert!(gap <= 3.0 * fair + 1.0, "{gap} for {fair} of {weights:?}");
                }
            }
        }
    }
}
