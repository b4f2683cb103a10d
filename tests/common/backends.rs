//! The back ends present: each way to carry out a coder's plan.

use parans::CoderBuilder;
use parans::gpu::Gpu;

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

/// Every back end of this build on this machine.
pub fn all() -> Vec<Backend> {
    let cpu = |name: &str, threads| Backend {
        name: name.into(),
        gpu: None,
        pool: pool(threads),
        rounds: 24,
    };
    let mut backends = vec![cpu("scalar", 1), cpu("rayon", 3)];
    // Every kernel, on every machine: the software device executes the PTX that the library embeds.
    backends.push(on_gpu("software-gpu", Software::gpu(), 8));
    #[cfg(feature = "cuda")]
    if let Ok(gpu) = Gpu::open(0) {
        backends.push(on_gpu("cuda", gpu, 6));
    }
    backends
}

fn on_gpu(name: &str, gpu: Gpu, rounds: usize) -> Backend {
    Backend { name: name.into(), gpu: Some(gpu), pool: pool(2), rounds }
}

/// Back ends whose hardware or build feature is absent, with the reason.
pub fn absent() -> Vec<(String, String)> {
    let reason = match Gpu::open(0) {
        Ok(_) => return Vec::new(),
        Err(error) => error.to_string(),
    };
    vec![("cuda".into(), reason)]
}
