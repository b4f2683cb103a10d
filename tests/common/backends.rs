//! The back ends present: each way to carry out a coder's plan.

use parans::CoderBuilder;

/// A way to run a coder.
pub struct Backend {
    /// What the tests print.
    pub name: String,
    /// Makes a builder's coder run here.
    pub apply: Box<dyn Fn(CoderBuilder) -> CoderBuilder + Send + Sync>,
    /// The thread pool to run in; `None` for one thread.
    pub pool: Option<rayon::ThreadPool>,
}

impl Backend {
    /// Runs `work` in the back end's pool.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

fn pool(threads: usize) -> Option<rayon::ThreadPool> {
    Some(rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool"))
}

/// Every back end of this build on this machine.
pub fn all() -> Vec<Backend> {
    vec![
        Backend { name: "scalar".into(), apply: Box::new(|builder| builder), pool: pool(1) },
        Backend { name: "rayon".into(), apply: Box::new(|builder| builder), pool: pool(3) },
    ]
}
