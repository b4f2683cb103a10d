//! Configuring a coder: every choice is checked once, in [`CoderBuilder::build`].

use std::sync::Arc;

use parans_kernels::codec;

use super::{Coder, OnGpu};
use crate::error::{Error, Result};
use crate::family::Family;
use crate::gpu::{DeviceCoder, DeviceSlice, DeviceTables, Gpu, StreamHandle};
use crate::plan::{Lookup, Plan, RowPlan};
use crate::streams::{LengthBytes, check_lanes};
use crate::tables::{Precision, Tables};

/// What codes a symbol outside its table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bypass {
    /// Nothing: such a symbol is an error.
    #[default]
    Off,
    /// The table's last symbol as a sentinel, then raw digits of this many bits, 1 to 8.
    Digits(u32),
}

impl Bypass {
    /// Raw digits of `bits` bits (1 to 8; torch_ans' default is 4).
    pub const fn digits(bits: u32) -> Self {
        Self::Digits(bits)
    }
}

/// Where a coder runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Device {
    /// The CPU: rows over rayon's current pool, SIMD inside a thread.
    #[default]
    Cpu,
    /// The NVIDIA GPU of this number, through its driver.
    Cuda(usize),
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.pad("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl std::str::FromStr for Device {
    type Err = Error;

    /// `cpu`, `cuda` (the first GPU) or `cuda:N`.
    fn from_str(name: &str) -> Result<Self> {
        let number = match name.split_once(':') {
            None if name == "cpu" => return Ok(Self::Cpu),
            None if name == "cuda" => Some(0),
            Some(("cuda", number)) => number.parse().ok(),
            _ => None,
        };
        number.map(Self::Cuda).ok_or_else(|| {
            Error::InvalidArgument(format!("device {name:?}; devices are cpu, cuda:0, cuda:1, ..."))
        })
    }
}

/// Says how a coder codes; [`build`](Self::build) makes it.
#[derive(Clone, Debug)]
pub struct CoderBuilder {
    family: Family,
    lanes: usize,
    lookup: Lookup,
    bypass: Bypass,
    device: Device,
    gpu: Option<Gpu>,
    skip_past_end: bool,
    length_bytes: LengthBytes,
    known_rows: bool,
    parallel_rows: Option<usize>,
}

impl CoderBuilder {
    pub(super) fn new(family: Family) -> Self {
        Self {
            family,
            lanes: 1,
            lookup: Lookup::Auto,
            bypass: Bypass::Off,
            device: Device::Cpu,
            gpu: None,
            skip_past_end: false,
            length_bytes: LengthBytes::Four,
            known_rows: false,
            parallel_rows: None,
        }
    }

