//! Any text as PTX: loaded by the software device or refused with a line and a column.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let device = parans_emulator::Device::new(Default::default());
    if let Ok(module) = device.load(text) {
        device.unload(&module);
    }
});
