//! One symbol of sixteen states at once: [`step`](parans_kernels::codec::step) over vectors.
//!
//! The arithmetic is that of the codec, and the tests of this folder hold the two against each
//! other. Only the division differs: the codec multiplies by an integer reciprocal, which a vector
//! has no 64-bit product for. Here a quotient is estimated in floating point, every rounding
//! downwards, so that it is exact or one too small, and the remainder shows which.

use parans_kernels::codec::{Rans32, Rans32x16, Rans64};

use super::cursors::{Cursors, Group, all, before, deal, load_before, shift_out};
use crate::family::HostFamily;
use crate::simd::Simd512;

/// Below this precision the quotients of 32-bit states exceed what one `Simd::quotient` is exact
/// for.
const SINGLE_PRECISION: u32 = 11;

/// Below this precision the quotients of 64-bit states exceed what one `Simd512::quotient64` is
/// exact for.
const DOUBLE_PRECISION: u32 = 14;

/// What sixteen states emit in one step.
#[derive(Clone, Copy)]
pub(crate) struct Emitted<V> {
    /// The words, in the low bits; two of them for families that can emit two.
    pub(crate) words: V,
    /// Which states emit a word.
    pub(crate) first: u16,
    /// Which emit a second one.
    pub(crate) second: u16,
}

/// Appends `count` words, which an expression compresses to the front of an array of `$most`: in
/// place where so many fit.
macro_rules! append {
    ($words:ident, $len:ident, $count:expr, $most:literal, |$out:ident| $compress:expr) => {{
        let count = $count as usize;
        if let Some($out) = $words[$len..].first_chunk_mut() {
            $compress;
        } else {
            let mut all = [0; $most];
            let $out = &mut all;
            $compress;
            $words.get_mut($len..$len + count)?.copy_from_slice(&all[..count]);
        }
        Some($len + count)
    }};
}

/// A family over vectors, for precisions up to 16.
pub(crate) trait VectorFamily: HostFamily {
    /// Sixteen states.
    type States<S: Simd512>: Copy;

    /// Sixteen states.
    fn load<S: Simd512>(s: S, from: &[Self::State; 16]) -> Self::States<S>;
    /// Inverse of [`load`](Self::load).
    fn store<S: Simd512>(s: S, states: Self::States<S>, to: &mut [Self::State; 16]);

    /// Emits words and pushes a symbol on each state.
    fn push<S: Simd512>(
        s: S,
        states: Self::States<S>,
        freq: S::U32,
        start: S::U32,
        precision: u32,
    ) -> (Self::States<S>, Emitted<S::U32>);

    /// The low bits of each state.
    fn low<S: Simd512>(s: S, states: Self::States<S>) -> S::U32;

    /// Takes a symbol of this frequency and rank out of each state.
    fn advance<S: Simd512>(
        s: S,
        states: Self::States<S>,
        freq: S::U32,
        rank: S::U32,
        precision: u32,
    ) -> Self::States<S>;

    /// Steps whose words [`fetch`](Self::fetch) buffers, where rows have one lane.
    const STEPS_BUFFERED: usize;
    /// Likewise, where they have several.
    const STEPS_BUFFERED_OF_LANES: usize = 1;

    /// Buffers the words that come next. `few` where fewer than [`SLACK`](super::cursors::SLACK)
    /// words may come before a row's first.
    fn fetch<S: Simd512, const L: usize>(
        s: S,
        words: &[Self::Word],
        cursors: &mut Cursors<S::U32>,
        few: bool,
    );

    /// Renormalises states with buffered words.
    fn renormalise<S: Simd512, const L: usize>(
        s: S,
        states: Self::States<S>,
        words: &[Self::Word],
        cursors: &mut Cursors<S::U32>,
    ) -> Self::States<S>;

    /// Appends a vector of emitted words, in the order of one row. `None` where the row lacks
    /// capacity.
    fn emit<S: Simd512>(
        s: S,
        emitted: Emitted<S::U32>,
        words: &mut [Self::Word],
        len: usize,
    ) -> Option<usize>;
}

impl VectorFamily for Rans64 {
    type States<S: Simd512> = S::U64;

    #[inline(always)]
    fn load<S: Simd512>(s: S, from: &[u64; 16]) -> S::U64 {
        s.load64(from)
    }

    #[inline(always)]
    fn store<S: Simd512>(s: S, states: S::U64, to: &mut [u64; 16]) {
        s.store64(states, to);
    }

