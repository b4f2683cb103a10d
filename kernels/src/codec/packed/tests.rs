//! Packed tables against the general ones.

use super::*;
use crate::codec::{SearchLookup, SymbolLookup};

const TABLES: [TableDescriptor; 2] = [
    TableDescriptor { base: 0, symbols: 3, offset: -2, log2_symbols: 0 },
    TableDescriptor { base: 3, symbols: 4, offset: 9, log2_symbols: 2 },
];
const PRECISION: u32 = 5;
const INTERVALS: [Interval; 7] = [
    Interval { start: 0, freq: 1 },
    Interval { start: 1, freq: 30 },
    Interval { start: 31, freq: 1 },
    Interval { start: 0, freq: 8 },
    Interval { start: 8, freq: 3 },
    Interval { start: 11, freq: 20 },
    Interval { start: 31, freq: 1 },
];

/// The words of packed tables, in a buffer for more.
fn packed(pack: impl FnOnce(&mut dyn FnMut(u32)) -> Option<()>) -> [u32; 128] {
    let (mut words, mut count) = ([0; 128], 0);
    let store: &mut dyn FnMut(u32) = &mut |word| {
        words[count] = word;
        count += 1;
    };
    pack(store).expect("small tables fit");
    assert!(count.is_multiple_of(4));
    words
}

/// What packed tables hold of each slot is what a search finds there, and nothing of a
/// sentinel's.
#[test]
fn packed_tables_find_what_a_search_finds() {
    for bypass in [None, BypassCode::new(4)] {
        let slots = packed(|store| pack_slots(&TABLES, &INTERVALS, PRECISION, bypass, store));
        let guide = packed(|store| pack_guide(&TABLES, &INTERVALS, PRECISION, bypass, store));
        let wide =
            packed(|store| pack_wide::<Rans64>(&TABLES, &INTERVALS, PRECISION, bypass, store));
        let (intervals, bytes, buckets) = (4, 4 + 8, 4 + 16);
        for (number, table) in TABLES.iter().enumerate() {
            let coded = table.symbols - u32::from(bypass.is_some());
            let place = PackedTable { base: slots[2 * number], place: slots[2 * number + 1] };
            assert_eq!((place.offset(), place.symbols()), (table.offset, coded));
            for slot in 0..1 << PRECISION {
                let found = SearchLookup { intervals: &INTERVALS }.find(
                    number as u32,
                    table,
                    slot,
                    PRECISION,
                );
                let at = (number << PRECISION) + slot as usize;
                let one = PackedSlot(slots[4 + at]);
                let symbol = guide[bytes + at / 4] >> (8 * (at % 4)) & 0xff;
                let two = PackedInterval(guide[intervals + (table.base + symbol) as usize]);
                let first = wide[buckets + at / 2] >> (16 * (at % 2)) & 0xffff;
                let at = intervals + 2 * (table.base + first) as usize;
                let three = WideInterval([wide[at], wide[at + 1]]);
                assert!(!three.lies_before(slot));
                assert_eq!(first, found.symbol);
                let freq = if found.symbol < coded { found.freq } else { 0 };
                assert_eq!((three.freq(), slot - three.start()), (freq, found.rank));
                if found.symbol < coded {
                    assert_eq!(
                        (one.symbol(), one.freq(), one.rank()),
                        (found.symbol, found.freq, found.rank)
                    );
                    assert_eq!(symbol, found.symbol);
                    assert_eq!((two.freq(), slot - two.start()), (found.freq, found.rank));
                } else {
                    assert_eq!((one.0, two.0, symbol), (0, 0, found.symbol));
                }
            }
        }
    }
}

#[test]
fn packed_entries_are_the_entries() {
    fn check<F: PackedFamily>() {
        for interval in [Interval { start: 32767, freq: 1 }, Interval { start: 0, freq: 32768 }] {
            let entry = EncoderEntry::<F>::new(interval);
            let same = F::unpack(F::pack(&entry).expect("17 bits are too many, 16 are not"));
            assert_eq!(same.reciprocal, entry.reciprocal);
            assert_eq!((same.freq, same.start), (entry.freq, entry.start));
        }
    }
    check::<Rans64>();
    check::<Rans32>();
    check::<Rans32x16>();
    // What takes 17 bits stays with the general tables.
    let whole = EncoderEntry::<Rans32>::new(Interval { start: 0, freq: 1 << 16 });
    assert_eq!(Rans32::pack(&whole), None);
    assert_eq!(PackedSlot::new(0, 1 << 12, 0), None);
}

/// The push of an exact entry is the codec's, for every frequency of the largest precision, at
/// states around each multiple of the frequency that can be wrong first: the largest.
#[test]
fn the_exact_push_is_the_push() {
    use crate::codec::step::{push_below_bound, push_bound};
    for precision in [1, 7, 11, 12] {
        for freq in 1..=1u32 << precision {
            let interval = Interval { start: (1 << precision) - freq, freq };
            let entry = ExactEntry::new(interval, precision).expect("a small precision");
            let codec = EncoderEntry::<Rans32x16>::new(interval);
            let bound = push_bound::<Rans32x16>(freq, precision);
            let multiples = [1, 2, 3, bound / freq / 2, bound / freq - 1, bound / freq];
            for near in multiples.map(|times| times * freq) {
                for x in [near - 1, near, near + freq / 2].into_iter().filter(|x| *x < bound) {
                    // No state is 0.
                    let x = x.max(1);
                    let pushed = push_below_bound::<Rans32x16>(x, &codec, precision);
                    assert_eq!(entry.push(x, precision), pushed, "x={x} f={freq} p={precision}");
                    assert_eq!(entry.freq(), freq);
                }
            }
        }
    }
    let wide = Interval { start: 0, freq: 1 };
    assert_eq!(ExactEntry::new(wide, ExactEntry::MAX_PRECISION + 1), None);
    assert_eq!(ExactEntry::new(Interval { start: 0, freq: 0 }, 12), None);
}
