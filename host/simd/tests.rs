//! Every level that this machine has against plain arrays.

use super::rows::{Bounded, RowSimd, RowWork};
use super::{
    ByteSet, ByteTable, LOWER_BOUND, Level, Simd, SlotTable, Work, dispatch, dispatch_rows,
};

type Elements = [u32; 16];

/// A generator of awkward elements: small, large, all ones, random (splitmix64).
struct Source(u64);

impl Source {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn elements(&mut self) -> Elements {
        std::array::from_fn(|_| {
            let value = self.next();
            match value >> 60 {
                0 => 0,
                1 => u32::MAX,
                2..6 => value as u32 >> (value >> 40 & 31),
                _ => value as u32,
            }
        })
    }
}

fn to_bytes(v: Elements) -> [u8; 64] {
    bytemuck::cast(v.map(u32::to_le))
}

fn from_bytes(v: [u8; 64]) -> Elements {
    bytemuck::cast::<_, Elements>(v).map(u32::from_le)
}

struct Check {
    seed: u64,
}

impl Work for Check {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut source = Source(self.seed);
        for _ in 0..200 {
            check_arithmetic(simd, &mut source);
            check_quotients(simd, &mut source);
            check_lookups(simd, &mut source);
            check_slots(simd, &mut source);
            check_sets(simd, &mut source);
            check_words(simd, &mut source);
        }
    }
}

fn put<S: Simd>(simd: S, v: Elements) -> S::U32 {
    simd.load(&to_bytes(v))
}

fn get<S: Simd>(simd: S, v: S::U32) -> Elements {
    let mut bytes = [0; 64];
    simd.store(v, &mut bytes);
    from_bytes(bytes)
}

fn check_arithmetic<S: Simd>(simd: S, source: &mut Source) {
    let (a, b) = (source.elements(), source.elements());
    let (va, vb) = (put(simd, a), put(simd, b));
    let zip = |f: fn(u32, u32) -> u32| -> Elements { std::array::from_fn(|i| f(a[i], b[i])) };
    assert_eq!(get(simd, va), a);
    assert_eq!(get(simd, simd.splat(a[0])), [a[0]; 16]);
    assert_eq!(get(simd, simd.reverse(va)), std::array::from_fn(|i| a[15 - i]));
    assert_eq!(get(simd, simd.add(va, vb)), zip(u32::wrapping_add));
    assert_eq!(get(simd, simd.sub(va, vb)), zip(u32::wrapping_sub));
    assert_eq!(get(simd, simd.mul_low(va, vb)), zip(u32::wrapping_mul));
    assert_eq!(get(simd, simd.and(va, vb)), zip(|a, b| a & b));
    assert_eq!(get(simd, simd.shl::<12>(va)), a.map(|a| a << 12));
    assert_eq!(get(simd, simd.shr::<20>(va)), a.map(|a| a >> 20));
    let bits = b.map(|b| b % 32);
    let by = |f: fn(u32, u32) -> u32| -> Elements { std::array::from_fn(|i| f(a[i], bits[i])) };
    assert_eq!(get(simd, simd.shl_by(va, put(simd, bits))), by(|a, by| a << by));
    assert_eq!(get(simd, simd.shr_by(va, put(simd, bits))), by(|a, by| a >> by));
    let even = |i: usize| if i < 8 { a[2 * i] } else { b[2 * i - 16] };
    let odd = |i: usize| if i < 8 { a[2 * i + 1] } else { b[2 * i - 15] };
    let apart = simd.deinterleave([va, vb]);
    assert_eq!(get(simd, apart[0]), std::array::from_fn(even));
    assert_eq!(get(simd, apart[1]), std::array::from_fn(odd));
    assert_eq!(simd.interleave(apart).map(|v| get(simd, v)), [a, b]);
    let over = simd.ge(va, vb);
    assert_eq!(simd.any(over), (0..16).any(|i| a[i] >= b[i]));
    let smaller = simd.ge(vb, va);
    assert!(simd.any(simd.either(over, smaller)));
    assert!(!simd.any(simd.ge(simd.splat(0), simd.splat(1))));
    // All are in one of the two, and those in both are equal.
    let differ = simd.add_where(simd.differ(over, smaller), va, vb);
    assert_eq!(get(simd, differ), zip(|a, b| if a == b { a } else { a.wrapping_add(b) }));
    let sum = simd.add_where(over, va, vb);
    assert_eq!(get(simd, sum), zip(|a, b| if a >= b { a.wrapping_add(b) } else { a }));
    let equal = simd.add_where(simd.ge(va, va), va, vb);
    assert_eq!(get(simd, equal), zip(u32::wrapping_add));
}

