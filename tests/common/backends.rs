//! The back ends present: each way to carry out a coder's plan.

use parans::CoderBuilder;
#[cfg(any(feature = "cuda", feature = "cuda-dynamic"))]
use parans::gpu::CudaRuntime;
use parans::gpu::Gpu;
use parans::simd::Level;

use super::software::Software;

/// A way to run a coder.
pub struct Backend {
    /// What the tests print.
    pub name: String,
    /// The device it is, where it is one.
    pub gpu: Option<Gpu>,
    /// The thread pool to run in.
    pub pool: rayon::ThreadPool,
    /// How many random batches each setting gets.
    pub rounds: usize,
}

impl Backend {
    /// Makes a builder's coder run here.
    pub fn apply(&self, builder: CoderBuilder) -> CoderBuilder {
        match &self.gpu {
            Some(gpu) => builder.gpu(gpu),
            None => builder,
        }
    }

    /// Runs `work` in the back end's pool.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool")
}

/// Every back end of this build on this machine. Where `PARANS_QUICK` is set, under an interpreter
/// of another processor, a little must do.
///
/// # Panics
/// Where `PARANS_SIMD` names a level that this machine lacks: the library would run at the scalar
/// one, and tests of the other would pass.
pub fn all() -> Vec<Backend> {
    let asked = Level::from_environment().expect("PARANS_SIMD names a level of this machine");
    assert!(asked.is_none_or(|level| level == Level::current()), "PARANS_SIMD is not heeded");
    let quick = std::env::var_os("PARANS_QUICK").is_some();
    let cpu = |name: &str, threads| Backend {
        name: name.into(),
        gpu: None,
        pool: pool(threads),
        rounds: if quick { 2 } else { 24 },
    };
    let mut backends = vec![cpu("scalar", 1), cpu("rayon", 3)];
    // Every kernel, on every machine: the software device executes the PTX that the library embeds.
    // An interpreter within an interpreter would take an hour, and shows nothing of the other
    // processor.
    if !quick {
        backends.push(on_gpu("software-gpu", Software::gpu(), 8));
    }
    for (name, gpu) in drivers() {
        if let Ok(gpu) = gpu {
            backends.push(on_gpu(name, gpu, 4));
        }
    }
    backends
}

/// The first GPU through each way to the NVIDIA driver that this build has.
fn drivers() -> Vec<(&'static str, parans::Result<Gpu>)> {
    vec![
        #[cfg(feature = "cuda")]
        ("cuda", CudaRuntime::linked(0).map(Gpu::new)),
        #[cfg(feature = "cuda-dynamic")]
        ("cuda-dynamic", CudaRuntime::loaded(0).map(Gpu::new)),
    ]
}

/// The GPU that tests of the GPU's interface use: the software device, or the one of `drivers`
/// that the environment variable `PARANS_TEST_GPU` names.
///
/// # Panics
/// Where there is no such GPU.
pub fn gpu() -> Gpu {
    let Ok(wanted) = std::env::var("PARANS_TEST_GPU") else { return Software::gpu() };
    let found = drivers().into_iter().find(|(name, _)| *name == wanted);
    let (_, gpu) = found.unwrap_or_else(|| panic!("PARANS_TEST_GPU={wanted}: not in this build"));
    gpu.unwrap_or_else(|error| panic!("PARANS_TEST_GPU={wanted}: {error}"))
}

fn on_gpu(name: &str, gpu: Gpu, rounds: usize) -> Backend {
    Backend { name: name.into(), gpu: Some(gpu), pool: pool(2), rounds }
}

/// Back ends whose hardware or build feature is absent, with the reason.
pub fn absent() -> Vec<(String, String)> {
    let mut absent = Vec::new();
    for name in ["cuda", "cuda-dynamic"] {
        match drivers().into_iter().find(|(present, _)| *present == name) {
            Some((_, Ok(_))) => {}
            Some((_, Err(error))) => absent.push((name.into(), error.to_string())),
            None => absent.push((name.into(), format!("built without the feature {name}"))),
        }
    }
    absent
}
