//! What kernels store of rows and tables.

use parans_kernels::abi::RowStatus;
use parans_kernels::codec::RowFault;

use crate::error::{Error, Result};

/// Each byte of statuses before a launch.
pub(super) const POISON: u8 = 0xff;
/// The code of a status that is poison still.
const UNWRITTEN: u32 = u32::from_ne_bytes([POISON; 4]);

/// What a kernel stored of a row. A code that no kernel stores is the device's error.
pub(super) fn outcome(row: usize, status: RowStatus) -> Result<Result<(), RowFault>> {
    status.outcome().ok_or_else(|| {
        Error::Device(match status.code {
            UNWRITTEN => format!("no kernel wrote the status of row {row}"),
            code => format!("the status of row {row} is {code}, which no kernel writes"),
        })
    })
}
