//! Launches: parameters in both forms, limits, and what becomes of a fault.

use crate::abi::{Handle, Host, In, Out, Status, exports};
use crate::errors::{CudaError, diagnose};
use crate::function::{FUNCTIONS, Function};
use crate::occupancy;
use crate::pinned::Carried;
use crate::stream::{self, Stream};
use crate::sync::lock;
use crate::trace::switched_on;
use parans_emulator::{Access, Fault, Launch, Report, Space};
use std::sync::{Arc, Mutex};

/// The last launch and its counters, as text.
static LAST_REPORT: Mutex<String> = Mutex::new(String::new());

/// The error that a GPU would end in, where it would notice at all; a race, a read of bytes never
/// written or a wrong mask has no code of its own, and is a launch failure.
fn kernel_error(fault: &Fault) -> CudaError {
    let addressed = |access: &Access| match access.space {
        Space::Global => CudaError::IllegalAddress,
        Space::Shared | Space::Local | Space::Param => CudaError::LaunchFailed,
    };
    match fault {
        Fault::OutOfBounds(access) | Fault::UseAfterFree(access) => addressed(access),
        Fault::ReadOnly(access) => addressed(access),
        Fault::Misaligned(_) => CudaError::MisalignedAddress,
        Fault::InstructionLimit { .. } => CudaError::LaunchTimeout,
        Fault::CallDepth(_) => CudaError::HardwareStackError,
        Fault::Unsupported { .. } => CudaError::IllegalInstruction,
        Fault::OutOfMemory { .. } => CudaError::OutOfMemory,
        Fault::Assert(_) => CudaError::Assert,
        _ => CudaError::LaunchFailed,
    }
}

/// Checks a launch against the device and the function, as the driver does before it launches.
fn check(function: &Function, launch: &Launch) -> Status {
    let model = function.module.context.device.model();
    let within = |size: [u32; 3], limit: [u32; 3]| {
        size.iter().zip(limit).all(|(&size, limit)| size > 0 && size <= limit)
    };
    let threads = launch.block.iter().map(|&size| u64::from(size)).product::<u64>();
    if !within(launch.grid, model.max_grid)
        || !within(launch.block, model.max_block)
        || threads > u64::from(model.max_threads_per_block)
        || launch.dynamic_shared > function.max_dynamic_shared()
        || function.entry.required_threads.is_some_and(|required| required != launch.block)
    {
        return Err(CudaError::InvalidValue);
    }
    if threads > u64::from(function.max_threads()) {
        return Err(CudaError::LaunchOutOfResources);
    }
    Ok(())
}

/// The packed parameters from one pointer to each.
fn gather(function: &Function, pointers: In<Host>) -> Status<Vec<u8>> {
    let mut packed = vec![0; function.entry.param_bytes as usize];
    for (index, parameter) in function.entry.params.iter().enumerate() {
        let (offset, size) = (parameter.offset as usize, parameter.size as usize);
        let to = packed.get_mut(offset..offset + size).ok_or(CudaError::InvalidValue)?;
        to.copy_from_slice(pointers.at(index)?.bytes(size)?);
    }
    Ok(packed)
}

/// The packed parameters from an `extra` list: tag and value in turn, closed by a null.
fn unpack(function: &Function, extra: In<Host>) -> Status<Vec<u8>> {
    /// Tags of the buffer and of a pointer to its length; longer lists are not terminated.
    const BUFFER: u64 = 1;
    const BUFFER_BYTES: u64 = 2;
    const LONGEST: usize = 8;
    let (mut buffer, mut bytes) = (None, None);
    let mut index = 0;
    loop {
        match extra.at(index)?.address() {
            0 => break,
            BUFFER => buffer = Some(extra.at(index + 1)?),
            BUFFER_BYTES => {
                let length = extra.at(index + 1)?.bytes(size_of::<usize>())?;
                bytes = length.try_into().ok().map(usize::from_ne_bytes);
            }
            _ => return Err(CudaError::InvalidValue),
        }
        index += 2;
        if index > LONGEST {
            return Err(CudaError::InvalidValue);
        }
    }
    let needed = function.entry.param_bytes as usize;
    if bytes.unwrap_or(0) < needed {
        return Err(CudaError::InvalidValue);
    }
    buffer.map_or(Ok(Vec::new()), |buffer| buffer.bytes(needed).map(<[u8]>::to_vec))
}

/// Runs a launch, its memory carried over and back.
fn run(function: &Function, launch: Launch, parameters: &[u8]) -> Result<Report, Fault> {
    let device = function.module.context.device;
    let carried = Carried::over(device, parameters)?;
    let report =
        device.machine.launch(&function.module.code, &function.entry.name, launch, parameters);
    // What a kernel wrote before its fault is in memory, as on a GPU.
    carried.back(device)?;
    report
}

/// One launch as the API's calls give it.
struct Request {
    function: Handle<Function>,
    launch: Launch,
    stream: Handle<Stream>,
    parameters: In<Host>,
    extra: In<Host>,
    cooperative: bool,
}

