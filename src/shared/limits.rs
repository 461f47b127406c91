//! What is remembered of callers, by the ids of limits: a reload forgets nobody.

use crate::limit::adaptive::Health;
use crate::limit::concurrency::Concurrency;
use crate::limit::key::KeyHasher;
use crate::limit::table::Table;
use crate::lock::lock;
use crate::value::{ByteSize, Invalid};
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};

/// What is remembered of callers.
#[derive(Debug)]
pub struct Limits {
    hasher: KeyHasher,
    /// By the limit's id and what it remembers. A limit whose algorithm becomes another one begins
    /// anew, as one sort of state says nothing to another algorithm.
    tables: Mutex<HashMap<(Box<str>, TypeId), Remembered>>,
    health: Mutex<HashMap<Box<str>, Arc<Health>>>,
    concurrency: Mutex<HashMap<Box<str>, Arc<Concurrency>>>,
}

#[derive(Debug)]
struct Remembered {
    /// The memory that it may take, and the most that one caller takes beside its place.
    bound: (ByteSize, usize),
    /// A table of the type that the key says.
    table: Arc<dyn Any + Send + Sync>,
}

impl Default for Limits {
    fn default() -> Self {
        // The system's randomness, by the seed of the standard library's own hasher.
        let secret = || RandomState::new().hash_one(0);
        Limits {
            hasher: KeyHasher::new([secret(), secret()]),
            tables: Mutex::default(),
            health: Mutex::default(),
            concurrency: Mutex::default(),
        }
    }
}

impl Limits {
    /// What makes keys of callers' names, for as long as the process runs.
    pub fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    /// What a limit remembers in so many bytes, of which a caller takes up to `heap` beside its
    /// place. It is as it was left, unless its bound has changed.
    ///
    /// # Errors
    ///
    /// Refuses a bound that has room for next to nobody.
    pub fn table<S: Default + Send + 'static>(
        &self,
        id: &str,
        memory: ByteSize,
        heap: usize,
    ) -> Result<Arc<Table<S>>, Invalid> {
        let key = (id.into(), TypeId::of::<S>());
        let bound = (memory, heap);
        let mut tables = lock(&self.tables);
        let known = tables.get(&key).filter(|known| known.bound == bound);
        let known = known.and_then(|known| Arc::clone(&known.table).downcast().ok());
        if let Some(known) = known {
            return Ok(known);
        }
        // Those of a configuration that is gone have no other owner.
        tables.retain(|_, known| Arc::strong_count(&known.table) > 1);
        let table: Arc<Table<S>> = Arc::new(Table::new(memory, heap)?);
        let remembered = Arc::clone(&table) as Arc<dyn Any + Send + Sync>;
        tables.insert(key, Remembered { bound, table: remembered });
        Ok(table)
    }

    /// What is in flight for a limit, which goes on being in flight whatever is reloaded.
    pub fn concurrency(&self, id: &str) -> Arc<Concurrency> {
        let mut all = lock(&self.concurrency);
        all.retain(|known, counts| **known == *id || Arc::strong_count(counts) > 1);
        Arc::clone(all.entry(id.into()).or_default())
    }

    /// How what a limit adapts to is, as it was left.
    pub fn health(&self, id: &str, begin: impl FnOnce() -> Health) -> Arc<Health> {
        let mut health = lock(&self.health);
        health.retain(|known, one| **known == *id || Arc::strong_count(one) > 1);
        Arc::clone(health.entry(id.into()).or_insert_with(|| Arc::new(begin())))
    }
}
