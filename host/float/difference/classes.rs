//! Which elements are expected to differ alike: classes by the exponent of the base.

use super::super::planes::BLOCK;
use super::super::split::load;
use super::super::vectorized::vectorized;
use super::truncated;
use crate::dtype::Dtype;
use crate::simd::Level;
use crate::{Error, Result};
use parans_kernels::float::Word;
use parans_kernels::order0::entropy::{entropy, units};

/// The most classes of a chunk.
pub(super) const CLASSES: usize = 8;

/// Elements whose places in their classes are found together: so few that one byte counts them.
const TOGETHER: usize = 128;

/// How the base of an element gives its key: its exponent field less `first`, at most 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keys {
    /// Bits of the mantissa.
    mantissa: u32,
    first: u16,
}

impl Keys {
    /// The keys that suit a base; integers have none.
    pub(super) fn of_base<T: Word>(dtype: Dtype, base: &[u8]) -> Option<Self> {
        let (exponent, mantissa) = dtype.exponent_mantissa()?;
        let all = (1 << exponent) - 1;
        let mut block = [T::ZERO; BLOCK];
        let mut largest = 0;
        // Exponents of up to eight bits are keys as they are.
        if exponent > 8 {
            for bytes in base.chunks(BLOCK * size_of::<T>()) {
                let exponents =
                    load(bytes, &mut block).iter().map(|&bits| bits.widen() >> mantissa & all);
                largest = exponents.fold(largest, u64::max);
            }
        }
        Some(Self { mantissa, first: largest.saturating_sub(255) as u16 })
    }

    /// The keys of all elements of a base.
    pub(super) fn read<T: Word>(self, level: Level, base: &[u8], keys: &mut Vec<u8>) {
        keys.resize(base.len() / size_of::<T>(), 0);
        read::<T>(level, self, base, keys);
    }
}

vectorized! {
    /// Writes the keys of a base.
    pub(super) fn read<'a, T: Word>(by: Keys, base: &'a [u8], keys: &'a mut [u8]) -> () {
        let magnitude = T::truncate(u64::MAX >> 1 >> (64 - T::BITS));
        let first = T::truncate(u64::from(by.first));
        let most = T::truncate(255);
        let mut block = [T::ZERO; BLOCK];
        for (bytes, keys) in base.chunks(BLOCK * size_of::<T>()).zip(keys.chunks_mut(BLOCK)) {
            let block = load(bytes, &mut block);
            for (&mut bits, key) in block.iter_mut().zip(keys) {
                let exponent = (bits & magnitude) >> by.mantissa;
                *key = exponent.max(first).sub(first).min(most).low_byte();
            }
        }
    }
}

vectorized! {
    /// How many keys are at least `first`.
    fn at_least<'a, T: Word>(keys: &'a [T], first: T) -> usize {
        // A byte counts the keys of a few.
        let few = keys.chunks(255).map(|keys| {
            let counted = keys.iter().fold(0u8, |n, &key| n.wrapping_add(u8::from(key >= first)));
            usize::from(counted)
        });
        few.sum()
    }
}

/// Calls `at` with each element's place among the elements sorted by class. `table` has eight times
/// the class of each key.
#[inline(always)]
fn places<T>(
    table: &[u8; 256],
    keys: &[u8],
    counts: &[usize; CLASSES],
    words: &mut [T],
    mut at: impl FnMut(usize, &mut T),
) {
    let mut starts = [0; CLASSES];
    for class in 1..CLASSES {
        starts[class] = starts[class - 1] + counts[class - 1];
    }
    for (keys, words) in keys.chunks(TOGETHER).zip(words.chunks_mut(TOGETHER)) {
        // A byte per class counts the elements of the class so far, all in one register.
        let mut seen = 0u64;
        for (&key, word) in keys.iter().zip(words) {
            let shift = table[usize::from(key)];
            at(starts[usize::from(shift / 8) % CLASSES] + (seen >> shift & 0xff) as usize, word);
            seen += 1 << shift;
        }
        for (class, start) in starts.iter_mut().enumerate() {
            *start += (seen >> (8 * class) & 0xff) as usize;
        }
    }
}

