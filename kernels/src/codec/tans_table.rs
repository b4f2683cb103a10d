//! Building tANS tables: the symbols spread over the states, and what push and pop read of that.

use super::entry::Interval;
use super::tans::{TansDecoderEntry, TansEncoderEntry, can_spread, spread_step};

/// Fills the tANS form of one table of `2^precision` states.
///
/// `intervals` are the table's symbols, `decoder` and `next` have `2^precision` entries, `encoder`
/// one per symbol; `counters` is scratch of one value per symbol. Returns `false`, with the outputs
/// undefined, where lengths or frequencies do not fit each other or the precision allows no spread.
pub fn build(
    intervals: &[Interval],
    precision: u32,
    decoder: &mut [TansDecoderEntry],
    next: &mut [u16],
    encoder: &mut [TansEncoderEntry],
    counters: &mut [u32],
) -> bool {
    let states = 1usize << precision;
    let total: u64 = intervals.iter().map(|interval| u64::from(interval.freq)).sum();
    if !(1..=15).contains(&precision)
        || !can_spread(precision)
        || total != states as u64
        || decoder.len() != states
        || next.len() != states
        || encoder.len() != intervals.len()
        || counters.len() != intervals.len()
        || intervals.iter().any(|interval| interval.freq == 0)
    {
        return false;
    }
    // The step is odd, so that the walk meets every state once.
    let step = spread_step(precision) as usize;
    let mut at = 0;
    for (symbol, interval) in intervals.iter().enumerate() {
        for _ in 0..interval.freq {
            if let Some(entry) = decoder.get_mut(at) {
                entry.symbol = symbol as u16;
            }
            at = (at + step) & (states - 1);
        }
    }
    for ((entry, counter), interval) in encoder.iter_mut().zip(counters.iter_mut()).zip(intervals) {
        // hb(freq - 1), with hb(0) = 0.
        let high_bit = 31 - ((interval.freq - 1) | 1).leading_zeros();
        let max_bits = precision - high_bit;
        entry.bits_bias = (max_bits << 16) - (interval.freq << max_bits);
        entry.next_bias = interval.start.wrapping_sub(interval.freq);
        *counter = interval.freq;
    }
    // A symbol's states in ascending order are its numbers freq..2 freq: as next states of push,
    // and as numbers of pop.
    for (state, entry) in decoder.iter_mut().enumerate() {
        let symbol = entry.symbol as usize;
        let (Some(counter), Some(interval)) = (counters.get_mut(symbol), intervals.get(symbol))
        else {
            return false;
        };
        entry.number = *counter as u16;
        let place = (interval.start + *counter - interval.freq) as usize;
        *counter += 1;
        if let Some(slot) = next.get_mut(place) {
            *slot = (states + state) as u16;
        }
    }
    true
}
