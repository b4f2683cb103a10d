//! What order-0 coding will take, in integers: a coder that chooses by it chooses the same on every
//! machine. All is counted in units of 2^-16 bits.

/// Bits as units.
#[inline(always)]
pub const fn units(bits: u64) -> u64 {
    bits << 16
}

/// `2^16 log2(1 + i / 256)`, to the nearest below.
const FRACTIONS: [u32; 257] = {
    let mut table = [0; 257];
    let mut i = 0;
    while i < 256 {
        // A mantissa of 31 bits below its point, squared for each bit of its logarithm.
        let mut mantissa = (256 + i as u64) << 23;
        let mut bits = 0;
        let mut left = 16;
        while left > 0 {
            mantissa = (mantissa * mantissa) >> 31;
            bits <<= 1;
            if mantissa >= 1 << 32 {
                mantissa >>= 1;
                bits |= 1;
            }
            left -= 1;
        }
        table[i] = bits;
        i += 1;
    }
    table[256] = 1 << 16;
    table
};

/// The logarithm of `n`, at least 1, to base 2: less than three units too small.
#[inline(always)]
pub fn log2(n: u64) -> u64 {
    let whole = 63 - n.leading_zeros();
    // The bits below the highest, 24 of them: eight say between which logarithms, the others where.
    let below = ((n << (63 - whole)) << 1 >> 40) as u32;
    let (at, between) = ((below >> 16) as usize, below & 0xffff);
    let (low, high) = (FRACTIONS[at], FRACTIONS[at + 1]);
    units(u64::from(whole)) + u64::from(low + (((high - low) * between) >> 16))
}

/// What symbols of these counts take. Their sum is below 2^32.
#[inline(always)]
pub fn entropy(counts: impl IntoIterator<Item = u32>) -> u64 {
    let (mut total, mut sum) = (0, 0);
    for count in counts.into_iter().filter(|&count| count > 0) {
        let count = u64::from(count);
        total += count;
        sum += count * log2(count);
    }
    // Logarithms are rounded: of a single count nothing is left, of others perhaps less.
    if total == 0 { 0 } else { (total * log2(total)).saturating_sub(sum) }
}

/// The same, corrected for the smallness of the sample that was counted (Miller and Madow, 1955):
/// without it a few thousand bytes of noise look compressible.
#[inline(always)]
pub fn sampled(counts: &[u32]) -> u64 {
    /// `1 / (2 ln 2)` bits.
    const MORE: u64 = 47_274;
    let values = counts.iter().filter(|&&count| count > 0).count() as u64;
    entropy(counts.iter().copied()) + values.saturating_sub(1) * MORE
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn logarithms_are_right_to_three_units() {
        let check = |n: u64| {
            let exact = libm::log2(n as f64) * 65536.0;
            assert!((0.0..3.0).contains(&(exact - log2(n) as f64)), "{n}: {} for {exact}", log2(n));
        };
        (1..100_000).for_each(check);
        for shift in 0..47 {
            [0x1_0001, 0x1_4567, 0x1_8000, 0x1_ffff].iter().for_each(|n: &u64| check(n << shift));
        }
        for power in 0..64 {
            assert_eq!(log2(1 << power), units(power));
        }
    }

    #[test]
    fn entropies() {
        assert_eq!(entropy([]), 0);
        assert_eq!(entropy([77, 0]), 0);
        assert_eq!(entropy([512; 256]), units(8 * 512 * 256));
        // 3,402,747.1 bits.
        assert!((entropy([3 << 20, 1 << 20]) >> 16).abs_diff(3_402_747) < 20);
        assert_eq!(sampled(&[0, 9, 0]), 0);
        assert_eq!(sampled(&[1, 1]), units(2) + 47_274);
    }
}