// The levels of vectors have shifts by a register that cost one operation instead of three.
vectorized! {
    fn sort<'a, T: Word>(
        table: &'a [u8; 256],
        keys: &'a [u8],
        counts: &'a [usize; CLASSES],
        words: &'a mut [T],
        sorted: &'a mut [T],
    ) -> () {
        places(table, keys, counts, words, |at, word| sorted[at] = *word);
    }
}

vectorized! {
    fn unsort<'a, T: Word>(
        table: &'a [u8; 256],
        keys: &'a [u8],
        counts: &'a [usize; CLASSES],
        sorted: &'a [T],
        words: &'a mut [T],
    ) -> () {
        places(table, keys, counts, words, |at, word| *word = sorted[at]);
    }
}

/// A sample of a chunk, to choose classes by.
pub(super) struct Sample<'a, T> {
    pub(super) words: &'a [T],
    /// Low bits of the words that mean nothing.
    pub(super) dropped: u32,
    /// The keys of the words, where there are such.
    pub(super) keys: &'a [u8],
}

/// The classes of a chunk: ranges of keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Classes {
    keys: Option<Keys>,
    /// The first key of every class but the first, ascending; the rest is not used.
    starts: [u8; CLASSES - 1],
    count: usize,
    /// Eight times the class of each key.
    table: [u8; 256],
}

/// Words by their length in bits and the bit below the first: the tokens, nearly, without the
/// small ones' differences.
type Histogram = [u32; 128];

/// Where a word counts.
fn bucket(word: u64) -> usize {
    if word < 4 {
        return word as usize;
    }
    let length = 63 - word.leading_zeros();
    (2 * length + (word >> (length - 1) & 1) as u32) as usize
}

/// Bits of a word that its bucket does not say.
fn bits_in(bucket: usize) -> u64 {
    (bucket / 2).saturating_sub(1) as u64
}

/// About as many units of 2^-16 bits as the table and the states of `n` tokens take, and the time
/// of a class: fewer tokens than have four rows take long for what they are.
fn overhead(n: u64) -> u64 {
    let bytes = match n {
        0..4096 => 300,
        4096..16384 => 900,
        _ => 470,
    };
    units(8 * bytes)
}

/// Neighbouring keys that are in one class.
#[derive(Clone)]
struct Group {
    first: u8,
    histogram: Histogram,
    words: u32,
    /// What coding takes for the buckets, in units of 2^-16 bits.
    entropy: u64,
}

impl Group {
    fn joined(&self, next: &Self) -> Self {
        let mut histogram = self.histogram;
        histogram.iter_mut().zip(&next.histogram).for_each(|(one, other)| *one += other);
        let words = self.words + next.words;
        Self { first: self.first, histogram, words, entropy: entropy(histogram) }
    }
}

impl Classes {
    fn new(keys: Option<Keys>, first_keys: &[u8]) -> Self {
        let mut starts = [0; CLASSES - 1];
        starts[..first_keys.len()].copy_from_slice(first_keys);
        let mut table = [0; 256];
        for (key, class) in table.iter_mut().enumerate() {
            let before = first_keys.iter().filter(|&&first| usize::from(first) <= key);
            *class = 8 * before.count() as u8;
        }
        let keys = keys.filter(|_| !first_keys.is_empty());
        Self { keys, starts, count: first_keys.len() + 1, table }
    }

