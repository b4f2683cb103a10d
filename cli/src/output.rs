//! Where output goes: standard output, or a file that appears under its name only when it is complete.
//!
//! On Linux the file has no name at all until then (`O_TMPFILE`), so that a killed program leaves nothing behind. Where that is not to
//! be had, it is a temporary file beside the target, which a kill may leave there, but never under the target's name.

use std::{
    fs::{self, File, FileTimes, OpenOptions},
    io::{self, BufWriter, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

use crate::{
    failure::{Usage, named},
    sparse::{self, Holes},
};

/// Bytes to collect before they are handed to the system: chunk headers are small.
const BUFFER: usize = 256 << 10;

enum Sink {
    Stdout(BufWriter<io::Stdout>),
    /// A device, a pipe: what is there is written to.
    Direct(BufWriter<File>),
    #[cfg(target_os = "linux")]
    Unnamed(BufWriter<File>),
    Named(BufWriter<NamedTempFile>),
    /// Nothing is kept.
    Nowhere,
}

/// An output that is written from first to last.
pub(crate) struct Output {
    sink: Sink,
    /// The name for messages, and of the file.
    pub(crate) path: PathBuf,
    force: bool,
}

impl Output {
    /// Standard output. Refuses to write compressed or raw bytes to a terminal unless forced.
    pub(crate) fn stdout(force: bool) -> Result<Self> {
        let stdout = io::stdout();
        if stdout.is_terminal() && !force {
            return Err(Usage(
                "binary output is not written to a terminal: use -o, or --force".into(),
            )
            .into());
        }
        let sink = Sink::Stdout(BufWriter::with_capacity(BUFFER, stdout));
        Ok(Self { sink, path: "standard output".into(), force })
    }

    /// An output that keeps nothing, to check input.
    pub(crate) fn nowhere() -> Self {
        Self { sink: Sink::Nowhere, path: PathBuf::new(), force: true }
    }

    /// A file. One that exists is an error unless forced; a device or a pipe is written to directly.
    pub(crate) fn file(path: &Path, force: bool) -> Result<Self> {
        let fail = |error| named(error, format_args!("cannot write {}", path.display()));
        // Through a link, its target is written.
        let (path, exists) = match fs::canonicalize(path) {
            Ok(path) => (path, true),
            Err(_) => (path.to_owned(), false),
        };
        if exists {
            let metadata = fs::metadata(&path).map_err(fail)?;
            if metadata.is_dir() {
                return Err(fail(io::Error::from(io::ErrorKind::IsADirectory)).into());
            }
            if !metadata.is_file() {
                let file = OpenOptions::new().write(true).open(&path).map_err(fail)?;
                return Ok(Self {
                    sink: Sink::Direct(BufWriter::with_capacity(BUFFER, file)),
                    path,
                    force,
                });
            }
            if !force {
                return Err(Self::exists(&path).into());
            }
        }
        let sink = Self::temporary(directory(&path)).map_err(fail)?;
        Ok(Self { sink, path, force })
    }

    fn exists(path: &Path) -> io::Error {
        let text = format!("{} exists already: use --force to overwrite it", path.display());
        io::Error::new(io::ErrorKind::AlreadyExists, text)
    }

    fn temporary(directory: &Path) -> io::Result<Sink> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{Mode, OFlags};
            let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
            // A file system without such files says so in several ways; a real error returns below.
            if let Ok(file) = rustix::fs::open(directory, flags, Mode::from_raw_mode(0o666)) {
                return Ok(Sink::Unnamed(BufWriter::with_capacity(BUFFER, file.into())));
            }
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".parans-").suffix(".tmp");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        Ok(Sink::Named(BufWriter::with_capacity(BUFFER, builder.tempfile_in(directory)?)))
    }

    /// Whether output goes to standard output.
    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self.sink, Sink::Stdout(_))
    }

    /// Completes the output: the file takes its name, with the permissions and times of `like`.
    pub(crate) fn commit(self, like: Option<&fs::Metadata>) -> Result<()> {
        let (path, force) = (self.path, self.force);
        let fail = |error| named(error, format_args!("cannot write {}", path.display()));
        let written: io::Result<()> = match self.sink {
            Sink::Nowhere => Ok(()),
            Sink::Stdout(mut stdout) => stdout
                .flush()
                .and_then(|()| sparse::stdout().as_ref().map_or(Ok(()), sparse::complete)),
            Sink::Direct(mut file) => file.flush(),
            #[cfg(target_os = "linux")]
            Sink::Unnamed(file) => {
                finish(file, like).and_then(|file| give_name(&file, &path, force))
            }
            Sink::Named(file) => finish_named(file, like).and_then(|file| {
                let kept = if force { file.persist(&path) } else { file.persist_noclobber(&path) };
                kept.map(drop).map_err(|error| error.error)
            }),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Self::exists(&path)).context("not written")
            }
            other => Ok(other.map_err(fail)?),
        }
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn like_input(file: &File, like: Option<&fs::Metadata>) {
    // Best effort, as other compressors: a file system without modes or times is no reason to lose the output.
    if let Some(like) = like {
        let _ = file.set_permissions(like.permissions());
        if let Ok(modified) = like.modified() {
            let _ = file.set_times(FileTimes::new().set_modified(modified));
        }
    }
}

