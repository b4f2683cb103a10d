//! Where output goes: standard output, or a file that appears under its name only when it is
//! complete.
//!
//! On Linux the file has no name at all until then (`O_TMPFILE`), so that a killed program leaves
//! nothing behind. Where that is not to be had, it is a temporary file beside the target: one that
//! a signal removes (see [`temporary`]), but SIGKILL may leave there, never under the target's
//! name.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

use crate::{
    cli::FileArgs,
    escape,
    failure::{Usage, named},
    identity,
    input::Input,
    metadata, process,
    sparse::{self, Holes},
    temporary::{self, Listed},
};

/// Bytes to collect before they are handed to the system: chunk headers are small.
const BUFFER: usize = 256 << 10;

/// What the names of temporary files begin and end with.
const PREFIX: &str = ".parans-";
const SUFFIX: &str = ".tmp";

/// Tests set this variable to have temporary files with names, which no file system here needs.
#[cfg(target_os = "linux")]
const NAMED: &str = "PARANS_NAMED_TEMPORARY";

enum Sink {
    Stdout(BufWriter<File>),
    /// A device, a pipe: what is there is written to.
    Direct(BufWriter<File>),
    /// A file without a name yet, and the directory it is in.
    #[cfg(target_os = "linux")]
    Unnamed(BufWriter<File>, File),
    Named(BufWriter<NamedTempFile>, Listed),
    /// Nothing is kept.
    Nowhere,
}

/// How to make an output file.
#[derive(Default)]
pub(crate) struct Wish {
    /// Overwrite what is there.
    force: bool,
    /// Ask at the terminal before anything is overwritten.
    ask: bool,
    /// Owner, permissions and times to have.
    like: Option<fs::Metadata>,
    /// To be on the disk when it is complete, since the input is deleted then.
    durable: bool,
}

impl Wish {
    /// What the command line says about the output of `input`.
    pub(crate) fn new(input: &Input, args: &FileArgs) -> Self {
        let terminals = io::stdin().is_terminal() && io::stderr().is_terminal();
        let from_stdin = input.metadata.is_none();
        Self {
            force: args.force,
            ask: terminals && !from_stdin && !args.common.quiet,
            like: input.metadata.clone(),
            durable: args.rm && !from_stdin,
        }
    }

    /// A file that has nothing of its input.
    pub(crate) fn plain(force: bool) -> Self {
        Self { force, ..Self::default() }
    }
}

/// An output that is written from first to last.
pub(crate) struct Output {
    sink: Sink,
    /// The name for messages, and of the file.
    pub(crate) path: PathBuf,
    wish: Wish,
}

impl Output {
    /// Standard output. Refuses to write compressed or raw bytes to a terminal unless forced.
    pub(crate) fn stdout(force: bool) -> Result<Self> {
        if io::stdout().is_terminal() && !force {
            return Err(Usage(
                "binary output is not written to a terminal: use -o, or --force".into(),
            )
            .into());
        }
        let fail = |error| named(error, "cannot write standard output");
        let stdout = process::stdout().map_err(fail)?;
        identity::refuse_own(Path::new("standard output"), &stdout.metadata().map_err(fail)?)?;
        let sink = Sink::Stdout(BufWriter::with_capacity(BUFFER, stdout));
        Ok(Self { sink, path: "standard output".into(), wish: Wish::default() })
    }

    /// An output that keeps nothing, to check input.
    pub(crate) fn nowhere() -> Self {
        Self { sink: Sink::Nowhere, path: PathBuf::new(), wish: Wish::default() }
    }

