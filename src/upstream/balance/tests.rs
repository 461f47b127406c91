//! What holds of every algorithm, for one endpoint and for a thousand, and for any weights.

use super::*;
use proptest::prelude::*;
use std::cell::Cell;
use std::time::{Duration, Instant};

const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::RoundRobin,
    Algorithm::Random,
    Algorithm::LeastRequest,
    Algorithm::PeakEwma,
    Algorithm::ConsistentHash { bound: None },
    Algorithm::ConsistentHash { bound: Some(Bound { thousandths: 1_250 }) },
];

/// An endpoint that knows whether it was looked at.
struct Endpoint {
    key: String,
    in_flight: Cell<u32>,
    latency: Latency,
    seen: Cell<bool>,
}

impl Candidate for Endpoint {
    fn in_flight(&self) -> u32 {
        self.seen.set(true);
        self.in_flight.get()
    }

    fn latency(&self) -> &Latency {
        &self.latency
    }
}

/// A service with everything that a choice needs.
struct World {
    endpoints: Vec<Endpoint>,
    /// How many requests all have in flight.
    total: u64,
    turn: Turn,
    random: fastrand::Rng,
    now: Instant,
}

impl World {
    fn new(count: usize, seed: u64) -> Self {
        let now = Instant::now();
        let endpoint = |number: usize| Endpoint {
            key: format!("10.0.{}.{}:8080", number / 256, number % 256),
            in_flight: Cell::new(0),
            latency: Latency::new(now),
            seen: Cell::new(false),
        };
        let endpoints = (0..count).map(endpoint).collect();
        let random = fastrand::Rng::with_seed(seed);
        World { endpoints, total: 0, turn: Turn::new(seed), random, now }
    }

    /// Begins a request at an endpoint and says how many it then has in flight.
    fn begin(&mut self, index: usize) -> u32 {
        let in_flight = &self.endpoints[index].in_flight;
        in_flight.set(in_flight.get() + 1);
        self.total += 1;
        in_flight.get()
    }

    fn balancer(&self, algorithm: Algorithm, shares: &Shares) -> Balancer {
        Balancer::new(algorithm, shares, |index| &self.endpoints[index as usize].key)
    }

    fn pick_except(
        &mut self,
        balancer: &Balancer,
        key: Option<u64>,
        exclude: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let in_flight = self.total;
        let random = || self.random.u64(..);
        let mut asked = Asked { turn: &self.turn, random, key, now: self.now, in_flight };
        balancer.pick_except(&self.endpoints, &mut asked, exclude)
    }

    fn pick(&mut self, balancer: &Balancer, key: Option<u64>) -> Option<usize> {
        self.pick_except(balancer, key, |_| false)
    }

    /// How often each was chosen in so many choices.
    fn counts(&mut self, balancer: &Balancer, choices: usize) -> Vec<usize> {
        let mut counts = vec![0; self.endpoints.len()];
        for _ in 0..choices {
            counts[self.pick(balancer, None).unwrap()] += 1;
        }
        counts
    }
}

fn shares(weights: &[u32]) -> Shares {
    let share = |(index, weight): (usize, &u32)| Share { index: index as u32, weight: *weight };
    weights.iter().enumerate().map(share).collect::<Vec<_>>().into()
}

/// Weights of one endpoint, of a few, and of many.
fn weights() -> impl Strategy<Value = Vec<u32>> {
    prop::sample::select(vec![1usize, 2, 3, 100, 1_000])
        .prop_flat_map(|count| prop::collection::vec(1u32..=1_000, count))
}

/// Whether each was chosen as often as its weight says, within six standard deviations: that they
/// are missed by chance is one case in 10⁸.
fn by_weight(counts: &[usize], weights: &[u32]) -> Result<(), String> {
    let all: usize = counts.iter().sum();
    let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    for (count, weight) in counts.iter().zip(weights) {
        let likely = f64::from(*weight) / sum;
        let expected = likely * all as f64;
        let deviation = (expected * (1.0 - likely)).sqrt();
        if (*count as f64 - expected).abs() > 6.0 * deviation + 6.0 {
            return Err(format!("{count} choices of {all} for {weight} of {sum}"));
        }
    }
    Ok(())
}

#[test]
fn nobody_is_chosen_where_nobody_has_a_share() {
    for algorithm in ALGORITHMS {
        for nobody in [shares(&[]), shares(&[0]), shares(&[0, 0, 0])] {
            let mut world = World::new(3, 1);
            let balancer = world.balancer(algorithm, &nobody);
            assert_eq!(world.pick(&balancer, Some(7)), None, "{algorithm:?}");
        }
    }
}

#[test]
fn who_has_no_weight_is_never_chosen() {
    for algorithm in ALGORITHMS {
        let mut world = World::new(3, 1);
        let balancer = world.balancer(algorithm, &shares(&[0, 5, 0]));
        assert_eq!(world.counts(&balancer, 100), [0, 100, 0], "{algorithm:?}");
    }
}

