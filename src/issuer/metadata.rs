//! What an issuer says of itself: OpenID Connect Discovery 1.0 §4, and RFC 8414.

use super::fetch::Fetch;
use super::{Address, Failure, Trouble};
use crate::value::Invalid;
use serde::Deserialize;

/// Where an issuer's endpoints are. Those that lead out of TLS are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Where its keys are (`jwks_uri`).
    pub keys: Option<Address>,
    /// Where it is asked about tokens (`introspection_endpoint`, RFC 7662).
    pub introspection: Option<Address>,
}

/// The members that matter; a document that has one of them twice is refused.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: Option<String>,
    introspection_endpoint: Option<String>,
}

/// Reads an issuer identifier that can be asked for metadata: a URL without query and fragment
/// (RFC 8414 §2).
pub(super) fn base(issuer: &str) -> Result<Address, Invalid> {
    let base: Address = issuer.parse()?;
    if base.url().query().is_some() {
        let message = format!("`{issuer}` has a query, which no issuer's name has (RFC 8414 §2)");
        return Err(Invalid::new(message));
    }
    Ok(base)
}

/// Where an issuer's metadata are, in the order of asking. A slash at the end of its path does not
/// count (OpenID Connect Discovery 1.0 §4.1, RFC 8414 §3.1).
pub(super) fn places(base: &Address) -> [Address; 2] {
    let path = base.url().path();
    let path = path.strip_suffix('/').unwrap_or(path);
    [
        base.at(&format!("{path}/.well-known/openid-configuration")),
        base.at(&format!("/.well-known/oauth-authorization-server{path}")),
    ]
}

impl Metadata {
    /// Asks an issuer for its metadata.
    pub(super) async fn ask<F: Fetch>(
        fetch: &F,
        issuer: &str,
        base: &Address,
    ) -> Result<Self, Failure> {
        let mut first = None;
        for place in places(base) {
            let answer = fetch.get(&place, "application/json").await;
            let failure = match answer.and_then(|got| Metadata::read(&got.body, issuer, &place)) {
                Ok(metadata) => return Ok(metadata),
                Err(failure) => failure,
            };
            // The other place is on the same server: it would be as silent.
            if failure.trouble == Trouble::Silent {
                return Err(failure);
            }
            // That a document is wrong tells more than that another one is not there.
            match &first {
                Some(Failure { trouble, .. }) if *trouble != Trouble::Status => {}
                Some(_) if failure.trouble == Trouble::Status => {}
                _ => first = Some(failure),
            }
        }
        Err(first.expect("there are two places, and each has failed"))
    }

    /// Reads a document. Its `issuer` must be the one that was asked for, byte by byte: otherwise
    /// one issuer could speak for another (RFC 8414 §3.3).
    fn read(body: &[u8], issuer: &str, from: &Address) -> Result<Self, Failure> {
        let document: Document = serde_json::from_slice(body)
            .map_err(|error| Failure::malformed(format!("the metadata at `{from}`: {error}")))?;
        if document.issuer != issuer {
            let told: String = document.issuer.chars().take(200).collect();
            let message = format!("the metadata at `{from}` are those of `{told}`");
            return Err(Failure::new(Trouble::WrongIssuer, message));
        }
        let keys = document.jwks_uri.map(|uri| from.leads_to(&uri)).transpose()?;
        // Whoever needs no introspection should not miss keys for it: who does is told.
        let introspection =
            document.introspection_endpoint.and_then(|uri| from.leads_to(&uri).ok());
        Ok(Metadata { keys, introspection })
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Pages, status};
    use super::*;

    const ISSUER: &str = "https://id.example.com/realms/a";
    const OIDC: &str = "https://id.example.com/realms/a/.well-known/openid-configuration";
    const OAUTH: &str = "https://id.example.com/.well-known/oauth-authorization-server/realms/a";

    fn document(issuer: &str, keys: &str) -> String {
        format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}","other":[1]}}"#)
    }

    async fn asked(pages: &Pages) -> Result<Metadata, Failure> {
        Metadata::ask(pages, ISSUER, &base(ISSUER).unwrap()).await
    }

    #[test]
    fn the_well_known_path_is_appended_or_put_before_the_path() {
        let places = |issuer| places(&base(issuer).unwrap()).map(|place| place.to_string());
        assert_eq!(places(ISSUER), [OIDC, OAUTH]);
        assert_eq!(places("https://id.example.com/realms/a/"), [OIDC, OAUTH]);
        assert_eq!(
            places("https://id.example.com"),
            [
                "https://id.example.com/.well-known/openid-configuration",
                "https://id.example.com/.well-known/oauth-authorization-server",
            ]
        );
        assert!(base("https://id.example.com/?a").is_err() && base("internal").is_err());
    }

    #[tokio::test]
    async fn openid_connect_comes_first_and_oauth_where_there_is_none() {
        let pages = Pages::default();
        pages.put(OAUTH, &document(ISSUER, "https://id.example.com/oauth"));
        let keys = |metadata: Metadata| metadata.keys.unwrap().to_string();
        assert_eq!(keys(asked(&pages).await.unwrap()), "https://id.example.com/oauth");
        pages.put(OIDC, &document(ISSUER, "https://id.example.com/oidc"));
        assert_eq!(keys(asked(&pages).await.unwrap()), "https://id.example.com/oidc");
        assert_eq!(pages.asked(), [OIDC, OAUTH, OIDC]);
    }

    #[tokio::test]
    async fn another_issuers_metadata_are_refused_to_the_byte() {
        for told in ["https://id.example.com/realms/a/", "https://ID.example.com/realms/a", ""] {
            let pages = Pages::default();
            pages.put(OIDC, &document(told, "https://id.example.com/keys"));
            let failure = asked(&pages).await.unwrap_err();
            assert_eq!(failure.trouble, Trouble::WrongIssuer, "{told}");
        }
    }

    #[tokio::test]
    async fn metadata_do_not_lead_out_of_tls() {
        let pages = Pages::default();
        pages.put(OIDC, &document(ISSUER, "http://id.example.com/keys"));
        assert_eq!(asked(&pages).await.unwrap_err().trouble, Trouble::Downgrade);
        let told = format!(
            r#"{{"issuer":"{ISSUER}","introspection_endpoint":"http://id.example.com/ask"}}"#
        );
        pages.put(OIDC, &told);
        assert_eq!(asked(&pages).await.unwrap().introspection, None);
    }

    #[tokio::test]
    async fn what_says_something_twice_or_is_no_document_is_refused() {
        for told in [
            format!(r#"{{"issuer":"https://evil.example","issuer":"{ISSUER}"}}"#),
            format!(r#"{{"issuer":"{ISSUER}"}} {{}}"#),
            format!(r#"{{"issuer":["{ISSUER}"]}}"#),
            "<html>".to_owned(),
            String::new(),
        ] {
            let pages = Pages::default();
            pages.put(OIDC, &told);
            assert_eq!(asked(&pages).await.unwrap_err().trouble, Trouble::Malformed, "{told}");
        }
        let pages = Pages::default();
        assert_eq!(asked(&pages).await.unwrap_err(), status(OIDC));
    }
}
