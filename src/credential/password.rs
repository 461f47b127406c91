//! Users and their passwords. Whether a user exists cannot be told by how long an answer takes: for
//! one that does not, somebody else's hash is checked and the result thrown away.

mod hash;
mod recent;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
mod verifier;

pub use hash::PasswordHash;
pub use verifier::{Busy, Verifier};

use hashbrown::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// The users that are known, the password of each, and to whom it belongs.
pub struct Passwords<T> {
    verifier: Arc<Verifier>,
    numbers: HashMap<Box<str>, usize>,
    accounts: Vec<Account<T>>,
}

struct Account<T> {
    hash: Arc<PasswordHash>,
    owner: T,
}

impl<T: Clone> Passwords<T> {
    /// Knows no users. The verifier is the process's.
    pub fn new(verifier: Arc<Verifier>) -> Self {
        Passwords { verifier, numbers: HashMap::new(), accounts: Vec::new() }
    }

    /// Takes a user in. Returns to whom it belonged before, if it was known: two passwords of one
    /// user are a mistake for the caller to tell.
    pub fn insert(&mut self, user: &str, hash: PasswordHash, owner: T) -> Option<T> {
        let account = Account { hash: Arc::new(hash), owner };
        if let Some(&number) = self.numbers.get(user) {
            return Some(std::mem::replace(&mut self.accounts[number], account).owner);
        }
        self.numbers.insert(user.into(), self.accounts.len());
        self.accounts.push(account);
        None
    }

    /// Finds to whom a user and password belong. Users are compared byte for byte. A result is
    /// remembered, a good one for five minutes and a bad one for ten seconds.
    ///
    /// # Errors
    ///
    /// Is [`Busy`] when more than 64 passwords wait to be checked already.
    pub async fn check(&self, user: &str, password: &str, now: Instant) -> Result<Option<T>, Busy> {
        let known = self.numbers.get(user).copied();
        let number = known.or_else(|| self.stand_in(user));
        // Where there are no users, there is none to be told.
        let Some(number) = number else { return Ok(None) };
        let Account { hash, owner } = &self.accounts[number];
        let matches = self.verifier.verify(user, password, hash, known.is_some(), now).await?;
        Ok(matches.then(|| owner.clone()))
    }

    /// Whose hash is checked for a user that nobody knows. It is the same one each time, and each
    /// is as likely: so unknown users take as long as known ones also where some hashes cost more
    /// than others, and asking twice tells nothing.
    fn stand_in(&self, user: &str) -> Option<usize> {
        let [a, b, c, d, e, f, g, h, ..] = self.verifier.mark(&[user.as_bytes()]);
        let random = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        // It is less than the number of users, and fits as that does.
        random.checked_rem(self.accounts.len() as u64).map(|number| number as usize)
    }

    /// Whether there are no users.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }
}

impl<T> fmt::Debug for Passwords<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("len", &self.accounts.len()).finish_non_exhaustive()
    }
}
