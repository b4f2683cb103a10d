//! Building tables from probabilities, counts or CDF rows.

use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

use super::{Count, Precision, Probability, Tables, quantise};
use crate::error::{Error, Result};

/// Says how tables are built; [`pmf`](Self::pmf), [`counts`](Self::counts) or [`cdf`](Self::cdf)
/// builds them.
#[derive(Debug)]
pub struct TablesBuilder<'a> {
    precision: Result<Precision>,
    sizes: Option<&'a [usize]>,
    offsets: Option<&'a [i32]>,
    sentinel: Sentinel,
    unused_slots: bool,
}

/// Which symbol of each table is the bypass sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sentinel {
    None,
    Added,
    Last,
}

impl<'a> TablesBuilder<'a> {
    pub(super) fn new(precision: Result<Precision>) -> Self {
        Self {
            precision,
            sizes: None,
            offsets: None,
            sentinel: Sentinel::None,
            unused_slots: false,
        }
    }

    /// Ragged alphabets: of row k only the first `sizes[k]` values count (for CDF rows: `sizes[k]`
    /// values, one more than symbols, torch_ans' `cdf_sizes`).
    pub fn sizes(mut self, sizes: &'a [usize]) -> Self {
        self.sizes = Some(sizes);
        self
    }

    /// The smallest symbol of each table; 0 unless said.
    pub fn offsets(mut self, offsets: &'a [i32]) -> Self {
        self.offsets = Some(offsets);
        self
    }

    /// Adds the symbol that bypass coding needs behind each alphabet, with the probability that
    /// torch_ans gives it. For rows of probabilities or counts; CDF rows hold theirs already.
    pub fn sentinel(mut self, sentinel: bool) -> Self {
        self.sentinel = if sentinel { Sentinel::Added } else { Sentinel::None };
        self
    }

    /// The last symbol of each row of probabilities or counts is the bypass sentinel already
    /// (CompressAI's tail mass), and none is added.
    pub fn sentinel_is_last(mut self) -> Self {
        self.sentinel = Sentinel::Last;
        self
    }

    /// Lets CDF rows end before `2^precision`: the slots behind a row's end are no symbol's, and no
    /// stream that was coded with the row has them. torch_ans makes such rows of alphabets that are
    /// padded to one length. They are coded without vectors; alias tables, tANS and the frames'
    /// [`CodedRows`](crate::frame::CodedRows) have no place for them.
    pub fn unused_slots(mut self, unused: bool) -> Self {
        self.unused_slots = unused;
        self
    }

