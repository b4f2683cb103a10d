//! The PTX on the software device.

use std::cell::RefCell;
use std::collections::HashMap;

use parans_emulator::{Device, DeviceModel, Launch, Module, Report};

use crate::kernels::machine::{BLOCK_THREADS, Machine};

/// The machine.
pub struct Software {
    device: Device,
    /// By kernel, loaded when first launched.
    modules: RefCell<HashMap<String, Module>>,
    allocated: RefCell<Vec<u64>>,
    report: RefCell<Option<Report>>,
}

impl Software {
    pub fn new() -> Self {
        let device = Device::new(DeviceModel::default());
        Self {
            device,
            modules: RefCell::default(),
            allocated: RefCell::default(),
            report: RefCell::default(),
        }
    }

    /// What the last launch cost.
    pub fn report(&self) -> Report {
        self.report.borrow().expect("a launch")
    }
}

impl Machine for Software {
    fn upload(&self, bytes: &[u8]) -> u64 {
        let address = self.alloc(bytes.len());
        self.device.write(address, bytes).unwrap();
        address
    }

    fn alloc(&self, bytes: usize) -> u64 {
        // To the byte: an access past the end is a fault.
        let address = self.device.alloc(bytes.max(1) as u64).unwrap();
        self.allocated.borrow_mut().push(address);
        address
    }

    fn download(&self, address: u64, bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        self.device.read_unchecked(address, &mut out).unwrap();
        out
    }

    fn launch(&self, kernel: &str, threads: u64, shared: u32, params: &[u8]) {
        let blocks = threads.div_ceil(u64::from(BLOCK_THREADS)) as u32;
        let launch = Launch::linear(blocks, BLOCK_THREADS).shared(shared);
        let mut modules = self.modules.borrow_mut();
        let module = modules.entry(kernel.to_owned()).or_insert_with(|| {
            let ptx = parans::gpu::ptx(kernel).unwrap_or_else(|| panic!("no PTX of {kernel}"));
            self.device.load(ptx).unwrap_or_else(|error| panic!("{kernel}: {error}"))
        });
        let report = self
            .device
            .launch(module, kernel, launch, params)
            .unwrap_or_else(|fault| panic!("{kernel}: {fault}"));
        self.report.replace(Some(report));
    }

    fn reset(&self) {
        for address in self.allocated.take() {
            self.device.free(address).unwrap();
        }
    }
}
