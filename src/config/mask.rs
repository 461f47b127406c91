//! Lines of a document as they are told: what is a secret by its key is not told, since reports go to
//! logs and to colleagues.

/// The keys whose values are secrets, or what stands for one.
const SECRETS: [&str; 5] = ["secret", "hash", "token", "password", "api_key_sha256"];

/// A line with each character of a secret masked, so that carets below it stand where they did.
/// References (`$(env:NAME)`) are no secrets.
pub fn masked(line: &str) -> String {
    let mut masked: Vec<char> = line.chars().collect();
    let mut at = 0;
    while at < masked.len() {
        let Some(value) = value_of_secret(&masked, at) else {
            at += 1;
            continue;
        };
        let end = value + length(&masked[value..]);
        masked[value..end].iter_mut().for_each(|c| *c = '*');
        at = end.max(at + 1);
    }
    masked.into_iter().collect()
}

/// Where the value begins of a secret whose key stands at a place.
fn value_of_secret(line: &[char], at: usize) -> Option<usize> {
    let begins = at == 0 || matches!(line[at - 1], ' ' | '\t' | '{' | ',' | '"' | '\'');
    let key = SECRETS.iter().filter(|_| begins).find(|key| {
        let text = line[at..].iter().take(key.len());
        text.copied().eq(key.chars())
    })?;
    let mut after = at + key.len();
    let mut skip = |wanted: &[char]| {
        while line.get(after).is_some_and(|c| wanted.contains(c)) {
            after += 1;
        }
        after
    };
    let colon = skip(&['"', '\'', ' ']);
    if line.get(colon) != Some(&':') {
        return None;
    }
    let value = colon + 1 + line[colon + 1..].iter().take_while(|c| **c == ' ').count();
    // A mapping has keys of its own.
    (line.get(value).is_some_and(|c| *c != '{')).then_some(value)
}

/// How many characters of a value are to be masked.
fn length(value: &[char]) -> usize {
    let until = |ends: &[char]| value.iter().skip(1).position(|c| ends.contains(c));
    match value {
        ['$', '(', ..] => 0,
        [quote @ ('"' | '\''), ..] => until(&[*quote]).map_or(value.len(), |end| end + 2),
        ['[', ..] => until(&[']']).map_or(value.len(), |end| end + 2),
        _ => value.iter().position(|c| matches!(c, ',' | '}')).unwrap_or(value.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_all_else_stays_where_it_was() {
        for (line, told) in [
            ("secret: hush", "secret: ****"),
            (
                "  - jwt: {isuer: a, secret: hush, from: b}",
                "  - jwt: {isuer: a, secret: ****, from: b}",
            ),
            ("basic: {user: ops, hash: \"$2b$,}\"}", "basic: {user: ops, hash: ********}"),
            ("secret: [one, two] # new first", "secret: ********** # new first"),
            ("\"token\" : hush", "\"token\" : ****"),
            ("secret: $(env:SECRET)", "secret: $(env:SECRET)"),
            ("token: {algorithm: HS256}", "token: {algorithm: HS256}"),
            ("secrets: shown, my_secret: shown", "secrets: shown, my_secret: shown"),
            ("user: secret", "user: secret"),
            ("secret:", "secret:"),
        ] {
            assert_eq!(masked(line), told);
        }
    }
}