fn check_quotients<S: Simd>(simd: S, source: &mut Source) {
    let d = source.elements().map(|d| (d & 0xffff) + 1);
    // Dividends where the quotient changes, up to the largest quotient, and any.
    let most = |d: u32| (u64::from(d) << 20).min(1 << 31) as u32;
    let near = source.elements();
    let x: Elements = std::array::from_fn(|i| {
        let x = near[i] % most(d[i]);
        match near[i] >> 30 {
            0 => x,
            1 => most(d[i]) - 1,
            2 => x - x % d[i],
            _ => (x - x % d[i]).saturating_sub(1),
        }
    });
    let q = get(simd, simd.quotient(put(simd, x), put(simd, d)));
    for i in 0..16 {
        assert!(q[i] == x[i] / d[i] || q[i] + 1 == x[i] / d[i], "{} / {}: {}", x[i], d[i], q[i]);
    }
    let x = source.elements().map(|x| x >> 1);
    let q = get(simd, simd.quotient(put(simd, x), put(simd, d)));
    for i in 0..16 {
        assert!(q[i] <= x[i] / d[i], "{} / {}: {}", x[i], d[i], q[i]);
    }
}

fn check_lookups<S: Simd>(simd: S, source: &mut Source) {
    let a = source.elements();
    let va = put(simd, a);
    let bytes: [u8; 39] = std::array::from_fn(|_| source.next() as u8);
    let at = |i: usize| u32::from_le_bytes(bytes[i..i + 4].try_into().expect("four bytes"));
    assert_eq!(get(simd, simd.gather_at::<1>(&bytes, va)), a.map(|i| at(i.min(35) as usize)));
    assert_eq!(get(simd, simd.gather_at::<2>(&bytes, va)), a.map(|i| at(2 * i.min(17) as usize)));
    assert_eq!(get(simd, simd.gather_at::<4>(&bytes, va)), a.map(|i| at(4 * i.min(8) as usize)));
    let few: [u32; 9] = std::array::from_fn(|i| at(4 * i));
    let mut out = [0; 16];
    simd.gather_to(&few, va, &mut out);
    assert_eq!(out, a.map(|i| few[i.min(8) as usize]));
    let table: [u32; 64] = std::array::from_fn(|_| source.next() as u32);
    assert_eq!(get(simd, simd.gather(&table, va)), a.map(|a| table[a as usize % 64]));

    let entries: [u32; 256] = std::array::from_fn(|_| source.next() as u32);
    let mut four = ByteTable::<4>::zeroed();
    four.set(&entries);
    let narrow = entries.map(|entry| entry & 0xff_ffff);
    let mut three = ByteTable::<3>::zeroed();
    three.set(&narrow);
    let (found4, found3) = (simd.lookup_bytes(&four, va), simd.lookup_bytes(&three, va));
    for k in 0..4 {
        let index = a.map(|a| (a >> (8 * k)) as usize & 0xff);
        assert_eq!(get(simd, found4[k]), index.map(|i| entries[i]));
        assert_eq!(get(simd, found3[k]), index.map(|i| narrow[i]));
    }

    let parts: [Elements; 4] = std::array::from_fn(|_| source.elements());
    let merge = |at: u32| -> Elements {
        std::array::from_fn(|i| u32::from_le_bytes(parts.map(|part| (part[i] >> at) as u8)))
    };
    let vectors = parts.map(|part| put(simd, part));
    assert_eq!(get(simd, simd.merge_bytes::<8>(vectors)), merge(8));
    assert_eq!(get(simd, simd.merge_bytes::<12>(vectors)), merge(12));
}

