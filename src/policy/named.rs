//! Settings that are lists of named things, of which those of all scopes hold together.

use crate::value::{Invalid, Name};

/// One thing of such a list.
pub trait Named {
    /// Its name: of two in different scopes that have the same, the more specific one counts.
    fn name(&self) -> &Name;
}

/// Looks at each thing of one scope.
///
/// # Errors
///
/// Refuses a name that stands there twice, and what `look` refuses.
pub fn each<N: Named>(
    things: &mut [N],
    what: &str,
    look: impl Fn(&mut N) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    for number in 0..things.len() {
        let (before, rest) = things.split_at_mut(number);
        let thing = &mut rest[0];
        if before.iter().any(|known| known.name() == thing.name()) {
            let message = format!("{what} `{}` stands here twice", thing.name());
            return Err(Invalid::new(message).under("name").under(number));
        }
        look(thing).map_err(|invalid| invalid.under(number))?;
    }
    Ok(())
}

/// Joins what a more specific scope says to what the scopes around it say.
pub fn join<N: Named>(outer: Vec<N>, inner: Vec<N>) -> Vec<N> {
    let mut things = outer;
    things.retain(|known| inner.iter().all(|one| one.name() != known.name()));
    things.extend(inner);
    things
}
