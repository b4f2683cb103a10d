//! Coders whose tables are made of probabilities in device memory, and stay there.

use std::sync::OnceLock;

use bytemuck::bytes_of;
use parans_kernels::abi::pack::{PACK_TABLES, PackParams, PackShape, form};
use parans_kernels::abi::{DeviceAddress, Operation, QUANTISE_F32};
use parans_kernels::codec::packed::{ExactEntry, MAX_SYMBOLS, PackedSlot, PackedTable, next_part};
use parans_kernels::codec::{Interval, TableDescriptor};

use super::launch::{Geometry, MOST_PACKED_BYTES, below};
use super::memory::Memory;
use super::quantise::Outcomes;
use super::tables::{DeviceTables, Forms};
use super::{DeviceBuffer, DeviceSlice, Gpu, GpuCoder, Launch, StreamHandle};
use crate::error::{Error, Result};
use crate::family::Family;
use crate::plan::{Lookup, RowPlan};

/// A coder whose tables were made of probabilities in device memory, by
/// [`CoderBuilder::build_from_device_pmf`](crate::CoderBuilder::build_from_device_pmf). It codes
/// tensors in device memory, to the streams of a [`Coder`](crate::Coder) with the tables that
/// [`Tables::from_pmf`](crate::Tables::from_pmf) makes of the same probabilities.
#[derive(Debug)]
pub struct DeviceCoder {
    gpu: Gpu,
    plan: RowPlan,
    tables: DeviceTables,
}

impl DeviceCoder {
    pub(crate) fn new(
        gpu: Gpu,
        plan: RowPlan,
        skip_past_end: bool,
        pmf: DeviceSlice<'_, f32>,
        tables: usize,
        stream: StreamHandle,
    ) -> Result<Self> {
        let tables = DeviceTables::of_pmf(&gpu, &plan, skip_past_end, pmf, tables, stream)?;
        Ok(Self { gpu, plan, tables })
    }

    /// The coder over tensors in device memory. Its
    /// [`check`](GpuCoder::check) says whether the tables could be made.
    pub fn on_gpu(&self) -> GpuCoder<'_> {
        GpuCoder::new(&self.gpu, &self.plan, &self.tables)
    }
}

/// Makes forms of tables on a stream.
struct Packer<'p> {
    gpu: &'p Gpu,
    intervals: &'p DeviceBuffer<u8>,
    outcomes: &'p Outcomes,
    shape: PackShape,
    stream: StreamHandle,
}

impl Packer<'_> {
    /// Starts the kernel for one form, whose elements go to an address in memory.
    fn pack(&self, form: u32, out: DeviceAddress, memory: &Memory) -> Result<()> {
        let shape = PackShape { form, ..self.shape };
        let of_slots = matches!(form, form::SLOTS | form::NUMBERS);
        let each = if of_slots { 1 << shape.precision } else { u64::from(shape.symbols) };
        let (intervals, status) = (self.intervals, &self.outcomes.status);
        let params =
            PackParams { intervals: intervals.address(), status: status.address(), out, shape };
        let threads = u64::from(shape.tables) * each;
        let launch = Launch {
            kernel: PACK_TABLES,
            geometry: Geometry::spread(threads, self.gpu.runtime().multiprocessors())?,
            shared: 0,
            params: bytes_of(&params),
            fields: &PackParams::FIELDS,
        };
        let mut memories = vec![&intervals.memory, &status.memory];
        if form != form::EVEN {
            memories.push(memory);
        }
        Memory::used_by(self.gpu, self.stream, memories, || self.gpu.launch(&launch, self.stream))
    }

    /// Packed tables: the tables' places, and behind them parts of a form and so many bytes. `None`
    /// where they would be too large.
    fn packed(
        &self,
        places: &[PackedTable],
        parts: &[(u32, u64)],
    ) -> Result<Option<DeviceBuffer<u32>>> {
        let mut end = u64::from(next_part(size_of_val(places) as u32));
        let mut begins = Vec::new();
        for (_, bytes) in parts {
            begins.push(end);
            end = (end + bytes).next_multiple_of(16);
        }
        if end > MOST_PACKED_BYTES as u64 {
            return Ok(None);
        }
        let mut words: Vec<u32> =
            places.iter().flat_map(|place| [place.base, place.place]).collect();
        // Between parts nothing else is written.
        words.resize(end as usize / 4, 0);
        let out = DeviceBuffer::from_slice(self.gpu, &words)?;
        for (&(form, _), begin) in parts.iter().zip(begins) {
            self.pack(form, out.address() + begin, &out.memory)?;
        }
        Ok(Some(out))
    }
}

