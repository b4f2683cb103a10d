//! A learned distribution per channel: CompressAI's `EntropyBottleneck`.

use ndarray::{Array2, ArrayView2};

use super::{dequantise, quantise};
use crate::coder::{Bypass, Coder};
use crate::error::{Error, Result};
use crate::family::Family;
use crate::memory;
use crate::symbols::Indexes;
use crate::tables::{Precision, Tables};

/// By how much a learned CDF may fall from one point to the next: single precision rounds.
const ROUNDING: f64 = 1e-6;

/// Codes (rows, channels * positions) symbols with one table per channel.
#[derive(Clone, Debug)]
pub struct EntropyBottleneck {
    medians: Vec<f32>,
    tables: Tables,
}

impl EntropyBottleneck {
    /// Tables from each channel's quantiles (tail, median, other tail: CompressAI's `quantiles`)
    /// and CDF, which `cdf(channel, x)` evaluates.
    ///
    /// Channel c codes the integers from `-ceil(median - low)` to `ceil(high - median)` around its
    /// median, symbol k with the mass `cdf(median + k + 1/2) - cdf(median + k - 1/2)`, and the
    /// bypass sentinel with the mass outside.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for quantiles that are not finite or not in order;
    /// [`Error::InvalidTable`] for a CDF that is not a number, lies outside 0 to 1 or falls by more
    /// than rounding explains, and for masses that make no table.
    pub fn from_cdf(
        quantiles: &[[f32; 3]],
        precision: impl TryInto<Precision, Error: Into<Error>>,
        cdf: impl Fn(usize, f64) -> f64,
    ) -> Result<Self> {
        let precision: Precision = precision.try_into().map_err(Into::into)?;
        let mut pmfs = Vec::with_capacity(quantiles.len());
        for (channel, &[low, median, high]) in quantiles.iter().enumerate() {
            let interval = f64::from(high) - f64::from(low);
            let most = (1u64 << precision.bits()) as f64;
            if !(low <= median && median <= high && low.is_finite() && interval <= most) {
                return Err(Error::InvalidArgument(format!(
                    "quantiles {low}, {median}, {high} of channel {channel}: they must be finite, \
                     in order, and at most 2^{precision} apart"
                )));
            }
            let centre = f64::from(median);
            let below = (centre - f64::from(low)).ceil() as i32;
            let above = (f64::from(high) - centre).ceil() as i32;
            // Two numbers ask for up to 2^32 probabilities.
            let count = i64::from(below) + i64::from(above) + 2;
            let mut edges: Vec<f64> = memory::with_capacity(count as usize)?;
            edges.extend((-below..=above + 1).map(|k| cdf(channel, centre + f64::from(k) - 0.5)));
            check_edges(channel, &edges)?;
            let mut pmf: Vec<f64> = memory::with_capacity(count as usize)?;
            // A learned CDF may fall by a rounding error.
            pmf.extend(edges.windows(2).map(|pair| (pair[1] - pair[0]).max(0.0)));
            pmf.push((edges[0] + 1.0 - edges[edges.len() - 1]).max(0.0));
            pmfs.push((pmf, -below));
        }
        let medians = quantiles.iter().map(|quantiles| quantiles[1]).collect();
        Self::from_pmfs(&pmfs, medians, precision)
    }

