//! JIT options: the logs that a program may give buffers for.

use crate::abi::{Host, In, Out, Status};
use crate::errors::CudaError;
use std::time::Instant;

/// `CUjit_option` numbers that mean something here.
const WALL_TIME: u32 = 2;
const INFO_LOG: u32 = 3;
const INFO_LOG_BYTES: u32 = 4;
const ERROR_LOG: u32 = 5;
const ERROR_LOG_BYTES: u32 = 6;
const TARGET_FROM_CONTEXT: u32 = 8;
/// The first number past the options of CUDA 13.
const END: u32 = 36;
/// More options than there are is a wrong count.
const MOST: u32 = 64;

/// A log buffer of the program's.
#[derive(Default, Clone, Copy)]
struct Log {
    buffer: Option<Host>,
    bytes: usize,
    /// Where the length that was written is reported.
    written: Option<Out<usize>>,
}

impl Log {
    /// Writes text, cut to the buffer, with a terminating zero.
    fn write(self, text: &str) -> Status {
        let mut kept = 0;
        if let Some(buffer) = self.buffer.filter(|_| self.bytes > 0) {
            kept = text.len().min(self.bytes - 1);
            let to = buffer.bytes_mut(kept + 1)?;
            to[..kept].copy_from_slice(&text.as_bytes()[..kept]);
            to[kept] = 0;
        }
        self.written.map_or(Ok(()), |written| written.set(kept))
    }
}

/// The options of one call.
pub(crate) struct Options {
    error: Log,
    info: Log,
    wall_time: Option<Out<usize>>,
    started: Instant,
}

impl Options {
    /// Reads `count` options. Values are passed as the pointers themselves; lengths go both ways.
    pub(crate) fn read(count: u32, names: In<u32>, values: Out<usize>) -> Status<Self> {
        let mut options = Options {
            error: Log::default(),
            info: Log::default(),
            wall_time: None,
            started: Instant::now(),
        };
        if count > MOST {
            return Err(CudaError::InvalidValue);
        }
        for index in 0..count as usize {
            let name = names.at(index)?;
            if name >= END {
                return Err(CudaError::InvalidValue);
            }
            if name == TARGET_FROM_CONTEXT {
                continue; // takes no value, and some callers give none
            }
            let slot = values.at(index)?;
            match name {
                WALL_TIME => options.wall_time = Some(slot),
                INFO_LOG => options.info.buffer = Some(Host::from_address(slot.read()? as u64)),
                ERROR_LOG => options.error.buffer = Some(Host::from_address(slot.read()? as u64)),
                // The value is an unsigned int in the low half of the slot.
                INFO_LOG_BYTES => {
                    options.info.bytes = slot.read()? as u32 as usize;
                    options.info.written = Some(slot);
                }
                ERROR_LOG_BYTES => {
                    options.error.bytes = slot.read()? as u32 as usize;
                    options.error.written = Some(slot);
                }
                // The others steer a compiler that is not there: nothing depends on them.
                _ => {}
            }
        }
        Ok(options)
    }

    /// No options.
    pub(crate) fn none() -> Self {
        Options {
            error: Log::default(),
            info: Log::default(),
            wall_time: None,
            started: Instant::now(),
        }
    }

    /// Fills in the logs and the time, once the outcome is known.
    pub(crate) fn finish(&self, error: &str, info: &str) -> Status {
        self.error.write(error)?;
        self.info.write(info)?;
        // A float in the low half of the slot, in milliseconds.
        let milliseconds = (self.started.elapsed().as_secs_f64() * 1e3) as f32;
        self.wall_time.map_or(Ok(()), |slot| slot.set(milliseconds.to_bits() as usize))
    }
}
