//! Models whose parameters are on a device already, or are uploaded.

use std::sync::Arc;

use bytemuck::bytes_of;
use parans_kernels::abi::models::{FIX_F32, FixParams};
use parans_kernels::abi::{ModelComponent, ModelForm, QUANTISE_CDF_F32, QUANTISE_CDF_U32};
use parans_kernels::model::{Kind, MIN_PRECISION};

use super::launch::Geometry;
use super::memory::Memory;
use super::quantise::quantise;
use super::{DeviceAddress, DeviceBuffer, DeviceElement, DeviceSlice, Gpu, Launch, StreamHandle};
use crate::error::{Error, Result};
use crate::model::{Models, check_each};
use crate::tables::Precision;

/// Models of (rows, columns) symbols whose parameters lie in device memory. Cloning shares them.
#[derive(Clone, Debug)]
pub struct DeviceModels<'b> {
    pub(super) form: ModelForm,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) parameters: DeviceAddress,
    pub(super) scales: DeviceAddress,
    pub(super) kind: u32,
    pub(super) width: usize,
    pub(super) lowest: i32,
    pub(super) sentinel: bool,
    /// That of CDFs; the other forms are coded at any.
    precision: Option<Precision>,
    /// Where the caller's parameters lie.
    borrowed: [Option<&'b Memory>; 2],
    /// Parameters that were made here, kept alive.
    owned: Arc<Vec<DeviceBuffer<u8>>>,
}

impl<'b> DeviceModels<'b> {
    fn new(form: ModelForm, rows: usize, columns: usize) -> Self {
        Self {
            form,
            rows,
            columns,
            parameters: 0,
            scales: 0,
            kind: 0,
            width: 1,
            lowest: 0,
            sentinel: false,
            precision: None,
            borrowed: [None; 2],
            owned: Arc::default(),
        }
    }

