//! The PTX on a device of the NVIDIA driver.

use std::cell::RefCell;

use parans::gpu::{CudaRuntime, Geometry, Launch, Runtime, StreamHandle};
use parans_kernels::abi::{
    CodeParams, FIX_F32, FixParams, MODEL_KERNELS, MOVE_ROWS, ModelParams, MoveParams,
    QUANTISE_CDF_F32, QUANTISE_CDF_U32, QUANTISE_F32, QuantiseParams,
};

use crate::kernels::machine::Machine;

/// Bytes before and after each allocation that no kernel may change.
const GUARD: usize = 256;
/// What they hold.
const GUARDED: u8 = 0xa5;
const STREAM: StreamHandle = StreamHandle::OWN;

/// The machine.
pub struct Driver {
    runtime: CudaRuntime,
    loaded: RefCell<Vec<String>>,
    /// Address and bytes of the allocations, without their guards.
    allocated: RefCell<Vec<(u64, usize)>>,
}

impl Driver {
    /// The first device.
    pub fn new() -> Self {
        let runtime = CudaRuntime::new(0).expect("an NVIDIA driver with a device");
        Self { runtime, loaded: RefCell::default(), allocated: RefCell::default() }
    }

    /// Whether it is as slow as an interpreter of PTX.
    pub fn is_software() -> bool {
        Self::new().runtime.name().contains("oftware")
    }
}

impl Machine for Driver {
    fn upload(&self, bytes: &[u8]) -> u64 {
        let address = self.alloc(bytes.len());
        if !bytes.is_empty() {
            self.runtime.upload(address, bytes, STREAM).unwrap();
        }
        address
    }

    fn alloc(&self, bytes: usize) -> u64 {
        let whole = bytes.next_multiple_of(16) + 2 * GUARD;
        let start = self.runtime.alloc(whole).unwrap();
        self.runtime.fill(start, GUARDED, whole, STREAM).unwrap();
        let address = start + GUARD as u64;
        // As `download` promises of what nobody writes.
        if bytes > 0 {
            self.runtime.fill(address, 0, bytes, STREAM).unwrap();
        }
        self.allocated.borrow_mut().push((address, bytes));
        address
    }

    fn download(&self, address: u64, bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        if bytes > 0 {
            self.runtime.download(address, &mut out, STREAM).unwrap();
        }
        out
    }

    fn launch(&self, kernel: &str, threads: u64, shared: u32, params: &[u8]) {
        let mut loaded = self.loaded.borrow_mut();
        if !loaded.iter().any(|other| other == kernel) {
            let ptx = parans::gpu::ptx(kernel).unwrap_or_else(|| panic!("no PTX of {kernel}"));
            self.runtime.load(ptx).unwrap_or_else(|error| panic!("{kernel}: {error}"));
            loaded.push(kernel.to_owned());
        }
        let fields: &[(usize, usize)] = match kernel {
            QUANTISE_F32 | QUANTISE_CDF_F32 | QUANTISE_CDF_U32 => &QuantiseParams::FIELDS,
            FIX_F32 => &FixParams::FIELDS,
            MOVE_ROWS => &MoveParams::FIELDS,
            _ if MODEL_KERNELS.iter().any(|k| k.name == kernel) => &ModelParams::FIELDS,
            _ => &CodeParams::FIELDS,
        };
        // Two warps, as on the other machines.
        let geometry = Geometry { grid: threads.div_ceil(64) as u32, block: 64 };
        let launch = Launch { kernel, geometry, shared, params, fields };
        self.runtime.launch(&launch, STREAM).unwrap_or_else(|error| panic!("{kernel}: {error}"));
        self.runtime.synchronise(STREAM).unwrap_or_else(|error| panic!("{kernel}: {error}"));
    }

    fn reset(&self) {
        for (address, bytes) in self.allocated.take() {
            let start = address - GUARD as u64;
            let whole = self.download(start, bytes.next_multiple_of(16) + 2 * GUARD);
            let guards = whole[..GUARD].iter().chain(&whole[GUARD + bytes..]);
            let changed = guards.filter(|&&byte| byte != GUARDED).count();
            assert_eq!(changed, 0, "bytes around an allocation of {bytes} were written");
            self.runtime.free(start);
        }
    }
}
