//! What answers a route: exactly one thing.

use super::nobody;
use crate::answer::redirect::Redirect;
use crate::answer::respond::Respond;
use crate::config::{Document, RouteConfig};
use crate::upstream::Service;
use crate::value::Invalid;
use std::sync::Arc;

/// What a route says that it is answered by.
pub enum Answering {
    /// These services, by their numbers.
    Services(Vec<(usize, Arc<Service>)>),
    /// The gateway, with what the configuration says.
    Respond(Respond),
    /// The gateway, with another place to ask.
    Redirect(Redirect),
}

/// Finds what answers a route; nothing where that is a service that is wrong itself, and told so.
pub fn answering(
    config: &RouteConfig,
    document: &Document,
    services: &[Option<Arc<Service>>],
) -> Result<Option<Answering>, Invalid> {
    let RouteConfig { service, respond, redirect, .. } = config;
    let given = [
        ("service", service.is_some()),
        ("respond", respond.is_some()),
        ("redirect", redirect.is_some()),
    ];
    let mut given = given.iter().filter(|(_, given)| *given).map(|(key, _)| *key);
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        let message = format!(
            "route `{}` is answered by `{first}` already, it has `{second}` too",
            config.name
        );
        return Err(Invalid::new(message).under(second));
    }
    if let Some(respond) = respond {
        let respond = Respond::compile(respond).map_err(|invalid| invalid.under("respond"))?;
        return Ok(Some(Answering::Respond(respond)));
    }
    if let Some(redirect) = redirect {
        let redirect = Redirect::compile(redirect).map_err(|invalid| invalid.under("redirect"))?;
        return Ok(Some(Answering::Redirect(redirect)));
    }
    let Some(wanted) = service else {
        let message = format!(
            "route `{}` has nothing that answers, write `service:`, `respond:` or `redirect:`",
            config.name
        );
        return Err(Invalid::new(message));
    };
    let Document { services: configs, written, .. } = document;
    match configs.position(wanted) {
        Some(index) => {
            Ok(services[index].clone().map(|service| Answering::Services(vec![(index, service)])))
        }
        None if written.services.contains(wanted.as_str()) => Ok(None),
        None => {
            let known = configs.iter().map(|(name, _)| name.as_str());
            Err(nobody("service", wanted, known).under("service"))
        }
    }
}
