//! What a policy is compiled with, beside what was typed of it.

use super::auth::consumers::Consumers;
use crate::exchange::Vouched;
use crate::shared::{Issuers, Limits};
use crate::store::Store;
use crate::upstream::Service;
use crate::upstream::ask::Whom;
use crate::value::{Invalid, Name, nobody};
use std::path::PathBuf;
use std::sync::Arc;

/// What a policy is compiled with.
#[derive(Default)]
pub struct Build {
    /// The folder from which files are found.
    pub folder: PathBuf,
    /// The services by their numbers; none stands in the place of one that is wrong itself.
    pub services: Vec<(Name, Option<Arc<Service>>)>,
    /// What services are told of who is asking.
    pub vouched: Arc<Vouched>,
    /// Who is known by name.
    pub consumers: Arc<Consumers>,
    /// Who issues tokens.
    pub issuers: Arc<Issuers>,
    /// What is remembered of callers.
    pub limits: Arc<Limits>,
    /// The stores by name; none stands in the place of one that is wrong itself.
    pub stores: Vec<(Name, Option<Arc<Store>>)>,
}

impl Build {
    /// Finds a store.
    ///
    /// # Errors
    ///
    /// Says that nobody has the name, or that who has it is wrong itself.
    pub fn store(&self, wanted: &Name) -> Result<Arc<Store>, Invalid> {
        match self.stores.iter().find(|(name, _)| name == wanted) {
            Some((_, Some(store))) => Ok(Arc::clone(store)),
            Some((_, None)) => Err(Invalid::new(format!("store `{wanted}` is wrong itself"))),
            None => {
                let names = self.stores.iter().map(|(name, _)| name.as_str());
                Err(Invalid::new(nobody("store", wanted, names)))
            }
        }
    }

    /// Finds a service that is asked on the policy's own account.
    ///
    /// # Errors
    ///
    /// Says that nobody has the name, or that who has it is wrong itself.
    pub fn service(&self, wanted: &Name) -> Result<Whom, Invalid> {
        let known = self.services.iter().position(|(name, _)| name == wanted);
        match known.map(|index| (index, &self.services[index].1)) {
            Some((index, Some(service))) => Ok(Whom { service: Arc::clone(service), index }),
            Some((_, None)) => Err(Invalid::new(format!("service `{wanted}` is wrong itself"))),
            None => {
                let names = self.services.iter().map(|(name, _)| name.as_str());
                Err(Invalid::new(nobody("service", wanted, names)))
            }
        }
    }
}
