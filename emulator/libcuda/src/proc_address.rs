//! `cuGetProcAddress`: symbols by their unversioned name and a CUDA version.

use crate::abi::{Export, Out, Status, Text, exports};
use crate::errors::CudaError;
use std::ffi::c_void;
use std::ptr::null;

/// Every exported function.
fn all() -> impl Iterator<Item = &'static Export> {
    [
        crate::array::EXPORTS,
        crate::context_calls::EXPORTS,
        crate::copy::EXPORTS,
        crate::copy_shapes::EXPORTS,
        crate::device_info::EXPORTS,
        crate::diagnosis::EXPORTS,
        crate::driver::EXPORTS,
        crate::event::EXPORTS,
        crate::fill::EXPORTS,
        crate::function::EXPORTS,
        crate::launch::EXPORTS,
        crate::link::EXPORTS,
        crate::memory::EXPORTS,
        crate::module::EXPORTS,
        crate::occupancy::EXPORTS,
        crate::pinned::EXPORTS,
        crate::pointer::EXPORTS,
        crate::pool::EXPORTS,
        crate::primary::EXPORTS,
        crate::stream::EXPORTS,
        crate::unsupported::EXPORTS,
        EXPORTS,
    ]
    .into_iter()
    .flatten()
}

/// The CUDA version that brought a symbol with a suffix, where it was not 3.2, which brought most
/// (cudaTypedefs.h).
const SINCE: &[(&str, i32)] = &[
    ("cuCtxCreate_v3", 11_040),
    ("cuCtxCreate_v4", 12_050),
    ("cuDeviceGetUuid_v2", 11_040),
    ("cuDevicePrimaryCtxRelease_v2", 11_000),
    ("cuDevicePrimaryCtxReset_v2", 11_000),
    ("cuDevicePrimaryCtxSetFlags_v2", 11_000),
    ("cuEventElapsedTime_v2", 12_080),
    ("cuGetProcAddress_v2", 12_000),
    ("cuGraphAddDependencies_v2", 12_030),
    ("cuGraphAddKernelNode_v2", 12_000),
    ("cuGraphAddNode_v2", 12_030),
    ("cuGraphExecKernelNodeSetParams_v2", 12_000),
    ("cuGraphExecUpdate_v2", 12_000),
    ("cuGraphGetEdges_v2", 12_030),
    ("cuGraphKernelNodeGetParams_v2", 12_000),
    ("cuGraphKernelNodeSetParams_v2", 12_000),
    ("cuGraphNodeGetDependencies_v2", 12_030),
    ("cuGraphNodeGetDependentNodes_v2", 12_030),
    ("cuGraphRemoveDependencies_v2", 12_030),
    ("cuIpcOpenMemHandle_v2", 11_000),
    ("cuLinkAddData_v2", 6050),
    ("cuLinkAddFile_v2", 6050),
    ("cuLinkCreate_v2", 6050),
    ("cuMemAdvise_v2", 12_020),
    ("cuMemHostRegister_v2", 6050),
    ("cuMemPrefetchAsync_v2", 12_020),
    ("cuStreamBatchMemOp_v2", 11_070),
    ("cuStreamBeginCapture_v2", 10_010),
    ("cuStreamGetCaptureInfo_v2", 11_030),
    ("cuStreamGetCaptureInfo_v3", 12_030),
    ("cuStreamGetCtx_v2", 12_050),
    ("cuStreamUpdateCaptureDependencies_v2", 12_030),
    ("cuStreamWaitValue32_v2", 11_070),
    ("cuStreamWaitValue64_v2", 11_070),
    ("cuStreamWriteValue32_v2", 11_070),
    ("cuStreamWriteValue64_v2", 11_070),
];

/// The newest form of a function that a program made for `version` may expect.
fn find(name: &str, version: i32) -> Option<&'static Export> {
    ["_v4", "_v3", "_v2", ""].iter().find_map(|suffix| {
        let since = |symbol: &str| {
            SINCE.iter().find(|(known, _)| *known == symbol).map_or(3020, |&(_, since)| since)
        };
        all().find(|export| {
            export.name.strip_prefix(name) == Some(suffix)
                && (suffix.is_empty() || since(export.name) <= version)
        })
    })
}

/// Looks a function up; `found` says 0 for found, 1 for not, and the address is null then.
fn look_up(
    name: Text,
    out: Out<*const c_void>,
    version: i32,
    flags: u64,
    found: Option<Out<u32>>,
) -> Status {
    out.required()?;
    // Flags choose a default stream; there is one schedule here, so the functions are the same.
    if flags > 2 {
        return Err(CudaError::InvalidValue);
    }
    let export = find(&name.get()?, version);
    out.set(export.map_or(null(), |export| export.address))?;
    if let Some(found) = found {
        found.set_if_asked(u32::from(export.is_none()));
    }
    export.map(drop).ok_or(CudaError::NotFound)
}

exports! {
    fn cuGetProcAddress(name: Text, out: Out<*const c_void>, version: i32, flags: u64) {
        look_up(name, out, version, flags, None)
    }

    fn cuGetProcAddress_v2(name: Text, out: Out<*const c_void>, version: i32, flags: u64, found: Out<u32>) {
        look_up(name, out, version, flags, Some(found))
    }

    /// The driver's private tables, which NVIDIA's runtime library asks for, do not exist here.
    fn cuGetExportTable(table: Out<*const c_void>, id: crate::abi::Host) {
        if id.is_null() {
            return Err(CudaError::InvalidValue);
        }
        table.set(null())?;
        Err(CudaError::NotFound)
    }

    fn cuProfilerStart() {
        Ok(())
    }

    fn cuProfilerStop() {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{SINCE, all, find};
    use std::collections::BTreeSet;

    #[test]
    fn names_find_the_form_of_their_version() {
        let name = |base, version| find(base, version).map(|export| export.name);
        assert_eq!(name("cuMemAlloc", 12_000), Some("cuMemAlloc_v2"));
        assert_eq!(name("cuCtxCreate", 11_030), Some("cuCtxCreate_v2"));
        assert_eq!(name("cuCtxCreate", 12_000), Some("cuCtxCreate_v3"));
        assert_eq!(name("cuCtxCreate", 13_000), Some("cuCtxCreate_v4"));
        assert_eq!(name("cuLaunchKernel", 12_000), Some("cuLaunchKernel"));
        assert_eq!(name("cuMemAdvise", 12_000), Some("cuMemAdvise"));
        assert_eq!(name("cuNoSuchCall", 12_000), None);
        assert_eq!(name("cuMem", 12_000), None);
    }

    #[test]
    fn every_symbol_is_defined_once() {
        let names: Vec<_> = all().map(|export| export.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for (name, _) in SINCE {
            assert!(names.contains(name), "{name}");
        }
    }
}
