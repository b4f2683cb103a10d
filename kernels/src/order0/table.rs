//! The table at the front of a chunk: frequencies as bits, least significant bit first.

use core::fmt;

use super::{Frequencies, SLOTS};

/// The class (bit length of a frequency) that the first difference is taken from.
const FIRST_CLASS: u32 = 5;

/// Why bytes are no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFault {
    /// They end inside a number.
    EndsInNumber,
    /// They end inside a frequency.
    EndsInFrequency,
    /// A number is larger than any in a table.
    LargeNumber,
    /// There are more byte values than there are.
    ManyValues,
    /// A frequency of so many bits.
    Class(i32),
    /// The sum of the frequencies.
    Sum(u32),
    /// The last byte has bits that belong to nothing.
    Filling,
}

impl TableFault {
    /// Whether more bytes could make it a table.
    pub fn is_truncated(self) -> bool {
        matches!(self, Self::EndsInNumber | Self::EndsInFrequency)
    }
}

impl fmt::Display for TableFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndsInNumber => f.write_str("order-0 table ends inside a number"),
            Self::EndsInFrequency => f.write_str("order-0 table ends inside a frequency"),
            Self::LargeNumber => f.write_str("order-0 table holds a number over 511"),
            Self::ManyValues => f.write_str("order-0 table names more than 256 byte values"),
            Self::Class(class) => write!(f, "order-0 frequency of {class} bits"),
            Self::Sum(sum) => write!(f, "order-0 frequencies sum to {sum}, not {SLOTS}"),
            Self::Filling => f.write_str("order-0 table is not filled up with zero bits"),
        }
    }
}

/// Takes what is read of a table: first which byte values occur, upwards, then their frequencies in
/// the same order. Values that do not occur are not spoken of.
pub trait TableSink {
    /// The value that occurs as number `number`.
    fn value(&mut self, number: usize, value: usize);
    /// The frequency of the value of number `number`.
    fn frequency(&mut self, number: usize, frequency: u32);
}

/// Frequencies, 0 at first, with the values that occur.
struct Values<'a> {
    values: [u8; 256],
    frequencies: &'a mut Frequencies,
}

impl TableSink for Values<'_> {
    #[inline(always)]
    fn value(&mut self, number: usize, value: usize) {
        self.values[number] = value as u8;
    }

    #[inline(always)]
    fn frequency(&mut self, number: usize, frequency: u32) {
        self.frequencies[usize::from(self.values[number])] = frequency;
    }
}

/// Gives the bytes of the table of `frequencies` to `store`, the last filled up with zero bits.
pub fn write(frequencies: &Frequencies, store: impl FnMut(u8)) {
    let mut bits = BitWriter { store, buffer: 0, filled: 0 };
    let mut s = 0;
    loop {
        let absent = frequencies[s..].iter().take_while(|&&f| f == 0).count();
        bits.gamma(absent as u32 + 1);
        s += absent;
        if s == 256 {
            break;
        }
        let present = frequencies[s..].iter().take_while(|&&f| f > 0).count();
        bits.gamma(present as u32);
        s += present;
        if s == 256 {
            break;
        }
    }
    let mut class = FIRST_CLASS;
    for &f in frequencies.iter().filter(|&&f| f > 0) {
        let own = 32 - f.leading_zeros();
        bits.gamma(zigzag(own as i32 - class as i32) + 1);
        bits.raw(f - (1 << (own - 1)), own - 1);
        class = own;
    }
    bits.finish();
}

/// Reads a table from the front of `data`; returns how many bytes it took.
///
/// # Errors
/// A [`TableFault`]; the frequencies are unspecified then.
pub fn read(data: &[u8], frequencies: &mut Frequencies) -> Result<usize, TableFault> {
    *frequencies = [0; 256];
    read_to(data, &mut Values { values: [0; 256], frequencies }).map(|(_, taken)| taken)
}

/// Reads a table from the front of `data` to a sink; returns how many values occur, and how many
/// bytes it took.
///
/// # Errors
/// As [`read`].
#[inline(always)]
pub fn read_to(data: &[u8], sink: &mut impl TableSink) -> Result<(usize, usize), TableFault> {
    let mut bits = BitReader { data, position: 0, buffer: 0, filled: 0 };
    let (mut value, mut values) = (0, 0);
    let mut occurs = false;
    while value < 256 {
        // Runs of values that do not occur and of those that do, in turn; the first kind may be
        // empty.
        let run = bits.gamma()? as usize - usize::from(!occurs);
        if run > 256 - value {
            return Err(TableFault::ManyValues);
        }
        let end = value + run;
        if occurs {
            while value < end {
                sink.value(values, value);
                values += 1;
                value += 1;
            }
        }
        value = end;
        occurs = !occurs;
    }
    let mut class = FIRST_CLASS as i32;
    let mut sum = 0;
    let mut number = 0;
    while number < values {
        class += unzigzag(bits.gamma()? - 1);
        if !(1..=13).contains(&class) {
            return Err(TableFault::Class(class));
        }
        let frequency = (1 << (class - 1)) + bits.raw(class as u32 - 1)?;
        sink.frequency(number, frequency);
        sum += frequency;
        number += 1;
    }
    if sum != SLOTS as u32 {
        return Err(TableFault::Sum(sum));
    }
    Ok((values, bits.finish()?))
}

