//! Conditions that are one text, `KIND:VALUE`.

use super::condition::Condition;
use crate::telemetry::metrics::Way;
use crate::value::{Cidr, Invalid, Label, Method, Name, nearest};

/// The kinds, in the order in which they are told.
pub const KINDS: [&str; 8] =
    ["role", "scope", "tier", "consumer", "tag", "way", "method", "network"];

/// The ways to find out who is asking: what [`Identity::way`](crate::exchange::Identity) may be.
pub const WAYS: [&str; 7] = {
    let mut names = [""; Way::ALL.len()];
    let mut number = 0;
    while number < names.len() {
        names[number] = Way::ALL[number].name();
        number += 1;
    }
    names
};

/// Reads a condition.
///
/// # Errors
///
/// Refuses an unknown kind and a value that its kind cannot have, and says what was meant.
pub fn condition(text: &str) -> Result<Condition, Invalid> {
    let Some((kind, value)) = text.split_once(':') else {
        let hint = match nearest(text, KINDS) {
            Some(kind) => format!("write `{kind}:VALUE`"),
            None => format!("write KIND:VALUE, where KIND is {}", KINDS.join(", ")),
        };
        return Err(Invalid::new(format!("`{text}` is no condition: {hint}")));
    };
    if !KINDS.contains(&kind) {
        return Err(unknown_kind(text, kind, value));
    }
    let of = |what: &str, invalid: Invalid| {
        Invalid::new(format!("this names no {what}: {}", invalid.message))
    };
    if value.is_empty() {
        return Err(Invalid::new(format!("`{text}` has no value: write `{kind}:VALUE`")));
    }
    if let Some(meant) = without_spaces(value) {
        let message = format!("`{}` has a space in it: did you mean `{kind}:{meant}`?", seen(text));
        return Err(Invalid::new(message));
    }
    let label = |what| match value.parse::<Label>() {
        Ok(label) => Ok(Box::<str>::from(&*label)),
        Err(invalid) => Err(of(what, invalid)),
    };
    let name = |what| match value.parse::<Name>() {
        Ok(name) => Ok(Box::<str>::from(&*name)),
        Err(invalid) => Err(of(what, invalid)),
    };
    Ok(match kind {
        "role" => Condition::Role(label("role")?),
        "tag" => Condition::Tag(label("tag")?),
        "scope" => Condition::Scope(scope(value)?.into()),
        "consumer" => Condition::Consumer(name("consumer")?),
        "tier" => Condition::Tier(name("tier")?),
        "way" => Condition::Way(way(value)?),
        "method" => {
            let method: Method = value.parse()?;
            Condition::Method(method.into_inner())
        }
        _ => {
            let network: Cidr = value.parse()?;
            Condition::Network(network, [network].into_iter().collect())
        }
    })
}

/// The value without the spaces around it, if there are any.
fn without_spaces(value: &str) -> Option<&str> {
    let meant = value.trim();
    (meant != value && !meant.is_empty()).then_some(meant)
}

/// A text as a message may have it: what cannot be seen is replaced.
fn seen(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn unknown_kind(text: &str, kind: &str, value: &str) -> Invalid {
    let plain = kind.trim().to_lowercase();
    let meant = match plain.as_str() {
        "group" | "groups" => {
            let claim = format!("{{claim: groups, contains: {}}}", value.trim());
            return Invalid::new(format!("`{text}` is no condition: did you mean `{claim}`?"));
        }
        "cidr" | "ip" | "client" | "address" => Some("network"),
        "plan" => Some("tier"),
        "scp" => Some("scope"),
        plain => nearest(plain, KINDS),
    };
    Invalid::new(match meant {
        Some(meant) => {
            let meant = format!("{meant}:{}", value.trim());
            format!("`{text}` is no condition: did you mean `{meant}`?")
        }
        None => format!("unknown kind `{kind}` of condition, there are {}", KINDS.join(", ")),
    })
}

/// A scope is `1*( %x21 / %x23-5B / %x5D-7E )` (RFC 6749 §3.3); it is told to clients, in quotes.
fn scope(value: &str) -> Result<&str, Invalid> {
    let strange = |c: &char| !matches!(c, '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
    match value.chars().find(strange) {
        None => Ok(value),
        Some(' ') => {
            let each = value.split(' ').map(|scope| format!("scope:{scope}"));
            let list = each.collect::<Vec<_>>().join(", ");
            Err(Invalid::new(format!("`{value}` is several scopes, write each: [{list}]")))
        }
        Some(c) => {
            let message = format!("the scope `{}` must not hold {c:?}", seen(value));
            Err(Invalid::new(message))
        }
    }
}

fn way(value: &str) -> Result<Way, Invalid> {
    if let Some(way) = Way::ALL.into_iter().find(|way| way.name() == value) {
        return Ok(way);
    }
    let plain = value.to_lowercase().replace('-', "_");
    Err(Invalid::new(match nearest(&plain, WAYS) {
        Some(meant) => format!("unknown way `{value}`, did you mean `way:{meant}`?"),
        None => format!("unknown way `{value}`, there are {}", WAYS.join(", ")),
    }))
}
