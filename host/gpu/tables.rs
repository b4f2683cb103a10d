//! Tables in device memory, uploaded once a coder.

use parans_kernels::codec::{Span, TableSpan};

use super::{DeviceBuffer, Gpu};
use crate::coder::{Lookup, Plan};
use crate::error::{Error, Result};
use crate::family::Family;

/// What the kernels read of the tables.
#[derive(Debug)]
pub(crate) struct DeviceTables {
    pub(super) tables: DeviceBuffer<TableSpan>,
    pub(super) entries: DeviceBuffer<u8>,
    pub(super) spans: DeviceBuffer<Span>,
    /// Alias lookups: where push places a slot.
    pub(super) remap: Option<DeviceBuffer<u32>>,
    /// Inverse CDF or alias buckets, for pop.
    pub(super) lookup: Option<DeviceBuffer<u8>>,
}

impl DeviceTables {
    pub(crate) fn upload(gpu: &Gpu, plan: &Plan) -> Result<Self> {
        let prepared = plan.tables.prepared();
        let entries: &[u8] = match plan.family {
            Family::Rans64 => bytemuck::cast_slice(prepared.rans64()),
            Family::Rans32 => bytemuck::cast_slice(prepared.rans32()),
            Family::Rans32x16 => bytemuck::cast_slice(prepared.rans32x16()),
            family => return Err(Error::Unsupported(format!("{family} on a GPU"))),
        };
        let (remap, lookup) = match plan.lookup {
            Lookup::InverseCdf => {
                let symbols: &[u8] = bytemuck::cast_slice(&prepared.inverse()?.symbols);
                (None, Some(DeviceBuffer::from_slice(gpu, symbols)?))
            }
            Lookup::Alias => {
                let form = prepared.alias()?;
                let buckets: &[u8] = bytemuck::cast_slice(&form.buckets);
                (
                    Some(DeviceBuffer::from_slice(gpu, &form.remap)?),
                    Some(DeviceBuffer::from_slice(gpu, buckets)?),
                )
            }
            _ => (None, None),
        };
        Ok(Self {
            tables: DeviceBuffer::from_slice(gpu, prepared.tables())?,
            entries: DeviceBuffer::from_slice(gpu, entries)?,
            spans: DeviceBuffer::from_slice(gpu, prepared.spans())?,
            remap,
            lookup,
        })
    }
}