impl Request {
    /// Checks it and enqueues it, with a copy of its parameters.
    fn serve(self) -> Status {
        let stream = stream::named(self.stream)?;
        let function: Arc<Function> = FUNCTIONS.get(self.function)?;
        if function.module.context.id != stream.context.id {
            return Err(CudaError::InvalidContext);
        }
        check(&function, &self.launch)?;
        if self.cooperative {
            occupancy::check_cooperative(&function, &self.launch)?;
        }
        let parameters = match (self.parameters.is_null(), self.extra.is_null()) {
            (false, false) => return Err(CudaError::InvalidValue),
            (true, false) => unpack(&function, self.extra)?,
            (true, true) if function.entry.params.is_empty() => Vec::new(),
            (_, true) => gather(&function, self.parameters)?,
        };
        let blocking = switched_on("CUDA_LAUNCH_BLOCKING");
        let launch = self.launch;
        let work = move || finish(&function, run(&function, launch, &parameters), blocking);
        if blocking { stream.perform(work) } else { stream.submit(work) }
    }
}

/// Keeps what a launch counted, or files its fault with the context; `blocking` launches return
/// their fault too.
fn finish(function: &Function, outcome: Result<Report, Fault>, blocking: bool) -> Status {
    match outcome {
        Ok(report) => {
            keep(function, &report);
            Ok(())
        }
        Err(fault @ Fault::InvalidLaunch(_)) => {
            diagnose(&format!("{}: {fault}", function.entry.name));
            Err(CudaError::InvalidValue)
        }
        Err(fault) => {
            diagnose(&format!("kernel {} failed: {fault}", function.entry.name));
            let error = kernel_error(&fault);
            function.module.context.stick(error);
            if blocking { Err(error) } else { Ok(()) }
        }
    }
}

/// Keeps, and prints if asked to, the counters of a launch.
fn keep(function: &Function, report: &Report) {
    let text = format!("{}: {report}", function.entry.name);
    if switched_on("PARANS_DEVICE_REPORT") {
        eprintln!("parans libcuda: {text}");
    }
    *lock(&LAST_REPORT) = text;
}

/// `CUlaunchConfig`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct LaunchConfig {
    grid: [u32; 3],
    block: [u32; 3],
    dynamic_shared: u32,
    stream: Handle<Stream>,
    attributes: In<LaunchAttribute>,
    attribute_count: u32,
}

/// `CUlaunchAttribute`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct LaunchAttribute {
    id: u32,
    padding: u32,
    value: [u32; 16],
}

impl LaunchConfig {
    /// Whether the launch is cooperative; an attribute that would change what a kernel sees is not
    /// supported.
    fn cooperative(&self) -> Status<bool> {
        /// `CU_LAUNCH_ATTRIBUTE_*`.
        const IGNORE: u32 = 0;
        const ACCESS_POLICY: u32 = 1;
        const COOPERATIVE: u32 = 2;
        const SERIALIZATION: u32 = 6;
        const PRIORITY: u32 = 8;
        let mut cooperative = false;
        for index in 0..self.attribute_count as usize {
            let attribute = self.attributes.at(index)?;
            match attribute.id {
                COOPERATIVE => cooperative = attribute.value[0] != 0,
                // Hints: kernels run one after another here, whatever they allow.
                IGNORE | ACCESS_POLICY | SERIALIZATION | PRIORITY => {}
                _ => return Err(CudaError::NotSupported),
            }
        }
        Ok(cooperative)
    }
}

exports! {
    fn cuLaunchKernel(
        function: Handle<Function>,
        grid_x: u32,
        grid_y: u32,
        grid_z: u32,
        block_x: u32,
        block_y: u32,
        block_z: u32,
        dynamic_shared: u32,
        stream: Handle<Stream>,
        parameters: In<Host>,
        extra: In<Host>,
    ) {
        let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        let launch = Launch { grid, block, dynamic_shared };
        Request { function, launch, stream, parameters, extra, cooperative: false }.serve()
    }

    fn cuLaunchCooperativeKernel(
        function: Handle<Function>,
        grid_x: u32,
        grid_y: u32,
        grid_z: u32,
        block_x: u32,
        block_y: u32,
        block_z: u32,
        dynamic_shared: u32,
        stream: Handle<Stream>,
        parameters: In<Host>,
    ) {
        let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        let launch = Launch { grid, block, dynamic_shared };
        Request { function, launch, stream, parameters, extra: In::NONE, cooperative: true }.serve()
    }

    fn cuLaunchKernelEx(config: In<LaunchConfig>, function: Handle<Function>, parameters: In<Host>, extra: In<Host>) {
        let config = config.get()?;
        let launch = Launch { grid: config.grid, block: config.block, dynamic_shared: config.dynamic_shared };
        let cooperative = config.cooperative()?;
        Request { function, launch, stream: config.stream, parameters, extra, cooperative }.serve()
    }

    /// As `paransLastDiagnosis`, with the counters of the last launch that ended well.
    fn paransLastReport(text: Host, capacity: usize, length: Out<usize>) {
        crate::diagnosis::copy_text(lock(&LAST_REPORT).as_bytes(), text, capacity, length)
    }
}