    /// Interleaved states a row: 1 (the default), 2, 4, 8 or 32.
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = lanes;
        self
    }

    /// How pop finds symbols.
    pub fn lookup(mut self, lookup: Lookup) -> Self {
        self.lookup = lookup;
        self
    }

    /// What codes symbols outside their table. The tables must hold a sentinel then: see
    /// [`TablesBuilder::sentinel`](crate::TablesBuilder::sentinel).
    pub fn bypass(mut self, bypass: Bypass) -> Self {
        self.bypass = bypass;
        self
    }

    /// Where to run.
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Runs on an opened GPU, whatever its runtime; it takes the place of [`device`](Self::device).
    pub fn gpu(mut self, gpu: &Gpu) -> Self {
        self.gpu = Some(gpu.clone());
        self
    }

    /// Lets an index past the last table skip its symbol, as a negative one does and as torch_ans
    /// has it. Unless set, it is an error.
    pub fn skip_indexes_past_end(mut self, skip: bool) -> Self {
        self.skip_past_end = skip;
        self
    }

    /// Bytes of each row's length in merged bytes; 4 unless set.
    pub fn length_bytes(mut self, length_bytes: LengthBytes) -> Self {
        self.length_bytes = length_bytes;
        self
    }

    /// Leaves the last row's length out of merged bytes: the decoder knows the number of rows from
    /// its indexes.
    pub fn known_rows(mut self, known: bool) -> Self {
        self.known_rows = known;
        self
    }

    /// [`Coder::encode`] flattens its symbols and cuts them into this many rows, whatever their
    /// shape: torch_ans' parallel states.
    pub fn parallel_rows(mut self, rows: usize) -> Self {
        self.parallel_rows = Some(rows);
        self
    }

    /// The coder, over these tables.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a lane count, lookup or device that is not to be had;
    /// [`Error::InvalidArgument`] for a precision past the family's limit, bypass digits outside
    /// 1..=8 bits, or bypass over tables of probabilities or counts without a sentinel.
    pub fn build(self, tables: Tables) -> Result<Coder> {
        let rows = self.row_plan(tables.precision())?;
        if self.parallel_rows == Some(0) {
            return Err(Error::InvalidArgument("symbols cut into 0 parallel rows".into()));
        }
        let bypass = rows.bypass;
        if bypass.is_some() && tables.lack_sentinel() {
            return Err(Error::InvalidArgument(
                "bypass over tables without a sentinel: TablesBuilder::sentinel adds one".into(),
            ));
        }
        let prepared = tables.prepared();
        // Prepare what may fail now, so that errors come here.
        let lookup = match self.lookup {
            Lookup::Alias if self.family.is_tans() => {
                return Err(Error::Unsupported(format!(
                    "alias lookup with {}: its symbols are found by the state itself",
                    self.family
                )));
            }
            // Nothing is looked up but the state.
            _ if self.family.is_tans() => {
                prepared.tans()?;
                Lookup::Search
            }
            Lookup::Auto if prepared.largest_alphabet() > 1 << 16 => Lookup::Search,
            // Two or three steps of a search cost less than a load from an inverse CDF that is not
            // in the first-level cache.
            Lookup::Auto if prepared.largest_alphabet() <= 4 => Lookup::Search,
            Lookup::Auto if !prepared.has_room_for_inverse() => Lookup::Search,
            Lookup::Auto => Lookup::InverseCdf,
            chosen => chosen,
        };
        match lookup {
            // The vector paths read another form: the first row that needs this one makes it.
            Lookup::InverseCdf => prepared.check_inverse()?,
            Lookup::Alias => drop(prepared.alias()?),
            _ => {}
        }
        let plan = Plan { rows, lookup, skip_past_end: self.skip_past_end, tables };
        let on_gpu = match self.opened()? {
            None => None,
            Some(gpu) => {
                let tables = Arc::new(DeviceTables::upload(&gpu, &plan)?);
                Some(OnGpu { gpu, tables })
            }
        };
        Ok(Coder {
            plan,
            on_gpu,
            length_bytes: self.length_bytes,
            known_rows: self.known_rows,
            parallel_rows: self.parallel_rows,
        })
    }

    /// A coder whose tables are made of probabilities in device memory, `tables` one after another,
    /// and never leave it: their frequencies are those of
    /// [`Tables::from_pmf`](crate::Tables::from_pmf), with a sentinel where there is bypass, and
    /// all offsets are 0. The work is done on `stream`; nothing is copied to the host before
    /// [`GpuCoder::check`](crate::gpu::GpuCoder::check), which says whether a table could not be
    /// made.
    ///
    /// # Errors
    /// [`Error::Shape`] where the length is no multiple of `tables`; [`Error::InvalidArgument`] on
    /// the CPU and as [`build`](Self::build); [`Error::InvalidTable`] for more symbols than slots;
    /// [`Error::Unsupported`] for tANS, alias lookup, and tables of one symbol; [`Error::Device`].
    pub fn build_from_device_pmf<'d>(
        self,
        pmf: impl Into<DeviceSlice<'d, f32>>,
        tables: usize,
        precision: Precision,
        stream: StreamHandle,
    ) -> Result<DeviceCoder> {
        let plan = self.row_plan(precision)?;
        if self.lookup == Lookup::Alias {
            return Err(Error::Unsupported(
                "alias tables of probabilities in device memory".into(),
            ));
        }
        let Some(gpu) = self.opened()? else {
            return Err(Error::InvalidArgument(
                "probabilities in device memory and a coder on the CPU".into(),
            ));
        };
        DeviceCoder::new(gpu, plan, self.skip_past_end, pmf.into(), tables, stream)
    }

    /// What is said of rows, checked.
    fn row_plan(&self, precision: Precision) -> Result<RowPlan> {
        check_lanes(self.lanes)?;
        let (bits, limit) = (precision.bits(), self.family.max_precision());
        if bits > limit {
            return Err(Error::InvalidArgument(format!(
                "tables of precision {bits}; the limit of {} is {limit}",
                self.family
            )));
        }
        let bypass = match self.bypass {
            Bypass::Off => None,
            Bypass::Digits(bits) => Some(codec::BypassCode::new(bits).ok_or_else(|| {
                Error::InvalidArgument(format!("bypass digits of {bits} bits; they take 1 to 8"))
            })?),
        };
        Ok(RowPlan { family: self.family, lanes: self.lanes, precision, bypass })
    }

    /// The GPU to run on, if that is not the CPU.
    fn opened(&self) -> Result<Option<Gpu>> {
        match (&self.gpu, self.device) {
            (Some(gpu), _) => Ok(Some(gpu.clone())),
            (None, Device::Cuda(number)) => Gpu::open(number).map(Some),
            (None, Device::Cpu) => Ok(None),
        }
    }
}
