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

use crate::cpu::models::batches::HostModel;
use crate::error::Result;
use crate::gpu::{DeviceModels, Gpu};
use crate::tables::Precision;

pub use coder::ModelCoder;
pub use distributions::Distributions;
pub use mixtures::Mixtures;
pub(crate) use mixtures::check_each;
pub use parans_kernels::model::{Component, Kind, MAX_COMPONENTS, Mean, Scale, WEIGHT_BITS};
pub use pmfs::Pmfs;
pub use uniforms::Uniforms;

/// Models of (rows, columns) symbols: [`Distributions`], [`Mixtures`], [`Pmfs`] or [`Uniforms`].
pub trait Models: Sync + sealed::AsModelSet {
    /// Rows.
    fn rows(&self) -> usize;
    /// Symbols per row.
    fn columns(&self) -> usize;
}

mod sealed {
    pub trait AsModelSet {
        fn as_set(&self) -> super::ModelSet<'_>;
    }
}

/// Models as the back ends take them: their type is a value here, so that the loops are compiled
/// once, in this crate.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum ModelSet<'m> {
    Distributions(&'m Distributions<'m>),
    Mixtures(&'m Mixtures<'m>),
    Pmfs(&'m Pmfs),
    Uniforms(&'m Uniforms),
}

/// Calls a generic function with what a [`ModelSet`] holds.
macro_rules! with_models {
    ($set:expr, $models:ident => $body:expr) => {
        match $set {
            $crate::model::ModelSet::Distributions($models) => $body,
            $crate::model::ModelSet::Mixtures($models) => $body,
            $crate::model::ModelSet::Pmfs($models) => $body,
            $crate::model::ModelSet::Uniforms($models) => $body,
        }
    };
}
pub(crate) use with_models;

/// What the back ends ask of each type of models.
pub(crate) trait RowModels: Models {
    /// The models of one row.
    type Row<'r>: HostModel
    where
        Self: 'r;
    /// Checks that these models can be coded at a precision.
    fn check(&self, precision: Precision) -> Result<()>;
    /// The models of row `row`.
    fn row(&self, row: usize, precision: Precision) -> Self::Row<'_>;
    /// Bytes of parameters that a symbol has in device memory.
    fn device_bytes(&self) -> usize;
    /// Copies the parameters of some rows to a device.
    fn to_device(&self, gpu: &Gpu, rows: Range<usize>) -> Result<DeviceModels<'static>>;
}

impl ModelSet<'_> {
    /// Rows and symbols per row.
    pub(crate) fn shape(self) -> (usize, usize) {
        with_models!(self, models => (models.rows(), models.columns()))
    }
    pub(crate) fn check(self, precision: Precision) -> Result<()> {
        with_models!(self, models => models.check(precision))
    }
    pub(crate) fn device_bytes(self) -> usize {
        with_models!(self, models => models.device_bytes())
    }
    pub(crate) fn to_device(self, gpu: &Gpu, rows: Range<usize>) -> Result<DeviceModels<'static>> {
        with_models!(self, models => models.to_device(gpu, rows))
    }
}
