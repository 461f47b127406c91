//! Who is refused most, so that a metric can name them without having a series for everybody.
//!
//! `gateway_rate_limited_requests_total{client_id,route}` names those who have one of a few *seats*,
//! and counts all others as `other`. A seat is a client of a route. Three things are wanted of them:
//!
//! - **Counters only rise.** A seat has its own counter, which begins at zero with the seat and goes
//!   with it. A series that ends is stale for Prometheus, and one that comes back from zero is a
//!   reset, which `rate` and `increase` know; what `other` once counted is never moved to a name.
//! - **Few series.** There are never more than the seats, and a taken seat changes hands no more
//!   often than all of them once an hour: n seats make n + n·h series at most in h hours, whoever
//!   asks for what.
//! - **Nobody can hide by cycling names.** Free seats are given at once, so that a gateway with a
//!   few clients names them all. Somebody who takes all of them with names that are used once holds
//!   them for an n-th of an hour at a time: then the quietest seat goes to the next client who was
//!   refused [`LOUD`] times and twice as often as the one who sits there. The more often a client is
//!   refused, the likelier it is the next one, so that those who hammer get the seats.
//!
//! How often somebody was refused of late is an estimate by a count-min sketch
//! (`pingora_limits::estimator`), which never says too little. `pingora_limits::rate` is the same with
//! a clock of its own, but it subtracts times that another thread may have moved on meanwhile, and
//! asserts that no thread was held up for a second: a panic for a metric. Here time is an argument.

use super::Time;
use crate::lock::lock;
use arc_swap::ArcSwap;
use pingora_limits::estimator::Estimator;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// How often a client must have been refused lately for it to take another's seat.
pub const LOUD: u64 = 10;

/// The longest name of a client that is shown, in bytes: labels are kept by those who scrape, and
/// clients choose some of these names.
pub const LONGEST_NAME: usize = 128;

/// How many seats there are, unless an operator says otherwise.
pub const SEATS: usize = 20;

/// In nanoseconds, how long the sketch counts before it starts anew: lately is this minute and the
/// last one.
const MINUTE: u64 = 60_000_000_000;

const HOUR: u64 = 60 * MINUTE;

/// The sketch, 32 KiB for each of two minutes. An estimate is too high by more than e·n/1024 of the n
/// refusals of a minute with a probability of e⁻⁴ (Cormode and Muthukrishnan, "An Improved Data
/// Stream Summary: The Count-Min Sketch", 2005): good enough to tell who makes a few hundredths.
const ROWS: usize = 4;
const COLUMNS: usize = 1_024;

/// Who is refused most, of all routes together. All threads share it.
pub struct Talkers {
    most: usize,
    /// Read at each refusal, and changed a few times an hour.
    seats: ArcSwap<Vec<Arc<Seat>>>,
    /// When the next taken seat may change hands, as a [`Time`] counts.
    next: AtomicU64,
    /// Held by who changes the seats.
    changes: Mutex<()>,
    lately: Lately,
}

/// A client of a route that has a series of its own.
#[derive(Debug)]
struct Seat {
    route: Arc<str>,
    client: Box<str>,
    refused: AtomicU64,
}

/// One series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talker {
    /// The route's name.
    pub route: Arc<str>,
    /// The client's name.
    pub client: Box<str>,
    /// How often it was refused there since it has its seat.
    pub refused: u64,
}

impl Default for Talkers {
    fn default() -> Self {
        Talkers::new(SEATS)
    }
}

impl Talkers {
    /// Nobody was refused yet. There are so many seats; with none, nobody is named.
    pub fn new(most: usize) -> Self {
        Talkers {
            most,
            seats: ArcSwap::default(),
            next: AtomicU64::new(0),
            changes: Mutex::default(),
            lately: Lately::default(),
        }
    }

    /// Counts a refusal. False where the client has no seat: then it counts as `other` of its route,
    /// and the caller counts it.
    ///
    /// It takes no lock unless a seat may change hands, and allocates nothing unless one does.
    pub fn refused(&self, route: &Arc<str>, client: &str, now: Time) -> bool {
        let lately = self.lately.count(route, client, now);
        let of = |seat: &&Arc<Seat>| *seat.client == *client && seat.route == *route;
        let seats = self.seats.load();
        if let Some(seat) = seats.iter().find(of) {
            seat.refused.fetch_add(1, Relaxed);
            return true;
        }
        if client.len() > LONGEST_NAME || !self.may_change(seats.len(), lately, now) {
            return false;
        }
        drop(seats);
        self.seat(route, client, lately, now)
    }

