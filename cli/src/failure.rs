//! Errors as the user sees them: one line on standard error and an exit status.

use std::{fmt, io};

use parans::Error;

use crate::escape;

/// A file cannot be read or written.
pub(crate) const IO: u8 = 1;
/// The command line asks for what cannot be.
pub(crate) const USAGE: u8 = 2;
/// Not a parans file, or one of another version.
pub(crate) const FOREIGN: u8 = 3;
/// A damaged file.
pub(crate) const DAMAGED: u8 = 4;

/// The request itself is at fault.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Bytes were lost in spite of keeping going; each loss was reported.
#[derive(Debug)]
pub(crate) struct Lossy(pub(crate) usize);

impl fmt::Display for Lossy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "damaged in {} place{}; the rest is saved",
            self.0,
            if self.0 == 1 { "" } else { "s" }
        )
    }
}

impl std::error::Error for Lossy {}

/// The exit status for an error.
pub(crate) fn status(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<Usage>() {
            return USAGE;
        }
        if cause.is::<Lossy>() {
            return DAMAGED;
        }
        match library_error(cause) {
            Some(Error::Unsupported(_)) => return FOREIGN,
            Some(Error::Corrupt(_) | Error::Truncated(_)) => return DAMAGED,
            Some(Error::InvalidArgument(_) | Error::Base(_)) => return USAGE,
            _ => {}
        }
    }
    IO
}

/// An error in one line, without the operating system's error numbers and safe for a terminal.
pub(crate) fn line(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = library_error(cause).map_or_else(|| cause.to_string(), words);
        let text = text.split_once(" (os error").map_or(text.as_str(), |(text, _)| text).to_owned();
        // A transparent error repeats its cause.
        if parts.last().is_none_or(|last| !last.ends_with(&text)) {
            parts.push(text);
        }
    }
    escape::text(&parts.join(": "))
}

/// The library's error, also where an error of reading or writing carries it.
fn library_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match carried {
        Some(carried) => carried.downcast_ref(),
        None => error.downcast_ref(),
    }
}

/// A library error as the user reads it: what is unsupported or wrong says so by itself.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::Unsupported(text) | Error::InvalidArgument(text) => text.clone(),
        error => error.to_string(),
    }
}

/// Whether output went to a pipe that nobody reads any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut errors = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    errors.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Says of which file an error of reading or writing is.
pub(crate) fn named(error: io::Error, what: impl fmt::Display) -> io::Error {
    let kind = error.kind();
    let text = library_error(&error).map_or_else(|| error.to_string(), words);
    let text = text.split_once(" (os error").map_or(text.as_str(), |(text, _)| text);
    io::Error::new(kind, format!("{what}: {text}"))
}
