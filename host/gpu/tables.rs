//! Tables in device memory, uploaded once a coder, or made there.

use std::sync::OnceLock;

use parans_kernels::abi::{CodeShape, DeviceAddress, Operation};
use parans_kernels::codec::TableDescriptor;

use super::launch::PackedWords;
use super::quantise::Outcomes;
use super::{DeviceBuffer, Gpu, StreamHandle};
use crate::error::Result;
use crate::family::Family;
use crate::plan::{Lookup, Plan, RowPlan};

/// What the kernels of one direction read of the tables, as `abi::CodeParams` names it.
#[derive(Debug)]
pub(super) struct Forms {
    pub(super) entries: DeviceBuffer<u8>,
    pub(super) lookup: Option<DeviceBuffer<u8>>,
    pub(super) packed: Option<(Operation, DeviceBuffer<u32>)>,
}

impl Forms {
    fn upload(
        gpu: &Gpu,
        entries: &[u8],
        lookup: Option<&[u8]>,
        packed: Option<PackedWords>,
    ) -> Result<Self> {
        let upload = |packed: PackedWords| -> Result<_> {
            Ok((packed.operation, DeviceBuffer::from_slice(gpu, &packed.words)?))
        };
        Ok(Self {
            entries: DeviceBuffer::from_slice(gpu, entries)?,
            lookup: lookup.map(|bytes| DeviceBuffer::from_slice(gpu, bytes)).transpose()?,
            packed: packed.map(upload).transpose()?,
        })
    }
}

/// The tables of a coder on its device.
#[derive(Debug)]
pub(crate) struct DeviceTables {
    pub(super) tables: DeviceBuffer<TableDescriptor>,
    /// The same, in host memory.
    pub(super) places: Vec<TableDescriptor>,
    /// Entries of all tables together.
    pub(super) entries: u32,
    pub(super) lookup: Lookup,
    /// log2 of the inverse CDF's entries per table, where that is the lookup.
    pub(super) inverse_bits: u32,
    pub(super) skip_past_end: bool,
    pub(super) push: Forms,
    pub(super) pop: Forms,
    /// What became of tables that were made on the device, and whether that was seen to be good.
    pub(super) outcomes: Option<Outcomes>,
    pub(super) good: OnceLock<()>,
}

impl DeviceTables {
    pub(crate) fn upload(gpu: &Gpu, plan: &Plan) -> Result<Self> {
        use bytemuck::cast_slice;
        let prepared = plan.tables.prepared();
        let rans = |entries: &[u8]| -> Result<(Forms, Forms)> {
            let (remap, lookup): (Option<&[u8]>, Option<&[u8]>) = match plan.lookup {
                Lookup::InverseCdf => (None, Some(cast_slice(&prepared.inverse()?.symbols))),
                Lookup::Alias => {
                    let form = prepared.alias()?;
                    (Some(cast_slice(&form.remap)), Some(cast_slice(&form.buckets)))
                }
                _ => (None, None),
            };
            Ok((
                Forms::upload(gpu, entries, remap, PackedWords::of(plan, true)?)?,
                Forms::upload(
                    gpu,
                    cast_slice(prepared.intervals()),
                    lookup,
                    PackedWords::of(plan, false)?,
                )?,
            ))
        };
        let (push, pop) = match plan.family {
            Family::Rans64 => rans(cast_slice(prepared.rans64()))?,
            Family::Rans32 => rans(cast_slice(prepared.rans32()))?,
            Family::Rans32x16 => rans(cast_slice(prepared.rans32x16()))?,
            Family::Tans32 | Family::Tans16 | Family::Tans8 => {
                let form = prepared.tans()?;
                let upload = |entries: &[u8], push| {
                    Forms::upload(gpu, entries, None, PackedWords::of(plan, push)?)
                };
                (
                    upload(cast_slice(&form.encoder), true)?,
                    upload(cast_slice(&form.decoder), false)?,
                )
            }
        };
        let tables = DeviceBuffer::from_slice(gpu, prepared.tables())?;
        // From now on they are only read, on any stream.
        gpu.runtime().synchronise(StreamHandle::OWN)?;
        Ok(Self {
            tables,
            places: prepared.tables().to_vec(),
            entries: prepared.intervals().len() as u32,
            lookup: plan.lookup,
            inverse_bits: match plan.lookup {
                Lookup::InverseCdf => prepared.inverse()?.bits,
                _ => 0,
            },
            skip_past_end: plan.skip_past_end,
            push,
            pop,
            outcomes: None,
            good: OnceLock::new(),
        })
    }

    /// Whether tables that were made on the device are what the caller asked for.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(outcomes) = self.outcomes.as_ref().filter(|_| self.good.get().is_none()) {
            outcomes.check()?;
            self.good.get_or_init(|| ());
        }
        Ok(())
    }

    /// A launch's shape with what the plan and the tables decide of it.
    pub(super) fn shape(&self, plan: &RowPlan, of_symbols: CodeShape) -> CodeShape {
        CodeShape {
            lanes: plan.lanes as u32,
            tables: self.places.len() as u32,
            entries: self.entries,
            precision: plan.precision.bits(),
            bypass_bits: plan.bypass.map_or(0, |bypass| bypass.bits()),
            inverse_bits: self.inverse_bits,
            skip_past_end: u32::from(self.skip_past_end),
            ..of_symbols
        }
    }

    /// Addresses of the tables' places, the entries and the lookup, for one direction.
    pub(super) fn addresses(&self, push: bool) -> [DeviceAddress; 3] {
        let forms = if push { &self.push } else { &self.pop };
        let lookup = forms.lookup.as_ref().map_or(0, DeviceBuffer::address);
        [self.tables.address(), forms.entries.address(), lookup]
    }

    /// The packed tables of one direction, where there are such: the kernels that read them, their
    /// address and their bytes.
    pub(super) fn packed(&self, push: bool) -> Option<(Operation, DeviceAddress, usize)> {
        let forms = if push { &self.push } else { &self.pop };
        let (operation, buffer) = forms.packed.as_ref()?;
        Some((*operation, buffer.address(), buffer.len() * 4))
    }
}
