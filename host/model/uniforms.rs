//! Uniform symbols: nothing is known but the alphabet.

use std::ops::Range;

use parans_kernels::model::Uniform;

use super::{ModelSet, Models, RowModels, sealed};
use crate::error::{Error, Result};
use crate::gpu::{DeviceModels, Gpu};
use crate::tables::Precision;

/// (rows, columns) symbols, each any of `size` consecutive integers with the same probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uniforms {
    lowest: i32,
    size: u32,
    rows: usize,
    columns: usize,
}

impl Uniforms {
    /// The symbols `lowest .. lowest + size`. The alphabet must fit the coder's precision: `size`
    /// at most `2^precision`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty alphabet, one of more than `2^31`, or one past the
    /// range of `i32`.
    pub fn new(lowest: i32, size: u32, rows: usize, columns: usize) -> Result<Self> {
        if Uniform::new(lowest, size, Precision::MAX).is_none() {
            return Err(Error::InvalidArgument(format!(
                "{size} symbols from {lowest}: an alphabet has 1 to 2^31, none past 2^31 - 1"
            )));
        }
        Ok(Self { lowest, size, rows, columns })
    }
}

impl sealed::AsModelSet for Uniforms {
    fn as_set(&self) -> ModelSet<'_> {
        ModelSet::Uniforms(self)
    }
}

impl Models for Uniforms {
    fn rows(&self) -> usize {
        self.rows
    }
    fn columns(&self) -> usize {
        self.columns
    }
}

impl RowModels for Uniforms {
    type Row<'r> = Uniform;

    fn check(&self, precision: Precision) -> Result<()> {
        if Uniform::new(self.lowest, self.size, precision.bits()).is_some() {
            return Ok(());
        }
        Err(Error::InvalidArgument(format!(
            "{} symbols at precision {precision}; it takes at most 2^{precision}",
            self.size
        )))
    }

    fn row(&self, _row: usize, precision: Precision) -> Uniform {
        Uniform::new(self.lowest, self.size, precision.bits()).expect("checked before coding")
    }

    fn device_bytes(&self) -> usize {
        0
    }

    fn to_device(&self, _gpu: &Gpu, rows: Range<usize>) -> Result<DeviceModels<'static>> {
        Ok(DeviceModels::uniform(self.lowest, self.size, rows.len(), self.columns))
    }
}
