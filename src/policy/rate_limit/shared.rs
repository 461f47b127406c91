//! A limit that several gateways share, through a store.
//!
//! In batches, a caller's units are leased ahead of need (`limit/lease.rs`), so that a request of a
//! busy caller is judged here and now; who asks rarely costs a call. Exactly, each request costs one.

use super::config::{LimitConfig, OnStoreError, Sharing};
use crate::limit::key::Key;
use crate::limit::lease::{Call, Lease, LeasePolicy, Step, Surplus, Turn};
use crate::limit::table::{Figures, Table};
use crate::limit::{Claim, Grant, Outcome, Plan, Standing, Time, Verdict};
use crate::policy::Build;
use crate::store::{Store, StoreError};
use crate::value::{ByteSize, Invalid};
use aws_lc_rs::digest::{SHA256, digest};
use std::sync::Arc;
use std::time::SystemTime;

/// Nobody can say whether a caller has had its share: the store does not.
pub type Uncounted = StoreError;

/// What a caller is called in the store: a hash, so that a key that is a credential or an address
/// stands nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name([u8; 16]);

impl Name {
    /// The name of the caller of a key. Half of a SHA-256 is enough: it takes 2⁶⁴ callers until two
    /// are likely to have the same.
    pub fn of(key: &[u8]) -> Self {
        let mut name = [0; 16];
        name.copy_from_slice(&digest(&SHA256, key).as_ref()[..16]);
        Name(name)
    }
}

/// What counts in a store.
#[derive(Debug)]
pub struct Shared {
    store: Arc<Store>,
    /// By tier.
    plans: Box<[Plan]>,
    /// What the keys of each tier begin with: what is stored by one plan says nothing to another.
    prefixes: Box<[String]>,
    leases: Option<Leases>,
    on_error: OnStoreError,
}

/// What this gateway holds of callers' units.
#[derive(Debug)]
struct Leases {
    /// By tier.
    policies: Box<[LeasePolicy]>,
    table: Arc<Table<Lease>>,
}

impl Shared {
    /// The store of a limit, if it has one.
    ///
    /// # Errors
    ///
    /// Refuses a store that does not exist, settings of one where there is none, and what only one
    /// gateway can do.
    pub fn compile(
        config: &LimitConfig,
        id: &str,
        plans: &[Plan],
        memory: ByteSize,
        build: &Build,
    ) -> Result<Option<Self>, Invalid> {
        let Some(wanted) = &config.store else {
            for (setting, is_said) in [
                ("sharing", config.sharing.is_some()),
                ("on_store_error", config.on_store_error.is_some()),
            ] {
                if is_said {
                    let message = "nothing is shared without a `store`";
                    return Err(Invalid::new(message).under(setting));
                }
            }
            return Ok(None);
        };
        let alone = match (&config.queue, config.algorithm) {
            (Some(_), _) => Some("a queue is this gateway's own"),
            (_, super::config::AlgorithmName::Adaptive) => {
                Some("how services are is seen by each gateway for itself")
            }
            _ => None,
        };
        if let Some(alone) = alone {
            let message = format!("{alone}: leave `store` out, or choose another algorithm");
            return Err(Invalid::new(message).under("store"));
        }
        let store = build.store(wanted).map_err(|invalid| invalid.under("store"))?;
        let leases = match config.sharing.unwrap_or_default() {
            Sharing::Exact => None,
            Sharing::Batched => {
                let policy = |plan| LeasePolicy::new(plan, LeasePolicy::BATCH, store.timeout());
                let table = build.limits.table(id, memory, 0);
                Some(Leases {
                    policies: plans.iter().map(policy).collect(),
                    table: table.map_err(|invalid| invalid.under("memory"))?,
                })
            }
        };
        let on_error = config.on_store_error.unwrap_or_default();
        let prefix = |plan: &Plan| {
            let Plan { kind, rate, burst } = plan;
            format!("{id}:{}:{rate}:{burst}:", kind.word())
        };
        let prefixes = plans.iter().map(prefix).collect();
        Ok(Some(Shared { store, plans: plans.into(), prefixes, leases, on_error }))
    }

    /// What becomes of requests while the store does not answer.
    pub fn on_error(&self) -> OnStoreError {
        self.on_error
    }

    /// Whether the store is asked.
    pub fn is_up(&self) -> bool {
        self.store.is_up()
    }

    /// The store's name.
    pub fn store(&self) -> &str {
        self.store.name()
    }

    /// What is remembered of leases, where there are any.
    pub fn figures(&self) -> Option<Figures> {
        self.leases.as_ref().map(|leases| leases.table.figures())
    }

    /// Judges a request and takes what it costs.
    ///
    /// # Errors
    ///
    /// The store has to be asked, and does not answer in time.
    pub async fn take(
        self: &Arc<Self>,
        key: Key,
        name: Name,
        tier: usize,
        now: Time,
        cost: u32,
    ) -> Result<Verdict, Uncounted> {
        let Some(leases) = &self.leases else {
            let claim = Claim { least: cost, want: cost };
            return self.claim(name, tier, claim).await.map(|grant| verdict(&grant));
        };
        let mut turn = leases.with(key, tier, now, |lease, policy| lease.take(policy, now, cost));
        // A call that came too late for its request is followed by one more at most.
        loop {
            let Turn { step, surplus } = turn;
            if let Some(surplus) = surplus {
                self.send_back(name, tier, surplus);
            }
            let call = match step {
                Step::Admitted(standing) => {
                    return Ok(Verdict { outcome: Outcome::Admitted, standing });
                }
                Step::AdmittedAndRefill { standing, call } => {
                    let shared = Arc::clone(self);
                    tokio::spawn(async move {
                        let now = Time::of(SystemTime::now());
                        let turn = shared.ask(key, name, tier, now, call).await;
                        // What a lease had left that has ended meanwhile goes back all the same.
                        if let Some(surplus) = turn.ok().and_then(|turn| turn.surplus) {
                            shared.send_back(name, tier, surplus);
                        }
                    });
                    return Ok(Verdict { outcome: Outcome::Admitted, standing });
                }
                Step::Refused { retry_after, standing } => {
                    return Ok(Verdict { outcome: Outcome::Refused { retry_after }, standing });
                }
                Step::Ask(call) => call,
                Step::Refilled => unreachable!("a request waits for its answer"),
            };
            turn = self.ask(key, name, tier, now, call).await?;
        }
    }

