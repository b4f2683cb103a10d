//! Zero-mean Gaussians of a few dozen scales: CompressAI's `GaussianConditional`.

use ndarray::{Array2, ArrayView2};

use super::{dequantise, quantise};
use crate::coder::{Bypass, Coder};
use crate::error::{Error, Result};
use crate::family::Family;
use crate::tables::{Precision, Tables};

/// The mass that CompressAI leaves outside a table, both tails together.
pub const TAIL_MASS: f64 = 1e-9;

/// CompressAI's default scales: `levels` values from `min` to `max`, evenly spaced on the
/// logarithmic axis. Its own table is `scale_table(0.11, 256.0, 64)`.
///
/// # Errors
/// [`Error::InvalidArgument`] for fewer than two levels, or bounds that are not `0 < min < max`.
pub fn scale_table(min: f64, max: f64, levels: usize) -> Result<Vec<f32>> {
    if levels < 2 || !(min > 0.0 && min < max && max.is_finite()) {
        return Err(Error::InvalidArgument(format!(
            "{levels} scales from {min} to {max}: there are two or more, 0 < min < max"
        )));
    }
    let (low, high) = (libm::log(min), libm::log(max));
    let step = (high - low) / (levels - 1) as f64;
    Ok((0..levels).map(|level| libm::exp(low + step * level as f64) as f32).collect())
}

/// Codes symbols with the Gaussian table of the nearest scale at or above each symbol's own.
#[derive(Clone, Debug)]
pub struct GaussianConditional {
    scales: Vec<f32>,
    tables: Tables,
}

impl GaussianConditional {
    /// Tables for ascending positive scales: symbol k of table t has the mass of
    /// `N(0, scales[t]^2)` in `k - 1/2 .. k + 1/2`, from `-m` to `m` with
    /// `m = ceil(-quantile(TAIL_MASS / 2) * scale)`, and the bypass sentinel that of both tails.
    /// CompressAI's precision is 16.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for scales that are not positive, finite and strictly ascending;
    /// [`Error::InvalidTable`] where a table has more symbols than `2^precision` slots.
    pub fn new(
        scales: &[f32],
        precision: impl TryInto<Precision, Error: Into<Error>>,
    ) -> Result<Self> {
        let precision: Precision = precision.try_into().map_err(Into::into)?;
        let ascending = scales.windows(2).all(|pair| pair[0] < pair[1]);
        let valid = scales.iter().all(|scale| *scale > 0.0 && scale.is_finite());
        if scales.is_empty() || !ascending || !valid {
            return Err(Error::InvalidArgument(
                "scales of tables are positive, finite and strictly ascending".into(),
            ));
        }
        // -quantile(1e-9 / 2) of the standard normal distribution.
        const REACH: f64 = 6.109_410_204_869;
        let reach = |scale: f32| (f64::from(scale) * REACH).ceil() as usize;
        let sizes: Vec<usize> = scales.iter().map(|&scale| 2 * reach(scale) + 2).collect();
        let offsets: Vec<i32> = scales.iter().map(|&scale| -(reach(scale) as i32)).collect();
        let widest = sizes.iter().copied().max().unwrap_or(0);
        if widest as u64 > 1 << precision.bits() {
            return Err(Error::InvalidTable {
                row: scales.len() - 1,
                reason: format!("{widest} symbols at precision {precision}"),
            });
        }
        // Mass below x, x at most 0, so that nothing cancels.
        let below = |x: f64| libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0;
        let pmf = Array2::from_shape_fn((scales.len(), widest), |(table, at)| {
            let (scale, reach) = (f64::from(scales[table]), reach(scales[table]));
            if at > 2 * reach {
                return 2.0 * below((-0.5 - reach as f64) / scale);
            }
            let distance = at.abs_diff(reach) as f64;
            below((0.5 - distance) / scale) - below((-0.5 - distance) / scale)
        });
        let builder = Tables::builder(precision).sizes(&sizes).offsets(&offsets);
        let tables = builder.sentinel_is_last().pmf(&pmf)?;
        Ok(Self { scales: scales.to_vec(), tables })
    }

    /// CompressAI's default: 64 scales from 0.11 to 256, precision 16.
    ///
    /// # Errors
    /// None in practice.
    pub fn compressai() -> Result<Self> {
        Self::new(&scale_table(0.11, 256.0, 64)?, 16)
    }

