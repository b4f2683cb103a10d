//! Temporary files that have names: they go when the process is ended by a signal or a panic.
//!
//! Most outputs have no name until they are complete (see [`output`](crate::output)); the handlers
//! of signals are installed only when the first name is needed.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
};

static NAMES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn names() -> MutexGuard<'static, Vec<PathBuf>> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that is removed when the process ends by a signal or a panic.
pub(crate) struct Listed(PathBuf);

/// Makes a temporary file. No signal ends the process between its making and its listing.
pub(crate) fn list<T>(make: impl FnOnce() -> io::Result<(T, PathBuf)>) -> io::Result<(T, Listed)> {
    #[cfg(unix)]
    watch();
    let mut names = names();
    let (made, path) = make()?;
    names.push(path.clone());
    Ok((made, Listed(path)))
}

impl Listed {
    /// Gives the file its final name, or removes it: what `end` does is not interrupted, and
    /// afterwards the temporary name is gone.
    pub(crate) fn settle<T>(self, end: impl FnOnce() -> T) -> T {
        let _uninterrupted = names();
        end()
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        names().retain(|name| *name != self.0);
    }
}

/// Removes what has a temporary name now.
pub(crate) fn clean_up() {
    let mut names = match NAMES.try_lock() {
        Ok(names) => names,
        Err(TryLockError::Poisoned(names)) => names.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    names.drain(..).for_each(|name| drop(fs::remove_file(name)));
}

/// Starts a thread that removes the files and lets the signal do what it does otherwise. Where no
/// thread can be had, a signal leaves the file there: no reason to fail.
#[cfg(unix)]
fn watch() {
    use std::sync::{OnceLock, mpsc::channel};

    use signal_hook::{consts::signal::*, iterator::Signals, low_level::emulate_default_handler};
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let (ready, started) = channel();
        // The thread comes first: a signal with a handler and without it would be lost.
        let thread = std::thread::Builder::new().name("signals".into()).spawn(move || {
            let ignored = ignored();
            let wanted = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXCPU];
            let wanted = wanted.into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
            let signals = Signals::new(wanted);
            let _ = ready.send(());
            let Ok(mut signals) = signals else { return };
            for signal in signals.forever() {
                // Kept until the process has ended, so that no file is made any more.
                let mut names = names();
                names.drain(..).for_each(|name| drop(fs::remove_file(name)));
                let _ = emulate_default_handler(signal);
            }
        });
        if thread.is_ok() {
            let _ = started.recv();
        }
    });
}

/// The signals that the process was made to ignore (`nohup`), a bit each, where the system says.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP is what `nohup` ignores: elsewhere, a file left behind is better than ending then.
    mask.unwrap_or(1)
}