#[cfg(target_os = "linux")]
fn finish(file: BufWriter<File>, like: Option<&fs::Metadata>) -> io::Result<File> {
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    sparse::complete(&file)?;
    like_input(&file, like);
    Ok(file)
}

fn finish_named(
    file: BufWriter<NamedTempFile>,
    like: Option<&fs::Metadata>,
) -> io::Result<NamedTempFile> {
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    sparse::complete(file.as_file())?;
    like_input(file.as_file(), like);
    Ok(file)
}

/// Links a file that has no name yet into its directory. A name that is taken is taken over only if forced, by a rename, so that
/// it always is the old file or the new one.
#[cfg(target_os = "linux")]
fn give_name(file: &File, path: &Path, force: bool) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{AtFlags, CWD};
    let descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link =
        |to: &Path| rustix::fs::linkat(CWD, descriptor.as_str(), CWD, to, AtFlags::SYMLINK_FOLLOW);
    match link(path) {
        Err(rustix::io::Errno::EXIST) if force => {}
        linked => return Ok(linked?),
    }
    // The old file is at stake now: the new one must be on the disk before it takes its place.
    file.sync_all()?;
    let beside = tempfile::Builder::new()
        .prefix(".parans-")
        .suffix(".tmp")
        .make_in(directory(path), |to| Ok(link(to)?))?;
    beside.into_temp_path().persist(path).map_err(|error| error.error)
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.sink {
            Sink::Stdout(out) => out.write(bytes),
            #[cfg(target_os = "linux")]
            Sink::Unnamed(out) => out.write(bytes),
            Sink::Direct(out) => out.write(bytes),
            Sink::Named(out) => out.write(bytes),
            Sink::Nowhere => Ok(bytes.len()),
        };
        written.map_err(|error| named(error, format_args!("cannot write {}", self.path.display())))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = match &mut self.sink {
            Sink::Stdout(out) => out.flush(),
            #[cfg(target_os = "linux")]
            Sink::Unnamed(out) => out.flush(),
            Sink::Direct(out) => out.flush(),
            Sink::Named(out) => out.flush(),
            Sink::Nowhere => Ok(()),
        };
        flushed.map_err(|error| named(error, format_args!("cannot write {}", self.path.display())))
    }
}

impl Holes for Output {
    fn skip(&mut self, zeros: u64) -> io::Result<()> {
        let skipped = match &mut self.sink {
            #[cfg(target_os = "linux")]
            Sink::Unnamed(out) => sparse::skip(out, zeros),
            Sink::Named(out) => sparse::skip(out, zeros),
            Sink::Stdout(out) => out.flush().and_then(|()| match sparse::stdout() {
                Some(mut file) => sparse::skip(&mut file, zeros),
                None => io::copy(&mut io::repeat(0).take(zeros), out).map(drop),
            }),
            Sink::Direct(out) => io::copy(&mut io::repeat(0).take(zeros), out).map(drop),
            Sink::Nowhere => Ok(()),
        };
        skipped.map_err(|error| named(error, format_args!("cannot write {}", self.path.display())))
    }
}
