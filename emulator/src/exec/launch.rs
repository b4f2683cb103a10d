//! A launch: blocks over the threads of rayon's current pool.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::block::{Buffers, run};
use super::core::Context;
use crate::{Fault, Report};

/// Buffers of blocks that have ended.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Vec<Buffers>>);

impl Pool {
    fn take(&self) -> Buffers {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, buffers: Buffers) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffers);
    }
}

/// Threads below which a launch of several blocks stays on the calling thread: waking another costs
/// more.
const SERIAL_THREADS: u64 = 256;

/// Runs all blocks. Blocks start in order of their number, so one that waits for an earlier one (a
/// decoupled look-back) always finds it running or done.
pub(crate) fn launch(context: &Context<'_>, pool: &Pool) -> Result<Report, Fault> {
    let blocks: u64 = context.launch.grid.iter().map(|&n| u64::from(n)).product();
    let workers = rayon::current_num_threads().min(usize::try_from(blocks).unwrap_or(usize::MAX));
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let outcome: Mutex<(Report, Option<(u64, Fault)>)> = Mutex::default();
    let work = || {
        let mut buffers = pool.take();
        let mut report = Report::default();
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= blocks {
                break;
            }
            if let Err(fault) = run(context, number, &mut buffers, &mut report) {
                stop.store(true, Ordering::Relaxed);
                let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                // The first block's fault, where several have one: the same from run to run,
                // nearly.
                if outcome.1.as_ref().is_none_or(|(first, _)| number < *first) {
                    outcome.1 = Some((number, *fault));
                }
                break;
            }
        }
        outcome.lock().unwrap_or_else(PoisonError::into_inner).0 += report;
        pool.give(buffers);
    };
    if workers <= 1 || blocks * u64::from(context.threads()) <= SERIAL_THREADS {
        work();
    } else {
        rayon::scope(|scope| {
            for _ in 1..workers {
                scope.spawn(|_| work());
            }
            work();
        });
    }
    let (report, fault) = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    match fault {
        Some((_, fault)) => Err(fault),
        None => Ok(report),
    }
}
