//! Where sixteen states stand in the words of their rows.

use parans_kernels::codec::WordInt;

use crate::simd::Simd512;

/// Words before a block's first row that make it like the others.
pub(crate) const SLACK: usize = 16;

/// Where sixteen elements stand in the words of their rows, which are taken from the end. A row
/// that runs out of words goes on with whatever it finds; that its end lies below its beginning
/// then shows it.
#[derive(Clone, Copy)]
pub(crate) struct Cursors<V> {
    /// End of the words left of each element's row.
    pub(crate) end: V,
    /// Buffered words: of rows of one lane those of some steps, the next first; of several lanes
    /// the first vector alone, each row's in the order of memory.
    pub(super) next: [V; 4],
    /// Of several lanes, which element of that vector each row's next word is, where it lasts for
    /// more than one step.
    pub(super) last: V,
}

impl<V: Copy> Cursors<V> {
    /// Cursors at these ends, a row's in all its elements.
    #[inline(always)]
    pub(crate) fn new(end: V) -> Self {
        Self { end, next: [end; 4], last: end }
    }
}

/// Bit masks of the elements that share a row with each element: those before it, and all of them.
pub(super) struct Group<const L: usize>;

impl<const L: usize> Group<L> {
    pub(super) const LAST: [u32; 16] = {
        let mut last = [0; 16];
        let mut e = 0;
        while e < 16 {
            last[e] = (e / L * L + L - 1) as u32;
            e += 1;
        }
        last
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

/// How many of the elements before each one in its row are in the mask.
#[inline(always)]
pub(super) fn before<S: Simd512, const L: usize>(s: S, mask: u16) -> S::U32 {
    s.count_ones(s.and(s.splat_mask(mask), s.load(const { &Group::<L>::BEFORE })))
}

/// How many of the elements of each one's row are in the mask.
#[inline(always)]
pub(super) fn all<S: Simd512, const L: usize>(s: S, mask: u16) -> S::U32 {
    if L == 1 {
        return s.select(mask, s.splat(1), s.splat(0));
    }
    s.count_ones(s.and(s.splat_mask(mask), s.load(const { &Group::<L>::ALL })))
}

/// The buffered words of rows of several lanes.
#[inline(always)]
pub(super) fn load_before<S: Simd512, W: WordInt, const L: usize>(
    s: S,
    words: &[W],
    cursors: &Cursors<S::U32>,
    few: bool,
) -> S::U32 {
    match L {
        2 => s.load_before::<2, W>(words, cursors.end, few),
        4 => s.load_before::<4, W>(words, cursors.end, few),
        _ => s.load_before::<8, W>(words, cursors.end, few),
    }
}

/// The word that each element of the mask gets, where a row's buffered words stand in the order of
/// memory, the last one first to go. `MORE`: what is left is for another step.
#[inline(always)]
pub(super) fn deal<S: Simd512, const L: usize, const MORE: bool>(
    s: S,
    cursors: &mut Cursors<S::U32>,
    mask: u16,
) -> S::U32 {
    let all = all::<S, L>(s, mask);
    cursors.end = s.sub(cursors.end, all);
    let last = if MORE { cursors.last } else { s.load(const { &Group::<L>::LAST }) };
    let at = s.sub(last, before::<S, L>(s, mask));
    if MORE {
        cursors.last = s.sub(last, all);
    }
    s.permute(cursors.next[0], at)
}

/// The buffered bytes, at the top, of which each element takes so many bits.
#[inline(always)]
pub(super) fn shift_out<S: Simd512>(s: S, cursors: &mut Cursors<S::U32>, bits: S::U32) -> S::U32 {
    let [word, after, ..] = cursors.next;
    cursors.next[0] = s.funnel_shl(word, after, bits);
    cursors.next[1] = s.funnel_shl(after, s.splat(0), bits);
    word
}
