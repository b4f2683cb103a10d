//! One symbol of sixteen states at once: [`step`](parans_kernels::codec::step) over vectors.
//!
//! The arithmetic is that of the codec, and the tests of this folder hold the two against each other. Only the division differs: the codec
//! multiplies by an integer reciprocal, which a vector has no 64-bit product for. Here a quotient is estimated in floating point, every
//! rounding downwards, so that it is exact or one too small, and the remainder tells which.

use parans_kernels::codec::{Rans32, Rans32x16, Rans64};

use super::super::lanes32::Lanes32;
use crate::simd::rows::RowSimd;

/// Below this precision the quotients of 32-bit states exceed what `RowSimd::quotient` takes.
const SINGLE_PRECISION: u32 = 10;

/// Below this precision the quotients of 64-bit states exceed what one `RowSimd::quotient64` is exact for.
const DOUBLE_PRECISION: u32 = 14;

/// What sixteen states shed in one step.
#[derive(Clone, Copy)]
pub(crate) struct Shed<V> {
    /// The words, in the low bits; two of them for families that can shed two.
    pub(crate) words: V,
    /// Who sheds a word.
    pub(crate) first: u16,
    /// Who sheds a second one.
    pub(crate) second: u16,
}

/// A family over vectors, for precisions up to 16.
pub(crate) trait WideFamily: Lanes32 {
    /// Sixteen states.
    type States<S: RowSimd>: Copy;

    /// Sixteen states.
    fn load<S: RowSimd>(s: S, from: &[Self::State; 16]) -> Self::States<S>;
    /// Inverse of [`load`](Self::load).
    fn store<S: RowSimd>(s: S, states: Self::States<S>, to: &mut [Self::State; 16]);

    /// Sheds words and pushes a symbol on each state.
    fn push<S: RowSimd>(
        s: S,
        states: Self::States<S>,
        freq: S::U32,
        start: S::U32,
        precision: u32,
    ) -> (Self::States<S>, Shed<S::U32>);

    /// The low bits of each state.
    fn low<S: RowSimd>(s: S, states: Self::States<S>) -> S::U32;

    /// Takes a symbol of this frequency and rank out of each state.
    fn advance<S: RowSimd>(
        s: S,
        states: Self::States<S>,
        freq: S::U32,
        rank: S::U32,
        precision: u32,
    ) -> Self::States<S>;

    /// Fetches the words that come next.
    fn fetch<S: RowSimd, const L: usize>(
        s: S,
        words: &[Self::Word],
        cursors: Cursors<S::U32>,
    ) -> Cursors<S::U32>;

    /// Takes words in. `cursors` are the words left below each row's end, counted from the first of all `words`.
    fn refill<S: RowSimd, const L: usize>(
        s: S,
        states: Self::States<S>,
        words: &[Self::Word],
        cursors: Cursors<S::U32>,
    ) -> (Self::States<S>, Cursors<S::U32>);

    /// Appends what a vector of shed words, in the order of one row, puts out. `None` where the row has no room.
    fn emit<S: RowSimd>(
        s: S,
        shed: Shed<S::U32>,
        room: &mut [Self::Word],
        len: usize,
    ) -> Option<usize>;
}

/// Where sixteen elements stand in the words of their rows.
#[derive(Clone, Copy)]
pub(crate) struct Cursors<V> {
    /// End of the words left.
    pub(crate) end: V,
    /// Beginning of the row.
    pub(crate) floor: V,
    /// Elements that found no word.
    pub(crate) missing: u16,
    /// The words that the first, second, ... state of each row to want one gets: fetched a step ahead, so that no state waits for memory.
    pub(crate) next: V,
}

/// Bit masks of the elements that share a row with each element: those before it, and all of them.
struct Group<const L: usize>;