    /// A copy of a host's models in device memory.
    ///
    /// # Errors
    /// [`Error::Device`] where memory is short or the copy fails.
    pub fn upload(gpu: &Gpu, models: &impl Models) -> Result<DeviceModels<'static>> {
        models.as_set().to_device(gpu, 0..models.rows())
    }

    /// The symbols `lowest .. lowest + size`, all alike: see [`Uniforms`](crate::model::Uniforms),
    /// which checks them.
    pub(crate) fn uniform(lowest: i32, size: u32, rows: usize, columns: usize) -> Self {
        Self { lowest, width: size as usize, ..Self::new(ModelForm::Uniform, rows, columns) }
    }

    /// A fixed-point mean (units of `2^-12`) and a [`Scale`](crate::model::Scale) code per symbol,
    /// rows one after another: see
    /// [`Distributions::from_fixed`](crate::model::Distributions::from_fixed). A code that is no
    /// scale's fails its row when it is coded.
    ///
    /// # Errors
    /// [`Error::Shape`] where there are not `rows * columns` of both.
    pub fn distributions(
        kind: Kind,
        means: impl Into<DeviceSlice<'b, i32>>,
        scales: impl Into<DeviceSlice<'b, u16>>,
        (rows, columns): (usize, usize),
    ) -> Result<Self> {
        let (means, scales) = (means.into(), scales.into());
        expect_length("device means", means.len(), (rows, columns), 1)?;
        expect_length("device scales", scales.len(), (rows, columns), 1)?;
        Ok(Self {
            parameters: means.address(),
            scales: scales.address(),
            kind: kind as u32,
            borrowed: [means.memory, scales.memory],
            ..Self::new(ModelForm::Parametric, rows, columns)
        })
    }

    /// Means and scales in device memory, a pair per symbol, rows one after another, rounded to
    /// fixed point on the device: to the very numbers that
    /// [`Distributions::from_f32`](crate::model::Distributions::from_f32) gives on the host.
    /// Nothing comes back: a NaN, or a scale that is not positive, fails its row when it is coded.
    ///
    /// # Errors
    /// [`Error::Shape`] where there are not `rows * columns` of both; [`Error::Device`].
    pub fn distributions_from_f32<'d>(
        gpu: &Gpu,
        kind: Kind,
        means: impl Into<DeviceSlice<'d, f32>>,
        scales: impl Into<DeviceSlice<'d, f32>>,
        shape: (usize, usize),
        stream: StreamHandle,
    ) -> Result<Self> {
        let (means, scales) = (means.into(), scales.into());
        expect_length("device means", means.len(), shape, 1)?;
        expect_length("device scales", scales.len(), shape, 1)?;
        let count = means.len();
        let fixed_means = DeviceBuffer::<u8>::new(gpu, 4 * count)?;
        let codes = DeviceBuffer::<u8>::new(gpu, 2 * count)?;
        let params = FixParams {
            means: means.address(),
            scales: scales.address(),
            fixed_means: fixed_means.address(),
            codes: codes.address(),
            count: count as u64,
        };
        let launch = Launch {
            kernel: FIX_F32,
            geometry: Geometry::spread(count as u64, gpu.runtime().multiprocessors())?,
            shared: 0,
            params: bytes_of(&params),
            fields: &FixParams::FIELDS,
        };
        let made = [&fixed_means.memory, &codes.memory];
        let memories = made.into_iter().chain(means.memory).chain(scales.memory);
        Memory::used_by(gpu, stream, memories, || gpu.launch(&launch, stream))?;
        let means = DeviceSlice::<i32>::kept(&fixed_means);
        let scales = DeviceSlice::<u16>::kept(&codes);
        Ok(Self::distributions(kind, means, scales, shape)?.owning([fixed_means, codes]))
    }

    /// `each` components a symbol, symbol after symbol and row after row: see
    /// [`Mixtures::from_fixed`](crate::model::Mixtures::from_fixed). Weights that do not sum to
    /// `2^16`, or a code that is no scale's, fail their row when it is coded.
    ///
    /// # Errors
    /// [`Error::Shape`] where there are not `rows * columns * each`; [`Error::InvalidArgument`] for
    /// no or more than eight components.
    pub fn mixtures(
        kind: Kind,
        components: impl Into<DeviceSlice<'b, ModelComponent>>,
        each: usize,
        (rows, columns): (usize, usize),
    ) -> Result<Self> {
        check_each(each)?;
        let components = components.into();
        expect_length("device components", components.len(), (rows, columns), each)?;
        Ok(Self {
            parameters: components.address(),
            kind: kind as u32,
            width: each,
            borrowed: [components.memory, None],
            ..Self::new(ModelForm::Mixture, rows, columns)
        })
    }

    /// A CDF for each of `rows * columns` symbols, one after another, each from 0 to `2^precision`
    /// and strictly increasing: see [`Pmfs::from_cdf`](crate::model::Pmfs::from_cdf). With
    /// `sentinel`, the last symbol of each is the bypass sentinel. A CDF that does not increase
    /// where a symbol is coded fails its row then.
    ///
    /// # Errors
    /// [`Error::Shape`] where the length is no multiple of `rows * columns`, or leaves no symbol
    /// beside the sentinel.
    pub fn cdfs(
        cdfs: impl Into<DeviceSlice<'b, u32>>,
        (rows, columns): (usize, usize),
        precision: Precision,
        sentinel: bool,
    ) -> Result<Self> {
        let cdfs = cdfs.into();
        let least = 2 + usize::from(sentinel);
        let width = match rows.saturating_mul(columns) {
            0 => least,
            count if cdfs.len().is_multiple_of(count) => cdfs.len() / count,
            _ => 0,
        };
        if width < least {
            return Err(Error::Shape {
                what: "device CDFs",
                expected: format!("at least {least} values for each of {rows} x {columns} symbols"),
                got: cdfs.len().to_string(),
            });
        }
        Ok(Self {
            parameters: cdfs.address(),
            width,
            sentinel,
            precision: Some(precision),
            borrowed: [cdfs.memory, None],
            ..Self::new(ModelForm::Cdf, rows, columns)
        })
    }

    /// Quantises probabilities of shape (rows, columns, alphabet) in device memory, where they are:
    /// to the very CDFs that [`Pmfs::from_pmf`](crate::model::Pmfs::from_pmf) gives on the host.
    /// Only the outcome of each comes back.
    ///
    /// # Errors
    /// [`Error::Shape`] where the length is no multiple of `rows * columns`;
    /// [`Error::InvalidTable`] (`row` counts symbols, row after row) for a NaN, negative or
    /// infinite value, zeros only, or an alphabet past `2^precision`; [`Error::Device`].
    pub fn from_pmf<'d>(
        gpu: &Gpu,
        pmf: impl Into<DeviceSlice<'d, f32>>,
        shape: (usize, usize),
        precision: Precision,
        sentinel: bool,
        stream: StreamHandle,
    ) -> Result<Self> {
        let form = (precision, sentinel);
        Self::quantised(gpu, QUANTISE_CDF_F32, pmf.into(), shape, form, stream)
    }

    /// Scales counts of shape (rows, columns, alphabet) in device memory, where they are: to the
    /// very CDFs that [`Pmfs::from_counts`](crate::model::Pmfs::from_counts) gives on the host;
    /// counts that sum to `2^precision` are taken as they are.
    ///
    /// # Errors
    /// As [`from_pmf`](Self::from_pmf).
    pub fn from_counts<'d>(
        gpu: &Gpu,
        counts: impl Into<DeviceSlice<'d, u32>>,
        shape: (usize, usize),
        precision: Precision,
        sentinel: bool,
        stream: StreamHandle,
    ) -> Result<Self> {
        let form = (precision, sentinel);
        Self::quantised(gpu, QUANTISE_CDF_U32, counts.into(), shape, form, stream)
    }

    fn quantised<W: DeviceElement>(
        gpu: &Gpu,
        kernel: &str,
        weights: DeviceSlice<'_, W>,
        (rows, columns): (usize, usize),
        form @ (precision, sentinel): (Precision, bool),
        stream: StreamHandle,
    ) -> Result<Self> {
        let count = rows.saturating_mul(columns);
        if count == 0 {
            let none = DeviceSlice::<u32>::empty();
            return Self::cdfs(none, (rows, columns), precision, sentinel);
        }
        let cdfs = quantise::<W, u32>(gpu, kernel, weights, count, form, stream)?;
        let slice = DeviceSlice::<u32>::kept(&cdfs);
        Ok(Self::cdfs(slice, (rows, columns), precision, sentinel)?.owning([cdfs]))
    }

    /// The smallest symbol of every alphabet of CDFs; 0 unless said.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for models that are no CDFs, or where the last symbol would be
    /// past the range of `i32`.
    pub fn with_offset(mut self, offset: i32) -> Result<Self> {
        if self.form != ModelForm::Cdf {
            return Err(Error::InvalidArgument("an offset of models that are no CDFs".into()));
        }
        if i64::from(offset) + self.width as i64 > i64::from(i32::MAX) {
            return Err(Error::InvalidArgument(format!(
                "offset {offset}: the last of {} symbols is past 2^31",
                self.width - 1
            )));
        }
        self.lowest = offset;
        Ok(self)
    }

    /// The same models, which keep their parameters alive.
    pub(crate) fn owning<const N: usize>(mut self, buffers: [DeviceBuffer<u8>; N]) -> Self {
        self.owned = Arc::new(buffers.into());
        self
    }

    /// Where the parameters lie.
    pub(super) fn memories(&self) -> impl Iterator<Item = &Memory> + Clone {
        let owned = self.owned.iter().map(|buffer| &buffer.memory);
        self.borrowed.into_iter().flatten().chain(owned)
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Symbols a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Whether these models can be coded at a precision; host models have said so already.
    pub(super) fn check(&self, precision: Precision) -> Result<()> {
        let bits = precision.bits();
        let trouble = match self.form {
            ModelForm::Uniform if self.width as u64 > 1 << bits => {
                format!("{} symbols at precision {bits}; it takes at most 2^{bits}", self.width)
            }
            ModelForm::Parametric | ModelForm::Mixture if bits < MIN_PRECISION => {
                format!("parametric models at precision {bits}; they take {MIN_PRECISION} or more")
            }
            ModelForm::Cdf if self.precision != Some(precision) => format!(
                "CDFs of precision {}; the coder's is {bits}",
                self.precision.map_or(0, Precision::bits)
            ),
            _ => return Ok(()),
        };
        Err(Error::InvalidArgument(trouble))
    }
}

fn expect_length(
    what: &'static str,
    len: usize,
    (rows, columns): (usize, usize),
    each: usize,
) -> Result<()> {
    if rows.checked_mul(columns).and_then(|count| count.checked_mul(each)) == Some(len) {
        return Ok(());
    }
    Err(Error::Shape {
        what,
        expected: format!("{each} for each of {rows} x {columns} symbols"),
        got: len.to_string(),
    })
}