    /// Tables from each channel's probabilities, the last of which is the bypass sentinel's
    /// (CompressAI's tail mass), and the smallest symbol, relative to the median.
    ///
    /// # Errors
    /// [`Error::Shape`] where there are not as many medians; [`Error::InvalidArgument`] for a
    /// median that is not finite; [`Error::InvalidTable`] for probabilities that make no table.
    pub fn from_pmfs(
        pmfs: &[(Vec<f64>, i32)],
        medians: Vec<f32>,
        precision: impl TryInto<Precision, Error: Into<Error>>,
    ) -> Result<Self> {
        if medians.len() != pmfs.len() {
            return Err(Error::Shape {
                what: "medians",
                expected: format!("one per channel, {}", pmfs.len()),
                got: medians.len().to_string(),
            });
        }
        if let Some(channel) = medians.iter().position(|median| !median.is_finite()) {
            return Err(Error::InvalidArgument(format!(
                "median {} of channel {channel}: it must be finite",
                medians[channel]
            )));
        }
        let sizes: Vec<usize> = pmfs.iter().map(|(pmf, _)| pmf.len()).collect();
        let offsets: Vec<i32> = pmfs.iter().map(|&(_, offset)| offset).collect();
        let widest = sizes.iter().copied().max().unwrap_or(0);
        let rows = Array2::from_shape_fn((pmfs.len(), widest), |(channel, at)| {
            pmfs[channel].0.get(at).copied().unwrap_or(0.0)
        });
        let builder = Tables::builder(precision).sizes(&sizes).offsets(&offsets);
        let tables = builder.sentinel_is_last().pmf(&rows)?;
        Ok(Self { medians, tables })
    }

    /// The tables, one per channel.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The medians, one per channel.
    pub fn medians(&self) -> &[f32] {
        &self.medians
    }

    /// The index of each of a row's columns: `positions` columns of channel 0, then those of
    /// channel 1, as (channels, height, width) lie in memory.
    pub fn build_indexes(&self, positions: usize) -> Vec<i32> {
        (0..self.medians.len() as i32)
            .flat_map(|channel| std::iter::repeat_n(channel, positions))
            .collect()
    }

    /// A coder with these tables and CompressAI's bypass digits (4 bits).
    ///
    /// # Errors
    /// As [`CoderBuilder::build`](crate::CoderBuilder::build).
    pub fn coder(&self, family: Family, lanes: usize) -> Result<Coder> {
        Coder::builder(family).lanes(lanes).bypass(Bypass::digits(4)).build(self.tables.clone())
    }

    /// Quantises and encodes values of shape (rows, channels * positions): one merged byte string.
    ///
    /// # Errors
    /// [`Error::Shape`] where the columns are no multiple of the channels; as [`quantise`] and
    /// [`Coder::encode`].
    pub fn compress<'v>(
        &self,
        coder: &Coder,
        x: impl Into<ArrayView2<'v, f32>>,
    ) -> Result<Vec<u8>> {
        let x = x.into();
        let indexes = self.indexes_of(x.ncols())?;
        let symbols = quantise(x, &self.medians_of(x.dim()))?;
        coder.encode(&symbols, Indexes::per_column(&indexes, x.nrows()))
    }

    /// Decodes what [`compress`](Self::compress) encoded, of this shape.
    ///
    /// # Errors
    /// As [`compress`](Self::compress) and [`Coder::decode`].
    pub fn decompress(
        &self,
        coder: &Coder,
        bytes: &[u8],
        shape: (usize, usize),
    ) -> Result<Array2<f32>> {
        let indexes = self.indexes_of(shape.1)?;
        let symbols = coder.decode::<i32>(bytes, Indexes::per_column(&indexes, shape.0))?;
        dequantise(&symbols, &self.medians_of(shape))
    }

    fn indexes_of(&self, columns: usize) -> Result<Vec<i32>> {
        let channels = self.medians.len();
        if channels == 0 || !columns.is_multiple_of(channels) {
            return Err(Error::Shape {
                what: "columns",
                expected: format!("a multiple of {channels} channels"),
                got: columns.to_string(),
            });
        }
        Ok(self.build_indexes(columns / channels))
    }

    fn medians_of(&self, (rows, columns): (usize, usize)) -> Array2<f32> {
        let positions = (columns / self.medians.len().max(1)).max(1);
        Array2::from_shape_fn((rows, columns), |(_, column)| self.medians[column / positions])
    }
}

