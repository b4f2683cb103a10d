//! Counting bytes, and the entropy that the counts promise.

/// How often each byte value occurs.
pub(super) type Counts = [u32; 256];

/// Counts the byte values of a chunk (of less than 2^32 bytes).
///
/// Four tables, since a run of equal bytes would otherwise wait for its own store at every step.
pub(super) fn count(bytes: &[u8]) -> Counts {
    let mut tables = [[0u32; 256]; 4];
    let mut groups = bytes.chunks_exact(8);
    for group in &mut groups {
        let word = u64::from_le_bytes(group.try_into().expect("chunks_exact(8)"));
        for i in 0..8 {
            tables[i % 4][(word >> (8 * i)) as usize & 0xff] += 1;
        }
    }
    for &byte in groups.remainder() {
        tables[0][byte as usize] += 1;
    }
    std::array::from_fn(|s| tables.iter().map(|table| table[s]).sum())
}

/// The exact order-0 entropy of `bytes`, in bytes: the size that an ideal coder with one perfect table for the whole
/// slice would need. A report's yardstick only; nothing in the format depends on it.
#[must_use]
pub fn entropy_bytes(bytes: &[u8]) -> f64 {
    let mut counts = [0u64; 256];
    // `count` keeps 32-bit counters.
    for part in bytes.chunks(1 << 30) {
        for (total, part) in counts.iter_mut().zip(count(part)) {
            *total += u64::from(part);
        }
    }
    let total = bytes.len() as f64;
    let bits = |&n: &u64| n as f64 * (total / n as f64).log2();
    counts.iter().filter(|&&n| n > 0).map(bits).sum::<f64>() / 8.0
}
