//! A mean and a scale per symbol.

use std::borrow::Cow;
use std::ops::Range;

use ndarray::ArrayView2;
use parans_kernels::model::{Kind, Mean, Parametrics, Scale};
use rayon::prelude::*;

use super::{ModelSet, Models, RowModels, sealed};
use crate::error::{Error, Result};
use crate::gpu::{DeviceBuffer, DeviceModels, DeviceSlice, Gpu};
use crate::tables::Precision;

/// One kind of distribution with a mean and a scale for each of (rows, columns) symbols, as
/// fixed-point numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distributions<'a> {
    kind: Kind,
    rows: usize,
    columns: usize,
    means: Cow<'a, [i32]>,
    scales: Cow<'a, [u16]>,
}

/// Converts in parallel; the first value that cannot be converted is an error that names it.
pub(super) fn convert<T: Copy + Sync + Send + std::fmt::Display, U: Send>(
    what: &str,
    values: ArrayView2<'_, T>,
    convert: impl Fn(T) -> Option<U> + Sync,
) -> Result<Vec<U>> {
    let columns = values.ncols().max(1);
    let values = values.as_standard_layout();
    // The view is in standard layout now.
    let values = values.as_slice().unwrap_or(&[]);
    let one = |(at, &value): (usize, &T)| {
        convert(value).ok_or_else(|| {
            let (row, column) = (at / columns, at % columns);
            Error::InvalidArgument(format!("{what} {value} of row {row}, symbol {column}"))
        })
    };
    values.par_iter().enumerate().with_min_len(1 << 12).map(one).collect()
}

pub(super) fn same_shape(
    what: &'static str,
    expected: (usize, usize),
    got: (usize, usize),
) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(Error::Shape { what, expected: format!("{expected:?}"), got: format!("{got:?}") })
}

impl<'a> Distributions<'a> {
    /// Means and scales of shape (rows, columns), rounded to fixed point: see [`Mean::from_f32`]
    /// and [`Scale::from_f32`].
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::InvalidArgument`] for a NaN, or a scale
    /// that is not positive.
    pub fn from_f32<'v>(
        kind: Kind,
        means: impl Into<ArrayView2<'v, f32>>,
        scales: impl Into<ArrayView2<'v, f32>>,
    ) -> Result<Distributions<'static>> {
        let (means, scales) = (means.into(), scales.into());
        same_shape("scales", means.dim(), scales.dim())?;
        let (rows, columns) = means.dim();
        let means = convert("mean", means, |value| Mean::from_f32(value).map(|mean| mean.0))?;
        let scales =
            convert("scale", scales, |value| Scale::from_f32(value).map(|scale| scale.code()))?;
        Ok(Distributions { kind, rows, columns, means: means.into(), scales: scales.into() })
    }

    /// Fixed-point means (units of `2^-12`) and [`Scale`] codes, row after row, as
    /// [`means`](Self::means) and [`scales`](Self::scales) give them.
    ///
    /// # Errors
    /// [`Error::Shape`] where lengths disagree or do not divide into rows;
    /// [`Error::InvalidArgument`] for a code past [`Scale::MAX`].
    pub fn from_fixed(
        kind: Kind,
        means: impl Into<Cow<'a, [i32]>>,
        scales: impl Into<Cow<'a, [u16]>>,
        rows: usize,
    ) -> Result<Self> {
        let (means, scales) = (means.into(), scales.into());
        let columns = means.len().checked_div(rows).unwrap_or(0);
        same_shape("means", (rows, columns), (rows, means.len() / rows.max(1)))?;
        if scales.len() != means.len() || columns * rows != means.len() {
            return Err(Error::Shape {
                what: "scales and means",
                expected: format!("as many of both, in {rows} rows"),
                got: format!("{} and {}", scales.len(), means.len()),
            });
        }
        if let Some(at) = scales.iter().position(|&code| Scale::from_code(code).is_none()) {
            return Err(Error::InvalidArgument(format!(
                "scale code {} at {at}; the largest is {}",
                scales[at],
                Scale::MAX.code()
            )));
        }
        Ok(Self { kind, rows, columns, means, scales })
    }

    /// Which distribution.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The fixed-point means, row after row.
    pub fn means(&self) -> &[i32] {
        &self.means
    }

    /// The scales' codes, row after row.
    pub fn scales(&self) -> &[u16] {
        &self.scales
    }
}

impl sealed::AsModelSet for Distributions<'_> {
    fn as_set(&self) -> ModelSet<'_> {
        ModelSet::Distributions(self)
    }
}

impl Models for Distributions<'_> {
    fn rows(&self) -> usize {
        self.rows
    }
    fn columns(&self) -> usize {
        self.columns
    }
}

impl RowModels for Distributions<'_> {
    type Row<'r>
        = Parametrics<'r>
    where
        Self: 'r;

    fn check(&self, precision: Precision) -> Result<()> {
        check_window_precision(precision)
    }

    fn row(&self, row: usize, precision: Precision) -> Parametrics<'_> {
        let at = row * self.columns..(row + 1) * self.columns;
        Parametrics {
            kind: self.kind,
            means: &self.means[at.clone()],
            scales: &self.scales[at],
            precision: precision.bits(),
        }
    }

    fn device_bytes(&self) -> usize {
        size_of::<i32>() + size_of::<u16>()
    }

    fn to_device(&self, gpu: &Gpu, rows: Range<usize>) -> Result<DeviceModels<'static>> {
        let at = rows.start * self.columns..rows.end * self.columns;
        let means = DeviceBuffer::from_slice(gpu, bytemuck::cast_slice(&self.means[at.clone()]))?;
        let scales = DeviceBuffer::from_slice(gpu, bytemuck::cast_slice(&self.scales[at]))?;
        let on_device = DeviceModels::distributions(
            self.kind,
            DeviceSlice::<i32>::kept(&means),
            DeviceSlice::<u16>::kept(&scales),
            (rows.len(), self.columns),
        )?;
        Ok(on_device.owning([means, scales]))
    }
}

/// Windows need slots for their escapes and a few integers.
pub(super) fn check_window_precision(precision: Precision) -> Result<()> {
    let least = parans_kernels::model::MIN_PRECISION;
    if precision.bits() >= least {
        return Ok(());
    }
    Err(Error::InvalidArgument(format!(
        "parametric models at precision {precision}; they take {least} or more"
    )))
}
