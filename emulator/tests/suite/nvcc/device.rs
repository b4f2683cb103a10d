//! A software device with typed uploads, and numbers to feed it.

use bytemuck::Pod;
use parans_emulator::{Device, DeviceModel, Fault, Launch, Module, Report};
use std::path::PathBuf;

/// A device with one module of the corpus on it.
pub(crate) struct Gpu {
    device: Device,
    module: Module,
}

/// An argument of a kernel, in its bytes.
pub(crate) fn arg<T: Pod>(value: T) -> Vec<u8> {
    bytemuck::bytes_of(&value).to_vec()
}

impl Gpu {
    /// Loads `name.ptx`.
    pub(crate) fn with(name: &str) -> Self {
        let folder = std::env::var_os("PARANS_NVCC_PTX").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/nvcc"),
            PathBuf::from,
        );
        let path = folder.join(name).with_extension("ptx");
        let ptx = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let device = Device::new(DeviceModel::sm_90());
        let module = device.load(&ptx).unwrap_or_else(|error| panic!("{}:{error}", path.display()));
        Gpu { device, module }
    }

    /// Device memory with these values.
    pub(crate) fn upload<T: Pod>(&self, values: &[T]) -> u64 {
        let address = self.device.alloc(size_of_val(values) as u64).unwrap();
        self.device.write(address, bytemuck::cast_slice(values)).unwrap();
        address
    }

    /// Device memory that nothing has written.
    pub(crate) fn room<T: Pod>(&self, count: usize) -> u64 {
        self.device.alloc((count * size_of::<T>()) as u64).unwrap()
    }

    /// The values there, all of which have to be written.
    pub(crate) fn download<T: Pod>(&self, address: u64, count: usize) -> Vec<T> {
        let mut values = vec![T::zeroed(); count];
        self.device.read(address, bytemuck::cast_slice_mut(&mut values)).unwrap();
        values
    }

    /// Runs a kernel that has to end well.
    pub(crate) fn run(&self, entry: &str, launch: Launch, args: &[Vec<u8>]) -> Report {
        self.try_run(entry, launch, args).unwrap_or_else(|fault| panic!("{entry}: {fault}"))
    }

    /// Runs a kernel.
    pub(crate) fn try_run(
        &self,
        entry: &str,
        launch: Launch,
        args: &[Vec<u8>],
    ) -> Result<Report, Fault> {
        let slices: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        self.device.launch_args(&self.module, entry, launch, &slices)
    }
}

/// Numbers without a pattern: the output function of splitmix64.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<u64> {
    (1..=count as u64)
        .map(|i| {
            let mut x = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^ (x >> 31)
        })
        .collect()
}

/// The same, cut to 32 bits.
pub(crate) fn words(count: usize, seed: u64) -> Vec<u32> {
    numbers(count, seed).into_iter().map(|x| x as u32).collect()
}

/// Small whole numbers as floats, whose sums and products are exact in any order.
pub(crate) fn small_floats(count: usize, seed: u64) -> Vec<f32> {
    numbers(count, seed).into_iter().map(|x| (x % 33) as f32 - 16.0).collect()
}
