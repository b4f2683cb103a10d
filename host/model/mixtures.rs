//! Mixtures: several weighted distributions of one kind per symbol.

use std::borrow::Cow;
use std::ops::Range;

use ndarray::{ArrayView3, Axis};
use parans_kernels::model::{
    self as kernel, Component, Kind, MAX_COMPONENTS, Mean, Scale, WEIGHT_BITS,
};
use rayon::prelude::*;

use super::distributions::check_window_precision;
use super::{ModelSet, Models, RowModels, sealed};
use crate::error::{Error, Result};
use crate::gpu::{DeviceBuffer, DeviceModels, DeviceSlice, Gpu, ModelComponent};
use crate::memory;
use crate::tables::Precision;

/// A mixture of `each` components for each of (rows, columns) symbols, as fixed-point numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mixtures<'a> {
    kind: Kind,
    rows: usize,
    columns: usize,
    each: usize,
    components: Cow<'a, [Component]>,
}

/// Rounds weights to units of `2^-16` that sum to one: shares rounded down, the units left over to
/// the largest remainders, the first of equals first. Divisions and products of `f64` in a fixed
/// order: the same on every machine.
fn fixed_weights(weights: &[f32], fixed: &mut [u32]) -> Option<()> {
    let sum: f64 = weights.iter().map(|&w| f64::from(w)).sum();
    if !weights.iter().all(|w| *w >= 0.0) || !sum.is_finite() || sum <= 0.0 {
        return None;
    }
    let mut left = 1u32 << WEIGHT_BITS;
    let mut remainders = [0.0; MAX_COMPONENTS];
    for ((fixed, remainder), &weight) in fixed.iter_mut().zip(&mut remainders).zip(weights) {
        let share = f64::from(weight) / sum * f64::from(1u32 << WEIGHT_BITS);
        *fixed = (share as u32).min(left);
        *remainder = share - f64::from(*fixed);
        left -= *fixed;
    }
    while left > 0 {
        let mut best = 0;
        for at in 1..fixed.len() {
            if remainders[at] > remainders[best] {
                best = at;
            }
        }
        fixed[best] += 1;
        remainders[best] -= 1.0;
        left -= 1;
    }
    Some(())
}

impl<'a> Mixtures<'a> {
    /// Means, scales and weights of shape (rows, columns, components), rounded to fixed point.
    /// Weights may have any positive sum.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::InvalidArgument`] for no or more than eight
    /// components, a NaN, a scale that is not positive, or weights that are negative, infinite or
    /// all 0.
    pub fn from_f32<'v>(
        kind: Kind,
        means: impl Into<ArrayView3<'v, f32>>,
        scales: impl Into<ArrayView3<'v, f32>>,
        weights: impl Into<ArrayView3<'v, f32>>,
    ) -> Result<Mixtures<'static>> {
        let (means, scales, weights) = (means.into(), scales.into(), weights.into());
        let (rows, columns, each) = means.dim();
        for (what, dim) in [("scales", scales.dim()), ("weights", weights.dim())] {
            if dim != means.dim() {
                let (expected, got) = (format!("{:?}", means.dim()), format!("{dim:?}"));
                return Err(Error::Shape { what, expected, got });
            }
        }
        check_each(each)?;
        let count = memory::cells(memory::cells(rows, columns)?, each)?;
        let mut components = memory::filled(count, Component::default())?;
        let row = |row: usize, out: &mut [Component]| {
            let part = |all: &ArrayView3<'_, f32>| all.index_axis(Axis(0), row).to_owned();
            let (means, scales, weights) = (part(&means), part(&scales), part(&weights));
            for (column, out) in out.chunks_mut(each).enumerate() {
                let mut fixed = [0; MAX_COMPONENTS];
                let given: Vec<f32> = weights.row(column).to_vec();
                let bad = |what: &str| {
                    Error::InvalidArgument(format!("{what} of row {row}, symbol {column}"))
                };
                fixed_weights(&given, &mut fixed[..each])
                    .ok_or_else(|| bad(&format!("weights {given:?}")))?;
                for (k, out) in out.iter_mut().enumerate() {
                    let (mean, scale) = (means[(column, k)], scales[(column, k)]);
                    *out = Component {
                        mean: Mean::from_f32(mean).ok_or_else(|| bad(&format!("mean {mean}")))?,
                        scale: Scale::from_f32(scale)
                            .ok_or_else(|| bad(&format!("scale {scale}")))?,
                        weight: fixed[k],
                    };
                }
            }
            Ok::<(), Error>(())
        };
        components
            .par_chunks_mut((columns * each).max(1))
            .enumerate()
            .try_for_each(|(number, out)| row(number, out))?;
        Ok(Mixtures { kind, rows, columns, each, components: components.into() })
    }

    /// Fixed-point components, `each` a symbol, symbol after symbol and row after row, as
    /// [`components`](Self::components) gives them.
    ///
    /// # Errors
    /// [`Error::Shape`] where they do not divide into rows and symbols; [`Error::InvalidArgument`]
    /// where a symbol's weights do not sum to `2^16`.
    pub fn from_fixed(
        kind: Kind,
        components: impl Into<Cow<'a, [Component]>>,
        each: usize,
        rows: usize,
    ) -> Result<Self> {
        let components = components.into();
        check_each(each)?;
        let columns = (components.len() / each).checked_div(rows).unwrap_or(0);
        if components.len() != rows * columns * each {
            return Err(Error::Shape {
                what: "components",
                expected: format!("{each} a symbol in {rows} rows"),
                got: components.len().to_string(),
            });
        }
        let whole = |parts: &[Component]| {
            parts.iter().map(|part| u64::from(part.weight)).sum::<u64>() == 1 << WEIGHT_BITS
        };
        if let Some(at) = components.chunks(each).position(|parts| !whole(parts)) {
            return Err(Error::InvalidArgument(format!(
                "the weights of symbol {at} do not sum to 2^{WEIGHT_BITS}"
            )));
        }
        Ok(Self { kind, rows, columns, each, components })
    }

    /// The fixed-point components, symbol after symbol.
    pub fn components(&self) -> &[Component] {
        &self.components
    }
}

