//! The thread of the stores: what several gateways share is kept there, so that nothing that a store
//! does holds a worker up.

use super::Error;
use crate::store::Store;
use std::future::pending;
use std::sync::Arc;
use std::thread;

/// Begins to keep the stores, if there are any.
///
/// # Errors
///
/// The thread cannot be started.
pub fn keep(stores: &[Arc<Store>]) -> Result<(), Error> {
    if stores.is_empty() {
        return Ok(());
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().map_err(Error::Thread)?;
    for store in stores {
        store.start(runtime.handle());
    }
    // It ends with the process.
    let serve = move || runtime.block_on(pending::<()>());
    thread::Builder::new().name("stores".to_owned()).spawn(serve).map_err(Error::Thread)?;
    Ok(())
}