    /// Those who have a seat, in the order of their names, for the metric.
    pub fn figures(&self) -> Vec<Talker> {
        let seats = self.seats.load();
        let talker = |seat: &Arc<Seat>| Talker {
            route: Arc::clone(&seat.route),
            client: seat.client.clone(),
            refused: seat.refused.load(Relaxed),
        };
        let mut talkers: Vec<_> = seats.iter().map(talker).collect();
        talkers.sort_by(|a, b| (&a.route, &a.client).cmp(&(&b.route, &b.client)));
        talkers
    }

    /// Whether somebody with so many refusals might get a seat where so many are taken.
    fn may_change(&self, taken: usize, lately: u64, now: Time) -> bool {
        taken < self.most || (self.most > 0 && lately >= LOUD && now.0 >= self.next.load(Relaxed))
    }

    /// Gives a client a seat if it may have one, with this refusal counted.
    fn seat(&self, route: &Arc<str>, client: &str, lately: u64, now: Time) -> bool {
        let _held = lock(&self.changes);
        let mut seats = Vec::clone(&self.seats.load());
        let of = |seat: &&Arc<Seat>| *seat.client == *client && seat.route == *route;
        if let Some(seat) = seats.iter().find(of) {
            // Another thread has just given it.
            seat.refused.fetch_add(1, Relaxed);
            return true;
        }
        if !self.may_change(seats.len(), lately, now) {
            return false;
        }
        let every = HOUR / self.most as u64;
        if seats.len() == self.most {
            let loudness = |seat: &Arc<Seat>| self.lately.read(&seat.route, &seat.client, now);
            let quietest = seats.iter().map(loudness).enumerate().min_by_key(|(_, loud)| *loud);
            let (at, loud) = quietest.expect("there are seats");
            if lately < loud.saturating_mul(2) {
                // Or all seats would be weighed again at each of its refusals.
                self.next.store(now.0.saturating_add(every / 100), Relaxed);
                return false;
            }
            seats.swap_remove(at);
        }
        self.next.store(now.0.saturating_add(every), Relaxed);
        let seat = Seat { route: Arc::clone(route), client: client.into(), refused: 1.into() };
        seats.push(Arc::new(seat));
        self.seats.store(Arc::new(seats));
        true
    }
}

impl fmt::Debug for Talkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Talkers").field("seats", &self.figures()).finish_non_exhaustive()
    }
}

/// How often who was refused in this minute and the last one, roughly.
struct Lately {
    /// Those of even and of odd minutes.
    minutes: [Estimator; 2],
    /// The minute that is counted in.
    minute: AtomicU64,
}

impl Default for Lately {
    fn default() -> Self {
        let minutes = [0, 1].map(|_| Estimator::new(ROWS, COLUMNS));
        Lately { minutes, minute: AtomicU64::new(0) }
    }
}

impl Lately {
    /// Counts one, and says how many there were with it.
    fn count(&self, route: &str, client: &str, now: Time) -> u64 {
        let [this, last] = self.turn(now);
        let so_far = this.incr((route, client), 1).max(0) + last.get((route, client)).max(0);
        so_far as u64
    }

    fn read(&self, route: &str, client: &str, now: Time) -> u64 {
        self.turn(now).map(|minute| minute.get((route, client)).max(0) as u64).iter().sum()
    }

