//! What is legal and may be a mistake all the same.

use crate::config::Document;
use crate::issuer::Address;
use crate::policy::{Setting, auth};
use crate::value::{Cidr, Invalid, Step};
use std::collections::HashSet;

/// Looks a document over.
pub fn remarks(document: &Document) -> Vec<Invalid> {
    let mut remarks = Vec::new();
    let mut remark = |invalid: Invalid| remarks.push(invalid);
    if matches!(document.policies.auth, Some(Setting::Off)) {
        let message = "anyone may ask for every route that does not say otherwise";
        remark(Invalid::new(message).under("auth").under("policies"));
    }
    if let Some(admin) = &document.admin
        && admin.token.is_none()
        && !admin.address.ip().is_loopback()
    {
        let message = "whoever reaches this address reads metrics, where services are and what \
                       mirrors answer: set `token`, or listen on \
                       127.0.0.1";
        remark(Invalid::new(message).under("address").under("admin"));
    }
    for (index, listener) in document.listeners.iter().enumerate() {
        for (position, proxy) in listener.trusted_proxies.iter().enumerate() {
            if is_everyone(*proxy) {
                let message = "everyone is a trusted proxy here, and may claim any address";
                let at = Invalid::new(message).under(position).under("trusted_proxies");
                remark(at.under(index).under("listeners"));
            }
        }
    }
    for (at, config) in auths(document) {
        for (way_at, way) in config.ways() {
            if way.mtls.is_some() {
                let message = "no listener of this version asks for client certificates, so that \
                               nobody comes in this way";
                let at = at.iter().chain(&way_at).rev().cloned();
                remark(at.fold(Invalid::new(message).under("mtls"), Invalid::under));
            }
            for (way, setting, address) in way.addresses() {
                let address = address.parse::<Address>();
                if address.is_ok_and(|address| address.is_exposed()) {
                    let message = "this is asked in plain text, so that whoever is on the way can answer \
                                   for it: write `https://`";
                    let at = at.iter().chain(&way_at).rev().cloned();
                    let exposed = Invalid::new(message).under(setting).under(way);
                    remark(at.fold(exposed, Invalid::under));
                }
            }
        }
    }
    let services = used_services(document);
    for (name, _) in document.services.iter().filter(|(name, _)| !services.contains(&***name)) {
        let message = format!("no route uses service `{name}`");
        remark(Invalid::new(message).under(name.as_str()).under("services"));
    }
    let stores = used_stores(document);
    for (name, _) in document.stores.iter().filter(|(name, _)| !stores.contains(&***name)) {
        let message = format!("nothing uses store `{name}`");
        remark(Invalid::new(message).under(name.as_str()).under("stores"));
    }
    let sets: HashSet<&str> =
        document.routes.iter().flat_map(|route| &route.uses).map(|name| &**name).collect();
    for (name, _) in document.policy_sets.iter().filter(|(name, _)| !sets.contains(&***name)) {
        let message = format!("no route uses policy set `{name}`");
        remark(Invalid::new(message).under(name.as_str()).under("policy_sets"));
    }
    remarks
}

/// The auth decisions that are written, with where they stand.
fn auths(document: &Document) -> impl Iterator<Item = (Vec<Step>, &auth::Config)> {
    let Document { policies, policy_sets, routes, .. } = document;
    let step = |key: &str| Step::from(key);
    let everywhere = [(vec![step("policies")], policies)];
    let sets = policy_sets.iter();
    let sets = sets.map(move |(name, block)| (vec![step("policy_sets"), step(name)], block));
    let routes = routes.iter().enumerate();
    let routes = routes.map(move |(number, route)| {
        (vec![step("routes"), number.into(), step("policies")], &route.policies)
    });
    everywhere.into_iter().chain(sets).chain(routes).filter_map(|(mut at, block)| {
        let Some(Setting::Set(config)) = &block.auth else { return None };
        at.push("auth".into());
        Some((at, config))
    })
}

/// The services that are asked for something: by routes, as mirrors, or in the place of others.
fn used_services(document: &Document) -> HashSet<&str> {
    let Document { policies, policy_sets, services, routes, .. } = document;
    let asked = routes.iter().flat_map(|route| {
        let backends = route.backends.iter().flatten().map(|backend| &*backend.service);
        let mirror = route.mirror.iter().map(|mirror| &*mirror.service);
        let login = route.login.iter().map(|login| &*login.service);
        route.service.as_deref().into_iter().chain(backends).chain(mirror).chain(login)
    });
    let blocks = policy_sets.iter().map(|(_, block)| block);
    let blocks = blocks.chain(routes.iter().map(|route| &route.policies)).chain([policies]);
    let breakers = blocks.map(|block| &block.circuit_breaker);
    let breakers =
        breakers.chain(services.iter().map(|(_, service)| &service.policies.circuit_breaker));
    let fallbacks = breakers.filter_map(|breaker| match breaker {
        Some(Setting::Set(breaker)) => breaker.fallback.as_ref()?.service.as_deref(),
        _ => None,
    });
    let ways = auths(document).flat_map(|(_, config)| config.services());
    asked.chain(fallbacks).chain(ways).collect()
}

/// The stores that limits count in.
fn used_stores(document: &Document) -> HashSet<&str> {
    let Document { policies, policy_sets, routes, .. } = document;
    let blocks = policy_sets.iter().map(|(_, block)| block);
    let blocks = blocks.chain(routes.iter().map(|route| &route.policies)).chain([policies]);
    let limits = blocks.filter_map(|block| match &block.rate_limit {
        Some(Setting::Set(config)) => Some(&config.0),
        _ => None,
    });
    limits.flatten().filter_map(|limit| limit.store.as_deref()).collect()
}

fn is_everyone(network: Cidr) -> bool {
    network.network().prefix_len() == 0
}
