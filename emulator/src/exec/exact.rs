//! The sign of a sum of products of `f64`, without any rounding.

/// A product of two subnormal numbers reaches down to 2^-2148: the place of the last bit.
const LAST: i32 = -2148;
/// A product of two numbers ends below 2^2048; the rest is for carries and the sign.
const WORDS: usize = 67;

/// Significand and exponent of the last place of a finite number, without its sign.
fn split(value: f64) -> (u64, i32) {
    let exponent = (value.to_bits() >> 52 & 0x7ff) as i32;
    let fraction = value.to_bits() & ((1 << 52) - 1);
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) }
}

/// -1, 0 or 1, the sign of the exact sum of products. Zero where a factor is not finite.
pub(super) fn sign(products: &[(f64, f64)]) -> f64 {
    if products.iter().any(|(a, b)| !a.is_finite() || !b.is_finite()) {
        return 0.0;
    }
    // In two's complement, the least word first.
    let mut sum = [0_u64; WORDS];
    for &(a, b) in products {
        let ((m, e), (n, f)) = (split(a), split(b));
        let product = u128::from(m) * u128::from(n);
        let place = (e + f - LAST) as usize;
        let (word, shift) = (place / 64, place % 64);
        let low = product << shift;
        let high = if shift == 0 { 0 } else { product >> (128 - shift) };
        let parts = [low as u64, (low >> 64) as u64, high as u64];
        let negative = a.is_sign_negative() != b.is_sign_negative();
        let mut carry = false;
        for (at, into) in sum.iter_mut().enumerate().skip(word) {
            let part = parts.get(at - word).copied().unwrap_or(0);
            (*into, carry) = if negative {
                let (first, over) = into.overflowing_sub(part);
                let (last, again) = first.overflowing_sub(carry.into());
                (last, over || again)
            } else {
                let (first, over) = into.overflowing_add(part);
                let (last, again) = first.overflowing_add(carry.into());
                (last, over || again)
            };
        }
    }
    match (sum[WORDS - 1] >> 63, sum.iter().all(|&word| word == 0)) {
        (_, true) => 0.0,
        (0, _) => 1.0,
        _ => -1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::sign;

    #[test]
    fn what_rounding_would_lose_decides() {
        let tiny = f64::from_bits(1);
        assert_eq!(sign(&[(1.0, 1.0), (-1.0, 1.0)]), 0.0);
        assert_eq!(sign(&[(f64::MAX, f64::MAX), (-tiny, tiny), (f64::MAX, -f64::MAX)]), -1.0);
        assert_eq!(sign(&[(tiny, tiny)]), 1.0);
        assert_eq!(sign(&[(-f64::MAX, f64::MAX), (1.0, 1.0)]), -1.0);
        // (1 + 2^-52)^2 = 1 + 2^-51 + 2^-104.
        let above = 1.0 + f64::EPSILON;
        assert_eq!(sign(&[(above, above), (1.0 + 2.0 * f64::EPSILON, -1.0)]), 1.0);
        assert_eq!(sign(&[(f64::INFINITY, 1.0)]), 0.0);
    }
}
