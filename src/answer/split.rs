//! Which of a route's backends gets an exchange: a canary's few percent, the one colour of two, or
//! whatever a tester asks for.
//!
//! A caller that the split knows (`split_key`) stays on one side, on every gateway and after every
//! restart, and changes it only if a change of the weights leaves no choice. That is rendezvous
//! hashing with weights (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", 2005):
//! for each caller every backend draws a number of its own, the caller's hash mixed with the
//! backend's, and gets `-weight / ln(draw)` points for it; the most points win. A weight that
//! grows adds points to its own backend alone, so that callers move to it and between no two
//! others: those on a canary at 5 % are on it at 10 %. Ranges laid end to end, which is what most
//! gateways do, keep this promise for two backends only: with three, a border that moves pushes
//! callers from the second to the third. No order counts either, so that a backend may be added
//! anywhere in the list.

use crate::exchange::References;
use crate::route::Condition;
use crate::value::{Invalid, Reference, Source, Template};
use http::HeaderName;

/// How a route's exchanges are parted among its backends.
#[derive(Debug)]
pub struct Split {
    sides: Box<[Side]>,
    /// The sum of all weights; more than zero.
    total: u64,
    /// By what a caller is known, if by anything.
    key: Option<Template>,
    /// What the route's name hashes to. It begins the hash of each caller, so that two routes do
    /// not try their canaries on the same people.
    salt: u64,
    /// Whether some side asks for its exchanges by a condition.
    asks: bool,
}

/// One backend's side of a split.
#[derive(Debug)]
pub struct Side {
    /// What the service's name hashes to.
    hash: u64,
    weight: u32,
    when: Option<When>,
}

/// What an exchange must have to be a side's, whatever the weights; all of it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// What must be true of header fields.
    pub headers: Vec<Condition<HeaderName>>,
    /// What must be true of query parameters.
    pub query: Vec<Condition<String>>,
    /// What must be true of cookies, each a reference to one.
    pub cookies: Vec<Condition<Reference>>,
}

impl Side {
    /// A side of the service of this name; a weight of 0 gets it nothing but what `when` names.
    pub fn new(service: &str, weight: u32, when: Option<When>) -> Self {
        Side { hash: hash(BASIS, service.as_bytes()), weight, when }
    }

    /// The points that a caller gives it: more than any other side's with the probability that is
    /// its share of the weights.
    fn points(&self, caller: u64) -> f64 {
        // 52 bits and a half more are what a float holds exactly: never 0 and, as nothing is
        // rounded, never 1, so that the logarithm is negative and finite.
        let draw = ((mix(caller ^ self.hash) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
        -f64::from(self.weight) / draw.ln()
    }
}

impl When {
    /// Whether an exchange has what it must.
    pub fn holds(&self, asked: &References<'_>) -> bool {
        let uri = &asked.head.uri;
        let cookie = |condition: &Condition<Reference>| {
            condition.test.accepts(asked.value(&condition.name).as_deref())
        };
        self.headers.iter().all(|condition| condition.holds_in(&asked.head.headers))
            && self.query.iter().all(|condition| condition.holds_in(uri.query()))
            && self.cookies.iter().all(cookie)
    }
}

impl Split {
    /// Parts what the route of this name gets. `key` says by what a caller is known; without it
    /// each exchange is on its own.
    ///
    /// # Errors
    ///
    /// Refuses weights that are all 0: somebody has to answer those whom no condition names.
    pub fn new(route: &str, sides: Vec<Side>, key: Option<Template>) -> Result<Self, Invalid> {
        let total = sides.iter().map(|side| u64::from(side.weight)).sum();
        if total == 0 {
            return Err(Invalid::new(
                "every weight is 0, so that nothing answers: give one backend a weight, such as \
                 `weight: 100`",
            ));
        }
        let asks = sides.iter().any(|side| side.when.is_some());
        let salt = hash(BASIS, route.as_bytes());
        Ok(Split { sides: sides.into(), total, key, salt, asks })
    }

    /// Picks the backend of an exchange, by its number: the first whose condition holds, else the
    /// one that the caller belongs to, else, where the caller is not known, one at random.
    ///
    /// A caller is not known where something that the key refers to is missing. All such callers
    /// on one side would be a share that nobody can foresee. A value that is there and empty is a
    /// value. A caller that may choose what the key refers to may choose its side: a split keeps
    /// nobody out.
    pub fn pick(&self, asked: &References<'_>, random: u64) -> usize {
        if self.asks
            && let Some(side) = self.sides.iter().position(|side| side.is_asked_for(asked))
        {
            return side;
        }
        self.choose(self.caller(asked), random)
    }

    /// Chooses a side by the weights alone: for a caller always the same, else by a number that
    /// is random in all of its bits.
    pub fn choose(&self, caller: Option<u64>, random: u64) -> usize {
        match caller {
            Some(caller) => self.side_of(caller),
            None => self.side_at(random),
        }
    }

    /// What a caller's key hashes to on this route. It depends on nothing else: no process, no
    /// machine, and no version of the gateway, or an upgrade would move every caller.
    pub fn hash(&self, key: &[u8]) -> u64 {
        mix(hash(self.salt, key))
    }

    /// Walks what the key refers to.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.key.iter().flat_map(Template::references)
    }

    fn caller(&self, asked: &References<'_>) -> Option<u64> {
        // The key is put together in memory of its own once per exchange: as long as what the
        // head holds, and gone when this returns.
        let mut key = Vec::new();
        self.key.as_ref()?.render(asked, &mut key).then(|| self.hash(&key))
    }

    /// The side that has the most points of a caller; the earlier of two that have as many.
    fn side_of(&self, caller: u64) -> usize {
        let points = self.sides.iter().map(|side| side.points(caller));
        let (mut best, mut most) = (0, -1.0);
        for (number, points) in points.enumerate() {
            // A side of weight 0 has none, and does not win: some other has more.
            if points > most {
                (best, most) = (number, points);
            }
        }
        best
    }

    /// The side in whose range a number lies, of all ranges laid end to end.
    fn side_at(&self, random: u64) -> usize {
        // The high half of the product is uniform below the total, without a division.
        let mut at = ((u128::from(random) * u128::from(self.total)) >> 64) as u64;
        let within = |side: &Side| match at.checked_sub(u64::from(side.weight)) {
            Some(rest) => {
                at = rest;
                false
            }
            None => true,
        };
        self.sides.iter().position(within).expect("a number below the sum of all ranges is in one")
    }
}

impl Side {
    fn is_asked_for(&self, asked: &References<'_>) -> bool {
        self.when.as_ref().is_some_and(|when| when.holds(asked))
    }
}

/// Where FNV-1a begins.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, which is the same everywhere and for ever; `std`'s hashers promise neither.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// MurmurHash3's last step, in which every bit of the input turns every bit of the output with an
/// even chance; FNV-1a alone leaves the last bytes of similar keys visible.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests;