/// Refuses values that no CDF has: a mass made of them would be silently wrong.
fn check_edges(channel: usize, edges: &[f64]) -> Result<()> {
    let fail = |reason: String| Err(Error::InvalidTable { row: channel, reason });
    // Written so that a NaN fails.
    if let Some(edge) = edges.iter().find(|edge| !(-ROUNDING..=1.0 + ROUNDING).contains(*edge)) {
        return fail(format!("the CDF has the value {edge}, which is not from 0 to 1"));
    }
    if let Some(pair) = edges.windows(2).find(|pair| pair[1] < pair[0] - ROUNDING) {
        return fail(format!("the CDF falls from {} to {}", pair[0], pair[1]));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logistic(x: f64) -> f64 {
        1.0 / (1.0 + libm::exp(-x))
    }

    #[test]
    fn channels_come_back() {
        let quantiles = [[-8.0f32, 0.25, 9.0], [-3.0, -3.0, -3.0], [10.0, 20.5, 30.0]];
        let model = EntropyBottleneck::from_cdf(&quantiles, Precision::new(16).unwrap(), |c, x| {
            logistic((x - f64::from(quantiles[c][1])) / [1.0, 0.05, 2.0][c])
        })
        .unwrap();
        assert_eq!((0..3).map(|c| model.tables().offset(c)).collect::<Vec<_>>(), [-9, 0, -11]);
        assert_eq!((0..3).map(|c| model.tables().alphabet(c)).collect::<Vec<_>>(), [20, 2, 23]);
        assert_eq!(model.build_indexes(2), [0, 0, 1, 1, 2, 2]);
        // Channel 0, symbol 0: F(1/2) - F(-1/2) = 0.2449187.
        let zero = model.tables().frequencies(0).nth(9).unwrap();
        assert!(zero.abs_diff(16_051) <= 2, "{zero}");
        let x = ndarray::array![
            [0.3f32, 55.0, -3.2, -2.9, 20.0, 19.4],
            [1.0, 2.0, -9.0, -3.0, 31.0, 7.0]
        ];
        let coder = model.coder(Family::Rans64, 4).unwrap();
        let bytes = model.compress(&coder, x.view()).unwrap();
        let back = model.decompress(&coder, &bytes, x.dim()).unwrap();
        let far = (&back - &x).mapv(f32::abs).into_iter().fold(0.0, f32::max);
        assert!(far <= 0.5, "{back}");
        assert!(model.decompress(&coder, &bytes, (2, 5)).is_err());
    }

    #[test]
    fn bad_quantiles_are_refused() {
        let precision = Precision::new(16).unwrap();
        for bad in [[1.0f32, 0.0, 2.0], [f32::NAN, 0.0, 1.0], [-1e9, 0.0, 1e9], [f32::INFINITY; 3]]
        {
            let error = EntropyBottleneck::from_cdf(&[bad], precision, |_, x| logistic(x));
            assert!(matches!(error, Err(Error::InvalidArgument(_))), "{bad:?}: {error:?}");
        }
        let pmfs = [(vec![0.5, 0.5], 0)];
        assert!(EntropyBottleneck::from_pmfs(&pmfs, vec![], precision).is_err());
        let error = EntropyBottleneck::from_pmfs(&pmfs, vec![f32::INFINITY], precision);
        assert!(matches!(error, Err(Error::InvalidArgument(_))), "{error:?}");
    }

    #[test]
    fn what_is_no_cdf_is_refused() {
        let precision = Precision::new(16).unwrap();
        let quantiles = [[-4.0f32, 0.0, 4.0]];
        type Cdf = fn(f64) -> f64;
        let bad: [(&str, Cdf); 4] = [
            ("NaN", |x| if x > 2.0 { f64::NAN } else { logistic(x) }),
            ("falls", |x| if x > 2.0 { 0.5 } else { logistic(x) }),
            ("from 0 to 1", |x| 2.0 * logistic(x)),
            ("from 0 to 1", |x| logistic(x) - 0.2),
        ];
        for (words, cdf) in bad {
            let error = EntropyBottleneck::from_cdf(&quantiles, precision, |_, x| cdf(x));
            let Err(error @ Error::InvalidTable { row: 0, .. }) = error else {
                panic!("{words}: {error:?}")
            };
            assert!(error.to_string().contains(words), "{error}");
        }
        // Single precision steps back a little, and that is no fault.
        let rough = |_, x| logistic(x) + if x > 2.0 { -1e-8 } else { 0.0 };
        EntropyBottleneck::from_cdf(&quantiles, precision, rough).unwrap();
    }
}
