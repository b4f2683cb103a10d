//! The kernels on threads of the host: a thread for each thread of a block, a barrier for each
//! vote.

use std::cell::{Cell, RefCell};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};

use parans_kernels::abi::pack::{PACK_TABLES, PackParams};
use parans_kernels::abi::{
    CodeParams, FIX_F32, FixParams, MODEL_KERNELS, MOVE_ROWS, ModelParams, MoveParams,
    QUANTISE_CDF_F32, QUANTISE_CDF_U32, QUANTISE_F32, QuantiseParams,
};
use parans_kernels::device::simt::Simt;

use crate::kernels::machine::{BLOCK_THREADS, Machine};

/// What the threads of a warp share.
struct Warp {
    barrier: Barrier,
    values: [AtomicU32; 32],
}

/// One thread of a launch.
#[derive(Clone, Copy)]
pub struct HostThread {
    thread: u32,
    block: u32,
    warp: &'static Warp,
    block_barrier: &'static Barrier,
    shared: &'static [AtomicU32],
}

thread_local! {
    static CURRENT: Cell<Option<HostThread>> = const { Cell::new(None) };
}

impl HostThread {
    /// Gives every thread of the warp all values.
    #[inline(never)]
    fn exchange<R>(self, value: u32, read: impl FnOnce(&[AtomicU32; 32]) -> R) -> R {
        self.warp.values[self.thread as usize % 32].store(value, Ordering::SeqCst);
        self.warp.barrier.wait();
        let result = read(&self.warp.values);
        self.warp.barrier.wait();
        result
    }
}

impl HostThread {
    /// Words of shared memory.
    #[inline(never)]
    fn words<const N: usize>(self, at: u32) -> [u32; N] {
        assert_eq!(at as usize % (4 * N), 0, "an unaligned load of shared memory");
        std::array::from_fn(|i| self.shared[at as usize / 4 + i].load(Ordering::Relaxed))
    }
}

impl Simt for HostThread {
    fn thread(self) -> u32 {
        self.thread
    }
    fn block(self) -> u32 {
        self.block
    }
    fn block_threads(self) -> u32 {
        BLOCK_THREADS
    }
    #[inline(never)]
    fn barrier(self) {
        self.block_barrier.wait();
    }
    #[inline(never)]
    fn ballot(self, yes: bool) -> u32 {
        self.exchange(u32::from(yes), |values| {
            values.iter().rev().fold(0, |bits, v| bits << 1 | v.load(Ordering::SeqCst))
        })
    }
    #[inline(never)]
    fn shuffle(self, value: u32, source: u32) -> u32 {
        self.exchange(value, |values| values[source as usize % 32].load(Ordering::SeqCst))
    }
    #[inline(never)]
    fn sync_warp(self) {
        self.warp.barrier.wait();
    }
    fn shared(self) -> u32 {
        0
    }
    unsafe fn load_shared_u8(self, at: u32) -> u32 {
        self.words::<1>(at & !3)[0] >> (8 * (at & 3)) & 0xff
    }
    unsafe fn load_shared_u16(self, at: u32) -> u32 {
        self.words::<1>(at & !3)[0] >> (8 * (at & 2)) & 0xffff
    }
    unsafe fn load_shared(self, at: u32) -> u32 {
        self.words::<1>(at)[0]
    }
    unsafe fn load_shared_x2(self, at: u32) -> [u32; 2] {
        self.words(at)
    }
    unsafe fn load_shared_x4(self, at: u32) -> [u32; 4] {
        self.words(at)
    }
    #[inline(never)]
    unsafe fn store_shared(self, at: u32, word: u32) {
        assert_eq!(at % 4, 0, "an unaligned word of shared memory");
        self.shared[at as usize / 4].store(word, Ordering::Relaxed);
    }
    #[inline(never)]
    unsafe fn store_shared_x4(self, at: u32, words: [u32; 4]) {
        for (to, word) in self.shared[at as usize / 4..][..4].iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
    }
    #[inline(never)]
    unsafe fn set_shared_bits(self, at: u32, bits: u32) {
        assert_eq!(at % 4, 0, "an unaligned word of shared memory");
        self.shared[at as usize / 4].fetch_or(bits, Ordering::Relaxed);
    }
}

mod entries {
    use super::CURRENT;
    parans_kernels::for_each_kernel!(
        parans_kernels::kernel_entries => CURRENT.get().expect("a thread of a launch"), [], [extern "C"];
    );
    parans_kernels::for_each_model_kernel!(
        parans_kernels::model_kernel_entries => CURRENT.get().expect("a thread of a launch"), [], [extern "C"];
    );
    parans_kernels::other_entries!(CURRENT.get().expect("a thread of a launch"), [], [extern "C"]);
}

macro_rules! call_by_name {
    ($kernel:ident $params:ident; $($name:ident: $direction:ident $family:ident $mapping:ident $form:ident;)*) => {
        match $kernel {
            // SAFETY: the addresses are those of live buffers of this process, as large as the
            // shape says.
            $(stringify!($name) => unsafe { entries::$name(
                $params.states as *mut _, $params.words as *mut _, $params.lengths as *mut _, $params.status as *mut _,
                $params.symbols as *mut _, $params.indexes as *const _, $params.tables as *const _,
                $params.entries as *const _, $params.lookup as *const _, $params.shape,
            ) },)*
            _ => panic!("no kernel {}", $kernel),
        }
    };
}