#[test]
fn the_faster_of_two_gets_the_requests() {
    let mut world = World::new(2, 3);
    world.endpoints[0].latency.observe(world.now, Duration::from_millis(50));
    world.endpoints[1].latency.observe(world.now, Duration::from_millis(5));
    let balancer = world.balancer(Algorithm::PeakEwma, &shares(&[1, 1]));
    assert_eq!(world.counts(&balancer, 100), [0, 100]);
    // Until it has ten times as much to do.
    world.endpoints[1].in_flight.set(10);
    assert_eq!(world.counts(&balancer, 100), [100, 0]);
}

#[test]
fn a_heavier_endpoint_may_have_more_in_flight() {
    for algorithm in [Algorithm::LeastRequest, Algorithm::PeakEwma] {
        let mut world = World::new(2, 3);
        for endpoint in &world.endpoints {
            endpoint.latency.observe(world.now, Duration::from_millis(5));
        }
        let balancer = world.balancer(algorithm, &shares(&[3, 1]));
        for _ in 0..4_000 {
            let chosen = world.pick(&balancer, None).unwrap();
            world.begin(chosen);
        }
        let heavy = world.endpoints[0].in_flight.get();
        assert!((2_990..=3_010).contains(&heavy), "{heavy} with {algorithm:?}");
    }
}

#[test]
fn a_newcomer_without_an_answer_is_not_flooded() {
    let mut world = World::new(3, 5);
    for endpoint in &world.endpoints[..2] {
        endpoint.latency.observe(world.now, Duration::from_millis(5));
    }
    let balancer = world.balancer(Algorithm::PeakEwma, &shares(&[1, 1, 1]));
    assert_eq!(world.counts(&balancer, 100)[2], 0, "it is not known to be quick");
    // The others keep answering; the newcomer, once it is tried, keeps silent.
    for second in 1u32..20 {
        world.now += Duration::from_secs(1);
        for endpoint in &world.endpoints[..2] {
            endpoint.latency.observe(world.now, Duration::from_millis(5));
        }
        for _ in 0..100 {
            if world.pick(&balancer, None) == Some(2) {
                assert!(second >= 3, "it is tried at once");
                world.begin(2);
            }
        }
    }
    assert_eq!(world.endpoints[2].in_flight.get(), 1);
}

#[test]
fn a_key_has_its_endpoint_in_every_version() {
    // From the reference implementation of XXH64.
    assert_eq!(hash_key(b""), 0xEF46_DB37_51D8_E999);
    assert_eq!(hash_key(b"abc"), 0x44BC_2CF5_AD77_0999);
    let mut world = World::new(5, 1);
    let balancer = world.balancer(ALGORITHMS[4], &shares(&[1, 1, 1, 1, 1]));
    let chosen: Vec<usize> = ["anna", "ben", "carla", "dora", "emil", "frieda"]
        .iter()
        .map(|key| world.pick(&balancer, Some(hash_key(key.as_bytes()))).unwrap())
        .collect();
    assert_eq!(chosen, PLACES);
}

/// Where the keys of the test above go: should this change, then every cache behind a gateway that
/// is upgraded would be cold.
const PLACES: [usize; 6] = [4, 0, 0, 1, 2, 4];

#[test]
fn keys_spread_by_weight() {
    let weights = [1, 2, 3, 4];
    let mut world = World::new(4, 9);
    let balancer = world.balancer(ALGORITHMS[4], &shares(&weights));
    for (count, weight) in world.counts(&balancer, 100_000).iter().zip(weights) {
        let ratio = *count as f64 / (f64::from(weight) * 10_000.0);
        assert!((0.75..1.25).contains(&ratio), "{ratio} for {weight}");
    }
}

#[test]
fn a_ring_stays_within_its_size_whatever_the_weights() {
    for (count, weight) in [(1, 1_000_000), (1_000, 1), (1_000, 1_000), (20_000, 7)] {
        let scale = ring::scale(count * weight, count as usize);
        assert!(scale * (count * weight) as f64 <= 262_144.0);
        assert!(scale * weight as f64 >= 7.0, "{count} of {weight} have points enough");
    }
}

