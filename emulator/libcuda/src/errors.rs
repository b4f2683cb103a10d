//! The error codes of the driver API, their names and texts, and the last diagnosis.

use crate::sync::lock;
use parans_emulator::Fault;
use std::ffi::{CStr, CString};
use std::sync::Mutex;

/// What every function of this library computes before it becomes a [`CUresult`].
pub(crate) type Status<T = ()> = Result<T, CudaError>;

/// What an exported function returns: zero, or a [`CudaError`].
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CUresult(pub(crate) u32);

impl From<Result<(), CudaError>> for CUresult {
    fn from(status: Result<(), CudaError>) -> Self {
        CUresult(status.map_or_else(|error| error as u32, |()| 0))
    }
}

/// Defines [`CudaError`] and its two texts from one list.
macro_rules! codes {
    ($($variant:ident = $code:literal, $name:literal, $text:literal;)*) => {
        /// Every error of `cuda.h`.
        #[allow(dead_code, reason = "the list is complete so that cuGetErrorName knows every code; this library raises some")]
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum CudaError {
            $(#[doc = $text] $variant = $code,)*
        }

        /// The name and the text of a code, success included.
        pub(crate) fn texts(code: u32) -> Option<(&'static CStr, &'static CStr)> {
            match code {
                0 => Some((c"CUDA_SUCCESS", c"no error")),
                $($code => Some((to_c(concat!("CUDA_ERROR_", $name, "\0")), to_c(concat!($text, "\0")))),)*
                _ => None,
            }
        }
    };
}

/// A literal that ends in a zero, as a C string.
fn to_c(text: &'static str) -> &'static CStr {
    CStr::from_bytes_with_nul(text.as_bytes()).unwrap_or(c"")
}

codes! {
    InvalidValue = 1, "INVALID_VALUE", "invalid argument";
    OutOfMemory = 2, "OUT_OF_MEMORY", "out of memory";
    NotInitialized = 3, "NOT_INITIALIZED", "initialization error";
    Deinitialized = 4, "DEINITIALIZED", "driver shutting down";
    ProfilerDisabled = 5, "PROFILER_DISABLED", "profiler disabled";
    ProfilerNotInitialized = 6, "PROFILER_NOT_INITIALIZED", "profiler not initialized";
    ProfilerAlreadyStarted = 7, "PROFILER_ALREADY_STARTED", "profiler already started";
    ProfilerAlreadyStopped = 8, "PROFILER_ALREADY_STOPPED", "profiler already stopped";
    StubLibrary = 34, "STUB_LIBRARY", "stub library";
    CallRequiresNewerDriver = 36, "CALL_REQUIRES_NEWER_DRIVER", "call requires newer driver";
    DeviceUnavailable = 46, "DEVICE_UNAVAILABLE", "device unavailable";
    MulticastResourceFull = 47, "MULTICAST_RESOURCE_FULL", "multicast resource full";
    NoDevice = 100, "NO_DEVICE", "no CUDA-capable device is detected";
    InvalidDevice = 101, "INVALID_DEVICE", "invalid device ordinal";
    DeviceNotLicensed = 102, "DEVICE_NOT_LICENSED", "device not licensed";
    InvalidImage = 200, "INVALID_IMAGE", "device kernel image is invalid";
    InvalidContext = 201, "INVALID_CONTEXT", "invalid device context";
    ContextAlreadyCurrent = 202, "CONTEXT_ALREADY_CURRENT", "context already current";
    MapFailed = 205, "MAP_FAILED", "map failed";
    UnmapFailed = 206, "UNMAP_FAILED", "unmap failed";
    ArrayIsMapped = 207, "ARRAY_IS_MAPPED", "array is mapped";
    AlreadyMapped = 208, "ALREADY_MAPPED", "already mapped";
    NoBinaryForGpu = 209, "NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device";
    AlreadyAcquired = 210, "ALREADY_ACQUIRED", "already acquired";
    NotMapped = 211, "NOT_MAPPED", "not mapped";
    NotMappedAsArray = 212, "NOT_MAPPED_AS_ARRAY", "not mapped as array";
    NotMappedAsPointer = 213, "NOT_MAPPED_AS_POINTER", "not mapped as pointer";
    EccUncorrectable = 214, "ECC_UNCORRECTABLE", "ECC uncorrectable";
    UnsupportedLimit = 215, "UNSUPPORTED_LIMIT", "limit is not supported on this architecture";
    ContextAlreadyInUse = 216, "CONTEXT_ALREADY_IN_USE", "context already in use";
    PeerAccessUnsupported = 217, "PEER_ACCESS_UNSUPPORTED", "peer access is not supported between these two devices";
    InvalidPtx = 218, "INVALID_PTX", "a PTX JIT compilation failed";
    InvalidGraphicsContext = 219, "INVALID_GRAPHICS_CONTEXT", "invalid graphics context";
    NvlinkUncorrectable = 220, "NVLINK_UNCORRECTABLE", "nvlink uncorrectable";
    JitCompilerNotFound = 221, "JIT_COMPILER_NOT_FOUND", "jit compiler not found";
    UnsupportedPtxVersion = 222, "UNSUPPORTED_PTX_VERSION", "the PTX is of a newer version than the driver knows";
    JitCompilationDisabled = 223, "JIT_COMPILATION_DISABLED", "jit compilation disabled";
    UnsupportedExecAffinity = 224, "UNSUPPORTED_EXEC_AFFINITY", "unsupported exec affinity";
    UnsupportedDevsideSync = 225, "UNSUPPORTED_DEVSIDE_SYNC", "unsupported devside sync";
    Contained = 226, "CONTAINED", "contained";
    InsufficientLoaderVersion = 227, "INSUFFICIENT_LOADER_VERSION", "insufficient loader version";
    InvalidSource = 300, "INVALID_SOURCE", "invalid source";
    FileNotFound = 301, "FILE_NOT_FOUND", "file not found";
    SharedObjectSymbolNotFound = 302, "SHARED_OBJECT_SYMBOL_NOT_FOUND", "shared object symbol not found";
    SharedObjectInitFailed = 303, "SHARED_OBJECT_INIT_FAILED", "shared object init failed";
    OperatingSystem = 304, "OPERATING_SYSTEM", "OS call failed or operation not supported on this OS";
    InvalidHandle = 400, "INVALID_HANDLE", "invalid resource handle";
    IllegalState = 401, "ILLEGAL_STATE", "illegal state";
    LossyQuery = 402, "LOSSY_QUERY", "lossy query";
    NotFound = 500, "NOT_FOUND", "named symbol not found";
    NotReady = 600, "NOT_READY", "device not ready";
    IllegalAddress = 700, "ILLEGAL_ADDRESS", "an illegal memory access was encountered";
    LaunchOutOfResources = 701, "LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch";
    LaunchTimeout = 702, "LAUNCH_TIMEOUT", "the launch timed out and was terminated";
    LaunchIncompatibleTexturing = 703, "LAUNCH_INCOMPATIBLE_TEXTURING", "launch incompatible texturing";
    PeerAccessAlreadyEnabled = 704, "PEER_ACCESS_ALREADY_ENABLED", "peer access already enabled";
    PeerAccessNotEnabled = 705, "PEER_ACCESS_NOT_ENABLED", "peer access not enabled";
    PrimaryContextActive = 708, "PRIMARY_CONTEXT_ACTIVE", "cannot set while device is active in this process";
    ContextIsDestroyed = 709, "CONTEXT_IS_DESTROYED", "context is destroyed";
    Assert = 710, "ASSERT", "device-side assert triggered";
    TooManyPeers = 711, "TOO_MANY_PEERS", "too many peers";
    HostMemoryAlreadyRegistered = 712, "HOST_MEMORY_ALREADY_REGISTERED", "part or all of the requested memory range is already mapped";
    HostMemoryNotRegistered = 713, "HOST_MEMORY_NOT_REGISTERED", "pointer does not correspond to a registered memory region";
    HardwareStackError = 714, "HARDWARE_STACK_ERROR", "hardware stack error";
    IllegalInstruction = 715, "ILLEGAL_INSTRUCTION", "an illegal instruction was encountered";
    MisalignedAddress = 716, "MISALIGNED_ADDRESS", "misaligned address";
    InvalidAddressSpace = 717, "INVALID_ADDRESS_SPACE", "operation not supported on global/shared address space";
    InvalidPc = 718, "INVALID_PC", "invalid program counter";
    LaunchFailed = 719, "LAUNCH_FAILED", "unspecified launch failure";
    CooperativeLaunchTooLarge = 720, "COOPERATIVE_LAUNCH_TOO_LARGE", "too many blocks in cooperative launch";
    TensorMemoryLeak = 721, "TENSOR_MEMORY_LEAK", "tensor memory leak";
    NotPermitted = 800, "NOT_PERMITTED", "operation not permitted";
    NotSupported = 801, "NOT_SUPPORTED", "operation not supported";
    SystemNotReady = 802, "SYSTEM_NOT_READY", "system not ready";
    SystemDriverMismatch = 803, "SYSTEM_DRIVER_MISMATCH", "system driver mismatch";
    CompatNotSupportedOnDevice = 804, "COMPAT_NOT_SUPPORTED_ON_DEVICE", "compat not supported on device";
    MpsConnectionFailed = 805, "MPS_CONNECTION_FAILED", "MPS connection failed";
    MpsRpcFailure = 806, "MPS_RPC_FAILURE", "MPS rpc failure";
    MpsServerNotReady = 807, "MPS_SERVER_NOT_READY", "MPS server not ready";
    MpsMaxClientsReached = 808, "MPS_MAX_CLIENTS_REACHED", "MPS max clients reached";
    MpsMaxConnectionsReached = 809, "MPS_MAX_CONNECTIONS_REACHED", "MPS max connections reached";
    MpsClientTerminated = 810, "MPS_CLIENT_TERMINATED", "MPS client terminated";
    CdpNotSupported = 811, "CDP_NOT_SUPPORTED", "CDP not supported";
    CdpVersionMismatch = 812, "CDP_VERSION_MISMATCH", "CDP version mismatch";
    StreamCaptureUnsupported = 900, "STREAM_CAPTURE_UNSUPPORTED", "stream capture unsupported";
    StreamCaptureInvalidated = 901, "STREAM_CAPTURE_INVALIDATED", "stream capture invalidated";
    StreamCaptureMerge = 902, "STREAM_CAPTURE_MERGE", "stream capture merge";
    StreamCaptureUnmatched = 903, "STREAM_CAPTURE_UNMATCHED", "stream capture unmatched";
    StreamCaptureUnjoined = 904, "STREAM_CAPTURE_UNJOINED", "stream capture unjoined";
    StreamCaptureIsolation = 905, "STREAM_CAPTURE_ISOLATION", "stream capture isolation";
    StreamCaptureImplicit = 906, "STREAM_CAPTURE_IMPLICIT", "stream capture implicit";
    CapturedEvent = 907, "CAPTURED_EVENT", "captured event";
    StreamCaptureWrongThread = 908, "STREAM_CAPTURE_WRONG_THREAD", "stream capture wrong thread";
    Timeout = 909, "TIMEOUT", "timeout";
    GraphExecUpdateFailure = 910, "GRAPH_EXEC_UPDATE_FAILURE", "graph exec update failure";
    ExternalDevice = 911, "EXTERNAL_DEVICE", "external device";
    InvalidClusterSize = 912, "INVALID_CLUSTER_SIZE", "invalid cluster size";
    FunctionNotLoaded = 913, "FUNCTION_NOT_LOADED", "function not loaded";
    InvalidResourceType = 914, "INVALID_RESOURCE_TYPE", "invalid resource type";
    InvalidResourceConfiguration = 915, "INVALID_RESOURCE_CONFIGURATION", "invalid resource configuration";
    KeyRotation = 916, "KEY_ROTATION", "key rotation";
    StreamDetached = 917, "STREAM_DETACHED", "stream detached";
    GraphRecaptureFailure = 918, "GRAPH_RECAPTURE_FAILURE", "graph recapture failure";
    FabricNotReady = 919, "FABRIC_NOT_READY", "fabric not ready";
    Unknown = 999, "UNKNOWN", "unknown error";
}

/// The text behind the last error that has more to say than its code.
static DIAGNOSIS: Mutex<Option<CString>> = Mutex::new(None);

/// Reports what went wrong: on standard error, and for `paransLastDiagnosis`.
///
/// A real driver has no such channel. Here the software device has kernel, block, thread, PTX
/// line and address, and a test that fails with a bare 700 should not hide them.
pub(crate) fn diagnose(text: &str) {
    eprintln!("parans libcuda: {text}");
    *lock(&DIAGNOSIS) = CString::new(text.replace('\0', " ")).ok();
}

/// The last diagnosis.
pub(crate) fn last_diagnosis() -> CString {
    lock(&DIAGNOSIS).clone().unwrap_or_default()
}

/// The error of a host call on the device's memory.
pub(crate) fn host_error(fault: &Fault) -> CudaError {
    match fault {
        Fault::OutOfMemory { .. } => CudaError::OutOfMemory,
        _ => CudaError::InvalidValue,
    }
}