pub(crate) fn check_each(each: usize) -> Result<()> {
    if (1..=MAX_COMPONENTS).contains(&each) {
        return Ok(());
    }
    Err(Error::InvalidArgument(format!(
        "mixtures of {each} components; they have 1 to {MAX_COMPONENTS}"
    )))
}

impl sealed::AsModelSet for Mixtures<'_> {
    fn as_set(&self) -> ModelSet<'_> {
        ModelSet::Mixtures(self)
    }
}

impl Models for Mixtures<'_> {
    fn rows(&self) -> usize {
        self.rows
    }
    fn columns(&self) -> usize {
        self.columns
    }
}

impl RowModels for Mixtures<'_> {
    type Row<'r>
        = kernel::Mixtures<'r>
    where
        Self: 'r;

    fn check(&self, precision: Precision) -> Result<()> {
        check_window_precision(precision)
    }

    fn row(&self, row: usize, precision: Precision) -> kernel::Mixtures<'_> {
        let width = self.columns * self.each;
        kernel::Mixtures {
            kind: self.kind,
            components: &self.components[row * width..(row + 1) * width],
            each: self.each,
            precision: precision.bits(),
        }
    }

    fn device_bytes(&self) -> usize {
        self.each * size_of::<ModelComponent>()
    }

    fn to_device(&self, gpu: &Gpu, rows: Range<usize>) -> Result<DeviceModels<'static>> {
        let width = self.columns * self.each;
        let parts = &self.components[rows.start * width..rows.end * width];
        let parts: Vec<ModelComponent> = parts.iter().map(|&part| part.into()).collect();
        let buffer = DeviceBuffer::from_slice(gpu, bytemuck::cast_slice(&parts))?;
        let on_device = DeviceModels::mixtures(
            self.kind,
            DeviceSlice::<ModelComponent>::kept(&buffer),
            self.each,
            (rows.len(), self.columns),
        )?;
        Ok(on_device.owning([buffer]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one() {
        let mut fixed = [0; 3];
        fixed_weights(&[1.0, 1.0, 1.0], &mut fixed).unwrap();
        assert_eq!(fixed, [21_846, 21_845, 21_845]);
        fixed_weights(&[0.0, 5.0, 0.0], &mut fixed).unwrap();
        assert_eq!(fixed, [0, 1 << 16, 0]);
        fixed_weights(&[1e-30, 1e30, 1.0], &mut fixed).unwrap();
        assert_eq!(fixed.iter().sum::<u32>(), 1 << 16);
        for bad in [[0.0; 3], [-1.0, 2.0, 0.0], [f32::NAN, 1.0, 1.0], [f32::INFINITY, 1.0, 1.0]] {
            assert!(fixed_weights(&bad, &mut fixed).is_none(), "{bad:?}");
        }
    }
}
