//! Copies between the host's memory and the device's, by way of pinned memory.

use parans_kernels::abi::DeviceAddress;

use super::driver::{Driver, Failure, Handle};
use super::open::STAGING;
use super::{WITHOUT_TIME, destroy, event};

/// The pinned halves, and after which copy each is free again.
pub(super) struct Staging {
    halves: [*mut u8; 2],
    sent: [Handle; 2],
}

// SAFETY: the driver's handles may be used from any thread, and the halves are reached through the
// runtime's lock only.
unsafe impl Send for Staging {}

impl Staging {
    /// Halves of [`STAGING`] bytes, in the current context.
    pub(super) fn new(driver: &Driver, halves: [*mut u8; 2]) -> Result<Self, Failure> {
        let first = event(driver, WITHOUT_TIME)?;
        match event(driver, WITHOUT_TIME) {
            Ok(second) => Ok(Self { halves, sent: [first, second] }),
            Err(error) => {
                destroy(driver, first);
                Err(error)
            }
        }
    }

    /// Gives the events up, in the current context.
    pub(super) fn destroy(&self, driver: &Driver) {
        self.sent.iter().for_each(|&event| destroy(driver, event));
    }

    /// Waits until a half is free.
    fn free(&self, driver: &Driver, half: usize) -> Result<(), Failure> {
        // SAFETY: the event is alive. One that was never recorded counts as done.
        driver.check(unsafe { (driver.cuEventSynchronize)(self.sent[half]) })
    }

    /// Marks the copy that was put on a stream as the last of a half.
    fn mark(&self, driver: &Driver, half: usize, stream: Handle) -> Result<(), Failure> {
        // SAFETY: the event is alive; the stream is the runtime's own, or one that the caller
        // vouches for.
        driver.check(unsafe { (driver.cuEventRecord)(self.sent[half], stream) })
    }

    /// Copies to the device. The bytes may be reused when it returns.
    pub(super) fn upload(
        &self,
        driver: &Driver,
        to: DeviceAddress,
        bytes: &[u8],
        stream: Handle,
    ) -> Result<(), Failure> {
        for (turn, chunk) in bytes.chunks(STAGING).enumerate() {
            let half = turn % 2;
            // What this half carried two turns ago, or in an earlier call.
            self.free(driver, half)?;
            let from = self.halves[half];
            // SAFETY: the half is pinned and free, has room for a chunk, stays allocated with the
            // runtime, and is not written again before its event.
            let code = unsafe {
                from.copy_from_nonoverlapping(chunk.as_ptr(), chunk.len());
                let to = to + (turn * STAGING) as u64;
                (driver.cuMemcpyHtoDAsync_v2)(to, from.cast(), chunk.len(), stream)
            };
            driver.check(code)?;
            self.mark(driver, half, stream)?;
        }
        Ok(())
    }

    /// Copies from the device; the bytes are there when it returns.
    pub(super) fn download(
        &self,
        driver: &Driver,
        from: DeviceAddress,
        bytes: &mut [u8],
        stream: Handle,
    ) -> Result<(), Failure> {
        let len = bytes.len();
        // Uploads that still read a half come first.
        self.free(driver, 0)?;
        self.free(driver, 1)?;
        let chunks = len.div_ceil(STAGING);
        let part = |turn: usize| turn * STAGING..((turn + 1) * STAGING).min(len);
        // One turn more than chunks: each turn starts a transfer and empties the half of the turn
        // before.
        for turn in 0..=chunks {
            if turn < chunks {
                let part = part(turn);
                let to = self.halves[turn % 2].cast();
                // SAFETY: the half is pinned, stays allocated with the runtime, and was emptied a
                // turn ago.
                let code = unsafe {
                    let from = from + part.start as u64;
                    (driver.cuMemcpyDtoHAsync_v2)(to, from, part.len(), stream)
                };
                driver.check(code)?;
                self.mark(driver, turn % 2, stream)?;
            }
            if let Some(earlier) = turn.checked_sub(1) {
                self.free(driver, earlier % 2)?;
                let part = &mut bytes[part(earlier)];
                // SAFETY: the half is pinned, and the copy that filled it is done.
                unsafe {
                    let half = self.halves[earlier % 2];
                    part.as_mut_ptr().copy_from_nonoverlapping(half, part.len());
                }
            }
        }
        Ok(())
    }
}
