//! A driver API program in Rust, calling the exported functions as a C program would: `cargo test`
//! runs it without cust, a C compiler or NVIDIA's header. `scripts/check-cuda` has the wider
//! programs.

use crate::abi::{Handle, Host, In, Out};
use crate::context::{CONTEXTS, Context};
use crate::context_calls::{cuCtxCreate_v2, cuCtxDestroy_v2, cuCtxSynchronize};
use crate::copy::{cuMemcpyDtoH_v2, cuMemcpyHtoD_v2};
use crate::diagnosis::paransLastDiagnosis;
use crate::driver::cuInit;
use crate::errors::{CUresult, CudaError};
use crate::event::{cuEventCreate, cuEventElapsedTime, cuEventRecord, cuEventSynchronize};
use crate::function::{Function, cuModuleGetFunction, cuModuleUnload};
use crate::launch::{cuLaunchKernel, paransLastReport};
use crate::memory::{cuMemAlloc_v2, cuMemFree_v2};
use crate::module::{Module, cuModuleLoadData};
use crate::pinned::{cuMemAllocManaged, cuMemHostGetFlags};
use crate::stream::{Stream, cuStreamCreate, cuStreamSynchronize};
use crate::sync::lock;
use std::sync::Mutex;

/// Doubles the words of a buffer; with `skip` it begins so many bytes further on.
const PTX: &[u8] = b".version 7.0
.target sm_75
.address_size 64
.visible .entry twice(.param .u64 buffer, .param .u32 skip)
{
    .reg .b32 %r<4>;
    .reg .b64 %d<5>;
    ld.param.u64 %d1, [buffer];
    ld.param.u32 %r1, [skip];
    cvt.u64.u32 %d2, %r1;
    add.s64 %d1, %d1, %d2;
    mov.u32 %r2, %tid.x;
    mul.wide.u32 %d3, %r2, 4;
    add.s64 %d4, %d1, %d3;
    ld.global.u32 %r3, [%d4];
    shl.b32 %r3, %r3, 1;
    st.global.u32 [%d4], %r3;
    ret;
}
\0";

mod lazy;

/// Held by the tests that provoke a fault: there is one last diagnosis.
static FAULTS: Mutex<()> = Mutex::new(());

const OK: CUresult = CUresult(0);

fn host<T>(values: &mut [T]) -> Host {
    Host::new(values.as_mut_ptr().cast())
}

/// What a call that writes one value through its first argument writes.
fn made<T>(empty: T, call: impl FnOnce(Out<T>) -> CUresult) -> T {
    let mut value = empty;
    assert_eq!(call(Out::from(&mut value)), OK);
    value
}

/// A launch of `twice` on a buffer, with the parameters behind pointers.
fn launch(
    function: Handle<Function>,
    stream: Handle<Stream>,
    mut buffer: u64,
    mut skip: u32,
) -> CUresult {
    let parameters = [Host::new((&raw mut buffer).cast()), Host::new((&raw mut skip).cast())];
    cuLaunchKernel(function, 1, 1, 1, 64, 1, 1, 0, stream, In::from(&parameters[..]), In::NONE)
}

/// A new context in one of the two modes, current.
fn context(lazy: bool) -> Handle<Context> {
    assert_eq!(cuInit(0), OK);
    let context = made(Handle::NULL, |out| cuCtxCreate_v2(out, 0, 0));
    CONTEXTS.get(context).unwrap().set_lazy(lazy);
    context
}

/// The kernel `twice` in the current context, and its module.
fn twice() -> (Handle<Function>, Handle<Module>) {
    let image = Host::new(PTX.as_ptr().cast_mut().cast());
    let module = made(Handle::NULL, |out| cuModuleLoadData(out, image));
    (made(Handle::NULL, |out| cuModuleGetFunction(out, module, c"twice".into())), module)
}

#[test]
fn a_program_from_start_to_fault() {
    program_from_start_to_fault(false);
}

#[test]
fn a_program_from_start_to_fault_lazily() {
    program_from_start_to_fault(true);
}

/// A program that relies on nothing that the API does not promise, so it runs in both modes.
fn program_from_start_to_fault(lazy: bool) {
    let _faults = lock(&FAULTS);
    let context = context(lazy);
    let (function, module) = twice();
    let stream = made(Handle::NULL, |out| cuStreamCreate(out, 1));

    // Device memory, and the time the kernel takes.
    let mut words: Vec<u32> = (0..64).collect();
    let buffer = made(0, |out| cuMemAlloc_v2(out, 256));
    assert_eq!(cuMemcpyHtoD_v2(buffer, host(&mut words), 256), OK);
    let (start, end) = (
        made(Handle::NULL, |out| cuEventCreate(out, 0)),
        made(Handle::NULL, |out| cuEventCreate(out, 0)),
    );
    assert_eq!(cuEventRecord(start, stream), OK);
    assert_eq!(launch(function, stream, buffer, 0), OK);
    assert_eq!(cuEventRecord(end, stream), OK);
    assert_eq!(cuEventSynchronize(end), OK);
    assert!(made(0.0, |out| cuEventElapsedTime(out, start, end)) > 0.0);
    assert_eq!(cuMemcpyDtoH_v2(host(&mut words), buffer, 256), OK);
    assert_eq!(words, (0..128).step_by(2).collect::<Vec<u32>>());

    // Managed memory: the same address on both sides.
    let managed = made(0, |out| cuMemAllocManaged(out, 256, 1));
    let shared = Host::from_address(managed).bytes_mut(256).unwrap();
    shared.fill(1);
    assert_eq!(launch(function, stream, managed, 0), OK);
    assert_eq!(cuStreamSynchronize(stream), OK);
    assert_eq!(shared, [2; 256]);
    assert_eq!(cuMemHostGetFlags(Out::from(&mut 0), Host::from_address(managed)), CUresult(1));
    assert_eq!(cuMemFree_v2(managed), OK);

    // The counters of the launch before; tests run at the same time, all with this kernel.
    let mut text = [0u8; 400];
    let mut length = 0;
    assert_eq!(paransLastReport(host(&mut text), text.len(), Out::from(&mut length)), OK);
    assert!(text.starts_with(b"twice: 1 blocks, 2 warps"), "{}", String::from_utf8_lossy(&text));

    // Past the end: the launch succeeds, and everything after it says what happened.
    let illegal = CUresult::from(Err(CudaError::IllegalAddress));
    assert_eq!(launch(function, stream, buffer, 4), OK);
    assert_eq!(cuStreamSynchronize(stream), illegal);
    assert_eq!(cuCtxSynchronize(), illegal);
    assert_eq!(cuMemFree_v2(buffer), illegal);
    assert_eq!(paransLastDiagnosis(host(&mut text), text.len(), Out::from(&mut length)), OK);
    let text = String::from_utf8_lossy(&text[..length]);
    for part in ["twice", "out of bounds", "thread (63, 0, 0)", "PTX line 15"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    cuModuleUnload(module);
    assert_eq!(cuCtxDestroy_v2(context), OK);

    // Handles outlive nothing: what was destroyed with the context is named by nobody.
    let second = made(Handle::NULL, |out| cuCtxCreate_v2(out, 0, 0));
    let invalid = CUresult::from(Err(CudaError::InvalidHandle));
    assert_eq!(launch(function, Handle::NULL, buffer, 0), invalid);
    assert_eq!(cuStreamSynchronize(stream), invalid);
    assert_eq!(cuMemFree_v2(buffer), CUresult::from(Err(CudaError::InvalidValue)));
    assert_eq!(cuCtxDestroy_v2(second), OK);
}
