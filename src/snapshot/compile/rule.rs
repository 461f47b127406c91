//! What the matcher has to know of a route, and what its templates may ask of its path.

use crate::config::{MatchConfig, PathConfig};
use crate::exchange::{EmptySegments, EncodedSlashes, Parameters, PathRules};
use crate::route::{Conflict, PathPattern, Rule};
use crate::value::{Invalid, OneOrMany, Reference, nearest};

/// Joins what the listeners of one document do with paths: a pattern may have what any of them
/// lets pass.
pub fn loosest(listeners: impl Iterator<Item = PathRules>) -> PathRules {
    listeners.fold(PathRules::default(), |loosest, rules| PathRules {
        empty_segments: match rules.empty_segments {
            EmptySegments::Keep => EmptySegments::Keep,
            EmptySegments::Merge => loosest.empty_segments,
        },
        encoded_slashes: match rules.encoded_slashes {
            EncodedSlashes::Keep => EncodedSlashes::Keep,
            EncodedSlashes::Refuse => loosest.encoded_slashes,
        },
    })
}

/// Compiles what a route matches.
pub fn rule(config: &MatchConfig, paths: PathRules) -> Result<Rule, Invalid> {
    let methods = config.methods.as_deref().unwrap_or_default();
    let path = config.path.as_ref().map(|path| patterns(path, paths)).transpose();
    let headers = config.headers.compile(|name| (**name).clone());
    let query = config.query.compile(String::clone);
    Ok(Rule {
        hosts: config.hosts.as_deref().unwrap_or_default().to_vec(),
        paths: path.map_err(|invalid| invalid.under("path"))?.unwrap_or_default(),
        methods: methods.iter().map(|method| (**method).clone()).collect(),
        headers: headers.map_err(|invalid| invalid.under("headers"))?,
        query: query.map_err(|invalid| invalid.under("query"))?,
    })
}

fn patterns(config: &PathConfig, rules: PathRules) -> Result<Vec<PathPattern>, Invalid> {
    let PathConfig { exact, prefix, template, regex } = config;
    match (exact, prefix, template, regex) {
        (Some(texts), None, None, None) => {
            each(texts, "exact", |text| PathPattern::exact(text, rules))
        }
        (None, Some(texts), None, None) => {
            each(texts, "prefix", |text| PathPattern::prefix(text, rules))
        }
        (None, None, Some(texts), None) => {
            each(texts, "template", |text| PathPattern::template(text, rules))
        }
        (None, None, None, Some(patterns)) => {
            each(patterns, "regex", |pattern| Ok(PathPattern::Regex(pattern.clone())))
        }
        _ => {
            Err(Invalid::new("exactly one of `exact`, `prefix`, `template` and `regex` is needed"))
        }
    }
}

fn each<T>(
    typed: &OneOrMany<T>,
    key: &'static str,
    compile: impl Fn(&T) -> Result<PathPattern, Invalid>,
) -> Result<Vec<PathPattern>, Invalid> {
    let within =
        |(index, one)| compile(one).map_err(|invalid: Invalid| invalid.under(index).under(key));
    typed.iter().enumerate().map(within).collect()
}

/// Says what is wrong with two routes, at the one that stands second or never applies. `numbers`
/// says where in the document the rules stand.
pub fn at_odds<'a>(
    conflict: &Conflict,
    name: impl Fn(usize) -> &'a str,
    numbers: &[usize],
) -> Invalid {
    let (route, message) = match *conflict {
        Conflict::Tie { first, second } => {
            let (first, second_name) = (name(first), name(second));
            let message = format!(
                "route `{second_name}` matches the same requests as route `{first}`, and no more \
                 closely"
            );
            (second, message)
        }
        Conflict::Unreachable { rule, by } => {
            let (rule_name, by) = (name(rule), name(by));
            let message = format!(
                "route `{rule_name}` never answers: the prefix `/` of route `{by}` comes before \
                 it; a route for what is left has no `path`"
            );
            (rule, message)
        }
    };
    Invalid::new(message).under("match").under(numbers[route]).under("routes")
}

/// Where the named parts of each of a rule's paths are found.
pub fn parameters(rule: &Rule) -> Vec<Option<Parameters>> {
    rule.paths.iter().map(PathPattern::parameters).collect()
}

/// Refuses a reference to a part of the path that not every path of the route has, and one to the
/// answer to a login, which nothing but the claims of the token that is made of it can know.
pub fn check_reference(
    reference: &Reference,
    route: &str,
    paths: &[Option<Parameters>],
) -> Result<(), Invalid> {
    let wanted = match reference {
        Reference::Path(wanted) => wanted,
        Reference::Answer(_) => {
            let message = format!(
                "`$({reference})` means something in the claims of a `login` alone, where a service \
                 has answered"
            );
            return Err(Invalid::new(message).about(reference.to_string()));
        }
        _ => return Ok(()),
    };
    let names = |path: &Option<Parameters>| -> Vec<String> {
        path.iter().flat_map(Parameters::names).map(str::to_owned).collect()
    };
    let lacking = match paths {
        [] => Some(Vec::new()),
        paths => paths.iter().map(names).find(|names| !names.contains(wanted)),
    };
    let Some(names) = lacking else {
        return Ok(());
    };
    let message = format!("route `{route}` has no `{{{wanted}}}` in its path");
    let refusal = Invalid::new(match nearest(wanted, names.iter().map(String::as_str)) {
        Some(meant) => format!("{message}: did you mean `$(path.{meant})`?"),
        None => format!("{message}, as `$(path.{wanted})` asks for"),
    });
    Err(refusal.about(format!("path.{wanted}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(reference: &str) -> Option<String> {
        let reference = reference.parse().unwrap();
        let path = PathPattern::template("/u/{id}", PathRules::default()).unwrap();
        let refusal = check_reference(&reference, "users", &[path.parameters()]).err()?;
        assert_eq!(refusal.about.as_deref(), Some(&*reference.to_string()));
        Some(refusal.message)
    }

    #[test]
    fn a_route_knows_who_is_asking_but_no_answer_to_a_login() {
        for known in ["path.id", "identity.sub", "consumer.name", "header.x-id"] {
            assert_eq!(refusal(known), None);
        }
        for unknown in ["answer.body", "answer.body.id", "answer.header.x-id"] {
            assert!(refusal(unknown).unwrap().contains("of a `login` alone"));
        }
        assert!(refusal("path.ide").unwrap().contains("did you mean `$(path.id)`?"));
    }
}
