//! torch_ans' own forms of tables: int32 tensors of one row per table, which its callers build once
//! and hand to every push and pop.

use ndarray::{Array2, ArrayView2, s};

use super::{Precision, Tables};
use crate::error::{Error, Result};
use crate::memory;

impl Tables {
    /// The tensors that torch_ans' `rans_alias_build_table` makes of CDF rows of `width` values:
    /// each CDF with the permutation of slots behind it, for push, and with the buckets behind it,
    /// for pop.
    ///
    /// # Errors
    /// [`Error::InvalidTable`] for an alphabet that is no power of two; [`Error::InvalidArgument`]
    /// for a table wider than `width` and for tensors that there is no memory for.
    pub fn to_alias_tensors(&self, width: usize) -> Result<(Array2<i32>, Array2<i32>)> {
        let alias = self.inner.alias()?;
        let slots = 1 << self.precision().bits();
        let mut push = zeros(self.len(), width, slots)?;
        let mut pop = zeros(self.len(), width, 4 * width)?;
        for table in 0..self.len() {
            let cdf = self.cdf_row(table, width)?;
            let remap = alias.remap[table * slots..(table + 1) * slots].iter().copied();
            fill(&mut push, table, cdf.iter().copied().chain(remap));
            let base = self.inner.tables()[table].base as usize;
            let buckets = &alias.buckets[base..base + self.alphabet(table)];
            let fields = buckets.iter().flat_map(|bucket| {
                [bucket.divide, bucket.other, bucket.own_shift, bucket.other_shift]
            });
            fill(&mut pop, table, cdf.iter().copied().chain(fields));
        }
        Ok((push, pop))
    }

    /// The tensor that torch_ans' `tans_build_tables` makes of CDF rows of `width` values: for each
    /// of `2^precision` states the next state, then the bits that a pop reads with the state below
    /// them, then the symbol; then two numbers for each of `width` symbols.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a precision without tANS tables; [`Error::InvalidArgument`] as
    /// for [`to_alias_tensors`](Self::to_alias_tensors).
    pub fn to_tans_tensor(&self, width: usize) -> Result<Array2<i32>> {
        let form = self.inner.tans()?;
        let precision = self.precision().bits();
        let states = 1usize << precision;
        let mut tensor = zeros(self.len(), 3 * states, 2 * width)?;
        for table in 0..self.len() {
            self.cdf_row(table, width)?;
            let of_table = table * states..(table + 1) * states;
            let decoder = &form.decoder[of_table.clone()];
            let words = decoder.iter().map(|entry| {
                let bits = entry.bits(precision);
                (bits << 16) | ((u32::from(entry.number) << bits) - (1 << precision))
            });
            let next = form.next[of_table].iter().map(|&state| u32::from(state));
            let symbols = decoder.iter().map(|entry| u32::from(entry.symbol));
            let base = self.inner.tables()[table].base as usize;
            let encoder = &form.encoder[base..base + self.alphabet(table)];
            let steps = encoder.iter().flat_map(|entry| [entry.bits_bias, entry.next_bias]);
            fill(&mut tensor, table, next.chain(words).chain(symbols).chain(steps));
        }
        Ok(tensor)
    }

