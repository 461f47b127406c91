//! How an issuer is asked: one HTTP client, small answers, no redirects.
//!
//! A redirect would let whoever answers choose another server, or leave TLS; so none is followed, and
//! no proxy of the environment is used. What is asked for keys and for tokens goes to the address
//! that was written down, or that the issuer's metadata name, and nowhere else.

use super::{Address, Failure, Trouble};
use crate::telemetry::log::causes;
use reqwest::{Client, Response, StatusCode, header};
use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);
/// For how long a connection is kept for the next question: less than the 5 seconds after which some
/// servers close it, since a question that meets its end is lost.
const IDLE: Duration = Duration::from_secs(4);
/// How long an answer may take as a whole.
const WHOLE: Duration = Duration::from_secs(5);
/// The largest document, in bytes.
const LARGEST: usize = 512 * 1024;

/// A document, and for how long its server says that it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fetched {
    pub(super) body: Vec<u8>,
    /// `max-age` of `Cache-Control` (RFC 9111 §5.2.2.1).
    pub(super) max_age: Option<Duration>,
}

/// What gets documents: HTTP, and in tests a script.
pub(super) trait Fetch: Send + Sync {
    /// Gets the document at an address, by whose server it must be answered with 200.
    fn get(
        &self,
        address: &Address,
        accept: &'static str,
    ) -> impl Future<Output = Result<Fetched, Failure>> + Send;
}

/// An HTTP client that is made when it is first needed, since it reads the system's authorities.
#[derive(Debug, Default)]
pub(super) struct Http {
    client: OnceLock<Client>,
}

impl Http {
    /// The client. What is only ever asked without TLS needs no authorities, and a small container
    /// may have none.
    pub(super) fn client(&self, plain: bool) -> Result<&Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // The server has done so before; a caller of the library may not.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = || {
            Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .connect_timeout(CONNECT)
                .pool_idle_timeout(IDLE)
        };
        match builder().build() {
            Ok(client) => Ok(self.client.get_or_init(|| client)),
            Err(_) if plain => {
                let client = builder().tls_certs_only([]).build();
                let client = client.map_err(|error| no_client(&error))?;
                Ok(self.client.get_or_init(|| client))
            }
            Err(error) => Err(no_client(&error)),
        }
    }
}

fn no_client(error: &reqwest::Error) -> Failure {
    Failure::new(Trouble::NoClient, format!("no HTTP client: {}", causes(error)))
}

impl Fetch for Http {
    async fn get(&self, address: &Address, accept: &'static str) -> Result<Fetched, Failure> {
        let client = self.client(address.is_plain())?;
        let request = client.get(address.url().clone()).header(header::ACCEPT, accept);
        let response = request.timeout(WHOLE).send().await.map_err(|error| silent(&error))?;
        if response.status() != StatusCode::OK {
            return Err(refused(address, response.status(), Trouble::Status));
        }
        let cache_control = response.headers().get_all(header::CACHE_CONTROL);
        let max_age = cache_control.iter().find_map(|value| max_age(value.to_str().ok()?));
        Ok(Fetched { body: body(response, LARGEST).await?, max_age })
    }
}

/// That a server answers with another status than 200.
pub(super) fn refused(address: &Address, status: StatusCode, trouble: Trouble) -> Failure {
    Failure::new(trouble, format!("`{address}` answers {status}"))
}

/// That a server does not answer.
pub(super) fn silent(error: &reqwest::Error) -> Failure {
    Failure::new(Trouble::Silent, format!("no answer: {}", causes(error)))
}

/// The body, if it is not too large.
pub(super) async fn body(mut response: Response, largest: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| silent(&error))? {
        if body.len() + chunk.len() > largest {
            let message = format!("the answer has more than {largest} bytes");
            return Err(Failure::new(Trouble::TooLarge, message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// `max-age` in a value of `Cache-Control`, in either of its forms (RFC 9111 §5.2).
fn max_age(value: &str) -> Option<Duration> {
    value.split(',').find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("max-age") {
            return None;
        }
        let seconds = seconds.trim().trim_matches('"');
        let is_number = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
        // A number too large to be held means as long as possible (RFC 9111 §1.2.2).
        is_number.then(|| Duration::from_secs(seconds.parse().unwrap_or(u64::from(u32::MAX))))
    })
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Scripted, answer};
    use super::*;

    async fn get(server: &Scripted) -> Result<Fetched, Failure> {
        Http::default().get(&server.at("/keys"), "application/json").await
    }

    #[tokio::test]
    async fn a_document_comes_with_its_age() {
        let server = Scripted::says(
            "HTTP/1.1 200 OK\r\ncache-control: public, Max-Age=90\r\ncontent-length: 2\r\n\r\n{}",
        )
        .await;
        let fetched = get(&server).await.unwrap();
        assert_eq!(fetched.body, b"{}");
        assert_eq!(fetched.max_age, Some(Duration::from_secs(90)));
        assert!(server.asked()[0].contains("accept: application/json"));
    }

    #[tokio::test]
    async fn no_redirect_is_followed() {
        let other = Scripted::says(&answer(200, "{}")).await;
        let to = other.at("/keys");
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        let server = Scripted::says(&head).await;
        assert_eq!(get(&server).await.unwrap_err().trouble, Trouble::Status);
        assert!(other.asked().is_empty());
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_not_read_to_its_end() {
        let server = Scripted::says(&answer(200, &"a".repeat(LARGEST + 1))).await;
        assert_eq!(get(&server).await.unwrap_err().trouble, Trouble::TooLarge);
        let server = Scripted::says(&answer(200, &"a".repeat(LARGEST))).await;
        assert_eq!(get(&server).await.unwrap().body.len(), LARGEST);
    }

    #[tokio::test]
    async fn half_an_answer_and_none_are_silence() {
        let half = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{\"keys\":";
        let server = Scripted::says(half).await;
        assert_eq!(get(&server).await.unwrap_err().trouble, Trouble::Silent);
        let address = server.at("/keys");
        drop(server);
        let failure = Http::default().get(&address, "application/json").await.unwrap_err();
        assert_eq!(failure.trouble, Trouble::Silent);
    }

    #[test]
    fn an_age_is_read_in_both_of_its_forms() {
        let seconds = |value| max_age(value).map(|age| age.as_secs());
        assert_eq!(seconds("max-age=60"), Some(60));
        assert_eq!(seconds("no-transform, MAX-AGE=\"60\""), Some(60));
        assert_eq!(seconds("max-age=99999999999999999999"), Some(u64::from(u32::MAX)));
        for value in ["no-cache", "max-age", "max-age=", "max-age=-1", "s-maxage=60", "max-age=1s"]
        {
            assert_eq!(seconds(value), None, "{value}");
        }
    }
}
