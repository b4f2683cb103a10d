//! Which files are worked on, and what their outputs are called.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    fs, io,
    path::{Component, Path, PathBuf},
};

use anyhow::Result;
use walkdir::WalkDir;

use crate::{
    cli::{FileArgs, InputArgs, SUFFIX},
    escape,
    failure::{Usage, named},
    input::is_stdin,
    shards::INDEX,
};

/// What is done with the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// They are compressed.
    Compress,
    /// They are compressed files, which are decompressed, checked or shown.
    Read,
}

/// The files to work on, in the order given; in directories (`-r`) by name. What cannot be listed
/// is an error in its place.
pub(crate) fn inputs(args: &InputArgs, work: Work) -> Vec<Result<PathBuf>> {
    if args.files.is_empty() {
        return vec![Ok("-".into())];
    }
    let mut found = Vec::new();
    for path in &args.files {
        if args.recursive && path.is_dir() {
            found.extend(below(path, &args.suffix, work));
        } else {
            found.push(Ok(path.clone()));
        }
    }
    found
}

/// The regular files in a directory and below, as gzip takes them: compressed ones are not
/// compressed again, others are not read.
fn below<'a>(
    directory: &Path,
    suffix: &'a str,
    work: Work,
) -> impl Iterator<Item = Result<PathBuf>> + use<'a> {
    let walk = WalkDir::new(directory).sort_by_file_name().into_iter();
    walk.filter_map(move |entry| match entry {
        Ok(entry) => {
            let compressed = stem(entry.file_name(), suffix).is_some();
            let index = entry.file_name().to_str().is_some_and(|name| {
                name.strip_suffix(INDEX).is_some_and(|name| name.ends_with(suffix))
            });
            let wanted = if work == Work::Read { compressed } else { !compressed && !index };
            let taken = entry.file_type().is_file() && wanted;
            taken.then(|| Ok(entry.into_path()))
        }
        Err(error) => {
            let path = error.path().map(escape::path).unwrap_or_default();
            let error = error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into());
            Some(Err(named(error, path).into()))
        }
    })
}

/// Makes the directory that outputs go to, and refuses inputs whose outputs would be one file.
pub(crate) fn prepare(args: &FileArgs, inputs: &[Result<PathBuf>], work: Work) -> Result<()> {
    if args.output.is_some() && inputs.len() > 1 {
        return Err(Usage("-o takes a single input file".into()).into());
    }
    let directory = args.output_dir_flat.as_ref().or(args.output_dir_mirror.as_ref());
    let Some(directory) = directory else { return Ok(()) };
    let mut outputs = HashSet::new();
    for path in inputs.iter().flatten() {
        // A file that has no output is refused in its turn.
        let Ok(Some(output)) = output(path, args, work) else { continue };
        if !outputs.insert(output.clone()) {
            let output = escape::path(&output);
            return Err(Usage(format!("{output} would be the output of two inputs")).into());
        }
    }
    let folders = outputs.iter().filter_map(|output| output.parent()).chain([&**directory]);
    for folder in folders {
        let fail = |error| named(error, format_args!("cannot make {}", folder.display()));
        fs::create_dir_all(folder).map_err(fail)?;
    }
    Ok(())
}

/// Where the output for `path` goes; none is standard output.
///
/// # Errors
/// A name that has the suffix already and is to be compressed, or has none and is to be
/// decompressed, where no option says where the output goes.
pub(crate) fn output(path: &Path, args: &FileArgs, work: Work) -> Result<Option<PathBuf>> {
    match &args.output {
        Some(output) if is_stdin(output) => return Ok(None),
        Some(output) => return Ok(Some(output.clone())),
        None if args.stdout || is_stdin(path) => return Ok(None),
        None => {}
    }
    let name = path.file_name().unwrap_or_default();
    let suffix = &args.input.suffix;
    let name = match (work, stem(name, suffix)) {
        (Work::Compress, Some(_)) if !args.force => {
            return Err(Usage(format!(
                "{}: named {suffix} already; --force compresses it again",
                escape::path(path)
            ))
            .into());
        }
        (Work::Compress, _) => {
            let mut name = name.to_owned();
            name.push(suffix);
            name
        }
        (Work::Read, Some(stem)) => stem,
        (Work::Read, None) => {
            return Err(Usage(format!(
                "{}: not named {suffix}: say with -o or -c where it goes",
                escape::path(path)
            ))
            .into());
        }
    };
    Ok(Some(match (&args.output_dir_flat, &args.output_dir_mirror) {
        (Some(directory), _) => directory.join(name),
        (_, Some(directory)) => directory.join(inside(path)?).with_file_name(name),
        _ => path.with_file_name(name),
    }))
}

/// A path as one from a folder: without a root, and not out of the folder again.
fn inside(path: &Path) -> Result<PathBuf> {
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => inside.push(part),
            Component::ParentDir => {
                let path = escape::path(path);
                return Err(Usage(format!("{path}: --output-dir-mirror takes no ..")).into());
            }
            _ => {}
        }
    }
    Ok(inside)
}

/// A file's name without the suffix, or without the usual one, as in gzip and xz.
fn stem(name: &OsStr, suffix: &str) -> Option<OsString> {
    [suffix, SUFFIX].into_iter().find_map(|suffix| {
        #[cfg(unix)]
        let stem = {
            use std::os::unix::ffi::OsStrExt;
            name.as_bytes().strip_suffix(suffix.as_bytes()).map(OsStr::from_bytes)
        };
        #[cfg(not(unix))]
        let stem = name.to_str().and_then(|name| name.strip_suffix(suffix)).map(OsStr::new);
        stem.filter(|stem| !stem.is_empty()).map(OsStr::to_owned)
    })
}
