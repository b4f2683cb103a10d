//! Coding with a distribution of each symbol's own, and no tables.
//!
//! A learned compressor predicts every symbol's distribution; tables for it would be built, used
//! once and thrown away. A [`ModelCoder`] codes (rows, columns) symbols straight from
//! - [`Distributions`]: a Gaussian, Laplace or logistic with a mean and a scale a symbol,
//! - [`Mixtures`]: up to eight of one kind a symbol, with weights,
//! - [`Pmfs`]: probabilities, counts or CDFs a symbol, quantised on the way,
//! - [`Uniforms`]: an alphabet of any size up to `2^precision`, all symbols alike.
//!
//! Means, scales and weights become fixed-point numbers first, by functions of the floats' bits
//! alone; from there on everything is integer arithmetic, the same on every machine (see
//! [`parans_kernels::model`]). Both sides must hold the same fixed-point numbers: where the
//! decoder's network may differ in a last bit, send or derive the fixed-point parameters, which
//! [`Distributions`] gives out and takes.
//!
//! A coder runs on the CPU, or on an NVIDIA GPU ([`ModelCoder::with_device`]), where each lane
//! evaluates its own symbol's model with the same integers: every device writes the same bytes.
//! Host tensors are staged; parameters and symbols that are in device memory already are coded
//! where they are, through [`ModelCoder::on_gpu`] and [`DeviceModels`], which also makes
//! fixed-point parameters and CDFs of floats there.
//!
//! ```
//! use ndarray::array;
//! use parans::model::{Distributions, Kind, ModelCoder};
//! use parans::Family;
//!
//! # fn main() -> parans::Result<()> {
//! let means = array![[0.3f32, -7.9, 120.0, 0.0]];
//! let scales = array![[0.5f32, 2.0, 40.0, 0.11]];
//! let symbols = array![[0i32, -9, 77, 3000]];
//! let models = Distributions::from_f32(Kind::Gaussian, &means, &scales)?;
//! let coder = ModelCoder::new(Family::Rans64, 1)?;
//! let bytes = coder.encode(&models, &symbols)?;
//! assert_eq!(coder.decode::<i32>(&models, &bytes)?, symbols);
//! # Ok(())
//! # }
//! ```

mod coder;
mod distributions;
mod mixtures;
mod pmfs;
mod uniforms;

use std::ops::Range;

use parans_kernels::model::BatchModel;

use crate::error::Result;
use crate::gpu::{DeviceModels, Gpu};
use crate::tables::Precision;

pub use coder::ModelCoder;
pub(crate) use coder::ModelPlan;
pub use distributions::Distributions;
pub use mixtures::Mixtures;
pub(crate) use mixtures::check_each;
pub use parans_kernels::model::{Component, Kind, MAX_COMPONENTS, Mean, Scale, WEIGHT_BITS};
pub use pmfs::Pmfs;
pub use uniforms::Uniforms;

mod sealed {
    pub trait Sealed {}
}

/// Models of (rows, columns) symbols: [`Distributions`], [`Mixtures`], [`Pmfs`] or [`Uniforms`].
pub trait Models: RowModels + sealed::Sealed {
    /// Rows.
    fn rows(&self) -> usize;
    /// Symbols a row.
    fn columns(&self) -> usize;
}

/// What the coder asks of models. Implemented for the types of this module.
#[doc(hidden)]
pub trait RowModels: Sync {
    /// The models of one row.
    type Row<'r>: BatchModel
    where
        Self: 'r;
    /// Checks that these models can be coded at a precision.
    fn check(&self, precision: Precision) -> Result<()>;
    /// The models of row `row`.
    fn row(&self, row: usize, precision: Precision) -> Self::Row<'_>;
    /// Bytes of parameters that a symbol has in device memory.
    fn device_bytes(&self) -> usize;
    /// Copies the parameters of some rows to a device.
    fn to_device(&self, gpu: &Gpu, rows: Range<usize>) -> Result<DeviceModels>;
}
