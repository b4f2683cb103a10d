//! What is shown while a file is in work, and what is said when it is done.

use std::{
    io::{IsTerminal, Write, stderr},
    path::Path,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{cli::CommonArgs, escape};

/// Work shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_millis(700);

/// The progress of one file.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    shown: bool,
    length: Option<u64>,
    name: String,
    begin: Instant,
}

impl Progress {
    /// Starts the clock. `length` is in the bytes that `at` will count.
    pub(crate) fn new(path: &Path, length: Option<u64>, common: &CommonArgs) -> Self {
        let wanted = stderr().is_terminal() && !common.quiet && !common.no_progress;
        let bar =
            wanted.then(|| ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden()));
        Self { bar, shown: false, length, name: escape::path(path), begin: Instant::now() }
    }

    /// Notes how far the work is.
    pub(crate) fn at(&mut self, position: u64) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(position);
        if !self.shown && self.begin.elapsed() > PATIENCE {
            self.shown = true;
            let style = match self.length {
                Some(_) => "{msg} {bar:24} {percent}% {bytes_per_sec} {eta} left",
                None => "{msg} {spinner} {bytes} {bytes_per_sec}",
            };
            bar.set_style(
                ProgressStyle::with_template(style)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_message(self.name.clone());
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Takes the bar away and returns the seconds gone by.
    pub(crate) fn done(self) -> f64 {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.begin.elapsed().as_secs_f64()
    }
}

/// Says what became of a file, on standard error. The ratio is always the frame's length in the
/// content's.
pub(crate) fn report(name: &Path, from: u64, to: u64, content: u64, seconds: f64) {
    let frame = if from == content { to } else { from };
    let ratio = if content == 0 { 100.0 } else { 100.0 * frame as f64 / content as f64 };
    let rate = content as f64 / 1e6 / seconds.max(1e-9);
    // Nobody to tell is no reason to fail.
    let _ = writeln!(
        stderr(),
        "{}: {from} -> {to} bytes ({ratio:.1} %), {rate:.0} MB/s",
        escape::path(name)
    );
}

/// Says that a file is sound, on standard error, as `gzip -tv` does.
pub(crate) fn report_sound(name: &Path, content: u64, seconds: f64) {
    let rate = content as f64 / 1e6 / seconds.max(1e-9);
    let _ = writeln!(stderr(), "{}: OK, {content} bytes, {rate:.0} MB/s", escape::path(name));
}
