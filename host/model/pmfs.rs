//! A probability table per symbol, used once: torch_ans' `encode_with_freqs`.
//!
//! Quantising is most of the work here, and its rows are independent: it runs on all threads, into
//! one array of CDFs, and coding reads that array as it is. No encoder entries, inverse CDFs or
//! alias tables are made.

use std::ops::Range;

use ndarray::ArrayView3;
use parans_kernels::model::Cdfs;
use rayon::prelude::*;

use super::{ModelSet, Models, RowModels, sealed};
use crate::error::{Error, Result};
use crate::gpu::{DeviceBuffer, DeviceModels, DeviceSlice, Gpu};
use crate::memory;
use crate::tables::quantise;
use crate::tables::{Count, Precision, Probability, check_cdf};

/// A quantised CDF for each of (rows, columns) symbols, all of one alphabet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pmfs {
    rows: usize,
    columns: usize,
    width: usize,
    offset: i32,
    sentinel: bool,
    precision: Precision,
    cdfs: Vec<u32>,
}

impl Pmfs {
    /// Quantises probabilities of shape (rows, columns, alphabet), each of any positive sum, by the
    /// rule of [`TablesBuilder::pmf`](crate::TablesBuilder::pmf). With `sentinel`, a bypass
    /// sentinel is added behind each alphabet, and symbols outside it can be coded too.
    ///
    /// # Errors
    /// [`Error::InvalidTable`] (`row` counts symbols, row after row) for a NaN, negative or
    /// infinite value, zeros only, or an alphabet past `2^precision`.
    pub fn from_pmf<'a, T: Probability>(
        pmf: impl Into<ArrayView3<'a, T>>,
        precision: impl TryInto<Precision, Error: Into<Error>>,
        sentinel: bool,
    ) -> Result<Self> {
        let precision: Precision = precision.try_into().map_err(Into::into)?;
        Self::quantise(pmf.into(), precision, sentinel, |row, values| {
            quantise::probabilities(values, sentinel, precision.bits(), row)
        })
    }

    /// Scales integer counts of shape (rows, columns, alphabet), in integers only. A count may be
    /// 0; counts that sum to `2^precision` are taken as they are, but for empty symbols, which get
    /// one slot each.
    ///
    /// # Errors
    /// [`Error::InvalidTable`] (`row` counts symbols) for a negative count, zeros only, or an
    /// alphabet past `2^precision`.
    pub fn from_counts<'a, T: Count>(
        counts: impl Into<ArrayView3<'a, T>>,
        precision: impl TryInto<Precision, Error: Into<Error>>,
        sentinel: bool,
    ) -> Result<Self> {
        let precision: Precision = precision.try_into().map_err(Into::into)?;
        let counts = counts.into();
        let wide = quantise::widened(counts.iter().copied(), counts.dim().2)?;
        let counts = ArrayView3::from_shape(counts.dim(), &wide).expect("as many counts");
        Self::quantise(counts, precision, sentinel, |row, values| {
            quantise::counts(values, sentinel, precision.bits(), row)
        })
    }

    /// Takes CDFs of shape (rows, columns, alphabet + 1) as they are: from 0 to `2^precision`,
    /// strictly increasing. With `sentinel`, the last symbol of each is the bypass sentinel
    /// already.
    ///
    /// # Errors
    /// [`Error::InvalidTable`] (`row` counts symbols) names the first value that breaks this.
    pub fn from_cdf<'a>(
        cdf: impl Into<ArrayView3<'a, i32>>,
        precision: impl TryInto<Precision, Error: Into<Error>>,
        sentinel: bool,
    ) -> Result<Self> {
        let precision: Precision = precision.try_into().map_err(Into::into)?;
        let cdf = cdf.into();
        let mut made = Self::quantise(cdf, precision, false, |row, values| {
            check_cdf(values, precision.bits(), row, false)
        })?;
        made.width = cdf.dim().2;
        made.sentinel = sentinel;
        if sentinel && made.width < 3 {
            return Err(Error::InvalidArgument(
                "CDFs of one symbol have no room for a bypass sentinel".into(),
            ));
        }
        Ok(made)
    }

    /// The smallest symbol of every alphabet; 0 unless said.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where the last symbol would be past the range of `i32`.
    pub fn with_offset(mut self, offset: i32) -> Result<Self> {
        if i64::from(offset) + self.width as i64 > i64::from(i32::MAX) {
            return Err(Error::InvalidArgument(format!(
                "offset {offset}: the last of {} symbols is past 2^31",
                self.width - 1
            )));
        }
        self.offset = offset;
        Ok(self)
    }

    /// The quantised CDFs, `alphabet + 1` values (with a sentinel: one more) a symbol.
    pub fn cdfs(&self) -> &[u32] {
        &self.cdfs
    }

    fn quantise<T: Copy + Send + Sync>(
        values: ArrayView3<'_, T>,
        precision: Precision,
        sentinel: bool,
        frequencies: impl Fn(usize, &[T]) -> Result<Vec<u32>> + Sync,
    ) -> Result<Self> {
        let (rows, columns, given) = values.dim();
        let values = values.as_standard_layout();
        // The view is in standard layout now.
        let values = values.as_slice().unwrap_or(&[]);
        // What a CDF of these values needs; rows of finished CDFs give one value less and are
        // `given` wide.
        let mut width = given + 1 + usize::from(sentinel);
        if let Some(first) = values.get(..given).filter(|first| !first.is_empty()) {
            width = frequencies(0, first)?.len() + 1;
        }
        let mut cdfs = memory::zeros(memory::cells(memory::cells(rows, columns)?, width)?)?;
        let fill = |at: usize, cdf: &mut [u32]| {
            let freqs = frequencies(at, &values[at * given..(at + 1) * given])?;
            let mut end = 0u32;
            for (value, freq) in cdf.iter_mut().skip(1).zip(freqs) {
                end += freq;
                *value = end;
            }
            Ok::<(), Error>(())
        };
        if given == 0 && rows * columns > 0 {
            return Err(Error::InvalidTable { row: 0, reason: "the alphabet is empty".into() });
        }
        cdfs.par_chunks_mut(width)
            .enumerate()
            .with_min_len(64)
            .try_for_each(|(at, cdf)| fill(at, cdf))?;
        Ok(Self { rows, columns, width, offset: 0, sentinel, precision, cdfs })
    }
}