fn check_slots<S: Simd>(simd: S, source: &mut Source) {
    // Few wide intervals, many narrow ones, and values that do not occur.
    let mut frequencies = [0u32; 256];
    let (many, mut left) = (2 + source.next() as usize % 255, 4096);
    for k in 0..many {
        let symbol = k * 256 / many;
        let most = left - (many - 1 - k) as u32;
        let freq = if k + 1 == many { left } else { 1 + source.next() as u32 % most.min(40) };
        frequencies[symbol] = freq;
        left -= freq;
    }
    let mut table = SlotTable::zeroed();
    table.set(&frequencies);
    let owner = |slot: u32| {
        let mut rank = slot;
        let symbol = frequencies.iter().position(|&freq| match rank.checked_sub(freq) {
            Some(rest) => {
                rank = rest;
                false
            }
            None => true,
        });
        (symbol.expect("an owner") as u32, rank)
    };
    for (slot, &entry) in table.entries().iter().enumerate() {
        let (symbol, rank) = owner(slot as u32);
        assert_eq!(entry, frequencies[symbol as usize] << 20 | symbol << 12 | rank);
    }
    for first in (0..4096).step_by(128) {
        // Lane by lane of four rows; between hardly any and nearly all take a word.
        let shift = source.next() % 20;
        let mut states: [[u32; 32]; 4] = std::array::from_fn(|row| {
            std::array::from_fn(|lane| {
                let upper = (source.next() as u32 & 0x7_ffff) >> (source.next() % (1 + shift));
                upper << 12 | (first + 32 * row + lane) as u32
            })
        });
        let windows: [[u8; 64]; 4] =
            std::array::from_fn(|_| std::array::from_fn(|_| source.next() as u8));
        let mut rows = states.map(|row| {
            let half = |odd: usize| put(simd, std::array::from_fn(|j| row[2 * j + odd]));
            simd.hold([half(0), half(1)])
        });
        let (symbols, counts) = simd.pop_rows(&table, &mut rows, windows.each_ref());
        let symbols = symbols.map(|v| to_bytes(get(simd, v)));
        for (row, states) in states.iter_mut().enumerate() {
            let mut left = &windows[row][..];
            for (lane, x) in states.iter_mut().enumerate() {
                let (symbol, rank) = owner(*x & 0xfff);
                assert_eq!(symbols[lane % 2][lane / 2 * 4 + row], symbol as u8);
                *x = (*x >> 12) * frequencies[symbol as usize] + rank;
                if *x < LOWER_BOUND {
                    let (rest, word) = left.split_last_chunk::<2>().expect("32 words");
                    *x = *x << 16 | u32::from(u16::from_le_bytes(*word));
                    left = rest;
                }
            }
            assert_eq!(64 - 2 * counts[row], left.len());
            let held = simd.release(rows[row]).map(|v| get(simd, v));
            assert_eq!(*states, std::array::from_fn(|lane| held[lane % 2][lane / 2]));
        }
    }
}

fn check_sets<S: Simd>(simd: S, source: &mut Source) {
    let mut set = ByteSet::new();
    let members: [u8; 40] = std::array::from_fn(|_| source.next() as u8);
    members.iter().for_each(|&b| set.insert(b));
    let mut bytes: [u8; 256] = std::array::from_fn(|_| members[source.next() as usize % 40]);
    assert!(simd.all_members(&set, &bytes));
    bytes[source.next() as usize % 256] = source.next() as u8;
    let want = bytes.iter().all(|&b| set.contains(b));
    assert_eq!(simd.all_members(&set, &bytes), want);
}

fn check_words<S: Simd>(simd: S, source: &mut Source) {
    // Between hardly any and nearly all elements shed or are refilled.
    let shift = source.next() % 31;
    let mut states: [Elements; 2] =
        std::array::from_fn(|_| source.elements().map(|x| (x >> 1) >> ((x & 1) * shift as u32)));
    let bounds: [Elements; 2] = std::array::from_fn(|_| source.elements().map(|x| x >> 1));
    let mut out = [0; 64];
    let (shed, count) =
        simd.shed_words(states.map(|v| put(simd, v)), bounds.map(|v| put(simd, v)), &mut out);
    let mut want = Vec::new();
    let mut after = states;
    for i in 0..32 {
        let x = &mut after[i % 2][i / 2];
        if *x >= bounds[i % 2][i / 2] {
            want.extend((*x as u16).to_le_bytes());
            *x >>= 16;
        }
    }
    assert_eq!(shed.map(|v| get(simd, v)), after);
    assert_eq!((count * 2, &out[..count * 2]), (want.len(), &want[..]));

    let words: [u8; 64] = std::array::from_fn(|_| source.next() as u8);
    let bound = 1 << 15;
    let (refilled, count) = simd.refill_words(states.map(|v| put(simd, v)), bound, &words);
    let mut left = &words[..];
    for i in 0..32 {
        let x = &mut states[i % 2][i / 2];
        if *x < bound {
            let (rest, word) = left.split_last_chunk::<2>().expect("32 words");
            *x = *x << 16 | u32::from(u16::from_le_bytes(*word));
            left = rest;
        }
    }
    assert_eq!(refilled.map(|v| get(simd, v)), states);
    assert_eq!(64 - 2 * count, left.len());
}

