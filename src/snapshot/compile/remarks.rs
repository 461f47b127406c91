//! What is legal and may be a mistake all the same.

use crate::config::Document;
use crate::policy::Setting;
use crate::value::{Cidr, Invalid};
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
    let services = used_services(document);
    for (name, _) in document.services.iter().filter(|(name, _)| !services.contains(&***name)) {
        let message = format!("no route uses service `{name}`");
        remark(Invalid::new(message).under(name.as_str()).under("services"));
    }
    let sets: HashSet<&str> =
        document.routes.iter().flat_map(|route| &route.uses).map(|name| &**name).collect();
    for (name, _) in document.policy_sets.iter().filter(|(name, _)| !sets.contains(&***name)) {
        let message = format!("no route uses policy set `{name}`");
        remark(Invalid::new(message).under(name.as_str()).under("policy_sets"));
    }
    remarks
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
    let blocks: Vec<_> = blocks.collect();
    let auths = blocks.iter().filter_map(|block| match &block.auth {
        Some(Setting::Set(auth)) => Some(auth.services().map(|name| &**name)),
        _ => None,
    });
    let breakers = blocks.iter().map(|block| &block.circuit_breaker);
    let breakers =
        breakers.chain(services.iter().map(|(_, service)| &service.policies.circuit_breaker));
    let fallbacks = breakers.filter_map(|breaker| match breaker {
        Some(Setting::Set(breaker)) => breaker.fallback.as_ref()?.service.as_deref(),
        _ => None,
    });
    asked.chain(auths.flatten()).chain(fallbacks).collect()
}

fn is_everyone(network: Cidr) -> bool {
    network.network().prefix_len() == 0
}