    #[inline(always)]
    fn push<S: Simd512>(
        s: S,
        x: S::U64,
        freq: S::U32,
        start: S::U32,
        precision: u32,
    ) -> (S::U64, Emitted<S::U32>) {
        let f = s.widen(freq);
        // The bound has zeros below: the high halves decide.
        let emitted = s.ge(s.narrow_high(x), s.shl(freq, 31 - precision));
        let words = s.narrow(x);
        let x = s.select64(emitted, s.shr64(x, 32), x);
        let mut q = s.quotient64(x, freq);
        if precision < DOUBLE_PRECISION {
            // Never too large: what is left over is divided once more.
            q = s.add64(q, s.quotient64(s.sub64(x, s.mul64(q, f)), freq));
        }
        let r = s.sub64(x, s.mul64(q, f));
        // One too small: the remainder still holds a whole frequency. Moving it over adds 2^p - f.
        let x = s.add64(s.add64(s.shl64(q, precision), r), s.widen(start));
        let more = s.sub64(s.widen(s.splat(1 << precision)), f);
        (s.add64_where_ge(x, more, r, f), Emitted { words, first: emitted, second: 0 })
    }

    #[inline(always)]
    fn low<S: Simd512>(s: S, states: S::U64) -> S::U32 {
        s.narrow(states)
    }

    #[inline(always)]
    fn advance<S: Simd512>(s: S, x: S::U64, freq: S::U32, rank: S::U32, precision: u32) -> S::U64 {
        s.add64(s.mul64(s.shr64(x, precision), s.widen(freq)), s.widen(rank))
    }

    /// Four words last for eight steps: at precisions up to 16 a state that has just taken a word
    /// is at least 2^47, so that it takes none in the next step.
    const STEPS_BUFFERED: usize = 8;
    /// A word per lane, likewise, lasts for two.
    const STEPS_BUFFERED_OF_LANES: usize = 2;

    #[inline(always)]
    fn fetch<S: Simd512, const L: usize>(
        s: S,
        words: &[u32],
        cursors: &mut Cursors<S::U32>,
        few: bool,
    ) {
        if L == 1 {
            cursors.next = s.load_four_before(words, cursors.end);
        } else {
            cursors.next[0] = load_before::<S, u32, L>(s, words, cursors, few);
            cursors.last = s.load(const { &Group::<L>::LAST });
        }
    }

    #[inline(always)]
    fn renormalise<S: Simd512, const L: usize>(
        s: S,
        x: S::U64,
        _words: &[u32],
        cursors: &mut Cursors<S::U32>,
    ) -> S::U64 {
        let want = !s.ge64(x, s.widen(s.splat(1 << 31)));
        let word;
        if L == 1 {
            let [first, second, third, fourth] = cursors.next;
            word = first;
            let next = |after, now| s.select(want, after, now);
            cursors.next = [next(second, first), next(third, second), next(fourth, third), fourth];
            cursors.end = s.sub(cursors.end, all::<S, L>(s, want));
        } else {
            word = deal::<S, L, true>(s, cursors, want);
        }
        s.select64(want, s.or64(s.shl64(x, 32), s.widen(word)), x)
    }

    #[inline(always)]
    fn emit<S: Simd512>(
        s: S,
        emitted: Emitted<S::U32>,
        words: &mut [u32],
        len: usize,
    ) -> Option<usize> {
        let Emitted { words: of_states, first, .. } = emitted;
        append!(words, len, first.count_ones(), 16, |out| s.compress_u32(of_states, first, out))
    }
}

/// What the two families of 32-bit states share.
#[inline(always)]
fn push32<S: Simd512>(s: S, x: S::U32, freq: S::U32, start: S::U32, precision: u32) -> S::U32 {
    let mut q = s.quotient(x, freq);
    if precision < SINGLE_PRECISION {
        // Never too large: what is left over is divided once more.
        q = s.add(q, s.quotient(s.sub(x, s.mul(q, freq)), freq));
    }
    let r = s.sub(x, s.mul(q, freq));
    let small = s.ge(r, freq);
    let x = s.add(s.add(s.shl(q, precision), r), start);
    let corrected = s.add(x, s.sub(s.splat(1 << precision), freq));
    s.select(small, corrected, x)
}

