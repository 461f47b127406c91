//! How many of something there were within the last while, by sub-buckets.
//!
//! A window of ten steps is counted in eleven cells: that of the present step and those of the ten
//! before it. So what happened counts for at least as long as the window, and for at most a tenth
//! of it longer: a threshold that was reached is never missed, but what just left the window may
//! still help to reach it. The memory is the same however much happens.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many steps make a window.
pub(super) const STEPS: u64 = 10;

/// The present step and those that are not yet over.
const CELLS: usize = STEPS as usize + 1;

/// Counts by step. A cell holds the low half of its step's number above its count, so that one word
/// says both, and a cell that has come round again is known by its number.
///
/// The numbers wrap after 2³² steps, which are 13 years of the shortest window, a second.
#[derive(Debug, Default)]
pub(super) struct Window([AtomicU64; CELLS]);

impl Window {
    /// Counts one more in a step.
    ///
    /// Threads may disagree a little about the time. What is so late that its cell counts for a
    /// later step already has left the window, and is not counted.
    pub(super) fn count(&self, step: u64) {
        let cell = &self.0[(step % CELLS as u64) as usize];
        let mut old = cell.load(Relaxed);
        loop {
            let new = match age(step, old) {
                _ if number(old) == 0 => pack(step, 1),
                0 => pack(step, number(old).saturating_add(1)),
                1.. => pack(step, 1),
                _ => return,
            };
            match cell.compare_exchange_weak(old, new, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(other) => old = other,
            }
        }
    }

    /// How many there were in the window that ends with a step.
    pub(super) fn sum(&self, step: u64) -> u64 {
        let cells = self.0.iter().map(|cell| cell.load(Relaxed));
        // What another thread counted with a clock that is a little ahead counts too.
        let cells = cells.filter(|cell| age(step, *cell).unsigned_abs() <= STEPS as u32);
        cells.map(|cell| u64::from(number(cell))).sum()
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.0.iter().for_each(|cell| cell.store(0, Relaxed));
    }
}

fn pack(step: u64, number: u32) -> u64 {
    step << 32 | u64::from(number)
}

/// The count of a cell.
fn number(cell: u64) -> u32 {
    cell as u32
}

/// How many steps ago the step of a cell was.
fn age(step: u64, cell: u64) -> i32 {
    (step as u32).wrapping_sub((cell >> 32) as u32) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_step_counts_until_ten_more_have_passed() {
        let window = Window::default();
        window.count(7);
        window.count(7);
        assert_eq!(window.sum(7), 2);
        assert_eq!(window.sum(17), 2);
        assert_eq!(window.sum(18), 0);
    }

    #[test]
    fn a_clock_that_is_behind_neither_loses_nor_revives() {
        let window = Window::default();
        window.count(100);
        window.count(99);
        assert_eq!(window.sum(99), 2);
        // The cell of step 89 is that of step 100.
        window.count(89);
        assert_eq!(window.sum(100), 2);
    }

    #[test]
    fn a_full_cell_stays_full() {
        let window = Window::default();
        window.0[3].store(pack(3, u32::MAX), Relaxed);
        window.count(3);
        assert_eq!(window.sum(3), u64::from(u32::MAX));
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_the_last_eleven_steps(
            start in prop_oneof![0..50u64, (1u64 << 32) - 20..(1 << 32) - 11],
            leaps in prop::collection::vec(prop_oneof![6 => Just(0u64), 3 => 1..4u64, 1 => 5..40u64], 1..80),
        ) {
            // At the wrap of the numbers the cells change places once, so stay on one side of it.
            let window = Window::default();
            let mut seen = Vec::new();
            let mut step = start;
            for leap in leaps {
                step += leap;
                if start > 50 && step >= 1 << 32 { break; }
                window.count(step);
                seen.push(step);
                let naive = seen.iter().filter(|then| step - **then <= STEPS).count();
                prop_assert_eq!(window.sum(step), naive as u64);
            }
        }
    }
}
