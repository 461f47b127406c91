//! The same endpoint for the same key: endpoints have many points on a ring, and a key belongs to
//! the next point after it (D. Karger et al., "Consistent Hashing and Random Trees", 1997). Where
//! one endpoint goes, its keys alone move, to many others.
//!
//! A popular key, or points that happen to lie badly, would fill one endpoint while others idle. A
//! bound makes a key walk on to the next endpoint that has room (V. Mirrokni, M. Thorup and
//! M. Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016): none has more in flight than
//! the bound times its fair share, rounded up.

use crate::value::Invalid;
use twox_hash::XxHash64;

/// The hash of a key, the same in every process, on every machine and in every version: XXH64 with
/// seed zero.
///
/// It is no secret, so a client that chooses its keys can find some which all belong to one
/// endpoint. With a secret seed it could find them as well, by what answers, and several gateways
/// would not agree any more. What it gains is to pile its own requests on one endpoint, as it could
/// by sending the same key again and again. A bound on loads is what helps against both: beyond it
/// they go elsewhere.
pub fn hash_key(key: &[u8]) -> u64 {
    XxHash64::oneshot(0, key)
}

/// How much fuller than its fair share an endpoint may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    pub(super) thousandths: u32,
}

impl Bound {
    /// The bound of a ratio such as 1.25, which is kept to a thousandth: at least 1, or not all
    /// requests would have a place, and at most 1000.
    ///
    /// # Errors
    ///
    /// Says so where the ratio lies outside.
    pub fn new(ratio: f64) -> Result<Self, Invalid> {
        if (1.0..=1_000.0).contains(&ratio) {
            return Ok(Bound { thousandths: (ratio * 1_000.0).round() as u32 });
        }
        Err(Invalid::new(format!(
            "`{ratio}` is no bound on loads: with 1.25 an endpoint gets at most a quarter more \
             than its share, and the bound lies between 1 and 1000"
        )))
    }
}

/// How many points an endpoint of mean weight has, between this divided and multiplied by √2. Loads
/// of endpoints then differ from fair ones by some 8 % (one in the square root of the points).
const POINTS: f64 = 160.0;

/// How many points there are at most, but for one that each endpoint has in any case: 3 MiB.
const MOST_POINTS: f64 = 262_144.0;

/// How many points a key walks at most before it takes an endpoint in order. With a bound of 1.25 a
/// fifth of the ring has room even when the service is full, so that a walk of 512 points fails once
/// in 10⁴⁹ times; this ends walks where nearly all endpoints have been tried and left out.
const WALK: usize = 512;

/// How many points there are for one of weight.
///
/// A power of two: the weights' mean may change a little, when endpoints are added and taken away,
/// and no points come and go with it but those of these endpoints. Where it does pass to another
/// power, every second point comes or goes, and so up to half of the keys move.
pub(super) fn scale(whole: u64, endpoints: usize) -> f64 {
    let (whole, endpoints) = (whole.max(1) as f64, endpoints as f64);
    let fitting = (POINTS * endpoints / whole).log2().round().exp2();
    let largest = (MOST_POINTS / whole).log2().floor().exp2();
    fitting.min(largest)
}

/// The ring. Hashes and owners stand apart, since a search reads hashes only.
#[derive(Debug)]
pub(super) struct Ring {
    hashes: Box<[u64]>,
    /// The position of the endpoint of each point.
    owners: Box<[u32]>,
    /// How many endpoints there are.
    endpoints: usize,
    room: Option<Room>,
}

/// Who has room for one more request.
#[derive(Debug)]
struct Room {
    /// A thousand times the sum of the weights.
    whole: u128,
    /// The bound in thousandths times each weight.
    parts: Box<[u128]>,
}

impl Room {
    /// Whether an endpoint with so many in flight takes one more, where `total` with that one are in
    /// flight altogether. The share is rounded up without a division: a whole number is below a
    /// number rounded up just if it is below that number.
    fn is_left(&self, position: usize, in_flight: u32, total: u64) -> bool {
        u128::from(in_flight) * self.whole < u128::from(total) * self.parts[position]
    }
}

impl Ring {
    /// A ring of endpoints with their keys and weights, at `scale` points for one of weight.
    pub(super) fn new<'k>(
        endpoints: impl Iterator<Item = (&'k str, u32)>,
        scale: f64,
        bound: Option<Bound>,
    ) -> Self {
        let mut weights = Vec::new();
        let mut points = Vec::new();
        for (owner, (key, weight)) in endpoints.enumerate() {
            weights.push(weight);
            let count = (f64::from(weight) * scale).round().max(1.0) as u64;
            // An endpoint with more weight has the same points and some more. Seed zero is for keys.
            points.extend((1..=count).map(|number| {
                let hash = XxHash64::oneshot(number, key.as_bytes());
                (hash, key, owner as u32)
            }));
        }
        // Should two points fall together, then the order does not depend on the endpoints' order.
        points.sort_unstable();
        let room = bound.map(|bound| {
            let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            let part = |weight: &u32| u128::from(bound.thousandths) * u128::from(*weight);
            Room { whole: 1_000 * sum, parts: weights.iter().map(part).collect() }
        });
        Ring {
            hashes: points.iter().map(|(hash, ..)| *hash).collect(),
            owners: points.iter().map(|(.., owner)| *owner).collect(),
            endpoints: weights.len(),
            room,
        }
    }

    /// The position of the first endpoint after `key` that is not to be skipped and has room, where
    /// `total` are in flight already; without room where those that have some are all skipped.
    pub(super) fn find(
        &self,
        key: u64,
        total: u64,
        in_flight: impl Fn(usize) -> u32,
        skip: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let has_room = |position: usize| {
            self.room.as_ref().is_none_or(|room| {
                room.is_left(position, in_flight(position), total.saturating_add(1))
            })
        };
        let points = self.hashes.len();
        let start = self.hashes.partition_point(|hash| *hash < key);
        let mut full = None;
        for step in 0..points.min(WALK) {
            let at = start + step;
            let position = self.owners[if at < points { at } else { at - points }] as usize;
            if skip(position) {
                continue;
            }
            if has_room(position) {
                return Some(position);
            }
            full = full.or(Some(position));
        }
        let mut left = (0..self.endpoints).filter(|position| !skip(*position));
        left.clone().find(|position| has_room(*position)).or(full).or_else(|| left.next())
    }
}
