//! Which endpoint of a service gets a request: pure, so that time, randomness and what is in
//! flight are arguments and a test can be exact.
//!
//! [`serving`] decides who takes part and with what weight, which changes now and then;
//! [`Balancer`] is built from that and chooses for each request. Choosing takes no lock, allocates
//! nothing, and costs the same among three endpoints as among a thousand: a ring, which is searched,
//! alone takes longer the larger it is.

mod alias;
mod asked;
mod latency;
mod ring;
pub mod serving;
mod stride;
#[cfg(test)]
mod tests;

pub use asked::{Asked, Candidate, Turn};
pub use latency::Latency;
pub use ring::{Bound, hash_key};

use alias::Alias;
use ring::Ring;
use stride::Stride;

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Algorithm {
    /// One after the other, each as often as its weight says, in turns that are spread evenly.
    RoundRobin,
    /// By chance, each as likely as its weight says.
    Random,
    /// The one with fewer requests in flight for its weight, of two drawn by weight: among `n`
    /// endpoints the fullest then has O(log log n) more than the mean, where one draw leaves it
    /// O(log n / log log n) (M. Mitzenmacher, "The Power of Two Choices in Randomized Load
    /// Balancing", 2001).
    LeastRequest,
    /// The one that would answer sooner, of two drawn by weight: by how long it took of late (see
    /// [`Latency`]) and by what it has in flight.
    PeakEwma,
    /// The same endpoint for the same key, and but few keys moved when endpoints come and go.
    ConsistentHash {
        /// How full an endpoint may be before its keys go to the next on the ring; without it, as
        /// full as its keys make it.
        bound: Option<Bound>,
    },
}

impl Algorithm {
    /// Whether choosing reads [`Candidate::latency`], so that others need not keep it.
    pub fn reads_latency(self) -> bool {
        self == Algorithm::PeakEwma
    }

    /// Whether choosing reads [`Asked::key`], so that others need not hash one.
    pub fn reads_key(self) -> bool {
        matches!(self, Algorithm::ConsistentHash { .. })
    }
}

/// An endpoint's part of a service's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Its position among the candidates.
    pub index: u32,
    /// Its weight, which only means something beside the others'; with none it gets no requests.
    pub weight: u32,
}

/// Who gets requests, among how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    /// The parts; at most one for each candidate.
    pub each: Vec<Share>,
    /// The full weight of all endpoints in the measure of `each`, those without a share too.
    ///
    /// A ring gets its number of points by it, so that it does not change when an endpoint fails,
    /// or every failure would move the keys of all the others.
    pub whole: u64,
    /// How many endpoints with a weight there are, those without a share too.
    pub endpoints: usize,
}

impl From<Vec<Share>> for Shares {
    /// Shares of endpoints of which all serve.
    fn from(each: Vec<Share>) -> Self {
        let whole = each.iter().map(|share| u64::from(share.weight)).sum();
        let endpoints = each.iter().filter(|share| share.weight > 0).count();
        Shares { each, whole, endpoints }
    }
}

/// Chooses among a service's endpoints. It is made anew when their shares change.
#[derive(Debug)]
pub struct Balancer {
    /// Those that have a weight. What the methods call a position is one in here.
    shares: Box<[Share]>,
    method: Method,
}

/// An algorithm with what it needs to choose.
#[derive(Debug)]
enum Method {
    RoundRobin(Stride),
    Random(Alias),
    LeastRequest(Alias),
    PeakEwma {
        alias: Alias,
        /// The mean weight, by which requests in flight are measured.
        mean: f32,
    },
    ConsistentHash(Ring),
}

/// How often a draw is repeated that fell on an endpoint which may not be chosen. Where a draw finds
/// one that may in half of all cases, fewer than one choice in two hundred fails that often; the next
/// in order is taken then, which favours it over the others.
const DRAWS: usize = 8;

