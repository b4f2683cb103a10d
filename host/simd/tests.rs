//! Every level that this machine has against plain arrays.

use super::{Bounded, ByteTable, Level, RunOn, Simd, Simd512, Work, dispatch, dispatch_512};

type Elements = [u32; 16];

/// A generator of awkward elements: small, large, all ones, random (splitmix64).
pub(super) struct Source(pub(super) u64);

impl Source {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn elements<const N: usize>(&mut self) -> [u32; N] {
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

struct Check {
    seed: u64,
}

impl Work for Check {
    type Output = ();
}

impl<S: Simd> RunOn<S> for Check {
    #[inline(always)]
    fn run(self, simd: S) {
        let mut source = Source(self.seed);
        for _ in 0..200 {
            check_arithmetic(simd, &mut source);
            check_quotients(simd, &mut source);
            check_lookups(simd, &mut source);
            check_words(simd, &mut source);
        }
    }
}

fn load<S: Simd>(simd: S, v: Elements) -> S::U32 {
    simd.load(&v)
}

fn get<S: Simd>(simd: S, v: S::U32) -> Elements {
    let mut elements = [0; 16];
    simd.store(v, &mut elements);
    elements
}

fn check_arithmetic<S: Simd>(simd: S, source: &mut Source) {
    let (a, b) = (source.elements(), source.elements());
    let (va, vb) = (load(simd, a), load(simd, b));
    let zip = |f: fn(u32, u32) -> u32| -> Elements { std::array::from_fn(|i| f(a[i], b[i])) };
    assert_eq!(get(simd, va), a);
    assert_eq!(get(simd, simd.splat(a[0])), [a[0]; 16]);
    assert_eq!(get(simd, simd.reverse(va)), std::array::from_fn(|i| a[15 - i]));
    assert_eq!(get(simd, simd.add(va, vb)), zip(u32::wrapping_add));
    assert_eq!(get(simd, simd.sub(va, vb)), zip(u32::wrapping_sub));
    assert_eq!(get(simd, simd.mul(va, vb)), zip(u32::wrapping_mul));
    assert_eq!(get(simd, simd.and(va, vb)), zip(|a, b| a & b));
    assert_eq!(get(simd, simd.shl(va, 12)), a.map(|a| a << 12));
    assert_eq!(get(simd, simd.shr(va, 20)), a.map(|a| a >> 20));
    let bits = b.map(|b| b % 32);
    let by = |f: fn(u32, u32) -> u32| -> Elements { std::array::from_fn(|i| f(a[i], bits[i])) };
    assert_eq!(get(simd, simd.shl_by(va, load(simd, bits))), by(|a, by| a << by));
    assert_eq!(get(simd, simd.shr_by(va, load(simd, bits))), by(|a, by| a >> by));
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
    assert!(!simd.any(simd.nowhere()));
    // All are in one of the two, and those in both are equal.
    let differ = simd.add_where(simd.differ(over, smaller), va, vb);
    assert_eq!(get(simd, differ), zip(|a, b| if a == b { a } else { a.wrapping_add(b) }));
    let sum = simd.add_where(over, va, vb);
    assert_eq!(get(simd, sum), zip(|a, b| if a >= b { a.wrapping_add(b) } else { a }));
    let equal = simd.add_where(simd.ge(va, va), va, vb);
    assert_eq!(get(simd, equal), zip(u32::wrapping_add));
    let difference = simd.sub_where(over, va, vb);
    assert_eq!(get(simd, difference), zip(|a, b| if a >= b { a.wrapping_sub(b) } else { a }));
    assert_eq!(get(simd, simd.select(over, va, vb)), zip(u32::max));
    let bits =
        |f: fn(u32, u32) -> bool| (0..16).map(|i| u16::from(f(a[i], b[i])) << i).sum::<u16>();
    assert_eq!(simd.to_bits(over), bits(|a, b| a >= b));
    assert_eq!(simd.to_bits(simd.eq(va, vb)), bits(|a, b| a == b));
    assert_eq!(simd.to_bits(simd.both(over, smaller)), bits(|a, b| a == b));
    assert_eq!(simd.to_bits(simd.nowhere()), 0);
}

fn check_quotients<S: Simd>(simd: S, source: &mut Source) {
    let d = source.elements().map(|d| (d & 0xffff) + 1);
    // Dividends where the quotient changes, up to the largest quotient, and any.
    let most = |d: u32| (u64::from(d) << 20).min(1 << 31) as u32;
    let values: Elements = source.elements();
    let x: Elements = std::array::from_fn(|i| {
        let x = values[i] % most(d[i]);
        match values[i] >> 30 {
            0 => x,
            1 => most(d[i]) - 1,
            2 => x - x % d[i],
            _ => (x - x % d[i]).saturating_sub(1),
        }
    });
    let q = get(simd, simd.quotient(load(simd, x), load(simd, d)));
    for i in 0..16 {
        assert!(q[i] == x[i] / d[i] || q[i] + 1 == x[i] / d[i], "{} / {}: {}", x[i], d[i], q[i]);
    }
    let x = source.elements().map(|x| x >> 1);
    let q = get(simd, simd.quotient(load(simd, x), load(simd, d)));
    for i in 0..16 {
        assert!(q[i] <= x[i] / d[i], "{} / {}: {}", x[i], d[i], q[i]);
    }
}

fn check_lookups<S: Simd>(simd: S, source: &mut Source) {
    let a = source.elements();
    let va = load(simd, a);
    let bytes: [u8; 64] = std::array::from_fn(|_| source.next() as u8);
    let mut stored = [0; 64];
    simd.store_bytes(simd.load_bytes(&bytes), &mut stored);
    assert_eq!(stored, bytes);
    let few: [u32; 9] = std::array::from_fn(|_| source.next() as u32);
    assert_eq!(get(simd, simd.gather(&few, va)), a.map(|i| few[i.min(8) as usize]));
    let mut out = [0; 16];
    simd.gather_to(&few, va, &mut out);
    assert_eq!(out, a.map(|i| few[i.min(8) as usize]));
    let table: [u32; 64] = std::array::from_fn(|_| source.next() as u32);
    assert_eq!(get(simd, simd.gather_modulo(&table, va)), a.map(|a| table[a as usize % 64]));

    let table: [u64; 77] = std::array::from_fn(|_| source.next());
    let index = a.map(|a| a % 90);
    let (bounded, v) = (Bounded::new(simd, &table), simd.load(&index));
    for halves in [simd.gather_halves(&bounded, v), simd.load_halves(&bounded, v)] {
        let of = index.map(|i| table[i.min(76) as usize]);
        assert_eq!(get(simd, halves[0]), of.map(|value| value as u32));
        assert_eq!(get(simd, halves[1]), of.map(|value| (value >> 32) as u32));
    }

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
}

fn check_words<S: Simd>(simd: S, source: &mut Source) {
    // Between hardly any and nearly all elements emit or take a word.
    let shift = source.next() % 31;
    let mut states: [Elements; 2] =
        std::array::from_fn(|_| source.elements().map(|x| (x >> 1) >> ((x & 1) * shift as u32)));
    let bounds: [Elements; 2] = std::array::from_fn(|_| source.elements().map(|x| x >> 1));
    let mut out = [0; 64];
    let (emitted, count) =
        simd.emit_words(states.map(|v| load(simd, v)), bounds.map(|v| load(simd, v)), &mut out);
    let mut want = Vec::new();
    let mut after = states;
    for i in 0..32 {
        let x = &mut after[i % 2][i / 2];
        if *x >= bounds[i % 2][i / 2] {
            want.extend((*x as u16).to_le_bytes());
            *x >>= 16;
        }
    }
    assert_eq!(emitted.map(|v| get(simd, v)), after);
    assert_eq!((count * 2, &out[..count * 2]), (want.len(), &want[..]));

    let words: [u8; 64] = std::array::from_fn(|_| source.next() as u8);
    let bound = 1 << 15;
    let (next, count) = simd.renormalise(states.map(|v| load(simd, v)), bound, &words);
    let mut left = &words[..];
    for i in 0..32 {
        let x = &mut states[i % 2][i / 2];
        if *x < bound {
            let (rest, word) = left.split_last_chunk::<2>().expect("32 words");
            *x = *x << 16 | u32::from(u16::from_le_bytes(*word));
            left = rest;
        }
    }
    assert_eq!(next.map(|v| get(simd, v)), states);
    assert_eq!(64 - 2 * count, left.len());
}

/// What rows across vectors need, as far as the codec's tests would not show what is wrong.
struct CheckRows {
    seed: u64,
}

impl Work for CheckRows {
    type Output = ();
}

impl<S: Simd512> RunOn<S> for CheckRows {
    #[inline(always)]
    fn run(self, simd: S) {
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

fn check_row_arithmetic<S: Simd512>(simd: S, source: &mut Source) {
    let (a, b, c) = (source.elements(), source.elements(), source.elements());
    let (va, vb) = (simd.load(&a), simd.load(&b));
    assert_eq!(get(simd, simd.or(va, vb)), std::array::from_fn(|i| a[i] | b[i]));
    let by = c.map(|c| c % 40);
    let shifted = |i: usize| a[i].checked_shr(by[i]).unwrap_or(0);
    assert_eq!(get(simd, simd.shr_by(va, simd.load(&by))), std::array::from_fn(shifted));
    let both = |i: usize| u64::from(a[i]) << 32 | u64::from(b[i]);
    let down = simd.funnel_shr(va, vb, simd.load(&c));
    assert_eq!(get(simd, down), std::array::from_fn(|i| (both(i) >> (c[i] % 32)) as u32));
    let up = simd.funnel_shl(va, vb, simd.load(&c));
    let upper = |i: usize| (both(i) << (c[i] % 32) >> 32) as u32;
    assert_eq!(get(simd, up), std::array::from_fn(upper));
    let table: [u16; 77] = std::array::from_fn(|_| source.next() as u16);
    let index = a.map(|a| a % 90);
    let found = simd.gather_u16(&table, simd.load(&index));
    assert_eq!(get(simd, found), index.map(|i| u32::from(table[i.min(75) as usize])));
    let entries: [u32; 256] = std::array::from_fn(|_| source.next() as u32);
    let mut four = ByteTable::<4>::zeroed();
    four.set(&entries);
    let found = simd.lookup_bytes(&four, va);
    for (k, found) in found.into_iter().enumerate() {
        assert_eq!(get(simd, found), a.map(|a| entries[(a >> (8 * k)) as usize & 0xff]));
    }
}

fn check_row_moves<S: Simd512>(simd: S, source: &mut Source) {
    let of: [Elements; 4] = std::array::from_fn(|_| source.elements());
    let all = of.as_flattened();
    let [a, b, c, d] = std::array::from_fn(|k| simd.load(&of[k]));
    let halves = |e: usize| all[2 * e] & 0xffff | all[2 * e + 1] << 16;
    assert_eq!(get(simd, simd.low_halves([a, b])), std::array::from_fn(halves));
    let bytes = |e: usize| u32::from_le_bytes(std::array::from_fn(|k| all[4 * e + k] as u8));
    assert_eq!(get(simd, simd.low_bytes([a, b, c, d])), std::array::from_fn(bytes));
    for (k, part) in simd.halves_from_top(a).into_iter().enumerate() {
        let half = |e: usize| of[0][8 * k + e / 2] >> (16 * (1 - e % 2)) & 0xffff;
        assert_eq!(get(simd, part), std::array::from_fn(half));
    }
    for (k, part) in simd.bytes_from_top(a).into_iter().enumerate() {
        let byte = |e: usize| u32::from(of[0][4 * k + e / 4].to_be_bytes()[e % 4]);
        assert_eq!(get(simd, part), std::array::from_fn(byte));
    }
}

fn check_row_masks<S: Simd512>(simd: S, source: &mut Source) {
    let (value, mask) = (source.next(), source.next());
    let mut want = 0;
    for (to, from) in (0..64).filter(|bit| mask >> bit & 1 == 1).enumerate() {
        want |= (value >> from & 1) << to;
    }
    assert_eq!(simd.extract_bits(value, mask), want);
    assert_eq!(get(simd, simd.splat_mask(value as u16)), [value as u32 & 0xffff; 16]);
    let (a, b, c) = (source.elements(), source.elements(), source.elements());
    let both = [a, b];
    let moved = simd.permute_two(simd.load(&a), simd.load(&b), simd.load(&c));
    let element = |i: usize| both.as_flattened()[c[i] as usize % 32];
    assert_eq!(get(simd, moved), std::array::from_fn(element));
    let wide: [[u64; 16]; 4] =
        std::array::from_fn(|_| std::array::from_fn(|_| source.next() >> (source.next() % 64)));
    let [v, more, x, y] = wide.each_ref().map(|wide| simd.load64(wide));
    assert_eq!(get(simd, simd.narrow_high(v)), wide[0].map(|v| (v >> 32) as u32));
    let mut sums = [0; 16];
    simd.store64(simd.add64_where_ge(v, more, x, y), &mut sums);
    for (i, sum) in sums.into_iter().enumerate() {
        let [v, more, x, y] = wide.map(|wide| wide[i]);
        assert_eq!(sum, if x >= y { v.wrapping_add(more) } else { v });
    }
}

fn check_row_bits<S: Simd512>(simd: S, source: &mut Source) {
    let (high, low) = (source.elements(), source.elements());
    let len = source.elements().map(|len| len % 64);
    // Apart from each other, the last as far behind as the array goes, or further.
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
fn check_row_words<S: Simd512, const L: usize>(simd: S, source: &mut Source) {
    let words: [u32; 40] = std::array::from_fn(|_| source.next() as u32);
    let narrow = words.map(|word| word as u16);
    for (few, least, count) in [(false, L, 40), (true, 0, 40), (true, 0, L - 1), (true, L, 40)] {
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
        let got = simd.load_before::<L, u32>(&words[..count], ends, few);
        assert_eq!(get(simd, got), want);
        let got = simd.load_before::<L, u16>(&narrow[..count], ends, few);
        assert_eq!(get(simd, got), want.map(|word| word & 0xffff));
    }
    // Ends outside the words give anything, and read nothing else.
    let wild = simd.load(&source.elements());
    for few in [false, true] {
        simd.load_before::<L, u32>(&words, wild, few);
    }
}

#[test]
fn every_level_computes_the_same() {
    for level in Level::available() {
        for seed in 0..20 {
            let rows = matches!(level, Level::Avx512Gather | Level::Avx512Permute);
            assert_eq!(dispatch_512(level, CheckRows { seed }).is_ok(), rows, "{}", level.name());
            let left = dispatch(level, Check { seed });
            assert_eq!(left.is_err(), level == Level::Scalar, "{}", level.name());
        }
    }
}