impl<const L: usize> Group<L> {
    const LANE: [u32; 16] = {
        let mut lanes = [0; 16];
        let mut e = 0;
        while e < 16 {
            lanes[e] = (e % L) as u32;
            e += 1;
        }
        lanes
    };
    const FIRST: [u32; 16] = {
        let mut first = [0; 16];
        let mut e = 0;
        while e < 16 {
            first[e] = (e / L * L) as u32;
            e += 1;
        }
        first
    };
    const BEFORE: [u32; 16] = {
        let mut masks = [0; 16];
        let mut e = 0;
        while e < 16 {
            masks[e] = ((1 << (e % L)) - 1) << (e / L * L);
            e += 1;
        }
        masks
    };
    const ALL: [u32; 16] = {
        let mut masks = [0; 16];
        let mut e = 0;
        while e < 16 {
            masks[e] = ((1 << L) - 1) << (e / L * L);
            e += 1;
        }
        masks
    };
}

/// How many words the elements before each one in its row take, and all of them, where those of `mask` take one.
#[inline(always)]
fn taken<S: RowSimd, const L: usize>(s: S, mask: u16) -> (S::U32, S::U32) {
    let mask = s.splat(mask.into());
    let count = |group: &[u32; 16]| s.count_ones(s.and(mask, s.load(group)));
    (count(const { &Group::<L>::BEFORE }), count(const { &Group::<L>::ALL }))
}

impl WideFamily for Rans64 {
    type States<S: RowSimd> = S::U64;

    #[inline(always)]
    fn load<S: RowSimd>(s: S, from: &[u64; 16]) -> S::U64 {
        s.load64(from)
    }

    #[inline(always)]
    fn store<S: RowSimd>(s: S, states: S::U64, to: &mut [u64; 16]) {
        s.store64(states, to);
    }

    #[inline(always)]
    fn push<S: RowSimd>(
        s: S,
        x: S::U64,
        freq: S::U32,
        start: S::U32,
        precision: u32,
    ) -> (S::U64, Shed<S::U32>) {
        let f = s.widen(freq);
        let shed = s.ge64(s.shr64(x, 63 - precision), f);
        let words = s.narrow(x);
        let x = s.select64(shed, s.shr64(x, 32), x);
        let mut q = s.quotient64(x, freq);
        if precision < DOUBLE_PRECISION {
            // Never too large: what is left over is divided once more.
            q = s.add64(q, s.quotient64(s.sub64(x, s.mul64(q, f)), freq));
        }
        let r = s.sub64(x, s.mul64(q, f));
        // One too small: the remainder still holds a whole frequency. Moving it over adds 2^p - f.
        let small = s.ge64(r, f);
        let x = s.add64(s.add64(s.shl64(q, precision), r), s.widen(start));
        let corrected = s.add64(x, s.sub64(s.widen(s.splat(1 << precision)), f));
        (s.select64(small, corrected, x), Shed { words, first: shed, second: 0 })
    }

    #[inline(always)]
    fn low<S: RowSimd>(s: S, states: S::U64) -> S::U32 {
        s.narrow(states)
    }

    #[inline(always)]
    fn advance<S: RowSimd>(s: S, x: S::U64, freq: S::U32, rank: S::U32, precision: u32) -> S::U64 {
        s.add64(s.mul64(s.shr64(x, precision), s.widen(freq)), s.widen(rank))
    }

    #[inline(always)]
    fn fetch<S: RowSimd, const L: usize>(
        s: S,
        words: &[u32],
        cursors: Cursors<S::U32>,
    ) -> Cursors<S::U32> {
        let last = s.sub(cursors.end, s.splat(1));
        let next = s.gather(words, s.sub(last, s.load(const { &Group::<L>::LANE })));
        Cursors { next, ..cursors }
    }

