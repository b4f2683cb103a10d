//! Functions: the entry points of modules, their attributes and preferences.

use crate::abi::{Handle, Out, Status, Text, exports};
use crate::context::{current, working};
use crate::errors::CudaError;
use crate::module::{MODULES, Module};
use crate::sync::lock;
use crate::table::Table;
use parans_emulator::Entry;
use std::ffi::{CString, c_char};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// All functions that a program has asked for.
pub(crate) static FUNCTIONS: Table<Function> = Table::new(0x15);

/// Held while a function is looked up by its name and made: a name has one handle.
static NAMING: Mutex<()> = Mutex::new(());

/// An entry point.
pub(crate) struct Function {
    /// Its module.
    pub(crate) module: Arc<Module>,
    /// What the software device says of it.
    pub(crate) entry: Entry,
    name: CString,
    max_dynamic_shared: AtomicU32,
    carveout: AtomicU32,
}

impl Function {
    /// An entry point of a module.
    fn new(module: Arc<Module>, entry: Entry) -> Self {
        let model = module.context.device.model();
        let most = model.shared_per_block.saturating_sub(entry.static_shared);
        let name = CString::new(entry.name.clone()).unwrap_or_default();
        Function {
            module,
            entry,
            name,
            max_dynamic_shared: AtomicU32::new(most),
            carveout: AtomicU32::new(u32::MAX), // -1: no preference
        }
    }

    /// Threads that a block of it may have.
    pub(crate) fn max_threads(&self) -> u32 {
        let limit = self.module.context.device.model().max_threads_per_block;
        let stated = match self.entry.required_threads {
            Some([x, y, z]) => Some(x * y * z),
            None => self.entry.max_threads,
        };
        stated.map_or(limit, |stated| stated.min(limit))
    }

    /// Dynamic shared memory that a launch may ask for, in bytes.
    pub(crate) fn max_dynamic_shared(&self) -> u32 {
        self.max_dynamic_shared.load(Ordering::Relaxed)
    }

    /// Registers of a thread: the emulator's own count, since there is no ptxas here, kept to what
    /// hardware has.
    pub(crate) fn registers(&self) -> u32 {
        self.entry.registers.clamp(1, 255)
    }

    /// Sets how much dynamic shared memory launches may ask for.
    fn allow_dynamic_shared(&self, bytes: i32) -> Status {
        let model = self.module.context.device.model();
        let most = model.shared_per_block_optin.saturating_sub(self.entry.static_shared);
        let bytes = u32::try_from(bytes).ok().filter(|&bytes| bytes <= most);
        self.max_dynamic_shared.store(bytes.ok_or(CudaError::InvalidValue)?, Ordering::Relaxed);
        Ok(())
    }
}

/// The attribute of a function by its number, `CUfunction_attribute`.
fn attribute(function: &Function, number: i32) -> Status<i32> {
    let (major, minor) = function.module.context.device.model().compute_capability;
    Ok(match number {
        0 => function.max_threads() as i32,
        1 => function.entry.static_shared as i32,
        3 => function.entry.local_bytes as i32,
        4 => function.registers() as i32,
        5 => function.module.target as i32,
        6 => (major * 10 + minor) as i32,
        8 => function.max_dynamic_shared() as i32,
        9 => function.carveout.load(Ordering::Relaxed) as i32,
        2 | 7 | 10..=16 => 0, // constants of its own, cache mode, clusters
        _ => return Err(CudaError::InvalidValue),
    })
}

exports! {
    fn cuModuleUnload(handle: Handle<Module>) {
        let context = current()?;
        context.queues.run_all();
        let module = MODULES.remove(handle)?;
        FUNCTIONS.retain(|function| !Arc::ptr_eq(&function.module, &module));
        module.context.device.machine.unload(&module.code);
        context.healthy()
    }

    fn cuModuleGetFunction(out: Out<Handle<Function>>, handle: Handle<Module>, name: Text) {
        working()?;
        out.required()?;
        let module = MODULES.get(handle)?;
        let name = name.get()?;
        let _naming = lock(&NAMING);
        let known = |function: &Function| {
            Arc::ptr_eq(&function.module, &module) && function.entry.name == name
        };
        if let Some(handle) = FUNCTIONS.find(known) {
            return out.set(handle);
        }
        let entry = module.code.entry(&name).ok_or(CudaError::NotFound)?.clone();
        out.set(FUNCTIONS.insert(Function::new(module.clone(), entry)))
    }

    fn cuFuncGetAttribute(out: Out<i32>, number: i32, handle: Handle<Function>) {
        working()?;
        out.set(attribute(&*FUNCTIONS.get(handle)?, number)?)
    }

    fn cuFuncSetAttribute(handle: Handle<Function>, number: i32, value: i32) {
        working()?;
        let function = FUNCTIONS.get(handle)?;
        match number {
            8 => function.allow_dynamic_shared(value),
            9 if (-1..=100).contains(&value) => {
                function.carveout.store(value as u32, Ordering::Relaxed);
                Ok(())
            }
            _ => Err(CudaError::InvalidValue),
        }
    }

    fn cuFuncSetCacheConfig(handle: Handle<Function>, config: u32) {
        working()?;
        FUNCTIONS.get(handle)?;
        if config > 3 { Err(CudaError::InvalidValue) } else { Ok(()) }
    }

    fn cuFuncSetSharedMemConfig(handle: Handle<Function>, config: u32) {
        working()?;
        FUNCTIONS.get(handle)?;
        if config > 2 { Err(CudaError::InvalidValue) } else { Ok(()) }
    }

    fn cuFuncGetModule(out: Out<Handle<Module>>, handle: Handle<Function>) {
        working()?;
        let function = FUNCTIONS.get(handle)?;
        let module = MODULES.find(|module| std::ptr::eq(module, &*function.module));
        out.set(module.ok_or(CudaError::InvalidHandle)?)
    }

    /// The name stays valid as long as the module is loaded.
    fn cuFuncGetName(out: Out<*const c_char>, handle: Handle<Function>) {
        working()?;
        out.set(FUNCTIONS.get(handle)?.name.as_ptr())
    }

    fn cuFuncGetParamInfo(handle: Handle<Function>, index: usize, offset: Out<usize>, bytes: Out<usize>) {
        working()?;
        let function = FUNCTIONS.get(handle)?;
        let parameter = function.entry.params.get(index).ok_or(CudaError::InvalidValue)?;
        offset.set(parameter.offset as usize)?;
        bytes.set_if_asked(parameter.size as usize);
        Ok(())
    }

    fn cuFuncIsLoaded(state: Out<u32>, handle: Handle<Function>) {
        FUNCTIONS.get(handle)?;
        state.set(1)
    }

    fn cuFuncLoad(handle: Handle<Function>) {
        FUNCTIONS.get(handle).map(drop)
    }
}
