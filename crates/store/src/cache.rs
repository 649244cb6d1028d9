//! Answers of the database that are asked for again and again, kept until something of their domain is written.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use crate::{Domain, Store};

/// Values by key, each valid for one generation of its domain. Keeps nothing where other processes write to the database.
#[derive(Debug)]
pub struct Cache<K, V> {
    domain: Domain,
    capacity: usize,
    entries: RwLock<HashMap<K, (u64, Arc<V>)>>,
}

impl<K: Hash + Eq, V> Cache<K, V> {
    /// At most `capacity` values; a full cache starts anew.
    #[must_use]
    pub fn new(domain: Domain, capacity: usize) -> Self {
        Self { domain, capacity, entries: RwLock::default() }
    }

    /// The value of `key`, loaded if it is not known or may have changed.
    ///
    /// # Errors
    /// Those of `load`.
    pub async fn get<Q, E>(&self, store: &Store, key: &Q, load: impl AsyncFnOnce() -> Result<V, E>) -> Result<Arc<V>, E>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        // Read before loading: a write in between makes the entry look older than it is, never newer.
        let Some(generation) = store.generation(self.domain) else {
            return Ok(Arc::new(load().await?));
        };
        if let Some((_, value)) =
            self.entries.read().unwrap_or_else(PoisonError::into_inner).get(key).filter(|(g, _)| *g == generation)
        {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(load().await?);
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.capacity {
            entries.clear();
        }
        entries.insert(key.to_owned(), (generation, Arc::clone(&value)));
        Ok(value)
    }
}