    /// The sketches of this minute and of the last one, after clearing what is older. A few counts
    /// that come while a sketch is cleared are lost, which an estimate can bear; a clock that was set
    /// back counts on in the minute that it had.
    fn turn(&self, now: Time) -> [&Estimator; 2] {
        let current = now.0 / MINUTE;
        let counted = self.minute.fetch_max(current, Relaxed);
        if counted < current {
            self.minutes[(current % 2) as usize].reset();
            if current - counted > 1 {
                self.minutes[(counted % 2) as usize].reset();
                self.minutes[((counted + 1) % 2) as usize].reset();
            }
        }
        let this = (current.max(counted) % 2) as usize;
        [&self.minutes[this], &self.minutes[1 - this]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::thread;

    fn route() -> Arc<str> {
        "orders".into()
    }

    fn at(seconds: u64) -> Time {
        Time(seconds * 1_000_000_000)
    }

    fn names(talkers: &Talkers) -> Vec<String> {
        talkers.figures().into_iter().map(|talker| talker.client.into()).collect()
    }

    #[test]
    fn a_few_clients_are_all_named_from_their_first_refusal_on() {
        let talkers = Talkers::new(3);
        for client in ["b", "a", "c", "a"] {
            assert!(talkers.refused(&route(), client, at(1)));
        }
        assert!(!talkers.refused(&route(), "d", at(1)));
        let counts = talkers.figures().into_iter().map(|one| (one.client.into(), one.refused));
        let expected = [("a", 2), ("b", 1), ("c", 1)].map(|(name, count)| (name.to_owned(), count));
        assert_eq!(counts.collect::<Vec<(String, u64)>>(), expected);
    }

    #[test]
    fn one_client_of_two_routes_has_two_series() {
        let talkers = Talkers::new(3);
        talkers.refused(&route(), "a", at(1));
        talkers.refused(&"users".into(), "a", at(1));
        assert_eq!(talkers.figures().len(), 2);
    }

    #[test]
    fn a_louder_client_takes_the_quietest_seat_once_its_time_has_come() {
        let talkers = Talkers::new(2);
        for _ in 0..50 {
            talkers.refused(&route(), "loud", at(1));
        }
        talkers.refused(&route(), "quiet", at(1));
        let hammer = |now| (0..30).filter(|_| talkers.refused(&route(), "new", now)).count();
        assert_eq!(hammer(at(1_799)), 0, "two seats change hands twice an hour");
        assert!(hammer(at(1_801)) > 0);
        assert!(names(&talkers).contains(&"new".to_owned()));
        assert_eq!(talkers.figures().len(), 2);
    }

    #[test]
    fn who_is_not_twice_as_loud_takes_no_seat() {
        let talkers = Talkers::new(1);
        let later = at(3_700);
        talkers.refused(&route(), "sits", at(1));
        for _ in 0..20 {
            talkers.refused(&route(), "sits", later);
        }
        assert_eq!((0..39).filter(|_| talkers.refused(&route(), "comes", later)).count(), 0);
        // It was weighed a moment ago, which is not done at every refusal.
        assert!(talkers.refused(&route(), "comes", at(3_739)));
    }

    #[test]
    fn names_in_a_cycle_make_no_more_series_than_one_round_an_hour() {
        let seats = 4;
        let talkers = Talkers::new(seats);
        let mut seen = HashSet::new();
        for second in 0..4 * 3_600u64 {
            for time in 0..12 {
                talkers.refused(&route(), &format!("name {}", second / 2), at(second));
                if time == 11 {
                    seen.extend(names(&talkers));
                }
            }
        }
        assert!(seen.len() <= seats + 4 * seats, "{} names", seen.len());
        assert!(seen.len() > seats, "seats that nobody uses change hands");
    }

    #[test]
    fn one_who_hammers_is_named_whoever_sat_down_before() {
        let talkers = Talkers::new(SEATS);
        for number in 0..10_000 {
            talkers.refused(&route(), &format!("once {number}"), at(1));
        }
        let named = (60..60 * 8).any(|second| {
            talkers.refused(&route(), &format!("once more {second}"), at(second));
            (0..5).any(|_| talkers.refused(&route(), "hammer", at(second)))
        });
        assert!(named);
    }

    #[test]
    fn a_name_that_is_too_long_and_one_without_seats_are_others() {
        let talkers = Talkers::new(1);
        assert!(!talkers.refused(&route(), &"a".repeat(LONGEST_NAME + 1), at(1)));
        assert!(talkers.refused(&route(), &"a".repeat(LONGEST_NAME), at(1)));
        assert!(!Talkers::new(0).refused(&route(), "a", at(1)));
    }

    #[test]
    fn what_was_long_ago_is_not_lately() {
        let lately = Lately::default();
        assert_eq!(lately.count("r", "a", at(10)), 1);
        assert_eq!(lately.count("r", "a", at(70)), 2);
        assert_eq!(lately.read("r", "a", at(179)), 1);
        assert_eq!(lately.read("r", "a", at(181)), 0);
        assert_eq!(lately.count("r", "a", at(50)), 1, "the clock was set back");
        assert_eq!(lately.read("r", "a", at(9_000)), 0);
    }

    #[test]
    fn no_refusal_of_a_seat_is_lost_between_threads() {
        let talkers = Talkers::new(2);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        assert!(talkers.refused(&route(), "a", at(1)));
                        assert!(talkers.refused(&route(), "b", at(1)));
                    }
                });
            }
        });
        assert!(talkers.figures().iter().all(|talker| talker.refused == 8_000));
    }
}
