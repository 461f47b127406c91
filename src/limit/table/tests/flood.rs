//! What somebody gains who asks under a new name each time.

use super::*;

/// How many units a heavy caller has used.
const SHARE: u64 = 100;

/// A table with so many callers at their limit, and how many of each set there are beyond the seven
/// that a flood leaves in peace.
fn with_heavy(callers: u64, memory: ByteSize) -> (Table<u64>, u64) {
    let table = table(memory);
    let mut sets = HashMap::<_, u64>::new();
    for number in 0..callers {
        add(&table, key(number), SHARE);
        let place = key(number).among(table.segments.len());
        *sets.entry((place, key(number).tag().get() as usize & (table.full - 1))).or_default() += 1;
    }
    (table, sets.values().map(|heavy| heavy.saturating_sub(WAYS as u64 - 1)).sum())
}

fn flood(table: &Table<u64>, names: u64) {
    for number in 0..names {
        add(table, key(1 << 40 | number), 1);
    }
}

fn forgotten(table: &Table<u64>, callers: u64) -> u64 {
    (0..callers).filter(|number| table.peek(key(*number), |_| ()).is_none()).count() as u64
}

#[test]
fn a_flood_forgets_none_of_a_thousand_who_are_at_their_limit() {
    let (table, _) = with_heavy(1_000, MEBIBYTE);
    flood(&table, 500_000);
    assert_eq!(forgotten(&table, 1_000), 0);
    assert!((0..1_000).all(|number| table.peek(key(number), |used| *used) == Some(SHARE)));
    let figures = table.figures();
    assert!(figures.bytes <= 1 << 20, "{} bytes", figures.bytes);
    assert_eq!(figures.forgiven, figures.evicted, "no more than the flood's own units");
}

#[test]
fn a_flood_forgets_those_who_share_a_set_with_more_than_six_others_and_no_more() {
    const CALLERS: u64 = 30_000;
    let (table, beyond) = with_heavy(CALLERS, MEBIBYTE);
    assert!((1..CALLERS / 50).contains(&beyond), "{beyond}");
    flood(&table, 300_000);
    assert_eq!(forgotten(&table, CALLERS), beyond);
    let figures = table.figures();
    assert_eq!(figures.entries, table.capacity());
    assert_eq!(figures.forgiven, figures.evicted - beyond + beyond * SHARE);
}

#[test]
fn who_asks_now_and_then_during_a_flood_is_not_unknown_each_time() {
    let table = table(MEBIBYTE);
    let sets = (table.capacity() / WAYS) as u64;
    flood(&table, 20 * sets);
    for round in 1..=8 {
        for number in (0..100).chain((0..4 * sets).map(|number| round << 50 | number)) {
            add(&table, key(number), 1);
        }
    }
    let counted = |number: &u64| table.peek(key(*number), |used| *used) >= Some(2);
    let counted = (0..100).filter(counted).count();
    assert!(counted > 80, "{counted} of 100 are being counted");
}

/// What a process holds, in bytes, apart from files: its own code comes in as it runs.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: Vec<usize> = pages.split(' ').take(3).map(|count| count.parse().unwrap()).collect();
    (pages[1] - pages[2]) * 4_096
}

#[test]
#[ignore = "measures the whole process, and takes seconds without optimisation"]
fn ten_million_names_take_no_more_memory_than_was_given() {
    let memory = 64 << 20;
    let before = resident();
    let (table, _) = with_heavy(1_000, ByteSize(memory as u64));
    let at_first = resident() - before;
    assert!(at_first < memory / 20, "{at_first} bytes at first");
    flood(&table, 10_000_000);
    let held = resident() - before;
    // The rest is the allocator's: holes where halves of segments were (a tenth with glibc).
    assert!(held < memory / 8 * 9, "{held} bytes");
    assert!(held > memory / 2, "{held} bytes");
    assert_eq!(forgotten(&table, 1_000), 0);

    let (small, _) = with_heavy(1_000, MEBIBYTE);
    flood(&small, 10_000_000);
    assert_eq!(forgotten(&small, 1_000), 0);
}
