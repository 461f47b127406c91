//! What a source tells, without telling the same thing twice.

use super::{Found, Kind, Trouble, Update};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Tells updates to whoever watches, each once.
#[derive(Debug)]
pub struct Reporter {
    updates: watch::Sender<Update>,
}

impl Reporter {
    /// Tells to `updates`.
    pub fn new(updates: watch::Sender<Update>) -> Self {
        Reporter { updates }
    }

    /// Tells all endpoints. Those that were told last are no news, in whichever order they come.
    pub fn found(&self, list: Vec<Found>) {
        let list = tidy(list);
        self.updates.send_if_modified(|last| {
            let is_news = !matches!(last, Update::Found(last) if **last == *list);
            if is_news {
                *last = Update::Found(list);
            }
            is_news
        });
    }

    /// Tells that there is no answer. Trouble of the kind that was told last is no news; what
    /// cannot be read is when it is another thing.
    pub fn trouble(&self, trouble: Trouble) {
        self.updates.send_if_modified(|last| {
            let is_news = match last {
                Update::Trouble(last) if last.kind == Kind::Malformed => *last != trouble,
                Update::Trouble(last) => last.kind != trouble.kind,
                _ => true,
            };
            if is_news {
                *last = Update::Trouble(trouble);
            }
            is_news
        });
    }
}

/// Sorts a list, and makes one of endpoints at the same address: their shares add up, and the first
/// priority counts.
fn tidy(list: Vec<Found>) -> Arc<[Found]> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<(String, Found)> = Vec::with_capacity(list.len());
    for found in list {
        let key = found.address.to_string();
        if let Some(&place) = places.get(&key) {
            let first = &mut kept[place].1;
            let (same, name) = (first.priority == found.priority, first.name.clone());
            if found.priority < first.priority {
                *first = found;
            } else if same {
                first.weight = first.weight.saturating_add(found.weight);
                // Which name comes first must not depend on the order of the answer.
                first.name = match (name, found.name) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
            }
        } else {
            places.insert(key.clone(), kept.len());
            kept.push((key, found));
        }
    }
    kept.sort_by(|(one, a), (other, b)| (a.priority, one).cmp(&(b.priority, other)));
    kept.into_iter().map(|(_, found)| found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: &str, weight: u32, priority: u8) -> Found {
        Found { weight, priority, ..Found::at(address.parse().unwrap()).unwrap() }
    }

    #[test]
    fn the_same_endpoints_in_another_order_are_no_change() {
        let (sender, mut updates) = watch::channel(Update::Pending);
        let reporter = Reporter::new(sender);
        let (a, b) = (found("10.0.0.1:80", 1, 0), found("10.0.0.2:80", 1, 0));
        reporter.found(vec![a.clone(), b.clone()]);
        assert!(updates.has_changed().unwrap());
        updates.mark_unchanged();
        reporter.found(vec![b.clone(), a]);
        assert!(!updates.has_changed().unwrap());
        reporter.found(vec![b]);
        assert!(updates.has_changed().unwrap());
    }

    #[test]
    fn trouble_is_told_once_a_kind_and_its_end_is_told() {
        let (sender, mut updates) = watch::channel(Update::Pending);
        let reporter = Reporter::new(sender);
        let list = || vec![found("10.0.0.1:80", 1, 0)];
        let mut news = |tell: &dyn Fn(&Reporter)| {
            tell(&reporter);
            let is_news = updates.has_changed().unwrap();
            updates.mark_unchanged();
            is_news
        };
        assert!(news(&|r| r.found(list())));
        assert!(news(&|r| r.trouble(Trouble::new(Kind::Silent, "attempt 1"))));
        assert!(!news(&|r| r.trouble(Trouble::new(Kind::Silent, "attempt 2"))));
        assert!(news(&|r| r.trouble(Trouble::new(Kind::Malformed, "line 1"))));
        assert!(news(&|r| r.trouble(Trouble::new(Kind::Malformed, "line 2"))));
        assert!(news(&|r| r.found(list())));
    }

    #[test]
    fn one_address_is_one_endpoint() {
        let list = tidy(vec![
            found("10.0.0.2:80", 2, 1),
            found("10.0.0.1:80", 1, 0),
            found("10.0.0.2:80", 3, 1),
            found("10.0.0.1:80", 9, 1),
        ]);
        let kept: Vec<_> = list.iter().map(|f| (f.weight, f.priority)).collect();
        assert_eq!(kept, [(1, 0), (5, 1)]);
    }
}
