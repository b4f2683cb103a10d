//! `parans devices`: what `--device` can name here.

use std::io::{self, Write};

/// Lists the CPU with its instruction set, and the GPUs of the driver or why there are none.
pub(crate) fn list(out: &mut dyn Write) -> io::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    writeln!(out, "cpu      {threads} threads, {}", parans::simd::Level::current().name())?;
    match parans::gpu::Gpu::devices() {
        Ok(names) if names.is_empty() => writeln!(out, "cuda     the driver has no devices"),
        Ok(names) => names
            .iter()
            .enumerate()
            .try_for_each(|(number, name)| writeln!(out, "cuda:{number}   {name}")),
        Err(error) => writeln!(out, "cuda     none: {error}"),
    }
}