fn zigzag(v: i32) -> u32 {
    ((v << 1) ^ (v >> 31)) as u32
}

fn unzigzag(v: u32) -> i32 {
    (v >> 1) as i32 ^ -((v & 1) as i32)
}

struct BitWriter<S> {
    store: S,
    buffer: u64,
    filled: u32,
}

impl<S: FnMut(u8)> BitWriter<S> {
    /// The low `n <= 16` bits of `value`, which has no others.
    fn raw(&mut self, value: u32, n: u32) {
        self.buffer |= u64::from(value) << self.filled;
        self.filled += n;
        while self.filled >= 8 {
            (self.store)(self.buffer as u8);
            self.buffer >>= 8;
            self.filled -= 8;
        }
    }

    /// Elias gamma of `value >= 1`: as many zero bits as there are bits under the highest, a one,
    /// those bits.
    fn gamma(&mut self, value: u32) {
        let below = 31 - value.leading_zeros();
        self.raw(1 << below, below + 1);
        self.raw(value - (1 << below), below);
    }

    fn finish(mut self) {
        if self.filled > 0 {
            (self.store)(self.buffer as u8);
        }
    }
}

struct BitReader<'a> {
    data: &'a [u8],
    position: usize,
    buffer: u64,
    filled: u32,
}

impl BitReader<'_> {
    /// Makes at least 32 bits readable, or all that are left.
    #[inline(always)]
    fn refill(&mut self) {
        while self.filled <= 56
            && let Some(&byte) = self.data.get(self.position)
        {
            self.buffer |= u64::from(byte) << self.filled;
            self.position += 1;
            self.filled += 8;
        }
    }

    /// The low `n <= 16` bits.
    #[inline(always)]
    fn raw(&mut self, n: u32) -> Result<u32, TableFault> {
        if self.filled < n {
            self.refill();
            if self.filled < n {
                return Err(TableFault::EndsInFrequency);
            }
        }
        let value = self.buffer as u32 & ((1 << n) - 1);
        self.buffer >>= n;
        self.filled -= n;
        Ok(value)
    }

    /// An Elias gamma number of at most 9 bits (nothing in a table is larger than 257).
    #[inline(always)]
    fn gamma(&mut self) -> Result<u32, TableFault> {
        if self.filled < 20 {
            self.refill();
        }
        // No bit is set above those that are there.
        let code = self.buffer as u32;
        let below = code.trailing_zeros();
        if below > 8 {
            return Err(if self.filled > 8 {
                TableFault::LargeNumber
            } else {
                TableFault::EndsInNumber
            });
        }
        let n = 2 * below + 1;
        if n > self.filled {
            return Err(TableFault::EndsInFrequency);
        }
        self.buffer >>= n;
        self.filled -= n;
        let highest = 1 << below;
        Ok(code >> (below + 1) & (highest - 1) | highest)
    }

    #[inline(always)]
    fn finish(self) -> Result<usize, TableFault> {
        if self.buffer & ((1 << (self.filled % 8)) - 1) != 0 {
            return Err(TableFault::Filling);
        }
        Ok(self.position - self.filled as usize / 8)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    fn bytes(frequencies: &Frequencies) -> Vec<u8> {
        let mut out = Vec::new();
        write(frequencies, |byte| out.push(byte));
        out
    }

    fn frequencies(data: &[u8]) -> Result<(Frequencies, usize), TableFault> {
        let mut frequencies = [7; 256];
        read(data, &mut frequencies).map(|taken| (frequencies, taken))
    }

    fn round_trip(own: &Frequencies) -> usize {
        let mut out = bytes(own);
        let written = out.len();
        out.extend([0xff; 3]);
        let (back, taken) = frequencies(&out).expect("own table");
        assert_eq!((&back, taken), (own, written));
        for end in 0..written {
            let fault = frequencies(&out[..end]).expect_err("a part of a table");
            assert!(fault.is_truncated(), "cut at {end}: {fault}");
        }
        written
    }

    #[test]
    fn tables_of_every_shape() {
        let mut table = [16; 256];
        assert_eq!(round_trip(&table), (1 + 17 + 256 + 256 * 4usize).div_ceil(8));
        table[0] = 4096 - 255;
        table[1..].fill(1);
        round_trip(&table);
        for first in 0..256 {
            for other in (0..256).filter(|&o| o != first) {
                let mut table = [0; 256];
                table[first] = 4095 - (first + other) as u32;
                table[other] = 1 + (first + other) as u32;
                round_trip(&table);
            }
        }
        round_trip(&core::array::from_fn(|s| if s % 2 == 0 { 32 } else { 0 }));
        let mut single = [0; 256];
        single[255] = 4096;
        round_trip(&single);
    }

    #[test]
    fn wrong_sums_and_hostile_bits() {
        let mut table = [16; 256];
        table[7] = 15;
        assert_eq!(frequencies(&bytes(&table)), Err(TableFault::Sum(4095)));
        for filler in 0..=255u8 {
            let _ = frequencies(&[filler; 600]);
        }
        assert_eq!(frequencies(&[0; 9]), Err(TableFault::LargeNumber));
        assert_eq!(frequencies(&[]), Err(TableFault::EndsInNumber));
    }
}
