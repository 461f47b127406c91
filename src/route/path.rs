//! The paths that a rule serves.

use std::fmt;

use crate::value::Invalid;

/// A condition on the path of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// Every path. Weaker than the prefix `/`, which serves every path too.
    Any,
    /// This path alone.
    Exact(String),
    /// This path and those below it, by whole segments: `/users` serves `/users` and `/users/1`,
    /// not `/users2`. A trailing slash changes nothing, and `/` serves every path.
    Prefix(String),
}

impl PathPattern {
    /// Makes an exact path, and refuses what no request could ever have as its path.
    pub fn exact(text: &str) -> Result<Self, Invalid> {
        check(text)?;
        Ok(PathPattern::Exact(text.to_owned()))
    }

    /// Makes a prefix, and refuses what no request's path could ever begin with.
    pub fn prefix(text: &str) -> Result<Self, Invalid> {
        if let Some(before) = text.strip_suffix("/*") {
            return Err(Invalid::new(format!(
                "the prefix `{text}` needs no `*`: did you mean `{before}/`?"
            )));
        }
        check(text)?;
        Ok(PathPattern::Prefix(text.to_owned()))
    }
}

/// Refuses a path that does not read as RFC 3986 §3.3 has it, or that normalisation would have
/// changed before it is matched.
fn check(text: &str) -> Result<(), Invalid> {
    if !text.starts_with('/') {
        return Err(Invalid::new(format!("the path `{text}` must begin with `/`")));
    }
    let in_path = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:@".contains(c);
    match text.chars().find(|c| !in_path(*c)) {
        Some('?') => {
            return Err(Invalid::new(format!("the path `{text}` must not hold a query")));
        }
        Some('{' | '}') => {
            return Err(Invalid::new(format!(
                "the path `{text}` holds a placeholder: templates are not available yet"
            )));
        }
        Some(c) => {
            return Err(Invalid::new(format!(
                "the path `{text}` holds {c:?}, which a path has only percent-encoded"
            )));
        }
        None => {}
    }
    if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(Invalid::new(format!(
            "the path `{text}` has a segment `.` or `..`, which requests are rid of before matching"
        )));
    }
    Ok(())
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathPattern::Any => f.write_str("any path"),
            PathPattern::Exact(path) => write!(f, "exact {path}"),
            PathPattern::Prefix(path) => write!(f, "prefix {path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_that_no_request_has_is_refused() {
        for (text, message) in [
            ("", "must begin with `/`"),
            ("users", "must begin with `/`"),
            ("/users?id=1", "must not hold a query"),
            ("/users/{id}", "templates are not available yet"),
            ("/my users", "holds ' '"),
            ("/café", "only percent-encoded"),
            ("/a/../b", "has a segment"),
        ] {
            for pattern in [PathPattern::exact(text), PathPattern::prefix(text)] {
                let refusal = pattern.unwrap_err().to_string();
                assert!(refusal.contains(message), "{text}: {refusal}");
            }
        }
    }

    #[test]
    fn star_at_the_end_of_a_prefix_is_refused() {
        let refusal = PathPattern::prefix("/api/*").unwrap_err().to_string();
        assert!(refusal.contains("did you mean `/api/`?"), "{refusal}");
    }

    #[test]
    fn usual_paths_are_taken() {
        assert_eq!(PathPattern::exact("/"), Ok(PathPattern::Exact("/".to_owned())));
        let text = "/caf%C3%A9/v1.2/(a)";
        assert_eq!(PathPattern::prefix(text), Ok(PathPattern::Prefix(text.to_owned())));
    }
}
