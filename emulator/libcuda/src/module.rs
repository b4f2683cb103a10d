//! Modules: PTX loaded into a context, its functions and its variables.

use crate::abi::{DevicePointer, Handle, Host, In, Out, Status, Text, exports};
use crate::context::{Context, working};
use crate::driver::PTX_VERSION;
use crate::errors::{CudaError, diagnose};
use crate::image;
use crate::jit::Options;
use crate::table::Table;
use std::sync::Arc;

/// All modules.
pub(crate) static MODULES: Table<Module> = Table::new(0x14);

/// A loaded module.
pub(crate) struct Module {
    /// Its context.
    pub(crate) context: Arc<Context>,
    /// What the software device made of the PTX.
    pub(crate) code: parans_emulator::Module,
    /// The compute capability that the PTX was made for, as `cuFuncGetAttribute` gives it: 75 for
    /// sm_75.
    pub(crate) target: u32,
}

/// The number after a directive such as `.target sm_`, at the start of a line.
fn directive<'a>(ptx: &'a str, name: &str) -> Option<&'a str> {
    ptx.lines().find_map(|line| line.trim_start().strip_prefix(name)).map(str::trim_start)
}

/// Major and minor of the `.version` directive.
pub(crate) fn version(ptx: &str) -> Option<(u32, u32)> {
    let text = directive(ptx, ".version")?;
    let (major, rest) = text.split_once('.')?;
    Some((major.parse().ok()?, digits(rest)?))
}

/// The compute capability of the `.target` directive.
pub(crate) fn target(ptx: &str) -> Option<u32> {
    digits(directive(ptx, ".target")?.strip_prefix("sm_")?)
}

/// The number at the beginning of a text.
fn digits(text: &str) -> Option<u32> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// Loads PTX into a context.
///
/// # Errors
/// The code a driver would give, and the text that goes into its error log.
fn load(context: &Arc<Context>, ptx: &str) -> Result<Module, (CudaError, String)> {
    let Some(version) = version(ptx) else {
        let text = "PTX refused: no .version directive".to_owned();
        return Err((CudaError::InvalidPtx, text));
    };
    if version > PTX_VERSION {
        let (major, minor) = version;
        let text = format!("PTX version {major}.{minor} is newer than this driver knows");
        return Err((CudaError::UnsupportedPtxVersion, text));
    }
    let (major, minor) = context.device.model().compute_capability;
    let target = target(ptx).unwrap_or_default();
    if target > major * 10 + minor {
        let text = format!("PTX for sm_{target} cannot run on a device of sm_{major}{minor}");
        return Err((CudaError::InvalidPtx, text));
    }
    match context.device.machine.load(ptx) {
        Ok(code) => Ok(Module { context: context.clone(), code, target }),
        Err(error) => Err((CudaError::InvalidPtx, format!("PTX refused, line {error}"))),
    }
}

/// Loads an image, fills in the logs, and gives the module a handle.
fn load_image(out: Out<Handle<Module>>, image: Status<String>, options: &Options) -> Status {
    let context = working()?;
    out.required()?;
    match image
        .map_err(|error| (error, format!("image refused: {error:?}")))
        .and_then(|ptx| load(&context, &ptx))
    {
        Ok(module) => {
            let info = format!("loaded PTX for sm_{}\n", module.target);
            options.finish("", &info)?;
            out.set(MODULES.insert(module))
        }
        Err((error, text)) => {
            diagnose(&text);
            options.finish(&text, "")?;
            Err(error)
        }
    }
}

exports! {
    fn cuModuleLoad(out: Out<Handle<Module>>, path: Text) {
        working()?;
        let bytes = std::fs::read(path.get()?).map_err(|_| CudaError::FileNotFound)?;
        load_image(out, image::from_bytes(&bytes), &Options::none())
    }

    fn cuModuleLoadData(out: Out<Handle<Module>>, image: Host) {
        working()?;
        if image.is_null() {
            return Err(CudaError::InvalidValue);
        }
        load_image(out, image::from_memory(image), &Options::none())
    }

    fn cuModuleLoadDataEx(
        out: Out<Handle<Module>>,
        image: Host,
        count: u32,
        options: In<u32>,
        values: Out<usize>,
    ) {
        working()?;
        if image.is_null() {
            return Err(CudaError::InvalidValue);
        }
        let options = Options::read(count, options, values)?;
        load_image(out, image::from_memory(image), &options)
    }

    fn cuModuleLoadFatBinary(out: Out<Handle<Module>>, image: Host) {
        working()?;
        if image.is_null() {
            return Err(CudaError::InvalidValue);
        }
        load_image(out, image::from_memory(image), &Options::none())
    }

    fn cuModuleGetFunctionCount(out: Out<u32>, handle: Handle<Module>) {
        working()?;
        out.set(MODULES.get(handle)?.code.entries().len() as u32)
    }

    fn cuModuleGetGlobal_v2(
        address: Out<DevicePointer>,
        bytes: Out<usize>,
        handle: Handle<Module>,
        name: Text,
    ) {
        working()?;
        let range = MODULES.get(handle)?.code.global(&name.get()?).ok_or(CudaError::NotFound)?;
        address.set_if_asked(range.address);
        bytes.set_if_asked(range.bytes as usize);
        Ok(())
    }

    /// Lazy loading does not exist here: everything is loaded at once (`CU_MODULE_EAGER_LOADING`).
    fn cuModuleGetLoadingMode(mode: Out<u32>) {
        mode.set(1)
    }
}

#[cfg(test)]
mod tests {
    use super::{target, version};

    #[test]
    fn directives_are_found() {
        let ptx = "// .version 1.0\n.version 8.4\n  .target sm_90a, debug\n";
        assert_eq!(version(ptx), Some((8, 4)));
        assert_eq!(target(ptx), Some(90));
        assert_eq!(version("nothing"), None);
    }
}
