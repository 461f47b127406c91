//! Limits by name: lists of which those of all scopes hold together.
//!
//! Each scope's list is compiled when it is looked at, since what is counted in one scope is not what
//! is counted in another; a route then has those of its scopes, and judges first what does not depend
//! on who is asking.

use super::{Build, Setting};
use crate::value::{Invalid, Name};
use std::sync::Arc;

/// One limit as it is typed.
pub trait Named: Sized {
    /// What it means.
    type Limit: Limit;

    /// Its name: of two in different scopes that have the same, the more specific one counts.
    fn name(&self) -> &Name;

    /// Turns what was typed in a scope into what it means.
    fn compile(&self, scope: &str, build: &Build) -> Result<Self::Limit, Invalid>;

    /// Keeps what it means.
    fn keep(&mut self, compiled: Arc<Self::Limit>);

    /// What it means, once its scope was looked at.
    fn kept(&self) -> Option<&Arc<Self::Limit>>;
}

/// A compiled limit.
pub trait Limit {
    /// Whether it can only be judged when it is known who is asking.
    fn needs_identity(&self) -> bool;
}

/// Looks at each limit of one scope.
///
/// # Errors
///
/// Refuses a name that stands there twice, and what means nothing.
pub fn said<N: Named>(mut typed: Vec<N>, scope: &str, build: &Build) -> Result<Vec<N>, Invalid> {
    for number in 0..typed.len() {
        let (before, rest) = typed.split_at_mut(number);
        let one = &mut rest[0];
        if before.iter().any(|known| known.name() == one.name()) {
            let message = format!("limit `{}` stands here twice", one.name());
            return Err(Invalid::new(message).under("name").under(number));
        }
        let compiled = one.compile(scope, build).map_err(|invalid| invalid.under(number))?;
        one.keep(Arc::new(compiled));
    }
    Ok(typed)
}

/// Joins what a more specific scope says to what the scopes around it say: limits accumulate by their
/// names, and `none` clears what was inherited.
pub fn fold<N: Named>(outer: Vec<N>, inner: Setting<Vec<N>>) -> Option<Vec<N>> {
    let Setting::Set(inner) = inner else { return None };
    let mut limits = outer;
    limits.retain(|known| inner.iter().all(|one| one.name() != known.name()));
    limits.extend(inner);
    Some(limits)
}

/// The limits of a route, in the order in which they are judged.
#[derive(Debug)]
pub struct Limits<L> {
    /// Those that need no identity first.
    pub all: Vec<Arc<L>>,
    /// How many of them need none.
    pub anonymous: usize,
}

impl<L: Limit> Limits<L> {
    /// What the scopes of a route have said together.
    pub fn new<N: Named<Limit = L>>(folded: &[N]) -> Self {
        let compiled = folded.iter().map(|one| {
            Arc::clone(one.kept().expect("what a scope says is compiled before it is folded"))
        });
        let mut all: Vec<Arc<L>> = compiled.collect();
        all.sort_by_key(|limit| limit.needs_identity());
        let anonymous = all.iter().filter(|limit| !limit.needs_identity()).count();
        Limits { all, anonymous }
    }
}