    #[inline(always)]
    fn refill<S: RowSimd, const L: usize>(
        s: S,
        x: S::U64,
        words: &[u32],
        cursors: Cursors<S::U32>,
    ) -> (S::U64, Cursors<S::U32>) {
        let want = !s.ge64(x, s.widen(s.splat(1 << 31)));
        let (before, all) = taken::<S, L>(s, want);
        let after = s.sub(cursors.end, before);
        let missing = cursors.missing | (want & s.ge(cursors.floor, after));
        let word = if L == 1 {
            cursors.next
        } else {
            s.permute(cursors.next, s.add(before, s.load(const { &Group::<L>::FIRST })))
        };
        let x = s.select64(want, s.or64(s.shl64(x, 32), s.widen(word)), x);
        let cursors = Cursors { end: s.sub(cursors.end, all), missing, ..cursors };
        (x, Self::fetch::<S, L>(s, words, cursors))
    }

    #[inline(always)]
    fn emit<S: RowSimd>(s: S, shed: Shed<S::U32>, words: &mut [u32], len: usize) -> Option<usize> {
        let count = shed.first.count_ones() as usize;
        if let Some(out) = words[len..].first_chunk_mut() {
            s.compress_u32(shed.words, shed.first, out);
        } else {
            let mut out = [0; 16];
            s.compress_u32(shed.words, shed.first, &mut out);
            words.get_mut(len..len + count)?.copy_from_slice(&out[..count]);
        }
        Some(len + count)
    }
}

/// What the two families of 32-bit states share.
#[inline(always)]
fn push32<S: RowSimd>(s: S, x: S::U32, freq: S::U32, start: S::U32, precision: u32) -> S::U32 {
    let q = if precision >= SINGLE_PRECISION {
        s.quotient(x, freq)
    } else {
        s.narrow(s.quotient64(s.widen(x), freq))
    };
    let r = s.sub(x, s.mul(q, freq));
    let small = s.ge(r, freq);
    let x = s.add(s.add(s.shl(q, precision), r), start);
    let corrected = s.add(x, s.sub(s.splat(1 << precision), freq));
    s.select(small, corrected, x)
}

macro_rules! states32 {
    () => {
        type States<S: RowSimd> = S::U32;

        #[inline(always)]
        fn load<S: RowSimd>(s: S, from: &[u32; 16]) -> S::U32 {
            s.load(from)
        }

        #[inline(always)]
        fn store<S: RowSimd>(s: S, states: S::U32, to: &mut [u32; 16]) {
            s.store(states, to);
        }

        #[inline(always)]
        fn low<S: RowSimd>(_s: S, states: S::U32) -> S::U32 {
            states
        }

        #[inline(always)]
        fn advance<S: RowSimd>(
            s: S,
            x: S::U32,
            freq: S::U32,
            rank: S::U32,
            precision: u32,
        ) -> S::U32 {
            s.add(s.mul(s.shr(x, precision), freq), rank)
        }
    };
}

impl WideFamily for Rans32x16 {
    states32!();

    #[inline(always)]
    fn push<S: RowSimd>(
        s: S,
        x: S::U32,
        freq: S::U32,
        start: S::U32,
        precision: u32,
    ) -> (S::U32, Shed<S::U32>) {
        let shed = s.ge(s.shr(x, 31 - precision), freq);
        let lower = s.select(shed, s.shr(x, 16), x);
        (push32(s, lower, freq, start, precision), Shed { words: x, first: shed, second: 0 })
    }

    #[inline(always)]
    fn fetch<S: RowSimd, const L: usize>(
        s: S,
        words: &[u16],
        cursors: Cursors<S::U32>,
    ) -> Cursors<S::U32> {
        let end = s.sub(cursors.end, s.load(const { &Group::<L>::LANE }));
        let next = s.gather_before(bytemuck::cast_slice(words), s.shl(end, 1));
        Cursors { next, ..cursors }
    }

    #[inline(always)]
    fn refill<S: RowSimd, const L: usize>(
        s: S,
        x: S::U32,
        words: &[u16],
        cursors: Cursors<S::U32>,
    ) -> (S::U32, Cursors<S::U32>) {
        let want = !s.ge(x, s.splat(1 << 15));
        let (before, all) = taken::<S, L>(s, want);
        let after = s.sub(cursors.end, before);
        let missing = cursors.missing | (want & s.ge(cursors.floor, after));
        let word = if L == 1 {
            cursors.next
        } else {
            s.permute(cursors.next, s.add(before, s.load(const { &Group::<L>::FIRST })))
        };
        let bits = s.select(want, s.splat(16), s.splat(0));
        let x = s.funnel_shl(x, word, bits);
        let cursors = Cursors { end: s.sub(cursors.end, all), missing, ..cursors };
        (x, Self::fetch::<S, L>(s, words, cursors))
    }

