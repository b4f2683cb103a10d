//! Quantising probabilities that are on the device already.

use bytemuck::bytes_of;
use parans_kernels::abi::{QUANTISE_F32, QuantiseParams, QuantiseShape, RowStatus};
use parans_kernels::codec::Span;

use super::plan::Geometry;
use super::{DeviceBuffer, Gpu, Launch, StreamHandle};
use crate::error::{Error, Result};
use crate::tables::{Precision, Tables, check_alphabet};

impl Tables {
    /// Quantises probabilities in device memory, `rows` tables one after another, where they are: to the very frequencies that
    /// [`Tables::from_pmf`] gives on the host. Only the frequencies come back.
    ///
    /// # Errors
    /// [`Error::Shape`] where the length is no multiple of `rows`; [`Error::InvalidTable`] names the row at fault; [`Error::Device`].
    pub fn from_device_pmf(
        gpu: &Gpu,
        pmf: &DeviceBuffer<f32>,
        rows: usize,
        precision: Precision,
        sentinel: bool,
    ) -> Result<Self> {
        if rows == 0 || !pmf.len().is_multiple_of(rows) || pmf.is_empty() {
            return Err(Error::Shape {
                what: "device probabilities",
                expected: format!("a multiple of {rows} tables"),
                got: pmf.len().to_string(),
            });
        }
        let symbols = pmf.len() / rows + usize::from(sentinel);
        check_alphabet(symbols, precision.bits(), 0)?;
        let spans = DeviceBuffer::<Span>::new(gpu, rows * symbols)?;
        let status = DeviceBuffer::<RowStatus>::new(gpu, rows)?;
        let params = QuantiseParams {
            pmf: pmf.address(),
            spans: spans.address(),
            status: status.address(),
            shape: QuantiseShape {
                rows: rows as u32,
                symbols: symbols as u32,
                precision: precision.bits(),
                sentinel: u32::from(sentinel),
            },
        };
        let launch = Launch {
            kernel: QUANTISE_F32,
            geometry: Geometry::spread(rows as u64, gpu.runtime().multiprocessors())?,
            shared: 0,
            params: bytes_of(&params),
            fields: &QuantiseParams::FIELDS,
        };
        gpu.runtime().launch(&launch, StreamHandle::default())?;
        for (row, status) in status.to_vec()?.into_iter().enumerate() {
            if let Err(fault) = status.to_result() {
                let columns = symbols - usize::from(sentinel);
                let reason = if fault.position < columns {
                    format!(
                        "the probability of symbol {} is not a finite number of at least 0",
                        fault.position
                    )
                } else {
                    format!("all {columns} probabilities are 0")
                };
                return Err(Error::InvalidTable { row, reason });
            }
        }
        let freqs: Vec<Vec<u32>> = spans
            .to_vec()?
            .chunks(symbols)
            .map(|row| row.iter().map(|span| span.freq).collect())
            .collect();
        Self::from_frequencies(&freqs, None, precision)
    }
}
