//! Who gives way first when there is too much.

use schemars::JsonSchema;
use serde::Deserialize;

/// How much it matters that something is done now.
///
/// Each class has a share of the limit beyond which it is refused. Low gives way at 80 %: a fifth
/// of the limit is more than what is in flight varies by itself (its square root, by Poisson: 10 at
/// 100), so that whatever else comes finds room before low traffic is all gone. Normal gives way at
/// 95 %: the last twentieth is kept for what must get through when all is full, such as health
/// checks and an operator's requests, and is not missed by the rest.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Refused first: work that can wait, such as reports and prefetching.
    Low,
    /// Whatever nothing is said of.
    #[default]
    Normal,
    /// Refused last: what others wait for.
    High,
}

impl Priority {
    /// The part of a limit that is for this class: never more than the limit, and never nothing.
    pub const fn share(self, limit: u32) -> u32 {
        let percent = match self {
            Priority::Low => 80,
            Priority::Normal => 95,
            Priority::High => 100,
        };
        let share = (limit as u64 * percent / 100) as u32;
        if share == 0 { 1 } else { share }
    }

    /// The class in one word, for metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_important_give_way_first() {
        let shares =
            |limit| [Priority::Low, Priority::Normal, Priority::High].map(|p| p.share(limit));
        assert_eq!(shares(100), [80, 95, 100]);
        assert_eq!(shares(10), [8, 9, 10]);
        assert_eq!(shares(u32::MAX)[2], u32::MAX);
    }

    #[test]
    fn nobody_is_shut_out_altogether() {
        assert_eq!(Priority::Low.share(1), 1);
        assert_eq!(Priority::Normal.share(1), 1);
    }
}