impl Balancer {
    /// Prepares to choose among `shares`. A ring places each endpoint by its key, such as its
    /// address, which should be the same in every process and after every restart.
    pub fn new<'k>(
        algorithm: Algorithm,
        shares: &Shares,
        key_of: impl Fn(u32) -> &'k str,
    ) -> Balancer {
        let weighty = shares.each.iter().filter(|share| share.weight > 0);
        let each: Box<[Share]> = weighty.copied().collect();
        let weights: Vec<u32> = each.iter().map(|share| share.weight).collect();
        let method = match algorithm {
            Algorithm::RoundRobin => Method::RoundRobin(Stride::new(&weights)),
            Algorithm::Random => Method::Random(Alias::new(&weights)),
            Algorithm::LeastRequest => Method::LeastRequest(Alias::new(&weights)),
            Algorithm::PeakEwma => {
                let sum: f32 = weights.iter().map(|weight| *weight as f32).sum();
                let mean = sum / weights.len().max(1) as f32;
                Method::PeakEwma { alias: Alias::new(&weights), mean }
            }
            Algorithm::ConsistentHash { bound } => {
                let scale = ring::scale(shares.whole, shares.endpoints);
                let keys = each.iter().map(|share| (key_of(share.index), share.weight));
                Method::ConsistentHash(Ring::new(keys, scale, bound))
            }
        };
        Balancer { shares: each, method }
    }

    /// Chooses one of `candidates`, the list that the shares count by; none where nobody has a
    /// share.
    ///
    /// # Panics
    ///
    /// Where `candidates` is shorter than the list that the shares were made for.
    pub fn pick<C, R>(&self, candidates: &[C], asked: &mut Asked<'_, R>) -> Option<usize>
    where
        C: Candidate,
        R: FnMut() -> u64,
    {
        self.pick_except(candidates, asked, |_| false)
    }

    /// Chooses one of `candidates` that is not to be left out, as a retry leaves out those that it
    /// has tried; none where all that have a share are left out.
    ///
    /// # Panics
    ///
    /// Where `candidates` is shorter than the list that the shares were made for.
    pub fn pick_except<C, R>(
        &self,
        candidates: &[C],
        asked: &mut Asked<'_, R>,
        exclude: impl Fn(usize) -> bool,
    ) -> Option<usize>
    where
        C: Candidate,
        R: FnMut() -> u64,
    {
        if self.shares.is_empty() {
            return None;
        }
        let skip = |position: usize| exclude(self.shares[position].index as usize);
        let candidate = |position: usize| &candidates[self.shares[position].index as usize];
        let weight = |position: usize| self.shares[position].weight;
        let position = match &self.method {
            Method::RoundRobin(stride) => self.draw(|| stride.next(asked.turn), skip),
            Method::Random(alias) => self.draw(|| alias.at((asked.random)()), skip),
            Method::LeastRequest(alias) => {
                // Nothing is in flight for no weight at all: a tie, which goes to the first of the
                // two. So idle endpoints get requests by weight, as they were drawn.
                self.better_of_two(alias, &mut asked.random, skip, |first, second| {
                    let busy = |position| u64::from(candidate(position).in_flight());
                    let (one, other) = (busy(first), busy(second));
                    other * u64::from(weight(first)) < one * u64::from(weight(second))
                })
            }
            Method::PeakEwma { alias, mean } => {
                // Finagle divides the whole cost by the weight. Drawn by weight, as they are here,
                // endpoints would be weighed twice, and the lightest get nothing at all.
                let now = asked.now;
                self.better_of_two(alias, &mut asked.random, skip, |first, second| {
                    let cost = |position| {
                        let in_flight = candidate(position).in_flight();
                        let each = candidate(position).latency().cost(now, in_flight > 0);
                        each * (in_flight as f32 * mean / weight(position) as f32 + 1.0)
                    };
                    cost(second) < cost(first)
                })
            }
            Method::ConsistentHash(ring) => {
                let key = asked.key.unwrap_or_else(|| (asked.random)());
                let in_flight = |position| candidate(position).in_flight();
                ring.find(key, asked.in_flight, in_flight, skip)
            }
        }?;
        Some(self.shares[position].index as usize)
    }

    /// Draws a position that is not to be skipped: a few times, then the next one in order.
    fn draw(&self, mut next: impl FnMut() -> usize, skip: impl Fn(usize) -> bool) -> Option<usize> {
        let mut drawn = 0;
        for _ in 0..DRAWS {
            drawn = next();
            if !skip(drawn) {
                return Some(drawn);
            }
        }
        let (before, after) = (0..drawn, drawn + 1..self.shares.len());
        after.chain(before).find(|position| !skip(*position))
    }

    /// Draws two positions and takes the second where it is better.
    fn better_of_two(
        &self,
        alias: &Alias,
        random: &mut impl FnMut() -> u64,
        skip: impl Fn(usize) -> bool,
        second_is_better: impl Fn(usize, usize) -> bool,
    ) -> Option<usize> {
        let first = self.draw(|| alias.at(random()), &skip)?;
        let another = |position| position == first || skip(position);
        match self.draw(|| alias.at(random()), another) {
            Some(second) if second_is_better(first, second) => Some(second),
            _ => Some(first),
        }
    }
}
