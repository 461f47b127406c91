//! Signed tokens at the running gateway: every token of the corpus, keys from files and from the
//! network, several issuers, and what is remembered of tokens that were good.

mod issuers;
mod verdicts;

use crate::support::Response;

/// What a request with a token in `Authorization` looks like.
fn bearer(target: &str, token: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// What kind of problem an answer tells of, by the last word of its type.
fn kind(response: &Response) -> String {
    let problem = response.problem(response.status);
    let kind = problem["type"].as_str().unwrap_or_default();
    kind.rsplit(':').next().unwrap_or_default().to_owned()
}
