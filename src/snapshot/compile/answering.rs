//! What answers a route: exactly one thing.

use crate::answer::login::Login;
use crate::answer::redirect::Redirect;
use crate::answer::respond::Respond;
use crate::answer::split::Split;
use crate::config::{Document, RouteConfig, split};
use crate::upstream::Service;
use crate::upstream::ask::Whom;
use crate::value::{Invalid, Name, nobody};
use std::path::Path;
use std::sync::Arc;

/// What a route says that it is answered by.
pub enum Answering {
    /// These services, by their numbers, parted so where there are several.
    Services(Vec<(usize, Arc<Service>)>, Option<Split>),
    /// The gateway, with what the configuration says.
    Respond(Respond),
    /// The gateway, with another place to ask.
    Redirect(Redirect),
    /// The gateway, with a token.
    Login(Box<Login>),
}

/// Finds what answers a route; nothing where that is a service that is wrong itself, and told so.
pub fn answering(
    config: &RouteConfig,
    document: &Document,
    services: &[Option<Arc<Service>>],
    folder: &Path,
) -> Result<Option<Answering>, Invalid> {
    let RouteConfig { service, backends, split_key, respond, redirect, login, mirror, .. } = config;
    let given = [
        ("service", service.is_some()),
        ("backends", backends.is_some()),
        ("respond", respond.is_some()),
        ("redirect", redirect.is_some()),
        ("login", login.is_some()),
    ];
    let mut given = given.iter().filter(|(_, given)| *given).map(|(key, _)| *key);
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        let message = format!(
            "route `{}` is answered by `{first}` already, it has `{second}` too",
            config.name
        );
        return Err(Invalid::new(message).under(second));
    }
    if split_key.is_some() && backends.is_none() {
        let message = "`split_key` says who of several `backends` gets a caller, there are none";
        return Err(Invalid::new(message).under("split_key"));
    }
    if mirror.is_some() && service.is_none() && backends.is_none() {
        let message = "only what a service answers is mirrored";
        return Err(Invalid::new(message).under("mirror"));
    }
    if let Some(respond) = respond {
        let respond = Respond::compile(respond).map_err(|invalid| invalid.under("respond"))?;
        return Ok(Some(Answering::Respond(respond)));
    }
    if let Some(redirect) = redirect {
        let redirect = Redirect::compile(redirect).map_err(|invalid| invalid.under("redirect"))?;
        return Ok(Some(Answering::Redirect(redirect)));
    }
    if let Some(login) = login {
        let known = known(&login.service, document, services);
        let known = known.map_err(|invalid| invalid.under("service").under("login"))?;
        let Some((index, service)) = known else { return Ok(None) };
        let login = Login::compile(login, Whom { service, index }, folder);
        let login = login.map_err(|invalid| invalid.under("login"))?;
        return Ok(Some(Answering::Login(Box::new(login))));
    }
    if let Some(backends) = backends {
        let parted = split(&config.name, backends, split_key.as_ref())?;
        let mut found = Vec::with_capacity(backends.len());
        let mut is_lost = false;
        for (number, backend) in backends.iter().enumerate() {
            let known = known(&backend.service, document, services);
            let within =
                |invalid: Invalid| invalid.under("service").under(number).under("backends");
            match known.map_err(within)? {
                Some(service) => found.push(service),
                None => is_lost = true,
            }
        }
        return Ok((!is_lost).then_some(Answering::Services(found, Some(parted))));
    }
    let Some(wanted) = service else {
        let message = format!(
            "route `{}` has nothing that answers, write `service:`, `backends:`, `respond:`, \
             `redirect:` or `login:`",
            config.name
        );
        return Err(Invalid::new(message));
    };
    let service = known(wanted, document, services).map_err(|invalid| invalid.under("service"))?;
    Ok(service.map(|service| Answering::Services(vec![service], None)))
}

/// Finds a service by its name, with its number; nothing where it is wrong itself, and told so.
pub fn known(
    wanted: &Name,
    document: &Document,
    services: &[Option<Arc<Service>>],
) -> Result<Option<(usize, Arc<Service>)>, Invalid> {
    let Document { services: configs, written, .. } = document;
    match configs.position(wanted) {
        Some(index) => Ok(services[index].clone().map(|service| (index, service))),
        None if written.services.contains(wanted.as_str()) => Ok(None),
        None => {
            let known = configs.iter().map(|(name, _)| name.as_str());
            Err(Invalid::new(nobody("service", wanted, known)))
        }
    }
}
