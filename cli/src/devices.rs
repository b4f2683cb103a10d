//! `parans devices`: what `--device` can name here.

use std::io::{self, Write};

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use parans::{Device, Error};

use crate::failure::Usage;

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

/// Parses any device; lists the usual ones.
#[derive(Clone)]
pub(crate) struct DeviceParser;

impl TypedValueParser for DeviceParser {
    type Value = Device;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Device, clap::Error> {
        let parser = StringValueParser::new().try_map(|name| {
            name.parse().map_err(|error| match error {
                Error::InvalidArgument(text) => Usage(text),
                error => Usage(error.to_string()),
            })
        });
        parser.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(["cpu", "cuda:0", "cuda:1"].map(PossibleValue::new).into_iter()))
    }
}
