//! The index of a blocking query, by the rules of Consul's documentation ("Blocking Queries",
//! "Implementation Details"): it is reset when it goes backwards, since Consul's state was restored
//! then, and it is never 0, with which a query would not wait at all.

/// Which state was last seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Index(u64);

impl Index {
    /// What to ask with; `None` for an answer at once.
    pub fn get(self) -> Option<u64> {
        (self.0 > 0).then_some(self.0)
    }

    /// The index after an answer with this one; with none, there is nothing to wait for.
    pub fn after(self, told: Option<u64>) -> Index {
        match told.map(|told| told.max(1)) {
            None => Index(0),
            Some(told) if told < self.0 => Index(0),
            Some(told) => Index(told),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_goes_forward_and_begins_anew_when_it_goes_back() {
        let index = Index::default();
        assert_eq!(index.get(), None);
        let index = index.after(Some(7));
        assert_eq!(index.get(), Some(7));
        assert_eq!(index.after(Some(7)), index);
        assert_eq!(index.after(Some(9)).get(), Some(9));
        assert_eq!(index.after(Some(6)).get(), None);
        assert_eq!(index.after(None).get(), None);
    }

    #[test]
    fn an_index_of_zero_would_not_wait_and_is_one() {
        assert_eq!(Index::default().after(Some(0)).get(), Some(1));
        assert_eq!(Index(1).after(Some(0)).get(), Some(1));
        assert_eq!(Index(5).after(Some(0)).get(), None);
    }
}
