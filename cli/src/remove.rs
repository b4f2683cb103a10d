//! `--rm`: an input goes only when a regular file keeps its content, on the disk.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use anyhow::Result;

use crate::{
    cli::FileArgs,
    escape,
    failure::{Usage, named},
    input::{Input, is_stdin},
};

/// Refuses `--rm` where standard output is all that the content goes to, before anything is done.
pub(crate) fn check_wish(path: &Path, args: &FileArgs) -> Result<()> {
    let stdout = args.stdout || args.output.as_deref().is_some_and(is_stdin);
    if args.rm && stdout && !is_stdin(path) {
        return Err(Usage(
            "--rm needs an output file: nobody knows what becomes of standard output".into(),
        )
        .into());
    }
    Ok(())
}

/// Removes an input whose output is complete and on the disk. What is no regular file stays: a
/// pipe, a device, and a symbolic link unless forced, which then goes while its target stays.
pub(crate) fn remove(input: &Input, args: &FileArgs) -> Result<()> {
    let (Some(metadata), name) = (&input.metadata, input.path.display()) else { return Ok(()) };
    let kept = |why: &str| {
        if !args.common.quiet {
            // Nobody to tell is no reason to fail.
            let _ = writeln!(io::stderr(), "parans: {}: kept: {why}", escape::path(&input.path));
        }
        Ok(())
    };
    if !metadata.is_file() {
        return kept("not a regular file");
    }
    if let Some(change) = input.changed(None)? {
        anyhow::bail!("{name}: kept: {change}");
    }
    let link = fs::symlink_metadata(&input.path).map_err(|error| named(error, &name))?.is_symlink();
    if link && !args.force {
        return kept("a symbolic link; --force removes the link");
    }
    match unlink(&input.path, metadata) {
        Ok(true) => Ok(()),
        Ok(false) => anyhow::bail!("{name}: kept: another file has this name now"),
        Err(error) => Err(named(error, format_args!("cannot remove {name}")).into()),
    }
}

/// Unlinks `path` if it still is the file that was read. The directory is held meanwhile, so that
/// nobody can put another in its place.
#[cfg(target_os = "linux")]
fn unlink(path: &Path, read: &fs::Metadata) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat, unlinkat};
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, crate::output::directory(path), flags, Mode::empty())?;
    // Through a link, as it was opened.
    let now = statat(&directory, name, AtFlags::empty())?;
    if (now.st_dev, now.st_ino) != (read.dev(), read.ino()) {
        return Ok(false);
    }
    unlinkat(&directory, name, AtFlags::empty())?;
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
fn unlink(path: &Path, read: &fs::Metadata) -> io::Result<bool> {
    if crate::identity::FileId::of(&fs::metadata(path)?) != crate::identity::FileId::of(read) {
        return Ok(false);
    }
    fs::remove_file(path)?;
    Ok(true)
}
