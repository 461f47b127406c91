//! An issuer that does whatever a test wants: its key set, its discovery documents and its
//! introspection endpoint (RFC 7517 §5, RFC 8414 §3, RFC 7662), well or badly.

use super::origin::{Call, Origin, Seen};
use super::port::Port;
use super::wait::eventually;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// An issuer on a port that it keeps while it is stopped; it ends with the value.
pub struct Issuer {
    port: Port,
    state: Arc<Mutex<State>>,
    changes: watch::Sender<()>,
    origin: Option<Origin>,
}

/// What an issuer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Document {
    /// `/.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`.
    Discovery,
    /// `/jwks`.
    Keys,
    /// `/introspect`.
    Introspection,
}

/// How it answers.
#[derive(Debug, Clone, Default)]
pub enum Behaviour {
    /// As it should.
    #[default]
    Well,
    /// Not yet: what is asked waits until this changes, and is then answered by what it changed to.
    Held,
    /// With a status and a text that may be anything.
    Says(u16, String),
    /// By closing the connection.
    Hangs,
}

struct State {
    discovery: Value,
    keys: Value,
    /// Fields that the answers have besides, such as `Cache-Control: max-age=60\r\n`.
    fields: String,
    /// What introspection says of each token; of others, that they are not active.
    tokens: HashMap<String, Value>,
    /// The `Authorization` that introspection asks for.
    authorization: Option<String>,
    behaviours: HashMap<Document, Behaviour>,
    requests: Vec<(Document, Seen)>,
}

impl Issuer {
    /// Starts an issuer that has no key and knows no token.
    pub async fn start() -> Issuer {
        let port = Port::reserve();
        let url = format!("http://{}", port.address);
        let state = State {
            discovery: json!({
                "issuer": url,
                "jwks_uri": format!("{url}/jwks"),
                "introspection_endpoint": format!("{url}/introspect"),
            }),
            keys: json!({"keys": []}),
            fields: String::new(),
            tokens: HashMap::new(),
            authorization: None,
            behaviours: HashMap::new(),
            requests: Vec::new(),
        };
        let (changes, _) = watch::channel(());
        let mut issuer = Issuer { port, state: Arc::new(Mutex::new(state)), changes, origin: None };
        issuer.restart().await;
        issuer
    }

    /// Its issuer identifier, below which its discovery documents are.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address)
    }

    /// Where its key set is.
    pub fn keys_url(&self) -> String {
        format!("{}/jwks", self.url())
    }

    /// Where it introspects.
    pub fn introspection_url(&self) -> String {
        format!("{}/introspect", self.url())
    }

    /// Has these keys from now on, and no others.
    pub fn keys(&self, keys: &[Value]) {
        self.change(|state| state.keys = json!({"keys": keys}));
    }

    /// Says this in its discovery documents from now on.
    pub fn discovery(&self, document: Value) {
        self.change(|state| state.discovery = document);
    }

    /// Adds these fields, each with its end of line, to all that it answers well.
    pub fn fields(&self, fields: &str) {
        self.change(|state| state.fields = fields.to_owned());
    }

    /// Says this of a token from now on; `active` is true where it is left out.
    pub fn knows(&self, token: &str, mut said: Value) {
        if said.get("active").is_none() {
            said["active"] = true.into();
        }
        self.change(|state| drop(state.tokens.insert(token.to_owned(), said)));
    }

    /// Says of a token that it is not active from now on.
    pub fn forgets(&self, token: &str) {
        self.change(|state| drop(state.tokens.remove(token)));
    }

    /// Introspects for this client alone from now on. Its name and secret stand in the request as
    /// they are, so neither may have a character that a form would encode.
    pub fn asks_for_client(&self, name: &str, secret: &str) {
        let authorization = format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")));
        self.change(|state| state.authorization = Some(authorization));
    }

    /// Behaves so from now on when it is asked for a document.
    pub fn behave(&self, document: Document, behaviour: Behaviour) {
        self.change(|state| drop(state.behaviours.insert(document, behaviour)));
    }

    /// What it was asked for a document so far, with the bodies.
    pub fn requests(&self, document: Document) -> Vec<Seen> {
        let state = self.state.lock().unwrap();
        let requests = state.requests.iter().filter(|(asked, _)| *asked == document);
        requests.map(|(_, seen)| seen.clone()).collect()
    }

    /// How often it was asked for a document so far.
    pub fn asked(&self, document: Document) -> usize {
        self.requests(document).len()
    }

    /// Waits until it was asked for a document so often.
    pub async fn was_asked(&self, document: Document, times: usize) {
        let what = format!("the issuer to be asked for {document:?} {times} times");
        eventually(&what, async || (self.asked(document) >= times).then_some(())).await;
    }

    /// Stops it and cuts its connections. Those to its port are refused from then on.
    pub async fn stop(&mut self) {
        if let Some(origin) = self.origin.take() {
            origin.stop().await;
        }
    }

    /// Starts it on the same port, as it was, after stopping it if it runs.
    pub async fn restart(&mut self) {
        self.stop().await;
        let (state, changes) = (Arc::clone(&self.state), self.changes.clone());
        let address = self.port.address.to_string();
        let origin = Origin::at(&address, move |mut call: Call| {
            let (state, mut changed) = (Arc::clone(&state), changes.subscribe());
            async move {
                let body = call.body().await;
                let seen = Seen { body, ..call.seen.clone() };
                let Some(document) = document(&seen.target) else {
                    call.reply(404, "", "").await;
                    return call;
                };
                state.lock().unwrap().requests.push((document, seen.clone()));
                loop {
                    changed.mark_unchanged();
                    let answer = state.lock().unwrap().answer(document, &seen);
                    match answer {
                        Answer::Is(status, fields, text) => {
                            call.reply(status, &fields, text).await;
                            return call;
                        }
                        Answer::Never => return call.close(),
                        Answer::NotYet if changed.changed().await.is_err() => return call.close(),
                        Answer::NotYet => {}
                    }
                }
            }
        });
        self.origin = Some(origin.await);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changes.send_replace(());
    }
}

