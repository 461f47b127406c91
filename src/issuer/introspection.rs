//! Asking an issuer about tokens that only it can read (RFC 7662).
//!
//! The main thread asks, and workers wait for what it hears: one token is asked about once at a time,
//! however many bring it. That nobody answers is told apart from that a token is bad, so that an
//! issuer that is down makes nobody look like a liar.

mod answer;
mod memory;
#[cfg(test)]
mod tests;

pub use answer::{Active, Refused, Verdict, Wanted};

use super::fetch::{Http, body, refused, silent};
use super::report::Figures;
use super::{Address, Failure, Metadata, Trouble};
use crate::lock::lock;
use crate::value::{Invalid, Secret};
use answer::{Judged, judge};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memory::{Key, Memory};
use reqwest::header::{self, HeaderValue};
use reqwest::{Response, StatusCode};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// For how long a verdict is remembered, where nothing is said.
pub const CACHE: Duration = Duration::from_secs(30);
/// How long an answer may take, where nothing is said.
pub const TIMEOUT: Duration = Duration::from_secs(2);
/// The largest answer, in bytes.
const LARGEST: usize = 64 * 1024;
/// How many tokens are asked about at once.
const AT_ONCE: usize = 64;
/// How many tokens wait to be asked about.
const QUEUE: usize = 1024;
/// How many requests may wait for what is said of one token.
const WAITING: usize = 1024;
/// How many verdicts of either kind are remembered.
const REMEMBERED: usize = 8192;
/// How many locks they are behind, since every request with a token takes one of them.
const SHARDS: usize = 16;

/// Where tokens are asked about.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// At an address that is written down.
    At(Address),
    /// Where the issuer's metadata say ([`Issuer::metadata`](super::Issuer::metadata)).
    Told(watch::Receiver<Option<Arc<Metadata>>>),
}

/// How an issuer is asked about tokens.
#[derive(Debug, Clone)]
pub struct Plan {
    endpoint: Endpoint,
    client: Box<str>,
    secret: Secret,
    wanted: Wanted,
    cache: Duration,
    timeout: Duration,
}

/// That nothing can be said of a token, because the issuer does not say anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer could not be asked about the token")]
pub struct Unavailable;

/// How it is with asking an issuer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// When it last answered, in seconds since 1970; none if it never did.
    pub succeeded: Option<u64>,
    /// What is wrong since then; none while all is well.
    pub trouble: Option<Trouble>,
    /// How many questions were answered.
    pub answered: u64,
    /// How many were not.
    pub failed: u64,
}

impl Endpoint {
    /// An address that is written down (`https://HOST/PATH`).
    ///
    /// # Errors
    ///
    /// Refuses what is no URL of a web server.
    pub fn at(address: &str) -> Result<Self, Invalid> {
        address.parse().map(Endpoint::At)
    }

    /// The address, as soon as it is known.
    async fn address(&self) -> Result<Address, Failure> {
        let mut metadata = match self {
            Endpoint::At(address) => return Ok(address.clone()),
            Endpoint::Told(metadata) => metadata.clone(),
        };
        let gone = |_| Failure::new(Trouble::Silent, "nobody asks for the issuer's metadata");
        let told = metadata.wait_for(Option::is_some).await.map_err(gone)?;
        let address = told.as_ref().and_then(|metadata| metadata.introspection.clone());
        let none = "the issuer's metadata have no `introspection_endpoint` that could be asked";
        address.ok_or_else(|| Failure::malformed(none))
    }
}

impl Plan {
    /// Asks at an endpoint, as a client with a secret (RFC 6749 §2.3.1).
    pub fn new(endpoint: Endpoint, client: &str, secret: Secret) -> Self {
        let wanted = Wanted::default();
        Plan { endpoint, client: client.into(), secret, wanted, cache: CACHE, timeout: TIMEOUT }
    }

    /// Refuses tokens that are not as wanted, though the issuer may call them active.
    #[must_use]
    pub fn wanted(mut self, wanted: Wanted) -> Self {
        self.wanted = wanted;
        self
    }