    #[inline(always)]
    fn emit<S: RowSimd>(s: S, shed: Shed<S::U32>, words: &mut [u16], len: usize) -> Option<usize> {
        let count = shed.first.count_ones() as usize;
        if let Some(out) = words[len..].first_chunk_mut() {
            s.compress_u16(shed.words, shed.first, out);
        } else {
            let mut out = [0; 16];
            s.compress_u16(shed.words, shed.first, &mut out);
            words.get_mut(len..len + count)?.copy_from_slice(&out[..count]);
        }
        Some(len + count)
    }
}

impl WideFamily for Rans32 {
    states32!();

    #[inline(always)]
    fn push<S: RowSimd>(
        s: S,
        x: S::U32,
        freq: S::U32,
        start: S::U32,
        precision: u32,
    ) -> (S::U32, Shed<S::U32>) {
        // The bound is at least 2^15, so that a third byte is never shed.
        let first = s.ge(s.shr(x, 31 - precision), freq);
        let lower = s.select(first, s.shr(x, 8), x);
        let second = s.ge(s.shr(lower, 31 - precision), freq);
        let lower = s.select(second, s.shr(lower, 8), lower);
        (push32(s, lower, freq, start, precision), Shed { words: x, first, second })
    }

    #[inline(always)]
    fn fetch<S: RowSimd, const L: usize>(
        s: S,
        words: &[u8],
        cursors: Cursors<S::U32>,
    ) -> Cursors<S::U32> {
        if L > 1 {
            return cursors;
        }
        Cursors { next: s.gather_before(words, cursors.end), ..cursors }
    }

    #[inline(always)]
    fn refill<S: RowSimd, const L: usize>(
        s: S,
        x: S::U32,
        words: &[u8],
        cursors: Cursors<S::U32>,
    ) -> (S::U32, Cursors<S::U32>) {
        // A state of more than 2^31 / 2^16 before an advance is at least 2^7 after it: two bytes always suffice.
        let one = !s.ge(x, s.splat(1 << 23));
        let two = !s.ge(x, s.splat(1 << 15));
        let (before_one, all_one) = taken::<S, L>(s, one);
        let (before_two, all_two) = taken::<S, L>(s, two);
        let after = s.sub(s.sub(cursors.end, before_one), before_two);
        let bits = s.select(one, s.splat(8), s.splat(0));
        let bits = s.select(two, s.splat(16), bits);
        let wanted = s.add(cursors.floor, s.shr(bits, 3));
        let missing = cursors.missing | (one & !s.ge(after, wanted));
        // Of one lane, what is next is known a step ahead; of several, where a state's bytes begin depends on the others.
        let word = if L == 1 { cursors.next } else { s.gather_before(words, after) };
        let x = s.funnel_shl(x, word, bits);
        let end = s.sub(s.sub(cursors.end, all_one), all_two);
        (x, Self::fetch::<S, L>(s, words, Cursors { end, missing, ..cursors }))
    }

    #[inline(always)]
    fn emit<S: RowSimd>(s: S, shed: Shed<S::U32>, words: &mut [u8], len: usize) -> Option<usize> {
        let count = (shed.first.count_ones() + shed.second.count_ones()) as usize;
        if let Some(out) = words[len..].first_chunk_mut() {
            s.compress_u8(shed.words, shed.first, shed.second, out);
        } else {
            let mut out = [0; 32];
            s.compress_u8(shed.words, shed.first, shed.second, &mut out);
            words.get_mut(len..len + count)?.copy_from_slice(&out[..count]);
        }
        Some(len + count)
    }
}
