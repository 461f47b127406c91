//! A stand-in for Consul, which is in no package registry: its health endpoint with blocking
//! queries, after its documentation ("Health HTTP Endpoint", "Blocking Queries").

use super::origin::{Call, Origin, Seen};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// An agent of Consul at an address of its own; it ends with the value.
pub struct Consul {
    origin: Origin,
    state: Arc<Mutex<State>>,
    changes: watch::Sender<u64>,
}

struct State {
    /// The index of the catalogue.
    index: u64,
    /// How often the catalogue was restored; a blocked query ends with that.
    restored: u64,
    /// Instances by service: what the health endpoint answers of each, and its tags.
    services: HashMap<String, Vec<Value>>,
    /// What is answered instead: a status and a text.
    failing: Option<(u16, String)>,
    token: Option<String>,
    /// Whether answers carry an index at all.
    indexed: bool,
}

/// One instance as a test says it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its own address; its node's where it is empty.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Its weight while it passes.
    pub weight: u32,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether its checks pass.
    pub passing: bool,
}

impl Member {
    /// One that passes, with weight 1 and no tag.
    pub fn at(address: &str, port: u16) -> Member {
        Member { address: address.into(), port, weight: 1, tags: Vec::new(), passing: true }
    }
}

impl Consul {
    /// Starts an agent that knows no service.
    pub async fn start() -> Consul {
        let (changes, changed) = watch::channel(0);
        let state = State {
            index: 10,
            restored: 0,
            services: HashMap::new(),
            failing: None,
            token: None,
            indexed: true,
        };
        let state = Arc::new(Mutex::new(state));
        let answering = Arc::clone(&state);
        let origin = Origin::start(move |mut call: Call| {
            let (state, mut changed) = (Arc::clone(&answering), changed.clone());
            async move {
                let (status, fields, body) = answer(&call.seen, &state, &mut changed).await;
                call.reply(status, &fields, body).await;
                call
            }
        })
        .await;
        Consul { origin, state, changes }
    }

    /// Its address, as a configuration writes it.
    pub fn url(&self) -> String {
        format!("http://{}", self.origin)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Seen> {
        self.origin.requests()
    }

    /// Registers these instances of a service instead of all that it had.
    pub fn register(&self, service: &str, members: &[Member]) {
        let entries = members.iter().map(|member| entry(service, member)).collect();
        self.change(|state| drop(state.services.insert(service.to_owned(), entries)));
    }

    /// Changes something that is none of the service's: the index goes on, the answer does not.
    pub fn touch(&self) {
        self.change(|_| {});
    }

    /// Answers with a status and a text, or as it should again. Blocked queries end with it.
    pub fn fail(&self, failure: Option<(u16, &str)>) {
        self.change(|state| state.failing = failure.map(|(status, text)| (status, text.into())));
    }

    /// Asks for a token from now on.
    pub fn ask_for_token(&self, token: &str) {
        self.change(|state| state.token = Some(token.to_owned()));
    }

    /// Leaves the index out of its answers.
    pub fn without_index(&self) {
        self.change(|state| state.indexed = false);
    }

    /// Restores the catalogue from a snapshot: its index goes back, and what waited for the old
    /// catalogue is answered by the new one.
    pub fn restore(&self, index: u64) {
        self.change(|state| {
            state.index = index;
            state.restored += 1;
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap();
        state.index += 1;
        change(&mut state);
        self.changes.send_modify(|number| *number += 1);
    }
}

fn entry(service: &str, member: &Member) -> Value {
    let status = if member.passing { "passing" } else { "critical" };
    json!({
        "Node": {"ID": "", "Node": "node", "Address": "127.0.0.1", "Datacenter": "dc1"},
        "Service": {
            "ID": format!("{service}-{}", member.port),
            "Service": service,
            "Tags": member.tags,
            "Address": member.address,
            "Port": member.port,
            "Weights": {"Passing": member.weight, "Warning": 1},
        },
        "Checks": [{"CheckID": "check", "Status": status}],
    })
}

/// The parameters of a target; a test sends none that would have to be decoded.
fn parameters(target: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

async fn answer(
    seen: &Seen,
    state: &Mutex<State>,
    changed: &mut watch::Receiver<u64>,
) -> (u16, String, String) {
    let parameter =
        |name: &str| parameters(&seen.target).find(|(key, _)| *key == name).map(|(_, value)| value);
    let asked: u64 = parameter("index").map_or(0, |index| index.parse().unwrap());
    let wait: u64 = parameter("wait")
        .and_then(|wait| wait.strip_suffix("ms")?.parse().ok())
        .unwrap_or(300_000)
        .min(600_000);
    // A sixteenth is the most that chance adds.
    let until = Instant::now() + Duration::from_millis(wait + wait / 16);
    let restored = state.lock().unwrap().restored;
    loop {
        changed.mark_unchanged();
        if let Some(answer) = state.lock().unwrap().now(seen, asked, restored) {
            return answer;
        }
        if timeout_at(until, changed.changed()).await.is_err() {
            return state.lock().unwrap().entries(seen);
        }
    }
}

impl State {
    /// The answer, if there is one already; `None` while a query has to wait.
    fn now(&self, seen: &Seen, asked: u64, restored: u64) -> Option<(u16, String, String)> {
        if let Some((status, text)) = &self.failing {
            return Some((*status, String::new(), text.clone()));
        }
        if self.token.as_deref().is_some_and(|token| seen.get("x-consul-token") != Some(token)) {
            return Some((403, String::new(), "Permission denied".to_owned()));
        }
        let is_due = asked == 0 || self.index > asked || self.restored > restored;
        is_due.then(|| self.entries(seen))
    }

    fn entries(&self, seen: &Seen) -> (u16, String, String) {
        let path = seen.target.split('?').next().unwrap();
        let service = path.strip_prefix("/v1/health/service/").expect("a health query");
        let has = |entry: &Value, tag: &str| {
            entry["Service"]["Tags"].as_array().unwrap().iter().any(|own| own == tag)
        };
        let fits = |entry: &&Value| {
            parameters(&seen.target).all(|(key, value)| match key {
                "passing" => entry["Checks"][0]["Status"] == "passing",
                "tag" => has(entry, value),
                "dc" => value == "dc1",
                _ => true,
            })
        };
        let entries = self.services.get(service).into_iter().flatten().filter(fits);
        let body = Value::from(entries.cloned().collect::<Vec<_>>()).to_string();
        let mut fields = "Content-Type: application/json\r\n".to_owned();
        if self.indexed {
            fields.push_str(&format!("X-Consul-Index: {}\r\n", self.index));
        }
        (200, fields, body)
    }
}