    /// The tables, one per scale.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The scales.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// The index of the first table whose scale is at least each scale; the last table's for larger
    /// ones (and for a NaN, as in CompressAI).
    pub fn build_indexes<'v>(&self, scales: impl Into<ArrayView2<'v, f32>>) -> Array2<i32> {
        let all_but_last = &self.scales[..self.scales.len() - 1];
        // `!(scale <= s)` rather than `s < scale`: a NaN is past every scale.
        scales.into().mapv(|scale| {
            all_but_last.partition_point(|&s| scale.partial_cmp(&s).is_none_or(|o| o.is_gt()))
                as i32
        })
    }

    /// A coder with these tables and CompressAI's bypass digits (4 bits).
    ///
    /// # Errors
    /// As [`CoderBuilder::build`](crate::CoderBuilder::build).
    pub fn coder(&self, family: Family, lanes: usize) -> Result<Coder> {
        Coder::builder(family).lanes(lanes).bypass(Bypass::digits(4)).build(self.tables.clone())
    }

    /// Quantises and encodes latents of shape (rows, columns): one merged byte string.
    ///
    /// # Errors
    /// As [`quantise`] and [`Coder::encode`].
    pub fn compress<'v>(
        &self,
        coder: &Coder,
        latents: impl Into<ArrayView2<'v, f32>>,
        means: impl Into<ArrayView2<'v, f32>>,
        scales: impl Into<ArrayView2<'v, f32>>,
    ) -> Result<Vec<u8>> {
        let symbols = quantise(latents, means)?;
        coder.encode(&symbols, &self.build_indexes(scales))
    }

    /// Decodes what [`compress`](Self::compress) encoded: the latents, each rounded to an integer
    /// distance from its mean.
    ///
    /// # Errors
    /// As [`Coder::decode`].
    pub fn decompress<'v>(
        &self,
        coder: &Coder,
        bytes: &[u8],
        means: impl Into<ArrayView2<'v, f32>>,
        scales: impl Into<ArrayView2<'v, f32>>,
    ) -> Result<Array2<f32>> {
        let symbols = coder.decode::<i32>(bytes, &self.build_indexes(scales))?;
        let means: ArrayView2<'_, f32> = means.into();
        dequantise(&symbols, means)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn scales_and_indexes_are_compressais() {
        let table = scale_table(0.11, 256.0, 64).unwrap();
        assert_eq!((table.len(), table[0], table[63]), (64, 0.11, 256.0));
        // Its second and third values, from exp(linspace(log 0.11, log 256, 64)).
        assert!((table[1] - 0.124_404_1).abs() < 1e-6, "{}", table[1]);
        assert!((table[2] - 0.140_694_37).abs() < 1e-6, "{}", table[2]);
        let model =
            GaussianConditional::new(&[0.5, 1.0, 2.0], Precision::new(16).unwrap()).unwrap();
        let scales = array![[0.0f32, 0.5, 0.51, 1.0, 1.5, 2.0, 2.5, 1e9, f32::NAN, -1.0]];
        assert_eq!(model.build_indexes(scales.view()), array![[0, 0, 1, 1, 2, 2, 2, 2, 2, 0]]);
    }

    #[test]
    fn tables_have_compressais_size_and_mass() {
        let model = GaussianConditional::compressai().unwrap();
        let tables = model.tables();
        for (table, &scale) in model.scales().iter().enumerate() {
            let reach = (6.109_410_204_9 * f64::from(scale)).ceil() as i32;
            assert_eq!(tables.offset(table), -reach);
            assert_eq!(tables.alphabet(table), 2 * reach as usize + 2);
            let freqs: Vec<u32> = tables.frequencies(table).collect();
            // Symmetric, but for the slots that empty symbols (with one slot in the end) borrowed
            // from the narrowest others.
            let borrowed = freqs.iter().filter(|&&freq| freq == 1).count() as u32;
            let own = &freqs[..freqs.len() - 1];
            let centre = reach as usize;
            for distance in 0..=centre {
                let (left, right) = (own[centre - distance], own[centre + distance]);
                assert!(left.abs_diff(right) <= 1 + borrowed, "{scale} {distance}: {left} {right}");
            }
        }
        // N(0, 0.11): all but everything at 0. phi-mass of N(0, 256) at 0: 1 / (256 sqrt(2 pi)) =
        // 0.0015584.
        let first: Vec<u32> = tables.frequencies(0).collect();
        assert_eq!(first[-tables.offset(0) as usize], 65536 - (first.len() as u32 - 1));
        let last: Vec<u32> = tables.frequencies(63).collect();
        assert!(last[-tables.offset(63) as usize].abs_diff(102) <= 1);
    }

    #[test]
    fn latents_come_back_rounded() {
        let model = GaussianConditional::compressai().unwrap();
        let latents = array![[0.2f32, -7.6, 1000.0, 3.5], [0.0, 1e6, -0.5, 2.5]];
        let means = array![[0.0f32, -7.0, 0.25, 0.0], [0.0, 0.0, 0.0, 0.0]];
        let scales = array![[0.11f32, 1.0, 30.0, 500.0], [0.0, 0.2, 1.0, 1.0]];
        for family in [Family::Rans64, Family::Rans32] {
            let coder = model.coder(family, 2).unwrap();
            let bytes =
                model.compress(&coder, latents.view(), means.view(), scales.view()).unwrap();
            let back = model.decompress(&coder, &bytes, means.view(), scales.view()).unwrap();
            assert_eq!(back, array![[0.0f32, -8.0, 1000.25, 4.0], [0.0, 1e6, 0.0, 2.0]]);
        }
        for bad in [f32::NAN, 2e9, f32::INFINITY] {
            assert!(quantise(array![[bad]].view(), array![[0.0]].view()).is_err());
            assert!(quantise(array![[0.0]].view(), array![[bad]].view()).is_err());
        }
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = dequantise(array![[0]].view(), array![[bad]].view());
            assert!(matches!(error, Err(Error::InvalidArgument(_))), "{error:?}");
        }
    }

    #[test]
    fn bad_scales_are_refused() {
        let precision = Precision::new(16).unwrap();
        for bad in [&[][..], &[0.0], &[1.0, 1.0], &[2.0, 1.0], &[f32::NAN], &[f32::INFINITY]] {
            assert!(GaussianConditional::new(bad, precision).is_err(), "{bad:?}");
        }
        assert!(GaussianConditional::new(&[1e6], precision).is_err());
        assert!(scale_table(0.0, 1.0, 4).is_err());
        assert!(scale_table(0.1, 1.0, 1).is_err());
    }
}