/// What a target asks for.
fn document(target: &str) -> Option<Document> {
    match target {
        "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server" => {
            Some(Document::Discovery)
        }
        "/jwks" => Some(Document::Keys),
        "/introspect" => Some(Document::Introspection),
        _ => None,
    }
}

enum Answer {
    /// A status, fields and a body.
    Is(u16, String, String),
    NotYet,
    Never,
}

impl State {
    fn answer(&self, document: Document, seen: &Seen) -> Answer {
        match self.behaviours.get(&document) {
            None | Some(Behaviour::Well) => {}
            Some(Behaviour::Held) => return Answer::NotYet,
            Some(Behaviour::Hangs) => return Answer::Never,
            Some(Behaviour::Says(status, text)) => {
                let fields = "Content-Type: application/json\r\n".to_owned();
                return Answer::Is(*status, fields, text.clone());
            }
        }
        let said = match document {
            Document::Discovery => &self.discovery,
            Document::Keys => &self.keys,
            Document::Introspection => match self.introspection(seen) {
                Some(said) => said,
                None => {
                    let challenge = "WWW-Authenticate: Basic realm=\"issuer\"\r\n".to_owned();
                    return Answer::Is(401, challenge, String::new());
                }
            },
        };
        let fields = format!("Content-Type: application/json\r\n{}", self.fields);
        Answer::Is(200, fields, said.to_string())
    }

    /// What is said of the token that a form asks about; `None` for a client that may not ask.
    fn introspection(&self, seen: &Seen) -> Option<&Value> {
        static INACTIVE: std::sync::LazyLock<Value> =
            std::sync::LazyLock::new(|| json!({"active": false}));
        assert_eq!(seen.method, "POST", "introspection is asked by POST (RFC 7662 §2.1)");
        assert_eq!(seen.get("content-type"), Some("application/x-www-form-urlencoded"));
        if self.authorization.is_some()
            && self.authorization.as_deref() != seen.get("authorization")
        {
            return None;
        }
        let form = std::str::from_utf8(&seen.body).expect("a form is text");
        let token = form.split('&').find_map(|pair| pair.strip_prefix("token="));
        let token = token.expect("a token to introspect").replace('+', " ");
        let token = percent_decode_str(&token).decode_utf8().expect("a token is text");
        Some(self.tokens.get(&*token).unwrap_or(&INACTIVE))
    }
}
