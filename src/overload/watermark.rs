//! A mark that is reached at one value and left at a lower one, so that what hovers about it does
//! not flip with each look.

/// A mark, and on which side of it the last look was.
#[derive(Debug, Clone)]
pub struct Watermark {
    at: u64,
    below: u64,
    is_over: bool,
}

impl Watermark {
    /// A mark that is reached at a value, and left at nine tenths of it, rounded up, or below;
    /// a small one is left at one less.
    pub fn new(at: u64) -> Self {
        let tenth = (at / 10).max(1);
        Watermark { at, below: at.saturating_sub(tenth), is_over: false }
    }

    /// Looks at a value: whether the mark is reached, or was and is not left.
    pub fn look(&mut self, value: u64) -> bool {
        self.is_over = value >= self.at || (self.is_over && value > self.below);
        self.is_over
    }
}
