//! What the limit does to a server that is simulated: so many workers, a queue in front of them,
//! and arrivals at random. Time is counted and not waited for.

use super::*;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// The time that a request takes without load, on average.
const BASE: Duration = Duration::from_millis(50);

/// A server of which nothing but the times of its answers is seen.
struct Server {
    workers: usize,
    /// How long a request takes when nothing waits, on average.
    base: Duration,
    busy: usize,
    waiting: VecDeque<Duration>,
    /// What is being worked at: when it will be over, and when it arrived.
    working: BinaryHeap<Reverse<(Duration, Duration)>>,
    random: fastrand::Rng,
}

/// What a while of the simulation came to.
#[derive(Debug)]
struct Seen {
    /// Answers a second.
    goodput: f64,
    /// The mean time of an answer, in times of [`BASE`].
    latency: f64,
    /// The mean limit.
    limit: f64,
    refused: usize,
}

struct Simulation {
    server: Server,
    gradient: Gradient,
    began: Instant,
    now: Duration,
}

impl Server {
    fn in_flight(&self) -> u32 {
        (self.busy + self.waiting.len()) as u32
    }

    fn begin(&mut self, now: Duration) {
        while self.busy < self.workers
            && let Some(arrived) = self.waiting.pop_front()
        {
            self.busy += 1;
            // Anything from half to one and a half of the average.
            let took = self.base.mul_f64(0.5 + self.random.f64());
            self.working.push(Reverse((now + took, arrived)));
        }
    }
}

impl Simulation {
    fn new(workers: usize, settings: Settings, seed: u64) -> Self {
        let began = Instant::now();
        let server = Server {
            workers,
            base: BASE,
            busy: 0,
            waiting: VecDeque::new(),
            working: BinaryHeap::new(),
            random: fastrand::Rng::with_seed(seed),
        };
        Simulation { server, gradient: Gradient::new(settings, began), began, now: Duration::ZERO }
    }

    /// Requests a second that the server can answer.
    fn capacity(&self) -> f64 {
        self.server.workers as f64 / self.server.base.as_secs_f64()
    }

    /// Lets requests arrive at a rate, as a multiple of the capacity, for some seconds.
    fn run(&mut self, load: f64, seconds: u64) -> Seen {
        let rate = load * self.capacity();
        let until = self.now + Duration::from_secs(seconds);
        let (mut answers, mut took, mut limits, mut arrivals, mut refused) = (0, 0.0, 0.0, 0, 0);
        let mut arrival = self.now;
        while self.now < until {
            match self.server.working.peek() {
                Some(&Reverse((over, arrived))) if over <= arrival => {
                    self.server.working.pop();
                    let in_flight = self.server.in_flight();
                    self.now = over;
                    self.server.busy -= 1;
                    self.server.begin(over);
                    let time = over - arrived;
                    self.gradient.sample(self.began + over, time, in_flight, false);
                    answers += 1;
                    took += time.as_secs_f64();
                }
                _ => {
                    self.now = arrival;
                    limits += f64::from(self.gradient.limit());
                    arrivals += 1;
                    if self.gradient.admit(Priority::High, self.server.in_flight()) {
                        self.server.waiting.push_back(arrival);
                        self.server.begin(arrival);
                    } else {
                        refused += 1;
                    }
                    let wait = -(1.0 - self.server.random.f64()).ln() / rate;
                    arrival += Duration::from_secs_f64(wait);
                }
            }
        }
        Seen {
            goodput: f64::from(answers) / seconds as f64,
            latency: took / f64::from(answers) / BASE.as_secs_f64(),
            limit: limits / f64::from(arrivals),
            refused,
        }
    }
}

#[test]
fn the_limit_finds_what_the_server_bears() {
    for (workers, seed) in [(20, 1), (50, 2), (200, 3), (400, 4)] {
        let mut simulation = Simulation::new(workers, Settings::default(), seed);
        simulation.run(3.0, 20);
        let seen = simulation.run(3.0, 60);
        let limit = seen.limit / workers as f64;
        assert!((1.0..1.8).contains(&limit), "{workers} workers: {seen:?}");
        assert!(seen.latency < 2.0, "{workers} workers: {seen:?}");
        assert!(seen.goodput > 0.95 * simulation.capacity(), "{workers} workers: {seen:?}");
    }
}

#[test]
fn an_overload_that_lasts_does_not_become_the_way_things_are() {
    let mut simulation = Simulation::new(50, Settings::default(), 5);
    simulation.run(3.0, 600);
    let seen = simulation.run(3.0, 60);
    assert!(seen.latency < 2.0 && seen.limit < 90.0, "{seen:?}");
    assert!(seen.goodput > 0.95 * simulation.capacity(), "{seen:?}");
}

#[test]
fn a_server_that_bears_its_load_is_left_alone() {
    let mut simulation = Simulation::new(100, Settings::default(), 6);
    simulation.run(0.7, 20);
    let seen = simulation.run(0.7, 120);
    assert!(seen.refused == 0 && seen.latency < 1.1, "{seen:?}");
}

