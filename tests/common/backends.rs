//! The back ends present: each way to carry out a coder's plan.

use parans::{CoderBuilder, Family};

/// A way to run a coder.
pub struct Backend {
    /// What the tests print.
    pub name: String,
    /// Makes a builder's coder run here.
    pub apply: Box<dyn Fn(CoderBuilder) -> CoderBuilder + Send + Sync>,
    /// The thread pool to run in.
    pub pool: rayon::ThreadPool,
    /// How many random batches each setting gets.
    pub rounds: usize,
}

impl Backend {
    /// Runs `work` in the back end's pool.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// Whether the back end codes a family.
    pub fn supports(&self, _family: Family) -> bool {
        true
    }
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool")
}

/// Every back end of this build on this machine.
pub fn all() -> Vec<Backend> {
    let cpu = |name: &str, threads| Backend {
        name: name.into(),
        apply: Box::new(|builder| builder),
        pool: pool(threads),
        rounds: 24,
    };
    vec![cpu("scalar", 1), cpu("rayon", 3)]
}

/// Back ends whose hardware or build feature is absent, with the reason.
pub fn absent() -> Vec<(String, String)> {
    Vec::new()
}
