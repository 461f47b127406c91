use super::*;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn never() -> u32 {
    panic!("no chance is drawn")
}

fn guard(settings: Settings) -> (Arc<Guard>, Arc<WorkerGuard>) {
    let guard = Guard::new(settings, 1);
    let worker = guard.worker(0);
    (guard, worker)
}

#[test]
fn low_gives_way_first_and_high_last() {
    let (guard, worker) = guard(Settings { in_flight: Some(20), ..Settings::default() });
    let mut held = Vec::new();
    for (priority, until) in PRIORITIES.into_iter().zip([16, 19, 20]) {
        while held.len() < until {
            held.push(worker.admit(priority, never).unwrap());
        }
        assert_eq!(worker.admit(priority, never).unwrap_err(), Reason::InFlight);
        assert_eq!(guard.shed(priority, Reason::InFlight), 1);
    }
    assert_eq!(guard.in_flight(), 20);
    drop(held);
    assert_eq!(guard.in_flight(), 0);
    assert!(worker.admit(Priority::Low, never).is_ok());
}

#[test]
fn more_than_may_be_in_flight_never_are_whichever_threads_ask() {
    let guard = Guard::new(Settings { in_flight: Some(8), ..Settings::default() }, 4);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (worker, guard) = (guard.worker(number), &guard);
            scope.spawn(move || {
                let mut held = Vec::new();
                for turn in 0..2000 {
                    held.extend(worker.admit(Priority::High, never));
                    // Those who are being refused are counted for that moment, one for each thread.
                    assert!(guard.in_flight() <= 8 + 4);
                    assert!(held.len() <= 8);
                    if turn % 3 == 0 {
                        held.clear();
                    }
                }
            });
        }
    });
    assert_eq!(guard.in_flight(), 0);
}

#[test]
fn memory_sheds_the_less_important_first_and_lets_them_in_later() {
    const MIB: u64 = 1 << 20;
    let (guard, worker) = guard(Settings { shed_memory: Some(100 * MIB), ..Settings::default() });
    let shed_at = |mib: u64| {
        guard.remember_memory(mib * MIB);
        PRIORITIES.map(|priority| worker.admit(priority, never).is_err())
    };
    assert_eq!(shed_at(79), [false, false, false]);
    assert_eq!(shed_at(80), [true, false, false]);
    assert_eq!(shed_at(95), [true, true, false]);
    assert_eq!(shed_at(100), [true, true, true]);
    assert_eq!(shed_at(91), [true, true, true]);
    assert_eq!(shed_at(90), [true, true, false]);
    assert_eq!(shed_at(73), [true, false, false]);
    assert_eq!(shed_at(72), [false, false, false]);
}

#[test]
fn accepting_pauses_at_its_mark_and_goes_on_below_it() {
    let (guard, _) = guard(Settings { pause_connections: Some(20), ..Settings::default() });
    (0..19).for_each(|_| guard.opened());
    assert!(guard.accepts());
    guard.opened();
    assert!(!guard.accepts());
    guard.closed();
    assert!(!guard.accepts(), "19 is not far enough below 20");
    guard.closed();
    assert!(guard.accepts());
}

#[test]
fn accepting_waits_for_memory_as_well_as_for_connections() {
    let settings =
        Settings { pause_connections: Some(2), pause_memory: Some(1000), ..Settings::default() };
    let (guard, _) = guard(settings);
    guard.remember_memory(1000);
    assert!(!guard.accepts());
    guard.opened();
    guard.opened();
    guard.remember_memory(900);
    assert!(!guard.accepts(), "there are two connections");
    guard.closed();
    assert!(guard.accepts());
}

#[test]
fn a_burst_is_no_standing_queue() {
    let began = Instant::now();
    let mut lag = Lag::new(Duration::from_millis(50), began);
    let at = |millis| began + Duration::from_millis(millis);
    assert!(!lag.woke(at(10), Duration::from_millis(1)));
    assert!(lag.woke(at(300), Duration::from_millis(280)));
    assert_eq!((lag.level(), lag.standing()), (0, Duration::from_millis(1)));
}

