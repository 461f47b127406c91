//! From text to the parts of a template.

use super::{Choice, Part, Reference, reference};
use crate::value::Invalid;
use crate::value::outside::{LookUp, Outside};

/// Splits a template into its parts and resolves what is known outside of requests.
pub(super) fn parts(text: &str, look_up: LookUp<'_>) -> Result<Vec<Part>, Invalid> {
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
            push_choice(&mut parts, terms, look_up)?;
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
    Outside(Outside),
    Text(String),
}

/// Reads alternatives up to the closing parenthesis; returns them and what follows.
fn terms(inside: &str) -> Result<(Vec<Term>, &str), Invalid> {
    let mut terms: Vec<Term> = Vec::new();
    let mut rest = inside;
    loop {
        let outside = !terms.is_empty() && terms.iter().all(|t| matches!(t, Term::Outside(_)));
        let (term, after) = term(rest.trim_start(), inside, outside)?;
        let last = matches!(term, Term::Text(_));
        terms.push(term);
        let after = after.trim_start();
        if let Some(after) = after.strip_prefix(')') {
            return Ok((terms, after));
        }
        rest = match after.strip_prefix("??") {
            Some(_) if last => {
                return Err(Invalid::new("what follows text in `$(…)` is never used"));
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

/// Reads one alternative; `inside` is all that follows `$(`, for errors. Behind nothing but what is
/// known `outside` of requests, text may do without its quotes: `$(env:LEVEL ?? info)`.
fn term<'a>(rest: &'a str, inside: &str, outside: bool) -> Result<(Term, &'a str), Invalid> {
    if let Some(quoted) = rest.strip_prefix('"') {
        let (text, after) = quoted_text(quoted).ok_or_else(|| {
            Invalid::new(format!("quoted text in `$({}` is not closed", beginning(inside)))
        })?;
        return Ok((Term::Text(text), after));
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
    if let Some(outside) = Outside::parse(name) {
        return Ok((Term::Outside(outside?), after));
    }
    match name.parse::<Reference>() {
        Ok(reference) => Ok((Term::Reference(reference), after)),
        Err(_) if outside && !reference::looks_like_one(name) => {
            let end = rest.find(')').ok_or_else(|| unclosed(inside))?;
            Ok((Term::Text(rest[..end].trim_end().to_owned()), &rest[end..]))
        }
        Err(unknown) => Err(unknown),
    }
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
fn push_choice(
    parts: &mut Vec<Part>,
    terms: Vec<Term>,
    look_up: LookUp<'_>,
) -> Result<(), Invalid> {
    let mut references = Vec::new();
    let mut otherwise = None;
    let mut absent = None;
    for term in terms {
        match term {
            Term::Reference(reference) => references.push(reference),
            Term::Text(text) => otherwise = Some(text),
            Term::Outside(outside) => {
                otherwise = look_up(&outside)?;
                absent = Some(outside);
            }
        }
        if otherwise.is_some() {
            break;
        }
    }
    match (otherwise, absent) {
        (Some(text), _) if references.is_empty() => push_literal(parts, &text),
        (None, Some(absent)) if references.is_empty() => return Err(absent.is_missing()),
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
