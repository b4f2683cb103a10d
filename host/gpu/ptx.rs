//! The kernels' PTX: a module per kernel, those that the package parans-kernels brings unless the
//! build was given others.

#[cfg(not(parans_ptx))]
use parans_kernels::ptx::MODULES;

#[cfg(parans_ptx)]
include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// The PTX module that has this kernel, chosen at build time by the environment variable
/// `PARANS_PTX`: `prebuilt` (the default), `rustc`, `rust-cuda`, or the path of a folder of modules
/// or of one file with all kernels. `None` where there is no such kernel.
pub fn ptx(kernel: &str) -> Option<&'static str> {
    find(kernel).map(|(_, module)| module)
}

/// A kernel's name and its module.
pub(super) fn find(kernel: &str) -> Option<(&'static str, &'static str)> {
    MODULES.iter().copied().flatten().copied().find(|&(name, _)| name == kernel)
}

#[cfg(test)]
mod tests {
    use parans_kernels::abi::frames::DECODE_FRAME;
    use parans_kernels::abi::pack::PACK_TABLES;
    use parans_kernels::abi::{
        FIX_F32, KERNELS, MODEL_KERNELS, MOVE_ROWS, QUANTISE_CDF_F32, QUANTISE_CDF_U32,
        QUANTISE_F32,
    };

    use super::*;

    #[test]
    fn every_kernel_has_a_module_that_defines_it() {
        let coders = KERNELS.iter().map(|kernel| kernel.name);
        let models = MODEL_KERNELS.iter().map(|kernel| kernel.name);
        let others = [FIX_F32, MOVE_ROWS, QUANTISE_F32, QUANTISE_CDF_F32, QUANTISE_CDF_U32];
        let others = others.into_iter().chain([PACK_TABLES]).chain(DECODE_FRAME);
        let mut kernels = 0;
        for name in coders.chain(models).chain(others) {
            let module = ptx(name).unwrap_or_else(|| panic!("{name} has no PTX"));
            assert!(module.contains(&format!(".visible .entry {name}(")), "{name}");
            // The largest block of a launch: without it a compiler may choose more registers than
            // such a block can have.
            let largest = if DECODE_FRAME.contains(&name) { 32 } else { 512 };
            let directive = format!("\n.maxntid {largest}\n");
            assert_eq!(module.matches(&directive).count(), 1, "{name}");
            kernels += 1;
        }
        assert_eq!(MODULES.iter().map(|list| list.len()).sum::<usize>(), kernels);
        assert_eq!(ptx("push"), None);
    }
}