    /// Remembers what was said for so long, and never past a token's `exp` (RFC 7662 §4); bad
    /// tokens for 5 seconds at most. It is 30 seconds where nothing is said; with zero, nothing is
    /// remembered.
    #[must_use]
    pub fn cache(mut self, cache: Duration) -> Self {
        self.cache = cache;
        self
    }

    /// Waits for an answer for so long: 2 seconds where nothing is said.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// Asks an issuer about tokens.
pub struct Introspector {
    plan: Plan,
    shards: Arc<Shards>,
    queue: mpsc::Sender<Question>,
    /// The other end, held by whoever keeps it.
    questions: tokio::sync::Mutex<mpsc::Receiver<Question>>,
    figures: Figures,
}

type Shards = [Mutex<Shard>; SHARDS];

struct Shard {
    memory: Memory,
    /// Who waits for what is said of a token.
    flights: HashMap<Key, Vec<oneshot::Sender<Verdict>>>,
}

fn shard<'a>(shards: &'a Shards, key: &Key) -> &'a Mutex<Shard> {
    &shards[usize::from(key[0]) % SHARDS]
}

impl Introspector {
    /// Makes one that has asked nothing yet. Nobody is asked before it is
    /// [kept](Introspector::keep).
    pub fn new(plan: Plan) -> Self {
        let (queue, questions) = mpsc::channel(QUEUE);
        let memory = || Memory::new(plan.cache, REMEMBERED / SHARDS);
        let new = |_| Mutex::new(Shard { memory: memory(), flights: HashMap::new() });
        let shards = Arc::new(std::array::from_fn(new));
        let (questions, figures) = (tokio::sync::Mutex::new(questions), Figures::default());
        Introspector { plan, shards, queue, questions, figures }
    }

    /// What the issuer says of a token: what it said a while ago, or what it says now. Any thread
    /// may call it.
    ///
    /// # Errors
    ///
    /// Says that there is no answer: none in time, none that can be read, or that too many wait.
    pub async fn ask(&self, token: &str) -> Result<Verdict, Unavailable> {
        let mut key = Key::default();
        key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let deadline = Instant::now() + self.plan.timeout;
        let (tell, heard) = oneshot::channel();
        let is_first = {
            // Locked for a look: it saves a question over the network, and 16 threads seldom meet.
            let mut shard = lock(shard(&self.shards, &key));
            if let Some(known) = shard.memory.get(&key, Instant::now(), SystemTime::now()) {
                return Ok(known);
            }
            let flight = shard.flights.entry(key).or_default();
            if flight.len() >= WAITING {
                return Err(Unavailable);
            }
            flight.push(tell);
            flight.len() == 1
        };
        if is_first {
            let flight = Flight { key, shards: Arc::clone(&self.shards), has_landed: false };
            let token = Zeroizing::new(token.to_owned());
            // A question that finds no place is dropped, which tells all who wait for it.
            drop(self.queue.try_send(Question { token, deadline, flight }));
        }
        match timeout_at(deadline, heard).await {
            Ok(Ok(verdict)) => Ok(verdict),
            Ok(Err(_)) | Err(_) => Err(Unavailable),
        }
    }