#[test]
fn a_server_that_loses_most_of_its_workers_is_spared_within_seconds() {
    let mut simulation = Simulation::new(100, Settings::default(), 7);
    simulation.run(1.5, 20);
    simulation.server.workers = 25;
    simulation.run(3.0, 15);
    let seen = simulation.run(3.0, 30);
    assert!(seen.latency < 2.0, "{seen:?}");
    assert!(seen.goodput > 0.95 * simulation.capacity(), "{seen:?}");
    simulation.server.workers = 100;
    simulation.run(3.0, 15);
    let seen = simulation.run(3.0, 30);
    assert!(seen.latency < 2.0, "{seen:?}");
    assert!(seen.goodput > 0.95 * simulation.capacity(), "{seen:?}");
}

#[test]
fn a_server_that_became_slower_for_good_is_measured_anew() {
    let mut simulation = Simulation::new(50, Settings::default(), 8);
    simulation.run(1.5, 20);
    // The same workers, each four times as slow: the same may be in flight, for longer.
    simulation.server.base = BASE * 4;
    simulation.run(2.0, 60);
    let seen = simulation.run(2.0, 60);
    assert!(seen.goodput > 0.9 * simulation.capacity(), "{seen:?}");
    assert!(seen.latency < 8.0, "{seen:?}");
    simulation.server.base = BASE;
    simulation.run(2.0, 60);
    let seen = simulation.run(2.0, 60);
    assert!(seen.goodput > 0.95 * simulation.capacity() && seen.latency < 2.0, "{seen:?}");
}

#[test]
fn a_time_that_was_measured_in_a_queue_is_corrected() {
    // The limit begins at twenty times what the server bears, so that the first windows and the
    // first measurements see nothing but queues.
    let settings = Settings { initial: 1000, ..Settings::default() };
    let mut simulation = Simulation::new(50, settings, 9);
    simulation.run(3.0, 300);
    let seen = simulation.run(3.0, 60);
    assert!(seen.latency < 2.0, "{seen:?}");
    assert!(seen.goodput > 0.95 * simulation.capacity(), "{seen:?}");
}

/// Feeds windows of samples that all take the same.
fn feed(gradient: &Gradient, began: Instant, windows: u64, took: Duration, dropped: bool) {
    let start = gradient.ends.load(Relaxed);
    for window in 0..windows {
        let at = began + Duration::from_nanos(start) + Duration::from_secs(window);
        let peak = gradient.limit();
        (0..Window::FEWEST).for_each(|_| gradient.sample(at, took, peak, dropped));
    }
}

#[test]
fn failures_lower_the_limit_however_quick_they_are() {
    let began = Instant::now();
    let gradient = Gradient::new(Settings::default(), began);
    feed(&gradient, began, 3, Duration::from_millis(5), false);
    let before = gradient.limit();
    feed(&gradient, began, 20, Duration::ZERO, true);
    assert!(gradient.limit() < before / 2, "{} after {before}", gradient.limit());
}

#[test]
fn the_limit_keeps_within_its_bounds() {
    let settings = Settings { min: 5, max: 150, ..Settings::default() };
    let began = Instant::now();
    let gradient = Gradient::new(settings, began);
    feed(&gradient, began, 25, Duration::from_millis(5), false);
    assert_eq!(gradient.limit(), 150);
    feed(&gradient, began, 200, Duration::from_secs(1000), true);
    assert_eq!(gradient.limit(), 5);
}

#[test]
fn a_limit_that_is_not_used_does_not_grow() {
    let began = Instant::now();
    let gradient = Gradient::new(Settings::default(), began);
    for sample in 0..10_000 {
        let at = began + Duration::from_millis(sample);
        gradient.sample(at, Duration::from_millis(5), 10, false);
    }
    assert_eq!(gradient.limit(), 100);
}

#[test]
fn samples_from_many_threads_are_all_counted() {
    let began = Instant::now();
    let gradient = Gradient::new(Settings::default(), began);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                (0..1000).for_each(|_| {
                    gradient.sample(began, Duration::from_micros(7), 3, false);
                });
            });
        }
    });
    let taken = gradient.taken.load(Relaxed);
    assert_eq!((taken % MICROSECOND, taken / MICROSECOND), (8000, 56_000));
}

#[test]
fn threads_that_close_windows_leave_a_limit_within_its_bounds() {
    let began = Instant::now();
    let gradient = Gradient::new(Settings::default(), began);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let gradient = &gradient;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread);
                for sample in 0..50_000_u64 {
                    let now = began + Duration::from_millis(sample);
                    let took = Duration::from_micros(random.u64(..10_000));
                    gradient.sample(now, took, random.u32(..200), random.u8(..) == 0);
                    assert!((10..=1000).contains(&gradient.limit()));
                }
            });
        }
    });
}
