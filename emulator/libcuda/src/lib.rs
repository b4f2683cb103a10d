//! The CUDA driver library, `libcuda.so.1`, over the software device.
//!
//! A program that links or loads NVIDIA's driver, through the `cust` crate, through `dlopen` or in
//! C, runs unchanged on this library where there is no GPU: its kernels are executed from their PTX
//! by [`parans_emulator`], every access checked, and a fault comes back as the driver's own error
//! code, with the full diagnosis on standard error. For development and tests; nothing of the codec
//! depends on it.
//!
//! # What it does and does not do
//! - Every function of the driver API of CUDA 12 is exported. What this library does not do answers
//!   `CUDA_ERROR_NOT_SUPPORTED` (the list is `unsupported.txt`: graphs, textures, virtual memory,
//!   interop, IPC).
//! - Streams are eager unless `PARANS_DEVICE_LAZY=1`: work is done, in the order of the calls,
//!   before the call that enqueues it returns. That is one of the schedules the API allows. Only
//!   host functions run apart, on a thread of their own, and what follows them in their stream
//!   waits for them. A program that needs two kernels to run at the same time (each waiting for the
//!   other) would hang.
//! - A kernel's fault is reported as a GPU would: the launch succeeds, and every later call that
//!   uses the context returns the error until the context is destroyed or reset. With
//!   `CUDA_LAUNCH_BLOCKING=1` the launch itself returns it.
//! - Machine code (cubin) cannot be executed and is `CUDA_ERROR_NO_BINARY_FOR_GPU`; of a fat binary
//!   the PTX is taken.
//!
//! # The lazy mode
//! With `PARANS_DEVICE_LAZY=1` the driver takes another schedule that the API allows, the one that
//! shows missing synchronisation best. Launches, copies, fills, frees, event records, event waits
//! and host functions are queued in their stream, and run only when something waits for them:
//! - `cuStreamSynchronize`, `cuEventSynchronize` and copies that wait run what they wait for and
//!   what that depends on: earlier work of the same stream, events waited for (as recorded at the
//!   call of `cuStreamWaitEvent`), and what the legacy default stream orders. Nothing else runs.
//! - The legacy default stream (handles 0 and 1) and blocking streams wait for one another; the
//!   default stream of a thread (handle 2) is a blocking stream; streams made with
//!   `CU_STREAM_NON_BLOCKING` wait for events alone.
//! - `cuCtxSynchronize`, `cuMemFree`, `cuMemFreeHost`, `cuMemHostUnregister`, `cuArrayDestroy`,
//!   `cuModuleUnload`, `cuMemcpyPeer`, an allocation that finds no memory, and the end of the
//!   context run everything, the last created stream first. `cuStreamDestroy` runs nothing.
//! - `cuStreamQuery` and `cuEventQuery` answer `CUDA_ERROR_NOT_READY` and run one piece of work.
//! - An asynchronous copy reads pageable memory at the call, and pinned, registered or managed
//!   memory when it runs; into pageable memory it waits. Copies without a stream wait, but for
//!   those from device to device; so do fills without a stream of memory that the host reaches, and
//!   no others. (NVIDIA lets a copy from pageable memory return while its last part is under way;
//!   here it is done.)
//! - A fault sticks to the context when the kernel runs, so it arrives where the kernel is waited
//!   for; the work behind it does not run any more.
//!
//! `cuMemAllocAsync` allocates at the call: use of the memory by another stream that does not wait
//! for it is not found, use after `cuMemFreeAsync` has run is.
//!
//! # Environment
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `PARANS_DEVICE_COUNT` | devices present; with 0, `cuInit` is `CUDA_ERROR_NO_DEVICE` | 1 |
//! | `PARANS_DEVICE_MODEL` | compute capability, `sm_75` to `sm_120`; PTX for a newer one is refused | `sm_90` |
//! | `PARANS_DEVICE_MEMORY` | capacity of each device: bytes, or a number with `K`, `M` or `G` | the model's |
//! | `PARANS_DEVICE_CHECKS` | `all`, or `minimal`: only bounds, alignment, use after free | `all` |
//! | `PARANS_DEVICE_LAZY` | 1: work runs as late as the API allows | 0 |
//! | `PARANS_DEVICE_REPORT` | 1: each launch prints its counters | off |
//! | `PARANS_CUDA_TRACE` | 1: each call prints its name and result | off |
//! | `CUDA_LAUNCH_BLOCKING` | 1: a launch returns its own kernel's fault | off |
//!
//! Two functions are this library's own: `paransLastDiagnosis` and `paransLastReport` copy out the
//! text behind the last error and the counters of the last launch.

#![allow(unsafe_code, reason = "the C boundary: exported symbols and the caller's raw pointers")]
#![allow(non_snake_case, reason = "exported functions carry the names of cuda.h")]

mod abi;
mod allocations;
mod array;
mod attributes;
mod config;
mod context;
mod context_calls;
mod copy;
mod copy_shapes;
mod device;
mod device_info;
mod diagnosis;
mod driver;
mod errors;
mod event;
mod fill;
mod function;
mod host_function;
mod image;
mod jit;
mod launch;
mod link;
mod memory;
mod module;
mod occupancy;
mod pinned;
mod pointer;
mod pool;
mod primary;
mod proc_address;
mod queue;
mod stream;
mod sync;
mod table;
mod teardown;
mod trace;
mod unsupported;

#[cfg(test)]
mod tests;
