//! The table header of a chunk: frequencies as bits, least significant bit first
//! (`docs/order0-format.md`, "The table").

use super::SLOTS;
use super::model::Frequencies;
use crate::{Error, Result};

/// The class (bit length of a frequency) that the first difference is taken from.
const FIRST_CLASS: u32 = 5;

/// Appends the table of `frequencies`, filled up to a whole byte with zero bits.
pub(super) fn write(frequencies: &Frequencies, out: &mut Vec<u8>) {
    let mut bits = BitWriter { out, buffer: 0, filled: 0 };
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

/// Reads a table from the front of `data`; returns it and how many bytes it took.
pub(super) fn read(data: &[u8]) -> Result<(Frequencies, usize)> {
    let mut bits = BitReader { data, position: 0, buffer: 0, filled: 0 };
    let mut frequencies = [0u32; 256];
    let mut s = 0;
    while s < 256 {
        s += bits.gamma()? as usize - 1;
        if s == 256 {
            break;
        }
        let present = bits.gamma()? as usize;
        if s > 256 || present > 256 - s {
            return Err(Error::Corrupt("order-0 table names more than 256 byte values".into()));
        }
        frequencies[s..s + present].fill(1);
        s += present;
    }
    if s > 256 {
        return Err(Error::Corrupt("order-0 table names more than 256 byte values".into()));
    }
    let mut class = FIRST_CLASS as i32;
    let mut sum = 0;
    for f in frequencies.iter_mut().filter(|f| **f > 0) {
        class += unzigzag(bits.gamma()? - 1);
        if !(1..=13).contains(&class) {
            return Err(Error::Corrupt(format!("order-0 frequency of {class} bits")));
        }
        *f = (1 << (class - 1)) + bits.raw(class as u32 - 1)?;
        sum += *f;
    }
    if sum != SLOTS as u32 {
        return Err(Error::Corrupt(format!("order-0 frequencies sum to {sum}, not {SLOTS}")));
    }
    Ok((frequencies, bits.finish()?))
}

fn zigzag(v: i32) -> u32 {
    ((v << 1) ^ (v >> 31)) as u32
}

fn unzigzag(v: u32) -> i32 {
    (v >> 1) as i32 ^ -((v & 1) as i32)
}

struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    buffer: u64,
    filled: u32,
}

impl BitWriter<'_> {
    /// The low `n <= 16` bits of `value`, which has no others.
    fn raw(&mut self, value: u32, n: u32) {
        self.buffer |= u64::from(value) << self.filled;
        self.filled += n;
        while self.filled >= 8 {
            self.out.push(self.buffer as u8);
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

    fn finish(self) {
        if self.filled > 0 {
            self.out.push(self.buffer as u8);
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
    fn refill(&mut self) {
        while self.filled <= 56 && self.position < self.data.len() {
            self.buffer |= u64::from(self.data[self.position]) << self.filled;
            self.position += 1;
            self.filled += 8;
        }
    }

    fn raw(&mut self, n: u32) -> Result<u32> {
        if self.filled < n {
            self.refill();
            if self.filled < n {
                return Err(Error::Truncated("order-0 table ends inside a frequency".into()));
            }
        }
        let value = self.buffer & ((1 << n) - 1);
        self.buffer >>= n;
        self.filled -= n;
        Ok(value as u32)
    }

    /// An Elias gamma number of at most 9 bits (nothing in a table is larger than 257).
    fn gamma(&mut self) -> Result<u32> {
        if self.filled < 20 {
            self.refill();
        }
        let below = self.buffer.trailing_zeros();
        if below > 8 {
            return Err(if self.filled > 8 {
                Error::Corrupt("order-0 table holds a number over 511".into())
            } else {
                Error::Truncated("order-0 table ends inside a number".into())
            });
        }
        self.raw(below + 1)?;
        Ok(self.raw(below)? | 1 << below)
    }

    fn finish(self) -> Result<usize> {
        if self.buffer & ((1 << (self.filled % 8)) - 1) != 0 {
            return Err(Error::Corrupt("order-0 table is not filled up with zero bits".into()));
        }
        Ok(self.position - self.filled as usize / 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(frequencies: &Frequencies) -> usize {
        let mut out = Vec::new();
        write(frequencies, &mut out);
        let written = out.len();
        out.extend([0xff; 3]);
        let (back, taken) = read(&out).expect("own table");
        assert_eq!((&back, taken), (frequencies, written));
        for end in 0..written {
            assert!(matches!(read(&out[..end]), Err(Error::Truncated(_))), "cut at {end}");
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
        round_trip(&std::array::from_fn(|s| if s % 2 == 0 { 32 } else { 0 }));
        let mut single = [0; 256];
        single[255] = 4096;
        round_trip(&single);
    }

    #[test]
    fn wrong_sums_and_hostile_bits() {
        let mut out = Vec::new();
        let mut table = [16; 256];
        table[7] = 15;
        write(&table, &mut out);
        assert!(matches!(read(&out), Err(Error::Corrupt(_))));
        for filler in 0..=255u8 {
            let _ = read(&[filler; 600]);
        }
        assert!(matches!(read(&[0; 9]), Err(Error::Corrupt(_))));
        assert!(matches!(read(&[]), Err(Error::Truncated(_))));
    }
}