    /// A file. One that exists is an error unless the wish is otherwise, and one that this command
    /// reads or has written always; a device or a pipe is written to directly.
    pub(crate) fn file(path: &Path, mut wish: Wish) -> Result<Self> {
        let fail = |error| named(error, format_args!("cannot write {}", path.display()));
        let mut path = path.to_owned();
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(fail(io::ErrorKind::IsADirectory.into()).into());
            }
            Ok(metadata) if !metadata.is_file() => {
                if wish.durable {
                    return Err(Usage(format!(
                        "--rm needs a regular output file, and {} is none",
                        path.display()
                    ))
                    .into());
                }
                let file = OpenOptions::new().write(true).open(&path).map_err(fail)?;
                let sink = Sink::Direct(BufWriter::with_capacity(BUFFER, file));
                return Ok(Self { sink, path, wish });
            }
            Ok(metadata) => {
                identity::refuse_own(&path, &metadata)?;
                if !(wish.force || wish.ask && overwrite(&path)?) {
                    return Err(exists(&path).into());
                }
                wish.force = true;
                // Through a link, its target is written.
                path = fs::canonicalize(&path).map_err(fail)?;
            }
            Err(_) if fs::symlink_metadata(&path).is_ok() => {
                let text = "a symbolic link to nothing stands there";
                return Err(fail(io::Error::new(io::ErrorKind::AlreadyExists, text)).into());
            }
            Err(_) => {}
        }
        let sink = temporary_file(directory(&path), wish.like.as_ref()).map_err(fail)?;
        Ok(Self { sink, path, wish })
    }

    /// Completes the output: the file takes its name, with the owner, permissions and times wished
    /// for, and is on the disk if that is wished for.
    pub(crate) fn commit(self) -> Result<()> {
        let (path, wish) = (self.path, self.wish);
        let written = match self.sink {
            Sink::Nowhere => Ok(()),
            Sink::Stdout(mut stdout) => stdout
                .flush()
                .and_then(|()| sparse::stdout().as_ref().map_or(Ok(()), sparse::complete)),
            Sink::Direct(mut file) => file.flush(),
            #[cfg(target_os = "linux")]
            Sink::Unnamed(file, directory) => file
                .into_inner()
                .map_err(io::IntoInnerError::into_error)
                .and_then(|file| complete(&file, &wish).map(|()| file))
                .and_then(|file| give_name(&file, &directory, &path, &wish))
                .and_then(|()| if wish.durable { sync(&directory) } else { Ok(()) }),
            Sink::Named(file, listed) => commit_named(file, listed, &path, &wish),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(exists(&path)).context("not written")
            }
            other => Ok(other
                .map_err(|error| named(error, format_args!("cannot write {}", path.display())))?),
        }
    }

    /// Whether output goes to standard output.
    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self.sink, Sink::Stdout(_))
    }
}

fn exists(path: &Path) -> io::Error {
    let text = format!("{} exists already: use --force to overwrite it", path.display());
    io::Error::new(io::ErrorKind::AlreadyExists, text)
}

/// Asks whether to overwrite a file, as zstd does.
fn overwrite(path: &Path) -> Result<bool> {
    write!(io::stderr(), "parans: {} exists already; overwrite (y/n)? ", escape::path(path))?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim_start().starts_with(['y', 'Y']) {
        true => Ok(true),
        false => anyhow::bail!("{}: not overwritten", path.display()),
    }
}

/// The directory that `path` names a file in.
pub(crate) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn temporary_file(directory: &Path, like: Option<&fs::Metadata>) -> io::Result<Sink> {
    #[cfg(target_os = "linux")]
    if std::env::var_os(NAMED).is_none() {
        // A file system without such files says so in several ways; a real error returns below.
        if let Ok((file, directory)) = unnamed(directory, metadata::initial_mode(like)) {
            return Ok(Sink::Unnamed(BufWriter::with_capacity(BUFFER, file), directory));
        }
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(metadata::initial_mode(like)));
    }
    let (file, listed) = temporary::list(|| {
        let file = builder.tempfile_in(directory)?;
        let path = file.path().to_owned();
        Ok((file, path))
    })?;
    Ok(Sink::Named(BufWriter::with_capacity(BUFFER, file), listed))
}

/// A file without a name, and its directory, which is held so that the name will be given there,
/// whatever its owner puts in its place meanwhile.
#[cfg(target_os = "linux")]
fn unnamed(directory: &Path, mode: u32) -> io::Result<(File, File)> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let open =
        |flags| openat(CWD, directory, flags | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    // One that cannot be listed can be written to all the same.
    let directory = open(OFlags::RDONLY).or_else(|_| open(OFlags::PATH))?;
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = File::from(openat(&directory, ".", flags, Mode::from_raw_mode(mode))?);
    // What gives it its name in the end.
    fs::metadata(descriptor(&file))?;
    Ok((file, directory.into()))
}

