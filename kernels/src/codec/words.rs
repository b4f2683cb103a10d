//! Cursors over the words of a row. They check the row's bounds, so that nothing above them has to.

use super::family::WordInt;

/// Takes the words that a push emits.
pub trait WordSink<W> {
    /// Appends one word.
    fn store(&mut self, word: W);
}

/// Gives back the words that a pop reads, last first.
pub trait WordSource<W> {
    /// Removes and returns the last word; 0 when there is none (and the source remembers it).
    fn take(&mut self) -> W;
}

/// Appends words to a row up to its capacity. A word too many is dropped and remembered, not
/// written: one check at the end of the row replaces one error path a word.
#[derive(Debug)]
pub struct WordWriter<'a, W> {
    words: &'a mut [W],
    len: usize,
    overflowed: bool,
}

impl<'a, W: WordInt> WordWriter<'a, W> {
    /// A writer over a row's whole capacity, `len` words of which are in use.
    pub fn new(words: &'a mut [W], len: usize) -> Self {
        let overflowed = len > words.len();
        Self { words, len, overflowed }
    }

    /// Words in use.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no word is in use.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a word found no capacity.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }
}

impl<W: WordInt> WordSink<W> for WordWriter<'_, W> {
    #[inline(always)]
    fn store(&mut self, word: W) {
        if let Some(slot) = self.words.get_mut(self.len) {
            *slot = word;
            self.len += 1;
        } else {
            self.overflowed = true;
        }
    }
}

/// Takes words off the end of a row. Taking from an empty row gives 0 and is remembered.
#[derive(Clone, Debug)]
pub struct WordReader<'a, W> {
    words: &'a [W],
    len: usize,
    underflowed: bool,
}

impl<'a, W: WordInt> WordReader<'a, W> {
    /// A reader over the words in use.
    pub fn new(words: &'a [W]) -> Self {
        Self { words, len: words.len(), underflowed: false }
    }

    /// Words left.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no word is left.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether more words were taken than there were.
    pub fn underflowed(&self) -> bool {
        self.underflowed
    }
}

impl<W: WordInt> WordSource<W> for WordReader<'_, W> {
    #[inline(always)]
    fn take(&mut self) -> W {
        let last = self.len.wrapping_sub(1);
        if let Some(&word) = self.words.get(last) {
            self.len = last;
            word
        } else {
            self.underflowed = true;
            W::default()
        }
    }
}
