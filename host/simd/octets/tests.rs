//! Vectors of eight elements against plain arrays.

use super::super::tests::Source;
use super::super::{Level, RunOn, Work, dispatch_octets, has_octets};
use super::{Octets, PLACES, Places, Quad, Quads};

type Elements = [u32; 8];

impl Source {
    fn wide(&mut self) -> [u64; 8] {
        std::array::from_fn(|_| self.next() >> (self.next() % 64))
    }
}

struct Check {
    seed: u64,
}

impl Work for Check {
    type Output = ();
}

impl<S: Octets> RunOn<S> for Check {
    #[inline(always)]
    fn run(self, s: S) {
        let mut source = Source(self.seed);
        for _ in 0..100 {
            check_arithmetic(s, &mut source);
            check_wide(s, &mut source);
            check_quotients(s, &mut source);
            check_tables(s, &mut source);
            check_moves::<S, 1>(s, &mut source);
            check_moves::<S, 2>(s, &mut source);
            check_moves::<S, 4>(s, &mut source);
            check_moves::<S, 8>(s, &mut source);
            check_words(s, &mut source);
        }
    }
}

fn get<S: Octets>(s: S, v: S::V) -> Elements {
    let mut elements = [0; 8];
    s.store(v, &mut elements);
    elements
}

fn get64<S: Octets>(s: S, v: S::W) -> [u64; 8] {
    let mut elements = [0; 8];
    s.store64(v, &mut elements);
    elements
}

fn ones(truth: bool) -> u32 {
    if truth { u32::MAX } else { 0 }
}

fn check_arithmetic<S: Octets>(s: S, source: &mut Source) {
    let (a, b) = (source.elements(), source.elements());
    let (va, vb) = (s.load(&a), s.load(&b));
    let zip = |f: fn(u32, u32) -> u32| -> Elements { std::array::from_fn(|i| f(a[i], b[i])) };
    assert_eq!(get(s, s.splat(a[0])), [a[0]; 8]);
    assert_eq!(get(s, s.add(va, vb)), zip(u32::wrapping_add));
    assert_eq!(get(s, s.sub(va, vb)), zip(u32::wrapping_sub));
    assert_eq!(get(s, s.mul(va, vb)), zip(u32::wrapping_mul));
    assert_eq!(get(s, s.and(va, vb)), zip(|a, b| a & b));
    assert_eq!(get(s, s.and_not(va, vb)), zip(|a, b| !a & b));
    assert_eq!(get(s, s.or(va, vb)), zip(|a, b| a | b));
    assert_eq!(get(s, s.max(va, vb)), zip(u32::max));
    assert_eq!(get(s, s.min(va, vb)), zip(u32::min));
    assert_eq!(get(s, s.gt(va, vb)), zip(|a, b| ones(a as i32 > b as i32)));
    assert_eq!(get(s, s.eq(va, vb)), zip(|a, b| ones(a == b)));
    assert_eq!(get(s, s.eq(va, va)), [u32::MAX; 8]);
    assert_eq!(get(s, s.shl::<12>(va)), a.map(|a| a << 12));
    assert_eq!(get(s, s.shr::<20>(va)), a.map(|a| a >> 20));
    let by = b.map(|b| b % 40);
    let vby = s.load(&by);
    let shifted = |f: fn(u32, u32) -> Option<u32>| -> Elements {
        std::array::from_fn(|i| f(a[i], by[i]).unwrap_or(0))
    };
    assert_eq!(get(s, s.shl_by(va, vby)), shifted(u32::checked_shl));
    assert_eq!(get(s, s.shr_by(va, vby)), shifted(u32::checked_shr));
    let signs = (0..8).map(|i| u8::from(a[i] >> 31 == 1) << i).sum::<u8>();
    assert_eq!(s.signs(va), signs);
    assert_eq!(s.any(va), a.iter().any(|&a| a != 0));
    assert!(!s.any(s.splat(0)));
    let bytes: &[u8; 32] = bytemuck::cast_ref(&a);
    let signs = bytes.iter().rev().fold(0, |signs, byte| signs << 1 | u32::from(byte >> 7));
    assert_eq!(s.byte_signs(va), signs);
}