/// A name by which the system finds an open file.
#[cfg(target_os = "linux")]
fn descriptor(file: &File) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// What is done to a file whose bytes are complete, before it takes its name.
fn complete(file: &File, wish: &Wish) -> io::Result<()> {
    sparse::complete(file)?;
    if let Some(like) = &wish.like {
        metadata::copy(file, like)?;
    }
    if wish.durable { sync(file) } else { Ok(()) }
}

/// Syncs a file or a directory, where the file system has such a thing.
fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

fn commit_named(
    file: BufWriter<NamedTempFile>,
    listed: Listed,
    path: &Path,
    wish: &Wish,
) -> io::Result<()> {
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    complete(file.as_file(), wish)?;
    if wish.force {
        // An old file may be at stake: the new one must be on the disk before it takes its place.
        sync(file.as_file())?;
    }
    let file = listed
        .settle(|| if wish.force { file.persist(path) } else { file.persist_noclobber(path) })
        .map_err(|error| error.error)?;
    identity::note_written(&file.metadata()?);
    if wish.durable {
        sync(&File::open(directory(path))?)?;
    }
    Ok(())
}

/// Links a file that has no name yet into its directory. A name that is taken is taken over only if
/// forced, by a rename, so that it always is the old file or the new one.
#[cfg(target_os = "linux")]
fn give_name(file: &File, directory: &File, path: &Path, wish: &Wish) -> io::Result<()> {
    use rustix::{
        fs::{AtFlags, CWD, linkat, renameat, unlinkat},
        io::Errno,
    };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let descriptor = descriptor(file);
    let link = |name: &std::ffi::OsStr| {
        linkat(CWD, descriptor.as_str(), directory, name, AtFlags::SYMLINK_FOLLOW)
    };
    match link(name) {
        Err(Errno::EXIST) if wish.force => {
            // The old file is at stake: the new one must be on the disk before it takes its place.
            sync(file)?;
            for number in 0u32.. {
                let beside = format!("{PREFIX}{}-{number}{SUFFIX}", std::process::id());
                let listed = temporary::list(|| {
                    link(beside.as_ref())?;
                    Ok(((), path.with_file_name(&beside)))
                });
                let ((), listed) = match listed {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    listed => listed?,
                };
                listed.settle(|| {
                    renameat(directory, beside.as_str(), directory, name).inspect_err(|_| {
                        let _ = unlinkat(directory, beside.as_str(), AtFlags::empty());
                    })
                })?;
                break;
            }
        }
        linked => linked?,
    }
    identity::note_written(&file.metadata()?);
    Ok(())
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.sink {
            #[cfg(target_os = "linux")]
            Sink::Unnamed(out, _) => out.write(bytes),
            Sink::Stdout(out) | Sink::Direct(out) => out.write(bytes),
            Sink::Named(out, _) => out.write(bytes),
            Sink::Nowhere => Ok(bytes.len()),
        };
        written.map_err(|error| named(error, format_args!("cannot write {}", self.path.display())))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = match &mut self.sink {
            #[cfg(target_os = "linux")]
            Sink::Unnamed(out, _) => out.flush(),
            Sink::Stdout(out) | Sink::Direct(out) => out.flush(),
            Sink::Named(out, _) => out.flush(),
            Sink::Nowhere => Ok(()),
        };
        flushed.map_err(|error| named(error, format_args!("cannot write {}", self.path.display())))
    }
}

impl Holes for Output {
    fn skip(&mut self, zeros: u64) -> io::Result<()> {
        let skipped = match &mut self.sink {
            #[cfg(target_os = "linux")]
            Sink::Unnamed(out, _) => sparse::skip(out, zeros),
            Sink::Named(out, _) => sparse::skip(out, zeros),
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