    /// Asks the store what a lease wants of it, and tells the lease.
    async fn ask(
        self: &Arc<Self>,
        key: Key,
        name: Name,
        tier: usize,
        now: Time,
        call: Call,
    ) -> Result<Turn, Uncounted> {
        let leases = self.leases.as_ref().expect("only leases ask");
        let least = call.claim.least;
        let grant = self.claim(name, tier, call.claim).await;
        let turn = leases.with(key, tier, now, |lease, policy| match &grant {
            Ok(grant) => Some(lease.granted(policy, now, call, grant)),
            Err(_) => {
                lease.failed(policy, now, call);
                None
            }
        });
        let grant = grant?;
        // Only what came ahead of need can be left over.
        if grant.units > least {
            self.look_after(key, name, tier);
        }
        Ok(turn.expect("what was granted has its turn"))
    }

    /// Gives back what a lease has left when it has ended, though the caller asks for nothing more.
    fn look_after(self: &Arc<Self>, key: Key, name: Name, tier: usize) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let Some(leases) = &shared.leases else { return };
            tokio::time::sleep(leases.policies[tier].life()).await;
            let now = Time::of(SystemTime::now());
            let left = leases.with(key, tier, now, |lease, policy| lease.surplus(policy, now));
            if let Some(surplus) = left {
                shared.send_back(name, tier, surplus);
            }
        });
    }

    /// Gives units back to the store, and waits for nothing.
    fn send_back(self: &Arc<Self>, name: Name, tier: usize, surplus: Surplus) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let Surplus { units, taken } = surplus;
            let plan = &shared.plans[tier];
            // What could not be given back comes back by itself, when its time is over.
            drop(shared.store.give_back(plan, &shared.key(name, tier), units, taken).await);
        });
    }

    async fn claim(&self, name: Name, tier: usize, claim: Claim) -> Result<Grant, StoreError> {
        self.store.claim(&self.plans[tier], &self.key(name, tier), claim).await
    }

    fn key(&self, name: Name, tier: usize) -> Vec<u8> {
        self.store.key(&[self.prefixes[tier].as_bytes(), hex(name.0).as_bytes()])
    }

    /// Gives units back that are not to count.
    pub fn give_back(
        self: &Arc<Self>,
        (key, name): (Key, Name),
        tier: usize,
        taken: Time,
        now: Time,
        units: u32,
    ) {
        let surplus = match &self.leases {
            Some(leases) => leases
                .with(key, tier, now, |lease, policy| lease.give_back(policy, taken, now, units)),
            None => Some(Surplus { units, taken }),
        };
        if let Some(surplus) = surplus {
            self.send_back(name, tier, surplus);
        }
    }

    /// Takes units whose number only showed afterwards.
    pub fn charge(self: &Arc<Self>, (key, name): (Key, Name), tier: usize, now: Time, units: u32) {
        let (owed, surplus) = match &self.leases {
            Some(leases) => {
                leases.with(key, tier, now, |lease, policy| lease.charge(policy, now, units))
            }
            None => (units, None),
        };
        if let Some(surplus) = surplus {
            self.send_back(name, tier, surplus);
        }
        if owed > 0 {
            let shared = Arc::clone(self);
            tokio::spawn(async move {
                let plan = &shared.plans[tier];
                drop(shared.store.charge(plan, &shared.key(name, tier), owed).await);
            });
        }
    }

    /// How a caller stands in the store.
    ///
    /// # Errors
    ///
    /// The store does not answer in time.
    pub async fn look(&self, name: Name, tier: usize) -> Result<Standing, Uncounted> {
        self.store.standing(&self.plans[tier], &self.key(name, tier)).await
    }

    /// Lets a caller begin anew. What other gateways hold of its units they spend all the same.
    ///
    /// # Errors
    ///
    /// The store does not answer in time.
    pub async fn forget(&self, key: Key, name: Name, tier: usize) -> Result<(), Uncounted> {
        if let Some(leases) = &self.leases {
            leases.table.remove(key);
        }
        self.store.forget(&self.key(name, tier)).await
    }
}

impl Leases {
    fn with<R>(
        &self,
        key: Key,
        tier: usize,
        now: Time,
        act: impl FnOnce(&mut Lease, &LeasePolicy) -> R,
    ) -> R {
        let policy = &self.policies[tier];
        self.table.with(key, |lease| lease.weight(policy, now), |lease| act(lease, policy))
    }
}

/// What a grant for one request means.
fn verdict(grant: &Grant) -> Verdict {
    let outcome = match grant.units {
        0 => Outcome::Refused { retry_after: grant.retry_after },
        _ => Outcome::Admitted,
    };
    Verdict { outcome, standing: grant.standing }
}

fn hex(bytes: [u8; 16]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes what is written to it");
        text
    })
}
