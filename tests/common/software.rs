//! The software device as a runtime of the library.
//!
//! Work is queued by stream and run as late as the interface permits: only when somebody waits for
//! it, and then nothing but what that has to wait for. So work that the library forgot to order
//! runs in the wrong order here. With `PARANS_DEVICE_LAZY=0` it runs at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use parans::gpu::{DeviceAddress, EventHandle, Gpu, Launch, Runtime, StreamHandle, StreamKind};
use parans::{Error, Result};
use parans_emulator as emulator;

/// A software device: every memory access checked.
pub struct Software {
    device: emulator::Device,
    lazy: bool,
    state: Mutex<State>,
    /// What the last launch cost, and of which kernel.
    pub last: Arc<Mutex<Option<(String, emulator::Report)>>>,
}

/// A stream; that of a thread is told by the thread.
type Key = (StreamKind, Option<ThreadId>);

#[derive(Default)]
struct State {
    /// By kernel.
    modules: HashMap<String, emulator::Module>,
    queues: HashMap<Key, VecDeque<Work>>,
    /// The stream that reaches an event, until it has.
    pending: HashMap<u64, Key>,
    events: u64,
}

impl State {
    /// Whether there is work to do of a stream: all, or what comes before an event.
    fn has_work(&self, stream: Key, until: Option<u64>) -> bool {
        let queue = self.queues.get(&stream).into_iter().flatten();
        let mut before = queue.take_while(|work| !work.reaches(until));
        before.any(|work| match work {
            Work::Write(..) | Work::Fill(..) | Work::Copy(..) | Work::Launch { .. } => true,
            Work::Await(event) => match self.pending.get(event) {
                Some(&other) => self.has_work(other, Some(*event)),
                None => false,
            },
            Work::Reach(_) => false,
        })
    }
}

/// What a stream has to do.
enum Work {
    Write(DeviceAddress, Vec<u8>),
    Fill(DeviceAddress, u8, usize),
    Copy(DeviceAddress, DeviceAddress, usize),
    Launch { kernel: String, module: emulator::Module, shape: emulator::Launch, params: Vec<u8> },
    Reach(u64),
    Await(u64),
}

impl Work {
    fn reaches(&self, event: Option<u64>) -> bool {
        matches!(self, Self::Reach(reached) if Some(*reached) == event)
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Device(error.to_string())
}

fn key(stream: StreamHandle) -> Key {
    let kind = stream.kind();
    let thread = matches!(kind, StreamKind::PerThreadDefault).then(|| std::thread::current().id());
    (kind, thread)
}

impl Software {
    /// A device of a model.
    pub fn new(model: emulator::DeviceModel) -> Self {
        let lazy = std::env::var_os("PARANS_DEVICE_LAZY").is_none_or(|value| value != "0");
        let (state, last) = Default::default();
        Self { device: emulator::Device::new(model), lazy, state, last }
    }

    /// A device that is lazy whatever the environment says.
    pub fn lazy(model: emulator::DeviceModel) -> Self {
        Self { lazy: true, ..Self::new(model) }
    }

    /// Whether a stream has work that is not done.
    pub fn has_work(&self, stream: StreamHandle) -> bool {
        self.state().has_work(key(stream), None)
    }

    /// The stream that has work to do before an event is reached, if any.
    pub fn stream_before(&self, event: EventHandle) -> Option<StreamKind> {
        let state = self.state();
        let stream = *state.pending.get(&event.0)?;
        state.has_work(stream, Some(event.0)).then_some(stream.0)
    }