#[test]
fn a_standing_queue_sheds_low_then_normal_then_all_and_all_come_back() {
    let mut now = Instant::now();
    let mut lag = Lag::new(Duration::from_millis(50), now);
    let mut window = |late| {
        now += Duration::from_millis(100);
        lag.woke(now, Duration::from_millis(late));
        PRIORITIES.map(|priority| lag::is_shed(lag.level(), priority, || 500))
    };
    let mut seen: Vec<_> = (0..40).map(|_| window(60)).collect();
    seen.dedup();
    let each =
        [[false, false, false], [true, false, false], [true, true, false], [true, true, true]];
    assert_eq!(seen, each);
    // Neither late nor well in time: nothing changes.
    assert_eq!(window(30), [true, true, true]);
    let mut seen: Vec<_> = (0..60).map(|_| window(5)).collect();
    seen.dedup();
    assert_eq!(seen, each.into_iter().rev().collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn a_higher_class_is_never_shed_where_a_lower_one_is_not(
        level in 0u32..=3 * lag::CLASS,
        chance in 0..lag::CLASS,
    ) {
        let shed = PRIORITIES.map(|priority| lag::is_shed(level, priority, || chance));
        prop_assert!(shed[0] >= shed[1] && shed[1] >= shed[2]);
    }

    #[test]
    fn a_mark_turns_only_at_its_ends(at in 1u64..1000, values in prop::collection::vec(0u64..1200, 1..50)) {
        let mut mark = Watermark::new(at);
        let mut was = false;
        for value in values {
            let is = mark.look(value);
            prop_assert!(is || value < at);
            if is != was {
                // Nine tenths, rounded up.
                let is_far = value < at && value * 10 < at * 9 + 10;
                let is_right = if is { value >= at } else { is_far };
                prop_assert!(is_right);
            }
            was = is;
        }
    }
}

// Memory, of a root that a test has made

fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn limit(files: &[(&str, &str)]) -> Option<u64> {
    memory::limit(root(files).path())
}

const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\n");
const BYTES: u64 = 16384 * 1024;

#[test]
fn without_groups_the_machine_is_the_limit() {
    assert_eq!(limit(&[MACHINE]), Some(BYTES));
    assert_eq!(limit(&[]), None);
}

#[test]
fn the_tightest_group_above_is_the_limit() {
    let groups = ("proc/self/cgroup", "0::/a/b\n");
    let inner = ("sys/fs/cgroup/a/b/memory.max", "max\n");
    assert_eq!(limit(&[MACHINE, groups, inner]), Some(BYTES));
    let outer = ("sys/fs/cgroup/a/memory.max", "4096\n");
    assert_eq!(limit(&[MACHINE, groups, inner, outer]), Some(4096));
    let inside_a_container = ("sys/fs/cgroup/memory.max", "8192\n");
    assert_eq!(limit(&[MACHINE, groups, inside_a_container]), Some(8192));
}

#[test]
fn a_group_of_version_1_is_found_by_its_controller() {
    let groups = ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/1\n0::/\n");
    let group = ("sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "8192\n");
    assert_eq!(limit(&[MACHINE, groups, group]), Some(8192));
    let no_limit = ("sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "9223372036854771712");
    assert_eq!(limit(&[MACHINE, groups, no_limit]), Some(BYTES));
}

#[test]
fn resident_memory_is_read_in_bytes() {
    let files = root(&[("proc/self/status", "Name:\tx\nVmRSS:\t    2048 kB\nThreads: 1\n")]);
    assert_eq!(memory::resident(files.path()), Some(2 << 20));
    let own = memory::resident(Path::new("/")).unwrap();
    assert!(own > 1 << 20, "{own}");
}