fn check_wide<S: Octets>(s: S, source: &mut Source) {
    let (a, b, c) = (source.wide(), source.wide(), source.elements());
    let (va, vb) = (s.load64(&a), s.load64(&b));
    let zip = |f: fn(u64, u64) -> u64| -> [u64; 8] { std::array::from_fn(|i| f(a[i], b[i])) };
    assert_eq!(get64(s, va), a);
    assert_eq!(get64(s, s.splat64(a[0])), [a[0]; 8]);
    assert_eq!(get64(s, s.add64(va, vb)), zip(u64::wrapping_add));
    assert_eq!(get64(s, s.sub64(va, vb)), zip(u64::wrapping_sub));
    assert_eq!(get64(s, s.mul_low(va, vb)), zip(|a, b| (a & 0xffff_ffff) * (b & 0xffff_ffff)));
    assert_eq!(get64(s, s.and64(va, vb)), zip(|a, b| a & b));
    assert_eq!(get64(s, s.or64(va, vb)), zip(|a, b| a | b));
    assert_eq!(get64(s, s.shl64::<32>(va)), a.map(|a| a << 32));
    assert_eq!(get64(s, s.shr64::<58>(va)), a.map(|a| a >> 58));
    let by = b.map(|b| b % 80);
    let vby = s.load64(&by);
    let left = |i: usize| a[i].checked_shl(by[i] as u32).unwrap_or(0);
    assert_eq!(get64(s, s.shl64_by(va, vby)), std::array::from_fn(left));
    let right = |i: usize| a[i].checked_shr(by[i] as u32).unwrap_or(0);
    assert_eq!(get64(s, s.shr64_by(va, vby)), std::array::from_fn(right));
    assert_eq!(get64(s, s.widen(s.load(&c))), c.map(u64::from));
    assert_eq!(get(s, s.narrow(va)), a.map(|a| a as u32));
    assert_eq!(get(s, s.narrow_high(va)), a.map(|a| (a >> 32) as u32));
}

/// Estimates of quotients are exact or one more, up to the largest that a push asks for.
fn check_quotients<S: Octets>(s: S, source: &mut Source) {
    let freq = source.elements().map(|f| (f & 0xffff) + 1);
    let near: Elements = source.elements();
    // Dividends where the quotient changes, and any.
    let dividend = |most: u64, f: u64, any: u64, near: u32| {
        let x = match near % 4 {
            0 => any % most,
            1 => most - 1,
            2 => any % most / f * f,
            _ => (any % most / f * f).saturating_sub(1),
        };
        x.min(most - 1)
    };
    let x: [u64; 8] = std::array::from_fn(|i| {
        let f = u64::from(freq[i]);
        // A precision of 13 or one that holds the frequency, if that is more.
        let precision = 13.max(f.next_power_of_two().ilog2());
        dividend(f << (63 - precision), f, source.next(), near[i])
    });
    let inverse = freq.map(|f| (1.0 / f64::from(f)).to_bits());
    let q = get64(s, s.round_product64(s.load64(&x), s.load64(&inverse)));
    for i in 0..8 {
        let exact = x[i] / u64::from(freq[i]);
        assert!(q[i] == exact || q[i] == exact + 1, "{} / {}: {}", x[i], freq[i], q[i]);
    }
    let x: Elements = std::array::from_fn(|i| {
        let f = u64::from(freq[i]);
        let precision = 10.max(f.next_power_of_two().ilog2());
        dividend(f << (31 - precision), f, source.next(), near[i]) as u32
    });
    let inverse = freq.map(|f| (1.0 / f as f32).to_bits());
    let q = get(s, s.round_product(s.load(&x), s.load(&inverse)));
    for i in 0..8 {
        let exact = x[i] / freq[i];
        assert!(q[i] == exact || q[i] == exact + 1, "{} / {}: {}", x[i], freq[i], q[i]);
    }
}

