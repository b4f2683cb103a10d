//! Which file is which, whatever names it has: no file that this command reads, or has written
//! already, is overwritten by an output of the same command.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use anyhow::Result;
use parans::frame::Base;

use crate::{failure::Usage, input::is_stdin, process};

/// A regular file by its device and inode.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

impl FileId {
    /// The identity of a regular file. Outside Unix there is none to be had, and nothing is
    /// refused.
    pub(crate) fn of(metadata: &fs::Metadata) -> Option<Self> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            metadata.is_file().then(|| Self(metadata.dev(), metadata.ino()))
        }
        #[cfg(not(unix))]
        {
            let _ = metadata;
            None
        }
    }
}

static INPUTS: OnceLock<Vec<FileId>> = OnceLock::new();
static WRITTEN: Mutex<Vec<FileId>> = Mutex::new(Vec::new());
static BASES: Mutex<Vec<FileId>> = Mutex::new(Vec::new());

/// Notes what the command reads, once, before it writes anything.
pub(crate) fn note_inputs<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) {
    let metadata = |path: &PathBuf| match is_stdin(path) {
        true => process::stdin()?.metadata(),
        false => fs::metadata(path),
    };
    // What cannot be looked at is reported when it is opened.
    let ids = paths.into_iter().filter_map(|path| FileId::of(&metadata(path).ok()?)).collect();
    let _ = INPUTS.set(ids);
}

/// Notes an output that has its name now.
pub(crate) fn note_written(metadata: &fs::Metadata) {
    if let Some(id) = FileId::of(metadata) {
        WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }
}

/// Notes the files that a base takes: what is coded against them can be read only with them.
pub(crate) fn note_base(base: &Base) {
    let metadata = base.files().iter().filter_map(|path| fs::metadata(path).ok());
    let ids: Vec<FileId> = metadata.filter_map(|metadata| FileId::of(&metadata)).collect();
    BASES.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
}

/// Whether a file is among those that bases take.
pub(crate) fn is_base(metadata: &fs::Metadata) -> bool {
    FileId::of(metadata)
        .is_some_and(|id| BASES.lock().unwrap_or_else(PoisonError::into_inner).contains(&id))
}

/// Refuses to write to a file that is there already, if it is an input or an output of this
/// command, or a base.
pub(crate) fn refuse_own(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    let Some(id) = FileId::of(metadata) else { return Ok(()) };
    let refuse = |what| Err(Usage(format!("{}: {what}", path.display())).into());
    if INPUTS.get().is_some_and(|inputs| inputs.contains(&id)) {
        return refuse("is an input too: the output would overwrite it");
    }
    if WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).contains(&id) {
        return refuse("is the output of another input already");
    }
    if is_base(metadata) {
        return refuse("is a base: what is coded against it could not be read any more");
    }
    Ok(())
}
