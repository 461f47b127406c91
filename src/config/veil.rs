//! Lines of a document as they may be told: whoever reads what a check says, as in the output of a
//! build, is not who may read the secrets.

use crate::value::nearest;

/// The keys whose values nobody is told.
const SECRET: [&str; 6] = ["secret", "token", "hash", "api_key_sha256", "basic", "user"];

/// A line in which the values of secret keys are dots, one for each character, so that a caret stands
/// right. `path` is where the mistake is, for lines that have a value and not its key.
///
/// References (`$(env:NAME)`) that hold no secret by themselves are left as they are. It is better to
/// hide too much than too little, so what has another shape than those is hidden.
pub fn veiled(line: &str, path: &str) -> String {
    let characters: Vec<char> = line.chars().collect();
    let mut veiled = characters.clone();
    let mut hides = false;
    for start in 0..characters.len() {
        if let Some(end) = value_of_secret(&characters, start) {
            hides = true;
            veil(&characters, &mut veiled, end);
        }
    }
    let is_secrets = |step: &str| SECRET.contains(&step.split('[').next().unwrap_or_default());
    if !hides && path.rsplit('.').next().is_some_and(is_secrets) {
        veil(&characters, &mut veiled, 0);
    }
    veil_users(&mut veiled);
    veiled.into_iter().collect()
}

/// Puts dots in the place of who is named in a URL, with a password perhaps (RFC 3986 §3.2.1).
fn veil_users(line: &mut [char]) {
    for start in 3..line.len() {
        if line[start - 3..start] != [':', '/', '/'] {
            continue;
        }
        let ends = |c: &char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '}');
        let length = line[start..].iter().position(ends).unwrap_or(line.len() - start);
        if let Some(end) = line[start..start + length].iter().rposition(|c| *c == '@') {
            line[start..start + end].fill('·');
        }
    }
}

/// Whether a key is that of a secret, or is misspelt and was meant to be. Few misspell the first
/// letter, and without that `path` would be a `hash`.
fn is_secret(word: &str) -> bool {
    let meant =
        nearest(word, SECRET).filter(|meant| meant.as_bytes().first() == word.as_bytes().first());
    SECRET.contains(&word) || meant.is_some_and(|meant| !PLAIN.contains(&meant))
}

/// Those whose misspellings are other words.
const PLAIN: [&str; 2] = ["basic", "user"];

/// Where a value begins, if a secret key begins at `start`.
fn value_of_secret(line: &[char], start: usize) -> Option<usize> {
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
    if start > 0 && is_word(&line[start - 1]) {
        return None;
    }
    let length = line[start..].iter().take_while(|c| is_word(c)).count();
    let word: String = line[start..start + length].iter().collect();
    if !is_secret(&word) {
        return None;
    }
    let between = |c: &&char| matches!(c, '"' | '\'' | ' ' | '\t');
    let colon = start + length + line[start + length..].iter().take_while(between).count();
    (line.get(colon) == Some(&':')).then_some(colon + 1)
}

/// Puts dots in the place of a value: of a list to its end, of any other up to the next key.
fn veil(line: &[char], veiled: &mut [char], start: usize) {
    let blank = |c: &&char| matches!(c, ' ' | '\t' | '-' | '"' | '\'');
    let begin = start + line[start..].iter().take_while(blank).count();
    let rest: String = line[begin..].iter().collect();
    let quote = begin.checked_sub(1).map(|before| line[before]).filter(|c| "\"'".contains(*c));
    // A mapping has secrets under keys of its own, as the `token` of a login has.
    if quote.is_none() && rest.starts_with('{') {
        return;
    }
    let is_reference = rest.starts_with("$(env:") || rest.starts_with("$(file:");
    let reference = rest.split(')').next().unwrap_or_default();
    if is_reference && !reference.contains("??") {
        return;
    }
    let end = match (quote, line.get(begin)) {
        (Some(quote), _) => line[begin..].iter().position(|c| *c == quote),
        (None, Some('[')) => line[begin..].iter().position(|c| *c == ']'),
        _ => line[begin..].iter().position(|c| matches!(c, ',' | '}' | ']')),
    };
    let end = end.map_or(line.len(), |end| begin + end);
    let is_list = quote.is_none() && rest.starts_with('[');
    let shapes = |c: char| matches!(c, ' ' | '\t') || is_list && "[],\"'".contains(c);
    for character in veiled[begin..end].iter_mut().filter(|character| !shapes(**character)) {
        *character = '·';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn told(line: &str, expected: &str) {
        assert_eq!(veiled(line, "routes[0].policies.auth"), expected);
        assert_eq!(line.chars().count(), expected.chars().count());
    }

    #[test]
    fn values_of_secret_keys_are_dots() {
        told("  secret: hush", "  secret: ····");
        told("  jwt: {secret: hush, issuer: a}", "  jwt: {secret: ····, issuer: a}");
        told("{\"secret\" : \"hu,h\", b: 'c'}", "{\"secret\" : \"····\", b: 'c'}");
        told("a: {hash: \"$2b$\", user: b}", "a: {hash: \"····\", user: ·}");
        told("api_key_sha256: [ab, \"cd\"], x: y", "api_key_sha256: [··, \"··\"], x: y");
        told("secret: a b, c: d", "secret: · ·, c: d");
        told("token: $(env:TOKEN ?? hush)", "token: ··········· ·· ·····");
    }

    #[test]
    fn what_was_meant_for_a_secret_key_is_dots_too() {
        told("secrt: hush", "secrt: ····");
        told("basic: \"ops:hush\"", "basic: \"········\"");
        told("basic: {realm: a}", "basic: {realm: a}");
        told("jwks: \"https://me:hu/sh@id.test/\"", "jwks: \"https://········@id.test/\"");
    }

    #[test]
    fn what_holds_no_secret_is_told() {
        for line in [
            "secret: $(env:SECRET)",
            "secret: \"$(file:a.secret)\", issuer: a",
            "token: {algorithm: HS256, ttl: 1h}",
            "my_secret: none",
            "a: secret",
            "access_log: {format: json, path: stdout}",
            "{name: acme, tier: business, use: [a], hosts: b}",
        ] {
            told(line, line);
        }
    }

    #[test]
    fn a_value_on_a_line_of_its_own_is_known_by_its_path() {
        let path = "consumers[0].credentials.api_key_sha256[1]";
        assert_eq!(veiled("    - hush", path), "    - ····");
        assert_eq!(veiled("    \"hush\"", "auth.jwt.secret"), "    \"····\"");
    }
}
