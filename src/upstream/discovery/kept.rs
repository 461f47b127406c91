//! The last good list, while its source has nothing better.
//!
//! A name server that restarts or a catalogue that lost its members answers with nothing, and
//! nothing would be the end of the service. So an empty answer counts as trouble, and in trouble
//! the last list is kept for a while: endpoints that are really gone fail their connections and are
//! ejected one by one. After that while, the list is empty.

use super::{Found, Update};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A list that outlives its source's trouble for a while. Time is an argument, so it is exact.
#[derive(Debug, Clone)]
pub struct Kept {
    keep: Duration,
    /// The last good list; `None` before there was one.
    good: Option<Arc<[Found]>>,
    /// Since when there is nothing better.
    since: Option<Instant>,
}

impl Kept {
    /// Knows nothing yet, and waits for `keep` from `now` on before it takes that for an answer.
    pub fn new(keep: Duration, now: Instant) -> Self {
        Kept { keep, good: None, since: Some(now) }
    }

    /// Takes what a source tells at `now`.
    pub fn take(&mut self, update: &Update, now: Instant) {
        match update {
            Update::Found(list) if !list.is_empty() => {
                self.good = Some(list.clone());
                self.since = None;
            }
            // Trouble that lasts began with its first attempt.
            _ => drop(self.since.get_or_insert(now)),
        }
    }

    /// The list at `now`: the last good one, or an empty one when nothing better came for as long
    /// as one is kept. `None` while nothing was found yet and may still be.
    pub fn list(&self, now: Instant) -> Option<Arc<[Found]>> {
        let is_over = self.expiry().is_some_and(|expiry| expiry <= now);
        if is_over { Some(Arc::default()) } else { self.good.clone() }
    }

    /// When the list becomes empty unless something better comes; `None` while all is well.
    pub fn expiry(&self) -> Option<Instant> {
        self.since?.checked_add(self.keep)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Trouble};
    use super::*;
    use proptest::prelude::*;

    fn found(port: u16) -> Update {
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        Update::Found(Arc::new([Found::at(address).unwrap()]))
    }

    fn empty() -> Update {
        Update::Found(Arc::default())
    }

    fn trouble() -> Update {
        Update::Trouble(Trouble::new(Kind::Silent, "nobody answers"))
    }

    fn ports(list: Option<Arc<[Found]>>) -> Option<Vec<String>> {
        list.map(|list| list.iter().map(|found| found.address.to_string()).collect())
    }

    #[test]
    fn trouble_keeps_the_list_for_a_while_and_no_longer() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut kept = Kept::new(Duration::from_secs(10), start);
        kept.take(&found(1), at(0));
        kept.take(&trouble(), at(5));
        kept.take(&empty(), at(9));
        assert_eq!(ports(kept.list(at(14))).unwrap(), ["127.0.0.1:1"]);
        assert_eq!(kept.expiry(), Some(at(15)));
        assert!(kept.list(at(15)).unwrap().is_empty());
        kept.take(&found(2), at(20));
        assert_eq!(ports(kept.list(at(9999))).unwrap(), ["127.0.0.1:2"]);
    }

    #[test]
    fn nothing_is_no_answer_before_its_time() {
        let start = Instant::now();
        let mut kept = Kept::new(Duration::from_secs(10), start);
        kept.take(&trouble(), start + Duration::from_secs(8));
        assert_eq!(kept.list(start + Duration::from_secs(9)), None);
        assert!(kept.list(start + Duration::from_secs(10)).unwrap().is_empty());
    }

    proptest! {
        /// The model looks back over all that was told: the last good list counts, unless what
        /// came right after it is older than the time for which one is kept.
        #[test]
        fn the_list_is_what_looking_back_says(
            keep in 0u64..20,
            told in prop::collection::vec((0u64..8, 0u16..4), 0..40),
            later in 0u64..30,
        ) {
            let start = Instant::now();
            let mut kept = Kept::new(Duration::from_secs(keep), start);
            let (mut clock, mut history) = (0, Vec::new());
            for (pause, what) in told {
                clock += pause;
                let update = match what { 0 => empty(), 1 => trouble(), port => found(port) };
                kept.take(&update, start + Duration::from_secs(clock));
                history.push((clock, (what > 1).then_some(what)));
            }
            let now = clock + later;
            let last = history.iter().rposition(|(_, port)| port.is_some());
            let bad_since = match last {
                Some(last) => history.get(last + 1).map(|(at, _)| *at),
                None => Some(0),
            };
            let over = bad_since.is_some_and(|since| now >= since + keep);
            let good = last.and_then(|last| history[last].1);
            let expected = match (over, good) {
                (true, _) => Some(Vec::new()),
                (false, good) => good.map(|port| vec![format!("127.0.0.1:{port}")]),
            };
            prop_assert_eq!(ports(kept.list(start + Duration::from_secs(now))), expected);
        }
    }
}
