//! Random tables, in every form that kernels read.

use parans_kernels::codec::{AliasBucket, EncoderEntry, Interval, RansFamily, TableDescriptor};
use rand::Rng;

/// Tables of one batch.
pub struct Tables {
    pub precision: u32,
    pub tables: Vec<TableDescriptor>,
    pub intervals: Vec<Interval>,
    /// `tables << bits` symbols.
    pub inverse: Vec<u16>,
    pub inverse_bits: u32,
    pub buckets: Vec<AliasBucket>,
    /// `tables << precision` slots.
    pub remap: Vec<u32>,
}

impl Tables {
    /// `count` tables with `alphabet` symbols each, or a random number where that is 0: powers of
    /// two for alias tables.
    pub fn random(
        rng: &mut impl Rng,
        count: usize,
        alphabet: u32,
        precision: u32,
        inverse_bits: u32,
        alias: bool,
    ) -> Self {
        let mut made = Self {
            precision,
            tables: Vec::new(),
            intervals: Vec::new(),
            inverse: Vec::new(),
            inverse_bits,
            buckets: Vec::new(),
            remap: Vec::new(),
        };
        for _ in 0..count {
            let symbols = match (alphabet, alias) {
                (0, true) => 1 << rng.random_range(1..6),
                (0, false) => rng.random_range(2..40),
                _ => alphabet,
            };
            made.tables.push(TableDescriptor {
                base: made.intervals.len() as u32,
                symbols,
                offset: rng.random_range(-5..5),
                log2_symbols: if alias { symbols.trailing_zeros() } else { 0 },
            });
            let intervals = random_intervals(rng, symbols, precision);
            for k in 0..1u32 << inverse_bits {
                let slot = k << (precision - inverse_bits);
                made.inverse.push(intervals.iter().rposition(|s| s.start <= slot).unwrap() as u16);
            }
            if alias {
                made.add_alias(&intervals);
            }
            made.intervals.extend(intervals);
        }
        made
    }

    /// Encoder entries of a family.
    pub fn entries<F: RansFamily>(&self) -> Vec<EncoderEntry<F>> {
        self.intervals.iter().map(|&interval| EncoderEntry::new(interval)).collect()
    }

    /// Pairs up symbols with too few slots for their bucket and symbols with too many; any pairing
    /// is a valid alias table.
    fn add_alias(&mut self, intervals: &[Interval]) {
        let n = intervals.len() as u32;
        let cut = (1 << self.precision) / n;
        let mut left: Vec<u32> = intervals.iter().map(|s| s.freq).collect();
        let mut own: Vec<u32> = vec![cut; intervals.len()];
        let mut other: Vec<u32> = (0..n).collect();
        let mut open: Vec<usize> = (0..intervals.len()).collect();
        while let Some(at) = open.iter().position(|&i| left[i] < cut) {
            let small = open.swap_remove(at);
            let large = *open.iter().find(|&&i| left[i] > cut).unwrap();
            own[small] = left[small];
            other[small] = large as u32;
            left[large] -= cut - left[small];
        }
        let mut used = vec![0u32; intervals.len()];
        let first = self.remap.len();
        self.remap.resize(first + (1 << self.precision), 0);
        for bucket in 0..n {
            let (symbol, alias) = (bucket as usize, other[bucket as usize] as usize);
            let divide = bucket * cut + own[symbol];
            let own_shift = (bucket * cut).wrapping_sub(used[symbol]);
            used[symbol] += own[symbol];
            let other_shift = divide.wrapping_sub(used[alias]);
            used[alias] += cut - own[symbol];
            self.buckets.push(AliasBucket { divide, other: alias as u32, own_shift, other_shift });
            for slot in bucket * cut..(bucket + 1) * cut {
                let (symbol, shift) =
                    if slot < divide { (symbol, own_shift) } else { (alias, other_shift) };
                let position = intervals[symbol].start + slot.wrapping_sub(shift);
                self.remap[first + position as usize] = slot;
            }
        }
    }
}

fn random_intervals(rng: &mut impl Rng, symbols: u32, precision: u32) -> Vec<Interval> {
    let mut cuts = std::collections::BTreeSet::from([0]);
    // Mostly few wide symbols and many narrow ones.
    while cuts.len() < symbols as usize {
        let bits = rng.random_range(1..=precision);
        cuts.insert(rng.random_range(0..1u32 << bits));
    }
    let starts: Vec<u32> = cuts.into_iter().collect();
    let ends = starts[1..].iter().copied().chain([1 << precision]);
    starts.iter().zip(ends).map(|(&start, end)| Interval { start, freq: end - start }).collect()
}
