//! A naive coder: the stream formats restated as plainly as they can be, in 128-bit integers and
//! with real divisions. It shares no code with the library, so that both would have to be wrong in
//! the same way.

use std::collections::VecDeque;

use parans::Family;

/// One table.
#[derive(Clone, Debug)]
pub struct Table {
    /// From 0 to `2^precision`.
    pub cdf: Vec<u64>,
    /// The smallest symbol.
    pub offset: i64,
}

/// How a batch is coded.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The family.
    pub family: Family,
    /// States a row.
    pub lanes: usize,
    /// Bits.
    pub precision: u32,
    /// Bits of a bypass digit.
    pub bypass: Option<u32>,
    /// Whether slots are permuted by alias tables.
    pub alias: bool,
    /// The tables.
    pub tables: Vec<Table>,
}

/// Where the slots of a symbol lie: for each cumulative position its slot.
fn alias_slots(cdf: &[u64], precision: u32) -> Vec<u64> {
    let n = cdf.len() - 1;
    let cut = (1i64 << precision) / n as i64;
    let mut prob: Vec<i64> = cdf.windows(2).map(|pair| (pair[1] - pair[0]) as i64).collect();
    // Two stacks in place of one array filled from both ends.
    let mut small: Vec<usize> = (0..n).filter(|&i| prob[i] < cut).collect();
    let mut large: Vec<usize> = (0..n).filter(|&i| prob[i] >= cut).collect();
    let mut share: Vec<(i64, usize)> = (0..n).map(|i| (cut, i)).collect();
    while let Some(taker) = small.pop() {
        let giver = large.pop().expect("as much above the cut as below");
        share[taker] = (prob[taker], giver);
        prob[giver] -= cut - prob[taker];
        if prob[giver] >= cut { large.push(giver) } else { small.push(giver) }
    }
    let mut next: Vec<u64> = cdf[..n].to_vec();
    let mut slots = vec![0; 1 << precision];
    for (bucket, &(own, other)) in share.iter().enumerate() {
        for at in 0..cut {
            let symbol = if at < own { bucket } else { other };
            slots[next[symbol] as usize] = (bucket as i64 * cut + at) as u64;
            next[symbol] += 1;
        }
    }
    slots
}

/// A row being coded.
struct Row {
    states: Vec<u128>,
    words: Vec<u64>,
}

/// The digits behind a sentinel, in the order in which they are emitted.
fn bypass_digits(raw: u64, bits: u32) -> Vec<u64> {
    let full = (1u64 << bits) - 1;
    let mut digits = VecDeque::new();
    let mut rest = raw;
    while rest > 0 {
        digits.push_front(rest & full);
        rest >>= bits;
    }
    let n = digits.len() as u64;
    digits.push_back(n % full);
    digits.extend(std::iter::repeat_n(full, (n / full) as usize));
    digits.into()
}

impl Setup {
    fn bits(&self) -> (u32, u32) {
        (8 * self.family.state_bytes() as u32, 8 * self.family.word_bytes() as u32)
    }

    fn is_tans(&self) -> bool {
        self.family.name().starts_with("tans")
    }

    /// The value that codes a symbol, and the raw number behind it.
    fn value(&self, symbol: i64, table: &Table) -> (u64, Option<u64>) {
        let v = symbol - table.offset;
        let max = table.cdf.len() as i64 - 2;
        match self.bypass {
            None => (v as u64, None),
            Some(_) if v < 0 => (max as u64, Some((-2 * v - 1) as u64)),
            Some(_) if v >= max => (max as u64, Some((2 * (v - max)) as u64)),
            Some(_) => (v as u64, None),
        }
    }

    /// The byte string of a row onto which the pushes were made one after another.
    pub fn encode_row(&self, pushes: &[(Vec<i64>, Vec<i64>)]) -> Vec<u8> {
        if self.is_tans() { self.encode_tans(pushes) } else { self.encode_rans(pushes) }
    }

    fn push_slots(
        &self,
        row: &mut Row,
        lane: usize,
        freq: u128,
        p: u32,
        slot: impl Fn(u128) -> u128,
    ) {
        let (s, w) = self.bits();
        let lower = 1u128 << (s - 1 - w);
        let x = &mut row.states[lane];
        while *x >= ((lower >> p) << w) * freq {
            row.words.push((*x & ((1 << w) - 1)) as u64);
            *x >>= w;
        }
        *x = ((*x / freq) << p) + slot(*x % freq);
    }