impl sealed::AsModelSet for Pmfs {
    fn as_set(&self) -> ModelSet<'_> {
        ModelSet::Pmfs(self)
    }
}

impl Models for Pmfs {
    fn rows(&self) -> usize {
        self.rows
    }
    fn columns(&self) -> usize {
        self.columns
    }
}

impl RowModels for Pmfs {
    type Row<'r> = Cdfs<'r>;

    fn check(&self, precision: Precision) -> Result<()> {
        if precision == self.precision {
            return Ok(());
        }
        Err(Error::InvalidArgument(format!(
            "CDFs of precision {}; the coder's is {precision}",
            self.precision
        )))
    }

    fn row(&self, row: usize, _precision: Precision) -> Cdfs<'_> {
        let length = self.columns * self.width;
        Cdfs {
            cdfs: &self.cdfs[row * length..(row + 1) * length],
            width: self.width,
            offset: self.offset,
            sentinel: self.sentinel,
        }
    }

    fn device_bytes(&self) -> usize {
        self.width * size_of::<u32>()
    }

    fn to_device(&self, gpu: &Gpu, rows: Range<usize>) -> Result<DeviceModels<'static>> {
        let length = self.columns * self.width;
        let cdfs = &self.cdfs[rows.start * length..rows.end * length];
        let buffer = DeviceBuffer::from_slice(gpu, bytemuck::cast_slice(cdfs))?;
        let slice = DeviceSlice::<u32>::kept(&buffer);
        let shape = (rows.len(), self.columns);
        let on_device = DeviceModels::cdfs(slice, shape, self.precision, self.sentinel)?;
        Ok(on_device.with_offset(self.offset)?.owning([buffer]))
    }
}
