//! Quantising probabilities that are on the device already.

use bytemuck::bytes_of;
use parans_kernels::abi::{
    QUANTISE_CDF_U32, QUANTISE_F32, QuantiseParams, QuantiseShape, RowStatus,
};
use parans_kernels::codec::Interval;

use super::launch::{Geometry, below};
use super::status::outcome;
use super::{DeviceBuffer, DeviceElement, DeviceSlice, Gpu, Launch, StreamHandle};
use crate::error::{Error, Result};
use crate::tables::{Precision, Tables, check_alphabet};

/// What became of the tables that a kernel quantised.
#[derive(Debug)]
pub(super) struct Outcomes {
    /// Of each table.
    pub(super) status: DeviceBuffer<RowStatus>,
    /// Symbols a table, the sentinel included.
    pub(super) symbols: usize,
    given: usize,
    of_counts: bool,
}

impl Outcomes {
    /// Starts a kernel that quantises. Its output, of elements `O`, is one a symbol, or CDFs.
    pub(super) fn enqueue<W: DeviceElement, O: DeviceElement>(
        gpu: &Gpu,
        kernel: &str,
        weights: DeviceSlice<'_, W>,
        rows: usize,
        (precision, sentinel): (Precision, bool),
        stream: StreamHandle,
    ) -> Result<(DeviceBuffer<u8>, Self)> {
        if rows == 0 || !weights.len().is_multiple_of(rows) || weights.is_empty() {
            return Err(Error::Shape {
                what: "device probabilities",
                expected: format!("a multiple of {rows} tables"),
                got: weights.len().to_string(),
            });
        }
        let given = weights.len() / rows;
        let symbols = given + usize::from(sentinel);
        check_alphabet(symbols, precision.bits(), 0)?;
        let each = symbols + usize::from(kernel != QUANTISE_F32);
        let out = DeviceBuffer::<u8>::new(gpu, rows * each * size_of::<O>())?;
        let status = DeviceBuffer::<RowStatus>::new(gpu, rows)?;
        let params = QuantiseParams {
            pmf: weights.address(),
            intervals: out.address(),
            status: status.address(),
            shape: QuantiseShape {
                rows: below("tables", rows, u32::MAX)?,
                symbols: symbols as u32,
                precision: precision.bits(),
                sentinel: u32::from(sentinel),
            },
        };
        let launch = Launch {
            kernel,
            geometry: Geometry::spread(rows as u64, gpu.runtime().multiprocessors())?,
            shared: 0,
            params: bytes_of(&params),
            fields: &QuantiseParams::FIELDS,
        };
        let memories = [Some(&out.memory), weights.memory].into_iter().flatten();
        gpu.launch_with_status(&launch, stream, &status, memories)?;
        Ok((out, Self { status, symbols, given, of_counts: kernel == QUANTISE_CDF_U32 }))
    }

    /// Waits, and checks every table.
    pub(super) fn check(&self) -> Result<()> {
        let given = self.given;
        for (row, status) in self.status.to_vec()?.into_iter().enumerate() {
            if let Err(fault) = outcome(row, status)? {
                let what = if self.of_counts { "counts" } else { "probabilities" };
                let reason = if fault.position < given {
                    format!(
                        "the probability of symbol {} is not a finite number of at least 0",
                        fault.position
                    )
                } else {
                    format!("all {given} {what} are 0")
                };
                return Err(Error::InvalidTable { row, reason });
            }
        }
        Ok(())
    }
}

/// Runs a kernel that quantises, waits, and checks every table. The output, of elements `O`, is one
/// a symbol, or CDFs.
pub(super) fn quantise<W: DeviceElement, O: DeviceElement>(
    gpu: &Gpu,
    kernel: &str,
    weights: DeviceSlice<'_, W>,
    rows: usize,
    form: (Precision, bool),
    stream: StreamHandle,
) -> Result<DeviceBuffer<u8>> {
    let (out, outcomes) = Outcomes::enqueue::<W, O>(gpu, kernel, weights, rows, form, stream)?;
    outcomes.check()?;
    Ok(out)
}

impl Tables {
    /// Quantises probabilities in device memory, `rows` tables one after another, where they are:
    /// to the very frequencies that [`Tables::from_pmf`] gives on the host. The work is done on
    /// `stream`; only the frequencies come back. Of a coder made by
    /// [`CoderBuilder::build_from_device_pmf`](crate::CoderBuilder::build_from_device_pmf) not even
    /// they do.
    ///
    /// # Errors
    /// [`Error::Shape`] where the length is no multiple of `rows`; [`Error::InvalidTable`] names
    /// the row at fault; [`Error::Device`].
    pub fn from_device_pmf<'d>(
        gpu: &Gpu,
        pmf: impl Into<DeviceSlice<'d, f32>>,
        rows: usize,
        precision: Precision,
        sentinel: bool,
        stream: StreamHandle,
    ) -> Result<Self> {
        let form = (precision, sentinel);
        let intervals =
            quantise::<f32, Interval>(gpu, QUANTISE_F32, pmf.into(), rows, form, stream)?;
        let mut host = vec![Interval::default(); intervals.len() / size_of::<Interval>()];
        intervals.download(0, bytemuck::cast_slice_mut(&mut host))?;
        let symbols = host.len() / rows;
        let freqs: Vec<Vec<u32>> = host
            .chunks(symbols)
            .map(|row| row.iter().map(|interval| interval.freq).collect())
            .collect();
        Self::from_frequencies(&freqs, None, precision)
    }
}
