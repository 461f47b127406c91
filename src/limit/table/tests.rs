//! The table beside a map that forgets nothing, and beside those who flood it.

mod flood;

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::thread;

const MEBIBYTE: ByteSize = ByteSize(1 << 20);

/// The key of a number; the multiplications spread them as a hash does (SplitMix64).
fn key(number: u64) -> Key {
    let mix = |seed: u64| {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    Key::new(mix(2 * number + 1), mix(2 * number + 2))
}

/// The weight of a state that is the number of units used.
fn units(state: &u64) -> u32 {
    u32::try_from(*state).unwrap_or(u32::MAX)
}

fn table(memory: ByteSize) -> Table<u64> {
    Table::new(memory, 0).unwrap()
}

fn add(table: &Table<u64>, key: Key, units_used: u64) -> u64 {
    table.with(key, units, |state| {
        *state += units_used;
        *state
    })
}

proptest! {
    #[test]
    fn a_table_with_room_is_a_map(
        steps in prop::collection::vec((0..60u64, 0..8u8, 1..100u64), 1..300)
    ) {
        let (table, mut map) = (table(MEBIBYTE), HashMap::<u64, u64>::new());
        for (number, what, more) in steps {
            match what {
                0 => prop_assert_eq!(table.remove(key(number)), map.remove(&number)),
                1 | 2 => {
                    prop_assert_eq!(table.peek(key(number), |state| *state), map.get(&number).copied());
                }
                _ => {
                    let expected = map.entry(number).or_default();
                    *expected += more;
                    prop_assert_eq!(add(&table, key(number), more), *expected);
                }
            }
            prop_assert_eq!(table.figures().entries, map.len());
        }
        prop_assert_eq!(table.figures().evicted, 0);
    }

    #[test]
    fn memory_holds_whatever_the_size(bytes in 0..3_000_000u64, heap in 0..5_000usize) {
        match Table::<[u64; 3]>::new(ByteSize(bytes), heap) {
            Err(_) => prop_assert!(bytes < 256 + 64 + 8 * 5_000),
            Ok(table) => {
                let full = table.segments.len()
                    * (size_of::<Place<[u64; 3]>>()
                        + table.full * (size_of::<Set<[u64; 3]>>() + WAYS * heap));
                prop_assert!(full as u64 <= bytes);
                prop_assert!(full as u64 * 2 > bytes, "and most of it is used");
            }
        }
    }
}

#[test]
fn a_set_of_small_states_is_two_cache_lines_and_a_header_one() {
    assert_eq!((size_of::<Set<u64>>(), size_of::<Place<u64>>()), (128, 64));
    assert_eq!((size_of::<Set<[u64; 2]>>(), size_of::<Set<[u64; 3]>>()), (192, 256));
}

#[test]
fn memory_is_taken_as_it_is_used() {
    let table = table(ByteSize(64 << 20));
    let room = table.capacity();
    assert_eq!(room, (64 << 20) / (128 * 128 + 64) * 1_024);
    assert!(table.figures().bytes < (64 << 20) / 200);
    for number in 0..room as u64 / 10 {
        add(&table, key(number), 1);
    }
    let figures = table.figures();
    assert_eq!((figures.entries, figures.evicted), (room / 10, 0));
    let each = figures.bytes / figures.entries;
    assert!((16..80).contains(&each), "{each} bytes for each key");
}

#[test]
fn of_a_table_that_is_half_full_one_caller_in_a_hundred_and_twenty_found_its_set_full() {
    let table = table(MEBIBYTE);
    let half = table.capacity() as u64 / 2;
    for number in 0..half / 2 {
        add(&table, key(number), 1);
    }
    // What the Poisson distribution of mean 2 says is 1 in 6,000, which is 2 or 3 of them.
    assert!(table.figures().evicted < 12);
    for number in half / 2..half {
        add(&table, key(number), 1);
    }
    let evicted = table.figures().evicted;
    assert!((half / 200..half / 80).contains(&evicted), "{evicted} of {half}");
}

#[test]
fn what_weighs_nothing_makes_room_before_anything_grows_or_is_forgotten() {
    let table = table(MEBIBYTE);
    for number in 0..200_000 {
        add(&table, key(number), 0);
    }
    let figures = table.figures();
    assert_eq!((figures.evicted, figures.forgiven), (0, 0));
    assert_eq!(figures.bytes, table.segments.len() * (64 + 128), "one set for each segment");
}

#[test]
fn memory_that_holds_nothing_is_refused() {
    let told = Table::<u64>::new(ByteSize(100), 0).unwrap_err().to_string();
    assert!(told.contains("too small") && told.contains("192B"), "{told}");
}

#[test]
fn a_heap_that_states_own_counts_at_its_largest() {
    let table = Table::<Vec<u64>>::new(MEBIBYTE, 800).unwrap();
    let most = (1 << 20) / (800 + 8 + 24);
    assert!((most / 2..=most).contains(&table.capacity()), "{}", table.capacity());
    for number in 0..10_000 {
        let grow = |state: &mut Vec<u64>| *state = Vec::with_capacity(100);
        table.with(key(number), |state| state.capacity() as u32, grow);
    }
    let held = table.figures();
    assert!(held.entries > most / 3 && held.bytes <= 1 << 20);
    assert_eq!(held.entries as u64 + held.evicted, 10_000);
}

#[test]
fn a_panic_costs_its_own_call_and_leaves_the_table_whole() {
    let table = table(MEBIBYTE);
    add(&table, key(1), 5);
    let thrown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        table.with(key(1), units, |_| panic!("a mistake"))
    }));
    assert!(thrown.is_err());
    assert_eq!(add(&table, key(1), 1), 6);
}

#[test]
fn eight_threads_lose_no_update() {
    const ROUNDS: u64 = 20_000;
    let table = table(MEBIBYTE);
    thread::scope(|scope| {
        for thread in 0..8 {
            let table = &table;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    add(table, key(0), 1);
                    add(table, key(1 + round % 500), 1);
                    add(table, key(1_000 + thread * 100 + round % 100), 1);
                }
            });
        }
    });
    let read = |number| table.peek(key(number), |state| *state);
    assert_eq!(read(0), Some(8 * ROUNDS));
    assert!((1..=500).all(|number| read(number) == Some(8 * ROUNDS / 500)));
    assert!((1_000..1_800).all(|number| read(number) == Some(ROUNDS / 100)));
    assert_eq!(table.figures().entries, 1_301);
}