impl DeviceTables {
    /// Tables of probabilities in device memory, `tables` one after another: quantised and put into
    /// the forms that kernels read without a copy to the host. One that cannot be quantised is made
    /// of equal shares instead; [`check`](Self::check) finds it.
    fn of_pmf(
        gpu: &Gpu,
        plan: &RowPlan,
        skip_past_end: bool,
        pmf: DeviceSlice<'_, f32>,
        tables: usize,
        stream: StreamHandle,
    ) -> Result<Self> {
        let unsupported = |what: &str| {
            Error::Unsupported(format!("{what} of probabilities in device memory: see Tables"))
        };
        if plan.family.is_tans() {
            return Err(unsupported("tANS tables"));
        }
        let form = (plan.precision, plan.bypass.is_some());
        let (intervals, outcomes) =
            Outcomes::enqueue::<f32, Interval>(gpu, QUANTISE_F32, pmf, tables, form, stream)?;
        if outcomes.symbols < 2 {
            return Err(unsupported("tables of one symbol"));
        }
        let entries = below("entries", tables.saturating_mul(outcomes.symbols), u32::MAX)?;
        let (symbols, bits) = (outcomes.symbols as u32, plan.precision.bits());
        let shape = PackShape {
            tables: tables as u32,
            symbols,
            precision: bits,
            sentinel: u32::from(form.1),
            ..PackShape::default()
        };
        let packer = Packer { gpu, intervals: &intervals, outcomes: &outcomes, shape, stream };
        packer.pack(form::EVEN, intervals.address(), &intervals.memory)?;
        let places: Vec<_> = (0..shape.tables)
            .map(|table| TableDescriptor {
                base: table * symbols,
                symbols,
                ..TableDescriptor::default()
            })
            .collect();

        let count = u64::from(entries);
        let (entry, entry_bytes, packed_entry) = match plan.family {
            Family::Rans64 => {
                (form::ENTRIES_64, 16, Some((Operation::PushPacked, form::ENTRIES_64, 16)))
            }
            Family::Rans32x16 if bits <= ExactEntry::MAX_PRECISION => {
                (form::ENTRIES_32, 12, Some((Operation::PushExact, form::EXACT, 8)))
            }
            _ => {
                let packed = (Operation::PushPacked, form::PACKED_32, 8);
                (form::ENTRIES_32, 12, Some(packed).filter(|_| bits <= 16))
            }
        };
        let slots = u64::from(shape.tables) << bits;
        let coded = symbols - shape.sentinel;
        let slots_fit = bits <= PackedSlot::MAX_PRECISION && coded <= MAX_SYMBOLS;
        let guide_fits = (2..=16).contains(&bits) && symbols <= MAX_SYMBOLS;
        let mut forms_of_pop = Vec::new();
        if slots_fit {
            forms_of_pop.push((Operation::PopSlots, vec![(form::SLOTS, 4 * slots)]));
        }
        if guide_fits {
            let parts = vec![(form::INTERVALS, 4 * count), (form::NUMBERS, slots)];
            forms_of_pop.push((Operation::PopGuide, parts));
        }

        let packed_places: Option<Vec<_>> =
            places.iter().map(|place| PackedTable::new(place, form.1)).collect();
        let (mut push_packed, mut pop_packed) = (None, None);
        if let Some(packed_places) = packed_places {
            if let Some((operation, form, bytes)) = packed_entry {
                let packed = packer.packed(&packed_places, &[(form, bytes * count)])?;
                push_packed = packed.map(|packed| (operation, packed));
            }
            for (operation, parts) in forms_of_pop {
                if pop_packed.is_none() {
                    let packed = packer.packed(&packed_places, &parts)?;
                    pop_packed = packed.map(|packed| (operation, packed));
                }
            }
        }
        let push_entries = DeviceBuffer::new(gpu, entries as usize * entry_bytes)?;
        packer.pack(entry, push_entries.address(), &push_entries.memory)?;
        let on_device = DeviceBuffer::from_slice(gpu, &places)?;
        // From now on they are only read, on any stream.
        gpu.runtime().synchronise(StreamHandle::OWN)?;
        gpu.runtime().synchronise(stream)?;
        Ok(Self {
            tables: on_device,
            places,
            entries,
            lookup: Lookup::Search,
            inverse_bits: 0,
            skip_past_end,
            push: Forms { entries: push_entries, lookup: None, packed: push_packed },
            pop: Forms { entries: intervals, lookup: None, packed: pop_packed },
            outcomes: Some(outcomes),
            good: OnceLock::new(),
        })
    }
}