/// What rows across vectors need, as far as the codec's tests would not tell what is wrong.
struct CheckRows {
    seed: u64,
}

impl RowWork for CheckRows {
    type Output = ();

    #[inline(always)]
    fn run<S: RowSimd>(self, simd: S) {
        let mut source = Source(self.seed);
        for _ in 0..200 {
            check_row_arithmetic(simd, &mut source);
            check_row_moves(simd, &mut source);
            check_row_masks(simd, &mut source);
            check_row_bits(simd, &mut source);
            check_row_words::<S, 2>(simd, &mut source);
            check_row_words::<S, 4>(simd, &mut source);
            check_row_words::<S, 8>(simd, &mut source);
        }
    }
}

fn get_row<S: RowSimd>(simd: S, v: S::U32) -> Elements {
    let mut elements = [0; 16];
    simd.store(v, &mut elements);
    elements
}

fn check_row_arithmetic<S: RowSimd>(simd: S, source: &mut Source) {
    let (a, b, c) = (source.elements(), source.elements(), source.elements());
    let (va, vb) = (simd.load(&a), simd.load(&b));
    assert_eq!(get_row(simd, simd.or(va, vb)), std::array::from_fn(|i| a[i] | b[i]));
    let by = c.map(|c| c % 40);
    let shifted = |i: usize| a[i].checked_shr(by[i]).unwrap_or(0);
    assert_eq!(get_row(simd, simd.shr_by(va, simd.load(&by))), std::array::from_fn(shifted));
    let both = |i: usize| u64::from(a[i]) << 32 | u64::from(b[i]);
    let down = simd.funnel_shr(va, vb, simd.load(&c));
    assert_eq!(get_row(simd, down), std::array::from_fn(|i| (both(i) >> (c[i] % 32)) as u32));
    let up = simd.funnel_shl(va, vb, simd.load(&c));
    let upper = |i: usize| (both(i) << (c[i] % 32) >> 32) as u32;
    assert_eq!(get_row(simd, up), std::array::from_fn(upper));
    let table: [u16; 77] = std::array::from_fn(|_| source.next() as u16);
    let index = a.map(|a| a % 90);
    let found = simd.gather_u16(&table, simd.load(&index));
    assert_eq!(get_row(simd, found), index.map(|i| u32::from(table[i.min(75) as usize])));
    let table: [u64; 77] = std::array::from_fn(|_| source.next());
    let (bounded, v) = (Bounded::new(simd, &table), simd.load(&index));
    for halves in [simd.gather_halves(&bounded, v), simd.load_halves(&bounded, v)] {
        let of = index.map(|i| table[i.min(76) as usize]);
        assert_eq!(get_row(simd, halves[0]), of.map(|value| value as u32));
        assert_eq!(get_row(simd, halves[1]), of.map(|value| (value >> 32) as u32));
    }
    let entries: [u32; 256] = std::array::from_fn(|_| source.next() as u32);
    let mut four = ByteTable::<4>::zeroed();
    four.set(&entries);
    let found = simd.lookup_bytes(&four, va);
    for (k, found) in found.into_iter().enumerate() {
        assert_eq!(get_row(simd, found), a.map(|a| entries[(a >> (8 * k)) as usize & 0xff]));
    }
}

fn check_row_moves<S: RowSimd>(simd: S, source: &mut Source) {
    let of: [Elements; 4] = std::array::from_fn(|_| source.elements());
    let all = of.as_flattened();
    let [a, b, c, d] = std::array::from_fn(|k| simd.load(&of[k]));
    let halves = |e: usize| all[2 * e] & 0xffff | all[2 * e + 1] << 16;
    assert_eq!(get_row(simd, simd.low_halves([a, b])), std::array::from_fn(halves));
    let bytes = |e: usize| u32::from_le_bytes(std::array::from_fn(|k| all[4 * e + k] as u8));
    assert_eq!(get_row(simd, simd.low_bytes([a, b, c, d])), std::array::from_fn(bytes));
    for (k, part) in simd.halves_from_top(a).into_iter().enumerate() {
        let half = |e: usize| of[0][8 * k + e / 2] >> (16 * (1 - e % 2)) & 0xffff;
        assert_eq!(get_row(simd, part), std::array::from_fn(half));
    }
    for (k, part) in simd.bytes_from_top(a).into_iter().enumerate() {
        let byte = |e: usize| u32::from(of[0][4 * k + e / 4].to_be_bytes()[e % 4]);
        assert_eq!(get_row(simd, part), std::array::from_fn(byte));
    }
}

