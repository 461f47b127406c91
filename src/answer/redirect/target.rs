//! What may be written as the target of a redirect, and who chooses its host.

use crate::value::{Invalid, Piece, Reference, Template};

/// How a whole target begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With a host, which the configuration names or which is the request's own.
    Host,
    /// With a path on the same host.
    Path,
}

/// How far a target's beginning has come.
enum Progress<'a> {
    /// It is a path, or its host is complete: what follows is a path, a query or a fragment.
    Past(Start),
    /// So much of a host is there, and more may follow.
    Inside(&'a str),
    /// There is no target that begins like this.
    Nowhere,
}

fn progress(beginning: &str) -> Progress<'_> {
    let host = match beginning.split_once("://") {
        Some((scheme, host)) if is_scheme(scheme) => host,
        _ if beginning.starts_with("//") => &beginning[2..],
        _ if beginning.starts_with('/') => return Progress::Past(Start::Path),
        _ => return Progress::Nowhere,
    };
    match host.find(['/', '?', '#']) {
        Some(0) => Progress::Nowhere,
        Some(_) => Progress::Past(Start::Host),
        None => Progress::Inside(host),
    }
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Refuses a whole target that is none, or whose host a client would choose.
pub fn check_whole(to: &Template) -> Result<Start, Invalid> {
    check_characters(to)?;
    let mut beginning = String::new();
    for piece in to.pieces() {
        match piece {
            Piece::Literal(text) => beginning.push_str(text),
            Piece::Choice(references, otherwise) => match progress(&beginning) {
                Progress::Past(start) => return Ok(start),
                // A host that is complete is ended by the slash that a path begins with.
                Progress::Inside(host)
                    if !host.is_empty() && all(references, otherwise, &Reference::RequestPath) =>
                {
                    return Ok(Start::Host);
                }
                // It names whom the client asked already.
                Progress::Inside("") if all(references, otherwise, &Reference::RequestHost) => {
                    beginning.push_str("host");
                }
                Progress::Inside(_) | Progress::Nowhere => {
                    return Err(Invalid::new(
                        "a client would choose the host here: write `https://HOST/` or `/` before \
                         the first reference, or `https://$(request.host)/`",
                    ));
                }
            },
        }
    }
    match progress(&beginning) {
        Progress::Past(start) => Ok(start),
        Progress::Inside(host) if !host.is_empty() => Ok(Start::Host),
        _ => Err(Invalid::new("a target begins with `/` or with `https://HOST`")),
    }
}

/// Refuses what is no path: it begins with a slash, and ends before a query.
pub fn check_path(path: &Template) -> Result<(), Invalid> {
    check_characters(path)?;
    let begins = match path.pieces().next() {
        Some(Piece::Literal(text)) => text.starts_with('/'),
        Some(Piece::Choice(references, otherwise)) => {
            all(references, otherwise, &Reference::RequestPath)
        }
        None => false,
    };
    if !begins {
        return Err(Invalid::new("a path begins with `/`"));
    }
    if literals(path).any(|text| text.contains(['?', '#'])) {
        let message = "a path has no query and no fragment, write the whole target in `to`";
        return Err(Invalid::new(message));
    }
    Ok(())
}

/// Walks what is the same for every request.
pub fn literals(template: &Template) -> impl Iterator<Item = &str> {
    template.pieces().filter_map(|piece| match piece {
        Piece::Literal(text) | Piece::Choice(_, Some(text)) => Some(text),
        Piece::Choice(_, None) => None,
    })
}

/// Whether a choice comes to the same reference in any case.
fn all(references: &[Reference], otherwise: Option<&str>, wanted: &Reference) -> bool {
    otherwise.is_none() && references.iter().all(|reference| reference == wanted)
}

/// RFC 3986 §2: what else is in a target is percent-encoded.
fn check_characters(template: &Template) -> Result<(), Invalid> {
    let wrong = |c: &char| !c.is_ascii_graphic() || "\"<>\\^`{|}".contains(*c);
    match literals(template).find_map(|text| text.chars().find(wrong)) {
        Some(c) => Err(Invalid::new(format!("a target has no {c:?}, write it percent-encoded"))),
        None => Ok(()),
    }
}
