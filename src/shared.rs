//! What outlives a reload, under stable names.
//!
//! A configuration is compiled against this: what it names is found here as it was left, so that a
//! reload forgets neither who is healthy nor who was ejected.

mod limits;

pub use limits::Limits;

use crate::store::{Settings, Store};

use crate::credential::Verifier;
use crate::issuer::{Issuer, Plan};
use crate::jose::KeySet;
use crate::limit::talkers::Talkers;
use crate::lock::lock;
use crate::upstream::State;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Instant;

/// What outlives a reload.
#[derive(Debug, Default)]
pub struct Shared {
    services: Mutex<HashMap<Box<str>, Arc<State>>>,
    /// Who issues tokens.
    pub issuers: Arc<Issuers>,
    /// What is remembered of callers.
    pub limits: Arc<Limits>,
    /// What several gateways share.
    pub stores: Stores,
    /// Which clients are refused most, for metrics.
    pub talkers: Arc<Talkers>,
    verifier: OnceLock<Arc<Verifier>>,
}

/// Who issues tokens, each with the keys that are known of it.
#[derive(Debug, Default)]
pub struct Issuers(Mutex<Vec<Arc<Issuer<KeySet>>>>);

impl Issuers {
    /// The issuer of a plan; who asks with the same plan shares it.
    pub fn of(&self, plan: Plan) -> Arc<Issuer<KeySet>> {
        let mut issuers = lock(&self.0);
        if let Some(known) = issuers.iter().find(|known| *known.plan() == plan) {
            return Arc::clone(known);
        }
        // Those of a configuration that is gone have no other owner.
        issuers.retain(|known| Arc::strong_count(known) > 1);
        let issuer = Arc::new(Issuer::new(plan));
        issuers.push(Arc::clone(&issuer));
        issuer
    }
}

/// The stores, each with its connection.
#[derive(Debug, Default)]
pub struct Stores(Mutex<Vec<Arc<Store>>>);

impl Stores {
    /// The store that is reached so; who asks with the same settings shares it.
    pub fn of(&self, settings: Settings) -> Arc<Store> {
        let mut stores = lock(&self.0);
        if let Some(known) = stores.iter().find(|known| *known.settings() == settings) {
            return Arc::clone(known);
        }
        // Those of a configuration that is gone have no other owner.
        stores.retain(|known| Arc::strong_count(known) > 1);
        let store = Arc::new(Store::new(settings));
        stores.push(Arc::clone(&store));
        store
    }
}

impl Shared {
    /// What is known of the service of a name.
    pub fn service(&self, name: &str) -> Arc<State> {
        let mut services = lock(&self.services);
        let state = services.entry(name.into());
        Arc::clone(state.or_insert_with(|| Arc::new(State::new(Instant::now()))))
    }

    /// What checks passwords, for the whole process: as many at once as there are cores.
    pub fn verifier(&self) -> &Arc<Verifier> {
        self.verifier.get_or_init(|| {
            let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
            Arc::new(Verifier::new(cores))
        })
    }
}