macro_rules! call_model_by_name {
    ($kernel:ident $params:ident; $($name:ident: $direction:ident $family:ident $mapping:ident $form:ident;)*) => {
        match $kernel {
            // SAFETY: the addresses are those of live buffers of this process, as large as the
            // shape says.
            $(stringify!($name) => unsafe { entries::$name(
                $params.states as *mut _, $params.words as *mut _, $params.lengths as *mut _, $params.status as *mut _,
                $params.symbols as *mut _, $params.parameters as *const _, $params.scales as *const _, $params.shape,
            ) },)*
            _ => panic!("no kernel {}", $kernel),
        }
    };
}

macro_rules! call_quantiser {
    ($name:ident, $params:ident) => {{
        let params: &QuantiseParams = bytemuck::from_bytes($params);
        // SAFETY: the addresses are those of live buffers of this process, as large as the shape
        // says.
        unsafe {
            entries::$name(
                params.pmf as *const _,
                params.intervals as *mut _,
                params.status as *mut _,
                params.shape,
            )
        }
    }};
}

fn call(kernel: &str, params: &[u8]) {
    match kernel {
        QUANTISE_F32 => return call_quantiser!(quantise_f32, params),
        QUANTISE_CDF_F32 => return call_quantiser!(quantise_cdf_f32, params),
        QUANTISE_CDF_U32 => return call_quantiser!(quantise_cdf_u32, params),
        FIX_F32 => {
            let params: &FixParams = bytemuck::from_bytes(params);
            // SAFETY: the addresses are those of live buffers of this process, as large as the
            // count says.
            return unsafe {
                entries::fix_f32(
                    params.means as *const _,
                    params.scales as *const _,
                    params.fixed_means as *mut _,
                    params.codes as *mut _,
                    params.count,
                )
            };
        }
        PACK_TABLES => {
            let params: &PackParams = bytemuck::from_bytes(params);
            // SAFETY: the addresses are those of live buffers of this process, as large as the
            // shape says.
            return unsafe {
                entries::pack_tables(
                    params.intervals as *mut _,
                    params.status as *const _,
                    params.out as *mut _,
                    params.shape,
                )
            };
        }
        MOVE_ROWS => {
            let params: &MoveParams = bytemuck::from_bytes(params);
            // SAFETY: the addresses are those of live buffers of this process, as large as the
            // shape says.
            return unsafe {
                entries::move_rows(
                    params.apart as *mut _,
                    params.together as *mut _,
                    params.offsets as *const _,
                    params.lengths as *const _,
                    params.shape,
                )
            };
        }
        _ => {}
    }
    if MODEL_KERNELS.iter().any(|k| k.name == kernel) {
        let params: &ModelParams = bytemuck::from_bytes(params);
        parans_kernels::for_each_model_kernel!(call_model_by_name => kernel params;)
    } else {
        let params: &CodeParams = bytemuck::from_bytes(params);
        parans_kernels::for_each_kernel!(call_by_name => kernel params;)
    }
}

/// The machine.
pub struct HostThreads;

thread_local! {
    static MEMORY: RefCell<Vec<Vec<u64>>> = const { RefCell::new(Vec::new()) };
}

impl Machine for HostThreads {
    fn upload(&self, bytes: &[u8]) -> u64 {
        let address = self.alloc(bytes.len());
        // SAFETY: the buffer was just allocated with at least this many bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) };
        address
    }

    fn alloc(&self, bytes: usize) -> u64 {
        let mut buffer = vec![0u64; bytes.div_ceil(8) + 1];
        let address = buffer.as_mut_ptr() as u64;
        MEMORY.with_borrow_mut(|memory| memory.push(buffer));
        address
    }

    fn download(&self, address: u64, bytes: usize) -> Vec<u8> {
        // SAFETY: tests ask for what they allocated; no kernel runs meanwhile.
        unsafe { std::slice::from_raw_parts(address as *const u8, bytes) }.to_vec()
    }

    fn launch(&self, kernel: &str, threads: u64, shared: u32, params: &[u8]) {
        for block in 0..threads.div_ceil(u64::from(BLOCK_THREADS)) as u32 {
            // Leaked: a few hundred bytes per launch keep the kernel's value `Copy`.
            let warps: Vec<&'static Warp> = (0..BLOCK_THREADS / 32)
                .map(|_| {
                    &*Box::leak(Box::new(Warp {
                        barrier: Barrier::new(32),
                        values: Default::default(),
                    }))
                })
                .collect();
            let block_barrier = &*Box::leak(Box::new(Barrier::new(BLOCK_THREADS as usize)));
            let shared: &'static [AtomicU32] =
                (0..shared / 4).map(|_| AtomicU32::new(0)).collect::<Vec<_>>().leak();
            std::thread::scope(|scope| {
                for thread in 0..BLOCK_THREADS {
                    let warp = warps[thread as usize / 32];
                    scope.spawn(move || {
                        CURRENT.set(Some(HostThread {
                            thread,
                            block,
                            warp,
                            block_barrier,
                            shared,
                        }));
                        call(kernel, params);
                    });
                }
            });
        }
    }

    fn reset(&self) {
        MEMORY.with_borrow_mut(Vec::clear);
    }
}