    fn encode_rans(&self, pushes: &[(Vec<i64>, Vec<i64>)]) -> Vec<u8> {
        let (s, w) = self.bits();
        let lower = 1u128 << (s - 1 - w);
        let mut row = Row { states: vec![lower; self.lanes], words: Vec::new() };
        let permuted: Vec<Option<Vec<u64>>> = self
            .tables
            .iter()
            .map(|table| self.alias.then(|| alias_slots(&table.cdf, self.precision)))
            .collect();
        let push_raw = |row: &mut Row, lane: usize, raw: Option<u64>| {
            if let (Some(raw), Some(bits)) = (raw, self.bypass) {
                for digit in bypass_digits(raw, bits) {
                    self.push_slots(row, lane, 1, bits, |_| u128::from(digit));
                }
            }
        };
        let push_value = |row: &mut Row, lane: usize, index: usize, value: u64| {
            let cdf = &self.tables[index].cdf;
            let (start, end) = (cdf[value as usize], cdf[value as usize + 1]);
            self.push_slots(row, lane, u128::from(end - start), self.precision, |rank| {
                let position = start as usize + rank as usize;
                permuted[index].as_ref().map_or(position as u128, |slots| slots[position].into())
            });
        };
        for (symbols, indexes) in pushes {
            let coded: Vec<_> = symbols
                .iter()
                .zip(indexes)
                .map(|(&symbol, &index)| {
                    let index = usize::try_from(index).ok().filter(|&i| i < self.tables.len())?;
                    let (value, raw) = self.value(symbol, &self.tables[index]);
                    Some((index, value, raw))
                })
                .collect();
            let grouped = coded.len() - coded.len() % self.lanes;
            for (lane, item) in coded[grouped..].iter().enumerate().rev() {
                if let Some((index, value, raw)) = *item {
                    push_raw(&mut row, lane, raw);
                    push_value(&mut row, lane, index, value);
                }
            }
            for group in coded[..grouped].chunks(self.lanes).rev() {
                for (lane, item) in group.iter().enumerate().rev() {
                    if let Some((_, _, raw)) = *item {
                        push_raw(&mut row, lane, raw);
                    }
                }
                for (lane, item) in group.iter().enumerate().rev() {
                    if let Some((index, value, _)) = *item {
                        push_value(&mut row, lane, index, value);
                    }
                }
            }
        }
        let mut bytes = Vec::new();
        for state in &row.states {
            bytes.extend_from_slice(&state.to_le_bytes()[..s as usize / 8]);
        }
        for word in &row.words {
            bytes.extend_from_slice(&word.to_le_bytes()[..w as usize / 8]);
        }
        bytes
    }

    fn encode_tans(&self, pushes: &[(Vec<i64>, Vec<i64>)]) -> Vec<u8> {
        let (_, w) = self.bits();
        let size = 1u64 << self.precision;
        let tables: Vec<TansTable> =
            self.tables.iter().map(|table| TansTable::new(&table.cdf, self.precision)).collect();
        let mut states = vec![size; self.lanes];
        let mut pending: Vec<bool> = Vec::new();
        let mut words: Vec<u64> = Vec::new();
        // A bit buffer as a list of bits, lowest first, flushed a word at a time.
        let mut put = |pending: &mut Vec<bool>, value: u64, bits: u32| {
            pending.extend((0..bits).map(|bit| value >> bit & 1 == 1));
            while pending.len() >= w as usize {
                let word = pending.drain(..w as usize).enumerate();
                words.push(word.map(|(at, bit)| u64::from(bit) << at).sum());
            }
        };
        for (symbols, indexes) in pushes {
            for (i, (&symbol, &index)) in symbols.iter().zip(indexes).enumerate().rev() {
                let Some(index) = usize::try_from(index).ok().filter(|&i| i < tables.len()) else {
                    continue;
                };
                let (value, raw) = self.value(symbol, &self.tables[index]);
                if let (Some(raw), Some(bits)) = (raw, self.bypass) {
                    for digit in bypass_digits(raw, bits) {
                        put(&mut pending, digit, bits);
                    }
                }
                let state = &mut states[i % self.lanes];
                // Bits to emit: as many as bring the state to [f, 2f).
                let freq = tables[index].places[value as usize].len() as u64;
                let mut bits = 0;
                while *state >> bits >= 2 * freq {
                    bits += 1;
                }
                put(&mut pending, *state & ((1 << bits) - 1), bits);
                *state = tables[index].places[value as usize][((*state >> bits) - freq) as usize];
            }
        }
        let mut bytes = Vec::new();
        // An initial row holds zeros; the first push, even of nothing, writes the states.
        let touched = !pushes.is_empty();
        for state in states {
            let state = if touched { state } else { 0 };
            bytes.extend_from_slice(&(state as u32).to_le_bytes());
        }
        let residue: u32 = pending.iter().enumerate().map(|(at, &bit)| u32::from(bit) << at).sum();
        bytes.extend_from_slice(&residue.to_le_bytes());
        bytes.extend_from_slice(&(pending.len() as u32).to_le_bytes());
        for word in words {
            bytes.extend_from_slice(&word.to_le_bytes()[..w as usize / 8]);
        }
        bytes
    }
}

/// A tANS table: for each symbol the states that stand for it, in order.
struct TansTable {
    places: Vec<Vec<u64>>,
}

impl TansTable {
    fn new(cdf: &[u64], precision: u32) -> Self {
        let size = 1usize << precision;
        let step = size / 2 + size / 8 + 3;
        let mut spread = vec![0; size];
        let mut at = 0;
        for (symbol, pair) in cdf.windows(2).enumerate() {
            for _ in pair[0]..pair[1] {
                spread[at] = symbol;
                at = (at + step) & (size - 1);
            }
        }
        let mut places = vec![Vec::new(); cdf.len() - 1];
        for (at, &symbol) in spread.iter().enumerate() {
            places[symbol].push((size + at) as u64);
        }
        Self { places }
    }
}