    /// The tables of a tensor as [`to_tans_tensor`](Self::to_tans_tensor) makes it. Only the
    /// symbols of the states are read: how often each occurs is its frequency. `sizes` are
    /// torch_ans' `cdfs_sizes`, one more than each table's symbols.
    ///
    /// # Errors
    /// [`Error::Shape`] where the tensor is narrower than its states; [`Error::InvalidTable`] for a
    /// symbol past its table, or one that no state has.
    pub fn from_tans_tensor(
        tensor: ArrayView2<'_, i32>,
        precision: Precision,
        sizes: &[usize],
        offsets: Option<&[i32]>,
    ) -> Result<Self> {
        let states = 1usize << precision.bits();
        if tensor.ncols() < 3 * states || sizes.len() != tensor.nrows() {
            return Err(Error::Shape {
                what: "tANS tables",
                expected: format!("{} rows of {} values or more", sizes.len(), 3 * states),
                got: format!("({}, {})", tensor.nrows(), tensor.ncols()),
            });
        }
        let mut rows = Vec::with_capacity(sizes.len());
        for (row, &size) in sizes.iter().enumerate() {
            let invalid = |reason: String| Error::InvalidTable { row, reason };
            // More symbols than states leave one without.
            let symbols = size.saturating_sub(1).min(states + 1);
            let mut frequencies = vec![0u32; symbols];
            for &symbol in tensor.slice(s![row, 2 * states..3 * states]) {
                let frequency = usize::try_from(symbol).ok().and_then(|at| frequencies.get_mut(at));
                *frequency.ok_or_else(|| {
                    invalid(format!("a state codes symbol {symbol} of {symbols}"))
                })? += 1;
            }
            if let Some(symbol) = frequencies.iter().position(|&frequency| frequency == 0) {
                return Err(invalid(format!("no state codes symbol {symbol}")));
            }
            rows.push(frequencies);
        }
        Self::from_frequencies(&rows, offsets, precision)
    }

    /// The CDF of a table, where a row of `width` values holds it.
    fn cdf_row(&self, table: usize, width: usize) -> Result<Vec<u32>> {
        let cdf = self.cdf(table);
        if cdf.len() > width {
            return Err(Error::InvalidArgument(format!(
                "table {table} has a CDF of {} values: rows have {width}",
                cdf.len()
            )));
        }
        Ok(cdf)
    }
}

fn zeros(rows: usize, first: usize, more: usize) -> Result<Array2<i32>> {
    let columns = first.saturating_add(more);
    let cells = memory::zeros(memory::cells(rows, columns)?)?;
    Array2::from_shape_vec((rows, columns), cells)
        .map_err(|error| Error::InvalidArgument(error.to_string()))
}

/// Writes the front of a row: bits of unsigned numbers as torch_ans' signed ones.
fn fill(tensor: &mut Array2<i32>, row: usize, values: impl Iterator<Item = u32>) {
    for (cell, value) in tensor.row_mut(row).iter_mut().zip(values) {
        *cell = value as i32;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// Tensors that torch_ans 0.4.0 made.
    #[test]
    fn alias_tensors_are_torch_ans() {
        let tables = Tables::from_cdf(&array![[0, 4, 10, 15, 16]], 4).unwrap();
        let (push, pop) = tables.to_alias_tensors(5).unwrap();
        let remap =
            array![[0, 4, 10, 15, 16, 0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 8, 9, 13, 14, 15, 12]];
        let buckets = array![[
            0, 4, 10, 15, 16, 4, 0, 0, 4, 8, 1, 4, 8, 10, 1, 8, 6, 13, 2, 12, 11, 0, 0, 0, 0
        ]];
        assert_eq!(push, remap);
        assert_eq!(pop, buckets);
        assert!(tables.to_alias_tensors(4).is_err());
    }

    #[test]
    fn tans_tensors_come_back() {
        let cdf = array![[0, 4, 10, 15, 16], [0, 1, 16, 0, 0]];
        let (sizes, offsets) = ([5, 3], [0, -7]);
        let builder = Tables::builder(4).sizes(&sizes).offsets(&offsets);
        let tables = builder.cdf(&cdf).unwrap();
        let mut tensor = tables.to_tans_tensor(5).unwrap();
        assert_eq!(tensor.dim(), (2, 3 * 16 + 2 * 5));
        let precision = Precision::new(4).unwrap();
        let back =
            Tables::from_tans_tensor(tensor.view(), precision, &sizes, Some(&offsets)).unwrap();
        for table in 0..2 {
            assert_eq!(back.cdf(table), tables.cdf(table));
            assert_eq!(back.offset(table), tables.offset(table));
        }
        tensor[(1, 40)] = 2;
        let past = Tables::from_tans_tensor(tensor.view(), precision, &sizes, None).unwrap_err();
        assert_eq!(past.to_string(), "table 1: a state codes symbol 2 of 2");
        tensor.row_mut(1).fill(0);
        assert!(Tables::from_tans_tensor(tensor.view(), precision, &sizes, None).is_err());
    }
}
