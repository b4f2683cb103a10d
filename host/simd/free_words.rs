//! What is free of the words of rows, to which words are appended several at a time.

#![allow(unsafe_code, reason = "arrays in the middle of a slice without a second check")]

/// What is free of the words of `R` rows; of rows that are not there nothing.
pub(crate) struct FreeWords<'w, W, const R: usize> {
    words: &'w mut [W],
    /// Where each row's next word goes; at most its end.
    next: [usize; R],
    /// Where each row's words end; at most where all do.
    ends: [usize; R],
    lacking: bool,
}

/// The next `N` words of a row that has so many.
pub(crate) struct Chunk<'a, W, const N: usize> {
    pub(crate) words: &'a mut [W; N],
    next: &'a mut usize,
}

impl<W, const N: usize> Chunk<'_, W, N> {
    /// Takes the first of them.
    #[inline(always)]
    pub(crate) fn take(self, count: usize) {
        *self.next += count.min(N);
    }
}

impl<'w, W: Copy, const R: usize> FreeWords<'w, W, R> {
    /// What rows have after so many words each. They begin at `starts`, of which the first is that
    /// of `words` and the last its end.
    pub(crate) fn new(words: &'w mut [W], starts: &[usize], lens: &[usize]) -> Self {
        let (mut next, mut ends) = ([0; R], [0; R]);
        let bounds = starts.windows(2).map(|pair| [pair[0] - starts[0], pair[1] - starts[0]]);
        for (((next, end), bounds), &len) in next.iter_mut().zip(&mut ends).zip(bounds).zip(lens) {
            *end = bounds[1].min(words.len());
            *next = bounds[0].saturating_add(len).min(*end);
        }
        Self { words, next, ends, lacking: false }
    }

    /// Takes all of it, so that a loop can have it in variables of its own.
    #[inline(always)]
    pub(crate) fn take_all(&mut self) -> Self {
        let none = Self { words: &mut [], next: [0; R], ends: [0; R], lacking: false };
        std::mem::replace(self, none)
    }

    /// What is free of a row.
    pub(crate) fn of_row(&mut self, row: usize) -> &mut [W] {
        &mut self.words[self.next[row]..self.ends[row]]
    }

    /// How much that is.
    pub(crate) fn len(&self, row: usize) -> usize {
        self.ends[row] - self.next[row]
    }

    /// Takes the first of a row's.
    pub(crate) fn take(&mut self, row: usize, count: usize) {
        self.next[row] = self.next[row].saturating_add(count).min(self.ends[row]);
    }

    /// The next words of a row; `None` where there are fewer.
    #[inline(always)]
    pub(crate) fn chunk<const N: usize>(&mut self, row: usize) -> Option<Chunk<'_, W, N>> {
        let next = &mut self.next[row];
        if *next + N > self.ends[row] {
            return None;
        }
        // SAFETY: so many words lie before the row's end, which does not lie past that of all.
        let words = unsafe { &mut *self.words.as_mut_ptr().add(*next).cast::<[W; N]>() };
        Some(Chunk { words, next })
    }

    /// Appends words to a row that has capacity for few, or notes that it has too few.
    #[inline(always)]
    pub(crate) fn append_last(&mut self, row: usize, words: &[W]) {
        self.lacking |= !store_last(self.of_row(row), words);
        self.take(row, words.len());
    }

    /// `None` where some words did not fit.
    pub(crate) fn check(&self) -> Option<()> {
        (!self.lacking).then_some(())
    }
}

/// Stores words, if they fit.
#[cold]
#[inline(never)]
fn store_last<W: Copy>(free: &mut [W], words: &[W]) -> bool {
    match free.get_mut(..words.len()) {
        Some(free) => {
            free.copy_from_slice(words);
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::FreeWords;

    #[test]
    fn words_go_to_their_rows_as_far_as_they_fit() {
        let mut words = [0u16; 20];
        let mut free = FreeWords::<u16, 3>::new(&mut words, &[100, 110, 120], &[1, 5]);
        assert_eq!([0, 1, 2].map(|row| free.len(row)), [9, 5, 0]);
        let chunk = free.chunk::<8>(0).expect("nine are free");
        *chunk.words = [1, 2, 3, 4, 5, 6, 7, 8];
        chunk.take(3);
        assert_eq!(free.len(0), 6);
        assert!(free.chunk::<8>(0).is_none() && free.chunk::<8>(1).is_none());
        assert!(free.chunk::<1>(2).is_none());
        let mut free = free.take_all();
        free.append_last(0, &[9, 9]);
        free.append_last(1, &[7; 5]);
        assert!(free.check().is_some());
        assert_eq!([0, 1].map(|row| free.len(row)), [4, 0]);
        free.append_last(1, &[7]);
        assert!(free.check().is_none());
        assert_eq!(words, [0, 1, 2, 3, 9, 9, 6, 7, 8, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7]);
    }

    #[test]
    fn wrong_bounds_leave_nothing_free() {
        let mut words = [0u8; 4];
        let mut free = FreeWords::<u8, 1>::new(&mut words, &[0, 9], &[usize::MAX]);
        assert_eq!(free.len(0), 0);
        assert!(free.chunk::<1>(0).is_none());
        free.take(0, 3);
        assert!(free.of_row(0).is_empty());
    }
}