macro_rules! states32 {
    () => {
        type States<S: Simd512> = S::U32;

        #[inline(always)]
        fn load<S: Simd512>(s: S, from: &[u32; 16]) -> S::U32 {
            s.load(from)
        }

        #[inline(always)]
        fn store<S: Simd512>(s: S, states: S::U32, to: &mut [u32; 16]) {
            s.store(states, to);
        }

        #[inline(always)]
        fn low<S: Simd512>(_s: S, states: S::U32) -> S::U32 {
            states
        }

        #[inline(always)]
        fn advance<S: Simd512>(
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

impl VectorFamily for Rans32x16 {
    states32!();

    #[inline(always)]
    fn push<S: Simd512>(
        s: S,
        x: S::U32,
        freq: S::U32,
        start: S::U32,
        precision: u32,
    ) -> (S::U32, Emitted<S::U32>) {
        let emitted = s.ge(s.shr(x, 31 - precision), freq);
        let lower = s.select(emitted, s.shr(x, 16), x);
        (push32(s, lower, freq, start, precision), Emitted { words: x, first: emitted, second: 0 })
    }

    const STEPS_BUFFERED: usize = 4;

    #[inline(always)]
    fn fetch<S: Simd512, const L: usize>(
        s: S,
        words: &[u16],
        cursors: &mut Cursors<S::U32>,
        few: bool,
    ) {
        if L == 1 {
            let bytes = bytemuck::cast_slice(words);
            [cursors.next[0], cursors.next[1]] = s.load_eight_before(bytes, s.shl(cursors.end, 1));
        } else {
            cursors.next[0] = load_before::<S, u16, L>(s, words, cursors, few);
        }
    }

    #[inline(always)]
    fn renormalise<S: Simd512, const L: usize>(
        s: S,
        x: S::U32,
        _words: &[u16],
        cursors: &mut Cursors<S::U32>,
    ) -> S::U32 {
        let want = !s.ge(x, s.splat(1 << 15));
        if L == 1 {
            let bits = s.select(want, s.splat(16), s.splat(0));
            let word = shift_out(s, cursors, bits);
            cursors.end = s.sub(cursors.end, all::<S, L>(s, want));
            s.funnel_shl(x, word, bits)
        } else {
            let word = deal::<S, L, false>(s, cursors, want);
            s.select(want, s.add(s.shl(x, 16), word), x)
        }
    }

    #[inline(always)]
    fn emit<S: Simd512>(
        s: S,
        emitted: Emitted<S::U32>,
        words: &mut [u16],
        len: usize,
    ) -> Option<usize> {
        let Emitted { words: of_states, first, .. } = emitted;
        append!(words, len, first.count_ones(), 16, |out| s.compress_u16(of_states, first, out))
    }
}

impl VectorFamily for Rans32 {
    states32!();

    #[inline(always)]
    fn push<S: Simd512>(
        s: S,
        x: S::U32,
        freq: S::U32,
        start: S::U32,
        precision: u32,
    ) -> (S::U32, Emitted<S::U32>) {
        // The bound is at least 2^15, so that a third byte is never emitted.
        let first = s.ge(s.shr(x, 31 - precision), freq);
        let lower = s.select(first, s.shr(x, 8), x);
        let second = s.ge(s.shr(lower, 31 - precision), freq);
        let lower = s.select(second, s.shr(lower, 8), lower);
        (push32(s, lower, freq, start, precision), Emitted { words: x, first, second })
    }

    const STEPS_BUFFERED: usize = 4;

    #[inline(always)]
    fn fetch<S: Simd512, const L: usize>(
        s: S,
        words: &[u8],
        cursors: &mut Cursors<S::U32>,
        _few: bool,
    ) {
        // Of several lanes, where a state's bytes begin depends on the others.
        if L == 1 {
            [cursors.next[0], cursors.next[1]] = s.load_eight_before(words, cursors.end);
        }
    }

    #[inline(always)]
    fn renormalise<S: Simd512, const L: usize>(
        s: S,
        x: S::U32,
        words: &[u8],
        cursors: &mut Cursors<S::U32>,
    ) -> S::U32 {
        // A state of more than 2^31 / 2^16 before an advance is at least 2^7 after it: two bytes
        // always suffice.
        let one = !s.ge(x, s.splat(1 << 23));
        let two = !s.ge(x, s.splat(1 << 15));
        let bits = s.select(one, s.splat(8), s.splat(0));
        let bits = s.select(two, s.splat(16), bits);
        let end = cursors.end;
        let taken = s.add(all::<S, L>(s, one), all::<S, L>(s, two));
        cursors.end = s.sub(end, taken);
        let word = if L == 1 {
            shift_out(s, cursors, bits)
        } else {
            let before = s.add(before::<S, L>(s, one), before::<S, L>(s, two));
            s.gather_before(words, s.sub(end, before))
        };
        s.funnel_shl(x, word, bits)
    }

    #[inline(always)]
    fn emit<S: Simd512>(
        s: S,
        emitted: Emitted<S::U32>,
        words: &mut [u8],
        len: usize,
    ) -> Option<usize> {
        let Emitted { words: of_states, first, second } = emitted;
        let count = first.count_ones() + second.count_ones();
        append!(words, len, count, 32, |out| s.compress_u8(of_states, first, second, out))
    }
}