    /// A device for the library's kernels.
    pub fn gpu() -> Gpu {
        Gpu::new(Self::new(emulator::DeviceModel::sm_90()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues work.
    fn put(&self, stream: StreamHandle, work: Work) -> Result<()> {
        let mut state = self.state();
        let key = key(stream);
        state.queues.entry(key).or_default().push_back(work);
        if self.lazy { Ok(()) } else { self.drain(&mut state, key, None) }
    }

    /// Does the work of a stream: all, or what comes before an event. What it has to wait for on
    /// other streams comes first: that may not rely on anything it does not wait for itself.
    fn drain(&self, state: &mut State, key: Key, until: Option<u64>) -> Result<()> {
        let queue = state.queues.entry(key).or_default().iter();
        let before = queue.take_while(|work| !work.reaches(until));
        let awaited = before.filter_map(|work| match work {
            Work::Await(event) => Some(*event),
            _ => None,
        });
        for event in awaited.collect::<Vec<_>>() {
            self.reach(state, event)?;
        }
        while until.is_none_or(|event| state.pending.contains_key(&event)) {
            let Some(work) = state.queues.entry(key).or_default().pop_front() else { break };
            match work {
                Work::Write(to, bytes) => self.device.write(to, &bytes).map_err(failed)?,
                Work::Fill(to, value, bytes) => {
                    self.device.write(to, &vec![value; bytes]).map_err(failed)?;
                }
                Work::Copy(to, from, bytes) => {
                    self.device.copy(to, from, bytes as u64).map_err(failed)?;
                }
                Work::Launch { kernel, module, shape, params } => {
                    // On a thread of its own: the device runs blocks on rayon, and a thread of
                    // rayon that waits there may steal work that comes back here.
                    let launched = std::thread::scope(|scope| {
                        let launch = || self.device.launch(&module, &kernel, shape, &params);
                        scope.spawn(launch).join().expect("the device does not panic")
                    });
                    let report = launched.map_err(failed)?;
                    *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some((kernel, report));
                }
                Work::Reach(event) => {
                    state.pending.remove(&event);
                }
                Work::Await(event) => self.reach(state, event)?,
            }
        }
        Ok(())
    }
}

impl Software {
    /// Does what comes before an event.
    fn reach(&self, state: &mut State, event: u64) -> Result<()> {
        match state.pending.get(&event) {
            Some(&stream) => self.drain(state, stream, Some(event)),
            None => Ok(()),
        }
    }
}

impl Runtime for Software {
    fn name(&self) -> String {
        self.device.model().name.to_string()
    }

    fn multiprocessors(&self) -> u32 {
        self.device.model().multiprocessors
    }

    fn shared_memory(&self) -> u32 {
        self.device.model().shared_per_block_optin
    }

    fn free_memory(&self) -> Result<u64> {
        Ok(self.device.memory_info().0)
    }

    fn load(&self, ptx: &str) -> Result<()> {
        let module = self.device.load(ptx).map_err(failed)?;
        let entries = module.entries().iter().map(|entry| (entry.name.clone(), module.clone()));
        self.state().modules.extend(entries);
        Ok(())
    }

    fn alloc(&self, bytes: usize) -> Result<DeviceAddress> {
        self.device.alloc(bytes as u64).map_err(failed)
    }

    fn free(&self, address: DeviceAddress) {
        self.device.free(address).expect("a live allocation");
    }

    fn upload(&self, to: DeviceAddress, bytes: &[u8], stream: StreamHandle) -> Result<()> {
        self.put(stream, Work::Write(to, bytes.to_vec()))
    }

    fn fill(&self, to: DeviceAddress, value: u8, bytes: usize, stream: StreamHandle) -> Result<()> {
        self.put(stream, Work::Fill(to, value, bytes))
    }

    fn copy(
        &self,
        to: DeviceAddress,
        from: DeviceAddress,
        bytes: usize,
        stream: StreamHandle,
    ) -> Result<()> {
        self.put(stream, Work::Copy(to, from, bytes))
    }

    fn download(&self, from: DeviceAddress, bytes: &mut [u8], stream: StreamHandle) -> Result<()> {
        let mut state = self.state();
        self.drain(&mut state, key(stream), None)?;
        // Checked: fetching what no kernel wrote is an error here.
        self.device.read(from, bytes).map_err(failed)
    }

    fn launch(&self, launch: &Launch<'_>, stream: StreamHandle) -> Result<()> {
        let kernel = launch.kernel.to_owned();
        let module = self.state().modules.get(&kernel).cloned();
        let module = module.ok_or_else(|| failed(format!("{kernel} is in no loaded module")))?;
        let shape = emulator::Launch::linear(launch.geometry.grid, launch.geometry.block)
            .shared(launch.shared);
        self.put(stream, Work::Launch { kernel, module, shape, params: launch.params.to_vec() })
    }

    fn synchronise(&self, stream: StreamHandle) -> Result<()> {
        self.drain(&mut self.state(), key(stream), None)
    }

    fn record(&self, stream: StreamHandle) -> Result<EventHandle> {
        let mut state = self.state();
        state.events += 1;
        let event = state.events;
        state.pending.insert(event, key(stream));
        drop(state);
        self.put(stream, Work::Reach(event))?;
        Ok(EventHandle(event))
    }

    fn wait(&self, stream: StreamHandle, event: EventHandle) -> Result<()> {
        self.put(stream, Work::Await(event.0))
    }

    fn finish(&self, event: EventHandle) -> Result<()> {
        self.reach(&mut self.state(), event.0)
    }

    fn release(&self, _: EventHandle) {
        // Its place in the stream stays, for what waits for it.
    }

    fn time(&self, stream: StreamHandle, work: &mut dyn FnMut() -> Result<()>) -> Result<Duration> {
        self.synchronise(stream)?;
        let start = Instant::now();
        work()?;
        self.synchronise(stream)?;
        Ok(start.elapsed())
    }
}
