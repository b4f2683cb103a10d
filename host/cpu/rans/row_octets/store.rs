//! The last loop of a pop: symbols are stored where the caller wants them.

use std::ops::Range;

use super::{OCTETS, STATES, STEPS};
use crate::simd::{Aligned, Octets, PLACES, RunOn, Work, unroll};
use crate::symbols::SymbolSliceMut;

/// Symbols of a line.
const LINE: usize = 16;

/// What a tile keeps in the L1 cache.
pub(in crate::cpu) struct Scratch {
    /// The tables of each step, by octet, and after it its symbols in their place.
    pub(in crate::cpu) steps: Box<Aligned<[[u32; 8]; OCTETS * STEPS]>>,
    /// The tables of the rows of an octet, where they are not their indexes as they lie in memory.
    pub(in crate::cpu) mapped: Box<[u32; PLACES]>,
    /// Row by row: symbols of the tile before that wait for the rest of their line, and the tile's.
    rows: Box<Aligned<[u32; STATES * (LINE + STEPS)]>>,
}

impl Scratch {
    pub(in crate::cpu) fn new() -> Self {
        Self {
            steps: Box::new(Aligned([[0; 8]; OCTETS * STEPS])),
            mapped: Box::new([0; PLACES]),
            rows: Box::new(Aligned([0; STATES * (LINE + STEPS)])),
        }
    }
}

/// Stores a range of columns.
pub(in crate::cpu) struct Store<'a, 's, const L: usize, const O: usize> {
    pub(in crate::cpu) scratch: &'a mut Scratch,
    pub(in crate::cpu) rows: usize,
    pub(in crate::cpu) symbols: &'a mut SymbolSliceMut<'s>,
    pub(in crate::cpu) columns: usize,
    pub(in crate::cpu) range: Range<usize>,
    /// Whether 32-bit symbols are stored non-temporally, in whole lines: what a row's last line
    /// lacks waits for the next range. A fence must follow: the block's, as each range would wait
    /// for memory at its own.
    pub(in crate::cpu) non_temporal: bool,
    /// Whether no range follows.
    pub(in crate::cpu) last: bool,
}

impl<const L: usize, const O: usize> Work for Store<'_, '_, L, O> {
    /// `None` where a symbol does not fit its type.
    type Output = Option<()>;
}

impl<S: Octets, const L: usize, const O: usize> RunOn<S> for Store<'_, '_, L, O> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { scratch, rows, symbols, columns, range, non_temporal, last } = self;
        let Scratch { steps, rows: of_rows, .. } = scratch;
        let across = 8 / L;
        let width = LINE + STEPS * L * O;
        // Octets that have rows in common, or an octet with rows of its own.
        for (u, steps) in steps.chunks_exact(O * STEPS).enumerate().take(rows.div_ceil(across)) {
            for block in 0..range.len().div_ceil(8) {
                let steps = &steps[block % O * STEPS + block / O * across..][..across];
                let mut v = [s.splat(0); 8];
                unroll!(r in 0 1 2 3 4 5 6 7 below across => { v[r] = s.load(&steps[r]); });
                let v = s.transpose::<L>(v);
                let first = u * across * width + LINE + 8 * block;
                let to = &mut of_rows[first..first + (across - 1) * width + 8];
                unroll!(r in 0 1 2 3 4 5 6 7 below across => {
                    if let Some(to) = to[r * width..].first_chunk_mut() {
                        s.store(v[r], to);
                    }
                });
            }
        }
        for (row, of_row) in of_rows.chunks_exact_mut(width).enumerate().take(rows) {
            let first = row * columns;
            match &mut *symbols {
                SymbolSliceMut::I32(symbols) if non_temporal => {
                    let out: &mut [u32] = bytemuck::cast_slice_mut(symbols);
                    let out = &mut out[first..first + columns];
                    store_lines(s, of_row, out, range.clone(), last);
                }
                symbols => {
                    let width = symbols.width();
                    let next = width * (first + range.end);
                    let bytes = symbols.as_bytes_mut();
                    for at in (next..next + width * range.len()).step_by(64) {
                        s.prefetch_to_write(bytes, at);
                    }
                    let mut out = symbols.range(first + range.start..first + range.end);
                    out.narrow(bytemuck::cast_slice(&of_row[LINE..LINE + range.len()])).ok()?;
                }
            }
        }
        Some(())
    }
}

/// Stores the symbols of a row in whole lines, but for the ends of the row.
#[inline(always)]
fn store_lines<S: Octets>(
    s: S,
    of_row: &mut [u32],
    out: &mut [u32],
    range: Range<usize>,
    last: bool,
) {
    // How far into a line the row begins.
    let into = out.as_ptr() as usize / size_of::<u32>() % LINE;
    let mut at = range.start;
    if at > 0 {
        // What waits for the rest of its line, or of the row's first one.
        at -= ((into + at) % LINE).min(at);
    } else if into > 0 {
        let head = (LINE - into).min(range.end);
        out[..head].copy_from_slice(&of_row[LINE..LINE + head]);
        at = head;
    }
    let place = |at: usize| LINE + at - range.start;
    while range.end - at >= LINE {
        let from = of_row[place(at)..].first_chunk();
        if let (Some(from), Some(line)) = (from, out[at..].first_chunk_mut()) {
            s.copy_non_temporal(from, line);
        }
        at += LINE;
    }
    if last {
        out[at..range.end].copy_from_slice(&of_row[place(at)..place(range.end)]);
    } else {
        let end = place(range.end);
        of_row.copy_within(end - LINE..end, 0);
    }
}