fn check_tables<S: Octets>(s: S, source: &mut Source) {
    let table: [Quad; 77] = std::array::from_fn(|_| {
        let [a, b, c, d, ..]: Elements = source.elements();
        Quad([a, b, c, d])
    });
    // Some past the end, which find the last one.
    let index = source.elements().map(|i| if i % 9 == 0 { i } else { i % 90 });
    let of = |i: u32| table[i.min(76) as usize].0;
    let quads = Quads::new(s, &table).expect("a table");
    for (k, found) in s.load_quads(&quads, s.load(&index)).into_iter().enumerate() {
        assert_eq!(get(s, found), index.map(|i| of(i)[k]));
    }
    let mut places = Places::new(&table).expect("a table");
    places.fill(0..PLACES, 3);
    for eight in places.eights(16..24) {
        s.set_places(eight, s.load(&index));
    }
    let got = s.quads_at::<8>(places.view(), 16, 0);
    let pairs = s.pairs_at::<2>(places.view(), 16, 2);
    for (k, found) in got.into_iter().enumerate() {
        assert_eq!(get(s, found), index.map(|i| of(i)[k]));
    }
    for (k, found) in pairs.into_iter().enumerate() {
        let pair = |i: u32| u64::from(of(i)[2 * k]) | u64::from(of(i)[2 * k + 1]) << 32;
        assert_eq!(get64(s, found), index.map(pair));
    }
    places.set(17, u32::MAX);
    let rows = s.quads_at::<1>(places.view(), 9, 8);
    let row = |r: usize| match r {
        1 => of(u32::MAX)[0],
        _ => of(3)[0],
    };
    assert_eq!(get(s, rows[0]), std::array::from_fn(row));

    let words: [u32; 9] = std::array::from_fn(|_| source.next() as u32);
    let found = s.gather(&words, s.load(&index));
    assert_eq!(get(s, found), index.map(|i| words[i.min(8) as usize]));
    assert_eq!(get(s, s.look_up(&words, s.load(&index))), get(s, found));
    let halves: [u16; 40] = std::array::from_fn(|_| source.next() as u16);
    let found = s.look_up_u16(&halves, s.load(&index));
    assert_eq!(get(s, found), index.map(|i| u32::from(halves[i.min(38) as usize])));
    let bytes: &[u8] = bytemuck::cast_slice(&words);
    let ends = source.elements().map(|end| end % 37);
    let before = |end: u32| {
        (1..=4).fold(0, |word, back| {
            let byte = (end as usize).checked_sub(back).map_or(0, |at| bytes[at]);
            word << 8 | u32::from(byte)
        })
    };
    assert_eq!(get(s, s.gather_before(bytes, s.load(&ends))), ends.map(before));
    // Ends anywhere read something; those with eight bytes before them read those.
    let ends = source.elements().map(|end| if end % 9 == 0 { end } else { 8 + end % 29 });
    let found = get64(s, s.load_eight_before(bytes, s.load(&ends)));
    for (end, found) in ends.into_iter().zip(found) {
        if let Some(eight) = (end as usize).checked_sub(8).and_then(|at| bytes.get(at..at + 8)) {
            assert_eq!(found.to_le_bytes(), eight);
        }
    }
    // Bytes of elements that lie apart, and one past the end, which goes to the last eight.
    let values = source.wide();
    let (mut to, at) = ([7; 80], [40, 0, 9, 18, 27, 63, u32::MAX, 55]);
    let mut expected = to;
    for (at, value) in at.into_iter().zip(values) {
        let at = at.min(72) as usize;
        expected[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    s.store_eight(s.load64(&values), &mut to, s.load(&at));
    assert_eq!(to, expected);
    // Ends outside the bytes give anything, and read nothing else.
    s.gather_before(bytes, s.load(&source.elements()));
}

fn check_moves<S: Octets, const L: usize>(s: S, source: &mut Source) {
    let across = 8 / L;
    let of: [Elements; 8] = std::array::from_fn(|_| source.elements());
    let turned = s.transpose::<L>(of.map(|v| s.load(&v)));
    for (r, &turned) in turned.iter().enumerate().take(across) {
        let element = |e: usize| of[e / L][r * L + e % L];
        assert_eq!(get(s, turned), std::array::from_fn(element));
    }
    let words: [[u16; 16]; 8] = of.map(bytemuck::cast);
    let turned = s.transpose_words::<L>(of.map(|v| s.load(&v)));
    for (r, &turned) in turned.iter().enumerate().take(across) {
        let word = |w: usize| words[w % 8 / L][w / 8 * 8 + r * L + w % L];
        let got: [u16; 16] = bytemuck::cast(get(s, turned));
        assert_eq!(got, std::array::from_fn(word));
    }
    let packed: [u16; 16] = bytemuck::cast(get(s, s.pack(s.load(&of[0]), s.load(&of[1]))));
    assert_eq!(packed, std::array::from_fn(|w| of[w / 8][w % 8] as u16));

    // The order in which elements are emitted: blocks in turn, in each the last first.
    let order = (0..8).map(|at| at / L * L + L - 1 - at % L);
    let masks = source.next().to_le_bytes();
    let picked = |mask: u8| order.clone().filter(move |&e| mask >> e & 1 == 1);
    let v = s.load(&of[2]);
    let mut out = [0; 8];
    s.compress::<L>(v, masks[0], &mut out);
    let want: Vec<u32> = picked(masks[0]).map(|e| of[2][e]).collect();
    assert_eq!(out[..want.len()], want);
    let words: [u16; 16] = bytemuck::cast(of[2]);
    let compressed = s.compress_words::<L>(v, [masks[1], masks[2]]);
    let mut halves = [[0; 8]; 2];
    s.store_words::<0>(compressed, &mut halves[0]);
    s.store_words::<1>(compressed, &mut halves[1]);
    for (half, out) in halves.iter().enumerate() {
        let want: Vec<u16> = picked(masks[1 + half]).map(|e| words[8 * half + e]).collect();
        assert_eq!(out[..want.len()], want);
    }
    let bytes: [u8; 32] = bytemuck::cast(of[2]);
    let mask = u16::from_le_bytes([masks[3], masks[4]]);
    let bits = order.clone().flat_map(|e| [2 * e, 2 * e + 1]);
    let bits: Vec<usize> = bits.filter(|bit| mask >> bit & 1 == 1).collect();
    let mut out = [[0; 16]; 2];
    s.compress_bytes::<L, 0>(v, mask, &mut out[0]);
    s.compress_bytes::<L, 1>(v, mask, &mut out[1]);
    for (half, out) in out.iter().enumerate() {
        let want: Vec<u8> = bits.iter().map(|bit| bytes[16 * half + bit]).collect();
        assert_eq!(out[..want.len()], want);
    }

    let block = |e: usize| ((1u32 << L) - 1) << (e / L * L) & u32::from(masks[5]);
    let before = |e: usize| (block(e) & ((1 << e) - 1)).count_ones();
    assert_eq!(get(s, s.before::<L>(masks[5])), std::array::from_fn(before));
    assert_eq!(get(s, s.total::<L>(masks[5])), std::array::from_fn(|e| block(e).count_ones()));
}

fn check_words<S: Octets>(s: S, source: &mut Source) {
    let mask = source.next() as u8;
    let words: [u32; 20] = std::array::from_fn(|_| source.next() as u32);
    let narrow = words.map(|word| word as u16);
    let end = source.next() as usize % 21;
    let before = |end: usize, back: usize| end.checked_sub(back).map_or(0, |at| words[at]);
    let mut taken = 0;
    let want: Elements = std::array::from_fn(|e| {
        let own = mask >> e & 1;
        taken += usize::from(own);
        if own == 1 { before(end, taken) & 0xffff } else { 0 }
    });
    assert_eq!(get(s, s.expand_words(&narrow, end, mask)), want);
    let dealt = get(s, s.expand_eight(&words, end, mask));
    let mut taken = 0;
    for (e, dealt) in dealt.into_iter().enumerate().filter(|(e, _)| mask >> e & 1 == 1) {
        taken += 1;
        assert_eq!(dealt, before(end, taken), "element {e}");
    }
    let ends = [end, source.next() as usize % 21];
    let mut taken = [0; 2];
    let want: Elements = std::array::from_fn(|e| {
        let own = mask >> e & 1;
        taken[e / 4] += usize::from(own);
        if own == 1 { before(ends[e / 4], taken[e / 4]) } else { 0 }
    });
    assert_eq!(get(s, s.expand_fours(&words, ends, mask)), want);
    // Ends outside the words give anything, and read nothing else.
    let wild = [source.next() as usize, 0usize.wrapping_sub(source.next() as usize % 9)];
    s.expand_words(&narrow, wild[0], mask);
    s.expand_words(&narrow[..5], wild[1], mask);
    s.expand_eight(&words, wild[0], mask);
    s.expand_eight(&words[..5], wild[1], mask);
    s.expand_fours(&words, wild, mask);
    s.expand_fours(&words[..3], [end, wild[1]], mask);
    let line: [u32; 16] = std::array::from_fn(|_| source.next() as u32);
    let mut to = [0; 18];
    for at in 0..3 {
        if let Some(out) = to[at..].first_chunk_mut() {
            s.copy_non_temporal(&line, out);
        }
        s.fence();
        assert_eq!(to[at..at + 16], line);
    }
}

#[test]
fn octets_compute_what_arrays_do() {
    for level in Level::available() {
        for seed in 0..20 {
            assert_eq!(dispatch_octets(level, Check { seed }).is_ok(), has_octets(level));
        }
    }
}

#[test]
fn tables_without_entries_are_refused() {
    assert!(Places::new(&[]).is_none());
}