    /// Quantises probabilities of shape (tables, alphabet): [`f16`](half::f16),
    /// [`bf16`](half::bf16), `f32` or `f64`, of any positive sum. Equal to torch_ans'
    /// `rans_pmf_to_quantized_cdf` wherever that does not wrap, and always strictly increasing.
    ///
    /// # Errors
    /// [`Error::InvalidTable`] for a NaN, negative or infinite value, a row of zeros, an alphabet
    /// past `2^precision`.
    pub fn pmf<'p, T: Probability>(self, pmf: impl Into<ArrayView2<'p, T>>) -> Result<Tables> {
        let added = self.sentinel == Sentinel::Added;
        self.quantise(pmf.into(), |row, values, precision| {
            quantise::probabilities(values, added, precision, row)
        })
    }

    /// Quantises counts of shape (tables, alphabet), of any integer type, in integers only.
    ///
    /// ```
    /// use ndarray::array;
    /// use parans::Tables;
    ///
    /// let tables = Tables::builder(12).sentinel(true).counts(&array![[900u32, 80, 20]])?;
    /// assert_eq!(tables.alphabet(0), 4);
    /// # Ok::<(), parans::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidTable`] for a negative count, a row of zeros or an alphabet past
    /// `2^precision`.
    pub fn counts<'c, T: Count>(self, counts: impl Into<ArrayView2<'c, T>>) -> Result<Tables> {
        let counts = counts.into();
        let wide = quantise::widened(counts.iter().copied(), counts.ncols())?;
        self.wide_counts(ArrayView2::from_shape(counts.dim(), &wide).expect("as many counts"))
    }

    fn wide_counts(self, counts: ArrayView2<'_, u64>) -> Result<Tables> {
        let added = self.sentinel == Sentinel::Added;
        self.quantise(counts, |row, values, precision| {
            quantise::counts(values, added, precision, row)
        })
    }

    /// Takes CDF rows of shape (tables, alphabet + 1) as they are: from 0 to `2^precision`,
    /// strictly increasing. With [`unused_slots`](Self::unused_slots) they may end before.
    ///
    /// # Errors
    /// [`Error::InvalidTable`] names the first value that breaks this.
    pub fn cdf<'c>(self, cdf: impl Into<ArrayView2<'c, i32>>) -> Result<Tables> {
        let unused = self.unused_slots;
        // Rows that are trusted to hold one, as torch_ans trusts them.
        self.sentinel_is_last().quantise(cdf.into(), |row, values, precision| {
            check_cdf(values, precision, row, unused)
        })
    }

    fn quantise<T: Copy + Sync>(
        self,
        rows: ArrayView2<'_, T>,
        quantise: impl Fn(usize, &[T], u32) -> Result<Vec<u32>> + Sync,
    ) -> Result<Tables> {
        let precision = self.precision?;
        let bits = precision.bits();
        let count = rows.nrows();
        if let Some(sizes) = self.sizes
            && sizes.len() != count
        {
            return Err(Error::Shape {
                what: "table sizes",
                expected: format!("one per table, {count}"),
                got: sizes.len().to_string(),
            });
        }
        let one = |row: usize| {
            let values: ArrayView1<'_, T> = rows.row(row);
            let size = self.sizes.map_or(values.len(), |sizes| sizes[row]);
            if size > values.len() {
                return Err(Error::InvalidTable {
                    row,
                    reason: format!("its size {size} is past the row's {} values", values.len()),
                });
            }
            match values.as_slice() {
                Some(values) => quantise(row, &values[..size], bits),
                None => quantise(row, &values.iter().copied().take(size).collect::<Vec<_>>(), bits),
            }
        };
        // Fewer values take about as long as waking a thread.
        let freqs: Vec<Vec<u32>> = if rows.len() < 1 << 15 {
            (0..count).map(one).collect::<Result<_>>()?
        } else {
            (0..count).into_par_iter().map(one).collect::<Result<_>>()?
        };
        let tables = Tables::from_frequencies(&freqs, self.offsets, precision)?;
        Ok(Tables { lacks_sentinel: self.sentinel == Sentinel::None, ..tables })
    }
}

/// The frequencies of a CDF row, which may end before `2^precision` where slots may be unused.
pub(crate) fn check_cdf(cdf: &[i32], precision: u32, row: usize, unused: bool) -> Result<Vec<u32>> {
    let invalid = |reason: String| Err(Error::InvalidTable { row, reason });
    quantise::check_alphabet(cdf.len().saturating_sub(1), precision, row)?;
    if cdf[0] != 0 {
        return invalid(format!("the CDF begins with {}, not 0", cdf[0]));
    }
    let mut freqs = Vec::with_capacity(cdf.len() - 1);
    for (symbol, pair) in cdf.windows(2).enumerate() {
        // 2^31 itself does not fit an i32; torch_ans tables at precision 31 hold it wrapped.
        let end = if precision == 31 && pair[1] == i32::MIN { 1 << 31 } else { i64::from(pair[1]) };
        if end <= i64::from(pair[0]) {
            return invalid(format!(
                "the CDF does not increase at symbol {symbol}: {} then {}",
                pair[0], pair[1]
            ));
        }
        freqs.push((end - i64::from(pair[0])) as u32);
    }
    let end = freqs.iter().map(|&f| u64::from(f)).sum::<u64>();
    if end > 1 << precision || end < 1 << precision && !unused {
        return invalid(format!("the CDF ends in {end}, not 2^{precision}"));
    }
    Ok(freqs)
}
