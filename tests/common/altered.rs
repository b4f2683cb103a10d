//! The software device with something about it changed.

use std::time::Duration;

use parans::Result;
use parans::gpu::{EventHandle, Launch, Runtime, StreamHandle};
use parans_emulator::DeviceModel;

use super::software::Software;

/// A software device with hooks.
pub struct Altered {
    /// The device itself.
    pub device: Software,
    /// Changes PTX before it is loaded.
    pub ptx: Box<dyn Fn(&str) -> String + Send + Sync>,
    /// Makes a launch.
    pub launch: LaunchHook,
    /// Is told of each copy to the host, in bytes.
    pub downloads: Box<dyn Fn(usize) + Send + Sync>,
    /// Whether to do as the library asks where it orders work, given what it asks. It is not called
    /// where there is nothing to wait for.
    pub orders: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

/// Makes a launch on a device.
pub type LaunchHook = Box<dyn Fn(&Software, &Launch<'_>, StreamHandle) -> Result<()> + Send + Sync>;

impl Altered {
    /// Nothing is changed yet.
    pub fn new() -> Self {
        Self {
            device: Software::new(DeviceModel::sm_90()),
            ptx: Box::new(str::to_owned),
            launch: Box::new(|device, launch, stream| device.launch(launch, stream)),
            downloads: Box::new(|_| ()),
            orders: Box::new(|_| true),
        }
    }
}

impl Runtime for Altered {
    fn name(&self) -> String {
        self.device.name()
    }
    fn multiprocessors(&self) -> u32 {
        self.device.multiprocessors()
    }
    fn shared_memory(&self) -> u32 {
        self.device.shared_memory()
    }
    fn free_memory(&self) -> Result<u64> {
        self.device.free_memory()
    }
    fn load(&self, ptx: &str) -> Result<()> {
        self.device.load(&(self.ptx)(ptx))
    }
    fn alloc(&self, bytes: usize) -> Result<u64> {
        self.device.alloc(bytes)
    }
    fn free(&self, address: u64) {
        self.device.free(address);
    }
    fn upload(&self, to: u64, bytes: &[u8], stream: StreamHandle) -> Result<()> {
        self.device.upload(to, bytes, stream)
    }
    fn fill(&self, to: u64, value: u8, bytes: usize, stream: StreamHandle) -> Result<()> {
        self.device.fill(to, value, bytes, stream)
    }
    fn copy(&self, to: u64, from: u64, bytes: usize, stream: StreamHandle) -> Result<()> {
        self.device.copy(to, from, bytes, stream)
    }
    fn download(&self, from: u64, bytes: &mut [u8], stream: StreamHandle) -> Result<()> {
        (self.downloads)(bytes.len());
        self.device.download(from, bytes, stream)
    }
    fn launch(&self, launch: &Launch<'_>, stream: StreamHandle) -> Result<()> {
        (self.launch)(&self.device, launch, stream)
    }
    fn synchronise(&self, stream: StreamHandle) -> Result<()> {
        let pending = self.device.has_work(stream);
        if pending && !(self.orders)(&format!("the host waits for {stream:?}")) {
            return Ok(());
        }
        self.device.synchronise(stream)
    }
    fn record(&self, stream: StreamHandle) -> Result<EventHandle> {
        self.device.record(stream)
    }
    fn wait(&self, stream: StreamHandle, event: EventHandle) -> Result<()> {
        let other = self.device.stream_before(event);
        if other.is_some_and(|other| !(self.orders)(&format!("{stream:?} waits for {other:?}"))) {
            return Ok(());
        }
        self.device.wait(stream, event)
    }
    fn finish(&self, event: EventHandle) -> Result<()> {
        let other = self.device.stream_before(event);
        if other.is_some_and(|other| !(self.orders)(&format!("the host waits for {other:?}"))) {
            return Ok(());
        }
        self.device.finish(event)
    }
    fn release(&self, event: EventHandle) {
        self.device.release(event);
    }
    fn time(&self, stream: StreamHandle, work: &mut dyn FnMut() -> Result<()>) -> Result<Duration> {
        self.device.time(stream, work)
    }
}
