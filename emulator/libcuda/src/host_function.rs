//! Host functions, which may not call the API.

use std::cell::Cell;

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread runs a host function.
pub(crate) fn is_running() -> bool {
    RUNNING.get()
}

/// Runs a host function.
pub(crate) fn run(function: impl FnOnce()) {
    RUNNING.set(true);
    function();
    RUNNING.set(false);
}