    /// Asks what workers want to know, for ever. It belongs onto the main thread's runtime; a second
    /// one waits until the first is dropped, so that a reload may begin it anew.
    pub async fn keep(self: Arc<Self>) {
        let mut questions = self.questions.lock().await;
        let http = Arc::new(Http::default());
        // Ends those that are under way when this is dropped.
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = running.join_next(), if !running.is_empty() => {}
                Some(question) = questions.recv(), if running.len() < AT_ONCE => {
                    let (this, http) = (Arc::clone(&self), Arc::clone(&http));
                    running.spawn(async move { this.answer(question, &http).await });
                }
            }
        }
    }

    /// Answers one question.
    async fn answer(&self, question: Question, http: &Http) {
        let Question { token, deadline, flight } = question;
        let late = |_| Err(Failure::new(Trouble::Silent, "no answer in time"));
        let outcome = timeout_at(deadline, self.post(&token, http)).await.unwrap_or_else(late);
        let judged = outcome
            .and_then(|body| judge(&body, &self.plan.wanted, SystemTime::now()))
            .inspect_err(|failure| self.complain(failure));
        let Ok(judged) = judged else { return };
        if self.figures.succeeded() {
            tracing::info!(client = &*self.plan.client, "introspection answers again");
        }
        flight.land(&judged);
    }

    fn complain(&self, failure: &Failure) {
        let (client, trouble) = (&*self.plan.client, failure.trouble);
        match (self.figures.failed(failure), trouble) {
            (true, Trouble::Refused) => {
                tracing::warn!(client, %failure, "introspection refuses the gateway's own client");
            }
            (true, _) => tracing::warn!(client, ?trouble, %failure, "introspection has trouble"),
            (false, _) => {
                tracing::debug!(client, ?trouble, %failure, "introspection still has trouble");
            }
        }
    }

    /// Posts a token (RFC 7662 §2.1).
    async fn post(&self, token: &str, http: &Http) -> Result<Vec<u8>, Failure> {
        let address = self.plan.endpoint.address().await?;
        let mut form = Zeroizing::new(String::with_capacity(64 + 3 * token.len()));
        form.push_str("token=");
        encode(token, &mut form);
        form.push_str("&token_type_hint=access_token");
        let request = http
            .client(address.is_plain())?
            .post(address.url().clone())
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, authorization(&self.plan.client, &self.plan.secret))
            .body(form.as_bytes().to_vec());
        let response: Response = request.send().await.map_err(|error| silent(&error))?;
        match response.status() {
            StatusCode::OK => body(response, LARGEST).await,
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(refused(&address, status, Trouble::Refused))
            }
            status => Err(refused(&address, status, Trouble::Status)),
        }
    }

    /// How it is with asking.
    pub fn report(&self) -> Report {
        let last = self.figures.last();
        Report {
            succeeded: last.succeeded,
            trouble: last.trouble,
            answered: self.figures.good.load(Relaxed),
            failed: self.figures.bad.load(Relaxed),
        }
    }
}

impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspector").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// A token to be asked about.
struct Question {
    token: Zeroizing<String>,
    deadline: Instant,
    flight: Flight,
}

/// Those who wait for what is said of one token. However it ends, nobody is left waiting.
struct Flight {
    key: Key,
    shards: Arc<Shards>,
    /// Whether they were told. From then on the place may be another flight's.
    has_landed: bool,
}

impl Flight {
    /// Remembers what was said, and tells it.
    fn land(mut self, judged: &Judged) {
        self.has_landed = true;
        let waiting = {
            let mut shard = lock(shard(&self.shards, &self.key));
            shard.memory.put(self.key, judged, Instant::now());
            shard.flights.remove(&self.key)
        };
        for waits in waiting.into_iter().flatten() {
            // Whoever does not wait any more has no use for it.
            drop(waits.send(judged.verdict.clone()));
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.has_landed {
            drop(lock(shard(&self.shards, &self.key)).flights.remove(&self.key));
        }
    }
}

/// The client's credentials for HTTP basic authentication. Both are encoded as in a form before they
/// are joined (RFC 6749 §2.3.1), so that neither is taken for more than it is.
fn authorization(client: &str, secret: &Secret) -> HeaderValue {
    let secret = secret.reveal();
    // Made large enough at once: a text that grows leaves copies behind.
    let mut pair = Zeroizing::new(String::with_capacity(3 * (client.len() + secret.len()) + 1));
    encode(client, &mut pair);
    pair.push(':');
    encode(secret, &mut pair);
    let mut value = Zeroizing::new(String::with_capacity(8 + 4 * (pair.len() / 3 + 1)));
    value.push_str("Basic ");
    STANDARD.encode_string(pair.as_bytes(), &mut value);
    let mut value = HeaderValue::from_str(&value).expect("Base64 is visible characters");
    value.set_sensitive(true);
    value
}

/// Encodes as `application/x-www-form-urlencoded` does.
fn encode(text: &str, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                into.push(char::from(byte));
            }
            b' ' => into.push('+'),
            _ => {
                into.push('%');
                into.push(char::from(HEX[usize::from(byte >> 4)]));
                into.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}