    /// The classes by which a chunk of `n` elements with this sample is probably smallest, and
    /// about how many units of 2^-16 bits it takes.
    pub(super) fn choose<T: Word>(
        sample: Sample<'_, T>,
        keys: Option<Keys>,
        n: usize,
    ) -> (Self, u64) {
        let sampled = sample.words.len().max(1) as u64;
        let scale = |of_sample: u64| of_sample * n as u64 / sampled;
        let mut groups: Vec<Option<Group>> = vec![None; 256];
        let mut raw = 0;
        for (i, &word) in sample.words.iter().enumerate() {
            let key = if keys.is_some() { sample.keys[i] } else { 0 };
            let none = Group { first: key, histogram: [0; 128], words: 0, entropy: 0 };
            let group = groups[usize::from(key)].get_or_insert(none);
            let bucket = bucket((word >> sample.dropped).widen());
            group.histogram[bucket] += 1;
            group.words += 1;
            raw += bits_in(bucket);
        }
        let mut groups: Vec<Group> = groups.into_iter().flatten().collect();
        groups.iter_mut().for_each(|group| group.entropy = entropy(group.histogram));
        let cost = |group: &Group| scale(group.entropy) + overhead(scale(u64::from(group.words)));
        let join = |pair: &[Group]| {
            let joined = pair[0].joined(&pair[1]);
            let apart = cost(&pair[0]) + cost(&pair[1]);
            let more = cost(&joined) as i64 - apart as i64;
            (joined, more)
        };
        let mut joins: Vec<(Group, i64)> = groups.windows(2).map(join).collect();
        while let Some(at) = (0..joins.len()).min_by_key(|&at| joins[at].1) {
            if groups.len() <= CLASSES && joins[at].1 >= 0 {
                break;
            }
            groups[at] = joins.remove(at).0;
            groups.remove(at + 1);
            if at > 0 {
                joins[at - 1] = join(&groups[at - 1..=at]);
            }
            if at < joins.len() {
                joins[at] = join(&groups[at..=at + 1]);
            }
        }
        let bits = groups.iter().map(cost).sum::<u64>() + scale(units(raw));
        let firsts: Vec<u8> = groups.iter().skip(1).map(|group| group.first).collect();
        (Self::new(keys, &firsts), bits)
    }

    /// By what elements are sorted, unless there is but one class.
    pub(super) fn keys(&self) -> Option<Keys> {
        self.keys
    }

    /// The elements of each class.
    pub(super) fn count(&self, level: Level, keys: &[u8]) -> [usize; CLASSES] {
        let mut counts = [0; CLASSES];
        let mut before = keys.len();
        // Comparisons in vectors: counters in memory would wait for one another.
        for class in (1..self.count).rev() {
            let from = at_least::<u8>(level, keys, self.starts[class - 1]);
            counts[class] = from - counts[class + 1..].iter().sum::<usize>();
            before = before.min(keys.len() - from);
        }
        counts[0] = if self.count > 1 { before } else { keys.len() };
        counts
    }

    /// Sorts words by their classes.
    pub(super) fn sort<T: Word>(
        &self,
        level: Level,
        keys: &[u8],
        counts: &[usize; CLASSES],
        words: &mut [T],
        sorted: &mut [T],
    ) {
        sort::<T>(level, &self.table, keys, counts, words, sorted);
    }

    /// Undoes [`Classes::sort`].
    pub(super) fn unsort<T: Word>(
        &self,
        level: Level,
        keys: &[u8],
        counts: &[usize; CLASSES],
        sorted: &[T],
        words: &mut [T],
    ) {
        unsort::<T>(level, &self.table, keys, counts, sorted, words);
    }

    /// Appends the classes to a chunk.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.count as u8);
        if let Some(keys) = self.keys {
            out.extend(keys.first.to_le_bytes());
            out.extend(&self.starts[..self.count - 1]);
        }
    }

    /// Reads what [`Classes::write`] wrote and returns what follows it.
    ///
    /// # Errors
    /// `Truncated`; `Corrupt` for more classes than there can be, for several of integers, and for
    /// ranges of keys that do not ascend.
    pub(super) fn read(dtype: Dtype, data: &[u8]) -> Result<(Self, &[u8])> {
        let (&count, data) = data.split_first().ok_or_else(truncated)?;
        if count == 1 {
            return Ok((Self::new(None, &[]), data));
        }
        let corrupt = || Error::Corrupt(format!("{count} classes of differences of {dtype}"));
        let (_, mantissa) = dtype.exponent_mantissa().ok_or_else(corrupt)?;
        if count == 0 || usize::from(count) > CLASSES {
            return Err(corrupt());
        }
        let (first, data) = data.split_first_chunk().ok_or_else(truncated)?;
        let keys = Keys { mantissa, first: u16::from_le_bytes(*first) };
        let (starts, data) = data.split_at_checked(usize::from(count) - 1).ok_or_else(truncated)?;
        if starts[0] == 0 || starts.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Error::Corrupt("classes of differences do not ascend".into()));
        }
        Ok((Self::new(Some(keys), starts), data))
    }
}
