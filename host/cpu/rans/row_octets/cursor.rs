//! Where the words are that states take.

use parans_kernels::codec::WordInt;

use crate::simd::Octets;

/// Where an octet's next words are.
#[derive(Clone, Copy)]
pub(super) struct Cursor<V> {
    /// Bytes before the end of each element's row; of rows whose words are dealt out by a load only
    /// from time to time.
    end: V,
    /// The ends of rows whose words are dealt out by a load, in words.
    ends: [usize; 2],
    /// Of one lane, the next words from the top down.
    next: V,
}

impl<V: Copy> Cursor<V> {
    /// Whether words are dealt out by a load: eight words for a row of eight lanes, four of 32 bits
    /// for each of two rows of four.
    const fn loads(lanes: usize, word: usize) -> bool {
        lanes == 8 && word >= 2 || lanes == 4 && word == 4
    }

    #[inline(always)]
    pub(super) fn new<S: Octets<V = V>, W>(s: S, ends: &[i32; 8]) -> Self {
        let in_words = s.load(bytemuck::cast_ref(ends));
        let end = match size_of::<W>() {
            4 => s.shl::<2>(in_words),
            2 => s.shl::<1>(in_words),
            _ => in_words,
        };
        // Sign extended: an end may lie below the first word.
        Self { end, ends: [ends[0] as usize, ends[4] as usize], next: end }
    }

    /// Inverse of [`new`](Self::new).
    #[inline(always)]
    pub(super) fn store<S: Octets<V = V>, W, const L: usize>(self, s: S, ends: &mut [i32; 8]) {
        if const { Self::loads(L, size_of::<W>()) } {
            ends[..4].fill(self.ends[0] as i32);
            ends[4..].fill(self.ends[if L == 8 { 0 } else { 1 }] as i32);
            return;
        }
        s.store(self.end, bytemuck::cast_mut(ends));
        let bits = size_of::<W>().trailing_zeros();
        ends.iter_mut().for_each(|end| *end >>= bits);
    }

    /// Of one lane: buffers the next words.
    #[inline(always)]
    pub(super) fn fetch<S: Octets<V = V>, W: WordInt>(&mut self, s: S, words: &[W]) {
        self.next = s.gather_before(bytemuck::cast_slice(words), self.end);
    }

    /// The words that states take who want so many bits, at the top of each element. `fetch`: of
    /// one lane, whether the buffered words may be used up.
    #[inline(always)]
    pub(super) fn take<S: Octets<V = V>, W: WordInt, const L: usize>(
        &mut self,
        s: S,
        words: &[W],
        bits: V,
        fetch: bool,
    ) -> V {
        let size = size_of::<W>();
        if L == 1 {
            if fetch {
                self.fetch(s, words);
            }
            let word = self.next;
            self.next = s.shl_by(word, bits);
            self.end = s.sub(self.end, s.shr::<3>(bits));
            return word;
        }
        if size == 1 {
            let (eight, sixteen) = (s.shl::<28>(bits), s.shl::<27>(bits));
            let (second, either) = (s.signs(sixteen), s.signs(s.or(eight, sixteen)));
            let before = s.add(s.before::<L>(either), s.before::<L>(second));
            let word = s.gather_before(bytemuck::cast_slice(words), s.sub(self.end, before));
            let taken = s.add(s.total::<L>(either), s.total::<L>(second));
            self.end = s.sub(self.end, taken);
            return word;
        }
        let mask = if size == 2 { s.signs(s.shl::<27>(bits)) } else { s.signs(s.shl::<26>(bits)) };
        if !const { Self::loads(L, size_of::<W>()) } {
            let (before, total) = (s.before::<L>(mask), s.total::<L>(mask));
            let (before, total) = if size == 2 {
                (s.shl::<1>(before), s.shl::<1>(total))
            } else {
                (s.shl::<2>(before), s.shl::<2>(total))
            };
            let word = s.gather_before(bytemuck::cast_slice(words), s.sub(self.end, before));
            self.end = s.sub(self.end, total);
            return word;
        }
        let [first, second] = self.ends;
        if L == 8 {
            self.ends[0] = first.wrapping_sub(mask.count_ones() as usize);
            return if size == 2 {
                s.shl::<16>(s.expand_words(bytemuck::cast_slice(words), first, mask))
            } else {
                s.expand_eight(bytemuck::cast_slice(words), first, mask)
            };
        }
        self.ends = [
            first.wrapping_sub((mask & 15).count_ones() as usize),
            second.wrapping_sub((mask >> 4).count_ones() as usize),
        ];
        s.expand_fours(bytemuck::cast_slice(words), [first, second], mask)
    }
}
