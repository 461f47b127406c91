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
    /// Where its multiples begin, so that places are not all passed over in the same pass.
    offset: u32,
}

/// One of the places that an endpoint has in the row, while the row is put in order.
struct Part {
    along: f64,
    position: u32,
    weight: u32,
    number: u32,
    of: u32,
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
            let of = u64::from(weight).div_ceil(mean) as u32;
            let within = (position as f64 + 0.5) / count as f64;
            row.extend((0..of).map(|number| Part {
                along: (f64::from(number) + within) / f64::from(of),
                position: position as u32,
                weight: weight / of + u32::from(number < weight % of),
                number,
                of,
            }));
        }
        row.sort_by(|one, other| one.along.total_cmp(&other.along));
        let most = row.iter().map(|part| u64::from(part.weight)).max().unwrap_or(1);
        // As if one walked along the row with what the weights before left over, so that different
        // endpoints are taken in different passes. The parts of one begin at even distances, so that
        // they are not passed over all at once.
        let mut carried = 0;
        let mut first = vec![0; weights.len()];
        let place = |part: Part| {
            let first = &mut first[part.position as usize];
            if part.number == 0 {
                *first = carried;
            }
            let apart = u64::from(part.number) * most / u64::from(part.of);
            let offset = ((*first + apart) % most) as u32;
            carried = (carried + u64::from(part.weight)) % most;
            Place { position: part.position, weight: part.weight, offset }
        };
        let places = row.into_iter().map(place).collect();
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
        fn no_gap_is_longer_than_four_fair_ones(
            weights in prop::collection::vec(1u32..=1_000, 1..100),
            start in 0u64..1_000_000,
        ) {
            let sum: u32 = weights.iter().sum();
            let mut last = vec![None; weights.len()];
            for (at, position) in sequence(&weights, start, 2 * sum as usize).into_iter().enumerate() {
                if let Some(before) = last[position].replace(at) {
                    let fair = f64::from(sum) / f64::from(weights[position]);
                    let gap = (at - before) as f64;
                    prop_assert!(gap <= 4.0 * fair + 1.0, "{gap} for {fair} of {weights:?}");
                }
            }
        }
    }
}
