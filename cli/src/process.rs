//! What the process is given and how it ends: standard streams, signals, panics.

use std::{
    fs::File,
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{failure::IO, temporary};

static STDIN_CLOSED: AtomicBool = AtomicBool::new(false);
static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);

/// Rust opens /dev/null for standard streams that are closed, before `main`: output would vanish
/// and be reported as written. So this looks at them before Rust does.
#[cfg(unix)]
#[ctor::ctor(unsafe)]
fn note_closed() {
    use rustix::{io::fcntl_getfd, stdio};
    STDIN_CLOSED.store(fcntl_getfd(stdio::stdin()).is_err(), Ordering::Relaxed);
    STDOUT_CLOSED.store(fcntl_getfd(stdio::stdout()).is_err(), Ordering::Relaxed);
}

/// Standard input as a file: `std::io::stdin` takes one that is closed or cannot be read for empty.
pub(crate) fn stdin() -> io::Result<File> {
    own(&io::stdin(), &STDIN_CLOSED)
}

/// Standard output as a file: `std::io::stdout` drops what one that is closed or read-only is
/// given.
pub(crate) fn stdout() -> io::Result<File> {
    own(&io::stdout(), &STDOUT_CLOSED)
}

#[cfg(unix)]
fn own(stream: &impl std::os::fd::AsFd, closed: &AtomicBool) -> io::Result<File> {
    if closed.load(Ordering::Relaxed) {
        return Err(rustix::io::Errno::BADF.into());
    }
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn own(stream: &impl std::os::windows::io::AsHandle, _: &AtomicBool) -> io::Result<File> {
    Ok(stream.as_handle().try_clone_to_owned()?.into())
}

/// Settles how the process ends when something goes wrong that no `Result` carries.
pub(crate) fn settle() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
        let text = text.unwrap_or_default().replace('\n', " ");
        // Nobody to tell is no reason to end differently.
        let _ = writeln!(io::stderr(), "parans: internal error{place}: {text}");
        temporary::clean_up();
        std::process::exit(i32::from(IO));
    }));
    #[cfg(unix)]
    {
        use std::sync::Arc;

        use signal_hook::{consts::signal, flag};
        // A file over the limit of `ulimit -f` is an error of `write` once the signal has a
        // handler.
        let _ = flag::register(signal::SIGXFSZ, Arc::new(AtomicBool::new(false)));
        // The C library aborts after a line where its own memory ends.
        let always = Arc::new(AtomicBool::new(true));
        let _ = flag::register_conditional_shutdown(signal::SIGABRT, IO.into(), always);
    }
}

/// Ends the process as one that writes to a pipe that nobody reads: by the signal, silently. Rust
/// ignores the signal, so that the write failed and files were cleaned up first.
#[cfg(unix)]
pub(crate) fn end_by_broken_pipe() {
    let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGPIPE);
}
