//! Draws by weight in constant time: the alias method (A. J. Walker 1977), its table made in linear
//! time (M. D. Vose, "A Linear Algorithm for Generating Random Numbers with a Given Distribution",
//! 1991).

/// A table as long as there are weights. A draw picks a column, each as likely, and then either the
/// column's own position or the other one that fills it up.
#[derive(Debug)]
pub(super) struct Alias(Box<[Column]>);

#[derive(Debug, Clone, Copy)]
struct Column {
    /// Of 2³² draws of the column, how many are its own.
    own: u32,
    /// Whose the others are; itself where all are its own.
    other: u32,
}

impl Alias {
    /// A table for weights, none of which is zero.
    pub(super) fn new(weights: &[u32]) -> Self {
        let count = weights.len() as u64;
        let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        // What is left of each, in a measure in which a column holds `sum`.
        let mut left: Vec<u64> = weights.iter().map(|weight| u64::from(*weight) * count).collect();
        let mut columns: Box<[Column]> =
            (0..weights.len() as u32).map(|own| Column { own: u32::MAX, other: own }).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|position| left[*position] < sum);
        // The measure is of whole numbers, so what remains in the end fills its columns exactly.
        while let (Some(low), Some(high)) = (small.pop(), large.last().copied()) {
            let own = (u128::from(left[low]) << 32) / u128::from(sum);
            columns[low] = Column { own: own as u32, other: high as u32 };
            left[high] -= sum - left[low];
            if left[high] < sum {
                large.pop();
                small.push(high);
            }
        }
        Alias(columns)
    }

    /// The position for a random number: the upper half chooses the column, the lower one in it.
    pub(super) fn at(&self, random: u64) -> usize {
        let column = (((random >> 32) * self.0.len() as u64) >> 32) as usize;
        let Column { own, other } = self.0[column];
        if (random as u32) < own { column } else { other as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_table_holds_every_weight(weights in prop::collection::vec(1u32..=1_000, 1..200)) {
            let alias = Alias::new(&weights);
            let mut held = vec![0u64; weights.len()];
            for (position, column) in alias.0.iter().enumerate() {
                held[position] += u64::from(column.own);
                held[column.other as usize] += (1 << 32) - u64::from(column.own);
            }
            let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
            for (position, weight) in weights.iter().enumerate() {
                let exact = u64::from(*weight) as f64 * weights.len() as f64 / sum as f64;
                let found = held[position] as f64 / 4_294_967_296.0;
                // Each column rounds by less than one in 2³².
                prop_assert!((exact - found).abs() < 1e-6, "{weight}: {found} for {exact}");
            }
        }
    }
}
