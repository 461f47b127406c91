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
        let message = "whoever reaches this address reads metrics: set `token`, or listen on \
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
    let services: HashSet<&str> =
        document.routes.iter().filter_map(|route| route.service.as_deref()).collect();
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

fn is_everyone(network: Cidr) -> bool {
    network.network().prefix_len() == 0
}