fn check_row_masks<S: RowSimd>(simd: S, source: &mut Source) {
    let (value, mask) = (source.next(), source.next());
    let mut want = 0;
    for (to, from) in (0..64).filter(|bit| mask >> bit & 1 == 1).enumerate() {
        want |= (value >> from & 1) << to;
    }
    assert_eq!(simd.extract_bits(value, mask), want);
    assert_eq!(get_row(simd, simd.splat_mask(value as u16)), [value as u32 & 0xffff; 16]);
    let (a, b, c) = (source.elements(), source.elements(), source.elements());
    let both = [a, b];
    let moved = simd.permute_two(simd.load(&a), simd.load(&b), simd.load(&c));
    let element = |i: usize| both.as_flattened()[c[i] as usize % 32];
    assert_eq!(get_row(simd, moved), std::array::from_fn(element));
    let wide: [[u64; 16]; 4] =
        std::array::from_fn(|_| std::array::from_fn(|_| source.next() >> (source.next() % 64)));
    let [v, more, x, y] = wide.each_ref().map(|wide| simd.load64(wide));
    assert_eq!(get_row(simd, simd.narrow_high(v)), wide[0].map(|v| (v >> 32) as u32));
    let mut sums = [0; 16];
    simd.store64(simd.add64_where_ge(v, more, x, y), &mut sums);
    for (i, sum) in sums.into_iter().enumerate() {
        let [v, more, x, y] = wide.map(|wide| wide[i]);
        assert_eq!(sum, if x >= y { v.wrapping_add(more) } else { v });
    }
}

fn check_row_bits<S: RowSimd>(simd: S, source: &mut Source) {
    let (high, low) = (source.elements(), source.elements());
    let len = source.elements().map(|len| len % 64);
    // Apart from each other, the last as far behind as there is room, or further.
    let mut at: Elements = std::array::from_fn(|i| 9 * i as u32 + (source.next() % 2) as u32);
    at[15] = u32::MAX >> (source.next() % 24);
    let mut want = [7; 150];
    for i in 0..16 {
        let bits = u64::from(high[i]) << 32 | u64::from(low[i]);
        let bits = bits.checked_shr(64 - len[i]).unwrap_or(0);
        let at = (at[i] as usize).min(want.len() - 8);
        want[at..at + 8].copy_from_slice(&bits.to_le_bytes());
    }
    let mut got = [7; 150];
    let (bits, at) = ([simd.load(&high), simd.load(&low)], simd.load(&at));
    simd.store_top_bits(bits, simd.load(&len), &mut got, at);
    assert_eq!(got, want);
}

/// Words before ends, with at least as many before each and with fewer.
fn check_row_words<S: RowSimd, const L: usize>(simd: S, source: &mut Source) {
    let words: [u32; 40] = std::array::from_fn(|_| source.next() as u32);
    let narrow = words.map(|word| word as u16);
    for (near, least, count) in [(false, L, 40), (true, 0, 40), (true, 0, L - 1), (true, L, 40)] {
        let mut ends = [0; 16];
        for block in ends.chunks_mut(L) {
            block.fill(least as u32 + source.next() as u32 % (count - least + 1) as u32);
        }
        let word = |i: usize| {
            let at = (ends[i] as usize + i % L).checked_sub(L);
            at.map_or(0, |at| words[at])
        };
        let want: Elements = std::array::from_fn(word);
        let ends = simd.load(&ends);
        let got = simd.load_before::<L, u32>(&words[..count], ends, near);
        assert_eq!(get_row(simd, got), want);
        let got = simd.load_before::<L, u16>(&narrow[..count], ends, near);
        assert_eq!(get_row(simd, got), want.map(|word| word & 0xffff));
    }
    // Ends outside the words give anything, and read nothing else.
    let wild = simd.load(&source.elements());
    for near in [false, true] {
        simd.load_before::<L, u32>(&words, wild, near);
    }
}

#[test]
fn every_level_computes_the_same() {
    for level in Level::available() {
        for seed in 0..20 {
            let rows = matches!(level, Level::Avx512Gather | Level::Avx512Permute);
            assert_eq!(dispatch_rows(level, CheckRows { seed }).is_ok(), rows, "{}", level.name());
            let left = dispatch(level, Check { seed });
            assert_eq!(left.is_err(), level == Level::Scalar, "{}", level.name());
        }
    }
}
