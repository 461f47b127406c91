//! Things by host, found by what a request calls it.

use std::ops::ControlFlow::{self, Continue};

use hashbrown::HashMap;

use super::host::{Host, HostPattern};

/// Things by host. The keys are the configuration's, so that no client can make them collide, and a
/// hash that is quick will do.
#[derive(Debug, Clone)]
pub(super) struct Hosts<T> {
    exact: HashMap<Box<str>, T>,
    below: HashMap<Box<str>, T>,
    /// One bit for each number of labels that a name in `below` has. Only these are looked up.
    labels: u128,
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Hosts { exact: HashMap::new(), below: HashMap::new(), labels: 0 }
    }
}

impl<T: Default> Hosts<T> {
    /// Returns the thing of a host, which is made when it is new.
    pub(super) fn entry(&mut self, host: &HostPattern) -> &mut T {
        match host {
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
            HostPattern::Below(name) => {
                self.labels |= 1 << name.split('.').count();
                self.below.entry(name.clone()).or_default()
            }
        }
    }
}

impl<T> Hosts<T> {
    /// Walks what belongs to a host, the most specific first, until `visit` breaks.
    pub(super) fn each<'a, B>(
        &'a self,
        host: Host<'_>,
        mut visit: impl FnMut(&'a T) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if self.exact.is_empty() && self.below.is_empty() {
            return Continue(());
        }
        host.read(|name| {
            if let Some(thing) = self.exact.get(name) {
                visit(thing)?;
            }
            if self.labels == 0 {
                return Continue(());
            }
            // A name has at most 127 labels, which `Host` sees to.
            let mut labels = name.bytes().filter(|byte| *byte == b'.').count();
            let mut rest = name;
            while let Some((_, suffix)) = rest.split_once('.') {
                if self.labels >> labels & 1 == 1
                    && let Some(thing) = self.below.get(suffix)
                {
                    visit(thing)?;
                }
                labels -= 1;
                rest = suffix;
            }
            Continue(())
        })
    }

    /// Walks all things.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.exact.values().chain(self.below.values())
    }

    /// Gives back memory that nothing will need any more.
    pub(super) fn settle(&mut self, settle: impl FnMut(&mut T)) {
        self.exact.values_mut().chain(self.below.values_mut()).for_each(settle);
        self.exact.shrink_to_fit();
        self.below.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that were told what a host is, in the order in which they are found.
    fn found(patterns: &[&'static str], authority: &str) -> Vec<&'static str> {
        let mut hosts: Hosts<&str> = Hosts::default();
        patterns.iter().for_each(|pattern| *hosts.entry(&pattern.parse().unwrap()) = pattern);
        let mut found = Vec::new();
        let _ = hosts.each(Host::parse(authority.as_bytes()).unwrap(), |pattern| {
            found.push(*pattern);
            Continue::<()>(())
        });
        found
    }

    #[test]
    fn the_exact_host_comes_first_and_then_the_longest_wildcard() {
        let patterns = ["*.com", "*.b.example.com", "*.example.com", "a.b.example.com"];
        assert_eq!(
            found(&patterns, "A.B.example.com:80"),
            ["a.b.example.com", "*.b.example.com", "*.example.com", "*.com"]
        );
    }

    #[test]
    fn a_wildcard_stands_for_one_label_or_more() {
        let patterns = ["*.example.com"];
        assert_eq!(found(&patterns, "x.example.com"), ["*.example.com"]);
        assert_eq!(found(&patterns, "y.x.example.com."), ["*.example.com"]);
        for host in ["example.com", "xexample.com", "example.com.evil.test", "", "[::1]"] {
            assert!(found(&patterns, host).is_empty(), "{host}");
        }
    }

    #[test]
    fn a_host_of_very_many_labels_is_found_as_any_other() {
        let deep = "a.".repeat(120) + "example.com";
        assert_eq!(found(&["*.example.com"], &deep), ["*.example.com"]);
        let pattern: &'static str = Box::leak(("*.".to_owned() + &deep).into_boxed_str());
        assert_eq!(found(&[pattern], &format!("x.{deep}")), [pattern]);
    }

    #[test]
    fn addresses_are_found_whatever_their_spelling() {
        assert_eq!(found(&["[::1]"], "[0:0::1]:8080"), ["[::1]"]);
    }
}
