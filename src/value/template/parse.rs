//! From text to the parts of a template.

use super::{Choice, Part, Reference};
use crate::value::Invalid;

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Splits a template into its parts and resolves what the environment knows.
pub(super) fn parts(text: &str, env: Env<'_>) -> Result<Vec<Part>, Invalid> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        push_literal(&mut parts, &rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$$(") {
            push_literal(&mut parts, "$(");
            rest = after;
        } else if let Some(inside) = rest.strip_prefix("$(") {
            let (terms, after) = terms(inside)?;
            push_choice(&mut parts, terms, env)?;
            rest = after;
        } else {
            push_literal(&mut parts, "$");
            rest = &rest[1..];
        }
    }
    push_literal(&mut parts, rest);
    Ok(parts)
}

/// One alternative, as it was typed.
enum Term {
    Reference(Reference),
    Variable(String),
    Quoted(String),
}

/// Reads alternatives up to the closing parenthesis; returns them and what follows.
fn terms(inside: &str) -> Result<(Vec<Term>, &str), Invalid> {
    let mut terms = Vec::new();
    let mut rest = inside;
    loop {
        let (term, after) = term(rest.trim_start(), inside)?;
        let quoted = matches!(term, Term::Quoted(_));
        terms.push(term);
        let after = after.trim_start();
        if let Some(after) = after.strip_prefix(')') {
            return Ok((terms, after));
        }
        rest = match after.strip_prefix("??") {
            Some(_) if quoted => {
                return Err(Invalid::new("what follows quoted text in `$(…)` is never used"));
            }
            Some(after) => after,
            None if after.is_empty() => return Err(unclosed(inside)),
            None => {
                return Err(Invalid::new(format!(
                    "`$({}` needs `??` or `)` before `{}`",
                    beginning(inside),
                    beginning(after)
                )));
            }
        };
    }
}

/// Reads one alternative; `inside` is all that follows `$(`, for errors.
fn term<'a>(rest: &'a str, inside: &str) -> Result<(Term, &'a str), Invalid> {
    if let Some(quoted) = rest.strip_prefix('"') {
        let (text, after) = quoted_text(quoted).ok_or_else(|| {
            Invalid::new(format!("quoted text in `$({}` is not closed", beginning(inside)))
        })?;
        return Ok((Term::Quoted(text), after));
    }
    let end = rest.find(|c: char| c.is_whitespace() || c == ')').unwrap_or(rest.len());
    let end = rest[..end].find("??").unwrap_or(end);
    let (name, after) = rest.split_at(end);
    if name.is_empty() && after.is_empty() {
        return Err(unclosed(inside));
    }
    if name.is_empty() {
        return Err(Invalid::new("`$(…)` misses a reference: write one such as `$(client.ip)`"));
    }
    let term = match name.strip_prefix("env:") {
        Some("") => return Err(Invalid::new("a variable's name is missing after `env:`")),
        Some(variable) => Term::Variable(variable.to_owned()),
        None => Term::Reference(name.parse()?),
    };
    Ok((term, after))
}

/// Reads text up to its closing quote, or returns `None` when there is none.
fn quoted_text(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((text, chars.as_str())),
            '\\' => match chars.next()? {
                escaped @ ('"' | '\\') => text.push(escaped),
                other => text.extend(['\\', other]),
            },
            other => text.push(other),
        }
    }
}

/// Appends a choice: what can be known now becomes a literal, and a variable that is not set
/// gives way to its alternatives.
fn push_choice(parts: &mut Vec<Part>, terms: Vec<Term>, env: Env<'_>) -> Result<(), Invalid> {
    let mut references = Vec::new();
    let mut otherwise = None;
    let mut unset = None;
    for term in terms {
        match term {
            Term::Reference(reference) => references.push(reference),
            Term::Quoted(text) => otherwise = Some(text),
            Term::Variable(variable) => {
                otherwise = env(&variable);
                unset = Some(variable);
            }
        }
        if otherwise.is_some() {
            break;
        }
    }
    match (otherwise, unset) {
        (Some(text), _) if references.is_empty() => push_literal(parts, &text),
        (None, Some(variable)) if references.is_empty() => {
            return Err(Invalid::new(format!(
                "the environment variable `{variable}` is not set, and `$(env:{variable})` has no alternative"
            )));
        }
        (otherwise, _) => parts.push(Part::Choice(Choice { references, otherwise })),
    }
    Ok(())
}

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Literal(before)) => before.push_str(text),
        _ => parts.push(Part::Literal(text.to_owned())),
    }
}

fn unclosed(inside: &str) -> Invalid {
    Invalid::new(format!(
        "`$({}` is not closed: end it with `)`, or write `$$(` for a literal `$(`",
        beginning(inside)
    ))
}

/// Returns as much of the text as an error needs for finding it.
fn beginning(text: &str) -> String {
    text.chars().take(24).collect()
}
