//! What an access costs in a GPU's units: sectors of global memory, wavefronts of shared memory.

use super::frame::{LANES, Lanes};
use crate::memory::order::lanes_of;

/// Distinct 32-byte sectors that the lanes touch.
pub(super) fn sectors(at: &Lanes<u64>, mask: u32) -> u64 {
    let (mut low, mut high) = (u64::MAX, 0);
    for lane in lanes_of(mask) {
        let sector = at[lane] / 32;
        (low, high) = (low.min(sector), high.max(sector));
    }
    if high.wrapping_sub(low) < 64 {
        let bits = lanes_of(mask).fold(0_u64, |bits, l| bits | 1 << (at[l] / 32 - low));
        return bits.count_ones().into();
    }
    let mut found = [0; LANES];
    let mut count = 0;
    for lane in lanes_of(mask) {
        let sector = at[lane] / 32;
        if !found[..count].contains(&sector) {
            found[count] = sector;
            count += 1;
        }
    }
    count as u64
}

/// Wavefronts of a shared access of `bytes` a lane: for each group of lanes that move 128 bytes
/// together, the most distinct words that fall on one bank.
pub(super) fn wavefronts(at: &Lanes<u64>, mask: u32, bytes: u32) -> u64 {
    let group = (LANES as u32 * 4 / bytes.max(4)).clamp(1, 32) as usize;
    let words = u64::from(bytes.div_ceil(4));
    let mut total = 0;
    for first in (0..LANES).step_by(group) {
        let lanes = mask & (u32::MAX >> (32 - group)) << first;
        let (mut low, mut high) = (u64::MAX, 0);
        for lane in lanes_of(lanes) {
            let word = at[lane] / 4;
            (low, high) = (low.min(word), high.max(word + words));
        }
        if high.wrapping_sub(low) <= 32 {
            // No two of 32 words in a row share a bank.
            total += u64::from(lanes != 0);
            continue;
        }
        let mut seen = [u64::MAX; 32];
        let mut ways = [0_u8; 32];
        let mut more: Vec<u64> = Vec::new();
        for lane in lanes_of(lanes) {
            for word in at[lane] / 4..at[lane] / 4 + words {
                let bank = (word % 32) as usize;
                if seen[bank] == word {
                    continue;
                }
                if seen[bank] == u64::MAX {
                    seen[bank] = word;
                } else if more.contains(&word) {
                    continue;
                } else {
                    more.push(word);
                }
                ways[bank] += 1;
            }
        }
        total += u64::from(ways.into_iter().max().unwrap_or(0));
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(f: impl Fn(u64) -> u64) -> Lanes<u64> {
        std::array::from_fn(|lane| f(lane as u64))
    }

    #[test]
    fn sectors_of_known_patterns() {
        assert_eq!(sectors(&at(|l| 0x1000 + 4 * l), u32::MAX), 4);
        assert_eq!(sectors(&at(|l| 0x1000 + 16 * l), u32::MAX), 16);
        assert_eq!(sectors(&at(|l| 0x1000 + 128 * l), u32::MAX), 32);
        assert_eq!(sectors(&at(|l| 0x1000 + 128 * (l % 4)), u32::MAX), 4);
        assert_eq!(sectors(&at(|l| (l % 3) << 40), u32::MAX), 3);
        assert_eq!(sectors(&at(|_| 0x1000), u32::MAX), 1);
        assert_eq!(sectors(&at(|l| 0x1000 + 4 * l), 0b11), 1);
    }

    #[test]
    fn wavefronts_of_known_conflicts() {
        let all = u32::MAX;
        assert_eq!(wavefronts(&at(|l| 4 * l), all, 4), 1, "no conflict");
        assert_eq!(wavefronts(&at(|_| 64), all, 4), 1, "broadcast");
        assert_eq!(wavefronts(&at(|l| 8 * l), all, 4), 2, "stride 2: two ways");
        assert_eq!(wavefronts(&at(|l| 128 * l), all, 4), 32, "stride 32: all on one bank");
        assert_eq!(wavefronts(&at(|l| 132 * l), all, 4), 1, "padded column");
        assert_eq!(wavefronts(&at(|l| l), all, 1), 1, "bytes of the same words");
        assert_eq!(wavefronts(&at(|l| 8 * l), all, 8), 2, "8 bytes per lane take two");
        assert_eq!(wavefronts(&at(|l| 16 * l), all, 16), 4, "16 bytes per lane take four");
        assert_eq!(wavefronts(&at(|l| 128 * l), 0xff, 4), 8, "only active lanes");
    }
}