#[test]
fn a_bound_below_one_is_refused() {
    assert!(Bound::new(0.9).unwrap_err().to_string().contains("1.25"));
    assert!(Bound::new(f64::NAN).is_err());
    assert_eq!(Bound::new(1.25), Ok(Bound { thousandths: 1_250 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn idle_endpoints_are_drawn_by_weight(weights in weights(), seed: u64) {
        for algorithm in [Algorithm::Random, Algorithm::LeastRequest, Algorithm::PeakEwma] {
            let mut world = World::new(weights.len(), seed);
            let balancer = world.balancer(algorithm, &shares(&weights));
            let counts = world.counts(&balancer, 20_000);
            let found = by_weight(&counts, &weights);
            prop_assert!(found.is_ok(), "{algorithm:?}: {found:?}");
        }
    }

    #[test]
    fn turns_go_by_weight_exactly(weights in weights(), seed: u64) {
        let mut world = World::new(weights.len(), seed);
        let balancer = world.balancer(Algorithm::RoundRobin, &shares(&weights));
        let sum: u32 = weights.iter().sum();
        let counts = world.counts(&balancer, sum as usize);
        prop_assert!(counts.iter().zip(&weights).all(|(count, weight)| *count == *weight as usize));
    }

    #[test]
    fn the_worse_of_two_is_never_chosen(
        weights in weights(),
        in_flight in prop::collection::vec(0u32..50, 1_000),
        millis in prop::collection::vec(1u64..1_000, 1_000),
        seed: u64,
    ) {
        for algorithm in [Algorithm::LeastRequest, Algorithm::PeakEwma] {
            let mut world = World::new(weights.len(), seed);
            for (number, endpoint) in world.endpoints.iter().enumerate() {
                endpoint.in_flight.set(in_flight[number]);
                endpoint.latency.observe(world.now, Duration::from_millis(millis[number]));
            }
            let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            let mean = sum / weights.len() as f64;
            let load = |number: usize| {
                let filled = f64::from(in_flight[number]) / f64::from(weights[number]);
                match algorithm {
                    Algorithm::LeastRequest => filled,
                    _ => millis[number] as f64 * (filled * mean + 1.0),
                }
            };
            let balancer = world.balancer(algorithm, &shares(&weights));
            for _ in 0..200 {
                let chosen = world.pick(&balancer, None).unwrap();
                let seen = world.endpoints.iter().enumerate().filter(|(_, one)| one.seen.take());
                let seen: Vec<usize> = seen.map(|(number, _)| number).collect();
                prop_assert_eq!(seen.len(), if weights.len() == 1 { 0 } else { 2 });
                for other in seen {
                    let (own, others) = (load(chosen), load(other));
                    prop_assert!(own <= others * 1.0001, "{own} beside {others}");
                }
            }
        }
    }

    #[test]
    fn who_is_left_out_is_not_chosen_and_somebody_is_while_there_is_one(
        weights in weights(),
        left in prop::collection::vec(any::<bool>(), 1_000),
        only in any::<prop::sample::Index>(),
        seed: u64,
    ) {
        let only = only.index(weights.len());
        for algorithm in ALGORITHMS {
            let mut world = World::new(weights.len(), seed);
            let balancer = world.balancer(algorithm, &shares(&weights));
            let left = &left[..weights.len()];
            for _ in 0..20 {
                let chosen = world.pick_except(&balancer, None, |index| !left[index]);
                prop_assert_eq!(chosen.is_some(), left.contains(&true));
                prop_assert!(chosen.is_none_or(|index| left[index]));
                prop_assert_eq!(world.pick_except(&balancer, None, |index| index != only), Some(only));
                prop_assert_eq!(world.pick_except(&balancer, None, |_| true), None);
            }
        }
    }

    #[test]
    fn none_has_more_in_flight_than_its_bound_says(
        weights in weights(),
        bound in 1.0f64..3.0,
        keys in 1u64..20,
        seed: u64,
    ) {
        let mut world = World::new(weights.len(), seed);
        let bound = Bound::new(bound).unwrap();
        let algorithm = Algorithm::ConsistentHash { bound: Some(bound) };
        let balancer = world.balancer(algorithm, &shares(&weights));
        let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        // A handful of keys, so that without a bound they would all be on a handful of endpoints.
        for number in 0u64..1_000 {
            let key = hash_key(&(number % keys).to_le_bytes());
            let chosen = world.pick(&balancer, Some(key)).unwrap();
            let in_flight = world.begin(chosen);
            let exact = u64::from(bound.thousandths) * world.total * u64::from(weights[chosen]);
            prop_assert!(u64::from(in_flight) <= exact.div_ceil(1_000 * sum));
        }
    }

    #[test]
    fn the_keys_of_one_that_fails_move_and_no_others(
        weights in weights(),
        gone in any::<prop::sample::Index>(),
        seed: u64,
    ) {
        let gone = gone.index(weights.len());
        let mut world = World::new(weights.len(), seed);
        let all = shares(&weights);
        let mut fewer = all.clone();
        fewer.each.remove(gone);
        let (before, after) =
            (world.balancer(ALGORITHMS[4], &all), world.balancer(ALGORITHMS[4], &fewer));
        for number in 0u64..1_000 {
            let key = Some(hash_key(&number.to_le_bytes()));
            let (old, new) = (world.pick(&before, key).unwrap(), world.pick(&after, key));
            if old == gone {
                prop_assert!(new != Some(gone));
                // A retry that leaves it out goes where the key goes when it has failed.
                prop_assert_eq!(world.pick_except(&before, key, |index| index == gone), new);
            } else {
                prop_assert_eq!(new, Some(old));
            }
        }
    }
}
